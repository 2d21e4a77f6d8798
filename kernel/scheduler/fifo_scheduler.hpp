// The first scheduler behind the seam: first come, first served within a destination, round robin over the
// destinations of a transport and over transports, Postfix's concurrency windows. Every decision costs O(1)
// amortised, or O(log n) when a due time is involved, whatever the number of groups and destinations.
//
// The class is one; its parts are files: fifo_scheduler.cpp (what it is told), fifo_groups.cpp (states and lists),
// fifo_destinations.cpp (windows, dead ones, forgetting), fifo_decisions.cpp (what goes next), why.cpp.
#pragma once

#include <functional>
#include <map>
#include <queue>
#include <unordered_map>

#include "kernel/base/chunked.hpp"
#include "kernel/base/large_array.hpp"
#include "kernel/base/prefetch.hpp"
#include "kernel/scheduler/destination.hpp"
#include "kernel/scheduler/due_wheel.hpp"

namespace mansio::scheduler {

class FifoScheduler final : public Scheduler {
 public:
  FifoScheduler(Backoff backoff, std::uint64_t seed);

  void backoff(const Backoff &backoff) override { backoff_ = backoff; }
  void on_soon(std::function<void(GroupId)> hint) override { on_soon_ = std::move(hint); }
  TransportId transport(const TransportLimits &limits) override;
  DestinationId destination(TransportId transport, std::string_view nexthop) override;
  void transport_available(TransportId transport, std::uint32_t capacity) override;
  void add(const Group &group, Nanos now) override;
  void add_deferred(const Group &group, Nanos due, Nanos now) override;
  void add_held(const Group &group) override;
  void remove(GroupId group) override;
  void hold(GroupId group) override;
  void release(GroupId group, Nanos due, Nanos now) override;
  void set_alone(GroupId group, bool alone) override;
  void flush(GroupId group, Nanos now) override;
  std::optional<Decision> next(Nanos now) override;
  std::optional<Nanos> finished(GroupId group, Result result, std::optional<Nanos> again, Nanos now) override;
  Nanos due(GroupId group) const override { return slots_[group].due; }
  void set_due(GroupId group, Nanos due) override { slots_[group].due = due; }
  TransportId transport_of(GroupId group) const override { return destinations_[slots_[group].destination].transport; }
  DestinationId destination_of(GroupId group) const override { return slots_[group].destination; }
  std::string_view nexthop_of(DestinationId id) const override { return destinations_[id].nexthop; }
  std::optional<Nanos> next_due() const override;
  Why why(GroupId group, Nanos now) const override;
  Counts counts() const override { return counts_; }
  std::uint64_t groups(TransportId transport) const override { return transports_[transport].groups; }

  // For DueWheel, as is due().
  std::uint32_t &position(GroupId id) { return slots_[id].prev; }
  std::uint32_t &spot(GroupId id) { return slots_[id].next; }
  bool &soon(GroupId id) { return slots_[id].soon; }
  void prefetch(GroupId id) const { mansio::prefetch(slots_[id]); }
  void due_soon(GroupId id) const {
    __builtin_prefetch(&destinations_[slots_[id].destination]);  // its first line
    if (on_soon_) on_soon_(id);
  }

 private:
  Slot &enter(const Group &group);
  void make_ready(GroupId id, Nanos now);
  void make_deferred(GroupId id, Nanos due);
  void unlink(GroupId id);
  void take_out(GroupId id);
  void end_lease(GroupId id);
  GroupId take_ready(Destination &destination);
  void offer(DestinationId id);
  void offer_suspended(DestinationId id);
  void feedback(DestinationId id, Result result, Nanos now);
  void revive(DestinationId id);
  void leave(DestinationId id);
  void drop(DestinationId id);
  void forget_idle();
  void wake(Nanos now);
  std::optional<Decision> next_suspended();
  std::optional<Decision> next_of(TransportId id, Nanos now);
  std::optional<Decision> next_suspect(TransportId id, Nanos now, bool &stop);
  Decision lease(GroupId id);
  Nanos delay_for(Nanos age);

  struct DestinationKey {
    TransportId transport;
    std::string nexthop;
    auto operator<=>(const DestinationKey &) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const DestinationKey &k) const {
      return std::hash<std::string>{}(k.nexthop) * 31 + k.transport;
    }
  };
  using DeadTimer = std::pair<Nanos, DestinationId>;

  Backoff backoff_;
  std::uint64_t random_;
  LargeArray<Slot> slots_;  // by GroupId: the queue hands out small ones and uses them again
  Chunked<Destination, 256> destinations_;
  std::vector<DestinationId> free_destinations_;
  std::deque<DestinationId> idle_;
  std::unordered_map<DestinationKey, DestinationId, KeyHash> by_name_;
  std::deque<DestinationId> suspended_;  // dead, with ready groups
  std::priority_queue<DeadTimer, std::vector<DeadTimer>, std::greater<>> dead_;
  std::vector<TransportState> transports_;
  std::size_t turn_ = 0;  // whose turn it is among the transports
  DueWheel<FifoScheduler> wheel_;
  Counts counts_;
  std::function<void(GroupId)> on_soon_;
};

}  // namespace mansio::scheduler
