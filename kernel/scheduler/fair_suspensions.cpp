// Suspensions applied: to destinations by a flag that they are not eligible with, to flows by one that keeps their
// lanes out of rounds.
#include "kernel/scheduler/fair_scheduler.hpp"

namespace mansio::scheduler {

void FairScheduler::suspend(Suspension suspension, Nanos now) {
  suspensions_.add(std::move(suspension), now);
  suspensions_changed(now);
}

bool FairScheduler::resume(Suspension::Key key, std::string_view name, Nanos now) {
  if (!suspensions_.remove(key, name, now)) return false;
  suspensions_changed(now);
  return true;
}

// Looks at all destinations and flows: suspensions change now and then only.
void FairScheduler::suspensions_changed(Nanos now) {
  suspensions_.expire(now);
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

// A member of a site that is suspended by itself has lanes of its own meanwhile.
void FairScheduler::apply_suspensions(DestinationId id) {
  auto &d = destinations_[id];
  const bool suspended = suspensions_.find(Suspension::Key::Destination, d.nexthop) != nullptr;
  if (suspended == d.suspended) return;
  if (suspended && d.site != kNobody) set_site(id, "");
  d.suspended = suspended;
  if (!suspended) set_site(id, placement_of(id).site);
}

void FairScheduler::apply_suspensions(Flow &f) const {
  f.suspended = suspensions_.find(Suspension::Key::Tenant, tenants_[f.tenant].name) ||
                suspensions_.find(Suspension::Key::Campaign, f.campaign) ||
                suspensions_.find(Suspension::Key::Sender, f.sender) ||
                suspensions_.find(Suspension::Key::SourcePool, f.source_pool);
}

Subject FairScheduler::subject_of(GroupId id) const {
  const auto &f = flows_[slots_[id].flow];
  return {destinations_[slots_[id].destination].nexthop, tenants_[f.tenant].name, f.campaign, f.sender, f.source_pool};
}

Nanos FairScheduler::suspended_time(GroupId id, Nanos since, Nanos now) const {
  if (suspensions_.empty()) return 0;
  const auto &s = slots_[id];
  auto subject = subject_of(id);
  auto time = suspensions_.time(subject, since, now);
  if (const auto site = destinations_[s.destination].site; site != kNobody) {  // or the site as a whole
    subject.destination = destinations_[site].nexthop;
    time = std::max(time, suspensions_.time(subject, since, now));
  }
  return time;
}

}  // namespace mansio::scheduler
