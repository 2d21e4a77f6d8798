// Lanes, the rounds they stand in, and the shares of tenants that the rounds belong to.
#include <cassert>

#include "kernel/scheduler/fair_scheduler.hpp"

namespace mansio::scheduler {
namespace {

constexpr std::uint32_t kWalked = 8;  // lanes of a destination: with more they are found by a table

}  // namespace

LaneId FairScheduler::find_lane(DestinationId destination, FlowId flow, bool list) const {
  const auto &d = destinations_[destination];
  if (d.lane_count > kWalked) {
    const auto at = by_key_.find({destination, flow << 1 | (list ? 1u : 0u)});
    return at == by_key_.end() ? kNobody : at->second;
  }
  for (auto id = d.lanes.head; id != kNobody; id = lanes_[id].next)
    if (lanes_[id].flow == flow && lanes_[id].list == list) return id;
  return kNobody;
}

LaneId FairScheduler::lane_of(DestinationId destination, FlowId flow, bool list) {
  if (const auto id = find_lane(destination, flow, list); id != kNobody) return id;
  const auto id = take_number(free_lanes_, lanes_);
  auto &lane = lanes_[id] = Lane{};
  lane.destination = destination;
  lane.flow = flow;
  lane.list = list;
  lane.turns = tenants_[flows_[flow].tenant].weight;
  auto &d = destinations_[destination];
  lane.child = d.site != kNobody;
  join_pair(lane);
  if (list && !lane.child) ++class_of(lane).lists;
  LaneLinks::push_back(lanes_, d.lanes, id);
  ++d.idle_lanes;
  if (++d.lane_count > kWalked) {
    for (auto other = d.lanes.head; other != kNobody; other = lanes_[other].next) {
      if (lanes_[other].hashed) continue;
      by_key_[key_of(lanes_[other])] = other;
      lanes_[other].hashed = true;
    }
  }
  return id;
}

// From wherever it stands to where it is to stand. One that leaves a round unserved passes on what it may have been let
// in for: whoever waits for the same rate may go.
void FairScheduler::place(LaneId id, Lane::Place to, BucketId bucket) {
  auto &lane = lanes_[id];
  auto &d = destinations_[lane.destination];
  const auto &flow = flows_[lane.flow];
  switch (lane.place) {
    case Lane::Place::Idle:
      --d.idle_lanes;
      break;
    case Lane::Place::Offered: {
      const auto share = share_of(d.transport, flow.tenant);
      auto &c = shares_[share].classes[flow.priority_class];
      RoundLinks::erase(lanes_, c.rounds[lane.list ? 1 : 0], id);
      lane.place = Lane::Place::Idle;
      if (to != Lane::Place::Offered) settle(share);
      break;
    }
    case Lane::Place::Blocked:
      RoundLinks::erase(lanes_, buckets_[lane.bucket].blocked_of(share_of(d.transport, flow.tenant)), id);
      --buckets_[lane.bucket].waiting;
      lane.bucket = kNobody;
      break;
  }
  lane.place = to;
  switch (to) {
    case Lane::Place::Idle:
      ++d.idle_lanes;
      break;
    case Lane::Place::Offered: {
      const auto share = share_of(d.transport, flow.tenant);
      RoundLinks::push_back(lanes_, shares_[share].classes[flow.priority_class].rounds[lane.list ? 1 : 0], id);
      settle(share);
      break;
    }
    case Lane::Place::Blocked:
      lane.bucket = bucket;
      RoundLinks::push_back(lanes_, buckets_[bucket].blocked_of(share_of(d.transport, flow.tenant)), id);
      ++buckets_[bucket].waiting;
      arm(bucket);
      break;
  }
}

// One of its groups was taken: once its tenant has had his turns it goes behind the destination's other lanes. Where
// these wait to be offered again, in this order, so do all that the tenant has before somebody else's: he gains nothing
// by having many. His turns are counted at the first of these.
void FairScheduler::served(LaneId id) {
  auto &lane = lanes_[id];
  auto &d = destinations_[lane.destination];
  const auto tenant = flows_[lane.flow].tenant;
  const auto is_his = [&](LaneId other) { return other != kNobody && flows_[lanes_[other].flow].tenant == tenant; };
  const auto to_the_end = [&](LaneId which) {
    LaneLinks::erase(lanes_, d.lanes, which);
    LaneLinks::push_back(lanes_, d.lanes, which);
  };
  auto &first = lanes_[is_his(d.lanes.head) ? d.lanes.head : id];
  if (--first.turns == 0) {
    first.turns = tenants_[tenant].weight;
    to_the_end(id);
    if (!d.eligible()) {
      while (d.lanes.head != id && is_his(d.lanes.head)) to_the_end(d.lanes.head);
      to_the_end(id);
    }
  } else if (lane.empty() && &first == &lane && is_his(lane.next)) {
    lanes_[lane.next].turns = lane.turns;
  }
  if (lane.empty()) return free_lane(id);
  place(id, d.eligible() ? Lane::Place::Offered : Lane::Place::Idle);
}

void FairScheduler::free_lane(LaneId id) {
  auto &lane = lanes_[id];
  if (lane.place == Lane::Place::Offered) arm_all(lane);
  if (lane.place != Lane::Place::Idle) place(id, Lane::Place::Idle);
  auto &d = destinations_[lane.destination];
  if (lane.list && !lane.child)
    if (auto &c = class_of(lane); --c.lists == 0) c.slots = 0;  // a list that comes later earns its own
  LaneLinks::erase(lanes_, d.lanes, id);
  --d.idle_lanes;
  --d.lane_count;
  if (lane.hashed) by_key_.erase(key_of(lane));
  leave_pair(lane);
  free_lanes_.push_back(id);
}

// A member's lane, into that of its site and out of it.
void FairScheduler::step_in(LaneId id) {
  const auto &lane = lanes_[id];
  RoundLinks::push_back(lanes_, lanes_[lane_of(destinations_[lane.destination].site, lane.flow, lane.list)].children,
                        id);
}

void FairScheduler::step_out(LaneId id) {
  const auto &lane = lanes_[id];
  const auto of = find_lane(destinations_[lane.destination].site, lane.flow, lane.list);
  RoundLinks::erase(lanes_, lanes_[of].children, id);
  if (lanes_[of].empty()) free_lane(of);
}

void FairScheduler::offer(DestinationId owner) {
  auto &d = destinations_[owner];
  if (d.idle_lanes == 0 || !d.eligible() || d.site != kNobody) return;
  for (auto id = d.lanes.head; id != kNobody && d.idle_lanes > 0;) {
    const auto next = lanes_[id].next;
    if (lanes_[id].place == Lane::Place::Idle && !is_kept(lanes_[id])) place(id, Lane::Place::Offered);
    id = next;
  }
}

Share::Class &FairScheduler::class_of(const Lane &lane) {
  const auto &flow = flows_[lane.flow];
  return shares_[share_of(destinations_[lane.destination].transport, flow.tenant)].classes[flow.priority_class];
}

ShareId FairScheduler::share_of(TransportId transport, std::uint32_t tenant) {
  auto &shares = transports_[transport].shares;
  if (tenant >= shares.size()) shares.resize(tenant + 1u, kNobody);
  if (shares[tenant] != kNobody) return shares[tenant];
  const auto id = take_number(free_shares_, shares_);
  auto &share = shares_[id] = Share{};
  share.transport = transport;
  share.tenant = tenant;
  return shares[tenant] = id;
}

// It holds its part of the sessions, or more, while others want some.
bool FairScheduler::over(const Share &s) const {
  const auto &t = transports_[s.transport];
  const auto own = weight(s);
  return t.weight > own && s.leased * t.weight >= std::uint64_t{t.sessions()} * own;
}

// Puts it where what it offers and holds makes it belong.
void FairScheduler::settle(ShareId id) {
  auto &s = shares_[id];
  auto &t = transports_[s.transport];
  const bool offers = s.any_offered();
  if (const bool counts = offers || s.leased > 0; counts != s.counted) {
    s.counted = counts;
    t.weight += counts ? weight(s) : -std::uint64_t{weight(s)};
    parts_changed(t);
  }
  enter(id, !offers ? Share::Ring::None : over(s) ? Share::Ring::Over : Share::Ring::Under);
}

// Others have come or gone, or there are more sessions: everybody's part is another one now.
void FairScheduler::parts_changed(TransportState &t) {
  for (auto id = t.over.head; id != kNobody;) {
    const auto next = shares_[id].next;
    if (!over(shares_[id])) enter(id, Share::Ring::Under);
    id = next;
  }
}

void FairScheduler::enter(ShareId id, Share::Ring ring) {
  auto &s = shares_[id];
  auto &t = transports_[s.transport];
  if (ring == s.ring) return;
  if (s.ring != Share::Ring::None) ShareLinks::erase(shares_, s.ring == Share::Ring::Under ? t.under : t.over, id);
  if (s.ring == Share::Ring::None && s.deficit <= 0) s.deficit = static_cast<std::int32_t>(weight(s));
  s.ring = ring;
  if (ring != Share::Ring::None) ShareLinks::push_back(shares_, ring == Share::Ring::Under ? t.under : t.over, id);
}

}  // namespace mansio::scheduler
