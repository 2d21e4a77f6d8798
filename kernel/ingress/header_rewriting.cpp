#include "kernel/ingress/header_rewriting.hpp"

#include <map>
#include <utility>

#include "kernel/mail/header_addresses.hpp"

namespace mansio::ingress {

Task<Result<std::string>> rewrite_header(route::Search &search, const route::Canonical &canonical,
                                         std::string section) {
  std::string out;
  std::string_view rest = section;
  std::map<std::pair<route::AddressClass, std::string>, std::string> known;  // lists name the same people again
  while (const auto field = next_field(rest)) {
    const auto whose = address_field(field->name);
    const auto what =
        whose == FieldClass::Sender ? route::AddressClass::HeaderSender : route::AddressClass::HeaderRecipient;
    if (!whose || canonical.empty(what)) {
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
        auto mapped = co_await canonical.find(search, what, address);
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

}  // namespace mansio::ingress
