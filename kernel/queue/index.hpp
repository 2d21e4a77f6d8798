// Index: every message in the spool that is not gone, in memory: 40 bytes a message (42 where the domains of senders
// are mixed), five to seven for its id's place in the table, and for each group (the recipients that share transport
// and destination) 24 bytes here, or 26 where the destination is not their domain, and 24 in the scheduler, which knows
// the group's destination and due time. The envelope and the places of its records stay in the spool: the COMMIT record
// names them. Slots are used again; references stay good until the slot is erased.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernel/base/chunked.hpp"
#include "kernel/base/large_array.hpp"
#include "kernel/base/prefetch.hpp"
#include "kernel/base/sparse_array.hpp"
#include "kernel/queue/domains.hpp"
#include "kernel/queue/id_table.hpp"
#include "kernel/queue/journal.hpp"
#include "kernel/queue/pending.hpp"
#include "kernel/scheduler/scheduler.hpp"
#include "kernel/spool/place.hpp"

namespace mansio::queue {

using MessageSlot = std::uint32_t;
using GroupSlot = scheduler::GroupId;
inline constexpr std::uint32_t kNone = UINT32_MAX;

// Parked: recovered, and an egress process may be delivering it at this moment; the scheduler keeps it as held.
enum class GroupState : std::uint8_t { Free, Parked, Scheduled, Leased, Held };

// Of what is to be tried before its time. Woken: the journal says so. LetOut: until that attempt ends.
enum class FlushState : std::uint8_t { None, Waiting, Woken, LetOut };

struct Group {
  Pending recipients;
  MessageSlot message = kNone;
  GroupSlot previous = kNone, next = kNone;  // of the same message
  std::uint16_t attempts = 0;
  GroupState state = GroupState::Free;
  FlushState flush = FlushState::None;
};
static_assert(sizeof(Group) == 24);

// How many groups a message has, and how many of them are in a lease, or not leased and never tried.
struct GroupCounts {
  std::uint32_t all = 0, leased = 0, fresh = 0;
};

// Of a recipient whose last outcome decided nothing: it was uncertain, or we gave the delivery up. Not on the disk.
struct Undecided {
  bool uncertain = false;  // since the last one that decided something
  bool given_up = false;   // the last one
};

// What few messages have.
struct Extra {
  std::string hold_reason;
  std::map<std::uint32_t, Route> routes;
  std::string pool;                            // an operator's, instead of the envelope's; "": none
  std::map<std::uint32_t, std::string> pools;  // a policy's, of these recipients; an operator's is stronger
  std::vector<Reported> failed, succeeded;
  std::vector<Intent> intents;
  std::uint32_t next_event = 1;
  std::map<std::uint32_t, Undecided> undecided;
  GroupCounts counts;  // while the message has more than one group, and perhaps longer; else its group tells
  bool counted = false;
  bool released = false;      // by an operator: no policy is asked whether its deliveries may begin
  std::uint8_t turns = 0;     // how often policies have sent it another way since the last attempt
  bool told_in_time = false;  // what failed will be told of though other recipients are not tried

  // There is nothing in it but `counts`: each of the others must be asked here, or it may be forgotten.
  bool only_counts() const {
    return hold_reason.empty() && routes.empty() && pool.empty() && pools.empty() && failed.empty() &&
           succeeded.empty() && intents.empty() && next_event == 1 && undecided.empty() && !released && turns == 0 &&
           !told_in_time;
  }
};

// What a message is counted as: whoever holds it, then whether a delivery was ever tried. Of Postfix's queues, "active"
// is what is being delivered here; mail that is due and waits for its turn counts as what it was before.
enum class QueueName : std::uint8_t { Incoming, Active, Deferred, Hold, Corrupt, None };
inline constexpr std::size_t kQueueNames = static_cast<std::size_t>(QueueName::None);
std::string_view name_of(QueueName name);

struct Message {
  MessageId id;
  Nanos arrival = 0;  // wall
  std::unique_ptr<Extra> extra;
  GroupSlot groups = kNone;
  std::uint32_t commit = 0;       // where its COMMIT record lies in the segment, in units of 8 bytes
  std::uint32_t size16 : 28 = 0;  // of the body, in units of 16 bytes, rounded up; the largest there is for all beyond
  std::uint32_t counted : 3 = static_cast<std::uint32_t>(QueueName::None);
  std::uint32_t verified : 1 = 0;  // the body was whole when it was last read from the disk
  std::uint16_t segment = 0;       // the index's own short name of the segment
  std::uint16_t kills : 3 = 0;
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
  static constexpr std::uint16_t kMostKills = 7;

  std::uint64_t size() const { return static_cast<std::uint64_t>(size16) * 16; }

