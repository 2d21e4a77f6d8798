// Answers of tables, which other servers wrote: lists of addresses, access actions, transports, and the keys made of an
// address.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kernel/mail/address.hpp"
#include "kernel/route/access.hpp"
#include "kernel/route/address_result.hpp"
#include "kernel/route/keys.hpp"
#include "kernel/route/transport_result.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::table_answer {
namespace {

void one_line(const std::string &text) {
  if (text.find_first_of("\r\n") != text.npos) std::abort();
}

}  // namespace

MANSIO_FUZZ_TARGET("table-answer-fuzz", data, size) {
  const std::string text{reinterpret_cast<const char *>(data), size};
  const route::AddressRules rules{
      .asked = "user+ext@example.com", .extension = "+ext", .propagate = true, .origin = "mx.example.org"};
  if (const auto addresses = route::parse_addresses({&text, 1}, rules))
    for (const auto &address : *addresses) {
      one_line(address);
      if (!split_address(address).has_domain) std::abort();
    }

  if (const auto action = route::parse_access(text)) {
    one_line(action->text);
    one_line(action->refusal.text);
    const auto code = action->refusal.code;
    if (code < 400 || code > 599) std::abort();
  }

  static const auto settings = [] {
    config::Settings s;
    s.transports.emplace_back().name = "smtp";
    return s;
  }();
  if (const auto result = route::parse_transport(text, settings)) {
    one_line(result->nexthop);
    if (result->refusal) one_line(result->refusal->text);
  }

  for (const auto &keys : {route::rewriting_keys(text, "+-", true), route::transport_keys(text, "+", false),
                           route::address_access_keys(text, "+", true, "<>"), route::host_keys(text, false),
                           route::network_keys(text), route::relayhost_keys(text)})
    if (keys.size() > 4 * size + 8) std::abort();
  return 0;
}

}  // namespace mansio::fuzz::table_answer
