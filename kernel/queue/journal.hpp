// Journal: what the queue writes down about messages after their commit, so that a restart knows all that was
// known. Entries are small differences (the spool keeps their order); `Record` is what they add up to for one
// message, and doubles as its entry in a checkpoint.
//
// Entries speak of messages by id. Replay reads entries before it sees commits, so it collects them by id and forgets
// those whose message turns out to be gone. Why a recipient waits is written once for all that wait for the same
// reason: entries name reasons by numbers, which are never used again. An entry of a kind this version does not know,
// or one that does not parse, is counted and skipped: losing a retry time costs a duplicate attempt, refusing to start
// costs mail.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernel/base/chunked.hpp"
#include "kernel/base/id.hpp"
#include "kernel/base/prefetch.hpp"
#include "kernel/mail/envelope.hpp"
#include "kernel/queue/clock_steps.hpp"
#include "kernel/queue/id_table.hpp"
#include "kernel/queue/reasons.hpp"
#include "kernel/wire/queue_messages.hpp"

namespace mansio::queue {

using Recipients = std::vector<std::uint32_t>;  // indices in the envelope

struct Reported {  // a recipient with its final outcome
  std::uint32_t recipient = 0;
  wire::RecipientOutcome outcome;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.recipient, s.outcome);
  }
};

// A notification that must be written, or adopted if it exists already: (message, event) is its name.
struct Intent {
  std::uint32_t event = 0;
  wire::DsnKind kind = wire::DsnKind::Failure;
  bool postmaster = false;  // to the postmaster instead of the sender
  std::vector<Reported> recipients;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.event, s.kind, s.postmaster, s.recipients);
  }
};

struct Deferral {
  Nanos due = 0;  // wall
  std::uint16_t attempts = 0;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> recipients;  // each with the number of its reason; 0: none
  bool woken = false;     // brought forward since; not in a checkpoint, whose due times are right
  bool put_off = false;   // by a policy: it may be longer than any back-off; an entry of its own
  bool unrouted = false;  // it was the router who deferred it: a policy is asked for its way again; the same
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.due, s.attempts, s.recipients);
  }
};

// What concerns the message as a whole.
struct MessageState {
  Nanos arrival = 0;  // 0: the envelope's; another after a requeue
  bool held = false, corrupt = false, deleted = false, forced_expire = false, delay_warned = false;
  bool possible_duplicate = false, reroute = false;
  std::uint8_t kills = 0;
  std::string hold_reason;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.arrival, s.held, s.corrupt, s.deleted, s.forced_expire, s.delay_warned, s.possible_duplicate, s.reroute,
      s.kills, s.hold_reason);
  }
};

struct Record {
  MessageState state;
  std::uint32_t next_event = 1;
  bool complete = false;  // from a checkpoint: `pending` names all that were not done then
  Recipients pending;
  Recipients done;
  std::vector<Deferral> deferrals;
  std::vector<std::pair<std::uint32_t, Route>> routes;  // differing from the envelope's; no transport: to be routed
  std::vector<Reported> failed, succeeded;              // not yet in a notification
  std::vector<Intent> intents;
  std::string pool;  // not in the record: an entry of its own, behind it in a checkpoint
  std::vector<std::pair<std::uint32_t, std::string>> pools;  // the same: of these recipients, by a policy; each once
  bool released = false;   // the same: by an operator, so that no policy is asked whether its deliveries may begin
  bool has_state = false;  // not in the record either: `state` was said; if not, it is as the envelope has it
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.state, s.next_event, s.complete, s.pending, s.done, s.deferrals, s.routes, s.failed, s.succeeded, s.intents);
  }
};

// Mail that is being brought back from a store; without a name of one: none is.
struct RestoreOrder {
  std::string store;
  std::uint64_t from = 0;  // the spool whose mail it was; 0: of any but this one
  bool hold = false;
  bool operator==(const RestoreOrder &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.store, s.from, s.hold);
  }
};

