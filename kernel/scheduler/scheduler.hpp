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
#include "kernel/scheduler/limits.hpp"
#include "kernel/scheduler/suspension.hpp"

namespace mansio::scheduler {

using GroupId = std::uint32_t;  // the queue's handle for (message, transport, destination)
using TransportId = std::uint16_t;
using DestinationId = std::uint32_t;  // interned (transport, nexthop)
using FlowId = std::uint32_t;         // interned Party

struct Backoff {
  Nanos minimal_backoff_time = 300 * kSecond;
  Nanos maximal_backoff_time = 4000 * kSecond;
  double jitter = 0.1;
  Nanos queue_run_delay = 0;  // next attempts fall on whole multiples of it; 0: on any time

  Nanos longest(Nanos base) const { return base + static_cast<Nanos>(static_cast<double>(base) * jitter); }
};

struct Group {
  GroupId id = 0;
  TransportId transport = 0;
  DestinationId destination = 0;
  Nanos due = 0;  // of one added as held: what due() says until it is released
  FlowId flow = 0;
  bool list = false;   // one of many deliveries of its message on this transport: is_list()
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
  // The destination is dead, or the transport: count this as a failed attempt without trying ("delivery temporarily
  // suspended", "mail transport unavailable"), then say finished(group, NoFeedback, ...). Without it, mail that waits
  // behind others would never expire.
  bool suspended = false;
  bool dead_transport = false;
};

// A plugin of kind rate: it owns limits, and gives permits for them in leases of several, so that a delivery asks
// nobody.
struct RateOwner {
  std::string name;      // of its [rate.NAME]
  bool skip = false;     // when it fails the rate counts here, as configured; else what it limits waits
  Nanos time_limit = 0;  // how long it may take to answer
  bool operator==(const RateOwner &) const = default;
};

// What it is to be asked: up to `want` permits. Or with `places` it is told that `held` of a limit's places are taken
// or kept here, and asked for `want` altogether, of which the answer is as many as may be taken from now on: those
// above it go back as they become free. The later number is the truer one.
struct RateQuestion {
  std::uint64_t number = 0;
  std::string owner;
  std::string limit, key;  // "tenant_rate_limit" and the tenant; "destination_rate_limit" and "smtp:example.com"
  std::uint32_t want = 0;
  RateLimit rate = {};  // as configured
  Nanos time_limit = 0;
  bool places = false, parting = false;  // parting: nobody waits for the answer, and nobody renews what is held
  std::uint32_t held = 0, capacity = 0;
  Nanos rest = 0;  // how long one that is given up is to stay free
};

// Permits that nobody is going to use, for their owner to give to others.
struct UnusedPermits {
  std::string owner, limit, key;
  std::uint32_t units = 0;
};

// Why a group is not moving: the limit that binds, its value, the next eligible time.
struct Why {
  std::string
      limit;  // "destination_concurrency_limit", "backoff", "dead_destination", "transport_sessions", "hold", ...
  std::string detail;
  Nanos eligible = 0;  // mono; 0: when a delivery under way ends, or an operator says so
  double value = 0;    // of the limit as it is now: deliveries at once, or seconds between two
  // Groups that wait for the same: of a transport's limits and of a pause all that are ready, some of which another
  // limit may bind. 0 where what binds is the group's own.
  std::uint64_t others = 0;
  std::string owner = {};  // the plugin of kind rate that owns the limit; "": none
  // Whose limit it is, for each_waiting(): the group's own, a destination's, a rate's of some party, a tenant's share
  // of a transport, a transport's, of all.
  enum class Of : std::uint8_t { Group, Destination, Rate, Share, Transport, All } of = Of::Group;
  std::uint32_t id = 0;
};

class Scheduler {
 public:
  static std::unique_ptr<Scheduler> create(Backoff backoff, std::uint64_t seed);
  virtual ~Scheduler() = default;

