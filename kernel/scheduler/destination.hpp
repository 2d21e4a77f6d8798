// What the scheduler keeps for a destination and a transport.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "kernel/scheduler/lane.hpp"
#include "kernel/scheduler/places.hpp"
#include "kernel/scheduler/scheduler.hpp"
#include "kernel/scheduler/site.hpp"
#include "kernel/scheduler/slot.hpp"

namespace mansio::scheduler {

// A suspect needs its transport for itself. It waits this long for that to happen by itself, then nothing new
// starts there for a while; if even that does not empty the transport, others go on before the next try.
// Suspects then run one after the other for kSuspectBurst before the others have their turn again.
inline constexpr Nanos kSuspectBurst = kSecond;
inline constexpr Nanos kSuspectPatience = 5 * kSecond;
inline constexpr Nanos kSuspectDrain = 30 * kSecond;
inline constexpr Nanos kSuspectPause = 300 * kSecond;

// All that a decision looks at lies in the first line of memory: among a million messages each one's destination has to
// be waited for.
struct alignas(64) Destination {
  Window window;
  Ends lanes;
  Nanos dead_until = 0;
  std::uint32_t busy = 0;  // leases
  std::uint32_t idle_lanes = 0;
  std::uint32_t ready = 0;       // groups in lanes
  DestinationId site = kNobody;  // whose limits and lanes these are; kNobody: its own
  TransportId transport = 0;
  std::uint16_t rule = kNoRule;  // of its transport's: whose limits count
  bool dead : 1 = false;
  bool shut : 1 = false;  // by a rate, until its timer
  bool suspended : 1 = false;
  bool giving_up : 1 = false;  // in the list of dead destinations with ready groups
  bool idle : 1 = false;       // in the list of those that may be forgotten
  bool used : 1 = false;
  bool adapted : 1 = false;  // it has a rate found by trying
  bool owned : 1 = false;    // a plugin owns its rate
  bool waits : 1 = false;    // for a plugin's permits or places: it was asked, or will be by a timer
  bool placed : 1 = false;   // a plugin owns its concurrency or delay
  bool apart : 1 = false;    // some source pool is suspended here, so it is in no site
  bool lowered : 1 = false;  // its concurrency, by a reply
  std::uint32_t lane_count = 0;
  std::uint32_t own_busy = 0;  // leases of groups for this very destination, wherever they count
  // Second line.
  std::uint32_t groups = 0;   // of any state
  std::uint32_t members = 0;  // of a site
  Nanos open_at = 0;          // when a rate lets the next delivery begin
  TokenBucket tokens;
  std::string nexthop;
  DestinationId failing = kNobody;  // whose deliveries failed since the last that went well; a site itself: several's

  bool shared() const { return members > 1 || (members == 1 && groups > 0); }  // more than one has mail there, or may

  bool eligible() const { return !lanes.empty() && busy < window.size && !dead && !shut && !waits && !suspended; }
};
static_assert(sizeof(Destination) == 128 && offsetof(Destination, groups) <= 64);

struct TransportState {
  TransportLimits limits;
  std::uint32_t capacity = 0;
  std::uint32_t leased = 0;
  std::uint32_t taken = 0;   // sessions, by deliveries of an earlier life
  std::uint64_t groups = 0;  // of any state
  std::uint64_t ready = 0;
  Ends under, over;              // shares with something to offer
  std::uint64_t weight = 0;      // of shares that offer or hold something
  std::vector<ShareId> shares;   // by tenant
  std::deque<GroupId> suspects;  // may hold groups that have left; checked when their turn comes
  Nanos drain_from = 0;          // when suspects have waited long enough for others to make room
  Nanos burst_until = 0;         // suspects follow each other until then
  Nanos unavailable_since = 0;   // 0: it is available, or was not looked at since it is not
  Nanos open_at = 0;             // when a rate lets the next delivery begin
  TokenBucket tokens;
  PermitsId permits = kNobody;  // in place of `tokens`, where a plugin owns the rate
  PlacesId places = kNobody;    // of all sessions, where a plugin owns their number
  PlacesId spacing = kNobody;   // that rests between deliveries, where a plugin owns the delay
  bool suspect_waits = false;   // one could go if nothing else ran: at the last look
  bool alone_running = false;
  bool dead = false;  // unavailable for longer than transport_retry_time

  // Another session for a tenant that has its part: a tenth stays free for those that have not, as what is taken for a
  // slow delivery does not come back soon.
  bool leaves_room() const { return in_use() + (sessions() + 9) / 10 < sessions(); }
  std::uint32_t in_use() const { return leased + taken; }
  std::uint32_t sessions() const { return limits.sessions ? std::min(limits.sessions, capacity) : capacity; }
};

}  // namespace mansio::scheduler
