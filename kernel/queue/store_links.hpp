// StoreLinks: the stores ([store.NAME]), as the queue tells them what became of the mail that they keep beside the
// spool, and looks through what they have. Through their host processes, and waiting for none of them.
//
//  - That a message is done with is told to every store until each has said that it is stable there. It is told once
//  the
//    journal says so stably; which of these are yet to be told stands in the journal, too (owed(), take_told()). There
//    are never more of them than messages in the queue when a store went away, as none comes in without it.
//  - Which of a message's recipients are done is told some time after it changes, as it is then. Whoever restarts the
//    queue tells of every message of which some are (changed()).
//  - Of one message one thing is under way at a time. What fails is told again, after a while that grows.
//  - A store is looked through a page at a time: walk(), then go_on() after each page but the last.
//
// Of an old and a new generation's process the new one is spoken to; one that is to go is let go once it has answered.
// Single-threaded; time is the clock's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "kernel/base/log.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/mail/store_key.hpp"
#include "kernel/queue/peers.hpp"
#include "kernel/wire/store_messages.hpp"

namespace mansio::queue {

class StoreLinks {
 public:
  struct Outcome {
    std::uint64_t sequence = 0;  // grows with each recipient that is done
    std::string record;
  };
  // Of a message of this spool that is not done with; nothing: none of its recipients is done, or nobody can say.
  using OutcomeOf = std::function<std::optional<Outcome>(MessageId)>;
  struct Page {
    std::string_view store;
    const std::vector<StoreKey> &keys;
    std::uint32_t strangers = 0;  // what is there and no spool's
    bool last = false;
  };
  struct Status {
    bool connected = false, failing = false;
    std::size_t owed = 0, changed = 0;  // messages to be told of
  };

  StoreLinks(const Clock &clock, Logger &log, OutcomeOf outcome_of, std::function<void(const Page &)> on_page);

  void set(const config::Settings &settings);
  bool any() const { return !stores_.empty(); }
  void spool(std::uint64_t name) { spool_ = name; }  // whose messages changed() speaks of

  // Nothing is to be kept of it any more, once the journal is synced as far as `sequence`.
  void gone(const StoreKey &key, std::uint64_t sequence);
  void changed(MessageId id, std::uint64_t sequence);
  bool owes(const StoreKey &key) const { return owed_.contains(key); }
  std::vector<StoreKey> owed() const;  // gone, and not known by all to be
  // Known by all to be, since this was last asked for.
  std::size_t told() const { return told_.size(); }
  std::vector<StoreKey> take_told() { return std::exchange(told_, {}); }

  void walk(std::string_view store);  // from its beginning, whatever was before
  void go_on(std::string_view store);

  // A host process; `id` is the caller's name for that channel. False: it is not of a store.
  bool attach(ConnectionId id, const wire::Peer &peer, std::shared_ptr<Link> link);
  bool receive(ConnectionId from, const io::Message &message);  // false: not from one of ours
  bool closed(ConnectionId id);                                 // the same
  void draining(const wire::Peer &peer);

  void run(std::uint64_t synced);  // the journal's sequence
  Nanos wake_at() const;           // mono
  bool settled() const;            // there is nothing to tell to anybody who listens: at an orderly end
  Status status(std::string_view store) const;
  void stats(const std::function<void(std::string, double)> &put) const;

 private:
  enum class What : std::uint8_t { Gone, Changed, Page };
  struct Host {
    std::string store;
    wire::Peer peer;
    std::shared_ptr<Link> link;
    std::size_t under_way = 0;
    bool going = false;
  };
  struct Walk {
    bool wanted = false;     // a page is
    std::uint64_t page = 0;  // its number, once it is asked for; 0: not yet
    std::string cursor;
  };
  struct Store {
    std::size_t limit = 100;  // of outcomes under way
    Nanos time_limit = 0;
    std::deque<StoreKey> gone;                             // to be told
    std::unordered_map<MessageId, std::uint64_t> changed;  // the same: when the journal is synced so far
    Nanos changed_at = 0;                                  // and not before
    std::unordered_set<MessageId> under_way;               // of which it hears that they changed
    std::unordered_set<MessageId> then_gone;               // of these, what is gone meanwhile
    std::size_t asked = 0;                                 // outcomes under way
    Walk walk;
    Nanos retry_at = 0, wait = 0;
    bool said = false;  // that it fails, in the log
    std::uint64_t outcomes = 0, failures = 0, pages = 0;
  };
  using Stores = std::map<std::string, Store, std::less<>>;
  struct Pending {
    std::string store;
    What what = What::Gone;
    StoreKey key;
    Nanos deadline = 0;
    ConnectionId with = 0;
  };
  using PendingMap = std::unordered_map<std::uint64_t, Pending>;

  std::pair<const ConnectionId, Host> *host_of(std::string_view store);
  const std::pair<const ConnectionId, Host> *host_of(std::string_view store) const;
  void hand_out(const StoreKey &key);
  void settle(const StoreKey &key);
  void send(const std::string &name, Store &store, std::uint64_t synced);
  bool send_changed(const std::string &name, Store &store, std::pair<const ConnectionId, Host> &host,
                    std::uint64_t synced);
  template <class M>
  bool ask(const std::string &name, Store &store, std::pair<const ConnectionId, Host> &host, What what,
           const StoreKey &key, M message);
  void answered(ConnectionId from, const wire::StoreResult &result);
  void paged(ConnectionId from, const wire::StorePage &page);
  void done(const std::string &name, Store &store);
  void failed(PendingMap::iterator at, std::string_view why);
  void put_back(const Pending &pending, Store &store);
  PendingMap::node_type take(PendingMap::iterator at);
  void let_go(ConnectionId id);

  const Clock &clock_;
  Logger &log_;
  OutcomeOf outcome_of_;
  std::function<void(const Page &)> on_page_;
  std::uint64_t spool_ = 0;
  Stores stores_;
  std::map<ConnectionId, Host> hosts_;
  std::unordered_map<StoreKey, std::uint32_t> owed_;     // how many stores are to say so
  std::deque<std::pair<std::uint64_t, StoreKey>> held_;  // of these: until the journal is synced so far
  std::vector<StoreKey> told_;
  PendingMap pending_;
  std::set<std::pair<Nanos, std::uint64_t>> deadlines_;
  std::uint64_t last_number_ = 0;
  Nanos moved_ = 0;  // when there was last something new, or an answer
};

}  // namespace mansio::queue
