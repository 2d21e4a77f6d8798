// What a walk of the index finds of the mail that goes to a destination, for `queue why --destination`: how much of it
// there is in which state, and one group of each to ask the scheduler about.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "kernel/queue/index.hpp"
#include "kernel/scheduler/scheduler.hpp"

namespace mansio::queue {

struct WhyWalk {
  enum State : std::size_t { Ready, Deferred, Held, UnderWay, kStates };
  struct Some {
    std::uint64_t groups = 0;
    GroupSlot first = kNone;  // of what is deferred, the one that is due first
    MessageId message;        // its, as the group may be another's when the walk has ended
  };
  struct Found {
    std::array<Some, kStates> of;
    Nanos first_due = 0;  // mono, of what is deferred
  };
  // By transport and the name of the destination: an id may mean another one by then.
  using Key = std::pair<scheduler::TransportId, std::string>;
  static constexpr std::size_t kMost = 100;  // that are answered for: a domain may have any number of mailboxes
  std::map<Key, Found> found;
};

}  // namespace mansio::queue
