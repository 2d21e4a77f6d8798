// Machine: one boot of a computer that runs a queue process over the real store, a writer of mail, a router and a
// delivery process, all on one disk of the test's, until the power goes.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "kernel/config/settings.hpp"
#include "kernel/queue/core.hpp"
#include "kernel/spool/store_impl.hpp"
#include "tests/powercut/writer_process.hpp"

namespace mansio::test {

// Knows while copies may be on the disk that the queue has not heard of.
class WatchedMover final : public spool::Mover {
 public:
  bool may_move(MessageId id, const spool::Place &commit) override {
    const bool may = queue->may_move(id, commit);
    copying |= may;
    return may;
  }
  void moved(const spool::Committed &copy, const spool::Place &from) override {
    copying = false;
    queue->moved(copy, from);
  }
  void damaged(MessageId id, const spool::Place &commit) override { queue->damaged(id, commit); }
  spool::Mover *queue = nullptr;
  bool copying = false;
};

// Also holds that recovery shows no commit twice, and tells the world where messages lie.
class WatchedStore final : public spool::StoreImpl {
 public:
  WatchedStore(World &world, asio::io_context &loop, const Clock &clock, Logger &log, io::FileSystem &files,
               spool::StoreOptions options, spool::Turns *turns)
      : StoreImpl(loop, clock, log, files, std::move(options), turns), world_(world) {}
  bool admit(const spool::Committed &message) override {
    world_.lies(message);
    return StoreImpl::admit(message);
  }
  void compact(spool::Mover &queue) override {
    mover.queue = &queue;
    StoreImpl::compact(mover);
  }
  void grant(std::string_view owner, std::uint64_t least, spool::GrantFor use,
             std::function<void(Result<spool::SegmentGrant>)> done) override;
  WatchedMover mover;
  std::string cold;  // file in which its last cold segment lies
  void end_checkpoint() override {
    ++checkpoints;
    StoreImpl::end_checkpoint();
  }
  std::uint64_t checkpoints = 0;
  void find_mail(OnCommit committed, std::function<void(const spool::Recovered &)> done) override;

 private:
  World &world_;
};

struct QueueProcess final : Process {
  QueueProcess(World &world, FaultFiles &disk, const Clock &clock, TailSink &sink, const config::Settings &settings,
               std::uint64_t seed);
  ~QueueProcess() override;
  Result<void> start();
  std::unique_ptr<WatchedStore> store;
  std::unique_ptr<queue::QueueCore> core;

 private:
  World &world_;
  const Clock &clock_;
  const config::Settings &settings_;
  Events &events_;
  std::uint64_t seed_;
};

class EgressProcess final : public Process, public Actor {
 public:
  EgressProcess(World &world, Random &random, FaultFiles &disk, const Clock &clock, TailSink &sink, wire::Peer peer);
  bool work(bool only_success);  // one delivery, if there is one
  ~EgressProcess() override;
  void die();
  void attached() override;
  void lost() override;
  void receive(Frame &frame) override;

 private:
  enum class How { Any, Sent, Deferred, GivenUp };
  void report(const wire::Lease &lease, std::uint32_t from, std::uint32_t upto, How how);
  void refuse(const wire::Lease &lease);

  World &world_;
  Random &random_;
  Events &events_;
  bool only_success_ = false;
  struct Running {
    wire::Lease lease;
    std::vector<std::shared_ptr<io::File>> files;  // of its slices
    std::uint32_t told = 0;                        // of so many recipients, in order, the end is reported
  };
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::shared_ptr<io::File>> segments_;
  std::map<std::uint64_t, Running> running_;
  std::map<std::uint64_t, std::vector<wire::Outcomes>> kept_;  // until acknowledged
};

struct ControlActor final : Actor {
  void attached() override {}
  void lost() override {}
  void receive(Frame &) override {}
};

class Machine {
 public:
  Machine(World &world, VirtualClock &clock, FaultFiles &disk, Events &events, std::uint64_t seed);
  ~Machine();

  // The queue process, until all mail is found; alone, or with the others beside it already, and new mail coming in.
  // False: it refused to start.
  bool start_queue(bool alone);
  std::string refusal;
  Tolerance tolerance;
  bool fail_copies = false;  // now and then compaction's sync fails
  void check(bool power) const { world_.check(*queue_->core, *queue_->store, power, tolerance); }
  void adopt(bool power) { world_.adopt(*queue_->core, power, tolerance); }
  void start_others();

  // Random life until the power is off or `steps` are over.
  void live(std::uint64_t steps, Durability durability, bool mixed);
  // No more new mail; true once all that was accepted is delivered, but for what is damaged.
  bool deliver_everything();
  // True once mail is accepted again.
  bool accepts_again();
  // The queue process, as an orderly end of the program does it; the power may go meanwhile (`cut`).
  void stop_cleanly(bool cut);
  void note(const std::string &text) { sink_.emit(LogLevel::Info, text + "\n"); }
  std::string log() const;
  const std::set<std::string> &set_aside() const { return sink_.aside; }

  // Steps of a random life (steps.cpp); a new kind of step is one more line in the table there.
  void accept_mail();
  void accept_large_mail();
  void deliver();
  void checkpoint();
  void compact();
  void operate();
  void wait_a_while();
  void restart_queue();
  void kill_ingress();
  void kill_router();
  void kill_egress();
  void kill_inside();
  void restart_cleanly();
  void set_clock();

 private:
  bool start_once(bool alone);
  bool find_mail();
  bool writers_go_on();
  void bury_killed();
  void attach_others();
  Result<void> stop_queue();
  void leave_queue();
  void replace_killed();
  template <class F>
  bool survives(F &&what) {  // false: kill_inside() took effect
    try {
      what();
      return true;
    } catch (const Killed &) {
      ++sink_.events.killed_inside;
      return false;
    }
  }
  struct Down {};  // thrown: the machine does nothing more
  template <class F>
  void unless_down(F &&what) {
    try {
      what();
    } catch (const Down &) {
    }
  }
  void take_step();
  void hear_others();
  void take_early_step();
  void note_unread();
  bool progress();  // one thing that can happen happens
  bool pass_frame(Actor &actor, bool to_queue);
  void attach(Actor &actor);
  void dead(Actor &actor);
  template <class F>
  void each_actor(F &&f) {
    if (ingress_) f(*ingress_);
    if (router_) f(*router_);
    if (egress_) f(*egress_);
    f(control_);
  }
  std::shared_ptr<WriterProcess> make_writer(wire::RoleKind kind, const char *name);
  void kill_writer(std::shared_ptr<WriterProcess> &writer, wire::RoleKind kind, const char *name);

  World &world_;
  VirtualClock &clock_;
  FaultFiles &disk_;
  Random random_;
  config::Settings settings_;
  TailSink sink_;
  Durability durability_ = Durability::Power;
  bool mixed_ = false, only_success_ = false;
  bool attached_ = false;  // the others are, since before the recovery was over
  bool hung_ = false;      // the queue wants the delivery process killed
  std::int32_t next_pid_ = 100;
  std::unique_ptr<QueueProcess> queue_;
  std::shared_ptr<WriterProcess> ingress_, router_;
  std::unique_ptr<EgressProcess> egress_;
  ControlActor control_;
};

}  // namespace mansio::test
