// A group's state, and the lists that it is in while it has one: ready in a lane, due by time, held, leased.
#include <algorithm>
#include <cassert>

#include "kernel/scheduler/fair_scheduler.hpp"

namespace mansio::scheduler {

Slot &FairScheduler::enter(const Group &group) {
  while (group.id >= slots_.size()) slots_.grow();
  auto &s = slots_[group.id];
  assert(s.state() == SlotState::Free);
  s = Slot{};
  s.due = group.due;
  s.destination = group.destination;
  s.flow = group.flow & ((1u << Slot::kFlowBits) - 1);
  s.alone = group.alone;
  s.list = group.list;
  auto &d = destinations_[group.destination];
  ++d.groups;
  ++transports_[d.transport].groups;
  ++flows_[s.flow].groups;
  return s;
}

void FairScheduler::make_ready(GroupId id, Nanos now) {
  auto &s = slots_[id];
  const auto owner = owner_of(s.destination);
  auto &d = destinations_[owner];
  auto &t = transports_[d.transport];
  ++counts_.ready;
  ++t.ready;
  if (s.alone && !d.dead) {
    s.state(SlotState::Suspect);
    if (t.suspects.empty()) t.drain_from = now + kSuspectPatience;
    t.suspects.push_back(id);
    return;
  }
  s.state(SlotState::Ready);
  const bool dead = destinations_[s.destination].dead;  // by itself: its site need not be
  const auto lane_id = lane_of(s.destination, s.flow, s.list);
  auto &lane = lanes_[lane_id];
  if (lane.child && lane.empty() && !dead) step_in(lane_id);
  SlotLinks::push_back(slots_, s.retried ? lane.retried : lane.fresh, id);
  count_ready(lane, 1);
  if (dead || d.dead) return give_up(dead ? s.destination : owner);
  offer(owner);
}

void FairScheduler::make_deferred(GroupId id, Nanos due) {
  auto &s = slots_[id];
  s.state(SlotState::Deferred);
  s.due = due;
  ++counts_.deferred;
  wheel_.push(id);
}

void FairScheduler::count_ready(Lane &lane, int by) {
  const auto n = static_cast<std::uint32_t>(by);
  auto &own = destinations_[lane.destination];
  own.ready += n;
  if (lane.child) destinations_[own.site].ready += n;
  auto &flow = flows_[lane.flow];
  flow.ready += n;
  for (const auto b : flow.buckets)
    if (b != kNobody) buckets_[b].ready += static_cast<std::uint64_t>(by);
  if (lane.pair != kNobody) buckets_[lane.pair].ready += static_cast<std::uint64_t>(by);
}

GroupId FairScheduler::first_of(const Lane &of) const {
  const auto &lane = of.serves_child() ? lanes_[of.children.head] : of;
  const bool retried = lane.fresh.empty() || (lane.retried_next && !lane.retried.empty());
  return retried ? lane.retried.head : lane.fresh.head;
}

// The lane may be empty then: the caller sees to it.
GroupId FairScheduler::take_ready(Lane &lane) {
  const auto id = first_of(lane);
  if (lane.serves_child()) {
    const auto child = lane.children.head;
    lane.child_next = false;
    take_ready(lanes_[child]);
    RoundLinks::erase(lanes_, lane.children, child);
    if (lanes_[child].empty())
      free_lane(child);
    else
      RoundLinks::push_back(lanes_, lane.children, child);
    return id;
  }
  lane.child_next = true;
  const bool retried = slots_[id].retried;
  lane.retried_next = !retried;
  SlotLinks::erase(slots_, retried ? lane.retried : lane.fresh, id);
  count_ready(lane, -1);
  --transports_[destinations_[lane.destination].transport].ready;
  --counts_.ready;
  return id;
}

// Out of every list; the state is the caller's to set.
void FairScheduler::take_out(GroupId id) {
  auto &s = slots_[id];
  switch (s.state()) {
    case SlotState::Free:
      break;
    case SlotState::Ready: {
      const auto lane_id = find_lane(s.destination, s.flow, s.list);
      auto &lane = lanes_[lane_id];
      SlotLinks::erase(slots_, s.retried ? lane.retried : lane.fresh, id);
      count_ready(lane, -1);
      if (lane.empty()) {
        if (lane.child && !destinations_[s.destination].dead) step_out(lane_id);
        free_lane(lane_id);
      }
      [[fallthrough]];
    }
    case SlotState::Suspect:
      --counts_.ready;
      --transports_[transport_of(id)].ready;
      break;
    case SlotState::Leased:
    case SlotState::Suspended:
      end_lease(id);
      break;
    case SlotState::Deferred:
      wheel_.erase(id);
      --counts_.deferred;
      break;
    case SlotState::Held:
      --counts_.held;
      break;
  }
}

void FairScheduler::end_lease(GroupId id) {
  auto &s = slots_[id];
  --counts_.leased;
  if (s.state() != SlotState::Leased) return;
  auto &own = destinations_[s.destination];
  --own.own_busy;
  --destinations_[owner_of(s.destination)].busy;
  auto &t = transports_[own.transport];
  --t.leased;
  t.alone_running = false;
  const auto share = share_of(own.transport, flows_[s.flow].tenant);
  --shares_[share].leased;
  settle(share);
  if (!pair_leases_.empty()) end_pair(id);
  place_left(places_of(owner_of(s.destination)));
  place_left(t.places);
}

}  // namespace mansio::scheduler
