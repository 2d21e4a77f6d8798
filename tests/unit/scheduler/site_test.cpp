// Sites: destinations that share limits, by a rule or by their mail exchangers, and what becomes of their mail when
// that changes.
#include "kernel/scheduler/site.hpp"

#include <gtest/gtest.h>

#include <random>
#include <utility>

#include "tests/unit/scheduler/lab.hpp"
#include "tests/unit/scheduler/times.hpp"

namespace mansio::scheduler {
namespace {

const std::string kProvider = "mx1.p.example,mx2.p.example";

TransportLimits by_exchangers(std::vector<DestinationRule> rules = {}) {
  TransportLimits limits;
  limits.name = "t";
  limits.rules = std::move(rules);
  limits.by_exchangers = true;
  return limits;
}
DestinationRule rule_of(std::vector<std::string> match, std::vector<std::string> mx, std::string site,
                        std::uint32_t concurrency) {
  DestinationLimits limits;
  limits.window = {.initial = concurrency, .limit = concurrency};
  return {std::move(match), limits, std::move(site), std::move(mx)};
}

class Sites : public ::testing::Test {
 protected:
  void start(const TransportLimits &limits) { t_ = lab_.transport(limits); }
  DestinationId id(const std::string &name) { return lab_.scheduler->destination(t_, name); }
  void told(const std::string &name, const std::string &exchangers) {
    lab_.scheduler->set_exchangers(id(name), exchangers, lab_.now + kHour);
  }
  std::string site(const std::string &name) {
    return std::string{lab_.scheduler->nexthop_of(lab_.scheduler->site_of(id(name)))};
  }
  // One after the other to each of them.
  void add(int n, const std::vector<std::string> &to) {
    for (int i = 0; i < n; ++i) {
      const auto &name = to[static_cast<std::size_t>(i) % to.size()];
      last_ = lab_.add(t_, name, {}, false, name);
    }
  }
  Lab lab_;
  TransportId t_ = 0;
  GroupId last_ = 0;
};

TEST(Placement, NamesASiteByItsExchangers) {
  const auto limits = by_exchangers();
  EXPECT_EQ(placement(limits, "a.example", kProvider).site, "mx:" + kProvider);
  EXPECT_EQ(placement(limits, "a.example", "").site, "");
  EXPECT_EQ(placement(limits, "mx:" + kProvider, "").site, "");  // is one itself
  EXPECT_EQ(placement(TransportLimits{}, "a.example", kProvider).site, "");
}

TEST(Placement, ARuleByExchangersWantsAllOfThem) {
  const auto limits = by_exchangers({rule_of({}, {".p.example", "backup.example"}, "", 3)});
  EXPECT_EQ(placement(limits, "a.example", kProvider).rule, 0);
  EXPECT_EQ(placement(limits, "a.example", "backup.example,mx1.p.example").rule, 0);
  EXPECT_EQ(placement(limits, "a.example", "mx.a.example,mx1.p.example").rule, kNoRule);
  EXPECT_EQ(placement(limits, "a.example", "").rule, kNoRule);
  EXPECT_EQ(placement(limits, "mx:" + kProvider, "").rule, 0);  // the site has it as its members do
  EXPECT_EQ(placement(limits, "a.example", kProvider).site, "mx:" + kProvider);
}

TEST(Placement, TheFirstRuleThatMatchesByEitherCounts) {
  const auto limits = by_exchangers({rule_of({"own.example"}, {}, "", 1), rule_of({}, {".p.example"}, "provider", 2),
                                     rule_of({"other.example"}, {}, "provider", 3)});
  const auto own = placement(limits, "own.example", kProvider), by_mx = placement(limits, "a.example", kProvider),
             named = placement(limits, "other.example", "mx.q.example");
  EXPECT_EQ(own.rule, 0);
  EXPECT_EQ(own.site, "");  // what is named is meant alone
  EXPECT_EQ(by_mx.rule, 1);
  EXPECT_EQ(by_mx.site, "provider");
  EXPECT_EQ(named.rule, 2);
  EXPECT_EQ(named.site, "provider");
}

TEST(Placement, WhatIsASiteIsInNoOther) {
  const auto limits =
      by_exchangers({rule_of({"b.example"}, {}, "", 1), rule_of({"a.example"}, {}, "b.example", 2),
                     rule_of({"b.example"}, {}, "c.example", 3), rule_of({"c.example"}, {}, "a.example", 4)});
  const std::pair<const char *, std::uint16_t> rules[] = {{"b.example", 1}, {"c.example", 2}, {"a.example", 3}};
  for (const auto &[name, rule] : rules) {
    EXPECT_EQ(placement(limits, name, kProvider).site, "") << name;
    EXPECT_EQ(placement(limits, name, kProvider).rule, rule) << name;
  }
}

TEST(Placement, AHostWithAPortIsNoListOfExchangers) {
  const auto limits = by_exchangers({rule_of({"mx:25"}, {}, "", 1)});
  EXPECT_EQ(placement(limits, "mx:25", "").rule, 0);
  EXPECT_EQ(placement(limits, "a.example", "25").site, "");
}

TEST(Placement, OnlyDomainsHaveExchangers) {
  EXPECT_TRUE(has_exchangers("example.com"));
  for (const auto *name : {"", "[192.0.2.1]", "[mail.example.com]", "example.com:26", "a@example.com", "unix:/run/x",
                           "5.1.1 no such user"})
    EXPECT_FALSE(has_exchangers(name)) << name;
  EXPECT_FALSE(has_exchangers(std::string(256, 'x')));
}

TEST_F(Sites, ShareConcurrencyAndHealth) {
  start(by_exchangers());
  told("a.example", kProvider);
  told("b.example", kProvider);
  told("c.example", "mx.c.example");
  EXPECT_EQ(site("a.example"), "mx:" + kProvider);
  EXPECT_EQ(site("b.example"), "mx:" + kProvider);
  add(20, {"a.example", "b.example"});
  const auto other = last_;
  add(1, {"c.example"});
  lab_.result = [](const auto &d) { return d.to == "c.example" ? Result::Delivered : Result::SiteFailure; };
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.sessions, 6u);  // five and one
  lab_.run(lab_.now + kSecond);
  EXPECT_EQ(lab_.why(other).limit, "backoff");  // tried with no attempt
  EXPECT_GE(lab_.suspended, 15u);
}

TEST_F(Sites, TheLimitThatBindsIsTheSites) {
  start(by_exchangers());
  told("a.example", kProvider);
  told("b.example", kProvider);
  add(12, {"a.example", "b.example"});
  lab_.run(lab_.now + 1);
  const auto why = lab_.why(last_);
  EXPECT_EQ(why.limit, "destination_concurrency_limit");
  EXPECT_NE(why.detail.find("mx:" + kProvider), std::string::npos) << why.detail;
  EXPECT_EQ(why.others, 6u);
  const auto whole = lab_.scheduler->state_of(*lab_.scheduler->find_destination(t_, "mx:" + kProvider));
  EXPECT_EQ(whole.busy, 5u);
  EXPECT_EQ(whole.groups, 12u);
  EXPECT_EQ(whole.members, 2u);
  const auto part = lab_.scheduler->state_of(id("a.example"));
  EXPECT_EQ(part.site, "mx:" + kProvider);
  EXPECT_EQ(part.groups, 6u);
}

TEST_F(Sites, TakeOverWhatWaitsAndWhatIsUnderWay) {
  start(by_exchangers());
  add(20, {"a.example", "b.example"});
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.sessions, 10u);  // each by itself until the answers come
  told("a.example", kProvider);
  told("b.example", kProvider);
  EXPECT_EQ(lab_.why(19).limit, "destination_concurrency_limit");
  lab_.run(lab_.now + kSecond);
  EXPECT_LE(lab_.sessions, 10u);
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 20u);
}

