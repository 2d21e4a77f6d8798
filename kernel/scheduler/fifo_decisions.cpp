// Decisions: whose turn it is among transports, destinations and groups.
#include <algorithm>

#include "kernel/scheduler/fifo_scheduler.hpp"

namespace mansio::scheduler {
namespace {

constexpr int kMovedAtOnce = 256, kWokenAtOnce = 64;
constexpr int kRounds = 4;  // of these in one call: where millions fall due together, it is asked again

}  // namespace

void FifoScheduler::wake(Nanos now) {
  while (!dead_.empty() && dead_.top().first <= now) {
    const auto [at, id] = dead_.top();
    dead_.pop();
    const auto &d = destinations_[id];
    if (d.used && d.dead && d.dead_until == at) revive(id);
  }
  // A bounded number a decision: mail that falls due together must not stall the loop.
  wheel_.advance(now, kMovedAtOnce);
  for (int n = 0; n < kWokenAtOnce; ++n) {
    const auto id = wheel_.due(now);
    if (!id) return;
    wheel_.erase(*id);
    --counts_.deferred;
    make_ready(*id, now);
  }
}

std::optional<Decision> FifoScheduler::next(Nanos now) {
  forget_idle();
  for (int round = 0; round < kRounds; ++round) {
    wake(now);
    if (auto decision = next_suspended()) return decision;
    for (std::size_t n = 0; n < transports_.size(); ++n) {
      turn_ = (turn_ + 1) % transports_.size();
      if (auto decision = next_of(static_cast<TransportId>(turn_), now)) return decision;
    }
    if (!wheel_.due(now) && !wheel_.behind(now)) break;
  }
  return std::nullopt;
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

Decision FifoScheduler::lease(GroupId id) {
  auto &s = slots_[id];
  s.state = SlotState::Leased;
  ++destinations_[s.destination].busy;
  ++transports_[transport_of(id)].leased;
  --counts_.ready;
  ++counts_.leased;
  return {id, transport_of(id), false};
}

std::optional<Nanos> FifoScheduler::next_due() const {
  std::optional<Nanos> least;
  const auto take = [&](Nanos at) { least = least ? std::min(*least, at) : at; };
  if (!wheel_.empty()) take(wheel_.next());
  if (!dead_.empty()) take(dead_.top().first);
  for (const auto &t : transports_)
    if (!t.suspects.empty() && t.leased > 0 && !t.alone_running && t.sessions() > 0) take(t.drain_from + kSuspectDrain);
  return least;
}

}  // namespace mansio::scheduler
