// Clog: which destination fills the queue of what is due, or what may be under delivery at once, and what an operator
// can do about it. As Postfix's queue manager warns (qmgr_clog_warn_time), with the limit that binds named by the
// scheduler.
//
// Only while much is due, or nothing more may begin, is it looked for: the index is walked, a piece at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include "kernel/config/settings.hpp"
#include "kernel/queue/index.hpp"
#include "kernel/scheduler/scheduler.hpp"

namespace mansio::queue {

struct Clogged {
  std::string destination, transport;
  std::uint64_t waiting = 0;  // deliveries to it that are due
  std::uint64_t due = 0;      // ... to all destinations
  scheduler::Why why;         // one of them waits
  std::uint64_t under_way = 0;
  // Its own, be it of its transport's table or of one for it; 0: its concurrency has no limit, and it is never dead.
  std::uint32_t concurrency_limit = 0, failed_cohort_limit = 0;
};

// One or more sentences. `transport`: its settings; null if it is not configured (any more).
std::string clog_advice(const Clogged &clogged, const config::Transport *transport);
// The same where its deliveries are most of those under way, and these are as many as `clogged.why` allows.
std::string full_advice(const Clogged &clogged);

// The count under way, and whom was warned of when.
struct ClogWatch {
  struct Found {
    std::uint64_t waiting = 0, under_way = 0;
    GroupSlot group = kNone, leased = kNone;  // one of these and of those
  };
  std::optional<MessageSlot> at;  // the next message to look at
  std::unordered_map<scheduler::DestinationId, Found> found;
  std::map<std::pair<std::string, std::string>, Nanos> warned;  // (transport, destination): mono
  Nanos next = 0;                                               // mono: of the next count
  const char *full = nullptr;  // the limit of what is under delivery that is reached, or none
  Nanos next_full = 0;         // mono: before that nobody is told of it again
};

}  // namespace mansio::queue
