// Fleet: the posts that are to be filled and the processes that fill them. It starts them, connects them with the
// queue, notices their deaths, tells the others, and starts them again with backoff. What should run, and when, the
// Supervisor decides.
//
// A death counts once the process is reaped *and* its channel is read to its end: only then is it known that it
// does nothing more, and only then are the others told.
#pragma once

#include <bitset>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "kernel/base/log.hpp"
#include "kernel/io/channel.hpp"
#include "kernel/process/shared.hpp"
#include "kernel/supervisor/backoff.hpp"
#include "kernel/supervisor/breaker.hpp"
#include "kernel/supervisor/checked.hpp"
#include "kernel/supervisor/guest_deaths.hpp"
#include "kernel/supervisor/launcher.hpp"
#include "kernel/supervisor/listeners.hpp"

namespace mansio::supervisor {

// One configuration in force, or about to be.
struct Generation {
  std::uint32_t epoch = 0;
  Checked checked;
  io::UniqueFd snapshot;  // sealed memfd of checked.snapshot
};

enum class ChildState : std::uint8_t { Starting, Ready, Draining };

struct Child {
  explicit Child(asio::io_context &loop) : timer(loop) {}
  wire::Peer self;
  std::uint32_t slot = 0;
  ChildState state = ChildState::Starting;
  Nanos started = 0;
  bool asked_to_stop = false;
  Nanos stops_by = 0;                  // mono: when it was asked to have ended; 0: killed
  Nanos sessions_by = 0;               // mono: and until when sessions that it has may go on
  bool takes_work = true;              // until it has answered that
  bool closed = false, ended = false;  // its channel; its process
  bool never_ready = false;            // and was killed for it
  std::weak_ptr<Child> reconnecting;   // the queue that its channel to was lost; another is made in a moment
  Exit exit;
  std::string failure;  // what Failed said
  std::shared_ptr<io::Channel> channel;
  std::unique_ptr<Launched> process;
  asio::steady_timer timer;  // to be ready, to have drained, to have ended after closing its channel
  bool serving() const { return state != ChildState::Starting && !closed; }
};

struct Post {
  explicit Post(asio::io_context &loop) : restart(loop) {}
  wire::RoleKind kind = wire::RoleKind::Supervisor;
  std::uint32_t instance = 0;
  // Of a host one of those after the first: its table.
  std::string name, transport, lookup, filter, policy, event, rate, auth, store;
  // A host that the queue is a client of: of events and rates it is the only one.
  bool of_queue() const { return !event.empty() || !rate.empty() || !store.empty(); }
  bool for_queue = false;  // a policy's: the router and what delivers ask it, too
  std::uint32_t needs = 0;
  std::shared_ptr<const Generation> generation;
  bool wanted = true;       // to be filled; false: its child is the last one
  bool in_service = false;  // its generation is in force: connected as soon as it is ready, started again if it dies
  bool replace = false;     // its child drains only to be started anew at once
  bool persists = false;    // started again before it is in service, too, where it died of a guest
  bool waits = false;       // to be started again
  std::uint32_t deaths = 0;
  Nanos ended_at = 0;  // its last child, mono; 0: none has
  std::string last_failure;
  Backoff backoff;
  Breaker breaker;  // of a host
  std::shared_ptr<Child> child;
  asio::steady_timer restart;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);  // for handlers that may outlive the post
  bool ready() const { return child && child->state == ChildState::Ready && !child->closed; }
};

class Fleet {
 public:
  struct Hooks {
    std::function<void(Post &, io::Message &)> message;  // what the fleet does not handle itself
    std::function<void(Post &)> ready;
    std::function<void()> changed;                 // somebody became ready, takes no more work, or died
    std::function<Result<io::UniqueFd>()> log_fd;  // a descriptor of the log for a new child
  };
  Fleet(asio::io_context &loop, const Clock &clock, Logger &log, Launcher &launcher, process::SharedMemory &shared,
        const Listeners &listeners, Hooks hooks);
  ~Fleet();

  Post &add(wire::RoleKind kind, std::uint32_t instance, std::string name,
            std::shared_ptr<const Generation> generation);
  void start(Post &post);
  void enter_service(Post &post);  // connects it, now or as soon as it is ready
  // `sessions`: for so long those of an ingress go on. A later call counts where it leaves less time of either.
  void drain(Post &post, Nanos within, Nanos sessions = 0);
  void kill(Post &post);
  void retire(Post &post);  // no restart; drained or killed by the caller
  // A stop: nobody comes in the place of who delivers. The queue gives nothing out any more, and does not take it for
  // an outage, which would count as a failed attempt.
  void end_deliveries();
  void lost_peer(Post &post, const wire::Peer &peer);
  // `asker` says that this process hangs. Only the queue may, and only of those that it waits for: who hold leases, and
  // writers.
  void end_hung(Post &asker, const wire::EndPeer &hung);

  std::list<Post> &posts() { return posts_; }
  std::size_t room() const { return slots_.size() - slots_.count(); }  // for so many more processes
  Post *queue();
  template <class M>
  void broadcast(const M &message) {
    for (auto &p : posts_)
      if (p.child && p.child->serving()) p.child->channel->send(message);
  }
  void sweep();  // forgets posts that are neither wanted nor filled, and deaths of guests of configurations without any

 private:
  void on_message(Post &post, const std::shared_ptr<Child> &child, io::Message &m);
  void on_ready(Post &post);
  void check_dead(Post &post, const std::shared_ptr<Child> &child);
  void died(Post &post, const std::shared_ptr<Child> &child);
  void log_open(const config::PlanGuest &guest, const GuestDeaths::Verdict &verdict, std::string_view reason);
  void start_later(Post &post, Nanos wait);
  void serve(Post &post);
  bool connect_to_queue(Post &post);
  bool connect(Post &client, Post &server);
  bool connect_hosts(Post &post);
  void retry_serve(Post &post);
  void arm(const std::shared_ptr<Child> &child, Nanos within, std::string_view why);
  Result<void> launch(Post &post);
  void kill_child(Child &child);

  asio::io_context &loop_;
  const Clock &clock_;
  Logger &log_;
  Launcher &launcher_;
  process::SharedMemory &shared_;
  const Listeners &listeners_;
  Hooks hooks_;
  std::list<Post> posts_;
  std::bitset<process::kSlots> slots_;
  GuestDeaths guest_deaths_;
  bool ending_ = false, deliveries_ended_ = false;
};

}  // namespace mansio::supervisor