TEST_F(Sites, ADomainWhoseExchangersChangeMoves) {
  start(by_exchangers());
  told("a.example", kProvider);
  told("b.example", kProvider);
  add(40, {"a.example", "b.example"});
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.sessions, 5u);
  told("b.example", "mx.elsewhere.example");
  EXPECT_EQ(site("b.example"), "mx:mx.elsewhere.example");
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.under_way["b.example"], 5u);  // at its new site, what was under way with it
  EXPECT_EQ(lab_.under_way["a.example"], 5u);
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 40u);
}

TEST_F(Sites, OneThatHasNoneAnyMoreIsByItself) {
  start(by_exchangers());
  told("a.example", kProvider);
  told("b.example", kProvider);
  add(40, {"a.example", "b.example"});
  told("a.example", "");
  EXPECT_EQ(site("a.example"), "a.example");
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 40u);
}

// One domain with far more mail than the others, and before them: all take turns, as they did by themselves.
TEST_F(Sites, TheirDomainsTakeTurns) {
  start(by_exchangers());
  for (const auto *name : {"big.example", "small.example", "late.example"}) told(name, kProvider);
  add(2000, {"big.example"});
  add(20, {"small.example"});
  lab_.run(lab_.now + 5 * kSecond);
  add(20, {"late.example"});
  lab_.run(lab_.now + 10 * kSecond);
  EXPECT_EQ(lab_.done("small.example"), 20u);
  EXPECT_EQ(lab_.done("late.example"), 20u);
  EXPECT_GT(lab_.done("big.example"), 20u);
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 2040u);
}

