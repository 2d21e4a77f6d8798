#include "plugins/transport-common/reason.hpp"

namespace mansio::transport {
namespace {

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// Up to three digits from the front of `text`.
std::optional<std::uint16_t> take_number(std::string_view &text) {
  std::uint16_t value = 0;
  std::size_t digits = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
    if (digits == 3) return std::nullopt;
    value = static_cast<std::uint16_t>(value * 10 + (text[digits] - '0'));
  }
  text.remove_prefix(digits);
  return digits > 0 ? std::optional{value} : std::nullopt;
}

}  // namespace

std::optional<Reason> parse_reason(std::string_view text) {
  text = trimmed(text);
  if (text.size() < 2 || (text[0] != '4' && text[0] != '5')) return std::nullopt;
  Reason reason;
  reason.enhanced.cls = static_cast<std::uint16_t>(text[0] - '0');
  text.remove_prefix(1);
  for (auto *part : {&reason.enhanced.subject, &reason.enhanced.detail}) {
    if (!text.starts_with('.')) return std::nullopt;
    text.remove_prefix(1);
    const auto number = take_number(text);
    if (!number) return std::nullopt;
    *part = *number;
  }
  if (!text.empty() && !blank(text.front())) return std::nullopt;
  reason.text = trimmed(text);
  return reason;
}

}  // namespace mansio::transport
