// Places that plugins own, under a virtual clock: nodes that share a keeper, which takes its time to answer, may fail,
// hears some questions late and forgets nodes that say nothing. No more deliveries run at once, over all nodes, than
// there are places; what was taken is free again whatever becomes of the delivery or of its node.
#include "kernel/scheduler/places.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/scheduler/scheduler.hpp"
#include "tests/unit/scheduler/times.hpp"

namespace mansio::scheduler::owned_places {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Nanos kStart = 1'000'000 * kSecond;

TEST(Places, AreFreeWhileTheirTimeLastsAndNobodyHasThem) {
  Places p;
  EXPECT_EQ(p.free(0, kStart), 0u);
  p.answered(5, 2, kStart, 9 * kSecond);
  EXPECT_EQ(p.free(2, kStart), 3u);
  EXPECT_EQ(p.held(2, kStart), 5u);
  EXPECT_EQ(p.free(7, kStart), 0u);
  EXPECT_EQ(p.held(7, kStart), 7u);
  EXPECT_EQ(p.renew_at, kStart + 3 * kSecond);
  EXPECT_EQ(p.free(2, kStart + 9 * kSecond), 0u);
  EXPECT_EQ(p.held(2, kStart + 9 * kSecond), 2u);
}

TEST(Places, CountAsReportedUntilTheOwnerWasToldOtherwise) {
  Places p;
  p.answered(5, 2, kStart, 9 * kSecond);
  p.let_go(1);
  EXPECT_EQ(p.may, 1u);
  EXPECT_EQ(p.reported, 5u);
  p.not_answered(1, 8);  // perhaps it gave them all the same
  EXPECT_EQ(p.reported, 8u);
  p.answered(1, 3, kStart, 9 * kSecond);  // two are to go back
  EXPECT_EQ(p.free(3, kStart), 0u);
  EXPECT_EQ(p.reported, 3u);
}

// As a good owner keeps it: for each node what it said last, or was given then; so long.
class Keeper {
 public:
  struct Given {
    std::uint32_t units = 0;
    Nanos retry = 0;
  };
  Given ask(int node, const RateQuestion &q, Nanos now, Nanos ttl) {
    auto &limit = limits_[q.limit + ' ' + q.key];
    for (auto it = limit.nodes.begin(); it != limit.nodes.end();) {
      if (it->second.until > now) {
        ++it;
        continue;
      }
      if (it->second.units > 0) limit.rest_until = std::max(limit.rest_until, it->second.until + it->second.rest);
      it = limit.nodes.erase(it);
    }
    auto &own = limit.nodes[node];
    if (q.number <= own.number) return {own.units, 0};  // an older one, late
    std::uint32_t others = 0;
    for (const auto &[other, said] : limit.nodes)
      if (other != node) others += said.units;
    if (q.held < own.units && q.rest > 0) limit.rest_until = std::max(limit.rest_until, now + q.rest);
    const auto left = q.capacity > others ? q.capacity - others : 0;
    auto units = std::max(q.held, std::min(q.want, left));
    if (units > q.held && now < limit.rest_until) units = q.held;
    own = {units, q.number, now + ttl, q.rest};
    return {units, units < q.want && now < limit.rest_until ? limit.rest_until - now : 0};
  }

