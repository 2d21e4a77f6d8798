// Rates: so many deliveries in a time, with bursts, as the generic cell rate algorithm does it. The whole state of a
// bucket is one time, so it is cheap to keep and to write down, and nothing has to be refilled.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernel/base/clock.hpp"

namespace mansio::scheduler {

struct RateLimit {
  Nanos interval = 0;       // between two deliveries on average; 0: no limit
  std::uint32_t burst = 1;  // so many may follow each other at once after a quiet time
  // Whose permits it goes by: the number in Scheduler::rate_owners(), from 1. 0: nobody's, a bucket here counts.
  std::uint16_t owner = 0;

  explicit operator bool() const { return interval > 0; }
  // What the deliveries of a burst after the first take on average; of absurd limits, more than anybody waits.
  Nanos tolerance() const {
    Nanos out = 0;
    return __builtin_mul_overflow(Nanos{burst} - 1, interval, &out) ? kMostTolerance : std::min(out, kMostTolerance);
  }
  static constexpr Nanos kMostTolerance = std::numeric_limits<Nanos>::max() / 4;
  bool operator==(const RateLimit &) const = default;
};

// `full_at`: when the bucket is full again if nothing more is taken. Times are mono.
struct TokenBucket {
  Nanos full_at = 0;

  Nanos next(const RateLimit &limit) const { return full_at - limit.tolerance(); }
  bool open(const RateLimit &limit, Nanos now) const { return !limit || next(limit) <= now; }
  void take(const RateLimit &limit, Nanos now) {
    if (limit) full_at = std::max(full_at, now) + limit.interval;
  }
  // No more is owed than the limit lets anybody owe, and nothing without one: after a change of it, or of clocks.
  void bound(const RateLimit &limit, Nanos now) {
    full_at = limit ? std::min(full_at, now + limit.tolerance() + limit.interval) : 0;
  }
  // How many could be taken at once now.
  std::uint64_t tokens(const RateLimit &limit, Nanos now) const {
    if (!open(limit, now)) return 0;
    const auto used = std::max<Nanos>(full_at - now, 0);
    return limit ? limit.burst - static_cast<std::uint64_t>((used + limit.interval - 1) / limit.interval) : UINT64_MAX;
  }
};

}  // namespace mansio::scheduler
