#include "kernel/route/address_result.hpp"

#include "kernel/mail/address.hpp"
#include "kernel/mail/utf8.hpp"
#include "kernel/route/text.hpp"

namespace mansio::route {
namespace {

// Takes the text up to the next comma outside quotes and angle brackets off `rest`.
std::string_view next_item(std::string_view &rest) {
  bool quoted = false, bracketed = false;
  std::size_t i = 0;
  for (; i < rest.size(); ++i) {
    const char c = rest[i];
    if (c == '\\' && quoted) {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '<' || c == '>')) {
      bracketed = c == '<';
    } else if (c == ',' && !quoted && !bracketed) {
      break;
    }
  }
  const auto item = rest.substr(0, i);
  rest = i < rest.size() ? rest.substr(i + 1) : std::string_view{};
  return trimmed(item);
}

// "Alice <alice@example.com>" -> "alice@example.com"
std::string_view inside_brackets(std::string_view item) {
  if (!item.ends_with('>')) return item;
  const auto open = item.rfind('<');
  return open == item.npos ? item : trimmed(item.substr(open + 1, item.size() - open - 2));
}

Error bad(std::string_view item, std::string_view why) {
  return {Status::BadConfig, printable(item.substr(0, 100), false) + ": " + std::string{why}};
}

Result<std::string> address_of(std::string_view item, bool first, const AddressRules &rules) {
  std::string text{inside_brackets(item)};
  if (text.size() > rules.length_limit) return bad(item, "is longer than virtual_alias_address_length_limit");
  const auto asked = split_address(rules.asked);
  if (text.starts_with('@')) {
    if (!first) return bad(item, "only the first address of several may leave out the user");
    const auto user = rules.extension.empty() || !asked.local.ends_with(rules.extension)
                          ? asked.local
                          : asked.local.substr(0, asked.local.size() - rules.extension.size());
    text.insert(0, user);
  } else if (!split_address(text).has_domain) {
    text += '@';
    text += rules.origin;
  }
  auto address = parse_mailbox(text, {.smtputf8 = true, .strict = false});
  if (!address) return bad(item, address.error().text);
  if (rules.propagate) address->local += rules.extension;
  return to_string(*address);
}

}  // namespace

Result<std::vector<std::string>> parse_addresses(std::span<const std::string> values, const AddressRules &rules) {
  std::vector<std::string> out;
  for (const auto &value : values)
    for (std::string_view rest = value; !rest.empty();) {
      const auto item = next_item(rest);
      if (item.empty()) continue;
      auto address = address_of(item, out.empty(), rules);
      if (!address) return address.error();
      out.push_back(std::move(*address));
    }
  if (out.empty()) return Error{Status::BadConfig, "no address is in it"};
  return out;
}

}  // namespace mansio::route
