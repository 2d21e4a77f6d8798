// Small pure helpers on ASCII text and addresses that the client's files share.
#pragma once

#include <algorithm>
#include <string_view>

#include "plugins/common/ascii.hpp"

namespace mansio::smtp {

using ascii::digit;
using ascii::equal_fold;
using ascii::lower;
using ascii::trimmed;

inline bool starts_fold(std::string_view s, std::string_view prefix) {
  return s.size() >= prefix.size() && equal_fold(s.substr(0, prefix.size()), prefix);
}
inline bool has_eight_bit(std::string_view s) {
  return std::any_of(s.begin(), s.end(), [](char c) { return static_cast<unsigned char>(c) > 127; });
}
inline std::string_view local_of(std::string_view address) { return address.substr(0, address.rfind('@')); }
inline std::string_view domain_of(std::string_view address) {
  const auto at = address.rfind('@');
  return at == std::string_view::npos ? std::string_view{} : address.substr(at + 1);
}

bool valid_utf8(std::string_view bytes);  // in reply.cpp

}  // namespace mansio::smtp
