// What a source pool may send to a destination: so many in a time, so many at once. It counts over all transports and
// whosever mail it is, and no order, reply, reload or change of sites makes it more.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "tests/unit/scheduler/lab.hpp"
#include "tests/unit/scheduler/times.hpp"

namespace mansio::scheduler {
namespace {

constexpr WindowLimits kManyAtOnce{.initial = 1000, .limit = 1000};

RateRule pair_rule(std::vector<std::string> pools, RateLimit rate, std::uint32_t concurrency = 0,
                   std::vector<std::string> destinations = {}) {
  return {RateRule::Key::SourcePoolDestination, std::move(pools), rate, std::move(destinations), concurrency};
}

class Pairs : public ::testing::Test {
 protected:
  void start(std::vector<RateRule> rules,
             TransportLimits limits = {.name = "t", .destination = {.window = kManyAtOnce}}) {
    lab_.scheduler->rates(std::move(rules));
    t_ = lab_.transport(std::move(limits));
  }
  GroupId add(int n, const std::string &pool, const std::string &to) {
    GroupId last = 0;
    for (int i = 0; i < n; ++i) last = lab_.add(t_, to, {.source_pool = pool}, false, pool + ' ' + to);
    return last;
  }
  std::size_t begun(const std::string &pool, const std::string &to) const {
    return lab_.begins(pool + ' ' + to).size();
  }
  Lab lab_;
  TransportId t_ = 0;
};

TEST_F(Pairs, ARateBindsAPoolAtEachDestinationByItself) {
  start({pair_rule({"new"}, {kTenth, 2})});
  add(10, "new", "a");
  const auto last = add(10, "new", "b");
  add(10, "old", "a");
  lab_.run(lab_.now + 1);
  EXPECT_EQ(begun("new", "a"), 2u);
  EXPECT_EQ(begun("new", "b"), 2u);
  EXPECT_EQ(begun("old", "a"), 10u);
  const auto why = lab_.why(last);
  EXPECT_EQ(why.limit, "source_pool_destination_rate_limit");
  EXPECT_EQ(why.detail.substr(0, 7), "new:b: ");
  EXPECT_EQ(why.eligible, lab_.began.front().begun + kTenth);
  EXPECT_DOUBLE_EQ(why.value, 0.1);
  EXPECT_EQ(why.others, 7u);
  std::size_t waiting = 0;
  EXPECT_TRUE(lab_.scheduler->each_waiting(why, 100, [&](GroupId) { ++waiting; }));
  EXPECT_EQ(waiting, 8u);  // those and itself
  lab_.run();
  for (const auto *tag : {"new a", "new b"}) {
    const auto times = lab_.begins(tag);
    ASSERT_EQ(times.size(), 10u);
    for (std::size_t i = 2; i < times.size(); ++i) EXPECT_EQ(times[i] - times[i - 1], kTenth) << tag << i;
  }
}

TEST_F(Pairs, SoManyAtOnceGoOneAfterTheOtherAndHoldUpNobodyElse) {
  start({pair_rule({"new"}, {}, 2)});
  const auto last = add(6, "new", "a");
  add(6, "new", "b");
  add(6, "old", "a");
  lab_.run(lab_.now + 1);
  EXPECT_EQ(begun("new", "a"), 2u);
  EXPECT_EQ(begun("new", "b"), 2u);
  EXPECT_EQ(begun("old", "a"), 6u);
  const auto why = lab_.why(last);
  EXPECT_EQ(why.limit, "source_pool_destination_concurrency_limit");
  EXPECT_EQ(why.detail, "new:a: 2 at once");
  EXPECT_EQ(why.value, 2);
  EXPECT_EQ(why.eligible, 0);
  EXPECT_EQ(why.others, 3u);
  lab_.run(lab_.now + kSecond);
  EXPECT_EQ(begun("new", "a"), 4u);
  lab_.run(lab_.now + kSecond);
  EXPECT_EQ(begun("new", "a"), 6u);
}

TEST_F(Pairs, BothBindAndTheRateIsNamedFirst) {
  start({pair_rule({"new"}, {kTenth, 5}, 1)});
  lab_.latency = [](const auto &) { return kMillisecond; };
  const auto last = add(10, "new", "a");
  lab_.run(lab_.now + 4 * kMillisecond + 1);
  EXPECT_EQ(begun("new", "a"), 5u);
  EXPECT_EQ(lab_.why(last).limit, "source_pool_destination_rate_limit");
  EXPECT_EQ(lab_.most_under_way["a"], 1u);
}

TEST_F(Pairs, TheFirstRuleThatMatchesPoolAndDestinationCounts) {
  start({pair_rule({"new"}, {}, 1, {"big", ".big.example"}), pair_rule({"new"}, {}, 3), pair_rule({}, {}, 5, {"big"})});
  for (const auto *pool : {"new", "old", ""})
    for (const auto *to : {"big", "x.big.example", "small"}) add(10, pool, to);
  lab_.run(lab_.now + 1);
  EXPECT_EQ(begun("new", "big"), 1u);
  EXPECT_EQ(begun("new", "x.big.example"), 1u);
  EXPECT_EQ(begun("new", "small"), 3u);
  EXPECT_EQ(begun("old", "big"), 5u);
  EXPECT_EQ(begun("old", "small"), 10u);
  EXPECT_EQ(begun("", "big"), 10u);  // from no pool
}

TEST_F(Pairs, CountOverTransportsAndWhosever) {
  start({pair_rule({"new"}, {}, 3)});
  const auto u = lab_.transport({.name = "u", .destination = {.window = kManyAtOnce}});
  for (int i = 0; i < 6; ++i) {
    lab_.add(t_, "a", {.tenant = "x", .source_pool = "new"}, false, "m");
    lab_.add(u, "a", {.tenant = "y", .source_pool = "new", .priority = 6}, i % 2 == 0, "m");
  }
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.begins("m").size(), 3u);
  lab_.run();
  EXPECT_EQ(lab_.done("m"), 12u);
  EXPECT_EQ(lab_.most_under_way["a"], 3u);
}

TEST_F(Pairs, ASiteIsOneDestination) {
  start({pair_rule({"new"}, {}, 2, {"p"})}, {.name = "t", .rules = {{{".p.example"}, {.window = kManyAtOnce}, "p"}}});
  const auto last = add(5, "new", "a.p.example");
  add(5, "new", "b.p.example");
  add(5, "old", "b.p.example");
  lab_.run(lab_.now + 1);
  EXPECT_EQ(begun("new", "a.p.example") + begun("new", "b.p.example"), 2u);
  EXPECT_EQ(begun("old", "b.p.example"), 5u);
  EXPECT_EQ(lab_.why(last).detail, "new:p: 2 at once");
  EXPECT_EQ(lab_.why(last).others, 7u);
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 15u);
}