namespace entry {

std::string gone(MessageId id);
// `sent`: done without anything to tell; `failed`, `succeeded`: done, the sender may have to be told.
std::string done(MessageId id, const Recipients &sent, const std::vector<Reported> &failed,
                 const std::vector<Reported> &succeeded);
std::string deferred(MessageId id, const Deferral &deferral);
std::string state(MessageId id, const MessageState &state);
std::string routes(MessageId id, const std::vector<std::pair<std::uint32_t, Route>> &routes);
std::string pool(MessageId id, std::string_view pool);  // the source pool it leaves from; "": the envelope's
std::string pools(MessageId id, const std::vector<std::pair<std::uint32_t, std::string>> &pools);  // "": none any more
std::string released(MessageId id, bool released);
std::string put_off(MessageId id);                                 // the times of its deferrals so far are a policy's
std::string unrouted(MessageId id, const Recipients &recipients);  // it was the router who deferred these last
std::string intent(MessageId id, const Intent &intent);            // takes its recipients out of failed/succeeded
std::string unannounced(MessageId id, const Recipients &recipients);  // nobody wants to hear about these
std::string written(MessageId id, std::uint32_t event);
std::string woken(MessageId id);  // an operator brought its next attempt forward
std::string record(MessageId id, const Record &record);
std::string waiting(MessageId id, const Deferral &deferral);  // a record of nothing but that: these wait, and no others
std::string reason(std::uint64_t number, const Reason &reason);
std::string moved(MessageId id, const spool::Place &to);  // its COMMIT's copy there is on stable storage, and counts
std::string leased_until(Nanos latest);                   // nothing that was due later has been leased
std::string scheduling(std::string_view state);           // what Scheduler::save() gave; the last one counts
std::string learned(std::string_view parts);           // Scheduler::save_more() and what replies did; the last counts
std::string clock_step(const ClockSteps::Step &step);  // the clock jumped forward: mail did not age by it
std::string start(std::uint32_t number);               // makes lease ids unique: they begin with it
std::string spool(std::uint64_t name);                 // what the spool is called in stores
// Stores are to forget these, and all of them have; of a message of ours `gone` says the former. All of one spool.
std::string owed(std::uint64_t spool, const std::vector<MessageId> &ids);
std::string told(std::uint64_t spool, const std::vector<MessageId> &ids);
std::string restore(const RestoreOrder &order);  // the last one counts

}  // namespace entry

// What the journal says of each message, as it was written: some forty bytes for one that waits, where a Record would
// be a thousand. It is put together when the message is found.
class Replay {
 public:
  Replay() : by_id_(*this, 1) {}  // it is there for seconds, and most of what comes is new to it
  Replay(const Replay &) = delete;
  Replay &operator=(const Replay &) = delete;

  void apply(std::string_view bytes);

  struct Said {
    bool gone = false;
    std::optional<Record> record;  // none: nothing was said of it, or it is gone
  };
  Said find(MessageId id);
  void coming(MessageId id) { by_id_.prefetch(id); }      // find(id) follows soon
  std::size_t messages() const { return messages_; }      // of which something was said, and that are not gone
  std::optional<spool::Place> moved(MessageId id) const;  // where it was copied last, since the checkpoint
  std::uint32_t starts() const { return starts_; }
  Nanos leased_until() const { return leased_until_; }
  const std::string &scheduling() const { return scheduling_; }
  const std::string &learned() const { return learned_; }
  const std::vector<ClockSteps::Step> &clock_steps() const { return clock_steps_; }
  std::uint64_t spool() const { return spool_; }  // 0: it was never used with a store
  std::vector<StoreKey> owed() const;             // to be forgotten by stores, some of which may have
  const RestoreOrder &restore() const { return restore_; }
  std::uint64_t skipped() const { return skipped_; }
  std::uint64_t last_reason() const { return last_reason_; }
  // One reference to the reason of this number; to an empty one if it is not known. A million messages may wait for the
  // same: its text is looked up once, and one more reference kept until forget_reasons().
  ReasonId reason(std::uint64_t number, Reasons &reasons);
  void forget_reasons(Reasons &reasons);

  // For the table.
  MessageId id_of(std::uint32_t slot) const { return heads_[slot].id; }
  void prefetch_id(std::uint32_t slot) const { mansio::prefetch(heads_[slot]); }

 private:
  struct At {  // of an entry, its link before it
    std::uint32_t chunk = UINT32_MAX, offset = 0;
    bool none() const { return chunk == UINT32_MAX; }
  };
  struct Link {
    At next;
    std::uint32_t size = 0;  // of the entry
  };
  struct Head {
    MessageId id;
    At first, last;
    bool gone() const { return first.none() && first.offset != 0; }
  };
  static constexpr std::uint32_t kGone = 1, kTold = 2;  // as the offset of no entry; the latter: stores know it
  static_assert(sizeof(Head) == 24);
  static constexpr std::size_t kChunk = 1u << 20;
  struct Known {
    Reason reason;  // until it has an id
    ReasonId id = 0;
  };

  Head &head(MessageId id);
  void keep(Head &head, std::string_view entry);
  void apply(Record &record, std::string_view entry);

  Chunked<Head> heads_;
  IdTable<Replay> by_id_;
  std::size_t messages_ = 0;
  std::vector<std::string> chunks_;
  std::unordered_map<std::uint64_t, Known> reasons_;
  Known unknown_;  // what stands for all that are not among them
  std::unordered_map<MessageId, spool::Place> moved_;
  std::uint64_t last_reason_ = 0;
  std::uint32_t starts_ = 0;
  Nanos leased_until_ = 0;
  std::string scheduling_, learned_;
  std::vector<ClockSteps::Step> clock_steps_;
  std::uint64_t spool_ = 0;
  std::set<StoreKey> owed_;  // but for what is gone
  RestoreOrder restore_;
  std::uint64_t skipped_ = 0;
};

}  // namespace mansio::queue
