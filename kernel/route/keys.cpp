#include "kernel/route/keys.hpp"

#include "kernel/mail/address.hpp"
#include "kernel/mail/utf8.hpp"
#include "kernel/route/own_domains.hpp"

namespace mansio::route {
namespace {

// The domain as tables have it; one that is none stays as it was written.
std::string table_domain(std::string_view domain) {
  auto ascii = canonical_domain(domain);
  return ascii.empty() ? lower(domain) : ascii;
}

// example.com of www.example.com, com of that. `plain`: parents without a dot before them.
void add_parents(Keys &keys, const std::string &name, bool plain) {
  if (name.starts_with('[')) return;
  for (auto dot = name.find('.'); dot != name.npos; dot = name.find('.', dot + 1)) {
    if (dot + 1 == name.size()) break;
    keys.push_back({name.substr(plain ? dot + 1 : dot)});
  }
}

}  // namespace

Mailbox split_extension(std::string_view local, std::string_view delimiters) {
  if (delimiters.empty()) return {local, {}};
  for (const auto *reserved : {"postmaster", "mailer-daemon", "double-bounce"})
    if (equals_nocase(local, reserved)) return {local, {}};
  const auto at = local.find_first_of(delimiters, 1);
  if (local.empty() || at == local.npos) return {local, {}};
  if (local[at] == '-' && (equals_nocase(local.substr(0, 6), "owner-") ||
                           (local.size() > 8 && equals_nocase(local.substr(local.size() - 8), "-request"))))
    return {local, {}};
  return {local.substr(0, at), local.substr(at)};
}

Keys rewriting_keys(std::string_view address, std::string_view delimiters, bool own) {
  const auto parts = split_address(address);
  const auto domain = table_domain(parts.domain);
  const auto box = split_extension(parts.local, delimiters);
  const std::string local{parts.local}, user{box.user};
  const bool extended = !box.extension.empty();
  Keys keys{{local + '@' + domain, true}};
  if (extended) keys.push_back({user + '@' + domain, false, true});
  if (own) keys.push_back({local});
  if (own && extended) keys.push_back({user, false, true});
  keys.push_back({'@' + domain, false, extended});
  return keys;
}

Keys transport_keys(std::string_view address, std::string_view delimiters, bool parents_plain) {
  const auto parts = split_address(address);
  const auto domain = table_domain(parts.domain);
  const auto box = split_extension(parts.local, delimiters);
  Keys keys{{std::string{parts.local} + '@' + domain, true}};
  if (!box.extension.empty()) keys.push_back({std::string{box.user} + '@' + domain, false, true});
  if (!domain.empty()) keys.push_back({domain});
  add_parents(keys, domain, parents_plain);
  keys.push_back({"*"});
  return keys;
}

Keys relayhost_keys(std::string_view sender) {
  if (sender.empty()) return {{"<>", true}};
  const auto parts = split_address(sender);
  const auto domain = table_domain(parts.domain);
  return {{std::string{parts.local} + '@' + domain, true}, {'@' + domain}};
}

Keys address_access_keys(std::string_view address, std::string_view delimiters, bool parents_plain,
                         std::string_view null_key) {
  if (address.empty()) return null_key.empty() ? Keys{} : Keys{{std::string{null_key}, true}};
  const auto parts = split_address(address);
  const auto box = split_extension(parts.local, delimiters);
  const std::string local{parts.local}, user{box.user};
  const bool extended = !box.extension.empty();
  const auto domain = table_domain(parts.domain);
  Keys keys{{parts.has_domain ? local + '@' + domain : local, true}};
  if (extended && parts.has_domain) keys.push_back({user + '@' + domain, false, true});
  if (!domain.empty()) {
    keys.push_back({domain});
    add_parents(keys, domain, parents_plain);
  }
  keys.push_back({local + '@'});
  if (extended) keys.push_back({user + '@', false, true});
  return keys;
}

Keys host_keys(std::string_view name, bool parents_plain) {
  const auto host = table_domain(name);
  Keys keys{{host, true}};
  add_parents(keys, host, parents_plain);
  return keys;
}

Keys network_keys(std::string_view address) {
  const char divider = address.find(':') == address.npos ? '.' : ':';
  Keys keys{{std::string{address}, true}};
  for (auto end = address.rfind(divider); end != address.npos && end > 0; end = address.rfind(divider, end - 1)) {
    auto network = address.substr(0, end);
    while (network.ends_with(':')) network.remove_suffix(1);  // of "::"
    if (!network.empty() && keys.back().text != network) keys.push_back({std::string{network}});
  }
  return keys;
}

Keys domain_keys(std::string_view domain) {
  const auto name = table_domain(domain);
  Keys keys{{name, true}};
  add_parents(keys, name, false);
  return keys;
}

}  // namespace mansio::route
