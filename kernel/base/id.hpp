// MessageId: the queue id. It comes from neither place nor clock and is never reused:
//   node (12 bits) | epoch (32 bits) | sequence in the epoch (20 bits)
// An epoch number is given to one segment filling, once, and is on stable storage before its first id
// is used; a message that moves to another segment keeps its id. Shown as 13 characters of base 32
// (Crockford's alphabet, upper case), which log tools made for Postfix take for a queue id.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace mansio {

struct MessageId {
  std::uint64_t value = 0;

  static constexpr std::uint32_t kMaxNode = (1u << 12) - 1;
  static constexpr std::uint32_t kMaxSequence = (1u << 20) - 1;

  static MessageId make(std::uint32_t node, std::uint32_t epoch, std::uint32_t sequence) {
    return {static_cast<std::uint64_t>(node & kMaxNode) << 52 | static_cast<std::uint64_t>(epoch) << 20 |
            (sequence & kMaxSequence)};
  }
  std::uint32_t node() const { return static_cast<std::uint32_t>(value >> 52); }
  std::uint32_t epoch() const { return static_cast<std::uint32_t>(value >> 20); }
  std::uint32_t sequence() const { return static_cast<std::uint32_t>(value & kMaxSequence); }

  explicit operator bool() const { return value != 0; }
  auto operator<=>(const MessageId &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.value);
  }
};

std::string to_string(MessageId id);
std::optional<MessageId> parse_message_id(std::string_view text);  // case-insensitive; 13 characters

}  // namespace mansio

template <>
struct std::hash<mansio::MessageId> {
  std::size_t operator()(mansio::MessageId id) const noexcept {
    return static_cast<std::size_t>(id.value * 0x9E3779B97F4A7C15ull);
  }
};
