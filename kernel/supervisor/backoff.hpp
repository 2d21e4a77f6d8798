// How long to wait before a process that died is started again: doubling, and back to the beginning once it has
// stayed alive for a while.
#pragma once

#include <algorithm>

#include "kernel/base/clock.hpp"

namespace mansio::supervisor {

class Backoff {
 public:
  static constexpr Nanos kFirst = 100 * kMillisecond;
  static constexpr Nanos kLongest = 30 * kSecond;
  static constexpr Nanos kStable = 60 * kSecond;

  void started(Nanos now) { started_ = now; }
  // The process has died at `now`; the answer is the wait until its next start.
  Nanos died(Nanos now) {
    if (now - started_ >= kStable) next_ = kFirst;
    const auto wait = next_;
    next_ = std::min(next_ * 2, kLongest);
    return wait;
  }

 private:
  Nanos started_ = 0;
  Nanos next_ = kFirst;
};

}  // namespace mansio::supervisor
