// Source groups: source pools that stand for others. Mail that names one waits as its mail, in one line at each
// destination, and which of the group's pools it leaves from is decided when its turn comes: among those whose limits
// let it go, by weight. So a pool that is being warmed up takes what it may, and nothing waits for it that another
// could take. Where none may go it stands in line, from then on as that pool's mail, where that takes least time. What
// was tried from a pool is tried from that one again: who was told to come back later is known by his address.
#include <algorithm>
#include <utility>

#include "kernel/scheduler/fair_scheduler.hpp"

namespace mansio::scheduler {
namespace {

constexpr std::size_t kMostGroups = UINT16_MAX;  // that were ever configured: their numbers are not used again

}  // namespace

void FairScheduler::source_groups(std::vector<SourceGroup> groups) {
  bool changed = false;
  for (std::size_t i = 1; i < groups_.size(); ++i) {
    auto &known = groups_[i];
    const auto at = std::find_if(groups.begin(), groups.end(), [&](const auto &g) { return g.name == known.name; });
    auto pools = at == groups.end() ? std::vector<SourceGroup::Pool>{} : at->pools;
    if (at != groups.end()) groups.erase(at);
    if (pools == known.pools) continue;
    changed = true;
    known.set(std::move(pools));
  }
  for (auto &g : groups) {
    if (groups_.size() > kMostGroups) break;
    changed = true;
    auto &fresh = groups_.emplace_back();
    fresh.name = std::move(g.name);
    fresh.set(std::move(g.pools));
  }
  if (!changed) return;
  for (std::size_t i = 0; i < flows_.size(); ++i)
    if (flows_[i].used) find_group(flows_[i]);
  apply_rates(true);
  suspensions_changed(now_);
}

GroupNumber FairScheduler::group_named(std::string_view name) const {
  for (std::size_t i = 1; i < groups_.size(); ++i)
    if (groups_[i].name == name && !groups_[i].pools.empty()) return static_cast<GroupNumber>(i);
  return 0;
}

// As groups are now. What was chosen from one that has that pool no longer is chosen anew at its next turn.
void FairScheduler::find_group(Flow &f) const {
  if (!f.chosen) {
    f.group = group_named(f.source_pool);
    return;
  }
  const auto &pools = groups_[f.group].pools;
  f.stale = std::none_of(pools.begin(), pools.end(), [&](const auto &p) { return p.name == f.source_pool; });
}

// Rules have changed, or groups.
void FairScheduler::find_members() {
  for (auto &g : groups_) {
    const auto before = std::exchange(g.members, {});
    for (const auto &p : g.pools) {
      const auto bucket = bucket_of(RateRule::Key::SourcePool, p.name);
      if (bucket != kNobody) ++buckets_[bucket].users;
      g.members.push_back(
          {bucket, has_pairs(p.name), suspensions_.find(Suspension::Key::SourcePool, p.name) != nullptr});
    }
    for (const auto &m : before)
      if (m.bucket != kNobody) --buckets_[m.bucket].users;
  }
}

// What mail of that flow names; what it leaves from may be one of a group.
std::string_view FairScheduler::named_pool(const Flow &f) const {
  return f.chosen ? std::string_view{groups_[f.group].name} : std::string_view{f.source_pool};
}

std::string_view FairScheduler::chosen_pool(GroupId id) const {
  if (id >= slots_.size()) return {};
  const auto &f = flows_[slots_[id].flow];
  return f.chosen ? std::string_view{f.source_pool} : std::string_view{};
}

// Mail of a group has its turn: it goes from a pool that may send now, or is that pool's to wait. True: it goes.
bool FairScheduler::choose_pool(GroupId id, Nanos now) {
  auto &s = slots_[id];
  const auto &f = flows_[s.flow];
  auto &g = groups_[f.group];
  const auto owner = owner_of(s.destination);
  may_leave_.clear();
  std::size_t soonest = 0;
  double least = -1;
  for (std::size_t i = 0; i < g.members.size(); ++i) {
    const auto &m = g.members[i];
    const auto &name = g.pools[i].name;
    if (m.suspended || (suspended_pairs_ && kept_there(name, s.destination))) continue;
    auto pair = m.paired ? find_pair(name, owner) : kNobody;
    if (m.paired && pair == kNobody) {  // one that a plugin owns has to be asked for
      if (const auto *rule = pair_rule(name, destinations_[owner].nexthop); rule && rule->limit.owner != 0)
        pair = pair_of(name, destinations_[owner].nexthop);
    }
    const bool may = (m.bucket == kNobody || is_free(m.bucket, f.ready, now)) &&
                     (pair == kNobody || is_free(pair, destinations_[owner].ready, now));
    if (may) may_leave_.push_back(i);
    if (!may_leave_.empty()) continue;
    const auto wait = std::max(m.bucket == kNobody ? 0 : expected_wait(buckets_[m.bucket], now),
                               pair == kNobody ? 0 : expected_wait(buckets_[pair], now));
    if (least >= 0 && (wait > least || (wait == least && g.pools[i].weight <= g.pools[soonest].weight))) continue;
    least = wait;
    soonest = i;
  }
  const bool goes = !may_leave_.empty();
  const auto pool = goes ? g.spread.choose(may_leave_, unit()) : soonest;
  const auto to = with_pool(f, g.pools[pool].name, f.group);
  move_to(s, to);
  return goes;
}

// It has something to give, and nobody waits for that. `ready`: what might go by it, if its owner is to be asked.
bool FairScheduler::is_free(BucketId id, std::uint64_t ready, Nanos now) {
  const auto &b = buckets_[id];
  if (b.waiting > 0 || b.full()) return false;
  if (open(b, now)) return true;
  if (by_owner(b.permits)) ask(b.permits, now, std::max<std::uint64_t>(ready, 1));
  return false;
}

// Nanoseconds until one more could go behind what stands in line there. How long deliveries last nobody knows: where
// there are limits on these only, a second will do to compare.
double FairScheduler::expected_wait(const Bucket &b, Nanos now) const {
  const auto before = static_cast<double>(b.ready);
  double wait = 0;
  if (b.limit) {
    const auto next = by_owner(b.permits) ? permits_[b.permits].ask_at : b.tokens.next(b.limit);
    wait = static_cast<double>(std::max<Nanos>(next - now, 0)) + before * static_cast<double>(b.limit.interval);
  }
  if (b.concurrency == 0) return wait;
  return std::max(wait, (before + (b.full() ? 1 : 0)) * static_cast<double>(kSecond) / b.concurrency);
}

}  // namespace mansio::scheduler
