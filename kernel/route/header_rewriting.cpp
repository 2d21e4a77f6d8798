#include "kernel/route/header_rewriting.hpp"

#include <map>
#include <string_view>
#include <utility>

#include "kernel/mail/header_addresses.hpp"
#include "kernel/mail/headers.hpp"

namespace mansio::route {

Task<Result<std::string>> rewrite_header(Search &search, const AddressRewriter &rewriter, std::string section) {
  std::string out;
  std::string_view rest = section;
  std::map<std::pair<AddressClass, std::string>, std::string> known;  // lists name the same people again
  while (const auto field = next_field(rest)) {
    const auto whose = address_field(field->name);
    const auto what = whose == FieldClass::Sender ? AddressClass::HeaderSender : AddressClass::HeaderRecipient;
    if (!whose || rewriter.empty(what)) {
      out += field->raw;
      continue;
    }
    const auto body = field->raw.substr(field->raw.find(':') + 1);
    out += field->raw.substr(0, field->raw.size() - body.size());
    std::size_t copied = 0;
    const auto spans = find_addresses(body);
    for (const auto &span : spans) {
      const std::string address{body.substr(span.at, span.length)};
      const auto [at, is_new] = known.try_emplace({what, address}, address);
      if (is_new) {
        auto mapped = co_await rewriter.find(search, what, address);
        if (mapped.later) co_return Error{Status::Defer, std::move(mapped.text)};
        if (!mapped.addresses.empty()) at->second = std::move(mapped.addresses.front());
      }
      out += body.substr(copied, span.at - copied);
      out += at->second;
      copied = span.at + span.length;
    }
    out += body.substr(copied);
  }
  out += rest;  // what is no field any more
  co_return out;
}

}  // namespace mansio::route
