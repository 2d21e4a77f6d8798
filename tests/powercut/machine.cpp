#include "tests/powercut/machine.hpp"

#include <algorithm>
#include <utility>

namespace mansio::test {
namespace {

spool::StoreOptions store_options() {
  spool::StoreOptions o;
  o.directory = "/spool";
  o.node = 7;
  o.segment_size = 32 * 1024;
  o.spare_segments = 1;
  o.free_segments = 3;
  o.reserve_bytes = 1 << 20;
  o.journal_sync_interval = 0;
  o.journal_rotate_bytes = 40 * 1024;
  o.journal_reserve = 64 * 1024;
  o.cold_reserve = o.segment_size;
  o.compact_after = 0;
  return o;
}

}  // namespace

// ---- the queue process ---------------------------------------------------------------------------------------------

void WatchedStore::find_mail(OnCommit committed, std::function<void(const spool::Recovered &)> done) {
  using Seen = std::set<std::pair<std::uint32_t, std::uint64_t>>;  // copies have places of their own
  StoreImpl::find_mail(
      [seen = std::make_shared<Seen>(), committed = std::move(committed)](const spool::Committed &at,
                                                                          Envelope &&envelope) {
        if (!seen->insert({at.commit.segment, at.commit.offset}).second)
          throw Failure{"shown twice: " + to_string(at.id)};
        committed(at, std::move(envelope));
      },
      std::move(done));
}

// Compaction has nowhere to copy to yet.
void WatchedStore::grant(std::string_view owner, std::uint64_t least, spool::GrantFor use,
                         std::function<void(Result<spool::SegmentGrant>)> done) {
  if (use != spool::GrantFor::Compaction) return StoreImpl::grant(owner, least, use, std::move(done));
  mover.copying = false;
  StoreImpl::grant(owner, least, use, [this, done = std::move(done)](Result<spool::SegmentGrant> given) {
    if (given) cold = "segments/" + spool::file_name(given->segment);
    done(std::move(given));
  });
}

QueueProcess::QueueProcess(World &world, FaultFiles &disk, const Clock &clock, TailSink &sink,
                           const config::Settings &settings, std::uint64_t seed)
    : Process(disk, clock, sink, "queue"),
      world_(world),
      clock_(clock),
      settings_(settings),
      events_(sink.events),
      seed_(seed) {}

QueueProcess::~QueueProcess() {
  files.kill();
  if (store) events_.checkpoints += store->checkpoints;
  if (store) events_.copied += store->usage().compacted_messages;
  core.reset();
  store.reset();
}

Result<void> QueueProcess::start() {
  store = std::make_unique<WatchedStore>(world_, loop, clock_, log, files, store_options(), &turns);
  if (auto r = store->prepare(); !r) return r;
  core = std::make_unique<queue::QueueCore>(clock_, log, settings_, *store, seed_);
  if (auto r = core->recover(); !r) return r;
  store->on_wanted([this](std::uint32_t segment, std::uint32_t epoch) { core->wanted(segment, epoch); });
  store->on_unadmitted([this](std::uint32_t segment, std::uint32_t epoch) { core->unadmitted(segment, epoch); });
  store->on_synced([this](std::uint64_t) { core->synced(); });
  return {};
}

// ---- the machine ----------------------------------------------------------------------------------------------------

Machine::Machine(World &world, VirtualClock &clock, FaultFiles &disk, Events &events, std::uint64_t seed)
    : world_(world), clock_(clock), disk_(disk), random_(seed), sink_(events, disk_) {
  settings_.myhostname = "mx.example.net";
  config::Transport smtp;
  smtp.name = "smtp";
  smtp.destination_recipient_limit = 2;
  smtp.delivery_time_limit = kSecond * 100'000'000;  // a test's hours pass in a moment
  settings_.transports.push_back(smtp);
  settings_.queue.maximal_queue_lifetime = settings_.queue.bounce_queue_lifetime = 86400 * kSecond * 10'000;
  settings_.queue.worker_kill_limit = 0;
  control_.peer = {wire::RoleKind::Control, 0, 1, "control", 50};
}

Machine::~Machine() {
  queue_.reset();
  for (auto *writer : {&ingress_, &router_})
    if (*writer) (*writer)->kill();
}

bool Machine::start_queue(bool alone) {
  for (;;) {
    bool started = false;
    if (survives([&] { started = start_once(alone); })) return started;
    note_unread();
    leave_queue();
  }
}

bool Machine::start_once(bool alone) {
  ++world_.starts;
  attached_ = false;
  (void)disk_.take_unread();
  queue_ = std::make_unique<QueueProcess>(world_, disk_, clock_, sink_, settings_, random_());
  if (!alone && random_() % 8 == 0) queue_->files.kill_after(1 + random_() % 16, random_() % 2);
  auto started = queue_->start();
  if (started) queue_->core->on_hung([this](const wire::Peer &, std::string_view) { hung_ = true; });
  if (started && !alone && random_() % 2 == 0) {
    attach_others();
    attached_ = true;
  }
  if (started && !find_mail()) started = Error{Status::Fail, "the recovery does not end"};
  if (disk_.dead()) started = Error{Status::Fail, "the power is off"};
  note_unread();
  if (started) return true;
  attached_ = false;
  refusal = started.error().text;
  queue_.reset();
  return false;
}

// Until all of it is found, or the power goes.
bool Machine::find_mail() {
  if (!attached_ && ingress_ && random_() % 8 == 0) ingress_->files.kill_after(1 + random_() % 8, random_() % 2);
  while (queue_->core->recovering() && !(attached_ && disk_.dead())) {
    bool done = false;
    const bool alive = survives([&] {
      if (attached_ && random_() % 4 == 0) take_early_step();
      if (random_() % 2 == 0) done = attached_ ? progress() : writers_go_on();
      done = done || queue_->poll() || queue_->turns.run_one(random_);
    });
    if (!queue_->files.alive()) throw Killed{};
    if (!alive && attached_)
      replace_killed();
    else if (!alive)
      bury_killed();
    else if (!done)
      return false;
  }
  return true;
}

// Those who outlived the last queue process, and have not heard of this one.
bool Machine::writers_go_on() {
  for (auto *writer : {&ingress_, &router_})
    if (*writer && ((*writer)->poll() || (*writer)->turns.run_one(random_))) return true;
  return false;
}

// Nobody hears of it.
void Machine::bury_killed() {
  for (auto *writer : {&ingress_, &router_}) {
    if (!*writer || (*writer)->files.alive()) continue;
    (*writer)->kill();
    writer->reset();
  }
}

// The queue process is dead. What it had sent is read by the others; what they had sent is not.
void Machine::leave_queue() {
  each_actor([&](Actor &a) {
    while (pass_frame(a, false)) {
    }
    a.lost();
  });
  attached_ = false;
  queue_.reset();
}

void Machine::replace_killed() {
  const auto replace = [&] {
    if (ingress_ && !ingress_->files.alive()) kill_ingress();
    if (router_ && !router_->files.alive()) kill_router();
    if (queue_ && !queue_->files.alive()) restart_queue();
  };
  while (!survives(replace)) {
  }
}

// What this start could not read. What fails in one piece is read again by pages, and a header by sectors: two of them
// hold a copy each, and without either the segment shows nothing.
void Machine::note_unread() {
  tolerance.unread_now.clear();
  tolerance.some_unread_now = false;
  std::map<std::string, std::set<std::uint64_t>> headers;
  const auto unread = disk_.take_unread();
  if (!unread.empty()) world_.learn_places(disk_);
  for (const auto &[path, from, to] : unread) {
    tolerance.journal_damaged |= path.find("/journal/") != std::string::npos;
    if (path.find("/segments/") == std::string::npos || to - from > spool::kPage) continue;
    tolerance.some_unread_now = tolerance.some_unread = true;
    if (to <= spool::kPage) {
      auto &copies = headers[path];
      if (to - from == 512) copies.insert(from);
      if (copies.contains(0) && copies.contains(2048)) tolerance.unread_now.merge(world_.lying_in(path, 0, UINT64_MAX));
    } else {
      tolerance.unread_now.merge(
          world_.lying_in(path, from / spool::kPage * spool::kPage, spool::round_up(to, spool::kPage)));
    }
  }
  tolerance.unread.insert(tolerance.unread_now.begin(), tolerance.unread_now.end());
}

std::shared_ptr<WriterProcess> Machine::make_writer(wire::RoleKind kind, const char *name) {
  auto writer =
      std::make_shared<WriterProcess>(world_, random_, disk_, clock_, sink_, wire::Peer{kind, 0, 1, name, next_pid_++});
  writer->start();
  return writer;
}

void Machine::start_others() {
  unless_down([&] {
    if (!survives([&] { attach_others(); })) replace_killed();
  });
}

void Machine::attach_others() {
  if (std::exchange(attached_, false)) return;
  if (!ingress_) ingress_ = make_writer(wire::RoleKind::Ingress, "ingress.0");
  if (!router_) router_ = make_writer(wire::RoleKind::Router, "router");
  if (!egress_)
    egress_ = std::make_unique<EgressProcess>(world_, random_, disk_, clock_, sink_,
                                              wire::Peer{wire::RoleKind::Egress, 0, 1, "egress.smtp", next_pid_++});
  each_actor([&](Actor &a) { attach(a); });
  queue_->core->attach_done();
}

void Machine::attach(Actor &actor) {
  actor.to_queue = std::make_shared<Pipe>();
  actor.from_queue = std::make_shared<Pipe>();
  actor.connection = queue_->core->attach(actor.peer, std::make_shared<PipeLink>(actor.from_queue));
  actor.attached();
}

// What it had said is still heard, then the supervisor says that it was reaped.
void Machine::dead(Actor &actor) {
  if (!queue_ || !queue_->files.alive()) return;
  while (pass_frame(actor, true)) {
  }
  if (actor.from_queue) actor.from_queue->open = false;
  (void)survives([&] {
    queue_->core->closed(actor.connection);
    queue_->core->dead({actor.peer, true, 0, true});
  });
}

bool Machine::pass_frame(Actor &actor, bool to_queue) {
  const auto pipe = to_queue ? actor.to_queue : actor.from_queue;
  if (!pipe || pipe->frames.empty()) return false;
  auto frame = std::move(pipe->frames.front());
  pipe->frames.pop_front();
  if (!to_queue) {
    actor.receive(frame);
    return true;
  }
  if (!queue_ || !queue_->files.alive()) return true;
  if (frame.type == wire::Outcomes::kType) world_.reported(*decode<wire::Outcomes>(frame.payload));
  io::Message message{frame.type, frame.payload, frame.fds};
  (void)survives([&] { queue_->core->receive(actor.connection, message); });
  return true;
}

bool Machine::progress() {
  constexpr std::size_t kKinds = 14;
  const auto first = random_();
  for (std::size_t i = 0; i < kKinds; ++i) {
    bool done = false;
    switch ((first + i) % kKinds) {
      case 0:
      case 1:
        done = queue_->poll();
        break;
      case 2:
        done = queue_->turns.run_one(random_);
        break;
      case 3:
        done = ingress_->poll();
        break;
      case 4:
        done = ingress_->turns.run_one(random_);
        break;
      case 5:
        done = router_->poll();
        break;
      case 6:
        done = router_->turns.run_one(random_);
        break;
      case 7:
        done = pass_frame(*ingress_, true);
        break;
      case 8:
        done = pass_frame(*ingress_, false);
        break;
      case 9:
        done = pass_frame(*router_, true);
        break;
      case 10:
        done = pass_frame(*router_, false);
        break;
      case 11:
        done = pass_frame(*egress_, true);
        break;
      case 12:
        done = pass_frame(*egress_, false);
        break;
      case 13:
        done = pass_frame(control_, true) || pass_frame(control_, false);
        break;
    }
    if (!done) continue;
    if (random_() % 3 == 0 && queue_->files.alive()) queue_->core->turn();
    return true;
  }
  return queue_->core->turn();
}

// What was promised and not delivered is, when nothing fails any more.
bool Machine::deliver_everything() {
  only_success_ = true;
  control_.to_queue->send(wire::QueueCommand{1, "release", {}, true, {}, "test"});
  for (int quiet = 0; quiet < 400;) {
    if (disk_.dead()) return false;
    if (std::exchange(hung_, false)) kill_egress();
    if (progress() || egress_->work(true)) continue;
    if (world_.everything_delivered(tolerance) && ingress_->sessions() == 0 && router_->sessions() == 0) return true;
    if (++quiet == 300)
      for (const auto *verb : {"release", "flush"})  // of mail that has come since
        control_.to_queue->send(wire::QueueCommand{1, verb, {}, true, {}, "test"});
    ingress_->catch_up();  // a hint of a notification written just now may be lost too
    router_->catch_up();
    clock_.advance(quiet % 8 == 0 ? 500 * kSecond
                                  : std::max<Nanos>(queue_->core->wake_at() - clock_.mono(), 50 * kMillisecond));
  }
  return world_.everything_delivered(tolerance);
}

bool Machine::accepts_again() {
  const auto accepted = [this] {
    return std::count_if(world_.mail.begin(), world_.mail.end(), [](const auto &m) { return m.second.acknowledged; });
  };
  const auto before = accepted();
  for (int quiet = 0; quiet < 20;) {
    if (accepted() > before) return true;
    if (progress()) continue;
    ++quiet;
    clock_.advance(kSecond);
    if (ingress_->sessions() == 0) accept_mail();
  }
  return false;
}

// What its thread has yet to do is done first: whoever waits for a thread to end cannot be killed there, in this model.
Result<void> Machine::stop_queue() {
  while (queue_->turns.run_one(random_)) {
  }
  return queue_->core->stop();
}

void Machine::stop_cleanly(bool cut) {
  if (!queue_) return;
  unless_down([&] {
    for (int i = 0; i < 200; ++i) {
      bool more = false;
      (void)survives([&] { more = progress(); });
      replace_killed();
      if (!more || disk_.dead()) break;
    }
  });
  if (!queue_ || disk_.dead()) return;
  if (cut) disk_.cut_after(1 + random_() % 6);
  (void)survives([&] { (void)stop_queue(); });
  leave_queue();
  // Those who write may go on for a moment.
  for (auto n = random_() % 40; n > 0; --n)
    (void)survives([&] { (void)(ingress_->poll() || ingress_->turns.run_one(random_)); });
}

std::string Machine::log() const {
  std::string out;
  for (const auto &line : sink_.lines) out += line;
  return out;
}

}  // namespace mansio::test
