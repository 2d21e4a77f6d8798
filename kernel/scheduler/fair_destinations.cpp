// Destinations: made when they are first named, forgotten when nothing is left of them, dead and alive in between. A
// site is a destination too, whose limits and lanes its members use.
#include <algorithm>
#include <cassert>
#include <utility>

#include "kernel/scheduler/fair_scheduler.hpp"

namespace mansio::scheduler {
namespace {

constexpr std::size_t kIdleDestinations = 4096;  // remembered beyond this only while they have groups

}  // namespace

DestinationId FairScheduler::destination(TransportId transport, std::string_view nexthop) {
  auto at = by_name_.find(DestinationView{transport, nexthop});
  if (at != by_name_.end()) return at->second;
  at = by_name_.emplace(DestinationKey{transport, std::string{nexthop}}, 0).first;
  const auto id = take_number(free_destinations_, destinations_);
  at->second = id;
  auto &d = destinations_[id] = Destination{};
  d.nexthop = nexthop;
  d.transport = transport;
  d.used = true;
  const auto place = placement_of(id);
  d.rule = place.rule;
  d.window.reset(limits_of(d).effective_window());
  leave(id);  // no groups yet: it may be forgotten again
  set_site(id, place.site);
  find_owner(id);
  if (used_up_at_ != kNever && d.site == kNobody) bound(id, now_);
  if (!suspensions_.active().empty()) apply_suspensions(id);
  return id;
}

Placement FairScheduler::placement_of(DestinationId id) const {
  const auto &d = destinations_[id];
  const auto known = exchangers_.find(id);
  const std::string_view hosts =
      known == exchangers_.end() ? std::string_view{} : std::string_view{known->second.hosts};
  return placement(transports_[d.transport].limits, d.nexthop, hosts);
}

// What waits at the destination and what is under way there count for the site from now on; "" is none. One that is
// suspended by itself, or where a source pool is, is by itself.
void FairScheduler::set_site(DestinationId id, std::string_view site) {
  auto &d = destinations_[id];
  const auto to = site.empty() || d.suspended || d.apart ? id : destination(d.transport, site);
  const auto from = owner_of(id);
  if (to == from) return;
  assert(to == id || (d.members == 0 && destinations_[to].site == kNobody));
  std::vector<GroupId> moved;
  for (auto lane = d.lanes.head; lane != kNobody; lane = lanes_[lane].next)
    for (auto group : {lanes_[lane].fresh.head, lanes_[lane].retried.head})
      for (; group != kNobody; group = slots_[group].next) moved.push_back(group);
  for (const auto group : moved) take_out(group);
  destinations_[from].busy -= d.own_busy;
  if (from != id) --destinations_[from].members;
  d.site = to == id ? kNobody : to;
  destinations_[to].busy += d.own_busy;
  if (d.own_busy > 0 && !pair_leases_.empty()) move_pair_leases(id);
  if (to != id) {  // the site finds its own pace, and whether it is dead
    ++destinations_[to].members;
    adaptive_.erase(id);
    d.adapted = d.dead = d.lowered = false;
    d.window.reset(limits_of(d).effective_window());
    if (const auto dead = dead_alone_.find(id); dead != dead_alone_.end()) {
      d.dead = dead->second > now_;
      d.dead_until = dead->second;
      if (d.dead) timers_.push({d.dead_until, id, Timer::Kind::Dead});
      dead_alone_.erase(dead);
    }
  }
  find_owner(id);
  if (to == id) bound(id, now_);
  if (d.own_busy > 0) {
    place_left(places_of(from));  // as far as that is concerned they have ended
    if (const auto places = places_of(to); places != kNobody) look_at_places(places, now_);
  }
  for (const auto group : moved) make_ready(group, now_);
  offer(from);
  leave(from);
  leave(id);
}

void FairScheduler::set_exchangers(DestinationId id, std::string_view exchangers, Nanos until) {
  auto &d = destinations_[id];
  if (!transports_[d.transport].limits.asks_exchangers() || !has_exchangers(d.nexthop)) return;
  auto &known = exchangers_[id];
  known.ask_at = until;
  if (known.hosts == exchangers) return;
  known.hosts = exchangers;
  const auto place = placement_of(id);
  const bool untouched = as_new(d);
  d.rule = place.rule;
  set_site(id, place.site);
  if (d.site != kNobody) return;
  find_owner(id);
  if (untouched) d.window.reset(limits_of(d).effective_window());
  bound(id, now_);
}

bool FairScheduler::wants_exchangers(DestinationId id, Nanos now, Nanos patience) {
  const auto &d = destinations_[id];
  if (!transports_[d.transport].limits.asks_exchangers() || !has_exchangers(d.nexthop)) return false;
  auto &known = exchangers_[id];
  if (known.ask_at > now) return false;
  known.ask_at = now + patience;
  return true;
}

// Nothing was learned of its concurrency.
bool FairScheduler::as_new(const Destination &d) const {
  const auto initial = limits_of(d).effective_window();
  return d.window.size == initial.capped(initial.initial) && d.window.fail_cohorts == 0;
}

const DestinationLimits &FairScheduler::limits_of(const Destination &d) const {
  const auto &limits = transports_[d.transport].limits;
  return d.rule == kNoRule ? limits.destination : limits.rules[d.rule].limits;
}

// A group has left.
void FairScheduler::drop(DestinationId id) {
  auto &d = destinations_[id];
  --d.groups;
  --transports_[d.transport].groups;
}

// Kept while it has groups or members, or something is known of it that still counts; afterwards until memory is
// wanted.
void FairScheduler::leave(DestinationId id) {
  auto &d = destinations_[id];
  if (d.idle || d.groups > 0 || d.members > 0 || d.dead || d.suspended) return;
  d.idle = true;
  idle_.push_back(id);
}

void FairScheduler::forget_idle(Nanos now) {
  // A bounded number a call, and the list may hold some that are in use again.
  for (int n = 0; n < 8 && idle_.size() > kIdleDestinations; ++n) {
    const auto id = idle_.front();
    idle_.pop_front();
    auto &d = destinations_[id];
    d.idle = false;
    if (d.groups > 0 || d.members > 0 || d.dead || d.suspended) continue;
    if (d.giving_up || d.shut || d.adapted || d.tokens.full_at > now) {
      d.idle = true;
      idle_.push_back(id);
      continue;
    }
    const auto site = d.site;
    if (d.owned) {
      disown(permits_of(id));
      destination_permits_.erase(id);
    }
    forget_places(id);
    by_name_.erase(DestinationKey{d.transport, d.nexthop});
    exchangers_.erase(id);
    d = Destination{};
    free_destinations_.push_back(id);
    if (site == kNobody) continue;
    --destinations_[site].members;
    leave(site);
  }
}

void FairScheduler::give_up(DestinationId id) {
  auto &d = destinations_[id];
  if (d.giving_up || !d.dead || d.lanes.empty() || d.suspended || destinations_[owner_of(id)].suspended) return;
  d.giving_up = true;
  giving_up_.push_back(id);
}

// Of a delivery for that very destination, to what bounds it.
void FairScheduler::feedback(DestinationId id, Result result, Nanos now) {
  const auto owner = owner_of(id);
  auto &d = destinations_[owner];
  if (result == Result::NoFeedback) return;
  const auto limits = limits_of(d).effective_window();
  if (result == Result::Delivered && d.adapted) {
    if (const auto at = adaptive_.find(owner); at->second.success(limits_of(d).adaptive, now)) {
      adaptive_.erase(at);
      d.adapted = false;
      open_as_set(owner, now);
    }
  }
  if (result == Result::Delivered) {
    if (d.dead) return revive(owner);
    if (d.window.fail_cohorts > 0) d.failing = kNobody;
    d.window.positive(d.busy, limits);
    d.lowered = d.lowered && is_lowered(d);
    return;
  }
  if (d.dead) return;
  d.failing = d.failing == kNobody || d.failing == id ? id : owner;
  if (!d.window.negative(limits)) return;
  // One domain's failures may be its own affair, while nothing else is tried: the next one's will tell.
  if (owner != id && d.failing == id && d.shared()) return;
  kill(owner, now + delay_for(0));
}

// A domain that fails while its site does not: its DNS may be broken, or lead elsewhere by now. It is dead by itself,
// so that whoever has it costs the others a few deliveries and no more.
void FairScheduler::judge_member(DestinationId id, Result result, Nanos now) {
  auto &d = destinations_[id];
  const auto &site = destinations_[d.site];
  if (result == Result::NoFeedback || site.dead) return;
  const auto limits = limits_of(d).effective_window();
  if (result == Result::Delivered) {
    if (d.dead) return revive(id);
    if (d.window.fail_cohorts > 0) d.window.reset(limits);
    return;
  }
  if (d.dead || !site.shared() || !d.window.negative(limits)) return;
  for (auto lane = d.lanes.head; lane != kNobody; lane = lanes_[lane].next) step_out(lane);
  kill(id, now + delay_for(0));
}

void FairScheduler::kill(DestinationId id, Nanos until) {
  auto &d = destinations_[id];
  d.dead = true;
  d.dead_until = until;
  timers_.push({until, id, Timer::Kind::Dead});
  give_up(id);
}

std::optional<DestinationId> FairScheduler::find_destination(TransportId transport, std::string_view nexthop) const {
  const auto at = by_name_.find(DestinationView{transport, nexthop});
  return at == by_name_.end() ? std::nullopt : std::optional{at->second};
}

Scheduler::DestinationState FairScheduler::state_of(DestinationId id) const {
  const auto &own = destinations_[id];
  const auto &d = destinations_[owner_of(id)];
  auto groups = own.groups;
  for (std::size_t i = 0; own.members > 0 && i < destinations_.size(); ++i)
    if (destinations_[i].site == id) groups += destinations_[i].groups;
  return {
      d.busy,
      d.window.size,
      own.ready,
      groups,
      own.dead ? own.dead_until
      : d.dead ? d.dead_until
               : 0,
      d.shut ? d.open_at : 0,
      d.adapted ? adaptive_.at(owner_of(id)).rate() : 0,
      suspensions_.find(Suspension::Key::Destination, own.suspended || own.site == kNobody ? own.nexthop : d.nexthop),
      own.site == kNobody ? std::string_view{} : std::string_view{d.nexthop},
      d.members,
      limits_of(d).effective_window().limit,
      limits_of(d).window.failed_cohort_limit};
}

void FairScheduler::revive(DestinationId id) {
  auto &d = destinations_[id];
  if (!d.dead) return;
  d.dead = d.lowered = false;
  dead_alone_.erase(id);
  d.failing = kNobody;
  d.window.revive(d.busy, limits_of(d).effective_window());
  if (d.site != kNobody) {
    for (auto lane = d.lanes.head; lane != kNobody; lane = lanes_[lane].next) step_in(lane);
    give_up(d.site);
  }
  offer(owner_of(id));
  leave(id);
}

// Its pace now is what it takes at once in the second or so that a delivery lasts: near enough to begin with.
void FairScheduler::push_back(DestinationId id, Nanos now) {
  const auto owner = owner_of(id);
  auto &d = destinations_[owner];
  const auto &limits = limits_of(d).adaptive;
  if (d.adapted) {
    adaptive_.at(owner).push_back(limits, now);
  } else {
    const auto pace = std::max<std::uint32_t>(std::min(d.window.size, d.busy + 1), 1);
    adaptive_.emplace(owner, Adaptive{static_cast<double>(pace), limits, now});
    d.adapted = true;
  }
  shut(owner, open_by_rates(owner));
}

void FairScheduler::lower_concurrency(DestinationId id, std::uint32_t to) {
  auto &d = destinations_[owner_of(id)];
  d.window.size = std::min(d.window.size, std::max<std::uint32_t>(to, 1));
  // The delivery whose reply this is has yet to end, and is no success.
  d.window.success = -limits_of(d).effective_window().positive.at(d.window.size);
  d.lowered = true;
}

// Until successes have brought it back to where it begins: above that its concurrency is found as ever.
bool FairScheduler::is_lowered(const Destination &d) const {
  const auto limits = limits_of(d).effective_window();
  return d.lowered && d.window.size < limits.capped(limits.initial);
}

// Looks at all destinations: operators ask now and then only.
std::vector<Scheduler::Throttled> FairScheduler::throttled() const {
  std::vector<Throttled> out;
  for (std::size_t i = 0; i < destinations_.size(); ++i) {
    const auto &d = destinations_[i];
    if (!d.used || d.site != kNobody || (!d.adapted && !is_lowered(d))) continue;
    out.push_back({d.transport, d.nexthop, d.adapted ? adaptive_.at(static_cast<DestinationId>(i)).rate() : 0,
                   is_lowered(d) ? d.window.size : 0});
  }
  return out;
}

// It waits no longer than what is set lets it, and begins again with the concurrency that it begins with.
bool FairScheduler::unthrottle(DestinationId id, Nanos now) {
  const auto owner = owner_of(id);
  auto &d = destinations_[owner];
  const bool lowered = is_lowered(d);
  if (!d.adapted && !lowered) return false;
  const auto &limits = limits_of(d);
  d.lowered = false;
  if (lowered) d.window.reset(limits.effective_window());
  if (d.adapted) {
    adaptive_.erase(owner);
    d.adapted = false;
  }
  bound(owner, now);
  return true;
}

// By its limits as they are now: no wider a window, no more owed than they let anybody owe, and shut for no longer.
void FairScheduler::bound(DestinationId owner, Nanos now) {
  auto &d = destinations_[owner];
  const auto &limits = limits_of(d);
  d.window.size = limits.effective_window().capped(d.window.size);
  bound(d.tokens, set_rate_of(owner), now);
  if (d.adapted) adaptive_.at(owner).bound(now);
  const auto delayed =
      std::max(d.shut ? std::min(d.open_at, now + limits.rate_delay) : 0, used_up_at_ + limits.rate_delay);
  d.shut = false;
  if (const auto open_at = std::max(open_by_rates(owner), delayed); open_at > now) shut(owner, open_at);
  offer(owner);
}

// It does not count while a plugin says what may go.
RateLimit FairScheduler::set_rate_of(DestinationId owner) const {
  return by_owner(permits_of(owner)) ? RateLimit{} : limits_of(destinations_[owner]).rate;
}

// By what is set and what was found, of which each counts for itself: a pace that comes and goes gives no tokens back.
Nanos FairScheduler::open_by_rates(DestinationId owner) const {
  const auto &d = destinations_[owner];
  const auto set = set_rate_of(owner);
  return std::max(set ? d.tokens.next(set) : 0, d.adapted ? adaptive_.at(owner).open_at() : 0);
}

// After the delivery that ended its pace, which keeps it shut no longer: a delay begins anew with that delivery's end.
// What is owed stays (bound() forgets it where a plugin owns the rate), so that this earns nobody a burst.
void FairScheduler::open_as_set(DestinationId owner, Nanos now) {
  destinations_[owner].shut = false;
  if (const auto open_at = open_by_rates(owner); open_at > now) shut(owner, open_at);
}

// No delivery begins there before then.
void FairScheduler::shut(DestinationId owner, Nanos until) {
  auto &d = destinations_[owner];
  if (d.shut && d.open_at >= until) return;
  d.shut = true;
  d.open_at = until;
  timers_.push({until, owner, Timer::Kind::Rate});
}

}  // namespace mansio::scheduler
