// What happens in a random life. To add a kind of step, write it as a member of Machine and name it in kSteps.
#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "tests/powercut/machine.hpp"

namespace mansio::test {
namespace {

struct Step {
  unsigned weight;
  void (Machine::*run)();
};

constexpr std::array kSteps{
    Step{24, &Machine::accept_mail},  Step{4, &Machine::accept_large_mail}, Step{30, &Machine::deliver},
    Step{3, &Machine::checkpoint},    Step{4, &Machine::operate},           Step{6, &Machine::wait_a_while},
    Step{1, &Machine::restart_queue}, Step{1, &Machine::kill_ingress},      Step{1, &Machine::kill_router},
    Step{1, &Machine::kill_egress},   Step{4, &Machine::kill_inside},       Step{1, &Machine::restart_cleanly},
    Step{1, &Machine::set_clock},     Step{8, &Machine::compact},
};

// While earlier mail is being found.
constexpr std::array kEarlySteps{
    &Machine::accept_mail,  &Machine::accept_mail,  &Machine::accept_large_mail, &Machine::operate,
    &Machine::wait_a_while, &Machine::kill_ingress, &Machine::kill_egress,       &Machine::set_clock,
};

unsigned total() {
  unsigned sum = 0;
  for (const auto &s : kSteps) sum += s.weight;
  return sum;
}

}  // namespace

void Machine::live(std::uint64_t steps, Durability durability, bool mixed) {
  durability_ = durability;
  mixed_ = mixed;
  unless_down([&] {
    for (std::uint64_t i = 0; i < steps && !disk_.dead() && queue_; ++i) {
      if (std::exchange(hung_, false)) kill_egress();
      (void)survives([&] {
        if (random_() % 4 == 0 || !progress()) take_step();
      });
      replace_killed();
    }
  });
}

void Machine::take_step() {
  auto choice = random_() % total();
  for (const auto &s : kSteps) {
    if (choice < s.weight) return (this->*s.run)();
    choice -= s.weight;
  }
}

void Machine::take_early_step() {
  if (!disk_.dead()) (this->*kEarlySteps[random_() % kEarlySteps.size()])();
}

void Machine::accept_mail() {
  if (ingress_->sessions() >= 8) return;
  Envelope e;
  e.sender = "sender@example.org";
  const auto recipients = random_() % 4 == 0 ? 3u : 1u;
  for (unsigned i = 0; i < recipients; ++i)
    e.recipients.push_back(
        {"user" + std::to_string(i) + "@d" + std::to_string(random_() % 3) + ".example", {}, {}, 0, 0});
  e.routes.push_back({"smtp", ""});
  e.arrival = clock_.wall();
  if (random_() % 16 == 0) e.hold_until = std::numeric_limits<Nanos>::max();
  auto durability = durability_;
  if (mixed_ && random_() % 2) durability = Durability::Process;
  ingress_->accept(random_() % 2500, std::move(e), durability);
}

void Machine::accept_large_mail() {
  if (ingress_->sessions() >= 8) return;
  Envelope e;
  e.sender = "sender@example.org";
  e.recipients.push_back({"large@d0.example", {}, {}, 0, 0});
  e.routes.push_back({"smtp", ""});
  e.arrival = clock_.wall();
  ingress_->accept(12000 + random_() % 16000, std::move(e), durability_);
}

void Machine::deliver() { egress_->work(only_success_); }

void Machine::checkpoint() {
  if (queue_->store->wants_checkpoint()) clock_.advance(kSecond);  // a tick does it
  queue_->core->turn();
}

// Compaction looks at the segments. When it copies, its thread often goes ahead of the loop, which hears of other
// things first: of what is copied just now some is delivered, and a checkpoint may be due. Now and then that is all
// there was time for.
void Machine::compact() {
  clock_.advance(kSecond);
  queue_->core->turn();
  for (auto n = random_() % 60; n > 0 && !queue_->store->mover.copying; --n)
    (void)(queue_->turns.run_one(random_) || queue_->poll());
  if (!queue_->store->mover.copying || random_() % 3 == 0) return;
  if (fail_copies && random_() % 2) disk_.fail(Op::Sync, queue_->store->cold, 1, Status::Internal);
  // All of it becomes due, and the journal grows.
  constexpr std::array<const char *, 4> kVerbs{"flush", "release", "requeue", "requeue"};
  for (auto n = random_() % 5; n > 0; --n)
    control_.to_queue->send(wire::QueueCommand{1, kVerbs[random_() % kVerbs.size()], {}, true, {}, "test"});
  for (auto n = random_() % 160; n > 0; --n) hear_others();
  if (random_() % 2) restart_queue();
}

// What the queue's threads and its delivery process do, without a look at what the threads have done.
void Machine::hear_others() {
  switch (random_() % 9) {
    case 0:
    case 1:
    case 2:
      queue_->turns.run_one(random_);
      return;
    case 3:
      egress_->work(true);
      return;
    case 4:
      pass_frame(*egress_, true);
      return;
    case 5:
      pass_frame(*egress_, false);
      return;
    case 6:
      pass_frame(control_, true);
      return;
    case 7:
      clock_.advance(kSecond);
      [[fallthrough]];
    default:
      queue_->core->turn();
  }
}

void Machine::operate() {
  if (world_.mail.empty()) return;
  auto at = world_.mail.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(random_() % world_.mail.size()));
  constexpr std::array<const char *, 6> kVerbs{"hold", "release", "requeue", "flush", "release", "delete"};
  const std::string verb = kVerbs[random_() % kVerbs.size()];
  if (verb == "delete") {
    if (random_() % 4 != 0) return;
    at->second.deleted = true;
    at->second.deleted_in = world_.starts;
  }
  control_.to_queue->send(wire::QueueCommand{1, verb, {to_string(at->first)}, false, {}, "test"});
}

