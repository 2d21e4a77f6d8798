// ClockSteps: sees the wall clock jump against the monotonic one, and says how old mail really is. Time that the
// clock skipped (NTP correcting a wrong clock, an operator) counts for no message that was here before: it must
// not expire by it. A step backwards makes mail look younger, which harms nothing.
#pragma once

#include <algorithm>
#include <vector>

#include "kernel/base/clock.hpp"

namespace mansio::queue {

class ClockSteps {
 public:
  static constexpr Nanos kTolerance = 10 * kSecond;  // slewing stays below this between two looks
  static constexpr std::size_t kRemembered = 64;

  struct Step {
    Nanos at = 0, size = 0;  // wall time at which it jumped forward, by how much
    bool operator==(const Step &) const = default;
  };

  explicit ClockSteps(const Clock &clock) : clock_(clock), offset_(clock.wall() - clock.mono()), highest_(offset_) {}

  // To be called at least once a second or so. Returns the size of a step found, 0 if none.
  Nanos look() {
    const auto offset = clock_.wall() - clock_.mono();
    const auto step = offset - offset_;
    offset_ = offset;
    if (step < kTolerance && step > -kTolerance) return 0;
    if (step > 0) remember({clock_.wall() - step, step});
    return step;
  }

  // Of this life, and of earlier ones as the journal knows them.
  void remember(Step step) {
    if (std::find(steps_.begin(), steps_.end(), step) != steps_.end()) return;
    steps_.push_back(step);
    if (steps_.size() > kRemembered) steps_.erase(steps_.begin());
  }
  const std::vector<Step> &steps() const { return steps_; }

  // A clock that is never behind any wall clock of this process's life, and never goes back: whatever was said to be
  // due at a wall time, and is begun now, was due before this.
  Nanos latest() {
    const auto mono = clock_.mono();
    hear(clock_.wall() - mono);
    return mono + highest_;
  }
  void hear(Nanos offset) { highest_ = std::max(highest_, offset); }  // of the wall clock against the monotonic one

  Nanos age(Nanos arrival) const {
    auto age = clock_.wall() - arrival;
    for (const auto &s : steps_)
      if (arrival <= s.at) age -= s.size;
    return std::max<Nanos>(age, 0);
  }

 private:
  const Clock &clock_;
  Nanos offset_, highest_;
  std::vector<Step> steps_;
};

}  // namespace mansio::queue
