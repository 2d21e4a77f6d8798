// Breaker: a process that dies several times within a window is not worth starting again at once; it stays down for a
// while, and those who need it are told so instead of waiting for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "kernel/base/clock.hpp"

namespace mansio::supervisor {

class Breaker {
 public:
  Breaker() = default;
  Breaker(std::uint32_t deaths, Nanos window, Nanos time) : deaths_(deaths), window_(window), time_(time) {}

  // The process has died at `now`: how long it stays down if that opens the breaker. Then counting begins anew, so that
  // after the pause it is given the whole number of chances again. `kept_down`: how long it had not been started since
  // the death before. That is no part of the window: with the back-off there is no room for more than ten deaths in a
  // minute, whatever they come of.
  std::optional<Nanos> died(Nanos now, Nanos kept_down = 0) {
    if (deaths_ == 0) return std::nullopt;
    kept_down_ += kept_down;
    recent_.push_back(now - kept_down_);
    while (recent_.back() - recent_.front() > window_) recent_.pop_front();
    if (recent_.size() < deaths_) return std::nullopt;
    recent_.clear();
    return time_;
  }

 private:
  std::uint32_t deaths_ = 0;  // 0: never opens
  Nanos window_ = 0, time_ = 0;
  Nanos kept_down_ = 0;  // in all
  std::deque<Nanos> recent_;
};

}  // namespace mansio::supervisor
