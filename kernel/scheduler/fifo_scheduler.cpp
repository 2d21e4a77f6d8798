#include "kernel/scheduler/fifo_scheduler.hpp"

#include <algorithm>
#include <cassert>

namespace mansio::scheduler {
namespace {

constexpr std::size_t kIdleDestinations = 4096;  // remembered beyond this only while they have groups
// A suspect needs its transport for itself. It waits this long for that to happen by itself, then nothing new
// starts there for a while; if even that does not empty the transport, others go on before the next try.
// Suspects then run one after the other for kSuspectBurst before the others have their turn again.
constexpr Nanos kSuspectBurst = kSecond;
constexpr Nanos kSuspectPatience = 5 * kSecond;
constexpr Nanos kSuspectDrain = 30 * kSecond;
constexpr Nanos kSuspectPause = 300 * kSecond;

}  // namespace

std::unique_ptr<Scheduler> Scheduler::create(Backoff backoff, std::uint64_t seed) {
  return std::make_unique<FifoScheduler>(backoff, seed);
}

FifoScheduler::FifoScheduler(Backoff backoff, std::uint64_t seed) : backoff_(backoff), random_(seed), heap_(*this) {}

TransportId FifoScheduler::transport(const TransportLimits &limits) {
  const auto found = std::find_if(transports_.begin(), transports_.end(),
                                  [&](const TransportState &t) { return t.limits.name == limits.name; });
  auto &t = found != transports_.end() ? *found : transports_.emplace_back();
  t.limits = limits;
  t.window = {limits.initial_destination_concurrency, limits.destination_concurrency_limit,
              limits.destination_concurrency_failed_cohort_limit};
  return static_cast<TransportId>(&t - transports_.data());
}

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

void FifoScheduler::transport_available(TransportId transport, std::uint32_t capacity) {
  transports_[transport].capacity = capacity;
}

Slot &FifoScheduler::enter(const Group &group) {
  while (group.id >= slots_.size()) slots_.grow();
  auto &s = slots_[group.id];
  assert(s.state == SlotState::Free);
  s = Slot{};
  s.due = group.due;
  s.destination = group.destination;
  s.alone = group.alone;
  ++destinations_[group.destination].groups;
  return s;
}

void FifoScheduler::add(const Group &group, Nanos now) {
  enter(group).due = now;
  make_ready(group.id, now);
}

void FifoScheduler::add_deferred(const Group &group, Nanos due, Nanos) {
  enter(group).retried = true;
  make_deferred(group.id, due);
}

void FifoScheduler::make_ready(GroupId id, Nanos now) {
  auto &s = slots_[id];
  auto &d = destinations_[s.destination];
  ++counts_.ready;
  if (s.alone && !d.dead) {
    s.state = SlotState::Suspect;
    auto &t = transports_[transport_of(id)];
    if (t.suspects.empty()) t.drain_from = now + kSuspectPatience;
    t.suspects.push_back(id);
    return;
  }
  s.state = SlotState::Ready;
  auto &list = s.retried ? d.retried : d.fresh;
  s.next = kNobody;
  s.prev = list.tail;
  (list.empty() ? list.head : slots_[list.tail].next) = id;
  list.tail = id;
  if (d.dead) {
    offer_suspended(s.destination);
  } else {
    offer(s.destination);
  }
}

void FifoScheduler::make_deferred(GroupId id, Nanos due) {
  auto &s = slots_[id];
  s.state = SlotState::Deferred;
  s.due = due;
  ++counts_.deferred;
  heap_.push(id);
}

void FifoScheduler::unlink(GroupId id) {
  auto &s = slots_[id];
  auto &d = destinations_[s.destination];
  auto &list = s.retried ? d.retried : d.fresh;
  (s.prev == kNobody ? list.head : slots_[s.prev].next) = s.next;
  (s.next == kNobody ? list.tail : slots_[s.next].prev) = s.prev;
  s.prev = s.next = kNobody;
}

GroupId FifoScheduler::take_ready(Destination &d) {
  const bool retried = d.fresh.empty() || (d.retried_next && !d.retried.empty());
  d.retried_next = !retried;
  const auto id = retried ? d.retried.head : d.fresh.head;
  unlink(id);
  return id;
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

void FifoScheduler::end_lease(GroupId id) {
  auto &s = slots_[id];
  if (s.state == SlotState::Leased) {
    --destinations_[s.destination].busy;
    auto &t = transports_[transport_of(id)];
    --t.leased;
    t.alone_running = false;
  }
  --counts_.leased;
}

void FifoScheduler::add_held(const Group &group) {
  enter(group).state = SlotState::Held;
  ++counts_.held;
}

// Out of every list; the state is the caller's to set.
void FifoScheduler::take_out(GroupId id) {
  switch (slots_[id].state) {
    case SlotState::Free:
      break;
    case SlotState::Ready:
      unlink(id);
      [[fallthrough]];
    case SlotState::Suspect:
      --counts_.ready;
      break;
    case SlotState::Leased:
    case SlotState::Suspended:
      end_lease(id);
      break;
    case SlotState::Deferred:
      heap_.erase(id);
      --counts_.deferred;
      break;
    case SlotState::Held:
      --counts_.held;
      break;
  }
}

void FifoScheduler::remove(GroupId id) {
  if (id >= slots_.size() || slots_[id].state == SlotState::Free) return;
  take_out(id);
  slots_[id].state = SlotState::Free;
  const auto destination = slots_[id].destination;
  --destinations_[destination].groups;
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
  heap_.erase(id);
  --counts_.deferred;
  s.due = now;
  make_ready(id, now);
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
    --destinations_[destination].groups;
  }
  offer(destination);
  leave(destination);
  return due;
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

void FifoScheduler::wake(Nanos now) {
  while (!dead_.empty() && dead_.top().first <= now) {
    const auto [at, id] = dead_.top();
    dead_.pop();
    const auto &d = destinations_[id];
    if (d.used && d.dead && d.dead_until == at) revive(id);
  }
  // A bounded number a decision: mail that falls due together must not stall the loop.
  for (int n = 0; n < 64 && !heap_.empty() && due(heap_.top()) <= now; ++n) {
    const auto id = heap_.top();
    heap_.erase(id);
    --counts_.deferred;
    make_ready(id, now);
  }
}

std::optional<Decision> FifoScheduler::next(Nanos now) {
  forget_idle();
  for (;;) {
    wake(now);
    if (auto decision = next_suspended()) return decision;
    for (std::size_t n = 0; n < transports_.size(); ++n) {
      turn_ = (turn_ + 1) % transports_.size();
      if (auto decision = next_of(static_cast<TransportId>(turn_), now)) return decision;
    }
    if (heap_.empty() || due(heap_.top()) > now) return std::nullopt;
  }
}

std::optional<Decision> FifoScheduler::next_suspended() {
  while (!suspended_.empty()) {
    const auto id = suspended_.front();
    auto &d = destinations_[id];
    if (!d.dead || !d.any_ready()) {
      suspended_.pop_front();
      d.suspending = false;
      offer(id);
      continue;
    }
    const auto group = take_ready(d);
    auto &s = slots_[group];
    s.state = SlotState::Suspended;
    --counts_.ready;
    ++counts_.leased;
    return Decision{group, transport_of(group), true};
  }
  return std::nullopt;
}

Decision FifoScheduler::lease(GroupId id) {
  auto &s = slots_[id];
  s.state = SlotState::Leased;
  ++destinations_[s.destination].busy;
  ++transports_[transport_of(id)].leased;
  --counts_.ready;
  ++counts_.leased;
  return {id, transport_of(id), false};
}

std::optional<Decision> FifoScheduler::next_suspect(TransportId id, Nanos now, bool &stop) {
  auto &t = transports_[id];
  while (!t.suspects.empty()) {
    const auto group = t.suspects.front();
    auto &s = slots_[group];
    if (s.state != SlotState::Suspect || transport_of(group) != id) {  // it has left meanwhile
      t.suspects.pop_front();
      continue;
    }
    if (destinations_[s.destination].dead) {
      t.suspects.pop_front();
      s.state = SlotState::Suspended;
      --counts_.ready;
      ++counts_.leased;
      return Decision{group, id, true};
    }
    if (t.sessions() == 0) return std::nullopt;
    if (now >= t.burst_until && now < t.drain_from && !t.round.empty()) return std::nullopt;  // others' turn
    if (t.leased == 0) {
      t.suspects.pop_front();
      t.alone_running = true;
      if (now >= t.burst_until) t.burst_until = now + kSuspectBurst;
      t.drain_from = t.burst_until + kSuspectPatience;
      return lease(group);
    }
    if (now >= t.drain_from + kSuspectDrain) t.drain_from = now + kSuspectPause;
    stop = now >= t.drain_from || now < t.burst_until;
    return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Decision> FifoScheduler::next_of(TransportId id, Nanos now) {
  auto &t = transports_[id];
  if (t.alone_running) return std::nullopt;
  bool stop = false;
  if (auto decision = next_suspect(id, now, stop)) return decision;
  while (!stop && t.leased < t.sessions() && !t.round.empty()) {
    const auto destination = t.round.front();
    t.round.pop_front();
    auto &d = destinations_[destination];
    d.queued = false;
    if (!d.eligible()) continue;  // offered again when that changes
    const auto group = take_ready(d);
    offer(destination);
    if (slots_[group].alone) {  // its destination was dead when it became ready
      slots_[group].state = SlotState::Suspect;
      t.suspects.push_back(group);
      return next_of(id, now);
    }
    const auto decision = lease(group);
    offer(destination);
    return decision;
  }
  return std::nullopt;
}

std::optional<Nanos> FifoScheduler::next_due() const {
  std::optional<Nanos> least;
  const auto take = [&](Nanos at) { least = least ? std::min(*least, at) : at; };
  if (!heap_.empty()) take(due(heap_.top()));
  if (!dead_.empty()) take(dead_.top().first);
  for (const auto &t : transports_)
    if (!t.suspects.empty() && t.leased > 0 && !t.alone_running && t.sessions() > 0) take(t.drain_from + kSuspectDrain);
  return least;
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
