// RateTable: how often each client did something in the unit of time that is under way, over all ingress processes. It
// lies in the memory that the processes of an instance share (shared.hpp), where zero bytes are an empty table.
//
// Its size is fixed, it has no locks, and the death of a process at any instruction leaves it usable: at worst a few
// events are forgotten. A unit of time begins for each client and kind of event with the first event. When there are
// more clients than places, a new one takes the place of the one, of the few that it could stand for, with the fewest
// events; so a crowd of new addresses replaces itself, and whoever made many events stays counted.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kernel/base/clock.hpp"

namespace mansio::process {

enum class ClientEvent : std::uint8_t { Connection, Message, Recipient, NewTlsSession, Auth };
inline constexpr std::size_t kClientEvents = 5;

// Of which unit of time, and when in it. Monotonic time, the same for all processes.
struct RateTime {
  Nanos unit = 0;  // 1 ms at least
  Nanos now = 0;
};

class RateTable {
 public:
  static constexpr std::uint32_t kMost = (1u << 24) - 1;  // beyond it nothing is counted

  // Counts an event of `client`, a keyed hash that is not 0, for a process slot. How many of its kind there were in the
  // unit, this one included; 0: it could not be counted. No number below kMost is given to two callers in one unit, as
  // long as the client keeps its place.
  std::uint32_t count(std::uint32_t slot, std::uint64_t client, ClientEvent event, RateTime time);
  // The same without counting; 0 = none yet.
  std::uint32_t counted(std::uint64_t client, ClientEvent event, RateTime time) const;

  void release_slot(std::uint32_t slot);  // its process is dead: what it was changing is free again

 private:
  static constexpr std::uint32_t kRows = 1u << 16, kWindow = 16, kNowhere = UINT32_MAX;

  static std::uint32_t row_at(std::uint64_t client, std::uint32_t i);
  std::uint32_t find(std::uint64_t client) const;
  std::uint64_t events_of(std::uint32_t row, std::uint64_t now_ms) const;
  void enter(std::uint32_t slot, std::uint64_t client, std::uint64_t unit_ms, std::uint64_t now_ms);
  std::uint32_t add(std::uint32_t row, std::uint64_t client, ClientEvent event, std::uint64_t unit_ms,
                    std::uint64_t now_ms);

  std::atomic<std::uint64_t> clients_[kRows];  // 0: nobody
  std::atomic<std::uint32_t> claims_[kRows];   // slot + 1 of the process that is giving the row to another client
  std::atomic<std::uint32_t> units_[kRows];    // ms; by which its events count as over
  std::array<std::atomic<std::uint64_t>, kClientEvents> events_[kRows];
};

}  // namespace mansio::process
