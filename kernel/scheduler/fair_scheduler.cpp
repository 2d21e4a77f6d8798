#include "kernel/scheduler/fair_scheduler.hpp"

#include <algorithm>
#include <cassert>

namespace mansio::scheduler {

std::unique_ptr<Scheduler> Scheduler::create(Backoff backoff, std::uint64_t seed) {
  return std::make_unique<FairScheduler>(backoff, seed);
}

FairScheduler::FairScheduler(Backoff backoff, std::uint64_t seed, std::size_t most_flows)
    : backoff_(backoff), random_(seed), most_flows_(std::min(most_flows, kMostFlows)) {
  (void)flow({});  // 0: mail of nobody in particular
}

TransportId FairScheduler::transport(const TransportLimits &limits) {
  const auto found = std::find_if(transports_.begin(), transports_.end(),
                                  [&](const TransportState &t) { return t.limits.name == limits.name; });
  auto &t = found != transports_.end() ? *found : transports_.emplace_back();
  t.limits = limits;
  const auto id = static_cast<TransportId>(&t - transports_.data());
  t.permits = own(t.permits, Permits::Of::Transport, id, limits.rate);
  const auto rate = by_owner(t.permits) ? RateLimit{} : limits.rate;
  bound(t.tokens, rate, now_);
  t.open_at = std::max(
      {rate ? t.tokens.next(rate) : 0, std::min(t.open_at, now_ + limits.rate_delay), used_up_at_ + limits.rate_delay});
  find_places(t, id);
  // All leave first: what one is to join may itself be on its way out of another.
  for (std::size_t i = 0; i < destinations_.size(); ++i) {
    auto &d = destinations_[i];
    if (!d.used || d.transport != id) continue;
    const auto place = placement_of(static_cast<DestinationId>(i));
    d.rule = place.rule;
    if (d.site != kNobody && destinations_[d.site].nexthop != place.site) set_site(static_cast<DestinationId>(i), "");
  }
  for (std::size_t i = 0; i < destinations_.size(); ++i) {
    const auto &d = destinations_[i];
    if (!d.used || d.transport != id) continue;
    set_site(static_cast<DestinationId>(i), placement_of(static_cast<DestinationId>(i)).site);
  }
  for (std::size_t i = 0; i < destinations_.size(); ++i) {
    const auto &d = destinations_[i];
    if (!d.used || d.transport != id) continue;
    find_owner(static_cast<DestinationId>(i));
    if (d.site == kNobody) bound(static_cast<DestinationId>(i), now_);
  }
  parts_changed(t);
  return id;
}

void FairScheduler::transport_available(TransportId transport, std::uint32_t capacity, std::uint32_t taken) {
  auto &t = transports_[transport];
  t.capacity = capacity;
  t.taken = taken;
  if (t.places != kNobody) look_at_places(t.places, now_);
  if (capacity == 0) return;
  parts_changed(t);
  t.unavailable_since = 0;
  t.dead = false;
}

void FairScheduler::add(const Group &group, Nanos now) {
  enter(group).due = now;
  make_ready(group.id, now);
}

void FairScheduler::add_deferred(const Group &group, Nanos due, Nanos) {
  enter(group).retried = true;
  make_deferred(group.id, due);
}

void FairScheduler::add_held(const Group &group) {
  enter(group).state(SlotState::Held);
  ++counts_.held;
}

void FairScheduler::remove(GroupId id) {
  if (id >= slots_.size() || slots_[id].state() == SlotState::Free) return;
  take_out(id);
  auto &s = slots_[id];
  s.state(SlotState::Free);
  drop(s.destination);
  --flows_[s.flow].groups;
  leave_flow(s.flow);
  offer(owner_of(s.destination));
  leave(s.destination);
}

void FairScheduler::hold(GroupId id) {
  if (id >= slots_.size() || slots_[id].state() == SlotState::Free) return;
  take_out(id);
  slots_[id].state(SlotState::Held);
  ++counts_.held;
  offer(owner_of(slots_[id].destination));
}

void FairScheduler::release(GroupId id, Nanos due, Nanos now) {
  if (id >= slots_.size() || slots_[id].state() != SlotState::Held) return;
  --counts_.held;
  if (due > now) {
    slots_[id].retried = true;
    make_deferred(id, due);
  } else {
    slots_[id].due = std::min(slots_[id].due, now);
    make_ready(id, now);
  }
}

void FairScheduler::set_flow(GroupId id, FlowId flow, Nanos now) {
  if (id >= slots_.size() || slots_[id].state() == SlotState::Free || slots_[id].flow == flow) return;
  auto &s = slots_[id];
  const auto state = s.state();
  const bool leased = state == SlotState::Leased, ready = state == SlotState::Ready;
  const auto transport = transport_of(id);
  if (ready) take_out(id);
  const auto move_lease = [&](int by) {
    const auto share = share_of(transport, flows_[s.flow].tenant);
    shares_[share].leased += static_cast<std::uint32_t>(by);
    settle(share);
  };
  if (leased) move_lease(-1);
  --flows_[s.flow].groups;
  leave_flow(s.flow);
  s.flow = flow & ((1u << Slot::kFlowBits) - 1);
  ++flows_[flow].groups;
  if (leased) move_lease(1);
  if (ready) make_ready(id, now);
}

void FairScheduler::set_list(GroupId id, bool list) {
  if (id < slots_.size() && slots_[id].state() == SlotState::Held) slots_[id].list = list;
}

void FairScheduler::set_alone(GroupId id, bool alone) {
  if (id < slots_.size()) slots_[id].alone = alone;
}

void FairScheduler::flush(GroupId id, Nanos now) {
  if (id >= slots_.size()) return;
  auto &s = slots_[id];
  if (s.state() == SlotState::Free || s.state() == SlotState::Held) return;
  revive(owner_of(s.destination));
  revive(s.destination);
  if (s.state() != SlotState::Deferred) return;
  wheel_.erase(id);
  --counts_.deferred;
  s.due = now;
  make_ready(id, now);
}

std::optional<Nanos> FairScheduler::finished(GroupId id, Result result, std::optional<Nanos> again, Nanos now) {
  auto &s = slots_[id];
  assert(s.state() == SlotState::Leased || s.state() == SlotState::Suspended);
  const auto destination = s.destination;
  const auto owner = owner_of(destination);
  const bool tried = s.state() == SlotState::Leased;
  if (tried) {
    feedback(destination, result, now);
    if (const auto delay = limits_of(destinations_[owner]).rate_delay; delay > 0) shut(owner, now + delay);
  }
  end_lease(id);
  std::optional<Nanos> due;
  if (again) {
    due = now + delay_for(*again);
    if (backoff_.queue_run_delay > 0)  // at the next of the regular looks at the queue
      due = (*due + backoff_.queue_run_delay - 1) / backoff_.queue_run_delay * backoff_.queue_run_delay;
    s.retried = true;
    make_deferred(id, *due);
  } else {
    s.state(SlotState::Free);
    drop(destination);
    --flows_[s.flow].groups;
    leave_flow(s.flow);
  }
  offer(owner);
  leave(destination);
  if (tried && owner != destination) judge_member(destination, result, now);
  return due;
}

// Postfix's: the message's age between two bounds; then jitter, so that what arrived together does not return
// together. A destination that died has no age: what died together, as when the way out of here was cut, is not to come
// back together either.
Nanos FairScheduler::delay_for(Nanos age) {
  const auto base = std::max(backoff_.minimal_backoff_time, std::min(age, backoff_.maximal_backoff_time));
  return base + static_cast<Nanos>(static_cast<double>(base) * backoff_.jitter * (2 * unit() - 1));
}

// By chance, from 0 to less than 1.
double FairScheduler::unit() {
  random_ += 0x9E3779B97F4A7C15ull;  // splitmix64
  auto z = random_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) / 9007199254740992.0;
}

}  // namespace mansio::scheduler
