// Index: every message in the spool that is not gone, in memory. A message costs its places and a few flags, a
// group (the recipients that share transport and destination) some fifty bytes here and as many in the scheduler;
// the envelope stays in the spool. Slots are used again; references stay good until the slot is erased.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "kernel/queue/journal.hpp"
#include "kernel/queue/pending.hpp"
#include "kernel/scheduler/scheduler.hpp"
#include "kernel/spool/place.hpp"

namespace mansio::queue {

using MessageSlot = std::uint32_t;
using GroupSlot = scheduler::GroupId;
inline constexpr std::uint32_t kNone = UINT32_MAX;

// Parked: recovered, and an egress process may be delivering it at this moment; the scheduler does not know of it.
enum class GroupState : std::uint8_t { Free, Parked, Scheduled, Leased, Held };

struct Group {
  Pending recipients;
  Nanos due = 0;  // wall: since when it could go, or when it may go again
  MessageSlot message = kNone;
  GroupSlot previous = kNone, next = kNone;  // of the same message
  scheduler::DestinationId destination = 0;
  scheduler::TransportId transport = 0;
  std::uint16_t attempts = 0;
  GroupState state = GroupState::Free;
};

// What few messages have.
struct Extra {
  std::string hold_reason;
  std::map<std::uint32_t, Route> routes;
  std::vector<Reported> failed, succeeded;
  std::vector<Intent> intents;
  std::uint32_t next_event = 1;
};

// What a message is counted as: whoever holds it, then whether a delivery was ever tried. Of Postfix's queues, "active"
// is what is being delivered here; mail that is due and waits for its turn counts as what it was before.
enum class QueueName : std::uint8_t { Incoming, Active, Deferred, Hold, Corrupt, None };
inline constexpr std::size_t kQueueNames = static_cast<std::size_t>(QueueName::None);

struct Message {
  spool::Committed at;
  Nanos arrival = 0;  // wall
  GroupSlot groups = kNone;
  std::uint32_t n_groups = 0;
  std::uint32_t n_leased = 0;
  std::uint32_t n_fresh = 0;  // groups not leased and never tried
  std::uint8_t kills = 0;
  bool held : 1 = false;
  bool corrupt : 1 = false;
  bool deleted : 1 = false;  // goes once its leases have ended
  bool forced_expire : 1 = false;
  bool expiry_logged : 1 = false;
  bool trouble_told : 1 = false;  // to the postmaster
  bool delay_warned : 1 = false;
  bool possible_duplicate : 1 = false;
  bool reroute : 1 = false;   // what comes back from a lease is routed again
  bool requeued : 1 = false;  // `arrival` is not the envelope's
  bool null_sender : 1 = false;
  bool journaled : 1 = false;  // a restart needs to know more than the commit
  bool used : 1 = false;
  QueueName counted = QueueName::None;
  std::unique_ptr<Extra> extra;

  Extra &more() {
    if (!extra) extra = std::make_unique<Extra>();
    return *extra;
  }
};

class Index {
 public:
  MessageSlot add(const spool::Committed &at);
  MessageSlot find(MessageId id) const;
  void erase(MessageSlot slot);  // its groups are gone already

  GroupSlot add_group(MessageSlot message);
  void erase_group(GroupSlot slot, Reasons &reasons);
  // Moves a group between states, keeping the message's counters.
  void set_state(GroupSlot slot, GroupState state);

  // After a change of `held` or `corrupt`; set_state() and the like see to themselves.
  void recount(MessageSlot slot);
  std::uint64_t count(QueueName name) const { return counts_[static_cast<std::size_t>(name)]; }

  Message &message(MessageSlot slot) { return messages_[slot]; }
  const Message &message(MessageSlot slot) const { return messages_[slot]; }
  Group &group(GroupSlot slot) { return groups_[slot]; }
  const Group &group(GroupSlot slot) const { return groups_[slot]; }

  std::size_t size() const { return by_id_.size(); }
  MessageSlot slots() const { return static_cast<MessageSlot>(messages_.size()); }  // message(i).used for i below

  template <class F>
  void each_group(MessageSlot slot, F &&f) {  // f may erase the group it is given
    for (auto g = messages_[slot].groups; g != kNone;) {
      const auto next = groups_[g].next;
      f(g);
      g = next;
    }
  }

 private:
  static bool counts_as_fresh(const Group &g) {
    return g.attempts == 0 && (g.state == GroupState::Scheduled || g.state == GroupState::Parked);
  }

  std::deque<Message> messages_;  // deque: growing moves nothing
  std::deque<Group> groups_;
  std::vector<MessageSlot> free_messages_;
  std::vector<GroupSlot> free_groups_;
  std::unordered_map<MessageId, MessageSlot> by_id_;
  std::array<std::uint64_t, kQueueNames> counts_{};
};

}  // namespace mansio::queue