  virtual void backoff(const Backoff &backoff) = 0;  // from the next result on
  // Adds or updates by name; new limits count at once: a concurrency above them shrinks to them, and nothing waits for
  // longer than they say, whatever was used up of those before.
  virtual TransportId transport(const TransportLimits &limits) = 0;
  virtual std::optional<DestinationId> find_destination(TransportId transport, std::string_view nexthop) const = 0;
  struct DestinationState {
    std::uint32_t busy = 0, concurrency = 0, ready = 0, groups = 0;
    Nanos dead_until = 0, open_at = 0;  // mono; 0: not
    double adaptive_rate = 0;           // deliveries a second; 0: none
    const Suspension *suspension = nullptr;
    std::string_view site;
    std::uint32_t members = 0;              // of its site, or of itself if it is one
    std::uint32_t concurrency_limit = 0;    // that `concurrency` grows to; 0: none
    std::uint32_t failed_cohort_limit = 0;  // rounds of failures until it is dead; 0: never
  };
  virtual DestinationState state_of(DestinationId destination) const = 0;
  // A hint, within some tenths of a second of a deferred group's time: its owner can have its memory fetched.
  virtual void on_soon(std::function<void(GroupId)> hint) = 0;
  // Interned. Good until the next call of next() unless a group was added with it: an idle one is forgotten then.
  virtual DestinationId destination(TransportId transport, std::string_view nexthop) = 0;
  // The hosts that take its mail (site.hpp), good `until` then. Where its transport's limits go by them it shares
  // limits, concurrency and health with all that have the same from now on, together with what waits and is under way.
  virtual void set_exchangers(DestinationId destination, std::string_view exchangers, Nanos until) = 0;
  // True: limits go by them, and they are not known or no longer good. It says so once in each `patience`.
  virtual bool wants_exchangers(DestinationId destination, Nanos now, Nanos patience) = 0;
  virtual DestinationId site_of(DestinationId destination) const = 0;  // whose limits count: its own id without a site
  virtual std::uint32_t recipient_limit(DestinationId destination) const = 0;
  // A message with so many deliveries on this transport lets others go ahead.
  virtual bool is_list(TransportId transport, std::uint64_t deliveries) const = 0;
  // Interned, good as a destination's id is. Where a sender is not limited, all senders are one.
  virtual FlowId flow(const Party &party) = 0;
  virtual FlowId with_source_pool(FlowId flow, std::string_view pool) = 0;  // the same but for that
  virtual FlowId with_sender(FlowId flow, std::string_view sender) = 0;     // likewise, be it one that was chosen
  // How often whose mail it is was told less exactly, without its sender or even its campaign, as there are too many to
  // remember each.
  virtual std::uint64_t merged_flows() const = 0;
  // What stands for others: mail that names one leaves from one of its pools, which its turn decides. Before rates()
  // and restore(). A group's own name has no rate.
  virtual void source_groups(std::vector<SourceGroup> groups) = 0;
  // The pool that was chosen for a group that is leased, or was; "": its mail names no source group.
  virtual std::string_view chosen_pool(GroupId group) const = 0;
  // Asked of a group whose turn has come: the source pool that it would leave from now; nothing: the one that it
  // waits as. One that is another's waits as that pool's mail from then on, so that no limit of a pool is passed.
  virtual void on_turn(std::function<std::optional<std::string>(GroupId)> source_pool) = 0;
  virtual void tenants(std::vector<TenantWeight> weights) = 0;  // those not named weigh 1
  // The first rule of a kind that matches counts. A rule for senders counts for mail whose flow is asked for from then
  // on.
  virtual void rates(std::vector<RateRule> rules) = 0;
  // Whom RateLimit::owner means. Before transport() and rates(), which are to follow if it changes anything: with other
  // owners nothing that was given before is used any more.
  virtual void rate_owners(std::vector<RateOwner> owners) = 0;
  // What is to be asked, since it was last taken: each that is not parting is to end in permits() or no_permits().
  virtual std::vector<RateQuestion> rate_questions() = 0;
  // So many, permits or places, for `ttl` from when it was asked (0: a minute); not to be asked again before `retry`
  // from now (0: as soon as it is of use, or where there were none, after a moment).
  virtual void permits(std::uint64_t question, std::uint32_t units, Nanos ttl, Nanos retry, Nanos now) = 0;
  virtual void no_permits(std::uint64_t question, Nanos now) = 0;      // it failed, or nobody knows it
  virtual void return_permits(std::string_view owner, Nanos now) = 0;  // all that it gave becomes unused
  // Parting questions come out for all places of that owner: those that no delivery has are free.
  virtual void return_places(std::string_view owner) = 0;
  virtual std::vector<UnusedPermits> unused_permits() = 0;  // since they were last taken
  // For something that is no delivery of this scheduler, of the rate that counts for that tenant, campaign, sender or
  // source pool, as many as there are now, up to `want`. Where no rule limits it, all.
  struct Taken {
    std::uint32_t granted = 0;
    Nanos retry = 0;  // from now, where none is granted: not before
  };
  virtual Taken take_permits(RateRule::Key key, std::string_view name, std::uint32_t want, Nanos now) = 0;
  // 0: its workers are gone. `taken`: sessions in use by deliveries that this scheduler knows nothing of.
  virtual void transport_available(TransportId transport, std::uint32_t capacity, std::uint32_t taken = 0) = 0;