  Extra &more() {
    if (!extra) extra = std::make_unique<Extra>();
    return *extra;
  }
};
static_assert(sizeof(Message) == 40);

class Index {
 public:
  Index() : by_id_(*this, 8) {}  // there may be millions, so by no more than an eighth
  Index(const Index &) = delete;
  Index &operator=(const Index &) = delete;

  MessageSlot add(const spool::Committed &at);  // kNone: it lies in more segments than can be named (65,536)
  MessageSlot find(MessageId id) const { return by_id_.find(id); }
  void reserve(std::size_t messages) { by_id_.reserve(messages); }
  void coming(MessageId id) { by_id_.prefetch(id); }  // find(id) follows soon
  spool::Place commit_of(MessageSlot slot) const;     // without its length
  bool lies_at(MessageSlot slot, const spool::Place &commit) const;
  bool move(MessageSlot slot, const spool::Place &commit);  // false: as for add()
  GroupCounts counts(MessageSlot slot) const;
  void erase(MessageSlot slot);  // its groups are gone already

  GroupSlot add_group(MessageSlot message);
  void erase_group(GroupSlot slot, Reasons &reasons);
  // Moves a group between states, keeping the message's counters.
  void set_state(GroupSlot slot, GroupState state);

  // What qshape counts them under. A group is told of each recipient that it has got; kNoDomain means that its
  // destination's name is the domain of all.
  void set_sender(MessageSlot slot, std::string_view address);
  void add_recipient(GroupSlot slot, std::string_view address, std::string_view destination);
  void destination_changes(GroupSlot slot, std::string_view before);
  DomainId sender_domain(MessageSlot slot) const { return sender_domains_.get(slot); }
  DomainId recipient_domain(GroupSlot slot) const { return recipient_domains_.get(slot); }
  std::string_view domain_name(DomainId id) const { return domains_.name(id); }
  // Somebody wants to hear of a message before it goes or its groups change, and of one that has just come.
  using Watch = std::function<void(MessageSlot slot, bool fresh)>;
  void watch(Watch watch) { watch_ = std::move(watch); }

  // It will be looked at soon: has it and its message fetched into the cache.
  void prefetch(GroupSlot slot) {
    mansio::prefetch(groups_[slot]);
    const auto before = std::exchange(prefetched_[next_prefetched_++ % prefetched_.size()], slot);
    if (before < groups_.size() && groups_[before].message < messages_.size())
      mansio::prefetch(messages_[groups_[before].message]);
  }

  // After a change of `held` or `corrupt`; set_state() and the like see to themselves.
  void recount(MessageSlot slot);
  std::uint64_t count(QueueName name) const { return counts_[static_cast<std::size_t>(name)]; }
  // Messages that wait for delivery or are under it: not those that wait for an operator.
  std::uint64_t backlog() const { return size() - count(QueueName::Hold) - count(QueueName::Corrupt); }
  QueueName queue_of(MessageSlot slot) const { return static_cast<QueueName>(messages_[slot].counted); }
  std::uint64_t bytes() const { return bytes_; }  // of all bodies, each rounded up to 16

  MessageId id_of(MessageSlot slot) const { return messages_[slot].id; }
  void prefetch_id(MessageSlot slot) const { mansio::prefetch(messages_[slot].id); }
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

  struct Segment {
    std::uint32_t number = 0, epoch = 0;
    std::uint32_t messages = 0;
  };
  std::optional<std::uint16_t> enter(const spool::Place &commit);  // one more message there
  void leave(std::uint16_t name);
  static std::uint64_t key(const Segment &s) { return static_cast<std::uint64_t>(s.number) << 32 | s.epoch; }

  HugePages pages_;
  LargeArray<Message> messages_{pages_};
  LargeArray<Group> groups_{pages_};
  SparseArray<DomainId> sender_domains_;     // as messages_
  SparseArray<DomainId> recipient_domains_;  // as groups_
  Domains domains_;
  Chunked<MessageSlot> free_messages_;
  Chunked<GroupSlot> free_groups_;
  IdTable<Index> by_id_;
  std::vector<Segment> segments_;  // by Message::segment
  std::vector<std::uint16_t> free_segments_;
  std::unordered_map<std::uint64_t, std::uint16_t> segment_names_;
  std::array<std::uint64_t, kQueueNames + 1> counts_{};
  std::uint64_t bytes_ = 0;
  Watch watch_;
  // Groups whose memory is on its way; only then can their messages be fetched without waiting.
  std::array<GroupSlot, 4> prefetched_{kNone, kNone, kNone, kNone};
  std::size_t next_prefetched_ = 0;
};

}  // namespace mansio::queue