// A site may have a domain's name, with mail of its own.
TEST_F(Sites, OneThatIsADomainItselfTakesTurnsWithItsMembers) {
  start({.name = "t", .rules = {rule_of({"a.example"}, {}, "p.example", 2)}});
  add(100, {"p.example"});
  add(20, {"a.example"});
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.sessions, 2u);
  lab_.run(lab_.now + 30 * kSecond);
  EXPECT_EQ(lab_.done("a.example"), 20u);
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 120u);
}

// In whatever order it is learned.
TEST_F(Sites, ARulesSiteWithExchangersOfItsOwnIsStillTheRules) {
  start(by_exchangers({rule_of({"a.example"}, {}, "p.example", 2)}));
  told("p.example", kProvider);
  told("a.example", "mx.a.example");
  EXPECT_EQ(site("p.example"), "p.example");
  EXPECT_EQ(site("a.example"), "p.example");
  add(10, {"p.example", "a.example"});
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.sessions, 2u);
}

// Its DNS may be broken, or lead somewhere else by now.
TEST_F(Sites, ADomainThatFailsAloneIsDeadAlone) {
  start(by_exchangers());
  told("bad.example", kProvider);
  told("good.example", kProvider);
  lab_.result = [&](const auto &d) { return d.to == "bad.example" ? Result::SiteFailure : Result::Delivered; };
  add(200, {"bad.example", "good.example"});
  lab_.run(lab_.now + 30 * kSecond);
  EXPECT_EQ(lab_.done("good.example"), 100u);
  EXPECT_LE(lab_.begins("bad.example").size(), 10u);
  EXPECT_GE(lab_.suspended, 90u);  // the rest was deferred on paper
  EXPECT_EQ(site("bad.example"), "mx:" + kProvider);
  EXPECT_GT(lab_.scheduler->state_of(id("bad.example")).dead_until, lab_.now);
  EXPECT_EQ(lab_.scheduler->state_of(id("good.example")).dead_until, 0);
  lab_.result = [](const auto &) { return Result::Delivered; };
  lab_.run();
  EXPECT_EQ(lab_.done("bad.example"), 100u);
}

