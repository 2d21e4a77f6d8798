// Postfix's form of concurrency feedback: a number from 0 to 1, alone, over another number, over the concurrency, or
// over its square root.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mansio::config {

struct Feedback {
  enum class Over : std::uint8_t { One, Concurrency, SqrtConcurrency };
  double amount = 1;
  Over over = Over::One;
};
std::optional<Feedback> parse_feedback(std::string_view text);

}  // namespace mansio::config
