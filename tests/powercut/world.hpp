// World: what everybody outside the spool knows, over all lives of one spool: which mail was sent, what was
// acknowledged, what became of each recipient. Its checks are the claims of docs/durability.md.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kernel/mail/envelope.hpp"
#include "kernel/queue/core.hpp"
#include "kernel/spool/store.hpp"
#include "tests/support/fault_files.hpp"

namespace mansio::test {

struct Failure {  // thrown: a claim does not hold
  std::string text;
};

enum class Fate : std::uint8_t { Waiting, Sent, Bounced };

struct Destiny {              // of one recipient
  Fate fate = Fate::Waiting;  // as a queue process was told
  bool stable = false;        // and said that this is on stable storage
  bool active = false;        // leased, and no word since, or delivered: another delivery may be a duplicate
  bool reached = false;       // some delivery said Sent
  bool told = false;          // a queue process was told once how it ended: a journal read again may say so again
};

struct Mail {
  std::string bytes;
  Envelope envelope;
  std::vector<Destiny> recipients;
  Durability durability = Durability::Power;
  bool committing = false;    // commit() was called: it may surface
  bool acknowledged = false;  // its 250 was sent
  bool deleted = false;       // an operator said so: whether it is still there is not known
  std::uint64_t sent_in = 0, acknowledged_in = 0,
                deleted_in = 0;  // starts of the queue process: since then it need not be found
  bool vanished = false;         // not found after a power cut: it must never come back
};

// Which faults a life had, and so which claims cannot be made.
struct Tolerance {
  std::set<MessageId> damaged;  // these lie where a bit flipped, or a sector cannot be read or reads as zeros
  std::uint64_t wiped = 0;      // so many sectors read as zeros: what they held is nowhere
  // Lie where some start could not read: it did not find them, and what later checkpoints say of outcomes is without
  // them. Once the disk gives the bytes again they must be there, perhaps as they once were.
  std::set<MessageId> unread;
  std::set<MessageId> unread_now;                     // by this start
  bool some_unread_now = false, some_unread = false;  // what was found by a scan only may lie there too
  bool failing = false;          // of what was not synced nothing is promised, even without a power cut
  bool journal_damaged = false;  // outcomes may be forgotten: mail may come back, without a flag
};

class World {
 public:
  void reserved(MessageId id);
  void granted(std::uint32_t segment, std::uint32_t epoch);
  Mail &sent(MessageId id, std::string bytes, Envelope envelope, Durability durability);
  void leased(const wire::Lease &lease, const std::string &bytes);
  void delivered(MessageId id, std::uint32_t recipient);
  void reported(const wire::Outcomes &outcomes);
  void acknowledged(const wire::Outcomes &outcomes);
  void asked(const wire::DsnRequest &request);

  // What a queue process knows after its start. `power`: there was a power cut, not just the end of a process.
  void check(const queue::QueueCore &core, spool::Store &store, bool power, const Tolerance &tolerance) const;
  // This start is the one that goes on.
  void adopt(const queue::QueueCore &core, bool power, const Tolerance &tolerance);
  // Whose mail lies there?
  std::set<MessageId> lying_in(const std::string &path, std::uint64_t from, std::uint64_t to) const;
  // All that had to be delivered was.
  bool everything_delivered(const Tolerance &tolerance, std::string *what = nullptr) const;

  // It lies where some start could not read, and was done when another could: then its bytes went.
  bool done_since_unread(MessageId id, const Tolerance &t) const;

  void lies(const spool::Committed &at);  // the queue process takes it in
  // What the disk holds, whoever has heard of it: copies that a death left behind, and mail that was not acknowledged.
  void learn_places(const FaultFiles &disk);
  std::uint64_t starts = 0;               // of the queue process so far
  std::map<MessageId, Mail> mail;
  std::map<MessageId, spool::Committed> places;  // where commits were, for ever

 private:
  using Name = std::pair<MessageId, std::uint32_t>;  // of a notification: its parent, and which event of it
  static Name key(const DsnParent &name) { return {name.id, name.event}; }
  void check_notifications(const queue::Index &index, bool power, const Tolerance &t) const;
  bool was_unread(MessageId id, const Tolerance &t) const {
    return t.unread.contains(id) || (t.some_unread && !places.contains(id));
  }

  // What says that it is done cannot be read. Its body went when that could be.
  bool outlived(MessageId id, const Mail &m, const Tolerance &t) const;

  std::map<Name, std::set<std::string>> told_;  // of which recipients' failures each tells
  std::set<Name> renamed_;                      // was asked for again with others
  template <class F>
  void each_place(F &&f) const {
    for (const auto &[id, at] : places) f(at);
    for (const auto &[id, at] : copies_) f(at);
  }
  std::multimap<MessageId, spool::Committed> copies_;  // where else they were
  std::set<MessageId> ids_;
  std::set<std::pair<std::uint32_t, std::uint32_t>> fillings_;
};

}  // namespace mansio::test
