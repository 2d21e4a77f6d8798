#include "plugins/filter-dspam/user.hpp"

#include <algorithm>
#include <array>

#include "plugins/common/ascii.hpp"

namespace mansio::dspam {
namespace {

constexpr std::size_t kLongestUser = 250;
constexpr std::array<std::string_view, 3> kNames{"{address}", "{local}", "{domain}"};

bool of_user(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte != 0x7f && c != '<' && c != '>' && c != '"' && c != '\\' && c != '/';
}

std::string_view local_part(std::string_view address) { return address.substr(0, address.rfind('@')); }

std::string domain_of(std::string_view address) {
  const auto at = address.rfind('@');
  return ascii::lower(at == address.npos ? std::string_view{} : address.substr(at + 1));
}

}  // namespace

std::string fold_domain(std::string_view address) {
  std::string out{local_part(address)};
  if (const auto domain = domain_of(address); !domain.empty()) out += '@' + domain;
  return out;
}

std::string mailbox_of(std::string_view address, bool fold_case, std::string_view delimiters) {
  const auto local = local_part(address);
  const auto extension = local.starts_with('"') ? local.npos : local.find_first_of(delimiters, 1);
  std::string out{local.substr(0, extension)};
  if (fold_case) out = ascii::lower(out);
  if (const auto domain = domain_of(address); !domain.empty()) out += '@' + domain;
  return out;
}

std::optional<UserTemplate> UserTemplate::parse(std::string_view text) {
  for (auto rest = text; !rest.empty();) {
    const auto brace = rest.find_first_of("{}");
    if (brace == rest.npos) break;
    rest.remove_prefix(brace);
    const auto name =
        std::find_if(kNames.begin(), kNames.end(), [&](std::string_view n) { return rest.starts_with(n); });
    if (name == kNames.end()) return std::nullopt;
    rest.remove_prefix(name->size());
  }
  return UserTemplate{text};
}

std::string UserTemplate::of(std::string_view address) const {
  std::string out;
  for (std::string_view rest{text_}; !rest.empty();) {
    if (rest.starts_with(kNames[0])) {
      out += fold_domain(address);
      rest.remove_prefix(kNames[0].size());
    } else if (rest.starts_with(kNames[1])) {
      out += local_part(address);
      rest.remove_prefix(kNames[1].size());
    } else if (rest.starts_with(kNames[2])) {
      out += domain_of(address);
      rest.remove_prefix(kNames[2].size());
    } else {
      out += rest.front();
      rest.remove_prefix(1);
    }
  }
  return out;
}

bool is_user(std::string_view name) {
  if (name.empty() || name.size() > kLongestUser || name.front() == '-' || name.front() == '@') return false;
  return std::all_of(name.begin(), name.end(), of_user);
}

std::string to_user(std::string name) {
  name.resize(std::min(name.size(), kLongestUser));
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !of_user(c); }, '_');
  if (name.empty()) return "_";
  if (name.front() == '-' || name.front() == '@') name.front() = '_';
  return name;
}

}  // namespace mansio::dspam