 private:
  struct Said {
    std::uint32_t units = 0;
    std::uint64_t number = 0;
    Nanos until = 0, rest = 0;
  };
  struct Limit {
    std::map<int, Said> nodes;
    Nanos rest_until = 0;
  };
  std::map<std::string, Limit> limits_;
};

struct Node {
  std::unique_ptr<Scheduler> s;
  int number = 0;
  TransportId t = 0;
  GroupId last = 0;
  std::map<GroupId, std::string> waiting, running;  // their tags
  std::vector<RateQuestion> asked;                  // all of them, in order
  bool gone = false;
};

class World {
 public:
  Node &node(const TransportLimits &limits, bool skip = false) {
    auto &n = *nodes.emplace_back(std::make_unique<Node>());
    n.number = static_cast<int>(nodes.size());
    n.s = Scheduler::create({.jitter = 0}, nodes.size());
    n.s->rate_owners({{"shared", skip, kSecond}});
    n.t = n.s->transport(limits);
    n.s->transport_available(n.t, 100'000);
    return n;
  }
  GroupId add(Node &n, const std::string &to = "d.example", bool alone = false) {
    const auto id = n.last++;
    n.waiting[id] = to;
    n.s->add({.id = id, .transport = n.t, .destination = n.s->destination(n.t, to), .alone = alone}, now);
    return id;
  }
  void add(Node &n, int count) {
    for (int i = 0; i < count; ++i) add(n);
  }
  // Until then.
  void run(Nanos until) {
    for (int steps = 0; steps < 5'000'000; ++steps) {
      for (auto &n : nodes) turn(*n);
      auto at = until;
      if (!events.empty()) at = std::min(at, events.begin()->first);
      for (auto &n : nodes)
        if (const auto due = n->s->next_due(); due && !n->gone) at = std::min(at, std::max(*due, now + 1));
      now = std::max(now, at);
      while (!events.empty() && events.begin()->first <= now) {
        const auto event = events.extract(events.begin());
        event.mapped()();
      }
      if (now >= until) {
        for (auto &n : nodes) turn(*n);
        return;
      }
    }
    FAIL() << "it does not come to an end";
  }
  void run_for(Nanos time) { run(now + time); }
  std::size_t running(const std::string &to = "d.example") const {
    std::size_t sum = 0;
    for (const auto &n : nodes)
      if (!n->gone)
        for (const auto &[group, tag] : n->running) sum += tag == to ? 1 : 0;
    return sum;
  }
  std::size_t waiting() const {
    std::size_t sum = 0;
    for (const auto &n : nodes)
      if (!n->gone) sum += n->waiting.size();
    return sum;
  }
  void finish(Node &n, GroupId group) {
    if (n.running.erase(group) == 0 || n.gone) return;
    ends.push_back(now);
    n.s->finished(group, Result::Delivered, std::nullopt, now);
  }
  // What the owner can still give to a node that nobody heard of.
  std::uint32_t left(const std::string &limit, const std::string &key, std::uint32_t capacity) {
    RateQuestion q;
    q.number = ++probes_;
    q.limit = limit;
    q.key = key;
    q.want = q.capacity = capacity;
    const auto given = keeper.ask(999, q, now, 1).units;
    q.number = ++probes_;
    q.want = 0;
    keeper.ask(999, q, now, 1);
    return given;
  }

  Nanos now = kStart;
  std::vector<std::unique_ptr<Node>> nodes;
  std::multimap<Nanos, std::function<void()>> events;
  std::vector<Nanos> begins, ends;
  std::function<Nanos()> delivery = [] { return 200 * kMillisecond; };
  std::function<Nanos()> latency = [] { return 5 * kMillisecond; };
  std::function<bool()> lost = [] { return false; };  // an answer
  std::function<void()> on_begin = [] {};
  Nanos ttl = 60 * kSecond;
  bool down = false;
  Keeper keeper;

 private:
  void turn(Node &n) {
    if (n.gone) return;
    while (const auto d = n.s->next(now)) {
      n.running.insert(n.waiting.extract(d->group));
      begins.push_back(now);
      on_begin();
      events.emplace(now + delivery(), [&n, group = d->group, this] { finish(n, group); });
    }
    for (auto &q : n.s->rate_questions()) {
      ASSERT_TRUE(q.places);
      n.asked.push_back(q);
      events.emplace(now + latency(), [this, &n, q = std::move(q)] { answer(n, q); });
    }
  }
  void answer(Node &n, const RateQuestion &q) {
    if (down) {
      if (!n.gone) n.s->no_permits(q.number, now);
      return;
    }
    const auto given = keeper.ask(n.number, q, now, ttl);
    if (q.parting) return;
    const bool none = lost();
    events.emplace(now + latency(), [this, &n, number = q.number, given, none] {
      if (n.gone) return;
      if (none)
        n.s->no_permits(number, now);
      else
        n.s->permits(number, given.units, ttl, given.retry, now);
    });
  }
  std::uint64_t probes_ = 0;
};

constexpr std::uint32_t kCapacity = 6;
const WindowLimits kWide{.initial = 10'000, .limit = 10'000};

TransportLimits by_destination(std::uint32_t capacity = kCapacity) {
  return {.name = "t", .destination = {.window = {.initial = capacity, .limit = capacity}, .concurrency_owner = 1}};
}
TransportLimits by_transport(std::uint32_t capacity = kCapacity) {
  return {.name = "t", .sessions = capacity, .destination = {.window = kWide}, .sessions_owner = 1};
}
TransportLimits by_destination_delay(Nanos delay) {
  return {.name = "t", .destination = {.window = kWide, .rate_delay = delay, .rate_delay_owner = 1}};
}
TransportLimits by_transport_delay(Nanos delay) {
  return {.name = "t", .rate_delay = delay, .destination = {.window = kWide}, .rate_delay_owner = 1};
}

struct Kind {
  const char *limit, *why, *key;
  TransportLimits limits;
};
std::vector<Kind> at_once() {
  return {{"destination_concurrency_limit", "destination_concurrency_limit", "t:d.example", by_destination()},
          {"process_limit", "transport_sessions", "t", by_transport()}};
}
std::vector<Kind> delays(Nanos delay) {
  return {{"destination_rate_delay", "destination_rate_delay", "t:d.example", by_destination_delay(delay)},
          {"transport_rate_delay", "transport_rate_delay", "t", by_transport_delay(delay)}};
}
std::vector<Kind> all() {
  auto out = at_once();
  for (auto &kind : delays(kSecond)) out.push_back(std::move(kind));
  return out;
}

TEST(OwnedPlaces, OfEveryKindAreAskedForBeforeAnythingGoesAndWhyNamesThem) {
  for (const auto &kind : all()) {
    World w;
    auto &n = w.node(kind.limits);
    w.add(n, 20);
    w.run_for(kMillisecond);
    EXPECT_THAT(w.begins, IsEmpty()) << kind.limit;
    ASSERT_EQ(n.asked.size(), 1u) << kind.limit;
    EXPECT_EQ(n.asked[0].limit, kind.limit);
    EXPECT_EQ(n.asked[0].key, kind.key);
    EXPECT_EQ(n.asked[0].held, 0u);
    const auto why = n.s->why(19, w.now);
    EXPECT_EQ(why.limit, kind.why);
    EXPECT_EQ(why.owner, "shared");
    EXPECT_THAT(why.detail, HasSubstr(std::string{kind.key} + ": "));
    EXPECT_THAT(why.detail, HasSubstr("permits of shared, which is asked for more"));
    EXPECT_EQ(why.eligible, kStart + kSecond);
    EXPECT_EQ(why.others, 19u);
    w.run_for(20 * kMillisecond);
    EXPECT_FALSE(w.begins.empty()) << kind.limit;
    w.run_for(60 * kSecond);
    EXPECT_EQ(w.begins.size(), 20u) << kind.limit;
  }
}

TEST(OwnedPlaces, AreAllUsedByOneNodeWithoutAQuestionForEachDelivery) {
  for (const auto &kind : at_once()) {
    World w;
    auto &n = w.node(kind.limits);
    w.add(n, 600);
    w.run_for(100 * kMillisecond);
    EXPECT_EQ(w.running(), kCapacity) << kind.limit;
    w.run_for(10 * kSecond);
    EXPECT_EQ(w.running(), kCapacity) << kind.limit;
    EXPECT_LE(n.asked.size(), 12u) << kind.limit;
    w.run_for(20 * kSecond);
    EXPECT_EQ(w.begins.size(), 600u) << kind.limit;
    EXPECT_EQ(w.left(kind.limit, kind.key, kCapacity), kCapacity) << kind.limit;
  }
}

TEST(OwnedPlaces, ANodeWaitsForThoseThatAnotherHasAndGetsThemWhenTheyAreFree) {
  for (const auto &kind : at_once()) {
    World w;
    auto &one = w.node(kind.limits);
    auto &two = w.node(kind.limits);
    w.delivery = [] { return 10 * kSecond; };
    w.add(one, 6);
    w.run_for(kSecond);
    w.add(two, 6);
    w.run_for(5 * kSecond);
    EXPECT_EQ(one.running.size(), 6u) << kind.limit;
    EXPECT_EQ(two.running.size(), 0u) << kind.limit;
    const auto why = two.s->why(5, w.now);
    EXPECT_EQ(why.limit, kind.why);
    EXPECT_EQ(why.owner, "shared");
    EXPECT_EQ(why.value, kCapacity);
    EXPECT_GT(why.eligible, w.now);
    EXPECT_LE(two.asked.size(), 25u) << "it asks, but not all the time";
    w.run_for(5 * kSecond);
    EXPECT_EQ(one.running.size(), 0u) << kind.limit;
    EXPECT_EQ(two.running.size(), 6u) << kind.limit;
  }
}

TEST(OwnedPlaces, ThatAreGivenUpGoBackAsTheirDeliveriesEnd) {
  for (const auto &kind : at_once()) {
    World w;
    auto &n = w.node(kind.limits);
    w.delivery = [] { return 3600 * kSecond; };
    w.add(n, 100);
    w.run_for(kSecond);
    ASSERT_EQ(n.running.size(), kCapacity) << kind.limit;
    w.latency = [] { return 3600 * kSecond; };  // we answer
    w.run_for(1500 * kMillisecond);             // it says again what it has
    const auto renewal = n.asked.back();
    EXPECT_EQ(renewal.held, kCapacity);
    n.s->permits(renewal.number, 4, 60 * kSecond, 0, w.now);
    EXPECT_EQ(n.running.size(), kCapacity) << "nothing is cut off";
    const auto first = n.running.begin()->first;
    w.finish(n, first);
    w.run_for(kMillisecond);
    EXPECT_EQ(n.running.size(), kCapacity - 1) << kind.limit;
    EXPECT_EQ(n.asked.back().held, kCapacity - 1) << kind.limit;
    EXPECT_GT(n.asked.back().number, renewal.number);
  }
}

TEST(OwnedPlaces, GoBackHoweverADeliveryEnds) {
  for (const auto &kind : at_once()) {
    World w;
    auto &n = w.node(kind.limits);
    w.delivery = [] { return 3600 * kSecond; };
    w.add(n, 6);
    w.run_for(kSecond);
    ASSERT_EQ(n.running.size(), 6u);
    EXPECT_EQ(w.left(kind.limit, kind.key, kCapacity), 0u);
    auto group = [&] { return n.running.begin()->first; };
    const auto taken_away = [&](GroupId id) { n.running.erase(id); };
    auto id = group();
    n.s->finished(id, Result::Delivered, std::nullopt, w.now);
    taken_away(id);
    n.s->finished(id = group(), Result::SiteFailure, 3600 * kSecond, w.now);  // deferred
    taken_away(id);
    n.s->finished(id = group(), Result::NoFeedback, 3600 * kSecond, w.now);  // its process died
    taken_away(id);
    n.s->remove(id = group());  // deleted
    taken_away(id);
    n.s->hold(id = group());
    taken_away(id);
    w.run_for(kSecond);
    EXPECT_EQ(n.running.size(), 1u);
    EXPECT_EQ(w.left(kind.limit, kind.key, kCapacity), kCapacity - 1) << kind.limit;
    n.s->hold(group());
    w.run_for(kSecond);
    EXPECT_EQ(w.left(kind.limit, kind.key, kCapacity), kCapacity) << kind.limit;
  }
}

TEST(OwnedPlaces, GoBackSoonWhenWhatWaitsCannotUseThem) {
  World w;
  auto &n = w.node(by_destination());
  w.latency = [] { return 50 * kMillisecond; };
  w.add(n, 6);
  w.run_for(60 * kMillisecond);
  n.s->suspend({.key = Suspension::Key::Destination, .name = "d.example", .until = kForGood, .reason = {}}, w.now);
  w.run_for(3 * kSecond);
  EXPECT_THAT(w.begins, IsEmpty());
  EXPECT_EQ(w.left("destination_concurrency_limit", "t:d.example", kCapacity), kCapacity);
  n.s->resume(Suspension::Key::Destination, "d.example", w.now, {});
  w.run_for(3 * kSecond);
  EXPECT_EQ(w.begins.size(), 6u);
}

TEST(OwnedPlaces, ThatAnotherLimitLeavesUnusedGoBackThoughOthersAreUsed) {
  World w;
  auto limits = by_destination();
  limits.rate = {.interval = kSecond};
  auto &n = w.node(limits);
  w.add(n, 60);
  w.run_for(100 * kMillisecond);
  w.run_for(10 * kSecond);
  EXPECT_GE(w.left("destination_concurrency_limit", "t:d.example", kCapacity), kCapacity - 2);
  w.run_for(60 * kSecond);
  EXPECT_EQ(w.begins.size(), 60u);
}

TEST(OwnedPlaces, OfADestinationThatIsSuspendedGoBackAsItsDeliveriesEnd) {
  World w;
  auto &n = w.node(by_destination());
  w.delivery = [] { return 10 * kSecond; };
  w.add(n, 6);
  w.run(kStart + 3 * kSecond);
  ASSERT_EQ(n.running.size(), kCapacity);
  w.add(n, 6);  // there is nothing to ask for them: all places are here
  n.s->suspend({.key = Suspension::Key::Destination, .name = "d.example", .until = kForGood, .reason = {}}, w.now);
  w.run(kStart + 15 * kSecond);
  EXPECT_EQ(w.begins.size(), 6u);
  EXPECT_EQ(w.running(), 0u);
  EXPECT_EQ(w.left("destination_concurrency_limit", "t:d.example", kCapacity), kCapacity);
}

TEST(OwnedPlaces, OfANodeThatDiesAreFreeWhenTheirTimeIsOver) {
  for (const auto &kind : at_once()) {
    World w;
    w.ttl = 30 * kSecond;
    auto &one = w.node(kind.limits);
    auto &two = w.node(kind.limits);
    w.delivery = [] { return 3600 * kSecond; };
    w.add(one, 6);
    w.run_for(kSecond);
    one.gone = true;
    w.add(two, 6);
    w.run(kStart + 25 * kSecond);
    EXPECT_EQ(two.running.size(), 0u) << kind.limit;
    w.run(kStart + 32 * kSecond);
    EXPECT_EQ(two.running.size(), 6u) << kind.limit;
  }
}

TEST(OwnedPlaces, OfLongDeliveriesAreRenewed) {
  for (const auto &kind : at_once()) {
    World w;
    w.ttl = 30 * kSecond;
    auto &one = w.node(kind.limits);
    w.delivery = [] { return 3600 * kSecond; };
    w.add(one, 6);
    w.run_for(600 * kSecond);
    EXPECT_EQ(w.left(kind.limit, kind.key, kCapacity), 0u) << kind.limit;
    EXPECT_LE(one.asked.size(), 70u);
  }
}

TEST(OwnedPlaces, WaitWhileTheOwnerFailsAndWhatIsHeldIsUsedAsLongAsItIsGood) {
  for (const auto &kind : at_once()) {
    World w;
    w.ttl = 30 * kSecond;
    auto &n = w.node(kind.limits);
    w.add(n, 5000);
    w.run_for(kSecond);
    w.down = true;
    w.run(kStart + 20 * kSecond);
    EXPECT_EQ(n.running.size(), kCapacity) << kind.limit;
    w.run(kStart + 60 * kSecond);
    EXPECT_EQ(n.running.size(), 0u) << kind.limit;
    const auto why = n.s->why(4999, w.now);
    EXPECT_EQ(why.limit, kind.why);
    EXPECT_THAT(why.detail, HasSubstr("which does not answer"));
    const auto before = n.asked.size();
    w.run_for(10 * kSecond);
    EXPECT_LE(n.asked.size(), before + 11);
    EXPECT_GE(n.asked.size(), before + 9);
    w.down = false;
    w.run_for(2 * kSecond);
    EXPECT_EQ(n.running.size(), kCapacity) << kind.limit;
  }
}

TEST(OwnedPlaces, AFailureThatIsSkippedLeavesTheLimitOfThisNode) {
  for (const auto &kind : all()) {
    World w;
    w.down = true;
    auto &n = w.node(kind.limits, true);
    w.on_begin = [&] { ASSERT_LE(n.running.size(), kCapacity); };
    w.add(n, 10);
    w.run_for(30 * kSecond);
    EXPECT_EQ(w.begins.size(), 10u) << kind.limit;
    w.down = false;
    w.add(n, 10);
    w.run_for(60 * kSecond);
    EXPECT_EQ(w.begins.size(), 20u) << kind.limit;
    EXPECT_EQ(w.left(kind.limit, kind.key, 1), 1u) << kind.limit;
  }
}

TEST(OwnedPlaces, AreLeftToTheNodeWhenTheOwnerIsTakenAway) {
  for (const auto &kind : all()) {
    if (std::string_view{kind.limit} == "transport_rate_delay") continue;  // what rests was given up already
    World w;
    w.delivery = [] { return 5 * kSecond; };
    auto &n = w.node(kind.limits);
    w.add(n, 4);
    w.run_for(500 * kMillisecond);
    const auto running = n.running.size();
    n.s->rate_owners({});
    auto local = kind.limits;
    local.sessions_owner = local.rate_delay_owner = 0;
    local.destination.concurrency_owner = local.destination.rate_delay_owner = 0;
    n.s->transport(local);
    w.run_for(kMillisecond);
    ASSERT_FALSE(n.asked.empty());
    EXPECT_TRUE(n.asked.back().parting) << kind.limit;
    EXPECT_EQ(n.asked.back().held, running) << kind.limit;
    EXPECT_EQ(n.asked.back().want, n.asked.back().held);
    const auto before = n.asked.size();
    w.add(n, 4);
    w.run_for(60 * kSecond);
    EXPECT_EQ(w.begins.size(), 8u) << kind.limit;
    EXPECT_EQ(n.asked.size(), before) << kind.limit;
  }
}

TEST(OwnedPlaces, AnotherOwnerIsAskedForWhatWaitsForTheOneBefore) {
  for (const auto &kind : at_once()) {
    World w;
    auto &n = w.node(kind.limits);
    n.s->rate_owners({{"shared", false, kSecond}, {"other", false, kSecond}});
    n.s->transport(kind.limits);
    w.down = true;
    w.add(n, 5);
    w.run_for(500 * kMillisecond);
    EXPECT_THAT(w.begins, IsEmpty()) << kind.limit;
    w.down = false;
    auto limits = kind.limits;
    if (limits.sessions_owner != 0) limits.sessions_owner = 2;
    if (limits.destination.concurrency_owner != 0) limits.destination.concurrency_owner = 2;
    n.s->transport(limits);
    w.run_for(2 * kSecond);
    EXPECT_EQ(n.asked.back().owner, "other") << kind.limit;
    EXPECT_EQ(w.begins.size(), 5u) << kind.limit;
  }
}

TEST(OwnedPlaces, ThatNoDeliveryHasGoBackWhenTheQueueStops) {
  World w;
  auto &n = w.node(by_destination());
  w.delivery = [] { return 3600 * kSecond; };
  w.add(n, 6);
  w.run_for(kSecond);
  for (int i = 0; i < 4; ++i) w.finish(n, n.running.begin()->first);
  n.s->return_places("other");
  EXPECT_THAT(n.s->rate_questions(), IsEmpty());
  n.s->return_places("shared");
  const auto last = n.s->rate_questions();
  ASSERT_EQ(last.size(), 1u);
  EXPECT_TRUE(last[0].parting);
  EXPECT_EQ(last[0].held, 2u);
  EXPECT_EQ(last[0].want, 2u);
  EXPECT_GT(last[0].number, n.asked.back().number);
}

TEST(OwnedPlaces, OfATransportCountTheDeliveriesOfAnEarlierLife) {
  World w;
  auto &n = w.node(by_transport());
  n.s->transport_available(n.t, 100'000, 4);
  w.delivery = [] { return 3600 * kSecond; };
  w.add(n, 6);
  w.run_for(kSecond);
  EXPECT_EQ(n.running.size(), 2u);
  EXPECT_EQ(w.left("process_limit", "t", kCapacity), 0u);
}

TEST(OwnedPlaces, ASiteHasThemForAllOfItsMembers) {
  World w;
  auto limits = by_destination();
  limits.rules = {{.match = {"a.example", "b.example"}, .limits = limits.destination, .site = "big"}};
  auto &n = w.node(limits);
  w.delivery = [] { return 3600 * kSecond; };
  for (int i = 0; i < 5; ++i) {
    w.add(n, "a.example");
    w.add(n, "b.example");
    w.add(n, "c.example");
  }
  w.run_for(kSecond);
  EXPECT_EQ(w.running("a.example") + w.running("b.example"), kCapacity);
  EXPECT_EQ(w.running("c.example"), 5u);
  for (const auto &q : n.asked) EXPECT_TRUE(q.key == "t:big" || q.key == "t:c.example") << q.key;
}

TEST(OwnedPlaces, OfASiteGoBackWhenADeliveryCountsThereNoMore) {
  World w;
  auto limits = by_destination();
  limits.rules = {{.match = {"a.example"}, .limits = limits.destination, .site = "big"}};
  auto &n = w.node(limits);
  w.delivery = [] { return 3600 * kSecond; };
  for (int i = 0; i < 6; ++i) w.add(n, "a.example");
  w.run_for(3 * kSecond);
  ASSERT_EQ(w.running("a.example"), kCapacity);
  limits.rules.clear();
  n.s->transport(limits);
  w.run_for(kSecond);
  EXPECT_EQ(w.left("destination_concurrency_limit", "t:big", kCapacity), kCapacity);
  EXPECT_EQ(w.left("destination_concurrency_limit", "t:a.example", kCapacity), 0u);
}

TEST(OwnedPlaces, ThatADomainLeavesBehindAreItsSitesToUseAtOnce) {
  auto s = Scheduler::create({.jitter = 0}, 1);
  s->rate_owners({{"shared", false, kSecond}});
  TransportLimits limits{.name = "t", .by_exchangers = true};
  limits.destination.concurrency_owner = 1;
  const auto t = s->transport(limits);
  s->transport_available(t, 100);
  for (GroupId id = 0; id < 4; ++id) {
    const auto to = s->destination(t, id % 2 == 0 ? "a.example" : "b.example");
    s->set_exchangers(to, "mx.p.example", kForGood);
    s->add({.id = id, .transport = t, .destination = to}, kStart);
  }
  const auto answer = [&](std::uint32_t units, Nanos retry) {
    const auto questions = s->rate_questions();
    ASSERT_EQ(questions.size(), 1u);
    s->permits(questions[0].number, units, 60 * kSecond, retry, kStart);
  };
  EXPECT_FALSE(s->next(kStart));
  answer(1, 0);
  const auto first = s->next(kStart);
  ASSERT_TRUE(first);
  EXPECT_FALSE(s->next(kStart));
  answer(2, 0);
  ASSERT_TRUE(s->next(kStart));
  EXPECT_FALSE(s->next(kStart));
  answer(2, 100 * kSecond);  // there are no more
  EXPECT_FALSE(s->next(kStart));
  const auto leaves = s->destination_of(first->group);
  s->set_exchangers(leaves, "", kForGood);
  const auto next = s->next(kStart);
  ASSERT_TRUE(next);
  EXPECT_NE(s->destination_of(next->group), leaves);
}

TEST(OwnedPlaces, AreKeptForASuspectThatWaitsForOthersToEnd) {
  World w;
  auto limits = by_destination();
  limits.rules = {{.match = {"free.example"}, .limits = {.window = {.initial = 8, .limit = 8}}}};
  auto &n = w.node(limits);
  std::mt19937 random{1};
  w.delivery = [&] { return std::uniform_int_distribution<std::int64_t>{300, 900}(random)*kMillisecond; };
  for (int i = 0; i < 2000; ++i) w.add(n, "free.example");
  const auto suspect = w.add(n, "d.example", true);
  w.run_for(30 * kSecond);
  EXPECT_EQ(n.waiting.count(suspect), 0u);
  EXPECT_FALSE(n.waiting.empty());
}

TEST(OwnedPlaces, BindASuspectOfKillingWorkersToo) {
  for (const auto &kind : all()) {
    World w;
    auto &n = w.node(kind.limits);
    w.add(n, "d.example", true);
    w.run_for(1);
    EXPECT_THAT(w.begins, IsEmpty()) << kind.limit;
    EXPECT_EQ(n.asked.size(), 1u) << kind.limit;
    w.run_for(10 * kSecond);
    EXPECT_EQ(w.begins.size(), 1u) << kind.limit;
  }
}

TEST(OwnedPlaces, HoldUpNoOtherDestination) {
  World w;
  auto limits = by_destination();
  limits.rules = {{.match = {"free.example"}, .limits = {.window = kWide}}};
  w.down = true;
  auto &n = w.node(limits);
  for (int i = 0; i < 50; ++i) {
    w.add(n);
    w.add(n, "free.example");
  }
  w.run_for(10 * kSecond);
  EXPECT_EQ(w.begins.size(), 50u);
  EXPECT_EQ(n.waiting.size(), 50u);
}

TEST(OwnedPlaces, KeepADelayBetweenTheDeliveriesOfAllNodes) {
  for (const auto &kind : delays(kSecond)) {
    World w;
    auto &one = w.node(kind.limits);
    auto &two = w.node(kind.limits);
    w.add(one, 10);
    w.add(two, 10);
    w.run_for(300 * kSecond);
    ASSERT_EQ(w.begins.size(), 20u) << kind.limit;
    const bool from_end = std::string_view{kind.limit} == "destination_rate_delay";
    for (std::size_t i = 1; i < w.begins.size(); ++i)
      EXPECT_GE(w.begins[i], (from_end ? w.ends : w.begins)[i - 1] + kSecond) << kind.limit << ' ' << i;
    EXPECT_LE(w.begins.back(), kStart + 60 * kSecond) << kind.limit;
  }
}

TEST(OwnedPlaces, OfADelayAreNamedWhileItLastsHere) {
  for (const auto &kind : delays(kSecond)) {
    World w;
    auto &n = w.node(kind.limits);
    w.add(n, 3);
    w.run_for(500 * kMillisecond);
    ASSERT_EQ(w.begins.size(), 1u) << kind.limit;
    const auto why = n.s->why(2, w.now);
    EXPECT_EQ(why.limit, kind.limit);
    EXPECT_EQ(why.owner, "shared") << kind.limit;
    EXPECT_GT(why.eligible, w.now);
  }
}

// Whatever is lost, late or repeated: only answers that come after their question's node has given up are lost.
TEST(OwnedPlaces, AreNeverMoreThanThereAreOverAllNodes) {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    std::mt19937 random{seed};
    const auto any = [&](std::int64_t from, std::int64_t to) {
      return std::uniform_int_distribution<std::int64_t>{from, to}(random);
    };
    for (const bool transport : {false, true}) {
      World w;
      const auto capacity = static_cast<std::uint32_t>(any(1, 12));
      w.latency = [&] { return any(1, 400) * kMillisecond; };
      w.delivery = [&] { return any(1, 3000) * kMillisecond; };
      w.lost = [&] { return any(0, 9) == 0; };
      const auto nodes = any(2, 4);
      for (std::int64_t i = 0; i < nodes; ++i) w.node(transport ? by_transport(capacity) : by_destination(capacity));
      w.on_begin = [&] { ASSERT_LE(w.running(), capacity) << seed; };
      for (int burst = 0; burst < 30; ++burst) {
        auto &n = *w.nodes[static_cast<std::size_t>(any(0, nodes - 1))];
        for (auto left = any(1, 20); left > 0; --left) w.add(n);
        if (any(0, 4) == 0 && !n.running.empty()) {
          const auto id = n.running.begin()->first;
          n.running.erase(id);
          n.s->remove(id);
        }
        w.down = any(0, 9) == 0;
        w.run_for(any(0, 2000) * kMillisecond);
      }
      w.down = false;
      w.lost = [] { return false; };
      w.run_for(3600 * kSecond);
      EXPECT_EQ(w.waiting(), 0u) << seed;
      EXPECT_EQ(w.left(transport ? "process_limit" : "destination_concurrency_limit", transport ? "t" : "t:d.example",
                       capacity),
                capacity)
          << seed;
    }
  }
}

}  // namespace
}  // namespace mansio::scheduler::owned_places
