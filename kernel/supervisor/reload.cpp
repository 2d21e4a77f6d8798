// SIGHUP: a new generation beside the old one. Nothing of the old changes until all of the new is ready; whatever
// fails before that leaves the old in force, with the reason in the log and at whoever asked. Sessions in progress go
// on with the old, for half of drain_timeout at most, and so does what else is in hand; sessions that are two reloads
// old are ended as at a stop, so that there never are those of more than two configurations.
#include <algorithm>

#include "kernel/process/memfd.hpp"
#include "kernel/supervisor/files.hpp"
#include "kernel/supervisor/supervisor.hpp"

namespace mansio::supervisor {
namespace {

constexpr Nanos kRoomLimit = 5 * kSecond;

}  // namespace

Task<> Supervisor::reload() {
  const auto replies = std::exchange(reload_replies_, {});
  log_.info("reload", {{"config", options_.config}});
  const auto changed = co_await change_to_new();
  if (!changed)
    log_.error("reload failed, the old configuration stays in force",
               {{"reason", changed.error().text}, {"epoch", current_->epoch}});
  else
    log_.info("reloaded", {{"epoch", current_->epoch}});
  std::string json = "{";
  if (!changed) {
    json += "\"error\":";
    append_json_string(json, changed.error().text);
  } else {
    json += "\"epoch\":" + std::to_string(current_->epoch);
  }
  json += "}";
  for (const auto &to : replies) answer(to, changed.ok(), json);
}

Task<Result<void>> Supervisor::change_to_new() {
  ++epochs_;
  auto next = co_await load(epochs_);
  if (!next) co_return next.error();
  if (stop_requests_ != 0) co_return Error{Status::Cancelled, "told to stop"};
  if (auto opened = listeners_.open((*next)->checked.plan.listeners); !opened) co_return opened.error();
  co_await make_room((*next)->checked.plan);
  const auto posts = start_generation(*next);
  const auto ready = co_await all_ready(posts);
  if (!ready) {
    for (auto *p : posts) {
      fleet_->retire(*p);
      fleet_->kill(*p);
    }
    listeners_.keep_only(current_->checked.plan.listeners);
    co_return ready.error();
  }
  if (auto log = open_log_output((*next)->checked.plan); !log)
    log_.error("log not changed", {{"reason", log.error().text}});
  switch_to(std::move(*next), posts);
  // Until a client can meet the new configuration only. Whoever does not answer loses its channel at its deadline.
  const auto old_at_work = [this] {
    const auto &all = fleet_->posts();
    return std::any_of(all.begin(), all.end(), [](const Post &p) {
      return p.child && p.child->serving() && p.child->asked_to_stop && p.child->takes_work;
    });
  };
  while (old_at_work() && stop_requests_ == 0) co_await event(kSecond);
  co_return Result<void>{};
}

// Who served a configuration before the present one ends its sessions, and where there are too many processes for
// another generation it gets a moment to be gone. Who then still is in the middle of a message finishes it.
Task<> Supervisor::make_room(const config::Plan &plan) {
  for (auto &p : fleet_->posts())
    if (p.kind == wire::RoleKind::Ingress && p.generation != current_)
      fleet_->drain(p, current_->checked.plan.drain_timeout);
  const auto needed = plan.hosts.size() + plan.ingress_processes + plan.transports.size() + 1;  // the router
  const auto until = clock_.mono() + kRoomLimit;
  while (fleet_->room() < needed && clock_.mono() < until && stop_requests_ == 0) co_await event(until - clock_.mono());
}

void Supervisor::switch_to(std::shared_ptr<Generation> next, const std::vector<Post *> &posts) {
  const auto old = std::exchange(current_, std::move(next));
  listeners_.keep_only(current_->checked.plan.listeners);
  for (auto &p : fleet_->posts()) {
    if (p.kind != wire::RoleKind::Queue && p.kind != wire::RoleKind::Control) continue;
    p.generation = current_;  // also for its next start
    if (!p.child) continue;
    auto snapshot = process::duplicate(current_->snapshot);
    auto log = process::duplicate(log_fd_);
    std::vector<io::UniqueFd> fds;
    if (snapshot && log) {
      fds.push_back(std::move(*snapshot));
      fds.push_back(std::move(*log));
    }
    // Without descriptors it answers "cannot", and is replaced.
    p.child->channel->send(wire::Reload{current_->epoch, current_->checked.snapshot.size()}, std::move(fds));
  }
  for (auto *p : posts) fleet_->enter_service(*p);
  for (auto &p : fleet_->posts()) {
    if (p.generation != old) continue;
    fleet_->retire(p);
    const auto within = current_->checked.plan.drain_timeout;
    fleet_->drain(p, within, p.kind == wire::RoleKind::Ingress ? within / 2 : 0);
  }
  fleet_->sweep();
}

}  // namespace mansio::supervisor
