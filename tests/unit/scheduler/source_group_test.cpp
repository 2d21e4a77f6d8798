// Source groups: mail that names one leaves from its pools by weight, from one that may send, and waits for none that
// another could stand in for.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/unit/scheduler/lab.hpp"
#include "tests/unit/scheduler/times.hpp"

namespace mansio::scheduler {
namespace {

constexpr WindowLimits kNoWindow{.initial = 1000, .limit = 1000};
constexpr auto kPool = RateRule::Key::SourcePool, kPoolThere = RateRule::Key::SourcePoolDestination;

class Groups : public ::testing::Test {
 protected:
  void start(std::vector<SourceGroup::Pool> pools, std::vector<RateRule> rules = {},
             TransportLimits limits = {.name = "t", .sessions = 1000, .destination = {.window = kNoWindow}}) {
    lab_.scheduler->source_groups({{"bulk", std::move(pools)}});
    lab_.scheduler->rates(std::move(rules));
    t_ = lab_.transport(std::move(limits));
  }
  GroupId add(int n, const std::string &to = "d.example", const std::string &pool = "bulk") {
    GroupId last = 0;
    for (int i = 0; i < n; ++i) last = lab_.add(t_, to, {.source_pool = pool}, false, "m");
    return last;
  }
  std::string pool_of(GroupId id) { return std::string{lab_.scheduler->chosen_pool(id)}; }
  Lab lab_;
  TransportId t_ = 0;
};

TEST_F(Groups, SpreadMailByWeight) {
  start({{"old", 6}, {"other", 3}, {"new", 1}});
  add(400);
  add(5, "d.example", "old");
  lab_.run();
  EXPECT_NEAR(static_cast<double>(lab_.left_from("old")), 240, 3);
  EXPECT_NEAR(static_cast<double>(lab_.left_from("other")), 120, 3);
  EXPECT_NEAR(static_cast<double>(lab_.left_from("new")), 40, 3);
  EXPECT_EQ(lab_.left_from(""), 5u);  // what names a pool leaves from that
  EXPECT_EQ(lab_.ended.size(), 405u);
}

TEST_F(Groups, WhatWasChosenStaysChosenWhenSendersAreToldApart) {
  start({{"old", 1}, {"new", 1}});
  const auto id = add(1);
  lab_.run(lab_.now + 1);
  const auto pool = pool_of(id);
  ASSERT_FALSE(pool.empty());
  lab_.scheduler->rates({{RateRule::Key::Sender, {"a@x.example"}, {kHour, 1}}});
  const auto before = lab_.scheduler->flow_of(id);
  lab_.scheduler->set_flow(id, lab_.scheduler->with_sender(before, "a@x.example"), lab_.now);
  EXPECT_NE(lab_.scheduler->flow_of(id), before);
  EXPECT_EQ(pool_of(id), pool);
}

TEST_F(Groups, DestinationsByTurnsDoNotMeetPoolsByTurns) {
  start({{"one", 1}, {"two", 1}});
  for (int i = 0; i < 200; ++i) add(1, i % 2 == 0 ? "a" : "b");
  lab_.run();
  const auto from_one =
      std::count_if(lab_.began.begin(), lab_.began.end(), [](const auto &d) { return d.to == "a" && d.pool == "one"; });
  EXPECT_GT(from_one, 20);
  EXPECT_LT(from_one, 80);
}

TEST_F(Groups, NothingWaitsForAPoolThatIsLimitedWhileAnotherMaySend) {
  start({{"old", 1}, {"new", 1}}, {{kPool, {"new"}, {10 * kSecond, 2}}});
  add(100);
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.left_from("new"), 2u);
  EXPECT_EQ(lab_.left_from("old"), 98u);
  lab_.run();
  lab_.now += 20 * kSecond;
  add(100);
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.left_from("new"), 4u);  // what it has earned meanwhile, and no more
  EXPECT_EQ(lab_.began.size(), 200u);
}

TEST_F(Groups, ALimitAtADestinationIsAPoolsThereAlone) {
  start({{"old", 1}, {"new", 1}},
        {{kPoolThere, {"new"}, {kHour, 1}, {"big.example"}, 0}, {kPoolThere, {"new"}, {}, {"slow.example"}, 3}});
  for (const auto *to : {"big.example", "slow.example", "d.example"}) add(100, to);
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.began.size(), 300u);
  std::map<std::string, int> from_new;
  for (const auto &d : lab_.began) from_new[d.to] += d.pool == "new";
  EXPECT_EQ(from_new["big.example"], 1);
  EXPECT_EQ(from_new["slow.example"], 3);
  EXPECT_GT(from_new["d.example"], 30);
}

