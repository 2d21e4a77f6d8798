// Window: how many deliveries a destination may have at once, and how results move that number: Postfix's
// concurrency feedback with its defaults (positive and negative feedback 1/concurrency of a whole cohort, i.e.
// one step for each delivery, hysteresis 1).
//
// A window grows only while it is in use (window < busy + initial), so an idle destination does not collect
// credit. After `failed_cohort_limit` windows' worth of failures with no success the destination is dead.
#pragma once

#include <algorithm>
#include <cstdint>

namespace mansio::scheduler {

struct WindowLimits {
  std::uint32_t initial = 5;
  std::uint32_t limit = 20;               // 0 = none
  std::uint32_t failed_cohort_limit = 1;  // 0 = never dead
};

struct Window {
  std::uint32_t size = 5;
  float success = 0, failure = 0, fail_cohorts = 0;

  void reset(const WindowLimits &limits) {
    *this = {};
    size = std::max<std::uint32_t>(1, limits.limit ? std::min(limits.initial, limits.limit) : limits.initial);
  }

  // `busy` counts the delivery that just ended.
  void positive(std::uint32_t busy, const WindowLimits &limits) {
    fail_cohorts = 0;
    if ((limits.limit && size >= limits.limit) || size >= busy + limits.initial) return;
    constexpr float step = 1;
    success += step;
    while (success + step / 2 >= 1) {
      ++size;
      success -= 1;
      failure = 0;
    }
    if (limits.limit) size = std::min(size, limits.limit);
  }

  // True: the destination is dead now.
  bool negative(const WindowLimits &limits) {
    fail_cohorts += 1.0f / static_cast<float>(size);
    if (limits.failed_cohort_limit && fail_cohorts >= static_cast<float>(limits.failed_cohort_limit)) return true;
    constexpr float step = 1;
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