TEST_F(Pairs, WhatIsUnderWayCountsAtTheSiteThatADomainJoins) {
  start({pair_rule({"new"}, {}, 3)}, {.name = "t", .destination = {.window = kManyAtOnce}, .by_exchangers = true});
  add(2, "new", "a.example");
  add(2, "new", "b.example");
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.sessions, 4u);
  for (const auto *name : {"a.example", "b.example"})
    lab_.scheduler->set_exchangers(lab_.scheduler->destination(t_, name), "mx.p.example", lab_.now + kHour);
  const auto last = add(3, "new", "a.example");
  lab_.run(lab_.now + kTenth);
  EXPECT_EQ(lab_.sessions, 4u);
  EXPECT_EQ(lab_.why(last).detail, "new:mx:mx.p.example: 3 at once");
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 7u);
}

TEST_F(Pairs, AReloadCountsWhatIsUnderWayAndWhatWaits) {
  start({});
  add(4, "new", "a");
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.sessions, 4u);
  lab_.scheduler->rates({pair_rule({}, {}, 5)});
  const auto last = add(4, "new", "a");
  lab_.run(lab_.now + kTenth);
  EXPECT_EQ(lab_.sessions, 5u);
  EXPECT_EQ(lab_.why(last).others, 2u);
  lab_.scheduler->rates({pair_rule({}, {}, 6)});  // the same pairs, with more for each
  lab_.run(lab_.now + kTenth);
  EXPECT_EQ(lab_.sessions, 6u);
  lab_.scheduler->rates({pair_rule({"old"}, {}, 1)});
  lab_.run(lab_.now + kTenth);
  EXPECT_EQ(lab_.sessions, 8u);
  lab_.scheduler->rates({pair_rule({"new"}, {}, 1)});
  const auto later = add(3, "new", "a");
  lab_.run(lab_.now + kTenth);
  EXPECT_EQ(lab_.sessions, 8u);
  EXPECT_EQ(lab_.why(later).limit, "source_pool_destination_concurrency_limit");
  EXPECT_EQ(lab_.why(later).others, 2u);
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 11u);
}

