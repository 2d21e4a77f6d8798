// RateLinks: what the scheduler wants to know of the plugins that own limits ([rate.NAME]), passed on to their host
// processes and back. The queue waits for none of them: a question ends in an answer, or at its time limit. While there
// is no process, questions wait for one until then, as one is soon started anew. Of an old and a new generation's
// process the new one is asked. One that is to go is asked nothing more, and let go once it has answered; the last one
// gets back first what was not used.
//
// One thread; time is the clock's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "kernel/base/log.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/queue/peers.hpp"
#include "kernel/scheduler/scheduler.hpp"
#include "kernel/wire/host_messages.hpp"

namespace mansio::queue {

class RateLinks {
 public:
  // The scheduler outlives it.
  RateLinks(const Clock &clock, Logger &log, scheduler::Scheduler &scheduler);

  void set(const config::Settings &settings);
  // A host process; `id` is the caller's name for that channel. False: it is not of a rate plugin.
  bool attach(ConnectionId id, const wire::Peer &peer, std::shared_ptr<Link> link);
  bool receive(ConnectionId from, const io::Message &message);  // false: not from one of ours
  bool closed(ConnectionId id);                                 // the same
  void draining(const wire::Peer &peer);

  // Passes on what the scheduler has to ask and to give back, and ends what was not answered in time. True: there may
  // be more to lease now.
  bool run();
  Nanos wake_at() const;  // mono
  // Gives back all permits that are not used, and all places that no delivery has.
  void stop();
  void stats(const std::function<void(std::string, double)> &put) const;

 private:
  struct Host {
    std::string owner;
    wire::Peer peer;
    std::shared_ptr<Link> link;
    std::size_t under_way = 0;  // questions
    bool going = false;
  };
  struct Owner {
    std::size_t limit = 1000;  // of questions under way
    std::size_t under_way = 0;
    std::deque<std::uint64_t> waiting;  // questions that no process has; may hold some that are over
    bool said = false;                  // that it fails, in the log
    Nanos say_at = 0;                   // not before
    std::uint64_t questions = 0, permits = 0, failures = 0, returned = 0;
  };
  struct Pending {
    scheduler::RateQuestion question;
    Nanos deadline = 0;
    ConnectionId with = 0;  // 0: nobody
  };

  std::pair<const ConnectionId, Host> *host_of(const std::string &owner, bool also_going = false);
  void send_waiting(const std::string &name);
  bool ask(Link &link, const scheduler::RateQuestion &question, Nanos time_limit) const;
  void part(const scheduler::RateQuestion &question);
  void give_back();
  void answer(ConnectionId from, const wire::RateLease &lease);
  void let_go(ConnectionId id);
  void fail(std::unordered_map<std::uint64_t, Pending>::iterator at, std::string_view why);
  void forget(std::unordered_map<std::uint64_t, Pending>::iterator at);

  const Clock &clock_;
  Logger &log_;
  scheduler::Scheduler &scheduler_;
  std::string holder_;  // of places, to their owners: this process, and none before or after it
  std::map<ConnectionId, Host> hosts_;
  std::map<std::string, Owner, std::less<>> owners_;
  std::unordered_map<std::uint64_t, Pending> pending_;  // by the question's number
  std::set<std::pair<Nanos, std::uint64_t>> deadlines_;
};

}  // namespace mansio::queue
