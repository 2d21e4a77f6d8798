// SIGTERM: in the direction of the mail. Ingress first, so that nothing new comes; then what delivers and writes
// notifications; the queue last, so that every outcome is recorded. Each step has its share of stop_timeout; who
// misses it is killed, and its mail is in the spool.
#include <algorithm>
#include <cstdlib>

#include "kernel/supervisor/supervisor.hpp"

namespace mansio::supervisor {
namespace {

constexpr wire::RoleKind kSources[] = {wire::RoleKind::Ingress};
constexpr wire::RoleKind kWorkers[] = {wire::RoleKind::Egress, wire::RoleKind::Router, wire::RoleKind::Control};
constexpr wire::RoleKind kHosts[] = {wire::RoleKind::Host};  // nobody uses them any more
constexpr wire::RoleKind kQueue[] = {wire::RoleKind::Queue};
constexpr Nanos kHurry = 2 * kSecond;
constexpr Nanos kKilled = 5 * kSecond;  // a killed process is gone by then unless the system is stuck

}  // namespace

Task<> Supervisor::shut_down() {
  const auto total = current_->checked.plan.stop_timeout;
  const auto begin = clock_.mono();
  log_.info("stopping", {{"within_seconds", total / kSecond}});
  listeners_.close();
  for (auto &p : fleet_->posts()) fleet_->retire(p);
  co_await drain_kinds(kSources, begin + total / 2);
  fleet_->end_deliveries();
  co_await drain_kinds(kWorkers, begin + total * 4 / 5);
  co_await drain_kinds(kHosts, begin + total * 9 / 10);
  co_await drain_kinds(kQueue, begin + total);
  log_.info("stopped", {{"seconds", static_cast<double>(clock_.mono() - begin) / kSecond}});
}

Task<> Supervisor::drain_kinds(std::span<const wire::RoleKind> kinds, Nanos until) {
  std::vector<Post *> posts;
  for (auto &p : fleet_->posts())
    if (std::find(kinds.begin(), kinds.end(), p.kind) != kinds.end()) posts.push_back(&p);
  // The time that there is: they have last words to say before it is over.
  if (stop_requests_ < 2) until = std::max(until, clock_.mono() + kHurry / 2);
  const auto within = until - clock_.mono();
  for (auto *p : posts) fleet_->drain(*p, std::max<Nanos>(within, kMillisecond));
  const auto alive = [&] {
    return std::any_of(posts.begin(), posts.end(), [](auto *p) { return p->child != nullptr; });
  };
  bool killed = false;
  while (alive()) {
    const bool hurry = stop_requests_ > 1;
    // Even in a hurry the queue gets a moment to sync what it has been told.
    const bool patient = hurry && posts.front()->kind == wire::RoleKind::Queue;
    if (hurry) until = std::min(until, clock_.mono() + (patient ? kHurry : 0));
    if (patient) stop_requests_ = 1;
    if (clock_.mono() >= until) {
      if (killed) {
        log_.error("a role does not end; leaving it behind");
        std::_Exit(kExitFailed);
      }
      for (auto *p : posts) fleet_->kill(*p);
      killed = true;
      until = clock_.mono() + kKilled;
    }
    co_await event(std::min<Nanos>(until - clock_.mono() + kMillisecond, kSecond));
  }
}

}  // namespace mansio::supervisor