TEST_F(Sites, ADomainThatFailsWhileNothingElseGoesIsDeadAlone) {
  start(by_exchangers());
  told("bad.example", kProvider);
  told("good.example", kProvider);
  lab_.result = [](const auto &d) { return d.to == "bad.example" ? Result::SiteFailure : Result::Delivered; };
  add(20, {"bad.example"});
  lab_.run(lab_.now + 2 * kSecond);
  EXPECT_EQ(lab_.began.size(), 5u);
  EXPECT_EQ(lab_.suspended, 15u);
  EXPECT_GT(lab_.scheduler->state_of(id("bad.example")).dead_until, lab_.now);
  EXPECT_EQ(lab_.scheduler->state_of(id("good.example")).dead_until, 0);
  add(1, {"good.example"});
  lab_.run(lab_.now + 2 * kSecond);
  EXPECT_EQ(lab_.done("good.example"), 1u);
}

TEST_F(Sites, ASecondDomainThatFailsTellsThatTheSiteIsDead) {
  start(by_exchangers());
  for (const auto *name : {"a.example", "b.example", "c.example"}) told(name, kProvider);
  lab_.result = [](const auto &) { return Result::SiteFailure; };
  add(20, {"a.example"});
  lab_.run(lab_.now + 2 * kSecond);
  EXPECT_EQ(lab_.scheduler->state_of(id("c.example")).dead_until, 0);
  add(1, {"b.example"});
  lab_.run(lab_.now + 2 * kSecond);
  EXPECT_GT(lab_.scheduler->state_of(id("c.example")).dead_until, lab_.now);
}

TEST_F(Sites, ASuspectOfADeadDomainCountsAsTried) {
  start(by_exchangers());
  told("bad.example", kProvider);
  told("good.example", kProvider);
  lab_.result = [](const auto &) { return Result::SiteFailure; };
  add(20, {"bad.example"});
  lab_.run(lab_.now + 2 * kSecond);
  const GroupId suspect = 100;
  lab_.scheduler->add({.id = suspect, .transport = t_, .destination = id("bad.example"), .alone = true}, lab_.now);
  EXPECT_EQ(lab_.why(suspect).limit, "dead_destination");
  const auto decision = lab_.scheduler->next(lab_.now);
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->group, suspect);
  EXPECT_TRUE(decision->suspended);
}

TEST_F(Sites, AFlushRevivesADomainThatIsDeadAlone) {
  start(by_exchangers());
  told("bad.example", kProvider);
  told("good.example", kProvider);
  lab_.result = [&](const auto &d) { return d.to == "bad.example" ? Result::SiteFailure : Result::Delivered; };
  add(40, {"bad.example", "good.example"});
  lab_.run(lab_.now + 20 * kSecond);
  ASSERT_GT(lab_.scheduler->state_of(id("bad.example")).dead_until, lab_.now);
  lab_.result = [](const auto &) { return Result::Delivered; };
  lab_.scheduler->flush(0, lab_.now);
  EXPECT_EQ(lab_.scheduler->state_of(id("bad.example")).dead_until, 0);
  lab_.run(lab_.now + 2 * kSecond);
  EXPECT_EQ(lab_.done("bad.example"), 1u);
}

// Mail comes, goes and moves in any order: the scheduler's counts stay right.
TEST_F(Sites, NothingIsLostWhileDomainsMoveAtRandom) {
  start(by_exchangers({rule_of({"d1.example"}, {".q.example"}, "site.example", 2)}));
  std::mt19937 random{7};
  const auto pick = [&](std::uint32_t n) { return std::uniform_int_distribution<std::uint32_t>{0, n - 1}(random); };
  const std::vector<std::string> exchangers{"", kProvider, "mx.q.example", "mx.q.example,mx1.p.example"};
  lab_.result = [&](const auto &) {
    const auto n = pick(10);
    return n == 0 ? Result::SiteFailure : n == 1 ? Result::NoFeedback : Result::Delivered;
  };
  for (int i = 0; i < 2000; ++i) {
    const auto name = "d" + std::to_string(pick(6)) + ".example";
    lab_.add(t_, name, {.tenant = pick(2) == 0 ? "a" : "b"}, pick(5) == 0, name);
    if (pick(10) == 0) told("d" + std::to_string(pick(6)) + ".example", exchangers[pick(4)]);
    if (pick(100) == 0)
      lab_.scheduler->suspend({Suspension::Key::Destination, name, 0, lab_.now + 20 * kSecond, ""}, lab_.now);
    if (pick(3) == 0) lab_.run(lab_.now + pick(500) * kMillisecond);
  }
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 2000u);
  EXPECT_EQ(lab_.waiting(), 0u);
  for (int i = 0; i < 6; ++i) {
    const auto s = lab_.scheduler->state_of(id("d" + std::to_string(i) + ".example"));
    EXPECT_EQ(s.ready, 0u);
    EXPECT_EQ(s.busy, 0u);
    EXPECT_EQ(s.groups, 0u);
  }
  const auto counts = lab_.scheduler->counts();
  EXPECT_EQ(counts.ready + counts.leased + counts.deferred + counts.held, 0u);
}

