// What the scheduler keeps for a destination and a transport. Lists of ready groups are intrusive: their links
// are in the groups' slots, so a group leaves from anywhere in O(1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "kernel/scheduler/scheduler.hpp"
#include "kernel/scheduler/window.hpp"

namespace mansio::scheduler {

inline constexpr std::uint32_t kNobody = UINT32_MAX;

// A suspect needs its transport for itself. It waits this long for that to happen by itself, then nothing new
// starts there for a while; if even that does not empty the transport, others go on before the next try.
// Suspects then run one after the other for kSuspectBurst before the others have their turn again.
inline constexpr Nanos kSuspectBurst = kSecond;
inline constexpr Nanos kSuspectPatience = 5 * kSecond;
inline constexpr Nanos kSuspectDrain = 30 * kSecond;
inline constexpr Nanos kSuspectPause = 300 * kSecond;

struct ReadyList {
  GroupId head = kNobody, tail = kNobody;
  bool empty() const { return head == kNobody; }
};

enum class SlotState : std::uint8_t { Free, Ready, Suspect, Leased, Suspended, Deferred, Held };

struct Slot {
  Nanos due = 0;
  DestinationId destination = 0;
  GroupId prev = kNobody, next = kNobody;  // in a ready list; of a deferred one they are the wheel's
  SlotState state = SlotState::Free;
  bool alone = false;
  bool retried = false;
  bool soon = false;  // the wheel's
};
static_assert(sizeof(Slot) == 24);

// All that a decision looks at lies in the first line of memory: among a million messages each one's destination has to
// be waited for.
struct alignas(64) Destination {
  Window window;
  ReadyList fresh, retried;  // new mail and mail that was deferred take turns: neither starves the other
  Nanos dead_until = 0;
  std::uint32_t busy = 0;    // leases
  std::uint32_t groups = 0;  // of any state
  TransportId transport = 0;
  bool retried_next = false;
  bool dead = false;
  bool queued = false;      // in the transport's round
  bool suspending = false;  // in the list of dead destinations with ready groups
  bool idle = false;        // in the list of those that may be forgotten
  bool used = false;
  std::string nexthop;

  bool any_ready() const { return !fresh.empty() || !retried.empty(); }
  bool eligible() const { return !dead && any_ready() && busy < window.size; }
};
static_assert(sizeof(Destination) == 128 && offsetof(Destination, nexthop) <= 64);

struct TransportState {
  TransportLimits limits;
  WindowLimits window;
  std::uint32_t capacity = 0;
  std::uint32_t leased = 0;
  std::uint64_t groups = 0;         // of any state
  std::deque<DestinationId> round;  // destinations that may be eligible; checked when their turn comes
  std::deque<GroupId> suspects;     // may hold groups that have left; checked likewise
  Nanos drain_from = 0;             // when suspects have waited long enough for others to make room
  Nanos burst_until = 0;            // suspects follow each other until then
  bool alone_running = false;

  std::uint32_t sessions() const { return limits.sessions ? std::min(limits.sessions, capacity) : capacity; }
};

}  // namespace mansio::scheduler
