// Places: how many deliveries may be under way at once, as the plugin says that owns the limit (kind rate), so that
// several nodes keep one limit together. Where permits of a rate are used up, a place is taken by a delivery and free
// again when that ends, however it ends: what is taken is counted from the deliveries themselves and nowhere else.
//
// `reported` is what the owner may think is taken or kept here, at most. It never falls below what is so, so the owner
// never gives a place away that is taken; it falls only when the owner has been told. Pure, as Permits is.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernel/base/clock.hpp"

namespace mansio::scheduler {

using PlacesId = std::uint32_t;

struct Places {
  // Deliveries at once to a destination or of a transport; or one at a time with a rest, in which nobody has it: the
  // rest follows the end of a delivery to a destination, and the beginning of one of a transport.
  enum class Of : std::uint8_t { Nobody, Destination, DestinationDelay, Transport, TransportDelay };

  // As configured.
  struct Terms {
    Of of = Of::Nobody;
    std::uint16_t owner = 0;  // the number in Scheduler::rate_owners(), from 1
    std::uint32_t capacity = 1;
    Nanos rest = 0;
  };
  static constexpr Nanos kShare = 2 * kSecond;

  Terms terms;
  Nanos until = 0;             // mono; what `may` says is good so long
  Nanos renew_at = 0;          // the owner is told then what is held, whatever becomes of it
  Nanos share_at = 0;          // the same while mail waits: others may want their part
  Nanos ask_at = 0;            // it is not asked for more before
  Nanos used_at = 0;           // when a place was last taken, or given
  Nanos timer = 0;             // when this is looked at; 0: not
  std::uint64_t question = 0;  // that waits for its answer; 0: none
  std::uint32_t id = 0;        // of the destination or transport
  std::uint32_t may = 0;       // deliveries at once, as the owner said
  std::uint32_t reported = 0;
  std::uint32_t most = 0;  // taken at once since the owner was last told
  bool wanted = false;     // a delivery waits for one
  bool failed = false;     // the last answer was none

  std::uint32_t good(Nanos now) const { return until > now ? may : 0; }
  // More deliveries that may begin.
  std::uint32_t free(std::uint32_t taken, Nanos now) const {
    const auto at_once = good(now);
    return at_once > taken ? at_once - taken : 0;
  }
  std::uint32_t held(std::uint32_t taken, Nanos now) const { return std::max(taken, good(now)); }
  // What is not taken is not wanted any more.
  void let_go(std::uint32_t taken) { may = std::min(may, taken); }
  // The owner was told that `held` are and that `want` would be, at `at`; its answer is `given`, of these.
  void answered(std::uint32_t given, std::uint32_t held, Nanos at, Nanos ttl) {
    may = given;
    reported = std::max(given, held);
    until = at + ttl;
    renew_at = at + ttl / 3;
    share_at = std::min(renew_at, at + kShare);
  }
  // No answer: it may have been heard all the same.
  void not_answered(std::uint32_t held, std::uint32_t want) { reported = std::max({reported, held, want}); }
};

}  // namespace mansio::scheduler