TEST_F(Groups, WhereNoPoolMaySendMailStandsInTheLineThatIsShortest) {
  start({{"old", 1}, {"new", 1}}, {{kPool, {"old"}, {kTenth, 1}}, {kPool, {"new"}, {10 * kTenth, 1}}});
  const auto last = add(112);
  lab_.run(lab_.now + kMillisecond);
  EXPECT_EQ(lab_.began.size(), 2u);
  const auto why = lab_.why(last);
  EXPECT_EQ(why.limit, "source_pool_rate_limit");
  EXPECT_EQ(why.detail.substr(0, 3), pool_of(last));
  lab_.run(lab_.now + 10 * kSecond + kTenth);
  EXPECT_EQ(lab_.began.size(), 112u);  // eleven a second, though their weights are the same
  EXPECT_NEAR(static_cast<double>(lab_.left_from("new")), 11, 1);
}

TEST_F(Groups, WhatWasTriedIsTriedFromTheSamePoolAgain) {
  start({{"one", 1}, {"two", 1}, {"three", 1}});
  lab_.result = [](const auto &d) {
    return d.begun < d.added + 1000 * kSecond ? Result::NoFeedback : Result::Delivered;
  };
  add(20);
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 20u);
  std::map<GroupId, std::string> from;
  for (const auto &d : lab_.began) EXPECT_EQ(from.try_emplace(d.group, d.pool).first->second, d.pool);
  EXPECT_GT(lab_.began.size(), 40u);
}

TEST_F(Groups, ASuspendedPoolIsLeftOut) {
  start({{"old", 1}, {"new", 1}});
  lab_.scheduler->suspend({Suspension::Key::SourcePool, "new", 0, lab_.now + kHour, ""}, lab_.now);
  lab_.scheduler->suspend({Suspension::Key::SourcePool, "old", 0, lab_.now + 2 * kHour, "listed", "a"}, lab_.now);
  add(10);
  const auto kept = add(10, "a");
  lab_.run(lab_.now + 100 * kSecond);
  EXPECT_EQ(lab_.left_from("old"), 10u);
  EXPECT_EQ(lab_.began.size(), 10u);
  EXPECT_EQ(lab_.why(kept).limit, "suspended");
  EXPECT_EQ(lab_.why(kept).detail, "source pool new is suspended");  // the first that may send again
  EXPECT_EQ(lab_.scheduler->suspended_time(kept, lab_.now - 100 * kSecond, lab_.now), 100 * kSecond);
  lab_.run(lab_.now + kHour);
  EXPECT_EQ(lab_.left_from("new"), 10u);
}

TEST_F(Groups, WhenAllPoolsAreSuspendedMailWaitsForOne) {
  start({{"old", 1}, {"new", 1}});
  const auto suspend = [&](const char *pool) {
    lab_.scheduler->suspend({Suspension::Key::SourcePool, pool, 0, kForGood, ""}, lab_.now);
  };
  suspend("old");
  suspend("new");
  const auto last = add(10);
  lab_.run(lab_.now + kHour);
  EXPECT_TRUE(lab_.began.empty());
  EXPECT_EQ(lab_.why(last).limit, "suspended");
  EXPECT_TRUE(lab_.scheduler->resume(Suspension::Key::SourcePool, "new", lab_.now));
  lab_.run(lab_.now + 10 * kSecond);
  EXPECT_EQ(lab_.left_from("new"), 10u);
  suspend("bulk");  // the group by its own name
  const auto later = add(1);
  lab_.run(lab_.now + kHour);
  EXPECT_EQ(lab_.why(later).limit, "suspended");
}

TEST_F(Groups, TheGroupsNameSuspendsWhatWasChosenFromItToo) {
  start({{"new", 1}});
  lab_.result = [](const auto &) { return Result::NoFeedback; };
  const auto id = add(1);
  lab_.run(lab_.now + 2 * kSecond);
  EXPECT_EQ(pool_of(id), "new");
  lab_.scheduler->suspend({Suspension::Key::SourcePool, "bulk", 0, kForGood, ""}, lab_.now);
  lab_.run(lab_.now + kHour);
  EXPECT_EQ(lab_.began.size(), 1u);
  EXPECT_EQ(lab_.why(id).limit, "suspended");
}

TEST_F(Groups, APoolThatLeavesItsGroupKeepsNothing) {
  start({{"old", 1}, {"new", 1}});
  bool fails = true;
  lab_.result = [&](const auto &) { return fails ? Result::NoFeedback : Result::Delivered; };
  add(20);
  lab_.run(lab_.now + 2 * kSecond);
  EXPECT_GT(lab_.left_from("new"), 5u);
  lab_.scheduler->source_groups({{"bulk", {{"old", 1}, {"third", 1}}}});
  fails = false;
  const auto before = lab_.left_from("new");
  lab_.run();
  EXPECT_EQ(lab_.left_from("new"), before);
  EXPECT_GT(lab_.left_from("third"), 0u);
  EXPECT_EQ(lab_.ended.size(), 20u);
}

