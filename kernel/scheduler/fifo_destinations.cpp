// Destinations: made when they are first named, forgotten when nothing is left of them, dead and alive in between.
#include "kernel/scheduler/fifo_scheduler.hpp"

namespace mansio::scheduler {
namespace {

constexpr std::size_t kIdleDestinations = 4096;  // remembered beyond this only while they have groups

}  // namespace

DestinationId FifoScheduler::destination(TransportId transport, std::string_view nexthop) {
  DestinationKey key{transport, std::string{nexthop}};
  const auto [at, fresh] = by_name_.try_emplace(std::move(key), 0);
  if (!fresh) return at->second;
  DestinationId id = 0;
  if (free_destinations_.empty()) {
    id = static_cast<DestinationId>(destinations_.size());
    destinations_.grow();
  } else {
    id = free_destinations_.back();
    free_destinations_.pop_back();
  }
  at->second = id;
  auto &d = destinations_[id] = Destination{};
  d.nexthop = nexthop;
  d.transport = transport;
  d.used = true;
  d.window.reset(transports_[transport].window);
  leave(id);  // no groups yet: it may be forgotten again
  return id;
}

// A group has left.
void FifoScheduler::drop(DestinationId id) {
  auto &d = destinations_[id];
  --d.groups;
  --transports_[d.transport].groups;
}

// Kept while it has groups or is dead; afterwards until memory is wanted.
void FifoScheduler::leave(DestinationId id) {
  auto &d = destinations_[id];
  if (d.idle || d.groups > 0 || d.dead) return;
  d.idle = true;
  idle_.push_back(id);
}

void FifoScheduler::forget_idle() {
  // A bounded number a call, and the list may hold some that are in use again.
  for (int n = 0; n < 8 && idle_.size() > kIdleDestinations; ++n) {
    const auto id = idle_.front();
    idle_.pop_front();
    auto &d = destinations_[id];
    d.idle = false;
    if (d.groups > 0 || d.dead) continue;
    if (d.queued || d.suspending) {
      d.idle = true;
      idle_.push_back(id);
      continue;
    }
    by_name_.erase({d.transport, d.nexthop});
    d = Destination{};
    free_destinations_.push_back(id);
  }
}

void FifoScheduler::offer(DestinationId id) {
  auto &d = destinations_[id];
  if (d.queued || !d.eligible()) return;
  d.queued = true;
  transports_[d.transport].round.push_back(id);
}

void FifoScheduler::offer_suspended(DestinationId id) {
  auto &d = destinations_[id];
  if (d.suspending || !d.dead || !d.any_ready()) return;
  d.suspending = true;
  suspended_.push_back(id);
}

void FifoScheduler::feedback(DestinationId id, Result result, Nanos now) {
  auto &d = destinations_[id];
  const auto &limits = transports_[d.transport].window;
  if (result == Result::NoFeedback) return;
  if (result == Result::Delivered) {
    if (d.dead) revive(id);
    d.window.positive(d.busy, limits);
    return;
  }
  if (d.dead || !d.window.negative(limits)) return;
  d.dead = true;
  d.dead_until = now + backoff_.minimal_backoff_time;
  dead_.emplace(d.dead_until, id);
  offer_suspended(id);
}

void FifoScheduler::revive(DestinationId id) {
  auto &d = destinations_[id];
  if (!d.dead) return;
  d.dead = false;
  d.window.reset(transports_[d.transport].window);
  offer(id);
  leave(id);
}

}  // namespace mansio::scheduler