TEST_F(Pairs, ANewRateOwesNoMoreThanItWould) {
  start({pair_rule({"new"}, {kHour, 3})});
  const auto last = add(4, "new", "a");
  lab_.run(lab_.now + 1);
  EXPECT_EQ(begun("new", "a"), 3u);
  lab_.scheduler->rates({pair_rule({"new"}, {kSecond, 1})});
  lab_.run(lab_.now + 2 * kSecond);
  EXPECT_EQ(begun("new", "a"), 4u);
  EXPECT_EQ(lab_.why(last).limit, "unknown");
}

TEST_F(Pairs, ADeliveryCountsWhereItBeganUntilItEnds) {
  start({pair_rule({"new"}, {}, 1)});
  const auto first = add(1, "new", "a");
  lab_.run(lab_.now + 1);
  auto &s = *lab_.scheduler;
  s.set_flow(first, s.with_source_pool(s.flow_of(first), "old"), lab_.now);
  const auto next = add(1, "new", "a");
  lab_.run(lab_.now + kTenth);
  EXPECT_EQ(lab_.why(next).limit, "source_pool_destination_concurrency_limit");
  lab_.run(lab_.now + kSecond);
  EXPECT_EQ(lab_.why(next).limit, "delivery");
}

TEST_F(Pairs, WhatIsTakenBackLetsOthersGo) {
  start({pair_rule({"new"}, {}, 1)});
  lab_.latency = [](const auto &) { return kHour; };
  const auto first = add(1, "new", "a"), second = add(1, "new", "a");
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.why(second).limit, "source_pool_destination_concurrency_limit");
  lab_.scheduler->hold(first);
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.why(second).limit, "delivery");
  EXPECT_EQ(lab_.why(first).limit, "hold");
}

TEST_F(Pairs, BindASuspectOfKillingWorkersToo) {
  start({pair_rule({"new"}, {100 * kSecond, 1})});
  add(1, "new", "a");
  lab_.run();
  const auto open = lab_.began.front().begun + 100 * kSecond;
  auto &s = *lab_.scheduler;
  const GroupId id = 1;
  s.add({.id = id,
         .transport = t_,
         .destination = s.destination(t_, "a"),
         .flow = s.flow({.source_pool = "new"}),
         .alone = true},
        lab_.now);
  EXPECT_FALSE(s.next(lab_.now));
  EXPECT_FALSE(s.next(open - 1));
  EXPECT_TRUE(s.next(open));
}

TEST_F(Pairs, WhatIsUsedUpOutlivesARestart) {
  constexpr Nanos kOffset = 1'700'000'000 * kSecond;
  const auto rules = [] { return std::vector{pair_rule({}, {50 * kSecond, 1})}; };
  start(rules());
  add(1, "new", "a");
  add(1, "new", "b");
  lab_.run(lab_.now + 2 * kSecond);
  const auto saved = lab_.scheduler->save(kOffset, lab_.now);
  Lab again;
  again.scheduler->rates(rules());
  const auto t = again.transport({.name = "t"});
  again.scheduler->restore(saved, kOffset + lab_.now - again.now, again.now);
  again.add(t, "a", {.source_pool = "new"});
  again.add(t, "c", {.source_pool = "new"});
  again.add(t, "a", {.source_pool = "old"});
  again.run(again.now + 1);
  EXPECT_EQ(again.why(0).limit, "source_pool_destination_rate_limit");
  EXPECT_NEAR(static_cast<double>(again.why(0).eligible - again.now), 48.0 * kSecond, 1.0 * kSecond);
  EXPECT_EQ(again.why(1).limit, "delivery");
  EXPECT_EQ(again.why(2).limit, "delivery");
}

