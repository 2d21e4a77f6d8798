// A group's state, and the lists that it is in while it has one: ready by destination, due by time, held, leased.
#include <algorithm>
#include <cassert>

#include "kernel/scheduler/fifo_scheduler.hpp"

namespace mansio::scheduler {

Slot &FifoScheduler::enter(const Group &group) {
  while (group.id >= slots_.size()) slots_.grow();
  auto &s = slots_[group.id];
  assert(s.state == SlotState::Free);
  s = Slot{};
  s.due = group.due;
  s.destination = group.destination;
  s.alone = group.alone;
  auto &d = destinations_[group.destination];
  ++d.groups;
  ++transports_[d.transport].groups;
  return s;
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
  wheel_.push(id);
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
      wheel_.erase(id);
      --counts_.deferred;
      break;
    case SlotState::Held:
      --counts_.held;
      break;
  }
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

}  // namespace mansio::scheduler
