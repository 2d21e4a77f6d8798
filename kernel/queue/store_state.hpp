// What the queue knows of its stores besides what it has to tell them (store_links.hpp): what this spool is called
// there, whose mail each has, what may have come to nothing, and the restore that is under way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>

#include "kernel/mail/store_key.hpp"
#include "kernel/queue/journal.hpp"
#include "kernel/queue/peers.hpp"

namespace mansio::queue {

// In a RestoreOrder, as the spool whose mail it is: that of the one other spool that the store has mail of. Which one
// that is, shows when it has been looked through.
inline constexpr std::uint64_t kTheOther = UINT64_MAX;

// A store that is looked through.
struct StoreView {
  bool begun = false;                                  // in this life
  bool whole = false;                                  // all of it was seen
  bool paused = false;                                 // what was seen of it is yet to be worked off
  std::map<std::uint64_t, std::uint64_t> found, seen;  // messages by spool, at the last time and so far at this one
  std::uint64_t strangers = 0, strangers_seen = 0;
};

struct Restore {
  RestoreOrder order;
  bool running = true;
  bool walked = false;  // all that is to come back is known
  std::deque<StoreKey> waiting;
  std::map<StoreKey, ConnectionId> under_way;  // with that router
  std::unordered_set<StoreKey> over;           // seen to, so that nothing comes back twice while it runs
  Nanos retry_at = 0;                          // mono
  std::uint64_t restored = 0, done_already = 0, damaged = 0;
  std::string problem;  // why something is tried again
};

struct StoreState {
  std::uint64_t name = 0;           // of this spool; 0: none yet
  std::uint64_t name_sequence = 0;  // of the journal entry that says so
  bool name_said = false;           // to those who write mail
  bool fresh = false;               // this life gave it
  std::map<std::string, StoreView, std::less<>> views;
  // In some store, perhaps, and not in the spool: to be forgotten there, if that is still so at `due` (mono).
  struct Suspect {
    Nanos due = 0;
    MessageId id;
    bool certain = false;  // its writer said that it gave it up; else it was found there, and nowhere here
  };
  std::deque<Suspect> suspects;
  std::uint64_t missing = 0;       // found there and nowhere here, while the spool is damaged: they stay
  std::optional<Restore> restore;  // the last one
};

}  // namespace mansio::queue
