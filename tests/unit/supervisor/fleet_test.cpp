// A fleet of stub roles that run as threads: they become ready, note what they are told, and end on demand.
#include "kernel/supervisor/fleet.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "kernel/process/memfd.hpp"

namespace mansio::supervisor {
namespace {

// What every stub heard, by role kind; shared by their threads.
class Record {
 public:
  void note(wire::RoleKind kind, std::string what) {
    const std::lock_guard lock{mutex_};
    notes_[kind].push_back(std::move(what));
  }
  std::size_t count(wire::RoleKind kind, const std::string &what) const {
    const std::lock_guard lock{mutex_};
    const auto at = notes_.find(kind);
    return at == notes_.end() ? 0 : static_cast<std::size_t>(std::count(at->second.begin(), at->second.end(), what));
  }
  std::vector<std::string> of(wire::RoleKind kind) const {
    const std::lock_guard lock{mutex_};
    const auto at = notes_.find(kind);
    return at == notes_.end() ? std::vector<std::string>{} : at->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<wire::RoleKind, std::vector<std::string>> notes_;
};

constexpr Nanos kLong = 1800 * kSecond;  // in which a stub has more in hand than it can finish

// "Command" with verb "die" is this test's way to make a stub end by itself.
int stub(Record &record, wire::RoleKind kind, io::UniqueFd fd) {
  asio::io_context loop;
  int status = 0;
  const auto channel = io::Channel::create(loop, std::move(fd));
  channel->start(
      [&](io::Message &m) {
        if (m.type == wire::Start::kType) {
          record.note(kind, "start");
          channel->send(wire::Ready{});
        } else if (m.type == wire::Attach::kType) {
          const auto attach = decode<wire::Attach>(m.payload);
          record.note(kind, "attach " + attach->peer.name);
          if (attach->asks) record.note(kind, "asks " + attach->peer.name);
        } else if (m.type == wire::AttachDone::kType) {
          record.note(kind, "attach done");
        } else if (m.type == wire::Dead::kType) {
          const auto dead = decode<wire::Dead>(m.payload);
          record.note(kind,
                      "dead " + dead->peer.name + (dead->crashed ? " crashed " : " ") + std::to_string(dead->culprit));
        } else if (m.type == wire::Draining::kType) {
          record.note(kind, "draining " + decode<wire::Draining>(m.payload)->peer.name);
        } else if (m.type == wire::Listener::kType) {
          record.note(kind, "listener " + decode<wire::Listener>(m.payload)->name);
        } else if (m.type == wire::Drain::kType) {
          const auto drain = decode<wire::Drain>(m.payload);
          record.note(kind, drain->sessions_ns > 0 ? "sessions go on" : "drain");
          if (drain->within_ns < kLong) loop.stop();
        } else if (m.type == wire::Command::kType) {
          channel->send(wire::Failed{"told to die"});
          channel->flush_now();
          status = 1;
          loop.stop();
        }
      },
      [&](std::string_view) { loop.stop(); });
  loop.run();
  channel->close();
  return status;
}

class FleetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    launcher_ = thread_launcher(
        loop_, [this](wire::RoleKind kind, io::UniqueFd fd) { return stub(record_, kind, std::move(fd)); });
    shared_ = std::move(*process::SharedMemory::create());
    generation_ = std::make_shared<Generation>();
    generation_->epoch = 1;
    generation_->snapshot = std::move(*process::sealed_memfd("snapshot", ""));
    ASSERT_TRUE(listeners_.open({{"smtp", {{"127.0.0.1", 0}}}}).ok());
    Fleet::Hooks hooks;
    hooks.message = [](Post &, io::Message &) {};
    hooks.ready = [](Post &) {};
    hooks.changed = [] {};
    hooks.log_fd = []() -> Result<io::UniqueFd> { return io::UniqueFd{::open("/dev/null", O_WRONLY | O_CLOEXEC)}; };
    fleet_ = std::make_unique<Fleet>(loop_, clock_, log_, *launcher_, *shared_, listeners_, std::move(hooks));
  }
  void TearDown() override {
    for (auto &p : fleet_->posts()) {
      fleet_->retire(p);
      fleet_->drain(p, kSecond);
    }
    run_until([&] {
      return std::none_of(fleet_->posts().begin(), fleet_->posts().end(), [](auto &p) { return p.child != nullptr; });
    });
    fleet_.reset();
    loop_.restart();
    loop_.poll();
  }
  Post &post(wire::RoleKind kind, const std::string &name) {
    auto &p = fleet_->add(kind, 0, name, generation_);
    fleet_->start(p);
    return p;
  }
  // The stubs' notes come without an event of this loop, hence the look every millisecond.
  template <class F>
  void run_until(F done) {
    for (int i = 0; i < 60'000 && !done(); ++i) {
      loop_.restart();
      loop_.run_one_for(std::chrono::milliseconds{1});
    }
    ASSERT_TRUE(done());
  }
  void ready(Post &p) {
    run_until([&] { return p.ready(); });
  }
  void die(Post &p) { p.child->channel->send(wire::Command{0, "die"}); }
  auto heard(wire::RoleKind kind, std::string what, std::size_t times = 1) {
    return [this, kind, what, times] { return record_.count(kind, what) >= times; };
  }

