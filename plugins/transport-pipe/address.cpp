#include "plugins/transport-pipe/address.hpp"

#include <algorithm>

#include "plugins/common/ascii.hpp"

namespace mansio::pipe {
namespace {

// RFC 5321 section 4.1.2: "a\"b" is a"b. What is not quoted properly is taken as it stands.
std::string unquote(std::string_view local) {
  if (local.size() < 2 || local.front() != '"' || local.back() != '"') return std::string{local};
  std::string out;
  for (std::size_t i = 1; i + 1 < local.size(); ++i) {
    if (local[i] == '\\' && i + 2 < local.size()) ++i;
    out += local[i];
  }
  return out;
}

// A dot-string of RFC 5321; octets above 127 pass (RFC 6531).
bool plain(std::string_view local) {
  constexpr std::string_view kSpecial = "()<>[]:;@\\,\" \t";
  if (local.empty() || local.front() == '.' || local.back() == '.' || local.find("..") != local.npos) return false;
  return std::all_of(local.begin(), local.end(), [&](char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet >= 0x20 && octet != 0x7f && kSpecial.find(c) == kSpecial.npos;
  });
}

std::string quote(std::string_view local) {
  if (plain(local)) return std::string{local};
  std::string out = "\"";
  for (const char c : local) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

Address parse_address(std::string_view address) {
  const auto at = address.rfind('@');
  if (at == address.npos) return {unquote(address), ""};
  return {unquote(address.substr(0, at)), std::string{address.substr(at + 1)}};
}

std::string to_string(const Address &address, const AddressForm &form) {
  if (address.local.empty() && address.domain.empty()) return {};
  auto local = form.fold_local ? ascii::lower(address.local) : address.local;
  if (form.quote) local = quote(local);
  if (address.domain.empty()) return local;
  return local + '@' + (form.fold_domain ? ascii::lower(address.domain) : address.domain);
}

Split split_local(std::string_view local, std::string_view recipient_delimiter) {
  const auto at = recipient_delimiter.empty() ? local.npos : local.find_first_of(recipient_delimiter, 1);
  if (at == local.npos) return {local, {}};
  const auto name = ascii::lower(local);
  if (name == "postmaster" || name == "mailer-daemon" || name == "double-bounce") return {local, {}};
  constexpr std::string_view kOwner = "owner-", kRequest = "-request";
  if (local[at] == '-' && (name.starts_with(kOwner) || (name.size() > kRequest.size() && name.ends_with(kRequest))))
    return {local, {}};
  return {local.substr(0, at), local.substr(at + 1)};
}

}  // namespace mansio::pipe
