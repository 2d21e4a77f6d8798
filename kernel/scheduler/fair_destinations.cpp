// Destinations: made when they are first named, forgotten when nothing is left of them, dead and alive in between. A
// site is a destination too, whose limits and lanes its members use.
#include <algorithm>
#include <utility>

#include "kernel/scheduler/fair_scheduler.hpp"

namespace mansio::scheduler {
namespace {

constexpr std::size_t kIdleDestinations = 4096;  // remembered beyond this only while they have groups

}  // namespace

DestinationId FairScheduler::destination(TransportId transport, std::string_view nexthop) {
  DestinationKey key{transport, std::string{nexthop}};
  const auto [at, fresh] = by_name_.try_emplace(std::move(key), 0);
  if (!fresh) return at->second;
  DestinationId id = 0;
  if (free_destinations_.empty()) {
    id = static_cast<DestinationId>(destinations_.size());
    destinations_.grow();
  } else {
    id = free_destinations_.back();
    free_destinations_.pop_back();
  }
  at->second = id;
  auto &d = destinations_[id] = Destination{};
  d.nexthop = nexthop;
  d.transport = transport;
  d.used = true;
  find_rule(d);
  d.window.reset(limits_of(d).effective_window());
  leave(id);  // no groups yet: it may be forgotten again
  if (d.rule != kNoRule) join_site_of_rule(id);
  find_owner(id);
  if (!suspensions_.active().empty()) apply_suspensions(id);
  return id;
}

// The site has its members' rule, though its name may match another.
void FairScheduler::join_site_of_rule(DestinationId id) {
  const auto &d = destinations_[id];
  const auto &site = transports_[d.transport].limits.rules[d.rule].site;
  if (site.empty() || site == d.nexthop) return;
  const auto rule = d.rule;
  set_site(id, site);
  if (d.site == kNobody) return;
  auto &leader = destinations_[d.site];
  if (std::exchange(leader.rule, rule) == rule) return;
  find_owner(d.site);
  const auto window = limits_of(leader).effective_window();
  if (leader.members == 1)
    leader.window.reset(window);
  else
    leader.window.size = window.capped(leader.window.size);
}

// What waits at the destination and what is under way there count for the site from now on.
void FairScheduler::set_site(DestinationId id, std::string_view site) {
  const auto transport = destinations_[id].transport;
  const auto to = site.empty() ? id : destination(transport, site);
  const auto from = owner_of(id);
  if (to == from || (to != id && (destinations_[to].site != kNobody || destinations_[id].suspended))) return;
  std::vector<GroupId> moved;
  for (auto lane = destinations_[from].lanes.head; lane != kNobody; lane = lanes_[lane].next)
    for (auto group : {lanes_[lane].fresh.head, lanes_[lane].retried.head})
      for (; group != kNobody; group = slots_[group].next)
        if (slots_[group].destination == id) moved.push_back(group);
  for (const auto group : moved) take_out(group);
  auto &d = destinations_[id];
  destinations_[from].busy -= d.own_busy;
  if (from != id) --destinations_[from].members;
  d.site = to == id ? kNobody : to;
  destinations_[to].busy += d.own_busy;
  if (to != id) ++destinations_[to].members;
  find_owner(id);
  for (const auto group : moved) make_ready(group, now_);
  offer(from);
  leave(from);
}

void FairScheduler::find_rule(Destination &d) const {
  const auto &rules = transports_[d.transport].limits.rules;
  const auto found =
      std::find_if(rules.begin(), rules.end(), [&](const auto &rule) { return matches_any(rule.match, d.nexthop); });
  d.rule = found == rules.end() ? kNoRule : static_cast<std::uint16_t>(found - rules.begin());
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
    by_name_.erase({d.transport, d.nexthop});
    d = Destination{};
    free_destinations_.push_back(id);
    if (site == kNobody) continue;
    --destinations_[site].members;
    leave(site);
  }
}

void FairScheduler::give_up(DestinationId owner) {
  auto &d = destinations_[owner];
  if (d.giving_up || !d.dead || d.lanes.empty() || d.suspended) return;
  d.giving_up = true;
  giving_up_.push_back(owner);
}

void FairScheduler::feedback(DestinationId owner, Result result, Nanos now) {
  auto &d = destinations_[owner];
  if (result == Result::NoFeedback) return;
  const auto limits = limits_of(d).effective_window();
  if (result == Result::Delivered && d.adapted) {
    if (const auto at = adaptive_.find(owner); at->second.success(limits_of(d).adaptive, now)) {
      adaptive_.erase(at);
      d.adapted = false;
    }
  }
  if (result == Result::Delivered) {
    if (d.dead) return revive(owner);
    return d.window.positive(d.busy, limits);
  }
  if (d.dead || !d.window.negative(limits)) return;
  kill(owner, now + backoff_.minimal_backoff_time);
}

void FairScheduler::kill(DestinationId owner, Nanos until) {
  auto &d = destinations_[owner];
  d.dead = true;
  d.dead_until = until;
  timers_.push({until, owner, Timer::Kind::Dead});
  give_up(owner);
}

std::optional<DestinationId> FairScheduler::find_destination(TransportId transport, std::string_view nexthop) const {
  const auto at = by_name_.find({transport, std::string{nexthop}});
  return at == by_name_.end() ? std::nullopt : std::optional{at->second};
}

Scheduler::DestinationState FairScheduler::state_of(DestinationId id) const {
  const auto &own = destinations_[id];
  const auto &d = destinations_[owner_of(id)];
  return {
      d.busy,
      d.window.size,
      d.ready,
      own.groups,
      d.dead ? d.dead_until : 0,
      d.shut ? d.open_at : 0,
      d.adapted ? adaptive_.at(owner_of(id)).rate() : 0,
      suspensions_.find(Suspension::Key::Destination, own.suspended || own.site == kNobody ? own.nexthop : d.nexthop),
      own.site == kNobody ? std::string_view{} : std::string_view{d.nexthop}};
}

void FairScheduler::revive(DestinationId owner) {
  auto &d = destinations_[owner];
  if (!d.dead) return;
  d.dead = false;
  d.window.revive(d.busy, limits_of(d).effective_window());
  offer(owner);
  leave(owner);
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
  const auto rate = rate_of(owner);
  d.tokens.full_at = now + rate.interval;
  shut(owner, d.tokens.next(rate));
}

void FairScheduler::lower_concurrency(DestinationId id, std::uint32_t to) {
  auto &d = destinations_[owner_of(id)];
  d.window.size = std::min(d.window.size, std::max<std::uint32_t>(to, 1));
  d.window.success = 0;
}

// The lower of what is set and what was found. What is set does not count while a plugin says what may go.
RateLimit FairScheduler::rate_of(DestinationId owner) const {
  const auto &d = destinations_[owner];
  const auto set = by_owner(permits_of(owner)) ? RateLimit{} : limits_of(d).rate;
  if (!d.adapted) return set;
  const auto found = adaptive_.at(owner).limit();
  return set && set.interval > found.interval ? set : found;
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
