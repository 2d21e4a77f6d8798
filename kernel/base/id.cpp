#include "kernel/base/id.hpp"

namespace mansio {
namespace {

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t kLength = 13;  // 13 * 5 = 65 bits: the first character is 0..F

}  // namespace

std::string to_string(MessageId id) {
  std::string s(kLength, '0');
  auto v = id.value;
  for (auto i = kLength; i-- > 0; v >>= 5) s[i] = kAlphabet[v & 31];
  return s;
}

std::optional<MessageId> parse_message_id(std::string_view text) {
  if (text.size() != kLength) return std::nullopt;
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < kLength; ++i) {
    char c = text[i];
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    const auto digit = kAlphabet.find(c);
    if (digit == std::string_view::npos || (i == 0 && digit > 15)) return std::nullopt;
    v = v << 5 | digit;
  }
  return MessageId{v};
}

}  // namespace mansio
