// Slot: all that the scheduler keeps for a waiting group, 24 bytes. Its links are those of the list that its state puts
// it in; of a deferred one they are the wheel's.
#pragma once

#include <cstdint>

#include "kernel/base/clock.hpp"
#include "kernel/scheduler/list.hpp"

namespace mansio::scheduler {

enum class SlotState : std::uint8_t { Free, Ready, Suspect, Leased, Suspended, Deferred, Held };

struct Slot {
  static constexpr unsigned kFlowBits = 22;

  Nanos due = 0;
  std::uint32_t destination = 0;
  std::uint32_t prev = kNobody, next = kNobody;
  std::uint32_t flow : kFlowBits = 0;
  std::uint32_t state_bits : 3 = 0;
  bool alone : 1 = false;
  bool retried : 1 = false;
  bool list : 1 = false;  // of a message with many deliveries on its transport
  bool soon : 1 = false;  // the wheel's

  SlotState state() const { return static_cast<SlotState>(state_bits); }
  void state(SlotState s) { state_bits = static_cast<std::uint32_t>(s) & 7; }
};
static_assert(sizeof(Slot) == 24);

using SlotLinks = Links<&Slot::next, &Slot::prev>;

}  // namespace mansio::scheduler