// What is used up is not forgotten while there is no mail, however many other pairs come and go.
TEST_F(Pairs, WhatIsUsedUpIsRememberedWithoutMail) {
  start({pair_rule({"new"}, {kHour, 1}, 0, {"a"}), pair_rule({"new"}, {kMillisecond, 1})});
  lab_.latency = [](const auto &) { return kMillisecond; };
  add(1, "new", "a");
  for (int i = 0; i < 10'000; ++i) lab_.add(t_, "d" + std::to_string(i), {.source_pool = "new"});
  lab_.run(lab_.now + 10 * kSecond);
  EXPECT_EQ(lab_.ended.size(), 10'001u);
  const auto next = add(1, "new", "a");
  lab_.run(lab_.now + kSecond);
  EXPECT_EQ(lab_.why(next).limit, "source_pool_destination_rate_limit");
}

TEST_F(Pairs, ASuspensionOfAPoolAtADestinationHoldsNothingElse) {
  start({});
  lab_.scheduler->suspend({Suspension::Key::SourcePool, "new", 0, kForGood, "they block it", "a"}, lab_.now);
  const auto kept = add(3, "new", "a");
  add(3, "new", "b");
  EXPECT_EQ(lab_.why(kept).others, 2u);
  add(3, "old", "a");
  lab_.run(lab_.now + 100 * kSecond);
  EXPECT_EQ(begun("new", "a"), 0u);
  EXPECT_EQ(begun("new", "b"), 3u);
  EXPECT_EQ(begun("old", "a"), 3u);
  EXPECT_EQ(lab_.why(kept).limit, "suspended");
  EXPECT_EQ(lab_.why(kept).detail, "source pool new is suspended for a: they block it");
  EXPECT_EQ(lab_.scheduler->suspended_time(kept, lab_.now - 100 * kSecond, lab_.now), 100 * kSecond);
  EXPECT_FALSE(lab_.scheduler->resume(Suspension::Key::SourcePool, "new", lab_.now));
  EXPECT_FALSE(lab_.scheduler->resume(Suspension::Key::SourcePool, "new", lab_.now, "b"));
  EXPECT_TRUE(lab_.scheduler->resume(Suspension::Key::SourcePool, "new", lab_.now, "a"));
  lab_.run();
  EXPECT_EQ(begun("new", "a"), 3u);
}

TEST_F(Pairs, ASuspensionHoldsWhatWaitsAlreadyAndEndsInTime) {
  start({}, {.name = "t", .destination = {.window = {.initial = 1, .limit = 1}}});
  add(4, "new", "x.example");
  lab_.run(lab_.now + 1);
  lab_.scheduler->suspend({Suspension::Key::SourcePool, "new", 0, lab_.now + kHour, "", ".example"}, lab_.now);
  lab_.run(lab_.now + kHour - kSecond);
  EXPECT_EQ(begun("new", "x.example"), 1u);
  lab_.run(lab_.now + 10 * kSecond);
  EXPECT_EQ(begun("new", "x.example"), 4u);
}

TEST_F(Pairs, ASiteIsSuspendedForAPoolAndAMemberOfItToo) {
  for (const auto *name : {"p", "a.p.example"}) {
    Lab lab;
    const auto t = lab.transport({.name = "t", .rules = {{{".p.example"}, {.window = kManyAtOnce}, "p"}}});
    lab.scheduler->suspend({Suspension::Key::SourcePool, "new", 0, kForGood, "", name}, lab.now);
    for (const auto *to : {"a.p.example", "b.p.example"})
      for (const auto *pool : {"new", "old"}) lab.add(t, to, {.source_pool = pool}, false, std::string{pool} + to);
    lab.run(lab.now + kHour);
    EXPECT_EQ(lab.done("newa.p.example"), 0u) << name;
    EXPECT_EQ(lab.done("newb.p.example"), name == std::string{"p"} ? 0u : 1u);
    EXPECT_EQ(lab.done("olda.p.example"), 1u) << name;
    EXPECT_EQ(lab.done("oldb.p.example"), 1u) << name;
    EXPECT_EQ(lab.why(0).limit, "suspended");
    EXPECT_TRUE(lab.scheduler->resume(Suspension::Key::SourcePool, "new", lab.now, name));
    lab.run(lab.now + 10 * kSecond);
    EXPECT_EQ(lab.done("newa.p.example"), 1u) << name;
    EXPECT_EQ(lab.done("newb.p.example"), 1u) << name;
  }
}

TEST_F(Pairs, ASuspensionAtADestinationOutlivesARestart) {
  constexpr Nanos kOffset = 1'700'000'000 * kSecond;
  start({});
  lab_.scheduler->suspend({Suspension::Key::SourcePool, "new", 0, kForGood, "listed", "a"}, lab_.now);
  const auto saved = lab_.scheduler->save(kOffset, lab_.now);
  Lab again;
  const auto t = again.transport({.name = "t"});
  again.scheduler->restore(saved, kOffset + lab_.now - again.now, again.now);
  again.add(t, "a", {.source_pool = "new"});
  again.add(t, "b", {.source_pool = "new"});
  again.run(again.now + 1);
  EXPECT_EQ(again.why(0).detail, "source pool new is suspended for a: listed");
  EXPECT_EQ(again.why(1).limit, "delivery");
}

// Any mail and any limits, with orders, reloads and exchangers that change what belongs where.
class AnyPairs : public ::testing::TestWithParam<unsigned> {};

TEST_P(AnyPairs, NoneIsPassedAndAllOfItGoes) {
  std::mt19937 random{GetParam()};
  const auto pick = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  const std::string pools[] = {"", "a", "b", "c"}, destinations[] = {"d0", "d1", "d2", "s0.s", "s1.s"};
  const auto owner = [](const std::string &to) { return to.ends_with(".s") ? std::string{"site"} : to; };
  std::vector<RateRule> rules{{RateRule::Key::Tenant, {"x"}, {kTenth / 2, 2}},
                              {RateRule::Key::SourcePool, {"c"}, {kTenth / 2, 3}}};
  for (const auto &pool : {"a", "b", "c"})
    for (const auto &to : {"d0", "d1", "site"})
      if (pick(3) != 0)
        rules.push_back(pair_rule({pool}, pick(3) == 0 ? RateLimit{} : RateLimit{(1 + pick(4)) * kTenth, 1 + pick(3)},
                                  pick(3), {to}));
  const auto rule_of = [&](const std::string &pool, const std::string &to) {
    const auto at = std::find_if(rules.begin(), rules.end(), [&](const RateRule &r) {
      return r.key == RateRule::Key::SourcePoolDestination && r.matches(pool, to);
    });
    return at == rules.end() ? RateRule{} : *at;
  };
  Lab lab;
  lab.latency = [](const auto &d) { return static_cast<Nanos>(1 + d.group % 7) * kTenth; };
  lab.scheduler->rates(rules);
  const auto t = lab.transport({.name = "t",
                                .sessions = 5 + pick(20),
                                .destination = {.window = kManyAtOnce},
                                .rules = {{{".s"}, {.window = kManyAtOnce}, "site"}}});
  using Pair = std::pair<std::string, std::string>;
  std::map<GroupId, std::string> named;
  std::map<Pair, TokenBucket> buckets;
  std::map<Pair, std::uint32_t> under_way;
  std::map<GroupId, Pair> leased;
  std::size_t looked = 0, ended = 0;
  std::set<GroupId> waiting;
  const auto step = [&](Nanos until) {
    lab.run(until);
    // In the order of their times; what ends at the same time ends first.
    while (looked < lab.began.size() || ended < lab.ended.size()) {
      if (ended < lab.ended.size() &&
          (looked == lab.began.size() || lab.ended[ended].ended <= lab.began[looked].begun)) {
        --under_way[leased.at(lab.ended[ended].group)];
        ++ended;
        continue;
      }
      const auto &d = lab.began[looked++];
      waiting.erase(d.group);
      const Pair pair{named.at(d.group), owner(d.to)};
      leased[d.group] = pair;
      const auto rule = rule_of(pair.first, pair.second);
      ++under_way[pair];
      EXPECT_TRUE(rule.concurrency == 0 || under_way[pair] <= rule.concurrency) << pair.first << ' ' << pair.second;
      EXPECT_TRUE(buckets[pair].open(rule.limit, d.begun)) << pair.first << ' ' << pair.second;
      buckets[pair].take(rule.limit, d.begun);
    }
  };
  for (int round = 0; round < 60; ++round) {
    for (auto n = pick(6); n > 0; --n) {
      const auto &to = destinations[pick(5)], &pool = pools[pick(4)];
      const std::string tenant = pick(2) == 0 ? "x" : "y";
      const auto id = lab.add(t, to, {.tenant = tenant, .source_pool = pool}, pick(4) == 0, "m");
      named[id] = pool;
      waiting.insert(id);
    }
    if (pick(3) == 0 && !waiting.empty()) {
      const auto id = *std::next(waiting.begin(), pick(static_cast<std::uint32_t>(waiting.size())));
      named[id] = pools[pick(4)];
      lab.scheduler->set_flow(id, lab.scheduler->with_source_pool(lab.scheduler->flow_of(id), named[id]), lab.now);
    }
    if (pick(10) == 0) lab.scheduler->rates(rules);  // a reload that changes nothing
    step(lab.now + pick(5) * kTenth + 1);
  }
  step(lab.now + kHour);
  EXPECT_EQ(lab.waiting(), 0u);
  EXPECT_EQ(lab.done("m"), named.size());
}

INSTANTIATE_TEST_SUITE_P(Seeds, AnyPairs, ::testing::Range(1u, 61u));

}  // namespace
}  // namespace mansio::scheduler
