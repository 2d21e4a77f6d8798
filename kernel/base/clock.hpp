// Time as the kernel sees it. Timers run on `mono` (never steps); dates in headers, logs and the spool
// are `wall`. Both are nanoseconds. Code that decides anything by time takes a Clock, so that tests
// and the simulator can drive it.
#pragma once

#include <cstdint>

namespace mansio {

using Nanos = std::int64_t;
inline constexpr Nanos kMillisecond = 1'000'000;
inline constexpr Nanos kSecond = 1'000'000'000;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Nanos wall() const = 0;  // since 1970-01-01 UTC
  virtual Nanos mono() const = 0;  // since some fixed moment of this boot, CLOCK_BOOTTIME
};

class SystemClock final : public Clock {
 public:
  Nanos wall() const override;
  Nanos mono() const override;
};

class VirtualClock final : public Clock {
 public:
  explicit VirtualClock(Nanos wall = 1'700'000'000 * kSecond) : wall_(wall) {}
  Nanos wall() const override { return wall_; }
  Nanos mono() const override { return mono_; }
  void advance(Nanos by) {
    wall_ += by;
    mono_ += by;
  }
  void step_wall(Nanos by) { wall_ += by; }  // an operator or NTP set the clock

 private:
  Nanos wall_;
  Nanos mono_ = 0;
};

}  // namespace mansio
