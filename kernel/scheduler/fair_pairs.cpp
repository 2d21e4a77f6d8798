// Pairs: what limits the mail of a source pool at a destination, or site, over all transports. A pair is a bucket as
// those of parties are, but belongs to lanes and leases instead of flows: it is there while mail of that pool is ready
// or under way at that destination, or while something of its limit is used up, and is forgotten then. Its name is the
// pool's and the destination's with a NUL between.
//
// A lease counts at the pair that it began with until it ends, whatever is said of the message meanwhile. Where no
// limit names the pool of a flow, all there is of this is a bit of the flow.
#include <algorithm>
#include <cassert>

#include "kernel/scheduler/fair_scheduler.hpp"

namespace mansio::scheduler {
namespace {

constexpr auto kPairKey = RateRule::Key::SourcePoolDestination;
constexpr int kPairsLookedAt = 2;  // in a decision, which makes one at most

std::string pair_name(std::string_view pool, std::string_view destination) {
  std::string name;
  name.reserve(pool.size() + destination.size() + 1);
  return name.append(pool).append(1, '\0').append(destination);
}

}  // namespace

const RateRule *FairScheduler::pair_rule(std::string_view pool, std::string_view destination) const {
  const auto rule = std::find_if(rules_.begin(), rules_.end(),
                                 [&](const RateRule &r) { return r.key == kPairKey && r.matches(pool, destination); });
  return rule == rules_.end() ? nullptr : &*rule;
}

bool FairScheduler::has_pairs(std::string_view pool) const {
  return std::any_of(rules_.begin(), rules_.end(),
                     [&](const RateRule &r) { return r.key == kPairKey && r.matches(pool); });
}

// As it is now; kNobody: it would be a new one, or there is no limit.
BucketId FairScheduler::find_pair(std::string_view pool, DestinationId owner) const {
  const auto at = pair_names_.find(PairView{pool, destinations_[owner].nexthop});
  return at == pair_names_.end() ? kNobody : at->second;
}

BucketId FairScheduler::find_pair(const Slot &s) const {
  const auto &f = flows_[s.flow];
  return f.paired ? find_pair(f.source_pool, owner_of(s.destination)) : kNobody;
}

// For people, and for the owners of rates: "pool:example.com".
std::string FairScheduler::shown_name(const Bucket &b) {
  auto name = b.name;
  if (b.key == kPairKey) name[PairView::of(b.name).pool.size()] = ':';
  return name;
}

// Made if there is a limit. Until it has users it is kept only while something of it is used up or asked for.
BucketId FairScheduler::pair_of(std::string_view pool, std::string_view destination) {
  if (const auto at = pair_names_.find(PairView{pool, destination}); at != pair_names_.end()) return at->second;
  const auto *rule = pair_rule(pool, destination);
  if (!rule) return kNobody;
  const auto [at, fresh] = pair_names_.try_emplace(pair_name(pool, destination), 0);
  if (!fresh) return at->second;
  const auto id = at->second = new_bucket(kPairKey, at->first);
  limit(id, *rule);
  return id;
}

BucketId FairScheduler::pair_of(FlowId flow, DestinationId destination) {
  const auto &f = flows_[flow];
  return f.paired ? pair_of(f.source_pool, destinations_[owner_of(destination)].nexthop) : kNobody;
}

void FairScheduler::join_pair(Lane &lane) {
  lane.pair = pair_of(lane.flow, lane.destination);
  if (lane.pair != kNobody) ++buckets_[lane.pair].users;
}

void FairScheduler::leave_pair(Lane &lane) {
  if (lane.pair == kNobody) return;
  --buckets_[lane.pair].users;
  lane.pair = kNobody;
}

// Those of its source pool at any destination count; there may be no limit at this one.
void FairScheduler::lease_pair(GroupId id, Nanos now) {
  const auto pair = pair_of(slots_[id].flow, slots_[id].destination);
  begin_in(id, pair);
  if (pair != kNobody) take(pair, now);
}

void FairScheduler::begin_in(GroupId id, BucketId pair) {
  pair_leases_[id] = pair;
  if (pair == kNobody) return;
  ++buckets_[pair].busy;
  ++buckets_[pair].users;
}

void FairScheduler::end_in(BucketId pair) {
  if (pair == kNobody) return;
  --buckets_[pair].busy;
  --buckets_[pair].users;
  arm(pair);
}

void FairScheduler::end_pair(GroupId id) {
  const auto at = pair_leases_.find(id);
  if (at == pair_leases_.end()) return;
  const auto pair = at->second;
  pair_leases_.erase(at);
  end_in(pair);
}

// A destination has joined a site, or left one: what is under way there counts where it belongs now.
void FairScheduler::move_pair_leases(DestinationId id) {
  const auto &to = destinations_[owner_of(id)].nexthop;
  for (auto &[group, pair] : pair_leases_) {
    if (slots_[group].destination != id) continue;
    const auto before = pair;
    const auto pool = before == kNobody ? flows_[slots_[group].flow].source_pool
                                        : std::string{PairView::of(buckets_[before].name).pool};
    const auto after = pair_of(pool, to);
    if (after == before) continue;
    begin_in(group, after);  // of an entry that is there
    end_in(before);
  }
}

// Rules have changed. `others`: which pools and destinations they are for, not only how much.
void FairScheduler::limit_pairs(bool others) {
  for (const auto &[name, id] : pair_names_) {
    const auto of = PairView::of(name);
    const auto *rule = pair_rule(of.pool, of.destination);
    limit(id, rule ? *rule : RateRule{});
  }
  if (!others) return;
  for (std::size_t i = 0; i < destinations_.size(); ++i) {
    if (!destinations_[i].used) continue;
    for (auto id = destinations_[i].lanes.head; id != kNobody; id = lanes_[id].next) {
      auto &lane = lanes_[id];
      assert(lane.place != Lane::Place::Blocked);
      if (lane.pair == kNobody && !flows_[lane.flow].paired) continue;
      std::uint64_t groups = 0;
      for (auto group : {lane.fresh.head, lane.retried.head})
        for (; group != kNobody; group = slots_[group].next) ++groups;
      if (lane.pair != kNobody) buckets_[lane.pair].ready -= groups;
      leave_pair(lane);
      join_pair(lane);
      if (lane.pair != kNobody) buckets_[lane.pair].ready += groups;
    }
  }
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const auto &s = slots_[i];
    if (s.state() != SlotState::Leased || !flows_[s.flow].paired) continue;
    const auto at = pair_leases_.find(static_cast<GroupId>(i));
    if (at != pair_leases_.end() && at->second != kNobody) continue;
    begin_in(static_cast<GroupId>(i), pair_of(s.flow, s.destination));
  }
}

// What is not in use and owes nothing is as a new one would be.
void FairScheduler::forget_pairs(Nanos now) {
  for (int n = 0; n < kPairsLookedAt && !pair_names_.empty(); ++n) {
    next_pair_ = (next_pair_ + 1) % buckets_.size();
    auto &b = buckets_[next_pair_];
    if (b.key != kPairKey || b.users > 0 || (b.limit && b.tokens.full_at > now)) continue;
    if (b.permits != kNobody) {
      const auto &permits = permits_[b.permits];
      if (permits.question != 0 || permits.ask_at > now || permits.units(now) > 0) continue;
      disown(b.permits);
    }
    pair_names_.erase(pair_names_.find(PairView::of(b.name)));
    b = Bucket{};
    free_buckets_.push_back(static_cast<BucketId>(next_pair_));
  }
}

}  // namespace mansio::scheduler
