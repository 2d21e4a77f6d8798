// Permits: what a limit has been given by the plugin that owns it (kind rate). They come in leases of several, each
// good for a time, so that a delivery asks nobody; more are asked for while some are left. Pure, as a TokenBucket is.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <utility>

#include "kernel/scheduler/list.hpp"
#include "kernel/scheduler/rate.hpp"

namespace mansio::scheduler {

using PermitsId = std::uint32_t;

struct Permits {
  enum class Of : std::uint8_t { Nobody, Destination, Transport, Party };
  struct Lease {
    std::uint32_t units = 0;
    Nanos until = 0;  // mono
  };

  std::array<Lease, 2> leases;  // the second is used when the first is used up or over
  RateLimit limit;              // as configured
  Nanos ask_at = 0;             // the owner is not asked before
  Nanos timer = 0;              // when this is looked at; 0: not
  std::uint64_t question = 0;   // that waits for its answer; 0: none
  std::uint32_t id = 0;         // of the destination, transport or bucket whose limit it is
  std::uint32_t last = 0;       // what the last lease began with
  Of of = Of::Nobody;
  bool failed = false;  // the last answer was none

  std::uint32_t units(Nanos now) const {
    std::uint64_t sum = 0;
    for (const auto &l : leases)
      if (l.until > now) sum += l.units;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(sum, std::numeric_limits<std::uint32_t>::max()));
  }
  // Half of the last lease is used, or all of it is over.
  bool low(Nanos now) const { return std::uint64_t{units(now)} * 2 <= last; }
  void use(Nanos now) {
    settle(now);
    if (leases[0].units > 0) --leases[0].units;
    settle(now);
  }
  void add(std::uint32_t given, Nanos until, Nanos now) {
    settle(now);
    if (given == 0 || until <= now) return;
    last = given;
    if (leases[0].units == 0) {
      leases[0] = {given, until};
    } else if (leases[1].units == 0) {
      leases[1] = {given, until};
    } else {  // nobody asks for a third; together they are good as long as the shorter one
      leases[1] = {leases[1].units + given, std::min(leases[1].until, until)};
    }
  }

 private:
  void settle(Nanos now) {
    for (auto &l : leases)
      if (l.until <= now) l = {};
    if (leases[0].units == 0) leases[0] = std::exchange(leases[1], {});
  }
};

// How many are asked for at once at most: what may go in a second or so, or at once.
inline std::uint32_t most_at_once(const RateLimit &limit) {
  constexpr Nanos kMost = 10'000;
  const auto in_a_second = limit.interval > 0 ? kSecond / limit.interval : kMost;
  return static_cast<std::uint32_t>(
      std::max<Nanos>({1, std::min(in_a_second, kMost), std::min<Nanos>(limit.burst, kMost)}));
}

}  // namespace mansio::scheduler