TEST_F(Groups, AGroupThatIsNoneAnyMoreIsAPoolOfItsName) {
  start({{"old", 1}, {"new", 1}}, {{kPool, {"bulk"}, {kSecond, 1}}});
  bool fails = true;
  lab_.result = [&](const auto &) { return fails ? Result::NoFeedback : Result::Delivered; };
  add(4);
  lab_.run(lab_.now + 2 * kSecond);
  EXPECT_EQ(lab_.began.size(), 4u);  // a group's name has no rate
  fails = false;
  lab_.scheduler->source_groups({});
  const auto id = add(2);
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.why(id).limit, "source_pool_rate_limit");
  lab_.run();
  EXPECT_EQ(lab_.left_from(""), 6u);
  lab_.scheduler->source_groups({{"bulk", {{"new", 1}}}});
  add(3);
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 9u);
  EXPECT_EQ(lab_.began.back().pool, "new");
}

TEST_F(Groups, ChangeNothingButThePool) {
  start({{"old", 1}}, {{RateRule::Key::Tenant, {"acme"}, {kHour, 1}}});
  for (int i = 0; i < 2; ++i) lab_.add(t_, "d", {.tenant = "acme", .source_pool = "bulk", .priority = 6}, false, "m");
  lab_.run(lab_.now + kSecond);
  EXPECT_EQ(lab_.began.size(), 1u);
  EXPECT_EQ(lab_.why(1).limit, "tenant_rate_limit");
  auto &s = *lab_.scheduler;
  EXPECT_EQ(s.with_source_pool(s.flow_of(1), "x"), s.flow({.tenant = "acme", .source_pool = "x", .priority = 6}));
}

TEST_F(Groups, AnOrderGivesMailAnotherPoolOrTheGroupsChoiceAnew) {
  start({{"old", 1}, {"new", 1}}, {{kPool, {"old", "new"}, {kHour, 1}}});
  const auto last = add(3);
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.began.size(), 2u);
  EXPECT_NE(pool_of(last), "");
  auto &s = *lab_.scheduler;
  s.set_flow(last, s.with_source_pool(s.flow_of(last), "bulk"), lab_.now);
  EXPECT_EQ(pool_of(last), "");
  s.set_flow(last, s.with_source_pool(s.flow_of(last), "spare"), lab_.now);
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.began.size(), 3u);
  EXPECT_EQ(lab_.began.back().pool, "");
}

TEST_F(Groups, ARepliesPoolMayBeAGroupAndItsOwnPoolsAreNoOther) {
  start({{"old", 1}, {"new", 1}});
  int asked = 0;
  lab_.scheduler->on_turn([&](GroupId) {
    ++asked;
    return std::optional<std::string>{"bulk"};
  });
  add(10, "d.example", "first");
  lab_.run();
  EXPECT_EQ(lab_.left_from("old") + lab_.left_from("new"), 10u);
  EXPECT_LE(asked, 20);
}

TEST_F(Groups, AreSpreadOverWhatPluginsPermitToo) {
  lab_.scheduler->rate_owners({{"shared", false, kSecond}});
  start({{"old", 1}, {"new", 1}}, {{kPoolThere, {"new"}, {kSecond, 5, 1}}});
  add(10);
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.left_from("old"), 10u);
  const auto questions = lab_.scheduler->rate_questions();
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_EQ(questions[0].key, "new:d.example");
  lab_.scheduler->permits(questions[0].number, 2, 100 * kSecond, kHour, lab_.now);
  add(30);
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.left_from("new"), 2u);
  EXPECT_EQ(lab_.began.size(), 40u);
}

TEST_F(Groups, ASuspectsTurnChoosesToo) {
  start({{"new", 1}}, {{kPool, {"new"}, {100 * kSecond, 1}}});
  add(1);
  lab_.run(lab_.now + 2 * kSecond);
  auto &s = *lab_.scheduler;
  s.add({.id = 1,
         .transport = t_,
         .destination = s.destination(t_, "d"),
         .flow = s.flow({.source_pool = "bulk"}),
         .alone = true},
        lab_.now);
  EXPECT_FALSE(s.next(lab_.now));
  EXPECT_FALSE(s.next(lab_.now + 90 * kSecond));
  EXPECT_TRUE(s.next(lab_.now + 99 * kSecond));
  EXPECT_EQ(s.chosen_pool(1), "new");
}

// Any groups and limits: no pool is passed, no mail is left over, and pools without limits get what they weigh.
class AnyGroups : public ::testing::TestWithParam<unsigned> {};

