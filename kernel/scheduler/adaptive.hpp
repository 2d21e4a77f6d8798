// Adaptive: a rate found by trying, as TCP finds its own: each reply that asks for less multiplies it by a factor, time
// without one adds to it. It begins when a next hop first asks, at a part of the pace that it was served at then, and
// ends when it has grown to a multiple of that, or to the most that is set: the next hop takes what comes again.
#pragma once

#include <algorithm>

#include "kernel/base/clock.hpp"
#include "kernel/scheduler/rate.hpp"

namespace mansio::scheduler {

struct AdaptiveLimits {
  double minimum = 1.0 / 60;    // deliveries a second, never less
  double maximum = 0;           // free again at this rate, and no more at first; 0: at `release` times the pace
  double decrease = 0.5;        // the factor
  double increase = 0.05;       // added in a second, as a part of the pace that it began at
  double release = 2;           // times that pace: free again
  Nanos settle = 10 * kSecond;  // replies within this time of a decrease are about what was before it
  bool operator==(const AdaptiveLimits &) const = default;
};

class Adaptive {
 public:
  struct State {  // all there is to one, to be written down
    double pace = 0, rate = 0;
    Nanos grown_at = 0, decreased_at = 0, open_at = 0;  // mono
  };

  // `pace`: deliveries a second as it was served lately.
  Adaptive(double pace, const AdaptiveLimits &limits, Nanos now)
      : pace_(std::max(pace, limits.minimum)), rate_(pace_), grown_at_(now) {
    push_back(limits, now);
  }
  // As it was, within today's limits. Both numbers are positive and finite.
  Adaptive(const State &state, const AdaptiveLimits &limits, Nanos now)
      : pace_(std::max(state.pace, limits.minimum)),
        rate_(std::max(limits.minimum, std::min(state.rate, most(limits)))),
        grown_at_(std::min(state.grown_at, now)),
        decreased_at_(std::min(state.decreased_at, now)),
        open_at_(state.open_at),
        decreased_(true) {
    bound(now);
  }
  State state() const { return {pace_, rate_, grown_at_, decreased_at_, open_at_}; }

  // Too soon after the last one it is slower no more than before. The next delivery is a whole interval away.
  void push_back(const AdaptiveLimits &limits, Nanos now) {
    if (!decreased_ || now >= decreased_at_ + limits.settle) {
      decreased_ = true;
      decreased_at_ = grown_at_ = now;
      rate_ = std::max(limits.minimum, std::min(rate_ * limits.decrease, most(limits)));
    }
    open_at_ = now + limit().interval;
  }
  // A delivery begins.
  void take(Nanos now) { open_at_ = std::max(open_at_, now) + limit().interval; }
  // What was taken keeps it shut no longer than an interval of now.
  void bound(Nanos now) { open_at_ = std::min(open_at_, now + limit().interval); }
  Nanos open_at() const { return open_at_; }
  // A delivery went well. True: it is free again.
  bool success(const AdaptiveLimits &limits, Nanos now) {
    if (now < decreased_at_ + limits.settle) return false;
    rate_ += limits.increase * pace_ * static_cast<double>(now - std::max(grown_at_, decreased_at_ + limits.settle)) /
             kSecond;
    grown_at_ = now;
    return rate_ >= most(limits);
  }
  double rate() const { return rate_; }
  RateLimit limit() const { return {static_cast<Nanos>(kSecond / rate_), 1}; }

 private:
  double most(const AdaptiveLimits &limits) const {
    return limits.maximum > 0 ? limits.maximum : limits.release * pace_;
  }

  double pace_, rate_;
  Nanos grown_at_, decreased_at_ = 0, open_at_ = 0;
  bool decreased_ = false;
};

}  // namespace mansio::scheduler
