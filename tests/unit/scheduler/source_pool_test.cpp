// Source pools: mail of several takes turns, and no pool passes its rate, whatever says in the meantime that mail
// leaves from another.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "tests/unit/scheduler/lab.hpp"
#include "tests/unit/scheduler/times.hpp"

namespace mansio::scheduler {
namespace {

const WindowLimits kOpen{.initial = 1000, .limit = 1000};

TEST(SourcePools, TakeTurnsAtOneDestination) {
  Lab lab;
  const auto t = lab.transport({.name = "t", .destination = {.window = {.initial = 1, .limit = 1}}});
  for (const auto *pool : {"bulk", "warm"})
    for (int i = 0; i < 10; ++i) lab.add(t, "d.example", {.source_pool = pool}, false, pool);
  lab.run(lab.now + 10 * kSecond + kMillisecond);
  EXPECT_EQ(lab.done("bulk"), 5u);
  EXPECT_EQ(lab.done("warm"), 5u);
}

TEST(SourcePools, AreAllThatChangesWithThePool) {
  Lab lab;
  lab.transport({.name = "t"});
  auto &s = *lab.scheduler;
  const Party party{.tenant = "acme", .campaign = "spring", .source_pool = "bulk", .priority = -3};
  const auto bulk = s.flow(party);
  const auto warm = s.with_source_pool(bulk, "warm");
  EXPECT_NE(warm, bulk);
  EXPECT_EQ(s.with_source_pool(bulk, "bulk"), bulk);
  EXPECT_EQ(s.with_source_pool(warm, "bulk"), bulk);
  auto same = party;
  same.source_pool = "warm";
  EXPECT_EQ(s.flow(same), warm);
}

TEST(SourcePools, MailThatIsAnothersByItsTurnWaitsAsThatPools) {
  Lab lab;
  lab.scheduler->rates({{RateRule::Key::SourcePool, {"old"}, {kTenth, 1}},  // is not used up by what is not its own
                        {RateRule::Key::SourcePool, {"new"}, {kSecond, 1}}});
  const auto t = lab.transport({.name = "t", .destination = {.window = kOpen}});
  std::optional<std::string> pool = "new";
  lab.scheduler->on_turn([&](GroupId) { return pool; });
  for (int i = 0; i < 30; ++i) lab.add(t, "d.example", {.source_pool = "old"}, false, "m");
  lab.run(lab.now + 1);
  EXPECT_EQ(lab.begins("m").size(), 1u);
  const auto why = lab.why(29);
  EXPECT_EQ(why.limit, "source_pool_rate_limit");
  EXPECT_EQ(why.detail.substr(0, 5), "new: ");
  EXPECT_EQ(why.others, 28u);
  lab.add(t, "d.example", {.source_pool = "old"}, false, "o");
  pool = std::nullopt;
  lab.run(lab.now + 5 * kTenth);
  EXPECT_EQ(lab.begins("o").size(), 1u);
  lab.run(lab.now + 2 * kSecond);
  EXPECT_EQ(lab.begins("m").size(), 3u);
  pool = "free";
  lab.run(lab.now + 2 * kSecond);
  EXPECT_EQ(lab.begins("m").size(), 30u);
}

TEST(SourcePools, AreChangedAFewInOneDecisionAsEachMayHaveToBeRead) {
  const auto s = Scheduler::create({.jitter = 0}, 1);
  const Nanos now = 1000 * kSecond;
  s->rates({{RateRule::Key::SourcePool, {"new"}, {100 * kSecond, 1}}});
  const auto t = s->transport({.name = "t", .destination = {.window = kOpen}});
  s->transport_available(t, 10);
  int asked = 0;
  s->on_turn([&](GroupId) {
    ++asked;
    return std::optional<std::string>{"new"};
  });
  constexpr GroupId kMany = 1000;
  for (GroupId id = 0; id < kMany; ++id)
    s->add({.id = id, .transport = t, .destination = s->destination(t, "d"), .flow = s->flow({.source_pool = "old"})},
           now);
  int leased = 0;
  for (int calls = 0; calls < 100; ++calls) {
    const auto before = asked;
    const bool goes = s->next(now).has_value();
    leased += goes;
    EXPECT_LE(asked - before, 64);
    if (goes) continue;
    const auto due = s->next_due();
    ASSERT_TRUE(due);
    if (*due > now) break;  // else it is asked again at once
  }
  EXPECT_EQ(leased, 1);
  EXPECT_EQ(asked, static_cast<int>(kMany) + 1);
}

TEST(SourcePools, AnotherTransportDoesNotWaitUntilAllHaveChanged) {
  const auto s = Scheduler::create({.jitter = 0}, 1);
  const Nanos now = 1000 * kSecond;
  s->rates({{RateRule::Key::SourcePool, {"new"}, {100 * kSecond, 1}}});
  const auto moving = s->transport({.name = "moving", .destination = {.window = kOpen}});
  const auto other = s->transport({.name = "other", .destination = {.window = kOpen}});
  for (const auto t : {moving, other}) s->transport_available(t, 10);
  s->on_turn(
      [&](GroupId id) { return s->transport_of(id) == moving ? std::optional<std::string>{"new"} : std::nullopt; });
  GroupId last = 0;
  const auto add = [&](TransportId t, std::string_view pool) {
    s->add(
        {.id = ++last, .transport = t, .destination = s->destination(t, "d"), .flow = s->flow({.source_pool = pool})},
        now);
    return last;
  };
  add(moving, "new");  // after which that pool has no more to give
  ASSERT_TRUE(s->next(now));
  add(other, "");  // after which it is the other transport's turn
  ASSERT_TRUE(s->next(now));
  for (int i = 0; i < 5000; ++i) add(moving, "old");
  const auto waits = add(other, "");
  std::optional<Decision> decision;
  for (int calls = 0; calls < 3 && !decision; ++calls) decision = s->next(now);
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->group, waits);
}

TEST(SourcePools, ASuspectsTurnIsLookedAtToo) {
  const auto s = Scheduler::create({.jitter = 0}, 1);
  const Nanos now = 1000 * kSecond;
  s->rates({{RateRule::Key::SourcePool, {"new"}, {100 * kSecond, 1}}});
  const auto t = s->transport({.name = "t"});
  s->transport_available(t, 10);
  s->on_turn([](GroupId) { return std::optional<std::string>{"new"}; });
  s->add({.id = 0, .transport = t, .destination = s->destination(t, "d"), .flow = s->flow({.source_pool = "new"})},
         now);
  ASSERT_TRUE(s->next(now));
  s->finished(0, Result::Delivered, std::nullopt, now);
  s->add({.id = 1, .transport = t, .destination = s->destination(t, "d"), .alone = true}, now);
  EXPECT_FALSE(s->next(now));
  EXPECT_FALSE(s->next(now + 99 * kSecond));
  EXPECT_TRUE(s->next(now + 100 * kSecond));
}

TEST(SourcePools, RatesAndSuspensionsOutliveARestart) {
  constexpr Nanos kOffset = 1'700'000'000 * kSecond;
  const auto begin = [](Lab &lab) {
    lab.scheduler->rates({{RateRule::Key::SourcePool, {}, {50 * kSecond, 1}}});
    return lab.transport({.name = "t"});
  };
  Lab first, again;
  auto t = begin(first);
  first.add(t, "d.example", {.source_pool = "warm"});
  first.scheduler->suspend({Suspension::Key::SourcePool, "cold", 0, kForGood, "listed"}, first.now);
  first.run(first.now + 2 * kSecond);
  const auto saved = first.scheduler->save(kOffset, first.now);
  t = begin(again);
  again.scheduler->restore(saved, kOffset + first.now - again.now, again.now);
  again.add(t, "d.example", {.source_pool = "warm"});
  again.add(t, "d.example", {.source_pool = "cold"});
  again.run(again.now + 1);
  EXPECT_EQ(again.why(0).limit, "source_pool_rate_limit");
  EXPECT_EQ(again.why(1).limit, "suspended");
  EXPECT_NE(again.why(1).detail.find("source pool cold is suspended: listed"), std::string::npos);
}

// Any mail, with orders and replies that give it other pools while it waits.
class AnyPools : public ::testing::TestWithParam<unsigned> {};

TEST_P(AnyPools, NoneIsPassedAndAllOfItGoes) {
  std::mt19937 random{GetParam()};
  const auto pick = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  const std::string pools[] = {"", "a", "b", "c"};
  const std::map<std::string, RateLimit> limits{
      {"a", {kTenth, 1 + pick(3)}}, {"b", {3 * kTenth, 1 + pick(2)}}, {"", {}}, {"c", {}}};
  Lab lab;
  lab.latency = [](const auto &d) { return static_cast<Nanos>(1 + d.group % 7) * kTenth; };
  std::vector<RateRule> rules{{RateRule::Key::Tenant, {"x"}, {kTenth / 2, 2}}};
  for (const auto &[pool, limit] : limits)
    if (limit) rules.push_back({RateRule::Key::SourcePool, {pool}, limit});
  lab.scheduler->rates(rules);
  const auto t = lab.transport({.name = "t", .sessions = 5 + pick(20), .destination = {.window = kOpen}});

  std::map<GroupId, std::string> named, to;     // as it came or an operator says; where it goes
  std::map<std::string, std::string> replaced;  // at a destination, by its replies
  const auto pool_of = [&](GroupId id) {
    const auto other = replaced.find(to.at(id));
    return other == replaced.end() ? named.at(id) : other->second;
  };
  lab.scheduler->on_turn([&](GroupId id) { return std::optional{pool_of(id)}; });
  std::map<std::string, TokenBucket> buckets;
  std::size_t looked = 0;
  std::set<GroupId> waiting;
  const auto run = [&](Nanos until) {
    lab.run(until);
    for (; looked < lab.began.size(); ++looked) {
      const auto &d = lab.began[looked];
      waiting.erase(d.group);
      const auto pool = pool_of(d.group);
      EXPECT_TRUE(buckets[pool].open(limits.at(pool), d.begun)) << "pool " << pool << ", delivery " << looked;
      buckets[pool].take(limits.at(pool), d.begun);
    }
  };
  for (int round = 0; round < 60; ++round) {
    for (auto n = pick(6); n > 0; --n) {
      const auto destination = "d" + std::to_string(pick(4)), pool = pools[pick(4)];
      const std::string tenant = pick(2) == 0 ? "x" : "y";
      const auto id = lab.add(t, destination, {.tenant = tenant, .source_pool = pool}, pick(4) == 0, "m");
      named[id] = pool;
      to[id] = destination;
      waiting.insert(id);
    }
    if (pick(4) == 0) replaced["d" + std::to_string(pick(4))] = pools[1 + pick(3)];
    if (pick(4) == 0) replaced.erase("d" + std::to_string(pick(4)));
    if (pick(3) == 0 && !waiting.empty()) {
      const auto id = *std::next(waiting.begin(), pick(static_cast<std::uint32_t>(waiting.size())));
      named[id] = pools[pick(4)];
      lab.scheduler->set_flow(id, lab.scheduler->with_source_pool(lab.scheduler->flow_of(id), named[id]), lab.now);
    }
    run(lab.now + pick(5) * kTenth + 1);
  }
  run(lab.now + kHour);
  EXPECT_EQ(lab.waiting(), 0u);
  EXPECT_EQ(lab.done("m"), named.size());
}

INSTANTIATE_TEST_SUITE_P(Seeds, AnyPools, ::testing::Range(1u, 61u));

}  // namespace
}  // namespace mansio::scheduler
