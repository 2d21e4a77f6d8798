// Small pure helpers on ASCII text and addresses that the client's files share.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace mansio::smtp {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
inline std::string lower(std::string_view s) {
  std::string out{s};
  for (auto &c : out) c = lower(c);
  return out;
}
inline bool equal_fold(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}
inline bool starts_fold(std::string_view s, std::string_view prefix) {
  return s.size() >= prefix.size() && equal_fold(s.substr(0, prefix.size()), prefix);
}
inline bool has_eight_bit(std::string_view s) {
  return std::any_of(s.begin(), s.end(), [](char c) { return static_cast<unsigned char>(c) > 127; });
}
inline std::string_view trim(std::string_view s) {
  const auto from = s.find_first_not_of(" \t\r\n");
  if (from == std::string_view::npos) return {};
  return s.substr(from, s.find_last_not_of(" \t\r\n") - from + 1);
}
inline std::string_view local_of(std::string_view address) { return address.substr(0, address.rfind('@')); }
inline std::string_view domain_of(std::string_view address) {
  const auto at = address.rfind('@');
  return at == std::string_view::npos ? std::string_view{} : address.substr(at + 1);
}

bool valid_utf8(std::string_view bytes);  // in reply.cpp

}  // namespace mansio::smtp
