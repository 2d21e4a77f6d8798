// Limits that plugins own, under a virtual clock: nodes that share a keeper of buckets, which takes its time to answer,
// may fail, and gives leases that end. No limit is exceeded over all nodes, and what holds permits does not wait.
#include "kernel/scheduler/permits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kernel/scheduler/scheduler.hpp"
#include "tests/unit/scheduler/times.hpp"

namespace mansio::scheduler::owned_limits {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Nanos kStart = 1'000'000 * kSecond;

TEST(Permits, AreUsedUpOneLeaseAfterTheOther) {
  Permits p;
  EXPECT_EQ(p.units(kStart), 0u);
  EXPECT_TRUE(p.low(kStart));
  p.add(4, kStart + kSecond, kStart);
  EXPECT_FALSE(p.low(kStart));
  p.use(kStart);
  p.use(kStart);
  EXPECT_TRUE(p.low(kStart));
  p.add(3, kStart + 2 * kSecond, kStart);
  EXPECT_EQ(p.units(kStart), 5u);
  p.use(kStart);
  p.use(kStart);
  p.use(kStart);
  EXPECT_EQ(p.units(kStart + kSecond), 2u);  // of the second lease
}

TEST(Permits, EndWithTheirLease) {
  Permits p;
  p.add(4, kStart + kSecond, kStart);
  p.add(2, kStart + 3 * kSecond, kStart);
  EXPECT_EQ(p.units(kStart + kSecond - 1), 6u);
  EXPECT_EQ(p.units(kStart + kSecond), 2u);
  p.use(kStart + 2 * kSecond);
  EXPECT_EQ(p.units(kStart + 2 * kSecond), 1u);
  EXPECT_EQ(p.units(kStart + 3 * kSecond), 0u);
  p.add(2, kStart, kStart);  // over before it is here
  EXPECT_EQ(p.units(kStart - 1), 1u);
}

TEST(Permits, AreAskedForByTheSecondOrTheBurst) {
  EXPECT_EQ(most_at_once({kSecond, 1}), 1u);
  EXPECT_EQ(most_at_once({3600 * kSecond, 50}), 50u);
  EXPECT_EQ(most_at_once({kMillisecond, 1}), 1000u);
  EXPECT_EQ(most_at_once({1, UINT32_MAX}), 10'000u);
}

struct Begin {
  std::string tag;
  Nanos at;
};

class World {
 public:
  struct Node {
    std::unique_ptr<Scheduler> s;
    TransportId t = 0;
    GroupId last = 0;
    std::map<GroupId, std::string> waiting;  // their tags
    std::vector<RateQuestion> asked;         // all of them, in order
    std::vector<UnusedPermits> unused;
  };

  Node &node(TransportLimits limits, std::vector<RateRule> rules = {}, bool skip = false) {
    auto &n = *nodes.emplace_back(std::make_unique<Node>());
    n.s = Scheduler::create({.jitter = 0}, nodes.size());
    n.s->rate_owners({{"shared", skip, kSecond}});
    n.s->rates(std::move(rules));
    n.t = n.s->transport(limits);
    n.s->transport_available(n.t, 100'000);
    return n;
  }
  GroupId add(Node &n, const std::string &to, const std::string &tag, const Party &party = {}, bool alone = false) {
    const auto id = n.last++;
    n.waiting[id] = tag;
    n.s->add({.id = id,
              .transport = n.t,
              .destination = n.s->destination(n.t, to),
              .flow = n.s->flow(party),
              .alone = alone},
             now);
    return id;
  }
  // Goes on until then, or until nothing happens any more.
  void run(Nanos until = kStart + 86400 * kSecond) {
    for (int steps = 0; steps < 5'000'000; ++steps) {
      for (auto &n : nodes) turn(*n);
      auto at = until;
      if (!events.empty()) at = std::min(at, events.begin()->first);
      for (auto &n : nodes)
        if (const auto due = n->s->next_due(); due && !n->waiting.empty()) at = std::min(at, std::max(*due, now + 1));
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
  std::size_t begun(const std::string &tag) const {
    return static_cast<std::size_t>(
        std::count_if(begins.begin(), begins.end(), [&](const Begin &b) { return b.tag == tag; }));
  }

  Nanos now = kStart;
  std::vector<std::unique_ptr<Node>> nodes;
  std::multimap<Nanos, std::function<void()>> events;
  std::vector<Begin> begins;
  std::function<void(Node &, const std::string &tag)> on_begin = [](Node &, const std::string &) {};
  Nanos latency = 5 * kMillisecond, ttl = 600 * kSecond, delivery = 20 * kMillisecond;
  bool down = false;  // the keeper fails
  std::map<std::string, TokenBucket> buckets;
  std::map<std::pair<const Node *, std::string>, std::int64_t> held;  // given and not used

 private:
  void turn(Node &n) {
    while (const auto d = n.s->next(now)) {
      const auto tag = n.waiting.at(d->group);
      n.waiting.erase(d->group);
      begins.push_back({tag, now});
      on_begin(n, tag);
      events.emplace(now + delivery,
                     [&n, group = d->group, this] { n.s->finished(group, Result::Delivered, std::nullopt, now); });
    }
    for (auto &u : n.s->unused_permits()) {
      auto &full_at = buckets[u.limit + ' ' + u.key].full_at;
      full_at -= rates_[u.limit + ' ' + u.key].interval * u.units;
      held[{&n, u.key}] -= u.units;
      n.unused.push_back(std::move(u));
    }
    for (auto &q : n.s->rate_questions()) {
      n.asked.push_back(q);
      events.emplace(now + latency, [this, &n, q = std::move(q)] { answer(n, q); });
    }
  }
  void answer(Node &n, const RateQuestion &q) {
    if (down) return n.s->no_permits(q.number, now);
    const auto limit = rates_[q.limit + ' ' + q.key] = q.rate;
    auto &bucket = buckets[q.limit + ' ' + q.key];
    std::uint32_t units = 0;
    for (; units < q.want && bucket.open(limit, now); ++units) bucket.take(limit, now);
    const auto retry = units < q.want ? bucket.next(limit) - now : 0;
    // Its way back takes time as well.
    events.emplace(now + latency, [this, &n, key = q.key, number = q.number, units, retry] {
      held[{&n, key}] += units;
      n.s->permits(number, units, ttl, retry, now);
    });
  }
  std::map<std::string, RateLimit> rates_;
};

constexpr RateLimit owned(Nanos interval, std::uint32_t burst) { return {interval, burst, 1}; }
const WindowLimits kWide{.initial = 10'000, .limit = 10'000};

// All kinds of limits, each with whose it is.
struct Kind {
  const char *limit, *key;
  TransportLimits limits;
  std::vector<RateRule> rules;
};
std::vector<Kind> kinds(const RateLimit &rate) {
  const TransportLimits plain{.name = "t", .destination = {.window = kWide}};
  auto transport = plain, destination = plain;
  transport.rate = rate;
  destination.destination.rate = rate;
  return {{"transport_rate_limit", "t", transport, {}},
          {"destination_rate_limit", "t:d.example", destination, {}},
          {"tenant_rate_limit", "acme", plain, {{RateRule::Key::Tenant, {}, rate}}},
          {"campaign_rate_limit", "spring", plain, {{RateRule::Key::Campaign, {}, rate}}},
          {"sender_rate_limit", "a@x.example", plain, {{RateRule::Key::Sender, {}, rate}}},
          {"source_pool_rate_limit", "warm", plain, {{RateRule::Key::SourcePool, {}, rate}}},
          {"source_pool_destination_rate_limit",
           "warm:d.example",
           plain,
           {{RateRule::Key::SourcePoolDestination, {}, rate}}}};
}
constexpr Party kParty{.tenant = "acme", .campaign = "spring", .sender = "a@x.example", .source_pool = "warm"};

// A tenant's, campaign's, sender's and source pool's: not those of where mail goes.
struct PartyLimit {
  RateRule::Key key;
  const char *name;
};
constexpr PartyLimit kPartyLimits[] = {{RateRule::Key::Tenant, "acme"},
                                       {RateRule::Key::Campaign, "spring"},
                                       {RateRule::Key::Sender, "a@x.example"},
                                       {RateRule::Key::SourcePool, "warm"}};

TEST(TakenPermits, AndDeliveriesComeOutOfOneBucket) {
  for (const auto &[key, name] : kPartyLimits) {
    World w;
    auto &n = w.node({.name = "t", .destination = {.window = kWide}}, {{key, {}, {kSecond, 10}}});
    EXPECT_EQ(n.s->take_permits(key, name, 4, w.now).granted, 4u);
    EXPECT_EQ(n.s->take_permits(key, "another", 20, w.now).granted, 10u);
    for (int i = 0; i < 8; ++i) w.add(n, "d.example", "m", kParty);
    w.run(kStart + kMillisecond);
    EXPECT_EQ(w.begins.size(), 6u) << name;
    const auto none = n.s->take_permits(key, name, 1, w.now);
    EXPECT_EQ(none.granted, 0u);
    EXPECT_GT(none.retry, 0);
    EXPECT_LE(none.retry, kSecond);
    w.run(kStart + 3 * kSecond);
    EXPECT_EQ(w.begins.size(), 8u);
    EXPECT_EQ(n.s->take_permits(key, name, 5, w.now).granted, 1u);
  }
}

// The mail that was to have what is taken has the next that there is.
TEST(TakenPermits, PutADeliveryOffByOneInterval) {
  constexpr Nanos kInterval = 10 * kMillisecond;
  auto s = Scheduler::create({.jitter = 0}, 1);
  s->rates({{RateRule::Key::Tenant, {}, {kInterval, 1}}});
  const auto t = s->transport({.name = "t"});
  s->transport_available(t, 10);
  for (GroupId id = 0; id < 2; ++id)
    s->add({.id = id, .transport = t, .destination = s->destination(t, "d"), .flow = s->flow({.tenant = "a"})}, kStart);
  EXPECT_TRUE(s->next(kStart));
  EXPECT_FALSE(s->next(kStart));
  EXPECT_EQ(s->take_permits(RateRule::Key::Tenant, "a", 1, kStart + kInterval).granted, 1u);
  EXPECT_FALSE(s->next(kStart + kInterval));
  EXPECT_EQ(s->next_due(), kStart + 2 * kInterval);
  EXPECT_TRUE(s->next(kStart + 2 * kInterval));
}

TEST(TakenPermits, WhatNobodyLimitsIsGranted) {
  World w;
  auto &n = w.node({.name = "t", .destination = {.window = kWide}}, {{RateRule::Key::Tenant, {"acme"}, {kSecond, 1}}});
  EXPECT_EQ(n.s->take_permits(RateRule::Key::Tenant, "other", 5, w.now).granted, 5u);
  EXPECT_EQ(n.s->take_permits(RateRule::Key::Campaign, "acme", 5, w.now).granted, 5u);
  EXPECT_EQ(n.s->take_permits(RateRule::Key::Tenant, "acme", 5, w.now).granted, 1u);
  EXPECT_EQ(n.s->take_permits(RateRule::Key::SourcePoolDestination, "acme", 5, w.now).granted, 0u);
}

TEST(TakenPermits, OfALimitThatAPluginOwnsAreThatPluginsPermits) {
  for (const auto &[key, name] : kPartyLimits) {
    World w;
    auto &n = w.node({.name = "t", .destination = {.window = kWide}}, {{key, {}, owned(kTenth, 4)}});
    const auto before = n.s->take_permits(key, name, 3, w.now);
    EXPECT_EQ(before.granted, 0u);
    EXPECT_GT(before.retry, 0);
    w.run(kStart + 50 * kMillisecond);
    ASSERT_EQ(n.asked.size(), 1u) << name;
    EXPECT_EQ(n.asked[0].key, name);
    EXPECT_EQ(n.asked[0].want, 3u);
    EXPECT_EQ(n.s->take_permits(key, name, 3, w.now).granted, 3u);
  }
}

TEST(OwnedLimits, OfEveryKindGoByPermitsAndLetAllOfItGoInTime) {
  for (const auto &kind : kinds(owned(kTenth, 4))) {
    World w;
    auto &n = w.node(kind.limits, kind.rules);
    for (int i = 0; i < 34; ++i) w.add(n, "d.example", "m", kParty);
    w.run(kStart + kMillisecond);
    EXPECT_EQ(w.begins.size(), 0u) << kind.limit;
    const auto why = n.s->why(33, w.now);
    EXPECT_EQ(why.limit, kind.limit);
    EXPECT_EQ(why.owner, "shared");
    EXPECT_THAT(why.detail, HasSubstr(std::string{kind.key} + ": "));
    EXPECT_THAT(why.detail, HasSubstr("permits of shared, which is asked for more"));
    EXPECT_EQ(why.eligible, kStart + kSecond);
    EXPECT_EQ(why.others, 33u);
    w.run(kStart + 50 * kMillisecond);
    EXPECT_EQ(w.begins.size(), 4u) << kind.limit;
    EXPECT_THAT(n.s->why(33, w.now).detail, HasSubstr("which has none to give now"));
    EXPECT_GT(n.s->why(33, w.now).eligible, w.now);
    w.run();
    ASSERT_EQ(w.begins.size(), 34u) << kind.limit;
    EXPECT_LE(w.begins.back().at, kStart + 30 * kTenth + kSecond) << kind.limit;
    for (std::size_t i = 0; i < w.begins.size(); ++i)
      EXPECT_LE(i + 1, 4 + static_cast<std::size_t>((w.begins[i].at - kStart) / kTenth)) << kind.limit;
    EXPECT_EQ(n.asked.front().limit, kind.limit);
    EXPECT_EQ(n.asked.front().key, kind.key);
    EXPECT_EQ(n.asked.front().want, 10u);  // what goes in a second
  }
}

TEST(OwnedLimits, WaitWhileTheOwnerFails) {
  for (const auto &kind : kinds(owned(kTenth, 4))) {
    World w;
    auto &n = w.node(kind.limits, kind.rules);
    w.down = true;
    const auto id = w.add(n, "d.example", "m", kParty);
    w.run(kStart + 10 * kSecond);
    EXPECT_EQ(w.begins.size(), 0u) << kind.limit;
    EXPECT_GE(n.asked.size(), 9u);
    EXPECT_LE(n.asked.size(), 11u);
    EXPECT_EQ(n.s->why(id, w.now).limit, kind.limit);
    EXPECT_THAT(n.s->why(id, w.now).detail, HasSubstr("which does not answer"));
    EXPECT_GT(n.s->why(id, w.now).eligible, w.now);
    w.down = false;
    w.run(kStart + 12 * kSecond);
    EXPECT_EQ(w.begins.size(), 1u) << kind.limit;
  }
}

TEST(OwnedLimits, GoAtTheConfiguredRateWithTheBurstUsedUpWhenAFailureIsSkipped) {
  for (const auto &kind : kinds(owned(kTenth, 4))) {
    World w;
    auto &n = w.node(kind.limits, kind.rules, true);
    w.down = true;
    for (int i = 0; i < 200; ++i) w.add(n, "d.example", "m", kParty);
    w.run(kStart + 5 * kSecond);
    EXPECT_GE(w.begins.size(), 45u) << kind.limit;
    for (std::size_t i = 0; i < w.begins.size(); ++i)
      EXPECT_LE(i, static_cast<std::size_t>((w.begins[i].at - kStart) / kTenth)) << kind.limit;
    EXPECT_THAT(n.s->why(199, w.now).owner, "");
    w.down = false;
    const auto before = n.asked.size();
    w.run(kStart + 7 * kSecond);
    EXPECT_GT(n.asked.size(), before);
    EXPECT_THAT(n.s->why(199, w.now).owner, "shared") << kind.limit;
    w.run();
    EXPECT_EQ(w.begins.size(), 200u) << kind.limit;
  }
}

TEST(OwnedLimits, GoByPermitsAtOnceWhenTheOwnerAnswersAgainAndEarnNothingByItsComingAndGoing) {
  for (const auto &kind : kinds(owned(3600 * kSecond, 1))) {
    World w;
    auto &n = w.node(kind.limits, kind.rules, true);
    w.down = true;
    for (int i = 0; i < 3; ++i) w.add(n, "d.example", "m", kParty);
    w.run(kStart + 500 * kMillisecond);
    EXPECT_EQ(w.begins.size(), 1u) << kind.limit;
    w.down = false;
    w.run(kStart + 1017 * kMillisecond);  // it was asked a second after it had failed
    EXPECT_EQ(w.begins.size(), 2u) << kind.limit;
    w.down = true;
    w.run(kStart + 10 * kSecond);
    EXPECT_EQ(w.begins.size(), 2u) << kind.limit;
  }
}

TEST(OwnedLimits, AreNotAskedForAgainBeforeTheOwnerWantsToBe) {
  World w;
  auto &n = w.node({.name = "t", .rate = owned(10 * kSecond, 1), .destination = {.window = kWide}});
  for (int i = 0; i < 3; ++i) w.add(n, "d.example", "m");
  w.run(kStart + 9 * kSecond);
  EXPECT_EQ(w.begins.size(), 1u);
  EXPECT_LE(n.asked.size(), 2u);
  w.run(kStart + 21 * kSecond);
  EXPECT_EQ(w.begins.size(), 3u);
  EXPECT_LE(n.asked.size(), 5u);
}

TEST(OwnedLimits, AreAskedForAheadSoThatDeliveriesWaitForNobody) {
  World w;
  w.latency = 50 * kMillisecond;
  auto &n = w.node({.name = "t", .sessions = 1, .rate = owned(kMillisecond, 1000), .destination = {.window = kWide}});
  for (int i = 0; i < 1500; ++i) w.add(n, "d.example", "m");
  w.run();
  ASSERT_EQ(w.begins.size(), 1500u);
  for (std::size_t i = 1; i < w.begins.size(); ++i) EXPECT_EQ(w.begins[i].at - w.begins[i - 1].at, w.delivery) << i;
}

TEST(OwnedLimits, AreAskedForAsMuchAsIsReady) {
  World w;
  auto &n = w.node({.name = "t", .rate = owned(kMillisecond, 1), .destination = {.window = kWide}});
  for (int i = 0; i < 7; ++i) w.add(n, "d.example", "m");
  w.run(kStart + 1);
  ASSERT_EQ(n.asked.size(), 1u);
  EXPECT_EQ(n.asked[0].want, 7u);
}

TEST(OwnedLimits, ForgetWhatIsNotUsedInTime) {
  World w;
  w.ttl = 3 * kSecond;
  auto &n = w.node({.name = "t", .sessions = 1, .rate = owned(kSecond, 5), .destination = {.window = kWide}});
  w.delivery = 2 * kSecond;
  for (int i = 0; i < 5; ++i) w.add(n, "d.example", "m");
  w.run(kStart + 3 * kSecond);
  EXPECT_EQ(w.begins.size(), 2u);
  w.down = true;
  w.run(kStart + 30 * kSecond);
  EXPECT_EQ(w.begins.size(), 2u) << "three more were given and are over";
  w.down = false;
  w.run();
  EXPECT_EQ(w.begins.size(), 5u);
}

TEST(OwnedLimits, GiveBackWhatTheyHoldWhenTheOwnerEnds) {
  World w;
  w.delivery = 3600 * kSecond;
  const TransportLimits limits{
      .name = "t", .sessions = 2, .rate = owned(kSecond, 10), .destination = {.window = kWide}};
  auto &n = w.node(limits);
  for (int i = 0; i < 6; ++i) w.add(n, "d.example", "m");
  w.run(kStart + kSecond);
  EXPECT_EQ(w.begins.size(), 2u);
  n.s->return_permits("other", w.now);
  EXPECT_THAT(n.s->unused_permits(), IsEmpty());
  n.s->return_permits("shared", w.now);
  auto unused = n.s->unused_permits();
  ASSERT_EQ(unused.size(), 1u);
  EXPECT_EQ(unused[0].limit, "transport_rate_limit");
  EXPECT_EQ(unused[0].key, "t");
  EXPECT_EQ(unused[0].units, 4u);
  n.s->return_permits("shared", w.now);
  EXPECT_THAT(n.s->unused_permits(), IsEmpty());
}

TEST(OwnedLimits, GiveBackWhatTheyHoldWhenTheOwnerIsTakenAway) {
  for (const auto &kind : kinds(owned(kSecond, 10))) {
    World w;
    w.delivery = 3600 * kSecond;
    auto limits = kind.limits;
    limits.sessions = 1;
    auto &n = w.node(limits, kind.rules);
    for (int i = 0; i < 6; ++i) w.add(n, "d.example", "m", kParty);
    w.run(kStart + kSecond);
    EXPECT_EQ(w.begins.size(), 1u) << kind.limit;
    n.s->rate_owners({});
    const auto unused = n.s->unused_permits();
    ASSERT_EQ(unused.size(), 1u) << kind.limit;
    EXPECT_EQ(unused[0].owner, "shared");
    EXPECT_EQ(unused[0].limit, kind.limit);
    EXPECT_EQ(unused[0].key, kind.key);
    EXPECT_EQ(unused[0].units, 5u) << kind.limit;
  }
}

TEST(OwnedLimits, OfATransportThatIsNotSetAnewHaveNoOwner) {
  World w;
  auto &n = w.node({.name = "t", .destination = {.window = kWide, .rate = owned(kTenth, 4)}});
  n.s->rate_owners({{"other", false, kSecond}});
  w.add(n, "d.example", "m");
  w.run(kStart + kMillisecond);
  EXPECT_EQ(w.begins.size(), 1u);
  EXPECT_THAT(n.asked, IsEmpty());
}

TEST(OwnedLimits, AnotherOwnerIsAskedForWhatWaitsForTheOneBefore) {
  for (const auto &kind : kinds(owned(kTenth, 4))) {
    World w;
    auto &n = w.node(kind.limits, kind.rules);
    n.s->rate_owners({{"shared", false, kSecond}, {"other", false, kSecond}});
    n.s->transport(kind.limits);
    n.s->rates(kind.rules);
    w.down = true;
    for (int i = 0; i < 4; ++i) w.add(n, "d.example", "m", kParty);
    w.run(kStart + kSecond / 2);
    EXPECT_EQ(w.begins.size(), 0u) << kind.limit;
    w.down = false;
    auto limits = kind.limits;
    auto rules = kind.rules;
    for (auto *limit : {&limits.rate, &limits.destination.rate})
      if (limit->owner != 0) limit->owner = 2;
    for (auto &r : rules)
      if (r.limit.owner != 0) r.limit.owner = 2;
    n.s->transport(limits);
    n.s->rates(rules);
    w.run(kStart + 10 * kSecond);
    EXPECT_EQ(n.asked.back().owner, "other") << kind.limit;
    EXPECT_EQ(w.begins.size(), 4u) << kind.limit;
  }
}

TEST(OwnedLimits, AreTheBucketsHereAgainWithoutAnOwner) {
  for (const auto &kind : kinds(owned(kTenth, 4))) {
    World w;
    auto &n = w.node(kind.limits, kind.rules);
    w.down = true;
    for (int i = 0; i < 30; ++i) w.add(n, "d.example", "m", kParty);
    w.run(kStart + kSecond);
    EXPECT_EQ(w.begins.size(), 0u);
    n.s->rate_owners({});
    auto limits = kind.limits;
    auto rules = kind.rules;
    limits.rate.owner = limits.destination.rate.owner = 0;
    for (auto &r : rules) r.limit.owner = 0;
    n.s->transport(limits);
    n.s->rates(rules);
    w.run(kStart + 2 * kSecond);
    EXPECT_GE(w.begins.size(), 12u) << kind.limit;
    EXPECT_LE(w.begins.size(), 15u) << kind.limit;
  }
}

TEST(OwnedLimits, AnAnswerToAQuestionThatNobodyHasAnyMoreIsGivenBack) {
  World w;
  w.latency = kSecond;
  const TransportLimits limits{.name = "t", .rate = owned(kSecond, 10), .destination = {.window = kWide}};
  auto &n = w.node(limits);
  for (int i = 0; i < 3; ++i) w.add(n, "d.example", "m");
  w.run(kStart + kMillisecond);
  auto local = limits;
  local.rate.owner = 0;
  n.s->transport(local);
  w.run(kStart + 10 * kSecond);
  ASSERT_EQ(n.unused.size(), 1u);
  EXPECT_EQ(n.unused[0].units, 3u);
  n.s->permits(n.asked[0].number, 5, 0, 0, w.now);  // a second answer is none
  n.s->no_permits(4711, w.now);
  EXPECT_THAT(n.s->unused_permits(), IsEmpty());
}

TEST(OwnedLimits, AreAskedForAtTheTimeThatItIsAfterAQuietOne) {
  auto s = Scheduler::create({.jitter = 0}, 1);
  s->rate_owners({{"shared", false, kSecond}});
  s->rates({{RateRule::Key::SourcePoolDestination, {}, owned(kSecond, 4), {}, 1}});
  const auto t = s->transport({.name = "t", .destination = {.window = kWide}});
  s->transport_available(t, 10);
  for (GroupId id = 0; id < 2; ++id)
    s->add({.id = id, .transport = t, .destination = s->destination(t, "d"), .flow = s->flow(kParty)}, kStart);
  const auto answer = [&](std::uint32_t units, Nanos ttl, Nanos now) {
    const auto questions = s->rate_questions();
    ASSERT_EQ(questions.size(), 1u);
    s->permits(questions[0].number, units, ttl, 0, now);
  };
  EXPECT_FALSE(s->next(kStart));
  answer(1, 60 * kSecond, kStart);
  const auto first = s->next(kStart);
  ASSERT_TRUE(first);
  answer(0, 60 * kSecond, kStart);
  EXPECT_FALSE(s->next(kStart + 2 * kSecond));  // one at a time
  answer(1, kSecond, kStart + 2 * kSecond);
  EXPECT_FALSE(s->next(kStart + 4 * kSecond));  // and what was given is over
  const auto later = kStart + 100 * kSecond;
  s->finished(first->group, Result::Delivered, std::nullopt, later);
  EXPECT_FALSE(s->next(later));
  answer(1, 60 * kSecond, later);
  EXPECT_TRUE(s->next(later));
}

TEST(OwnedLimits, AFloodOfUnitsCountsAsWhatWasWanted) {
  World w;
  auto &n = w.node({.name = "t", .sessions = 100, .rate = owned(kSecond, 10), .destination = {.window = kWide}});
  w.latency = 3600 * kSecond;  // we answer
  for (int i = 0; i < 50; ++i) w.add(n, "d.example", "m");
  w.run(kStart + 1);
  ASSERT_EQ(n.asked.size(), 1u);
  EXPECT_EQ(n.asked[0].want, 10u);
  n.s->permits(n.asked[0].number, 4'000'000'000u, kSecond, 0, w.now);
  w.run(kStart + 2);
  EXPECT_EQ(w.begins.size(), 10u);
}

TEST(OwnedLimits, ASiteHasOneForAllOfItsMembers) {
  World w;
  auto &n = w.node({.name = "t",
                    .destination = {.window = kWide},
                    .rules = {{.match = {"a.example", "b.example"},
                               .limits = {.window = kWide, .rate = owned(kTenth, 2)},
                               .site = "big"}}});
  for (int i = 0; i < 4; ++i) {
    w.add(n, "a.example", "site");
    w.add(n, "b.example", "site");
    w.add(n, "c.example", "other");
  }
  w.run(kStart + 50 * kMillisecond);
  EXPECT_EQ(w.begun("site"), 2u);
  EXPECT_EQ(w.begun("other"), 4u);
  ASSERT_FALSE(n.asked.empty());
  for (const auto &q : n.asked) EXPECT_EQ(q.key, "t:big");
  w.run();
  EXPECT_EQ(w.begun("site"), 8u);
}

TEST(OwnedLimits, BindASuspectOfKillingWorkersToo) {
  for (const auto &kind : kinds(owned(kTenth, 1))) {
    World w;
    auto &n = w.node(kind.limits, kind.rules);
    w.add(n, "d.example", "m", kParty, true);
    w.run(kStart + 1);
    EXPECT_EQ(w.begins.size(), 0u) << kind.limit;
    EXPECT_EQ(n.asked.size(), 1u) << kind.limit;
    w.run(kStart + kSecond);
    EXPECT_EQ(w.begins.size(), 1u) << kind.limit;
  }
}

TEST(OwnedLimits, HoldUpNobodyElse) {
  World w;
  w.down = true;
  auto &n = w.node({.name = "t", .sessions = 100'000, .destination = {.window = kWide}},
                   {{RateRule::Key::Tenant, {"acme"}, owned(kTenth, 1)}});
  for (int i = 0; i < 100; ++i) {
    w.add(n, "d" + std::to_string(i % 5), "bound", {.tenant = "acme"});
    w.add(n, "d" + std::to_string(i % 5), "free", {.tenant = "other"});
  }
  w.run(kStart + kMillisecond);
  EXPECT_EQ(w.begun("free"), 100u);
  EXPECT_EQ(w.begun("bound"), 0u);
}

// Whatever comes when, over how many nodes: a bucket that was full at the beginning gives no more than its burst and
// what it earned since, and no node that holds permits for mail keeps it waiting.
TEST(OwnedLimits, AreNeverExceededOverAllNodesAndHoldNothingBack) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 random{seed};
    const auto any = [&](std::int64_t from, std::int64_t to) {
      return std::uniform_int_distribution<std::int64_t>{from, to}(random);
    };
    World w;
    w.latency = any(1, 200) * kMillisecond;
    w.delivery = any(1, 500) * kMillisecond;
    const auto rate = owned(any(2, 100) * kMillisecond, static_cast<std::uint32_t>(any(1, 50)));
    const std::string tenants[] = {"a", "b", "c"};
    const auto nodes = any(1, 4);
    for (std::int64_t i = 0; i < nodes; ++i)
      w.node({.name = "t", .sessions = 100'000, .destination = {.window = kWide}}, {{RateRule::Key::Tenant, {}, rate}});
    std::map<std::string, std::size_t> begun, added;
    w.on_begin = [&](World::Node &n, const std::string &tag) {
      ++begun[tag];
      --w.held[{&n, tag}];
      ASSERT_GE((w.held[{&n, tag}]), 0) << seed;
      ASSERT_LE(begun[tag], rate.burst + static_cast<std::size_t>((w.now - kStart) / rate.interval)) << seed;
    };
    for (int burst = 0; burst < 30; ++burst) {
      auto &n = *w.nodes[static_cast<std::size_t>(any(0, nodes - 1))];
      const auto &tenant = tenants[any(0, 2)];
      for (auto left = any(1, 30); left > 0; --left, ++added[tenant])
        w.add(n, "d" + std::to_string(any(0, 9)), tenant, {.tenant = tenant});
      w.run(w.now + any(0, 1000) * kMillisecond);
      for (const auto &each : w.nodes)
        for (const auto &name : tenants) {
          const auto waits = std::count_if(each->waiting.begin(), each->waiting.end(),
                                           [&](const auto &m) { return m.second == name; });
          if (waits > 0) {
            EXPECT_EQ((w.held[{each.get(), name}]), 0) << seed << ' ' << name;
          }
        }
    }
    std::size_t most = 0;
    for (const auto &[tenant, count] : added) most = std::max(most, count);
    w.run(w.now + static_cast<Nanos>(most) * (rate.interval + 2 * w.latency) + 60 * kSecond);
    for (const auto &n : w.nodes) EXPECT_THAT(n->waiting, IsEmpty()) << seed;
  }
}

}  // namespace
}  // namespace mansio::scheduler::owned_limits
