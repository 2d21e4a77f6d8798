// Window: how many deliveries a destination may have at once, and how results move that number: Postfix's concurrency
// feedback (qmgr_queue.c, qmgr_feedback.c), hysteresis 1.
//
// A window grows only while it is in use (window < busy + initial), so an idle destination does not collect credit. It
// grows at the end of a cycle of successes and shrinks at the beginning of a cycle of failures; half a step of slack
// keeps rounding from delaying either, and makes the first failure with feedback 1 cost two. After
// `failed_cohort_limit` windows' worth of failures with no success the destination is dead.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace mansio::scheduler {

// What one result adds: a constant, or a constant over the window or its square root.
struct Feedback {
  enum class Over : std::uint8_t { One, Concurrency, SqrtConcurrency };
  float amount = 1;
  Over over = Over::One;

  float at(std::uint32_t window) const {
    const auto w = static_cast<float>(window);
    return over == Over::One ? amount : over == Over::Concurrency ? amount / w : amount / std::sqrt(w);
  }
  bool operator==(const Feedback &) const = default;
};

struct WindowLimits {
  std::uint32_t initial = 5;
  std::uint32_t limit = 20;               // 0 = none
  std::uint32_t failed_cohort_limit = 1;  // 0 = never dead
  Feedback positive = {}, negative = {};

  std::uint32_t capped(std::uint32_t window) const {
    return std::max<std::uint32_t>(1, limit ? std::min(window, limit) : window);
  }
  bool operator==(const WindowLimits &) const = default;
};

struct Window {
  std::uint32_t size = 5;
  float success = 0, failure = 0, fail_cohorts = 0;

  void reset(const WindowLimits &limits) {
    *this = {};
    size = limits.capped(limits.initial);
  }
  // Back from the dead: what is still under way there is the best guess; nothing is known, then as a new one.
  void revive(std::uint32_t busy, const WindowLimits &limits) {
    reset(limits);
    if (busy > 0) size = limits.capped(busy);
  }

  // `busy` counts the delivery that just ended.
  void positive(std::uint32_t busy, const WindowLimits &limits) {
    fail_cohorts = 0;
    if ((limits.limit && size >= limits.limit) || size >= busy + limits.initial) return;
    const auto step = limits.positive.at(size);
    success += step;
    while (success + step / 2 >= 1) {
      ++size;
      success -= 1;
      failure = 0;
    }
    size = limits.capped(size);
  }

  // True: the destination is dead now.
  bool negative(const WindowLimits &limits) {
    fail_cohorts += 1.0f / static_cast<float>(size);
    // In whole thousandths: five fifths are a cohort.
    if (limits.failed_cohort_limit && fail_cohorts + 0.0005f >= static_cast<float>(limits.failed_cohort_limit))
      return true;
    const auto step = limits.negative.at(size);
    failure -= step;
    while (failure - step / 2 < 0) {
      if (size > 1) --size;
      failure += 1;
      success = 0;
    }
    return false;
  }
};

}  // namespace mansio::scheduler
