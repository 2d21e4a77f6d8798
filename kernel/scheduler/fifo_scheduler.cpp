#include "kernel/scheduler/fifo_scheduler.hpp"

#include <algorithm>
#include <cassert>

namespace mansio::scheduler {

std::unique_ptr<Scheduler> Scheduler::create(Backoff backoff, std::uint64_t seed) {
  return std::make_unique<FifoScheduler>(backoff, seed);
}

FifoScheduler::FifoScheduler(Backoff backoff, std::uint64_t seed) : backoff_(backoff), random_(seed), wheel_(*this) {}

TransportId FifoScheduler::transport(const TransportLimits &limits) {
  const auto found = std::find_if(transports_.begin(), transports_.end(),
                                  [&](const TransportState &t) { return t.limits.name == limits.name; });
  auto &t = found != transports_.end() ? *found : transports_.emplace_back();
  t.limits = limits;
  t.window = {limits.initial_destination_concurrency, limits.destination_concurrency_limit,
              limits.destination_concurrency_failed_cohort_limit};
  return static_cast<TransportId>(&t - transports_.data());
}

void FifoScheduler::transport_available(TransportId transport, std::uint32_t capacity) {
  transports_[transport].capacity = capacity;
}

void FifoScheduler::add(const Group &group, Nanos now) {
  enter(group).due = now;
  make_ready(group.id, now);
}

void FifoScheduler::add_deferred(const Group &group, Nanos due, Nanos) {
  enter(group).retried = true;
  make_deferred(group.id, due);
}

void FifoScheduler::add_held(const Group &group) {
  enter(group).state = SlotState::Held;
  ++counts_.held;
}

void FifoScheduler::remove(GroupId id) {
  if (id >= slots_.size() || slots_[id].state == SlotState::Free) return;
  take_out(id);
  slots_[id].state = SlotState::Free;
  const auto destination = slots_[id].destination;
  drop(destination);
  offer(destination);
  leave(destination);
}

void FifoScheduler::hold(GroupId id) {
  if (id >= slots_.size() || slots_[id].state == SlotState::Free) return;
  take_out(id);
  slots_[id].state = SlotState::Held;
  ++counts_.held;
  offer(slots_[id].destination);
}

void FifoScheduler::release(GroupId id, Nanos due, Nanos now) {
  if (id >= slots_.size() || slots_[id].state != SlotState::Held) return;
  --counts_.held;
  if (due > now) {
    slots_[id].retried = true;
    make_deferred(id, due);
  } else {
    slots_[id].due = std::min(slots_[id].due, now);
    make_ready(id, now);
  }
}

void FifoScheduler::set_alone(GroupId id, bool alone) {
  if (id < slots_.size()) slots_[id].alone = alone;
}

void FifoScheduler::flush(GroupId id, Nanos now) {
  if (id >= slots_.size()) return;
  auto &s = slots_[id];
  if (s.state == SlotState::Free || s.state == SlotState::Held) return;
  revive(s.destination);
  if (s.state != SlotState::Deferred) return;
  wheel_.erase(id);
  --counts_.deferred;
  s.due = now;
  make_ready(id, now);
}

std::optional<Nanos> FifoScheduler::finished(GroupId id, Result result, std::optional<Nanos> again, Nanos now) {
  auto &s = slots_[id];
  assert(s.state == SlotState::Leased || s.state == SlotState::Suspended);
  const auto destination = s.destination;
  if (s.state == SlotState::Leased) feedback(destination, result, now);
  end_lease(id);
  std::optional<Nanos> due;
  if (again) {
    due = now + delay_for(*again);
    s.retried = true;
    make_deferred(id, *due);
  } else {
    s.state = SlotState::Free;
    drop(destination);
  }
  offer(destination);
  leave(destination);
  return due;
}

// Postfix's: the message's age between two bounds; then jitter, so that what arrived together does not return
// together.
Nanos FifoScheduler::delay_for(Nanos age) {
  const auto base = std::max(backoff_.minimal_backoff_time, std::min(age, backoff_.maximal_backoff_time));
  random_ += 0x9E3779B97F4A7C15ull;  // splitmix64
  auto z = random_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  z ^= z >> 31;
  const double unit = static_cast<double>(z >> 11) / 9007199254740992.0;  // [0, 1)
  return base + static_cast<Nanos>(static_cast<double>(base) * backoff_.jitter * (2 * unit - 1));
}

}  // namespace mansio::scheduler
