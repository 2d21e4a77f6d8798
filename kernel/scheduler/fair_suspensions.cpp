// Suspensions applied: to destinations by a flag that they are not eligible with, to flows by one that keeps their
// lanes out of rounds. Those of a source pool at a destination are looked for wherever a lane would be offered, while
// there are some.
#include <algorithm>

#include "kernel/scheduler/fair_scheduler.hpp"

namespace mansio::scheduler {

void FairScheduler::suspend(Suspension suspension, Nanos now) {
  suspensions_.add(std::move(suspension), now);
  suspensions_changed(now);
}

bool FairScheduler::resume(Suspension::Key key, std::string_view name, Nanos now, std::string_view destination) {
  if (!suspensions_.remove(key, name, now, destination)) return false;
  suspensions_changed(now);
  return true;
}

// Looks at all destinations and flows: suspensions change now and then only.
void FairScheduler::suspensions_changed(Nanos now) {
  suspensions_.expire(now);
  const auto &active = suspensions_.active();
  suspended_pairs_ = std::any_of(active.begin(), active.end(), [](const auto &s) { return !s.destination.empty(); });
  for (auto &g : groups_)
    for (std::size_t i = 0; i < g.members.size(); ++i)
      g.members[i].suspended = suspensions_.find(Suspension::Key::SourcePool, g.pools[i].name) != nullptr;
  for (std::size_t i = 0; i < flows_.size(); ++i)
    if (flows_[i].used) apply_suspensions(flows_[i]);
  for (std::size_t i = 0; i < destinations_.size(); ++i) {
    auto &d = destinations_[i];
    if (!d.used) continue;
    const auto id = static_cast<DestinationId>(i);
    const bool was = d.suspended;
    apply_suspensions(id);
    if (was && !d.suspended) leave(id);
    if (d.lanes.empty()) continue;
    give_up(id);
    offer(id);
  }
  if (suspensions_.next() != kForGood) timers_.push({suspensions_.next(), 0, Timer::Kind::Suspended});
}

// A member of a site that is suspended by itself, be it for a source pool, has lanes of its own meanwhile.
void FairScheduler::apply_suspensions(DestinationId id) {
  auto &d = destinations_[id];
  const bool suspended = suspensions_.find(Suspension::Key::Destination, d.nexthop) != nullptr;
  const bool apart = suspended_pairs_ && suspensions_.any_at(d.nexthop);
  if (suspended == d.suspended && apart == d.apart) return;
  if ((suspended || apart) && d.site != kNobody) set_site(id, "");
  d.suspended = suspended;
  d.apart = apart;
  if (!suspended && !apart) set_site(id, placement_of(id).site);
}

void FairScheduler::apply_suspensions(Flow &f) const {
  f.suspended = suspensions_.find(Suspension::Key::Tenant, tenants_[f.tenant].name) ||
                suspensions_.find(Suspension::Key::Campaign, f.campaign) ||
                suspensions_.find(Suspension::Key::Sender, f.sender) ||
                suspensions_.find(Suspension::Key::SourcePool, f.source_pool) ||
                (f.chosen && suspensions_.find(Suspension::Key::SourcePool, groups_[f.group].name));
  if (f.suspended || f.group == 0 || f.chosen) return;
  const auto &members = groups_[f.group].members;
  f.suspended = std::all_of(members.begin(), members.end(), [](const auto &m) { return m.suspended; });
}

bool FairScheduler::kept_there(std::string_view pool, DestinationId id) const {
  return suspensions_.find_at(pool, destinations_[id].nexthop) ||
         suspensions_.find_at(pool, destinations_[owner_of(id)].nexthop);
}

// A source group's mail is kept where each of its pools is.
bool FairScheduler::kept_there(const Flow &f, DestinationId id) const {
  if (kept_there(f.source_pool, id)) return true;
  if (f.group == 0) return false;
  const auto &g = groups_[f.group];
  if (f.chosen) return kept_there(g.name, id);
  return std::all_of(g.pools.begin(), g.pools.end(), [&](const auto &p) {
    return suspensions_.find(Suspension::Key::SourcePool, p.name) || kept_there(p.name, id);
  });
}

Subject FairScheduler::subject_of(GroupId id) const {
  const auto &f = flows_[slots_[id].flow];
  return {destinations_[slots_[id].destination].nexthop,
          tenants_[f.tenant].name,
          f.campaign,
          f.sender,
          f.source_pool,
          f.chosen ? std::string_view{groups_[f.group].name} : std::string_view{}};
}

// As itself, and as its site's.
template <class F>
void FairScheduler::each_subject(GroupId id, F &&f) const {
  auto subject = subject_of(id);
  f(subject);
  const auto owner = owner_of(slots_[id].destination);
  if (owner == slots_[id].destination) return;
  subject.destination = destinations_[owner].nexthop;
  f(subject);
}

// Mail of a source group is suspended while all pools are that it could leave from: that it was no longer than any.
Nanos FairScheduler::suspended_time(GroupId id, Nanos since, Nanos now) const {
  if (suspensions_.empty()) return 0;
  const auto &f = flows_[slots_[id].flow];
  Nanos time = 0;
  each_subject(id, [&](Subject subject) {
    time = std::max(time, suspensions_.time(subject, since, now));
    if (f.group == 0 || f.chosen) return;
    Nanos least = kForGood;
    for (const auto &p : groups_[f.group].pools) {
      subject.source_pool = p.name;
      least = std::min(least, suspensions_.time(subject, since, now));
    }
    time = std::max(time, least);
  });
  return time;
}

// The one that lasts longest; of a source group, all of whose pools are suspended, of the one that may send first.
const Suspension *FairScheduler::suspension_of(GroupId id) const {
  if (suspensions_.active().empty()) return nullptr;
  const auto &f = flows_[slots_[id].flow];
  const auto find = [&](std::string_view pool) {
    const Suspension *found = nullptr;
    each_subject(id, [&](Subject subject) {
      subject.source_pool = pool;
      const auto *s = suspensions_.find(subject);
      if (s && (!found || s->until > found->until)) found = s;
    });
    return found;
  };
  const auto *found = find(f.source_pool);
  if (found || f.group == 0 || f.chosen) return found;
  for (const auto &p : groups_[f.group].pools) {
    const auto *of_pool = find(p.name);
    if (!of_pool) return nullptr;
    if (!found || of_pool->until < found->until) found = of_pool;
  }
  return found;
}

}  // namespace mansio::scheduler
