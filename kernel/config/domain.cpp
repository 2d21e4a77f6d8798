#include "kernel/config/domain.hpp"

#include <idn2.h>

#include <algorithm>

namespace mansio::config {
namespace {

constexpr std::size_t kMaxDomain = 253, kMaxLabel = 63;

bool ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool valid_ascii(std::string_view domain) {
  if (domain.empty() || domain.size() > kMaxDomain) return false;
  while (true) {
    const auto dot = domain.find('.');
    const auto label = domain.substr(0, dot);
    if (label.empty() || label.size() > kMaxLabel || label.front() == '-' || label.back() == '-') return false;
    for (const char c : label) {
      if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')) return false;
    }
    if (dot == domain.npos) return true;
    domain.remove_prefix(dot + 1);
  }
}

}  // namespace

std::string lower(std::string_view text) {
  std::string out{text};
  for (char &c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::optional<std::string> ascii_domain(std::string_view domain) {
  if (domain.ends_with('.')) domain.remove_suffix(1);
  std::string out;
  if (ascii(domain)) {
    out = lower(domain);
  } else {
    if (domain.size() > 4 * kMaxDomain || domain.find('\0') != domain.npos) return std::nullopt;
    const std::string input{domain};
    char *converted = nullptr;
    if (::idn2_to_ascii_8z(input.c_str(), &converted, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) != IDN2_OK) {
      return std::nullopt;
    }
    out = lower(converted);
    ::idn2_free(converted);
  }
  if (!valid_ascii(out)) return std::nullopt;
  return out;
}

}  // namespace mansio::config