  using K = wire::RoleKind;
  asio::io_context loop_;
  SystemClock clock_;
  FdLogSink sink_{-1};
  Logger log_{sink_, clock_, "test"};
  Record record_;
  Listeners listeners_;
  std::unique_ptr<Launcher> launcher_;
  std::unique_ptr<process::SharedMemory> shared_;
  std::shared_ptr<Generation> generation_;
  std::unique_ptr<Fleet> fleet_;
};

TEST_F(FleetTest, ConnectsAProcessOnlyWhenItIsInService) {
  auto &queue = post(K::Queue, "queue");
  auto &ingress = post(K::Ingress, "ingress.0");
  ready(queue);
  ready(ingress);
  run_until(heard(K::Queue, "attach done"));
  EXPECT_EQ(record_.count(K::Queue, "attach ingress.0"), 0u);
  fleet_->enter_service(queue);
  fleet_->enter_service(ingress);
  run_until(heard(K::Queue, "attach ingress.0"));
  run_until(heard(K::Ingress, "attach queue"));
  run_until(heard(K::Ingress, "listener smtp"));
}

TEST_F(FleetTest, TellsTheOthersOfADeathWithItsCulpritAndStartsAnother) {
  auto &queue = post(K::Queue, "queue");
  auto &egress = post(K::Egress, "egress.x");
  ready(queue);
  ready(egress);
  fleet_->enter_service(queue);
  fleet_->enter_service(egress);
  run_until(heard(K::Queue, "attach egress.x"));
  shared_->working_on(egress.child->slot, MessageId{99});
  const auto slot = egress.child->slot;
  die(egress);
  run_until(heard(K::Queue, "dead egress.x crashed 99"));
  EXPECT_FALSE(shared_->marker(slot));
  EXPECT_EQ(egress.last_failure, "told to die");
  run_until(heard(K::Queue, "attach egress.x", 2));
  const auto order = record_.of(K::Queue);
  EXPECT_LT(std::find(order.begin(), order.end(), "dead egress.x crashed 99") - order.begin(),
            static_cast<std::ptrdiff_t>(order.size()) - 1);
}

TEST_F(FleetTest, DeathsOfAPluginsProcessOpenItsBreakerAgainAndAgainAndNobodyElses) {
  const Breaker breaker{2, 1800 * kSecond, 3600 * kSecond};
  auto &host = post(K::Host, "host.transport.x");
  host.transport = "x";
  auto &egress = post(K::Egress, "egress.x");
  for (auto *p : {&host, &egress}) {
    p->breaker = breaker;
    ready(*p);
    fleet_->enter_service(*p);
  }
  const auto wait_after_death = [&](Post &p) {
    ready(p);
    die(p);
    run_until([&] { return p.child == nullptr; });
    return std::chrono::nanoseconds{p.restart.expiry() - std::chrono::steady_clock::now()}.count();
  };
  for (int round = 0; round < 3; ++round) {
    EXPECT_LE(wait_after_death(host), Backoff::kFirst) << round;
    EXPECT_GT(wait_after_death(host), 1800 * kSecond) << round;
    fleet_->start(host);  // as if the pause were over
  }
  for (int death = 0; death < 3; ++death) EXPECT_LE(wait_after_death(egress), Backoff::kLongest) << death;
}

TEST_F(FleetTest, DeathsInAGuestsCodeOpenItsBreakerAndTheProcessIsStartedWithoutDelay) {
  generation_->checked.plan.guests = {{"filter spam", 2, 1800 * kSecond, 3600 * kSecond}};
  auto &ingress = post(K::Ingress, "ingress.0");
  fleet_->enter_service(ingress);
  const auto tag = shared_->instance_tag(1, "filter spam");
  for (int death = 0; death < 2; ++death) {
    EXPECT_FALSE(shared_->rests().state(tag));
    ready(ingress);
    shared_->in_code_of(ingress.child->slot, tag);
    die(ingress);
    run_until([&] { return ingress.child == nullptr; });
    EXPECT_EQ(ingress.last_failure, "told to die in the code of filter spam");
  }
  EXPECT_EQ(shared_->rests().ask(tag, 0, clock_.mono(), kSecond), process::RestTable::Leave::No);
  const auto wait = ingress.restart.expiry() - std::chrono::steady_clock::now();
  EXPECT_LE(std::chrono::nanoseconds{wait}.count(), Backoff::kFirst);
  ready(ingress);
}

TEST_F(FleetTest, AGuestRestsAsLongAsThereAreProcessesOfItsConfiguration) {
  generation_->checked.plan.guests = {{"filter spam", 1, 1800 * kSecond, 3600 * kSecond}};
  const auto tag = [&](std::uint32_t epoch) { return shared_->instance_tag(epoch, "filter spam"); };
  const auto ends = [&](Post &p) {
    ready(p);
    shared_->in_code_of(p.child->slot, tag(p.generation->epoch));
    die(p);
    run_until([&] { return p.child == nullptr; });
  };
  auto &old = post(K::Ingress, "ingress.0");
  fleet_->enter_service(old);
  ends(old);
  ready(old);
  fleet_->retire(old);
  fleet_->drain(old, kLong, kLong);
  generation_ = std::make_shared<Generation>();
  generation_->epoch = 4;  // two were refused
  generation_->snapshot = std::move(*process::sealed_memfd("snapshot", ""));
  generation_->checked.plan.guests = {{"filter spam", 1, 1800 * kSecond, 3600 * kSecond}};
  auto &present = post(K::Ingress, "ingress.0");
  fleet_->enter_service(present);
  ends(present);
  fleet_->sweep();
  EXPECT_TRUE(shared_->rests().state(tag(1))) << "sessions go on with it";
  fleet_->drain(old, kSecond);
  run_until([&] { return old.child == nullptr; });
  fleet_->sweep();
  EXPECT_FALSE(shared_->rests().state(tag(1)));
  EXPECT_TRUE(shared_->rests().state(tag(4)));
}

TEST_F(FleetTest, OneThatAGuestEndedBeforeItWasInServiceIsStartedAgainOnlyWhereItPersists) {
  generation_->checked.plan.guests = {{"filter spam", 2, 1800 * kSecond, 3600 * kSecond}};
  const auto tag = shared_->instance_tag(1, "filter spam");
  for (const bool persists : {false, true}) {
    auto &ingress = post(K::Ingress, "ingress.0");
    ingress.persists = persists;
    ready(ingress);
    shared_->in_code_of(ingress.child->slot, tag);
    die(ingress);
    run_until([&] { return ingress.child == nullptr; });
    EXPECT_EQ(ingress.waits, persists);
    if (persists) ready(ingress);
  }
}

TEST_F(FleetTest, AQueueStartedAnewIsConnectedWithEverybodyBeforeAttachDone) {
  auto &queue = post(K::Queue, "queue");
  auto &egress = post(K::Egress, "egress.x");
  auto &ingress = post(K::Ingress, "ingress.0");
  for (auto *p : {&queue, &egress, &ingress}) {
    ready(*p);
    fleet_->enter_service(*p);
  }
  run_until(heard(K::Queue, "attach ingress.0"));
  die(queue);
  run_until(heard(K::Egress, "dead queue crashed 0"));
  run_until(heard(K::Queue, "attach done", 2));
  const auto order = record_.of(K::Queue);
  const auto start = std::find(order.rbegin(), order.rend(), "start").base();
  const auto done = std::find(start, order.end(), "attach done");
  EXPECT_EQ(std::count(start, done, "attach egress.x"), 1);
  EXPECT_EQ(std::count(start, done, "attach ingress.0"), 1);
  run_until(heard(K::Egress, "attach queue", 2));
}

TEST_F(FleetTest, TheQueueAndItsSuccessorAreConnectedWithTheHostsOfTheirPluginsAndNobodyElseIs) {
  auto &queue = post(K::Queue, "queue");
  auto &told = post(K::Host, "host.event.x");
  told.event = "x";
  auto &owner = post(K::Host, "host.rate.z");
  owner.rate = "z";
  auto &table = post(K::Host, "host.lookup.y");
  table.lookup = "y";
  auto &egress = post(K::Egress, "egress.x");
  for (auto *p : {&queue, &told, &owner, &table, &egress}) {
    ready(*p);
    fleet_->enter_service(*p);
  }
  run_until(heard(K::Queue, "attach host.event.x"));
  run_until(heard(K::Queue, "attach host.rate.z"));
  run_until(heard(K::Host, "attach queue", 2));
  run_until(heard(K::Egress, "attach host.lookup.y"));
  die(queue);
  run_until(heard(K::Queue, "attach done", 2));
  const auto order = record_.of(K::Queue);
  const auto start = std::find(order.rbegin(), order.rend(), "start").base();
  const auto done = std::find(start, order.end(), "attach done");
  EXPECT_EQ(std::count(start, done, "attach host.event.x"), 1);
  EXPECT_EQ(std::count(start, done, "attach host.rate.z"), 1);
  run_until(heard(K::Host, "attach queue", 4));
  die(owner);
  run_until(heard(K::Queue, "attach host.rate.z", 3));
  fleet_->drain(told, kLong);
  run_until(heard(K::Queue, "draining host.event.x"));
  EXPECT_EQ(record_.count(K::Egress, "attach host.event.x"), 0u);
  EXPECT_EQ(record_.count(K::Egress, "attach host.rate.z"), 0u);
  EXPECT_EQ(record_.count(K::Queue, "attach host.lookup.y"), 0u);
}

TEST_F(FleetTest, EveryPluginsProcessMayAskEveryTableButItself) {
  auto &filter = post(K::Host, "host.filter.f");
  filter.filter = "f";
  auto &one = post(K::Host, "host.lookup.1");
  one.lookup = "1";
  auto &two = post(K::Host, "host.lookup.2");
  two.lookup = "2";
  for (auto *p : {&filter, &one, &two}) {
    ready(*p);
    fleet_->enter_service(*p);
  }
  run_until(heard(K::Host, "asks host.lookup.1", 2));
  run_until(heard(K::Host, "asks host.lookup.2", 2));
  run_until(heard(K::Host, "attach host.filter.f", 2));
  EXPECT_EQ(record_.count(K::Host, "asks host.filter.f"), 0u);
  die(one);  // its successor asks, and is asked, as it was
  run_until(heard(K::Host, "asks host.lookup.1", 4));
  run_until(heard(K::Host, "asks host.lookup.2", 3));
  EXPECT_EQ(record_.count(K::Host, "asks host.lookup.1"), 4u);
}

TEST_F(FleetTest, PoliciesOfTheQueueAreConnectedWithThoseThatAskThemForIt) {
  auto &asked = post(K::Host, "host.policy.x");
  asked.policy = "x";
  asked.for_queue = true;
  auto &watches = post(K::Host, "host.policy.y");
  watches.policy = "y";
  auto &ingress = post(K::Ingress, "ingress.0");
  auto &router = post(K::Router, "router");
  auto &egress = post(K::Egress, "egress.x");
  for (auto *p : {&asked, &watches, &ingress, &router, &egress}) {
    ready(*p);
    fleet_->enter_service(*p);
  }
  for (const auto kind : {K::Ingress, K::Router, K::Egress}) run_until(heard(kind, "asks host.policy.x"));
  run_until(heard(K::Ingress, "asks host.policy.y"));
  EXPECT_EQ(record_.count(K::Router, "asks host.policy.y"), 0u);
  EXPECT_EQ(record_.count(K::Egress, "asks host.policy.y"), 0u);
}

TEST_F(FleetTest, AStoreIsConnectedWithTheQueueAndThoseWhoCommitMail) {
  auto &queue = post(K::Queue, "queue");
  auto &store = post(K::Host, "host.store.x");
  store.store = "x";
  auto &ingress = post(K::Ingress, "ingress.0");
  auto &router = post(K::Router, "router");
  auto &egress = post(K::Egress, "egress.x");
  for (auto *p : {&queue, &store, &ingress, &router, &egress}) {
    ready(*p);
    fleet_->enter_service(*p);
  }
  for (const auto kind : {K::Queue, K::Ingress, K::Router}) run_until(heard(kind, "asks host.store.x"));
  for (const auto *name : {"attach queue", "attach ingress.0", "attach router"}) run_until(heard(K::Host, name));
  die(store);
  for (const auto kind : {K::Queue, K::Ingress, K::Router}) run_until(heard(kind, "asks host.store.x", 2));
  die(queue);
  run_until(heard(K::Queue, "asks host.store.x", 3));
  fleet_->drain(store, kLong);
  run_until(heard(K::Queue, "draining host.store.x"));
  EXPECT_EQ(record_.count(K::Egress, "asks host.store.x"), 0u);
}

TEST_F(FleetTest, WhoRunsPluginsIsConnectedWithTheRouterOfAnyGenerationAndItsSuccessor) {
  auto &filter = post(K::Host, "host.filter.x");
  filter.filter = "x";
  auto &ingress = post(K::Ingress, "ingress.0");
  auto &egress = post(K::Egress, "egress.x");
  generation_ = std::make_shared<Generation>();
  generation_->epoch = 2;
  generation_->snapshot = std::move(*process::sealed_memfd("snapshot", ""));
  auto &router = post(K::Router, "router");
  for (auto *p : {&filter, &ingress, &router, &egress}) {
    ready(*p);
    fleet_->enter_service(*p);
  }
  for (const auto kind : {K::Host, K::Ingress, K::Egress}) run_until(heard(kind, "asks router"));
  for (const auto *name : {"attach host.filter.x", "attach ingress.0", "attach egress.x"})
    run_until(heard(K::Router, name));
  die(router);
  for (const auto kind : {K::Host, K::Ingress, K::Egress}) run_until(heard(kind, "asks router", 2));
  EXPECT_EQ(record_.count(K::Router, "asks ingress.0"), 0u);
}

// What the death of a queue does to channels is told too, and before that death is known.
TEST_F(FleetTest, AQueueStartedAnewIsConnectedOnceWithThoseThatSayTheyLostTheOldOne) {
  auto &queue = post(K::Queue, "queue");
  auto &egress = post(K::Egress, "egress.x");
  auto &control = post(K::Control, "control");
  auto &ingress = post(K::Ingress, "ingress.0");
  for (auto *p : {&queue, &egress, &control, &ingress}) {
    ready(*p);
    fleet_->enter_service(*p);
  }
  run_until(heard(K::Queue, "attach ingress.0"));
  fleet_->lost_peer(egress, queue.child->self);
  fleet_->lost_peer(queue, control.child->self);
  die(queue);
  run_until(heard(K::Queue, "attach done", 2));
  fleet_->lost_peer(ingress, queue.child->self);  // of the new one: seen to after the others
  run_until(heard(K::Queue, "attach ingress.0", 3));
  EXPECT_EQ(record_.count(K::Queue, "attach egress.x"), 2u);
  EXPECT_EQ(record_.count(K::Queue, "attach control"), 2u);
}

TEST_F(FleetTest, AChannelToANewQueueThatIsLostRightAfterThatToTheOldOneIsMadeAnew) {
  auto &queue = post(K::Queue, "queue");
  auto &egress = post(K::Egress, "egress.x");
  for (auto *p : {&queue, &egress}) {
    ready(*p);
    fleet_->enter_service(*p);
  }
  run_until(heard(K::Queue, "attach egress.x"));
  fleet_->lost_peer(egress, queue.child->self);
  die(queue);
  run_until(heard(K::Queue, "attach done", 2));
  fleet_->lost_peer(egress, queue.child->self);
  run_until(heard(K::Queue, "attach egress.x", 3));
}

TEST_F(FleetTest, AQueueStartedAnewHearsWhoDrains) {
  auto &queue = post(K::Queue, "queue");
  auto &egress = post(K::Egress, "egress.x");
  for (auto *p : {&queue, &egress}) {
    ready(*p);
    fleet_->enter_service(*p);
  }
  run_until(heard(K::Queue, "attach egress.x"));
  fleet_->retire(egress);
  fleet_->drain(egress, 2 * kLong);
  run_until(heard(K::Queue, "draining egress.x"));
  die(queue);
  run_until(heard(K::Queue, "attach done", 2));
  const auto order = record_.of(K::Queue);
  const auto start = std::find(order.rbegin(), order.rend(), "start").base();
  const auto attached = std::find(start, order.end(), "attach egress.x");
  EXPECT_LT(attached, std::find(start, order.end(), "draining egress.x"));
  EXPECT_LT(std::find(start, order.end(), "draining egress.x"), std::find(start, order.end(), "attach done"));
}

TEST_F(FleetTest, AnnouncesADrainToTheQueueAndDoesNotReplaceWhoWasRetired) {
  auto &queue = post(K::Queue, "queue");
  auto &egress = post(K::Egress, "egress.x");
  ready(queue);
  ready(egress);
  fleet_->enter_service(queue);
  fleet_->enter_service(egress);
  run_until(heard(K::Queue, "attach egress.x"));
  fleet_->retire(egress);
  fleet_->drain(egress, 60 * kSecond);
  run_until(heard(K::Queue, "dead egress.x 0"));
  const auto order = record_.of(K::Queue);
  EXPECT_LT(std::find(order.begin(), order.end(), "draining egress.x"),
            std::find(order.begin(), order.end(), "dead egress.x 0"));
  fleet_->sweep();
  EXPECT_EQ(fleet_->posts().size(), 1u);
  EXPECT_EQ(record_.count(K::Egress, "start"), 1u);
}

TEST_F(FleetTest, TheQueueHearsThatNobodyWillDeliverAnyMoreBeforeWhoDeliversIsDrained) {
  auto &queue = post(K::Queue, "queue");
  auto &egress = post(K::Egress, "egress.x");
  for (auto *p : {&queue, &egress}) {
    ready(*p);
    fleet_->enter_service(*p);
  }
  run_until(heard(K::Queue, "attach egress.x"));
  fleet_->end_deliveries();
  fleet_->retire(egress);
  fleet_->drain(egress, kSecond);
  run_until(heard(K::Queue, "dead egress.x 0"));
  const auto order = record_.of(K::Queue);
  EXPECT_LT(std::find(order.begin(), order.end(), "draining queue"),
            std::find(order.begin(), order.end(), "draining egress.x"));
}

TEST_F(FleetTest, AQueueThatIsStillStartingAtAStopHearsOfItBeforeItGivesAnythingOut) {
  auto &queue = post(K::Queue, "queue");
  fleet_->end_deliveries();
  ready(queue);
  run_until(heard(K::Queue, "attach done"));
  const auto order = record_.of(K::Queue);
  EXPECT_LT(std::find(order.begin(), order.end(), "draining queue"),
            std::find(order.begin(), order.end(), "attach done"));
}

TEST_F(FleetTest, AStopShortensTheTimeThatAReloadHasGiven) {
  auto &queue = post(K::Queue, "queue");
  auto &egress = post(K::Egress, "egress.x");
  ready(queue);
  ready(egress);
  fleet_->enter_service(queue);
  fleet_->enter_service(egress);
  run_until(heard(K::Queue, "attach egress.x"));
  fleet_->retire(egress);
  fleet_->drain(egress, 2 * kLong);
  run_until(heard(K::Egress, "drain"));
  fleet_->drain(egress, 3 * kLong);
  fleet_->drain(egress, kSecond);
  run_until(heard(K::Queue, "dead egress.x 0"));
  EXPECT_EQ(record_.count(K::Egress, "drain"), 2u);
  EXPECT_EQ(record_.count(K::Queue, "draining egress.x"), 1u);
}

TEST_F(FleetTest, SessionsThatMayGoOnAreEndedByALaterDrainThoughThatHasMoreTime) {
  auto &queue = post(K::Queue, "queue");
  auto &ingress = post(K::Ingress, "ingress.0");
  for (auto *p : {&queue, &ingress}) {
    ready(*p);
    fleet_->enter_service(*p);
  }
  run_until(heard(K::Queue, "attach ingress.0"));
  fleet_->retire(ingress);
  fleet_->drain(ingress, 2 * kLong, kLong);
  run_until(heard(K::Ingress, "sessions go on"));
  const auto by = ingress.child->stops_by;
  fleet_->drain(ingress, 3 * kLong, 2 * kLong);
  fleet_->drain(ingress, 3 * kLong);
  run_until(heard(K::Ingress, "drain"));
  EXPECT_EQ(ingress.child->stops_by, by);
  fleet_->drain(ingress, kSecond, kLong);
  run_until(heard(K::Queue, "dead ingress.0 0"));
  EXPECT_EQ(record_.count(K::Ingress, "sessions go on"), 1u);
  EXPECT_EQ(record_.count(K::Ingress, "drain"), 2u);
  EXPECT_EQ(record_.count(K::Queue, "draining ingress.0"), 1u);
}

TEST_F(FleetTest, AReplacedProcessIsStartedAnewAtOnce) {
  auto &queue = post(K::Queue, "queue");
  ready(queue);
  fleet_->enter_service(queue);
  queue.replace = true;
  fleet_->drain(queue, 60 * kSecond);
  run_until(heard(K::Queue, "start", 2));
  ready(queue);
  EXPECT_EQ(queue.deaths, 0u);
}

TEST_F(FleetTest, EndsAHungProcessAtTheQueuesWordOnly) {
  auto &queue = post(K::Queue, "queue");
  auto &egress = post(K::Egress, "egress.x");
  auto &ingress = post(K::Ingress, "ingress.0");
  auto &control = post(K::Control, "control");
  for (auto *p : {&queue, &egress, &ingress, &control}) {
    ready(*p);
    fleet_->enter_service(*p);
  }
  run_until(heard(K::Queue, "attach egress.x"));
  fleet_->end_hung(ingress, {egress.child->self, "hangs"});
  fleet_->end_hung(queue, {control.child->self, "hangs"});
  auto gone = egress.child->self;
  ++gone.pid;
  fleet_->end_hung(queue, {gone, "hangs"});
  fleet_->end_hung(queue, {egress.child->self, "hangs"});
  run_until(heard(K::Queue, "attach egress.x", 2));
  EXPECT_EQ(egress.last_failure, "hangs");
  EXPECT_EQ(record_.count(K::Egress, "start"), 2u);
  EXPECT_EQ(record_.count(K::Ingress, "start"), 1u);
  EXPECT_EQ(record_.count(K::Control, "start"), 1u);
  fleet_->end_hung(queue, {ingress.child->self, "does not speak"});
  run_until(heard(K::Queue, "attach ingress.0", 2));
  EXPECT_EQ(ingress.last_failure, "does not speak");
}

TEST_F(FleetTest, ALostChannelIsMadeAnew) {
  auto &queue = post(K::Queue, "queue");
  auto &egress = post(K::Egress, "egress.x");
  ready(queue);
  ready(egress);
  fleet_->enter_service(queue);
  fleet_->enter_service(egress);
  run_until(heard(K::Queue, "attach egress.x"));
  fleet_->lost_peer(queue, egress.child->self);
  run_until(heard(K::Queue, "attach egress.x", 2));
  run_until(heard(K::Egress, "attach queue", 2));
}

// Starts nothing: the test has the other end of the channel, and says when it is over.
class ByHand final : public Launcher {
 public:
  Result<std::unique_ptr<Launched>> launch(wire::RoleKind, const std::string &, io::UniqueFd channel,
                                           std::function<void(const Exit &)> over) override {
    struct Nobody final : Launched {
      int pid() const override { return 1; }
      bool kill() override { return true; }
    };
    theirs = std::move(channel);
    ended = std::move(over);
    return std::unique_ptr<Launched>{std::make_unique<Nobody>()};
  }
  bool threads() const override { return true; }
  io::UniqueFd theirs;
  std::function<void(const Exit &)> ended;
};

// The death of the last one ends the supervisor, whose loop then takes no further turn.
TEST(Fleet, NothingOfAChildIsLeftWhenItsDeathStopsTheLoop) {
  std::weak_ptr<Child> child;
  {
    asio::io_context loop{1};
    SystemClock clock;
    FdLogSink sink{-1};
    Logger log{sink, clock, "test"};
    ByHand launcher;
    Listeners listeners;
    const auto shared = std::move(*process::SharedMemory::create());
    const auto generation = std::make_shared<Generation>();
    generation->snapshot = std::move(*process::sealed_memfd("snapshot", ""));
    Fleet::Hooks hooks;
    hooks.message = [](Post &, io::Message &) {};
    hooks.ready = [](Post &) {};
    hooks.changed = [&] { loop.stop(); };
    hooks.log_fd = []() -> Result<io::UniqueFd> { return io::UniqueFd{::open("/dev/null", O_WRONLY | O_CLOEXEC)}; };
    Fleet fleet{loop, clock, log, launcher, *shared, listeners, std::move(hooks)};
    auto &post = fleet.add(wire::RoleKind::Queue, 0, "queue", generation);
    fleet.start(post);
    child = post.child;
    ASSERT_FALSE(child.expired());
    fleet.retire(post);
    std::exchange(launcher.ended, nullptr)(Exit{});
    launcher.theirs.reset();
    loop.run();  // its channel is read to the end
    EXPECT_EQ(post.child, nullptr);
  }
  EXPECT_TRUE(child.expired());
}

}  // namespace
}  // namespace mansio::supervisor