TEST_F(Sites, ARuleByExchangersGivesTheSiteItsLimits) {
  start(by_exchangers({rule_of({}, {".p.example"}, "", 3)}));
  told("a.example", kProvider);
  told("b.example", kProvider);
  add(20, {"a.example", "b.example"});
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.sessions, 3u);
}

TEST_F(Sites, ARuleByExchangersAloneLimitsEachDomainByItself) {
  auto limits = by_exchangers({rule_of({}, {".p.example"}, "", 3)});
  limits.by_exchangers = false;
  start(limits);
  told("a.example", kProvider);
  told("b.example", kProvider);
  add(20, {"a.example", "b.example"});
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.sessions, 6u);
}

// As of providers that have exchangers for each domain: ".p.example" below which all of them are.
TEST_F(Sites, ARuleMakesOneOfDomainsWithExchangersOfTheirOwn) {
  auto limits = by_exchangers({rule_of({"p.example"}, {".p.example"}, "provider", 3)});
  limits.by_exchangers = false;
  start(limits);
  told("a.example", "a-example.mx.p.example");
  told("b.example", "b-example.mx.p.example");
  add(30, {"a.example", "b.example", "p.example"});
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.sessions, 3u);
  EXPECT_EQ(site("b.example"), "provider");
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 30u);
}

TEST_F(Sites, ARuleMakesDestinationsOne) {
  start({.name = "t",
         .rules = {{{".provider.example", "other.example"}, {.window = {.initial = 3, .limit = 3}}, "provider"}}});
  for (int i = 0; i < 30; ++i)
    lab_.add(t_, i % 3 == 0 ? "other.example" : "c" + std::to_string(i) + ".provider.example");
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.sessions, 3u);
  EXPECT_EQ(lab_.why(29).limit, "destination_concurrency_limit");
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 30u);
}

TEST_F(Sites, KeepTheirLimitsOverAReload) {
  const TransportLimits limits{.name = "t",
                               .rules = {{{"a.example"}, {.window = {.initial = 3, .limit = 3}}, "provider"}}};
  start(limits);
  add(20, {"a.example"});
  start(limits);
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.sessions, 3u);
}

TEST_F(Sites, ADomainThatLeavesOneIsBoundByWhatAReloadHasSaidMeanwhile) {
  auto limits = by_exchangers();
  limits.destination.window = {.initial = 10, .limit = 20};
  start(limits);
  told("a.example", kProvider);
  told("b.example", kProvider);
  limits.destination.window = {.initial = 2, .limit = 2};
  start(limits);
  lab_.scheduler->suspend({Suspension::Key::SourcePool, "p", 0, kForGood, "", "a.example"}, lab_.now);
  ASSERT_EQ(site("a.example"), "a.example");
  add(10, {"a.example"});
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.sessions, 2u);
}

TEST_F(Sites, AReloadThatNoLongerAsksForExchangersPartsThem) {
  start(by_exchangers());
  told("a.example", kProvider);
  told("b.example", kProvider);
  add(20, {"a.example", "b.example"});
  start({.name = "t"});
  EXPECT_EQ(site("a.example"), "a.example");
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.sessions, 10u);
  start(by_exchangers());  // what was known is known again
  EXPECT_EQ(site("a.example"), "mx:" + kProvider);
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 20u);
}

