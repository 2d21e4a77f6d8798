// Suspended mail waits with no attempt and does not age; what is known of destinations and rates outlives a restart.
#include "kernel/scheduler/suspension.hpp"

#include <gtest/gtest.h>

#include "kernel/base/parts.hpp"
#include "tests/unit/scheduler/lab.hpp"
#include "tests/unit/scheduler/times.hpp"

namespace mansio::scheduler {
namespace {

TEST(Suspensions, TimesThatOverlapCountOnce) {
  Suspensions all;
  const Subject subject{"example.com", "tenant", "", ""};
  all.add({Suspension::Key::Destination, "example.com", 0, kForGood, ""}, 100);
  all.add({Suspension::Key::Tenant, "tenant", 0, 250, ""}, 150);
  EXPECT_EQ(all.time(subject, 0, 200), 100);
  EXPECT_TRUE(all.expire(250));
  EXPECT_TRUE(all.remove(Suspension::Key::Destination, "example.com", 300));
  EXPECT_EQ(all.time(subject, 0, 1000), 200);
  EXPECT_EQ(all.time(subject, 280, 1000), 20);
  EXPECT_EQ(all.time({"other.example", "", "", ""}, 0, 1000), 0);
  all.add({Suspension::Key::Destination, ".com", 0, kForGood, ""}, 400);
  EXPECT_EQ(all.time(subject, 0, 450), 250);
}

TEST(Suspensions, TheOneThatLastsLongestIsTheAnswer) {
  Suspensions all;
  all.add({Suspension::Key::Destination, "example.com", 0, 500, "short"}, 0);
  all.add({Suspension::Key::Sender, "@example.org", 0, 900, "long"}, 0);
  EXPECT_EQ(all.find({"example.com", "", "", "a@example.org"})->reason, "long");
  EXPECT_EQ(all.find({"example.com", "", "", "b@example.net"})->reason, "short");
  EXPECT_EQ(all.find({"example.net", "", "", ""}), nullptr);
  EXPECT_EQ(all.next(), 500);
}

class SuspendTest : public ::testing::TestWithParam<Suspension::Key> {
 protected:
  Lab lab_{{.minimal_backoff_time = 300 * kSecond, .jitter = 0}};
  TransportId t_ = lab_.transport({.name = "t", .sessions = 1000});
  static Party party(int i) {
    static const std::string names[] = {"one@x.example", "two@x.example"};
    return {.tenant = names[i], .campaign = names[i], .sender = names[i], .source_pool = names[i]};
  }
  static std::string to(int i) { return i == 0 ? "one@x.example" : "two@x.example"; }
};

TEST_P(SuspendTest, HoldsBackWhatItNamesAndNothingElse) {
  // Before the mail comes, as senders are told apart only where it matters.
  lab_.scheduler->suspend({GetParam(), "one@x.example", 0, lab_.now + kHour, "maintenance"}, lab_.now);
  for (int i = 0; i < 10; ++i) lab_.add(t_, to(i % 2), party(i % 2), false, i % 2 == 0 ? "one" : "two");
  lab_.run(lab_.now + 100 * kSecond);
  EXPECT_EQ(lab_.done("two"), 5u);
  EXPECT_TRUE(lab_.begins("one").empty());
  const auto why = lab_.why(0);
  EXPECT_EQ(why.limit, "suspended");
  EXPECT_NE(why.detail.find("maintenance"), std::string::npos);
  EXPECT_EQ(why.eligible, lab_.began.front().added + kHour);
  EXPECT_EQ(lab_.scheduler->suspended_time(0, lab_.now - 100 * kSecond, lab_.now), 100 * kSecond);
  lab_.run(lab_.now + kHour);
  EXPECT_EQ(lab_.done("one"), 5u);
  EXPECT_GE(lab_.begins("one").front(), lab_.began.front().added + kHour);
}

TEST_P(SuspendTest, EndsWhenItIsResumed) {
  lab_.scheduler->suspend({GetParam(), "@x.example", 0, kForGood, ""}, lab_.now);
  lab_.add(t_, to(0), party(0), false, "one");
  lab_.run(lab_.now + kHour);
  EXPECT_EQ(lab_.why(0).limit, "suspended");
  EXPECT_EQ(lab_.why(0).eligible, 0);
  EXPECT_FALSE(lab_.scheduler->resume(GetParam(), "one@x.example", lab_.now));
  EXPECT_TRUE(lab_.scheduler->resume(GetParam(), "@x.example", lab_.now));
  lab_.run(lab_.now + 10 * kSecond);
  EXPECT_EQ(lab_.done("one"), 1u);
}

INSTANTIATE_TEST_SUITE_P(Keys, SuspendTest,
                         ::testing::Values(Suspension::Key::Destination, Suspension::Key::Tenant,
                                           Suspension::Key::Campaign, Suspension::Key::Sender,
                                           Suspension::Key::SourcePool));

TEST(Suspend, AMemberOfASiteIsSuspendedByItself) {
  Lab lab;
  const auto t = lab.transport({.name = "t", .rules = {{{".p.example"}, {.window = {.initial = 4, .limit = 4}}, "p"}}});
  lab.scheduler->suspend({Suspension::Key::Destination, "a.p.example", 0, kForGood, ""}, lab.now);
  for (int i = 0; i < 10; ++i)
    lab.add(t, i % 2 == 0 ? "a.p.example" : "b.p.example", {}, false, i % 2 == 0 ? "a" : "b");
  lab.run(lab.now + kHour);
  EXPECT_EQ(lab.done("a"), 0u);
  EXPECT_EQ(lab.done("b"), 5u);
  EXPECT_TRUE(lab.scheduler->resume(Suspension::Key::Destination, "a.p.example", lab.now));
  lab.run();
  EXPECT_EQ(lab.done("a"), 5u);
}

TEST(Suspend, ADeadDestinationIsNotTriedOnPaperMeanwhile) {
  Lab lab;
  const auto t = lab.transport({.name = "t"});
  lab.result = [](const auto &) { return Result::SiteFailure; };
  for (int i = 0; i < 5; ++i) lab.add(t, "d.example");
  lab.run(lab.now + 2 * kSecond);
  EXPECT_EQ(lab.why(0).limit, "backoff");
  lab.scheduler->suspend({Suspension::Key::Destination, "d.example", 0, kForGood, ""}, lab.now);
  lab.add(t, "d.example");
  lab.run(lab.now + kSecond);
  EXPECT_EQ(lab.suspended, 0u);
  lab.scheduler->resume(Suspension::Key::Destination, "d.example", lab.now);
  lab.run(lab.now + kSecond);
  EXPECT_EQ(lab.suspended, 1u);
}

TEST(Suspend, NorIsMailWhoseTransportIsGone) {
  Lab lab;
  const auto t = lab.transport({.name = "t"}, 0);
  lab.add(t, "a.example", {.tenant = "x"});
  lab.add(t, "b.example", {.tenant = "y"});
  lab.add(t, "c.example", {.tenant = "y"});
  lab.run(lab.now + kSecond);
  lab.scheduler->suspend({Suspension::Key::Tenant, "x", 0, kForGood, ""}, lab.now);
  lab.scheduler->suspend({Suspension::Key::Destination, "b.example", 0, kForGood, ""}, lab.now);
  lab.run(lab.now + 100 * kSecond);
  EXPECT_EQ(lab.suspended, 1u);
  EXPECT_EQ(lab.why(0).limit, "suspended");
  EXPECT_EQ(lab.why(1).limit, "suspended");
  lab.scheduler->resume(Suspension::Key::Tenant, "x", lab.now);
  lab.run(lab.now + kSecond);
  EXPECT_EQ(lab.suspended, 2u);
}

TEST(SetFlow, MovesWhatWaitsAndWhatIsUnderWay) {
  Lab lab;
  const auto t = lab.transport({.name = "t"});
  for (int i = 0; i < 10; ++i) lab.add(t, "d.example", {.sender = "a@x.example"});
  lab.run(lab.now + 1);
  lab.scheduler->suspend({Suspension::Key::Sender, "a@x.example", 0, kForGood, ""}, lab.now);
  const auto flow = lab.scheduler->flow({.tenant = "other", .sender = "a@x.example"});
  for (GroupId i = 0; i < 10; ++i) lab.scheduler->set_flow(i, flow, lab.now);
  EXPECT_EQ(lab.why(9).limit, "suspended");
  lab.run(lab.now + kHour);
  EXPECT_EQ(lab.ended.size(), 5u);  // what was under way
  lab.scheduler->resume(Suspension::Key::Sender, "a@x.example", lab.now);
  lab.run();
  EXPECT_EQ(lab.ended.size(), 10u);
}

class MemoryTest : public ::testing::Test {
 protected:
  static constexpr Nanos kOffset = 1'700'000'000 * kSecond;
  static TransportLimits limits() {
    return {.name = "t", .rate = {10 * kSecond, 1}, .rules = {{{"slow.example"}, {.rate = {100 * kSecond, 2}}}}};
  }
  // In a scheduler of another life, whose clock began anew.
  void restart(Nanos later) {
    const auto saved = lab_.scheduler->save(kOffset, lab_.now);
    const auto more = lab_.scheduler->save_more(kOffset, lab_.now);
    const auto wall = lab_.now + kOffset + later;
    again_.now = 5000 * kSecond;
    t_again_ = again_.transport(limits());
    again_.scheduler->rates(rates());
    again_.scheduler->restore(saved, wall - again_.now, again_.now);
    again_.scheduler->restore_more(more, wall - again_.now, again_.now);
  }
  static std::vector<RateRule> rates() { return {{RateRule::Key::Tenant, {}, {50 * kSecond, 1}}}; }
  Lab lab_, again_;
  TransportId t_ = 0, t_again_ = 0;
};

TEST_F(MemoryTest, DeadDestinationsConcurrencyRatesAndSuspensionsOutliveARestart) {
  t_ = lab_.transport(limits());
  lab_.scheduler->rates(rates());
  const auto dead = lab_.transport({.name = "u"});
  again_.transport({.name = "u"});
  lab_.result = [](const auto &d) { return d.to == "dead.example" ? Result::SiteFailure : Result::Delivered; };
  for (int i = 0; i < 5; ++i) lab_.add(dead, "dead.example");
  for (int i = 0; i < 30; ++i) lab_.add(dead, "good.example");
  lab_.run(lab_.now + 5 * kSecond);
  lab_.add(t_, "slow.example", {.tenant = "x"});
  lab_.scheduler->suspend({Suspension::Key::Tenant, "y", 0, lab_.now + 1000 * kSecond, "why"}, lab_.now);
  const auto before = lab_.scheduler->state_of(lab_.scheduler->destination(dead, "good.example")).concurrency;
  EXPECT_GT(before, 5u);
  lab_.run(lab_.now + 1);
  const auto died = lab_.now - 5 * kSecond + kSecond - 1;
  restart(5 * kSecond);
  const auto u = again_.transport({.name = "u"});
  const auto state = again_.scheduler->state_of(again_.scheduler->destination(u, "dead.example"));
  EXPECT_NEAR(static_cast<double>(state.dead_until - again_.now),
              static_cast<double>(died + 300 * kSecond - lab_.now - 5 * kSecond), 2.0 * kSecond);
  EXPECT_EQ(again_.scheduler->state_of(again_.scheduler->destination(u, "good.example")).concurrency, before);
  again_.add(t_again_, "slow.example", {.tenant = "x"});
  again_.run(again_.now + 1);
  EXPECT_EQ(again_.why(0).limit, "tenant_rate_limit");
  EXPECT_NEAR(static_cast<double>(again_.why(0).eligible - again_.now), 45.0 * kSecond, 1.0 * kSecond);
  again_.add(u, "a.example", {.tenant = "y"});
  again_.run(again_.now + 1);
  EXPECT_EQ(again_.why(1).limit, "suspended");
  EXPECT_NEAR(static_cast<double>(again_.why(1).eligible - again_.now), 995.0 * kSecond, 1.0 * kSecond);
}

TEST_F(MemoryTest, AClockThatWasWrongDoesNotKeepADestinationDeadForLonger) {
  t_ = lab_.transport({.name = "u"});
  again_.transport({.name = "u"});
  lab_.result = [](const auto &) { return Result::SiteFailure; };
  for (int i = 0; i < 5; ++i) lab_.add(t_, "dead.example");
  lab_.run(lab_.now + 2 * kSecond);
  restart(-1'000'000 * kSecond);
  const auto u = again_.transport({.name = "u"});
  const auto state = again_.scheduler->state_of(again_.scheduler->destination(u, "dead.example"));
  EXPECT_GT(state.dead_until, again_.now);
  EXPECT_LE(state.dead_until, again_.now + 300 * kSecond);
}

TEST_F(MemoryTest, AClockThatWasWrongDoesNotMakeASuspensionLonger) {
  t_ = lab_.transport(limits());
  lab_.scheduler->suspend({Suspension::Key::Tenant, "y", 0, lab_.now + 1000 * kSecond, "why"}, lab_.now);
  lab_.scheduler->suspend({Suspension::Key::Tenant, "z", 0, kForGood, "why"}, lab_.now);
  restart(-1'000'000 * kSecond);
  for (const auto *tenant : {"y", "z"}) again_.add(t_again_, "a.example", {.tenant = tenant});
  again_.run(again_.now + 1);
  EXPECT_EQ(again_.why(0).limit, "suspended");
  EXPECT_LE(again_.why(0).eligible, again_.now + 1000 * kSecond);
  again_.run(again_.now + 2000 * kSecond);
  EXPECT_EQ(again_.ended.size(), 1u);
  EXPECT_EQ(again_.why(1).limit, "suspended");
}

TEST_F(MemoryTest, APaceThatWasFoundOutlivesARestart) {
  t_ = lab_.transport({.name = "u"});
  again_.transport({.name = "u"});
  const auto d = lab_.scheduler->destination(t_, "slow.example");
  for (int i = 0; i < 10; ++i) lab_.add(t_, "slow.example");
  lab_.run(lab_.now + kSecond / 2);
  lab_.scheduler->push_back(d, lab_.now);  // five at once, halved
  lab_.scheduler->push_back(d, lab_.now += 11 * kSecond);
  restart(100 * kMillisecond);
  const auto u = again_.transport({.name = "u"});
  const auto again = again_.scheduler->destination(u, "slow.example");
  EXPECT_DOUBLE_EQ(again_.scheduler->state_of(again).adaptive_rate, 1.25);
  for (int i = 0; i < 5; ++i) again_.add(u, "slow.example", {}, false, "m");
  again_.run(again_.now + 1);
  EXPECT_TRUE(again_.began.empty());
  EXPECT_EQ(again_.why(0).limit, "adaptive_rate");
  EXPECT_LE(again_.why(0).eligible, again_.now + 800 * kMillisecond);
  const auto since = again_.now;
  again_.run();
  EXPECT_EQ(again_.ended.size(), 5u);
  EXPECT_GE(again_.now - since, 4 * 800 * kMillisecond);
  // And it still ends: as it began, at twice the pace that it began at.
  for (int i = 0; i < 400; ++i) again_.add(u, "slow.example");
  again_.run();
  EXPECT_EQ(again_.scheduler->state_of(again).adaptive_rate, 0);
}

TEST_F(MemoryTest, APaceIsNeverBeyondTodaysBoundsWhateverAClockSaid) {
  t_ = lab_.transport({.name = "u"});
  again_.transport({.name = "u", .destination = {.adaptive = {.minimum = 0.5, .maximum = 1}}});
  const auto d = lab_.scheduler->destination(t_, "slow.example");
  for (int i = 0; i < 5; ++i) lab_.add(t_, "slow.example");
  lab_.run(lab_.now + 1);
  lab_.scheduler->push_back(d, lab_.now);
  restart(-1'000'000 * kSecond);
  const auto u =
      again_.scheduler->transport({.name = "u", .destination = {.adaptive = {.minimum = 0.5, .maximum = 1}}});
  EXPECT_DOUBLE_EQ(again_.scheduler->state_of(again_.scheduler->destination(u, "slow.example")).adaptive_rate, 1);
  again_.add(u, "slow.example");
  again_.run();
  EXPECT_EQ(again_.ended.size(), 1u);
  EXPECT_LE(again_.now, 5000 * kSecond + 4 * kSecond);
}

TEST_F(MemoryTest, AConcurrencyThatAReplyLoweredIsStillSaidToBe) {
  t_ = lab_.transport({.name = "u"});
  again_.transport({.name = "u"});
  lab_.scheduler->lower_concurrency(lab_.scheduler->destination(t_, "low.example"), 2);
  restart(kSecond);
  const auto throttled = again_.scheduler->throttled();
  ASSERT_EQ(throttled.size(), 1u);
  EXPECT_EQ(throttled[0].destination, "low.example");
  EXPECT_EQ(throttled[0].concurrency, 2u);
}

// Which site it is of is known only when DNS was asked anew: it is dead until then, and then still.
TEST_F(MemoryTest, ADomainThatIsDeadAloneInItsSiteOutlivesARestart) {
  const TransportLimits by_exchangers{.name = "s", .by_exchangers = true};
  t_ = lab_.transport(by_exchangers);
  again_.transport(by_exchangers);
  const auto site = [](Lab &lab, TransportId t) {
    for (const auto *domain : {"one.example", "two.example"})
      lab.scheduler->set_exchangers(lab.scheduler->destination(t, domain), "mx.p.example", kForGood);
  };
  site(lab_, t_);
  lab_.result = [](const auto &d) { return d.to == "one.example" ? Result::SiteFailure : Result::Delivered; };
  for (int i = 0; i < 20; ++i) lab_.add(t_, i % 2 == 0 ? "one.example" : "two.example");
  lab_.run(lab_.now + 10 * kSecond);
  const auto state = lab_.scheduler->state_of(lab_.scheduler->destination(t_, "one.example"));
  ASSERT_GT(state.dead_until, lab_.now);
  ASSERT_EQ(lab_.scheduler->state_of(lab_.scheduler->destination(t_, "two.example")).dead_until, 0);
  const auto left = state.dead_until - lab_.now - kSecond;
  restart(kSecond);
  const auto s = again_.scheduler->transport(by_exchangers);
  const auto one = again_.scheduler->destination(s, "one.example");
  EXPECT_EQ(again_.scheduler->state_of(one).dead_until, again_.now + left);
  again_.add(s, "one.example");
  site(again_, s);
  EXPECT_EQ(again_.scheduler->state_of(one).site, "mx:mx.p.example");
  EXPECT_EQ(again_.scheduler->state_of(one).dead_until, again_.now + left);
  again_.add(s, "two.example");
  again_.run(again_.now + 2 * kSecond);
  EXPECT_EQ(again_.ended.size(), 1u);
  EXPECT_EQ(again_.suspended, 1u);
  again_.run();  // when its time is over
  EXPECT_EQ(again_.ended.size(), 2u);
}

TEST_F(MemoryTest, ADomainThatIsDeadAloneIsSoAfterTwoRestartsInARow) {
  const TransportLimits by_exchangers{.name = "s", .by_exchangers = true};
  t_ = lab_.transport(by_exchangers);
  again_.transport(by_exchangers);
  for (const auto *domain : {"one.example", "two.example"})
    lab_.scheduler->set_exchangers(lab_.scheduler->destination(t_, domain), "mx.p.example", kForGood);
  lab_.result = [](const auto &d) { return d.to == "one.example" ? Result::SiteFailure : Result::Delivered; };
  for (int i = 0; i < 20; ++i) lab_.add(t_, i % 2 == 0 ? "one.example" : "two.example");
  lab_.run(lab_.now + 10 * kSecond);
  restart(kSecond);
  Lab third;
  third.now = again_.now;
  const auto t = third.transport(by_exchangers);
  third.scheduler->restore(again_.scheduler->save(0, again_.now), 0, third.now);
  third.scheduler->restore_more(again_.scheduler->save_more(0, again_.now), 0, third.now);
  const auto one = third.scheduler->destination(t, "one.example");
  EXPECT_GT(third.scheduler->state_of(one).dead_until, third.now);
  third.scheduler->set_exchangers(one, "mx.p.example", kForGood);
  EXPECT_EQ(third.scheduler->state_of(one).site, "mx:mx.p.example");
  EXPECT_GT(third.scheduler->state_of(one).dead_until, third.now);
}

// It is of no site while a source pool is suspended there.
TEST_F(MemoryTest, WhatIsKnownOfADomainThatASuspensionKeepsOutOfItsSiteOutlivesARestart) {
  const TransportLimits one_site{.name = "s", .rules = {{{"one.example", "two.example"}, {}, "near"}}};
  t_ = lab_.transport(one_site);
  const auto t = again_.transport(one_site);
  lab_.scheduler->suspend({Suspension::Key::SourcePool, "p", 0, kForGood, "", "one.example"}, lab_.now);
  lab_.result = [](const auto &) { return Result::SiteFailure; };
  for (int i = 0; i < 10; ++i) lab_.add(t_, "one.example");
  lab_.run(lab_.now + 10 * kSecond);
  ASSERT_GT(lab_.scheduler->state_of(lab_.scheduler->destination(t_, "one.example")).dead_until, lab_.now);
  restart(kSecond);
  const auto state = again_.scheduler->state_of(again_.scheduler->destination(t, "one.example"));
  EXPECT_EQ(state.site, "");
  EXPECT_GT(state.dead_until, again_.now);
}

TEST_F(MemoryTest, WhereThereAreMoreThanAreKeptTheDeadComeFirst) {
  t_ = lab_.transport({.name = "u"});
  again_.transport({.name = "u"});
  for (int i = 0; i < 21'000; ++i)  // something is known of each
    lab_.scheduler->lower_concurrency(lab_.scheduler->destination(t_, "d" + std::to_string(i)), 2);
  lab_.result = [](const auto &) { return Result::SiteFailure; };
  for (int i = 0; i < 5; ++i) lab_.add(t_, "dead.example");
  lab_.run(lab_.now + 2 * kSecond);
  ASSERT_GT(lab_.scheduler->state_of(lab_.scheduler->destination(t_, "dead.example")).dead_until, lab_.now);
  restart(kSecond);
  const auto u = again_.scheduler->transport({.name = "u"});
  EXPECT_GT(again_.scheduler->state_of(again_.scheduler->destination(u, "dead.example")).dead_until, again_.now);
}

TEST_F(MemoryTest, APartOfALaterVersionIsPassedOver) {
  t_ = lab_.transport({.name = "u"});
  again_.transport({.name = "u"});
  lab_.scheduler->lower_concurrency(lab_.scheduler->destination(t_, "low.example"), 2);
  std::string more;
  put_part(more, 99, std::string{"something new"});
  more += lab_.scheduler->save_more(kOffset, lab_.now);
  again_.scheduler->restore(lab_.scheduler->save(kOffset, lab_.now), kOffset, again_.now);
  again_.scheduler->restore_more(more, kOffset, again_.now);
  EXPECT_EQ(again_.scheduler->throttled().size(), 1u);
}

TEST_F(MemoryTest, BytesThatCannotBeReadAreIgnored) {
  t_ = lab_.transport(limits());
  for (const auto *bytes :
       {"", "\x01",
        "\x01\x05"
        "ab",
        "\x01\x02\x01\x02", "\x02\x01\x7f", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "nonsense"}) {
    lab_.scheduler->restore(bytes, kOffset, lab_.now);
    lab_.scheduler->restore_more(bytes, kOffset, lab_.now);
  }
  lab_.add(t_, "a.example");
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 1u);
}

}  // namespace
}  // namespace mansio::scheduler
