#include "password.hpp"

#include <crypt.h>

#include <memory>
#include <string_view>

namespace mansio::auth_table {
namespace {

constexpr std::size_t kLongestPassword = 511;  // of crypt(3)

constexpr std::string_view kSchemes[] = {"{CRYPT}", "{SHA256-CRYPT}", "{SHA512-CRYPT}", "{BLF-CRYPT}"};

std::string without_scheme(const std::string &stored) {
  for (const auto scheme : kSchemes)
    if (std::string_view{stored}.starts_with(scheme)) return stored.substr(scheme.size());
  return stored;
}

// Every octet is looked at, so that the time does not tell how many agree.
bool same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    difference |= static_cast<unsigned>(static_cast<unsigned char>(a[i])) ^ static_cast<unsigned char>(b[i]);
  return difference == 0;
}

}  // namespace

Match check_password(const std::string &stored, const std::string &given) {
  const auto hash = without_scheme(stored);
  if (hash.starts_with('!') || hash.starts_with('*')) return Match::Locked;
  if (!hash.starts_with('$')) return Match::Unusable;
  if (given.empty() || given.size() > kLongestPassword || given.find('\0') != given.npos) return Match::No;
  const auto data = std::make_unique<crypt_data>();
  // Not crypt_r(): in a program with AddressSanitizer that loads this, that name is the sanitizer's, and leads nowhere.
  const char *const made = ::crypt_rn(given.c_str(), hash.c_str(), data.get(), sizeof *data);
  if (made == nullptr || *made != '$') return Match::Unusable;
  return same(made, hash) ? Match::Yes : Match::No;
}

}  // namespace mansio::auth_table