  virtual void add(const Group &group, Nanos now) = 0;  // ready at once
  virtual void add_deferred(const Group &group, Nanos due, Nanos now) = 0;
  virtual void add_held(const Group &group) = 0;  // waits for release()
  virtual void remove(GroupId group) = 0;         // delivered, bounced, deleted
  // From any state, a lease included (its result is lost, no feedback).
  virtual void hold(GroupId group) = 0;
  virtual void release(GroupId group, Nanos due, Nanos now) = 0;  // held -> deferred, or ready if due <= now
  virtual void set_flow(GroupId group, FlowId flow, Nanos now) = 0;
  virtual void set_list(GroupId group, bool list) = 0;    // of a held one
  virtual void set_alone(GroupId group, bool alone) = 0;  // from its next turn on
  virtual void flush(GroupId group, Nanos now) = 0;       // deferred -> ready, destination revived

  // A next hop there asked for less: a rate is found by trying, within DestinationLimits::adaptive.
  virtual void push_back(DestinationId destination, Nanos now) = 0;
  // So many deliveries at once at most, until successes raise that again.
  virtual void lower_concurrency(DestinationId destination, std::uint32_t to) = 0;
  // What these two have done that is still in force. Good until the next call that changes anything.
  struct Throttled {
    TransportId transport = 0;
    std::string_view destination;
    double adaptive_rate = 0;       // deliveries a second; 0: none
    std::uint32_t concurrency = 0;  // it was lowered and is below what it begins at; 0: no
  };
  virtual std::vector<Throttled> throttled() const = 0;
  virtual bool unthrottle(DestinationId destination, Nanos now) = 0;  // ends it; false: there was nothing
  // Mail that it covers waits until then, or until resume(), with no attempt. In place of one of the same name.
  virtual void suspend(Suspension suspension, Nanos now) = 0;
  // False: there is none.
  virtual bool resume(Suspension::Key key, std::string_view name, Nanos now, std::string_view destination = {}) = 0;
  virtual const Suspensions &suspensions() const = 0;
  // How long of the time since then the group was suspended. It counts neither for its age nor for its back-off.
  virtual Nanos suspended_time(GroupId group, Nanos since, Nanos now) const = 0;

  // While there is a reason, nothing is leased; what counts as tried without an attempt still does.
  virtual void pause(std::optional<Why> why) = 0;

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
  virtual FlowId flow_of(GroupId group) const = 0;
  virtual DestinationId destination_of(GroupId group) const = 0;
  virtual std::string_view nexthop_of(DestinationId destination) const = 0;  // good as long as the id
  // The next time at which next() may give more without any other event.
  virtual std::optional<Nanos> next_due() const = 0;
  virtual Why why(GroupId group, Nanos now) const = 0;
  // Visits groups that wait for what was answered just now, perhaps the one asked about with them, `most` of them at
  // most. Of a transport's limits and of a pause only those that no other limit binds. True: that was all.
  virtual bool each_waiting(const Why &why, std::size_t most, const std::function<void(GroupId)> &visit) const = 0;
  virtual std::string_view tenant_of(GroupId group) const = 0;

  // Of what is known of destinations, rates and suspensions, the part that still counts; restore() after transports,
  // tenants and rates are set. `offset`: wall minus mono. Bytes that cannot be read are ignored.
  virtual std::string save(Nanos offset, Nanos now) const = 0;
  virtual void restore(std::string_view bytes, Nanos offset, Nanos now) = 0;
  // The same of what replies have done, and of domains of a site that are dead by themselves: parts (parts.hpp) of
  // kinds below 100, apart because who knows none of them reads save() as a whole. restore_more() after restore().
  virtual std::string save_more(Nanos offset, Nanos now) const = 0;
  virtual void restore_more(std::string_view bytes, Nanos offset, Nanos now) = 0;
  // What has begun until then (mono) is not all in what was saved, as after a crash: each rate counts as used up then,
  // each delay as begun. After restore_more().
  virtual void used_up(Nanos at, Nanos now) = 0;

  struct Counts {
    std::uint64_t ready = 0, leased = 0, deferred = 0, held = 0;
    std::uint64_t tenants = 0;  // that are told apart: with mail, or lately
  };
  virtual Counts counts() const = 0;
  virtual std::uint64_t groups(TransportId transport) const = 0;  // of any state
};

}  // namespace mansio::scheduler