TEST_P(AnyGroups, NoLimitIsPassedAndAllOfItGoes) {
  std::mt19937 random{GetParam()};
  const auto pick = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  const std::string pools[] = {"a", "b", "c", "d"}, destinations[] = {"d0", "d1", "d2"};
  std::vector<SourceGroup> groups{{"g", {}}, {"h", {}}};
  for (auto &g : groups) {
    for (const auto &pool : pools)
      if (pick(3) != 0) g.pools.push_back({pool, 1 + pick(9)});
    if (g.pools.empty()) g.pools.push_back({"a", 1});
  }
  std::vector<RateRule> rules{{RateRule::Key::Tenant, {"x"}, {kTenth / 2, 2}}};
  for (const auto &pool : pools) {
    if (pick(3) == 0) rules.push_back({kPool, {pool}, {(1 + pick(3)) * kTenth, 1 + pick(3)}});
    for (const auto &to : destinations)
      if (pick(2) == 0)
        rules.push_back({kPoolThere,
                         {pool},
                         pick(2) == 0 ? RateLimit{} : RateLimit{(1 + pick(4)) * kTenth, 1 + pick(3)},
                         {to},
                         pick(3)});
  }
  Lab lab;
  lab.latency = [](const auto &d) { return static_cast<Nanos>(1 + d.group % 7) * kTenth; };
  lab.scheduler->source_groups(groups);
  lab.scheduler->rates(rules);
  const auto t = lab.transport({.name = "t", .sessions = 5 + pick(20), .destination = {.window = kNoWindow}});
  std::map<std::string, TokenBucket> buckets;
  std::map<std::pair<std::string, std::string>, TokenBucket> buckets_there;
  std::map<std::pair<std::string, std::string>, std::uint32_t> under_way;
  std::map<GroupId, std::string> named;
  const auto first = [&](RateRule::Key key, const std::string &pool, const std::string &to) {
    const auto at = std::find_if(rules.begin(), rules.end(), [&](const RateRule &r) {
      return r.key == key && (key == kPool ? r.matches(pool) : r.matches(pool, to));
    });
    return at == rules.end() ? RateRule{} : *at;
  };
  std::size_t looked = 0, ended = 0;
  const auto step = [&](Nanos until) {
    lab.run(until);
    while (looked < lab.began.size() || ended < lab.ended.size()) {
      if (ended < lab.ended.size() &&
          (looked == lab.began.size() || lab.ended[ended].ended <= lab.began[looked].begun)) {
        const auto &d = lab.ended[ended++];
        --under_way[{d.pool.empty() ? named.at(d.group) : d.pool, d.to}];
        continue;
      }
      const auto &d = lab.began[looked++];
      const auto &name = named.at(d.group);
      const auto group = std::find_if(groups.begin(), groups.end(), [&](const auto &g) { return g.name == name; });
      ASSERT_EQ(d.pool.empty(), group == groups.end());
      EXPECT_TRUE(group == groups.end() ||
                  std::any_of(group->pools.begin(), group->pools.end(), [&](auto &p) { return p.name == d.pool; }));
      const auto pool = d.pool.empty() ? name : d.pool;
      const auto everywhere = first(kPool, pool, d.to), there = first(kPoolThere, pool, d.to);
      EXPECT_TRUE(buckets[pool].open(everywhere.limit, d.begun)) << pool;
      buckets[pool].take(everywhere.limit, d.begun);
      auto &bucket = buckets_there[{pool, d.to}];
      EXPECT_TRUE(bucket.open(there.limit, d.begun)) << pool << ' ' << d.to;
      bucket.take(there.limit, d.begun);
      const auto now = ++under_way[{pool, d.to}];
      EXPECT_TRUE(there.concurrency == 0 || now <= there.concurrency) << pool << ' ' << d.to;
    }
  };
  for (int round = 0; round < 60; ++round) {
    for (auto n = pick(8); n > 0; --n) {
      const std::string name = pick(4) == 0 ? pools[pick(4)] : pick(2) == 0 ? "g" : "h";
      const std::string tenant = pick(2) == 0 ? "x" : "y";
      named[lab.add(t, destinations[pick(3)], {.tenant = tenant, .source_pool = name}, pick(4) == 0, "m")] = name;
    }
    step(lab.now + pick(5) * kTenth + 1);
  }
  step(lab.now + kHour);
  EXPECT_EQ(lab.waiting(), 0u);
  EXPECT_EQ(lab.done("m"), named.size());
}

INSTANTIATE_TEST_SUITE_P(Seeds, AnyGroups, ::testing::Range(1u, 61u));

}  // namespace
}  // namespace mansio::scheduler
