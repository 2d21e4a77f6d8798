// Why a group is not moving: the first limit that binds, in the order in which next() meets them.
#include <string>

#include "kernel/scheduler/fifo_scheduler.hpp"

namespace mansio::scheduler {

Why FifoScheduler::why(GroupId id, Nanos now) const {
  if (id >= slots_.size()) return {"unknown", "", 0};
  const auto &s = slots_[id];
  const auto &d = destinations_[s.destination];
  switch (s.state) {
    case SlotState::Free:
      return {"unknown", "", 0};
    case SlotState::Leased:
      return {"delivery", "a delivery is under way", 0};
    case SlotState::Suspended:
      return {"dead_destination", d.nexthop, d.dead_until};
    case SlotState::Held:
      return {"hold", "held until it is released", 0};
    case SlotState::Deferred:
      return {"backoff", "waits for its next attempt", s.due};
    case SlotState::Ready:
    case SlotState::Suspect:
      break;
  }
  const auto &t = transports_[d.transport];
  if (d.dead) return {"dead_destination", d.nexthop, d.dead_until};
  if (t.capacity == 0) return {"transport_unavailable", t.limits.name + " has no process to run it", 0};
  if (t.alone_running) return {"alone", "a message suspected of killing workers runs alone on " + t.limits.name, 0};
  if (s.state == SlotState::Suspect)
    return {"alone", "suspected of killing workers: waits until nothing else runs on " + t.limits.name,
            t.drain_from > now ? t.drain_from : 0};
  if (t.leased >= t.sessions())
    return {"transport_sessions", t.limits.name + ": " + std::to_string(t.sessions()) + " deliveries at once", 0};
  if (d.busy >= d.window.size)
    return {"destination_concurrency_limit", d.nexthop + ": " + std::to_string(d.window.size) + " at once now", 0};
  return {"turn", "ready, others are before it", 0};
}

}  // namespace mansio::scheduler
