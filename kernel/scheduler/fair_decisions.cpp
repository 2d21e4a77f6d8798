// Decisions: whose turn it is among transports, tenants, classes, lists and lanes.
#include <algorithm>

#include "kernel/scheduler/fair_scheduler.hpp"

namespace mansio::scheduler {
namespace {

constexpr int kMovedAtOnce = 256, kWokenAtOnce = 64;
constexpr int kRounds = 4;       // of these in one call: where millions fall due together, it is asked again
constexpr int kBudget = 1024;    // lanes looked at in one call
constexpr int kPoolChange = 16;  // of these, what a change of pools costs: who is asked may have to read from the disk
constexpr int kSuspectsLookedAt = 16;
// Of deliveries of one tenant, by class of priority, while there are some of each. The last class gets its one in any
// case.
constexpr std::uint32_t kCredits[kClasses] = {16, 4, 1};
constexpr std::int64_t kMostSlots = 1'000'000'000;  // earned or owed

}  // namespace

void FairScheduler::run_timers(Nanos now) {
  for (; !timers_.empty() && timers_.top().at <= now && budget_ > 0; --budget_) {
    const auto timer = timers_.top();
    timers_.pop();
    if (timer.kind == Timer::Kind::Bucket) {
      if (buckets_[timer.id].timer == timer.at) wake_bucket(timer.id, now);
      continue;
    }
    if (timer.kind == Timer::Kind::Permits) {
      if (permits_[timer.id].timer == timer.at) permits_due(timer.id, now);
      continue;
    }
    if (timer.kind == Timer::Kind::Places) {
      if (places_[timer.id].timer != timer.at) continue;
      places_[timer.id].timer = 0;
      places_due(timer.id, now);
      continue;
    }
    if (timer.kind == Timer::Kind::Suspended) {
      if (suspensions_.next() <= now) suspensions_changed(now);
      continue;
    }
    auto &d = destinations_[timer.id];
    if (!d.used) continue;
    if (timer.kind == Timer::Kind::Dead && d.dead && d.dead_until == timer.at) revive(timer.id);
    if (timer.kind == Timer::Kind::Rate && d.shut && d.open_at == timer.at) {
      d.shut = false;
      offer(timer.id);
    }
  }
  unfinished_ |= budget_ <= 0;
}

void FairScheduler::wake(Nanos now) {
  run_timers(now);
  // A bounded number a decision: mail that falls due together must not stall the loop.
  wheel_.advance(now, kMovedAtOnce);
  for (int n = 0; n < kWokenAtOnce; ++n) {
    const auto id = wheel_.due(now);
    if (!id) return;
    wheel_.erase(*id);
    --counts_.deferred;
    make_ready(*id, now);
  }
}

std::optional<Decision> FairScheduler::next(Nanos now) {
  now_ = now;
  budget_ = kBudget;
  unfinished_ = false;
  forget_idle(now);
  forget_flows(now);
  forget_pairs(now);
  for (int round = 0; round < kRounds; ++round) {
    wake(now);
    if (auto decision = next_suspended()) return decision;
    for (std::size_t n = 0; n < transports_.size(); ++n) {
      turn_ = (turn_ + 1) % transports_.size();
      if (auto decision = next_of(static_cast<TransportId>(turn_), now)) return decision;
      if (budget_ > 0) continue;
      unfinished_ = true;  // the transports behind it come first when it is asked again
      return std::nullopt;
    }
    if (!wheel_.due(now) && !wheel_.behind(now) && (timers_.empty() || timers_.top().at > now)) break;
  }
  return std::nullopt;
}

Decision FairScheduler::suspended(GroupId group, bool dead_transport) {
  slots_[group].state(SlotState::Suspended);
  ++counts_.leased;
  return {group, transport_of(group), true, dead_transport};
}

std::optional<Decision> FairScheduler::next_suspended() {
  while (!giving_up_.empty()) {
    const auto id = giving_up_.front();
    auto &d = destinations_[id];
    if (!d.dead || d.lanes.empty() || d.suspended || destinations_[owner_of(id)].suspended) {
      giving_up_.pop_front();
      d.giving_up = false;
      offer(id);
      continue;
    }
    auto lane = d.lanes.head;
    while (lane != kNobody && is_kept(lanes_[lane])) lane = lanes_[lane].next;
    if (lane == kNobody) {  // all that is left is suspended
      giving_up_.pop_front();
      d.giving_up = false;
      continue;
    }
    const auto group = take_ready(lanes_[lane]);
    if (lanes_[lane].empty()) free_lane(lane);
    return suspended(group, false);
  }
  return std::nullopt;
}

void FairScheduler::look_at_processes(TransportState &t, Nanos now) const {
  if (t.limits.transport_retry_time == 0) {  // as a reload may say while it is gone
    t.unavailable_since = 0;
    t.dead = false;
    return;
  }
  if (t.groups == 0) return;
  if (t.unavailable_since == 0) t.unavailable_since = now;
  t.dead = now >= t.unavailable_since + t.limits.transport_retry_time;
}

std::optional<Decision> FairScheduler::next_of_dead(TransportId id) {
  auto &t = transports_[id];
  for (int looked = 0; !t.suspects.empty() && looked < kSuspectsLookedAt; ++looked) {
    const auto group = t.suspects.front();
    t.suspects.pop_front();
    const auto &s = slots_[group];
    if (s.state() != SlotState::Suspect || transport_of(group) != id) continue;
    if (is_suspended(owner_of(s.destination), s.flow)) {
      t.suspects.push_back(group);
      continue;
    }
    --counts_.ready;
    --t.ready;
    return suspended(group, true);
  }
  for (;;) {
    const auto share = !t.under.empty() ? t.under.head : t.over.head;
    if (share == kNobody) return std::nullopt;
    if (--budget_ <= 0) {
      unfinished_ = true;
      return std::nullopt;
    }
    const auto lane = choose(shares_[share]).lane;
    if (is_suspended(lanes_[lane].destination, lanes_[lane].flow)) {  // since it was offered
      leave_round(lane);
      continue;
    }
    const auto group = take_ready(lanes_[lane]);
    served(lane);
    return suspended(group, true);
  }
}

// What of a tenant's goes next: at least one lane is offered. It may not be able to go, so nothing is spent on it yet.
FairScheduler::Choice FairScheduler::choose(const Share &s) const {
  std::size_t best = 0;
  while (best < kClasses && (s.classes[best].empty() || s.classes[best].credit == 0)) ++best;
  if (best == kClasses)
    for (best = 0; s.classes[best].empty();) ++best;
  const auto &c = s.classes[best];
  bool ahead = false;
  const bool single = single_first(c, transports_[s.transport].limits.slots, ahead);
  return {c.rounds[single ? 0 : 1].head, static_cast<std::uint8_t>(best), ahead};
}

bool FairScheduler::single_first(const Share::Class &c, const SlotLimits &slots, bool &ahead) const {
  if (c.rounds[1].empty()) return true;
  if (c.rounds[0].empty()) return false;
  const auto since = [&](LaneId lane) { return slots_[first_of(lanes_[lane])].due; };
  if (since(c.rounds[0].head) <= since(c.rounds[1].head)) return true;
  if (slots.cost < 2) return false;
  const auto owed = std::min(std::int64_t{slots.loan} * slots.cost, kMostSlots);
  ahead = (c.slots + owed) * 100 >= std::int64_t{slots.cost} * (100 - slots.discount);
  return ahead;
}

// Unserved, until its destination offers it again.
void FairScheduler::leave_round(LaneId id) {
  place(id, Lane::Place::Idle);
  arm_all(lanes_[id]);
}

// Its turn has come. If it cannot go it leaves the round.
bool FairScheduler::may_go(LaneId id, Nanos now) {
  const auto &lane = lanes_[id];
  const auto &flow = flows_[lane.flow];
  auto &d = destinations_[lane.destination];
  if (!d.eligible() || is_kept(lane)) {
    leave_round(id);
    return false;
  }
  if (const auto bucket = closed_bucket(flow, lane.pair, now); bucket != kNobody) {
    place(id, Lane::Place::Blocked, bucket);
    arm_all(lane);
    return false;
  }
  if (!permitted(permits_of(lane.destination), now) || !may_take_place(places_of(lane.destination), now)) {
    d.waits = true;
    leave_round(id);
    return false;
  }
  return true;
}

std::optional<Decision> FairScheduler::next_of(TransportId id, Nanos now) {
  auto &t = transports_[id];
  if (t.capacity == 0) look_at_processes(t, now);
  t.suspect_waits = false;
  if (t.dead) return next_of_dead(id);
  if (t.alone_running || paused_) return std::nullopt;
  bool stop = false;
  if (auto decision = next_suspect(id, now, stop)) return decision;
  while (!stop && t.in_use() < t.sessions() && t.open_at <= now) {
    if (t.under.empty() && !t.leaves_room()) break;
    const auto share_id = !t.under.empty() ? t.under.head : t.over.head;
    if (share_id == kNobody || !permitted(t.permits, now)) break;
    if (!may_take_place(t.places, now) || !may_take_place(t.spacing, now)) break;
    if (--budget_ <= 0) {
      unfinished_ = true;
      break;
    }
    auto &share = shares_[share_id];
    if (share.ring == Share::Ring::Under && over(share)) {  // others have come or gone since
      settle(share_id);
      continue;
    }
    const auto choice = choose(share);
    if (!may_go(choice.lane, now)) continue;
    auto &lane = lanes_[choice.lane];
    const auto group = take_ready(lane);
    if (slots_[group].alone) {  // its destination was dead when it became ready
      slots_[group].state(SlotState::Suspect);
      ++counts_.ready;
      ++t.ready;
      t.suspects.push_back(group);
      served(choice.lane);
      return next_of(id, now);
    }
    if (changes_pool(group, now)) {
      served(choice.lane);
      make_ready(group, now);
      budget_ -= kPoolChange;
      continue;
    }
    auto &c = share.classes[choice.priority_class];
    if (c.credit == 0)  // as all have spent theirs that could go
      for (std::size_t i = 0; i < kClasses; ++i) share.classes[i].credit = kCredits[i];
    --c.credit;
    if (lane.list)
      c.slots += c.slots < kMostSlots ? 1 : 0;
    else if (choice.ahead)
      c.slots -= static_cast<std::int32_t>(t.limits.slots.cost);
    if (--share.deficit <= 0) {
      share.deficit += static_cast<std::int32_t>(weight(share));
      auto &ring = share.ring == Share::Ring::Under ? t.under : t.over;
      ShareLinks::erase(shares_, ring, share_id);
      ShareLinks::push_back(shares_, ring, share_id);
    }
    const auto decision = lease(group, now);
    served(choice.lane);
    return decision;
  }
  return std::nullopt;
}

std::optional<Decision> FairScheduler::next_suspect(TransportId id, Nanos now, bool &stop) {
  auto &t = transports_[id];
  for (int looked = 0; !t.suspects.empty() && looked < kSuspectsLookedAt; ++looked) {
    const auto group = t.suspects.front();
    auto &s = slots_[group];
    if (s.state() != SlotState::Suspect || transport_of(group) != id) {  // it has left meanwhile
      t.suspects.pop_front();
      continue;
    }
    const auto &d = destinations_[owner_of(s.destination)];
    const bool kept = is_suspended(owner_of(s.destination), s.flow);
    if ((d.dead || destinations_[s.destination].dead) && !kept) {
      t.suspects.pop_front();
      --counts_.ready;
      --t.ready;
      return suspended(group, false);
    }
    if (t.sessions() == 0) return std::nullopt;
    // Not for want of sessions: another may go meanwhile.
    const auto bucket = closed_bucket(flows_[s.flow], pair_of(s.flow, s.destination), now);
    const auto permits = bucket != kNobody ? buckets_[bucket].permits : permits_of(owner_of(s.destination));
    if (kept || d.shut || t.open_at > now || !permitted(permits, now) || bucket != kNobody ||
        !permitted(t.permits, now) || !may_take_place(places_of(owner_of(s.destination)), now) ||
        !may_take_place(t.places, now) || !may_take_place(t.spacing, now)) {
      t.suspects.pop_front();
      t.suspects.push_back(group);
      continue;
    }
    const bool others = !t.under.empty() || !t.over.empty();
    if (now >= t.burst_until && now < t.drain_from && others) return std::nullopt;  // others' turn
    if (t.in_use() == 0) {
      t.suspects.pop_front();
      if (changes_pool(group, now)) {
        t.suspects.push_back(group);
        continue;
      }
      t.alone_running = true;
      if (now >= t.burst_until) t.burst_until = now + kSuspectBurst;
      t.drain_from = t.burst_until + kSuspectPatience;
      --counts_.ready;
      --t.ready;
      return lease(group, now);
    }
    t.suspect_waits = true;
    if (now >= t.drain_from + kSuspectDrain) t.drain_from = now + kSuspectPause;
    stop = now >= t.drain_from || now < t.burst_until;
    if (stop) keep_place(places_of(owner_of(s.destination)), t.drain_from + kSuspectDrain);
    return std::nullopt;
  }
  return std::nullopt;
}

// Of a group that is in no list any more.
Decision FairScheduler::lease(GroupId id, Nanos now) {
  auto &s = slots_[id];
  s.state(SlotState::Leased);
  ++counts_.leased;
  auto &own = destinations_[s.destination];
  ++own.own_busy;
  const auto owner = owner_of(s.destination);
  auto &d = destinations_[owner];
  ++d.busy;
  const auto &flow = flows_[s.flow];
  for (const auto b : flow.buckets)
    if (b != kNobody) take(b, now);
  if (flow.paired) lease_pair(id, now);
  if (const auto permits = permits_of(owner); permits != kNobody) {
    if (by_owner(permits)) use(permits, now);
    refill(permits, now);
  }
  d.tokens.take(set_rate_of(owner), now);
  if (d.adapted) adaptive_.at(owner).take(now);
  if (const auto open_at = open_by_rates(owner); open_at > now) shut(owner, open_at);
  place_taken(places_of(owner), now);
  auto &t = transports_[own.transport];
  ++t.leased;
  place_taken(t.places, now);
  place_taken(t.spacing, now);
  if (by_owner(t.permits)) {
    use(t.permits, now);
  } else if (t.limits.rate) {
    t.tokens.take(t.limits.rate, now);
    t.open_at = std::max(t.open_at, t.tokens.next(t.limits.rate));
  }
  refill(t.permits, now);
  if (t.limits.rate_delay > 0) t.open_at = std::max(t.open_at, now + t.limits.rate_delay);
  const auto share = share_of(own.transport, flow.tenant);
  ++shares_[share].leased;
  settle(share);
  return {id, own.transport, false, false};
}

std::optional<Nanos> FairScheduler::next_due() const {
  std::optional<Nanos> least;
  const auto take = [&](Nanos at) { least = least ? std::min(*least, at) : at; };
  if (unfinished_) take(now_);
  if (!wheel_.empty()) take(wheel_.next());
  if (!timers_.empty()) take(timers_.top().at);
  for (const auto &t : transports_) {
    const bool wants = !t.under.empty() || !t.over.empty() || !t.suspects.empty();
    if (t.suspect_waits) take(t.drain_from + kSuspectDrain);
    if (t.unavailable_since != 0 && !t.dead && wants) take(t.unavailable_since + t.limits.transport_retry_time);
    if (t.open_at > now_ && wants && t.in_use() < t.sessions()) take(t.open_at);
  }
  return least;
}

}  // namespace mansio::scheduler