// A domain that was a site joins another, and the domains that were in it go elsewhere.
TEST_F(Sites, AReloadThatUnmakesASiteLeavesNobodyBehind) {
  start(by_exchangers({rule_of({"a.example"}, {}, "p.example", 2)}));
  told("p.example", kProvider);
  told("a.example", "mx.a.example");
  told("b.example", kProvider);
  add(30, {"p.example", "a.example", "b.example"});
  start(by_exchangers());
  EXPECT_EQ(site("p.example"), "mx:" + kProvider);
  EXPECT_EQ(site("b.example"), "mx:" + kProvider);
  EXPECT_EQ(site("a.example"), "mx:mx.a.example");
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 30u);
}

TEST_F(Sites, ASuspendedSiteHoldsAllOfItsDomains) {
  start(by_exchangers());
  told("a.example", kProvider);
  told("b.example", kProvider);
  lab_.scheduler->suspend({Suspension::Key::Destination, "mx:" + kProvider, 0, kForGood, "they asked"}, lab_.now);
  add(10, {"a.example", "b.example"});
  lab_.run(lab_.now + kHour / 2);
  EXPECT_EQ(lab_.ended.size(), 0u);
  EXPECT_EQ(lab_.why(last_).limit, "suspended");
  EXPECT_EQ(lab_.scheduler->suspended_time(last_, lab_.now - kHour / 2, lab_.now), kHour / 2);
  EXPECT_TRUE(lab_.scheduler->resume(Suspension::Key::Destination, "mx:" + kProvider, lab_.now));
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 10u);
}

TEST_F(Sites, FindOnePaceForAllOfTheirDomains) {
  start(by_exchangers());
  told("a.example", kProvider);
  told("b.example", kProvider);
  lab_.scheduler->push_back(id("a.example"), lab_.now);
  EXPECT_GT(lab_.scheduler->state_of(id("b.example")).adaptive_rate, 0);
  add(4, {"a.example", "b.example"});
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.why(last_).limit, "adaptive_rate");
}

TEST_F(Sites, WhatIsKnownOfASiteOutlivesARestart) {
  start(by_exchangers({rule_of({}, {".p.example"}, "", 30)}));
  told("a.example", kProvider);
  add(100, {"a.example"});
  lab_.result = [](const auto &) { return Result::SiteFailure; };
  lab_.run(lab_.now + 2 * kSecond);
  const auto bytes = lab_.scheduler->save(0, lab_.now);
  Lab again;
  again.now = lab_.now;
  const auto t = again.transport(by_exchangers({rule_of({}, {".p.example"}, "", 30)}));
  again.scheduler->restore(bytes, 0, again.now);
  const auto a = again.scheduler->destination(t, "a.example");
  EXPECT_EQ(again.scheduler->state_of(a).dead_until, 0);  // by itself
  again.scheduler->set_exchangers(a, kProvider, again.now + kHour);
  EXPECT_GT(again.scheduler->state_of(a).dead_until, again.now);
}

TEST_F(Sites, ExchangersAreWantedOnceInAWhile) {
  start(by_exchangers());
  constexpr Nanos kPatience = 60 * kSecond;
  const auto wants = [&](const std::string &name) {
    return lab_.scheduler->wants_exchangers(id(name), lab_.now, kPatience);
  };
  EXPECT_FALSE(wants("[192.0.2.1]"));
  EXPECT_TRUE(wants("a.example"));
  EXPECT_FALSE(wants("a.example"));  // the question is under way
  lab_.now += kPatience;
  EXPECT_TRUE(wants("a.example"));
  told("a.example", kProvider);
  lab_.now += kHour - 1;
  EXPECT_FALSE(wants("a.example"));
  lab_.now += 1;
  EXPECT_TRUE(wants("a.example"));
  EXPECT_EQ(site("a.example"), "mx:" + kProvider);  // meanwhile as it was
  start({.name = "t"});
  EXPECT_FALSE(wants("b.example"));  // nothing goes by them
}

}  // namespace
}  // namespace mansio::scheduler
