// The scheduler's seam: events in, decisions out. Pure: no I/O, no clock of its own, no envelope. The queue
// process tells it of groups (the recipients of one message that share transport and destination) and of
// results; it answers which group to lease next and when to be asked again.
//
// A group is either ready (wants delivery now), leased, deferred until a time, held, or gone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/base/id.hpp"

namespace mansio::scheduler {

using GroupId = std::uint32_t;  // the queue's handle for (message, transport, destination)
using TransportId = std::uint16_t;
using DestinationId = std::uint32_t;  // interned (transport, nexthop)

struct TransportLimits {
  std::string name;
  std::uint32_t sessions = 100;  // leases at once over the whole transport
  std::uint32_t initial_destination_concurrency = 5;
  std::uint32_t destination_concurrency_limit = 20;               // 0 = no limit
  std::uint32_t destination_concurrency_failed_cohort_limit = 1;  // 0 = never dead
};

struct Backoff {
  Nanos minimal_backoff_time = 300 * kSecond;
  Nanos maximal_backoff_time = 4000 * kSecond;
  double jitter = 0.1;
};

struct Group {
  GroupId id = 0;
  TransportId transport = 0;
  DestinationId destination = 0;
  Nanos due = 0;  // of one added as held: what due() says until it is released
  std::uint8_t priority = 0;
  bool alone = false;  // suspected of killing workers: leased only while nothing else runs on its transport
};

enum class Result : std::uint8_t {
  Delivered,    // the destination answered (also with 4xx/5xx for recipients): positive feedback
  SiteFailure,  // connect or handshake failed: negative feedback
  NoFeedback,   // lease lost with its worker, cancelled
};

struct Decision {
  GroupId group = 0;
  TransportId transport = 0;
  // The destination is dead: count this as a failed attempt without trying ("delivery temporarily suspended"),
  // then say finished(group, NoFeedback, ...). Without it, mail that waits behind others would never expire.
  bool suspended = false;
};

// Why a group is not moving: the limit that binds, its value, the next eligible time.
struct Why {
  std::string limit;  // "destination_concurrency_limit", "backoff", "dead_destination", "transport_sessions", "hold"
  std::string detail;
  Nanos eligible = 0;  // mono; 0 = when a delivery under way ends
};

class Scheduler {
 public:
  static std::unique_ptr<Scheduler> create(Backoff backoff, std::uint64_t seed);
  virtual ~Scheduler() = default;

  virtual void backoff(const Backoff &backoff) = 0;                  // from the next result on
  virtual TransportId transport(const TransportLimits &limits) = 0;  // adds or updates by name
  // A hint, within some tenths of a second of a deferred group's time: its owner can have its memory fetched.
  virtual void on_soon(std::function<void(GroupId)> hint) = 0;
  // Interned. Good until the next call of next() unless a group was added with it: an idle one is forgotten then.
  virtual DestinationId destination(TransportId transport, std::string_view nexthop) = 0;
  virtual void transport_available(TransportId transport, std::uint32_t capacity) = 0;  // 0: its workers are gone

  virtual void add(const Group &group, Nanos now) = 0;  // ready at once
  virtual void add_deferred(const Group &group, Nanos due, Nanos now) = 0;
  virtual void add_held(const Group &group) = 0;  // waits for release()
  virtual void remove(GroupId group) = 0;         // delivered, bounced, deleted
  // From any state, a lease included (its result is lost, no feedback).
  virtual void hold(GroupId group) = 0;
  virtual void release(GroupId group, Nanos due, Nanos now) = 0;  // held -> deferred, or ready if due <= now
  virtual void set_alone(GroupId group, bool alone) = 0;          // from its next turn on
  virtual void flush(GroupId group, Nanos now) = 0;               // deferred -> ready, destination revived

  // Takes the next decision, or nothing. The group is leased from then on. A call does a bounded amount of work: if
  // next_due() has come and there was nothing, more mail is falling due than one call looks at, and it is to be called
  // again.
  virtual std::optional<Decision> next(Nanos now) = 0;
  // The lease ended. `again`: recipients remain, of a message of this age; the group becomes deferred and its due time
  // is returned.
  virtual std::optional<Nanos> finished(GroupId group, Result result, std::optional<Nanos> again, Nanos now) = 0;

  // Of a group that was added: since when it could go, or when it may go again (mono).
  virtual Nanos due(GroupId group) const = 0;
  virtual void set_due(GroupId group, Nanos due) = 0;  // of a held one
  virtual TransportId transport_of(GroupId group) const = 0;
  virtual DestinationId destination_of(GroupId group) const = 0;
  virtual std::string_view nexthop_of(DestinationId destination) const = 0;  // good as long as the id
  // The next time at which next() may give more without any other event.
  virtual std::optional<Nanos> next_due() const = 0;
  virtual Why why(GroupId group, Nanos now) const = 0;

  struct Counts {
    std::uint64_t ready = 0, leased = 0, deferred = 0, held = 0;
  };
  virtual Counts counts() const = 0;
  virtual std::uint64_t groups(TransportId transport) const = 0;  // of any state
};

}  // namespace mansio::scheduler