void Machine::wait_a_while() {
  const auto until = queue_->core->wake_at() - clock_.mono();
  clock_.advance(random_() % 4 == 0 ? 600 * kSecond : std::clamp<Nanos>(until, 0, 400 * kSecond));
  queue_->core->turn();
}

// kill -9 of the queue process.
void Machine::restart_queue() {
  leave_queue();
  if (!start_queue(false)) {
    if (disk_.dead() || disk_.failures() > 0) throw Down{};
    throw Failure{"the queue did not start again: " + refusal};
  }
  check(false);
  adopt(false);
  attach_others();
}

void Machine::restart_cleanly() {
  (void)stop_queue();
  restart_queue();
}

// kill -9 in the middle of something: between a write and its sync, as likely as not.
void Machine::kill_inside() {
  std::array<ProcessFiles *, 4> all{&queue_->files, &queue_->files, &ingress_->files, &router_->files};
  all[random_() % all.size()]->kill_after(1 + random_() % 12, random_() % 2);
}

// By an operator, by NTP, or by a machine that was asleep.
void Machine::set_clock() {
  constexpr std::array<Nanos, 3> kBy{20 * kSecond, 400 * kSecond, 3000 * kSecond};
  const auto step = kBy[random_() % kBy.size()];
  clock_.step_wall(random_() % 2 ? step : -step);
  ++sink_.events.clock_steps;
}

void Machine::kill_writer(std::shared_ptr<WriterProcess> &writer, wire::RoleKind kind, const char *name) {
  const auto said = writer->to_queue;
  writer->kill();
  writer->to_queue = said;
  dead(*writer);
  writer = make_writer(kind, name);
  attach(*writer);
}

void Machine::kill_ingress() { kill_writer(ingress_, wire::RoleKind::Ingress, "ingress.0"); }
void Machine::kill_router() { kill_writer(router_, wire::RoleKind::Router, "router"); }

void Machine::kill_egress() {
  egress_->die();
  dead(*egress_);
  egress_ = std::make_unique<EgressProcess>(world_, random_, disk_, clock_, sink_,
                                            wire::Peer{wire::RoleKind::Egress, 0, 1, "egress.smtp", next_pid_++});
  attach(*egress_);
}

}  // namespace mansio::test
