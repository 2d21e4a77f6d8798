// SIGTERM: in the direction of the mail. Ingress first, so that nothing new comes; then what delivers and writes
// notifications; then the queue, so that every outcome is recorded, and at last the plugins that it uses, so that they
// hear of it, and get back what it did not use, and the tables, which all of them may ask. Each step has its share of
// stop_timeout; who misses it is killed, and its mail is in the spool.
#include <algorithm>
#include <cstdlib>

#include "kernel/supervisor/supervisor.hpp"

namespace mansio::supervisor {
namespace {

bool is_source(const Post &p) { return p.kind == wire::RoleKind::Ingress; }
bool is_worker(const Post &p) {
  return p.kind == wire::RoleKind::Egress || p.kind == wire::RoleKind::Router || p.kind == wire::RoleKind::Control;
}
bool is_last(const Post &p) { return p.of_queue() || !p.lookup.empty(); }
bool is_host(const Post &p) { return p.kind == wire::RoleKind::Host && !is_last(p); }  // nobody uses them any more
bool is_queue(const Post &p) { return p.kind == wire::RoleKind::Queue; }
constexpr Nanos kHurry = 2 * kSecond;
constexpr Nanos kKilled = 5 * kSecond;  // a killed process is gone by then unless the system is stuck

}  // namespace

Task<> Supervisor::shut_down() {
  const auto total = current_->checked.plan.stop_timeout;
  const auto begin = clock_.mono();
  log_.info("stopping", {{"within_seconds", total / kSecond}});
  listeners_.close();
  for (auto &p : fleet_->posts()) fleet_->retire(p);
  co_await drain_posts(is_source, begin + total / 2);
  fleet_->end_deliveries();
  co_await drain_posts(is_worker, begin + total * 4 / 5);
  co_await drain_posts(is_host, begin + total * 17 / 20);
  co_await drain_posts(is_queue, begin + total * 19 / 20);
  teller_.wanted(false);
  co_await drain_posts(is_last, begin + total);
  log_.info("stopped", {{"seconds", static_cast<double>(clock_.mono() - begin) / kSecond}});
}

Task<> Supervisor::drain_posts(bool (*which)(const Post &), Nanos until) {
  std::vector<Post *> posts;
  for (auto &p : fleet_->posts())
    if (which(p)) posts.push_back(&p);
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
    // Even in a hurry the queue gets a moment to sync what it has been told, and its plugins to hear the last of it.
    const bool patient = is_queue(*posts.front()) || is_last(*posts.front());
    if (hurry && !killed) until = std::min(until, clock_.mono() + (patient ? kHurry : 0));
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
