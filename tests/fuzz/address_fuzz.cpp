// Paths, mailboxes and DSN parameters from untrusted bytes: no crash, and what was accepted prints to a form that
// parses to the same address.
#include <cstdint>

#include "kernel/mail/address.hpp"
#include "kernel/mail/dsn_params.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::address {
namespace {

void check(const Address &address) {
  if (address.null() || address.domain.empty()) return;
  const auto printed = to_string(address);
  const auto again = parse_mailbox(printed, {.smtputf8 = true, .strict = false});
  // Quoting may make the local part longer than it may be; nothing else may go wrong.
  if (!again) return require(quote_local(address.local).size() > kMaxLocalPart || printed.size() > kMaxPath - 2);
  require(*again == address && same_mailbox(*again, address));
  require(split_address(printed).domain == address.domain);
}

}  // namespace

MANSIO_FUZZ_TARGET("address-fuzz", data, size) {
  if (size == 0) return 0;
  const std::string_view text{reinterpret_cast<const char *>(data) + 1, size - 1};
  const PathOptions options{.smtputf8 = (data[0] & 1) != 0, .strict = (data[0] & 2) != 0};
  if (const auto path = parse_reverse_path(text, options)) check(path->address);
  if (const auto path = parse_forward_path(text, options)) check(path->address);
  if (const auto address = parse_mailbox(text, options)) check(*address);
  if (const auto domain = parse_domain(text)) require(parse_domain(*domain).ok());
  if (const auto decoded = xtext_decode(text)) require(xtext_decode(xtext_encode(*decoded)) == decoded);
  if (const auto decoded = utf8_xtext_decode(text))
    require(utf8_xtext_decode(utf8_xtext_encode(*decoded, false)) == decoded);
  if (const auto orcpt = parse_orcpt(text, options.smtputf8)) {
    const auto form = format_orcpt(*orcpt, true);
    if (form.size() <= 500) require(*parse_orcpt(form, true) == *orcpt);
  }
  if (const auto notify = parse_notify(text)) require(*parse_notify(format_notify(*notify)) == *notify);
  (void)parse_envid(text);
  (void)parse_ret(text);
  return 0;
}

}  // namespace mansio::fuzz::address
