// Rates and delays of destinations, transports, tenants, campaigns, senders and source pools, to fractions of a second;
// what they do not bind goes on beside them.
#include "kernel/scheduler/rate.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "kernel/scheduler/fair_scheduler.hpp"
#include "tests/unit/scheduler/lab.hpp"
#include "tests/unit/scheduler/times.hpp"

namespace mansio::scheduler {
namespace {

TEST(TokenBucket, LetsABurstGoAndThenOneEachInterval) {
  const RateLimit limit{kSecond, 3};
  TokenBucket bucket;
  Nanos now = 100 * kSecond;
  EXPECT_EQ(bucket.tokens(limit, now), 3u);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(bucket.open(limit, now));
    bucket.take(limit, now);
  }
  EXPECT_FALSE(bucket.open(limit, now));
  EXPECT_EQ(bucket.next(limit), now + kSecond);
  now += kSecond;
  EXPECT_EQ(bucket.tokens(limit, now), 1u);
  bucket.take(limit, now);
  EXPECT_FALSE(bucket.open(limit, now));
  EXPECT_EQ(bucket.tokens(limit, now + 100 * kSecond), 3u);  // never more than the burst
}

std::vector<Nanos> gaps(const std::vector<Nanos> &times) {
  std::vector<Nanos> out;
  for (std::size_t i = 1; i < times.size(); ++i) out.push_back(times[i] - times[i - 1]);
  return out;
}

TEST(TokenBucket, WithLimitsBeyondAllBoundsIsOpen) {
  const RateLimit limit{365 * 86400 * kSecond, UINT32_MAX};
  TokenBucket bucket;
  const Nanos now = 1000 * kSecond;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(bucket.open(limit, now));
    EXPECT_EQ(bucket.tokens(limit, now), UINT32_MAX - static_cast<std::uint64_t>(i));
    if (i < 2) bucket.take(limit, now);
  }
}

TEST(DestinationRateDelay, WaitsFromTheEndOfOneDeliveryToTheBeginningOfTheNext) {
  Lab lab;
  const auto t = lab.transport({.name = "slow", .destination = {.rate_delay = kTenth}});
  for (int i = 0; i < 5; ++i) lab.add(t, "slow.example", {}, false, "m");
  for (int i = 0; i < 5; ++i) lab.add(t, "other.example", {}, false, "o");
  const auto last = lab.add(t, "slow.example");
  lab.run(lab.now + 1);
  EXPECT_EQ(lab.sessions, 2u);  // one each
  EXPECT_EQ(lab.why(last).limit, "destination_rate_delay");
  EXPECT_EQ(lab.why(last).eligible, 0);  // that it ends has to come first
  lab.run(lab.now + kSecond + kMillisecond);
  EXPECT_EQ(lab.why(last).limit, "destination_rate_delay");
  EXPECT_EQ(lab.why(last).eligible, lab.ended.front().ended + kTenth);
  EXPECT_EQ(lab.why(last).others, 4u);
  lab.run();
  EXPECT_EQ(gaps(lab.begins("m")), (std::vector<Nanos>(4, kSecond + kTenth)));
  EXPECT_EQ(gaps(lab.begins("o")), (std::vector<Nanos>(4, kSecond + kTenth)));
}

// The "slow" transport: with one delivery at once a failure is a whole cohort, and the limit must be higher.
TEST(DestinationRateDelay, WithAHighCohortLimitFailuresDoNotKillTheDestination) {
  Lab lab;
  const auto t =
      lab.transport({.name = "slow", .destination = {.window = {.failed_cohort_limit = 100}, .rate_delay = kSecond}});
  for (int i = 0; i < 20; ++i) lab.add(t, "slow.example");
  lab.result = [](const auto &d) {
    return d.group % 2 == 0 && d.begun < 1'000'100 * kSecond ? Result::SiteFailure : Result::Delivered;
  };
  lab.run();
  EXPECT_EQ(lab.suspended, 0u);
  EXPECT_EQ(lab.ended.size(), 20u);
}

TEST(TransportRateDelay, SpacesAllDeliveriesOfATransport) {
  Lab lab;
  lab.latency = [](const auto &) { return kMillisecond; };
  const auto t = lab.transport({.name = "t", .rate_delay = kTenth / 10});
  const auto free = lab.transport({.name = "free"});
  for (int i = 0; i < 30; ++i) lab.add(t, "d" + std::to_string(i % 3), {}, false, "m");
  for (int i = 0; i < 5; ++i) lab.add(free, "d", {}, false, "f");
  lab.run(lab.now + 1);
  const auto why = lab.why(29);
  EXPECT_EQ(why.limit, "transport_rate_delay");
  EXPECT_EQ(why.eligible, lab.began.front().begun + kTenth / 10);
  EXPECT_EQ(lab.begins("f").size(), 5u);
  lab.run();
  EXPECT_EQ(gaps(lab.begins("m")), (std::vector<Nanos>(29, kTenth / 10)));
}

TEST(TransportRate, AllowsABurst) {
  Lab lab;
  const auto t = lab.transport({.name = "t", .rate = {kTenth, 4}});
  for (int i = 0; i < 8; ++i) lab.add(t, "d" + std::to_string(i), {}, false, "m");
  lab.run(lab.now + 1);
  EXPECT_EQ(lab.sessions, 4u);
  EXPECT_EQ(lab.why(7).limit, "transport_rate_limit");
  lab.run();
  const auto g = gaps(lab.begins("m"));
  EXPECT_EQ(g, (std::vector<Nanos>{0, 0, 0, kTenth, kTenth, kTenth, kTenth}));
}

TEST(DestinationRate, BindsEachDestinationByItself) {
  Lab lab;
  lab.latency = [](const auto &) { return kMillisecond; };
  const auto t = lab.transport({.name = "t", .destination = {.rate = {kTenth, 2}}});
  for (int i = 0; i < 6; ++i) lab.add(t, "a", {}, false, "a");
  for (int i = 0; i < 6; ++i) lab.add(t, "b", {}, false, "b");
  lab.run(lab.now + 1);
  EXPECT_EQ(lab.under_way["a"], 2u);
  EXPECT_EQ(lab.under_way["b"], 2u);
  const auto why = lab.why(5);
  EXPECT_EQ(why.limit, "destination_rate_limit");
  EXPECT_EQ(why.eligible, lab.began.front().begun + kTenth);
  EXPECT_DOUBLE_EQ(why.value, 0.1);
  lab.run();
  for (const auto *to : {"a", "b"})
    EXPECT_EQ(gaps(lab.begins(to)), (std::vector<Nanos>{0, kTenth, kTenth, kTenth, kTenth}));
}

// Where a destination or a transport has a delay and a rate, or one that was found besides, the answer is the one that
// keeps mail for longest.
TEST(SeveralRates, OfADestinationTheOneThatOpensLastIsNamed) {
  for (const auto &[rate, delay] : {std::pair{kSecond, kTenth}, {kTenth, kSecond}}) {
    Lab lab;
    lab.latency = [](const auto &) { return kMillisecond; };
    const auto t = lab.transport({.name = "t", .destination = {.rate_delay = delay, .rate = {rate, 1}}});
    for (int i = 0; i < 3; ++i) lab.add(t, "d.example");
    lab.run(lab.now + 10 * kMillisecond);
    ASSERT_EQ(lab.ended.size(), 1u);
    const auto why = lab.why(2);
    EXPECT_EQ(why.limit, delay < rate ? "destination_rate_limit" : "destination_rate_delay");
    EXPECT_EQ(why.eligible, delay < rate ? lab.ended[0].begun + rate : lab.ended[0].ended + delay);
    EXPECT_DOUBLE_EQ(why.value, 1);
  }
}

TEST(SeveralRates, OfWhatIsSetAndWhatWasFoundTheLowerIsNamed) {
  for (const auto interval : {10 * kSecond, kTenth}) {
    Lab lab;
    const auto t = lab.transport({.name = "t", .destination = {.rate = {interval, 1}}});
    for (int i = 0; i < 2; ++i) lab.add(t, "d.example");
    lab.run(lab.now + 1);                                                           // the first has begun
    lab.scheduler->push_back(lab.scheduler->destination(t, "d.example"), lab.now);  // to one a second
    const auto why = lab.why(1);
    EXPECT_EQ(why.limit, interval > kSecond ? "destination_rate_limit" : "adaptive_rate");
    EXPECT_NEAR(why.value, interval > kSecond ? 10 : 1, 0.001);
    EXPECT_EQ(why.detail.find("asked for less") != std::string::npos, interval < kSecond) << why.detail;
  }
  Lab lab;  // and beside a delay that is shorter
  const auto t = lab.transport({.name = "t", .destination = {.rate_delay = kTenth}});
  for (int i = 0; i < 2; ++i) lab.add(t, "d.example");
  lab.scheduler->push_back(lab.scheduler->destination(t, "d.example"), lab.now);
  EXPECT_EQ(lab.why(1).limit, "adaptive_rate");
}

TEST(SeveralRates, OfATransportTheOneThatOpensLastIsNamed) {
  const std::pair<RateLimit, const char *> cases[] = {{{kSecond, 1}, "transport_rate_limit"},
                                                      {{kSecond, 2}, "transport_rate_delay"},
                                                      {{kTenth / 10, 1}, "transport_rate_delay"}};
  for (const auto &[rate, limit] : cases) {
    Lab lab;
    const auto t = lab.transport({.name = "t", .rate_delay = kTenth, .rate = rate});
    for (int i = 0; i < 3; ++i) lab.add(t, "d" + std::to_string(i));
    lab.run(lab.now + 1);
    ASSERT_EQ(lab.began.size(), 1u);
    EXPECT_EQ(lab.why(2).limit, limit);
    EXPECT_EQ(lab.why(2).eligible,
              lab.began[0].begun + (rate.interval == kSecond && rate.burst == 1 ? kSecond : kTenth));
  }
}

// Flows that are too many to tell each apart, under a bound that is low.
class TooMany : public ::testing::Test {
 protected:
  TooMany() {
    lab_.scheduler = std::make_unique<FairScheduler>(Backoff{.jitter = 0}, 1, 64);
    lab_.scheduler->rates({{RateRule::Key::Sender, {"@x.example"}, {kHour, 1}},
                           {RateRule::Key::Tenant, {"acme"}, {kTenth, 1}},
                           {RateRule::Key::SourcePool, {"new"}, {kTenth, 1}}});
    t_ = lab_.transport({.name = "t", .destination = {.window = {.initial = 1000, .limit = 1000}}});
  }
  // The last of so many senders, or campaigns.
  GroupId senders(int n, Party party) {
    GroupId last = 0;
    for (int i = 0; i < n; ++i) {
      const auto name = std::to_string(i) + "@x.example";
      party.sender = name;
      last = lab_.add(t_, "d", party, false, "m");
    }
    return last;
  }
  GroupId campaigns(int n, Party party) {
    GroupId last = 0;
    for (int i = 0; i < n; ++i) {
      const auto name = std::to_string(i);
      party.campaign = name;
      last = lab_.add(t_, "d", party, false, "m");
    }
    return last;
  }
  Lab lab_;
  TransportId t_ = 0;
};

TEST_F(TooMany, SendersAreTheirTenantAndPassNoneOfItsLimits) {
  const auto last = senders(100, {.tenant = "acme"});
  EXPECT_GT(lab_.scheduler->merged_flows(), 30u);
  EXPECT_EQ(lab_.scheduler->tenant_of(last), "acme");
  lab_.run(lab_.now + kTenth - 1);
  EXPECT_EQ(lab_.began.size(), 1u);
  EXPECT_EQ(lab_.why(last).limit, "tenant_rate_limit");
  lab_.scheduler->suspend({Suspension::Key::Tenant, "acme", 0, kForGood, "enough"}, lab_.now);
  EXPECT_EQ(lab_.why(last).limit, "suspended");
}

TEST_F(TooMany, SendersStillLeaveFromTheirSourcePool) {
  const auto last = senders(100, {.tenant = "other", .source_pool = "new"});
  lab_.run(lab_.now + kTenth - 1);
  EXPECT_EQ(lab_.began.size(), 1u);
  EXPECT_EQ(lab_.why(last).limit, "source_pool_rate_limit");
}

TEST_F(TooMany, CampaignsAreTheirTenantsAndLeaveRoomForOthers) {
  const auto last = campaigns(100, {.tenant = "acme"});
  EXPECT_EQ(lab_.scheduler->tenant_of(last), "acme");
  EXPECT_EQ(lab_.scheduler->tenant_of(lab_.add(t_, "d", {.tenant = "quiet"})), "quiet");
  EXPECT_EQ(lab_.scheduler->tenant_of(senders(1, {.tenant = "quiet"})), "quiet");
}

TEST_F(TooMany, FewAreNotMerged) {
  senders(50, {.tenant = "acme"});
  EXPECT_EQ(lab_.scheduler->merged_flows(), 0u);
}

class PartyRate : public ::testing::TestWithParam<RateRule::Key> {
 protected:
  static Party party(std::string_view name) {
    switch (GetParam()) {
      case RateRule::Key::Tenant:
        return {.tenant = name};
      case RateRule::Key::Campaign:
        return {.tenant = "t", .campaign = name};
      case RateRule::Key::SourcePool:
        return {.tenant = "t", .source_pool = name};
      case RateRule::Key::Sender:
      case RateRule::Key::SourcePoolDestination:  // pair_test.cpp
        break;
    }
    return {.tenant = "t", .sender = name};
  }
  static std::string limit() {
    constexpr const char *names[] = {"tenant_rate_limit", "campaign_rate_limit", "sender_rate_limit",
                                     "source_pool_rate_limit"};
    return names[static_cast<std::size_t>(GetParam())];
  }
};

TEST_P(PartyRate, BindsOneOverAllDestinationsAndLetsOthersPass) {
  Lab lab;
  lab.scheduler->rates({{GetParam(), {"a@x.example"}, {kTenth, 1}}});
  const auto t = lab.transport({.name = "t", .destination = {.window = {.initial = 100, .limit = 100}}});
  for (int i = 0; i < 50; ++i) lab.add(t, "d" + std::to_string(i % 10), party("a@x.example"), false, "a");
  for (int i = 0; i < 50; ++i) lab.add(t, "d" + std::to_string(i % 10), party("b@x.example"), false, "b");
  lab.run(lab.now + 1);
  EXPECT_EQ(lab.begins("a").size(), 1u);
  EXPECT_EQ(lab.begins("b").size(), 50u);
  const auto why = lab.why(49);
  EXPECT_EQ(why.limit, limit());
  EXPECT_EQ(why.eligible, lab.began.front().begun + kTenth);
  EXPECT_EQ(why.others, 48u);
  lab.run();
  EXPECT_EQ(gaps(lab.begins("a")), (std::vector<Nanos>(49, kTenth)));
}

TEST_P(PartyRate, EachThatMatchesHasARateOfItsOwn) {
  Lab lab;
  lab.scheduler->rates({{GetParam(), {"@x.example"}, {kTenth, 2}}});
  const auto t = lab.transport({.name = "t", .destination = {.window = {.initial = 100, .limit = 100}}});
  for (int i = 0; i < 10; ++i) lab.add(t, "d", party("a@x.example"), false, "a");
  for (int i = 0; i < 10; ++i) lab.add(t, "d", party("b@x.example"), false, "b");
  for (int i = 0; i < 10; ++i) lab.add(t, "d", party("c@y.example"), false, "c");
  lab.run(lab.now + 1);
  EXPECT_EQ(lab.begins("a").size(), 2u);
  EXPECT_EQ(lab.begins("b").size(), 2u);
  EXPECT_EQ(lab.begins("c").size(), 10u);
}

TEST_P(PartyRate, WhoeverCannotUseItsTurnPassesItOn) {
  Lab lab;
  lab.scheduler->rates({{GetParam(), {}, {kTenth, 1}}});
  const auto t = lab.transport({.name = "t", .destination = {.window = {.initial = 1, .limit = 1}}});
  lab.latency = [](const auto &d) { return d.to == "stuck" ? 1000 * kSecond : kMillisecond; };
  for (int i = 0; i < 5; ++i) lab.add(t, "stuck", party("a@x.example"), false, "stuck");
  for (int i = 0; i < 5; ++i) lab.add(t, "free", party("a@x.example"), false, "free");
  lab.run(lab.now + 5 * kTenth + kMillisecond);
  EXPECT_EQ(lab.begins("stuck").size(), 1u);
  EXPECT_EQ(lab.begins("free").size(), 5u);
}

TEST_P(PartyRate, ATransportThatCannotUseItHoldsUpNoOther) {
  Lab lab;
  lab.scheduler->rates({{GetParam(), {}, {10 * kTenth, 1}}});
  const auto full = lab.transport({.name = "full", .sessions = 1});
  const auto free = lab.transport({.name = "free"});
  lab.latency = [](const auto &d) { return d.tag == "full" ? 1000 * kSecond : kMillisecond; };
  for (int i = 0; i < 20; ++i) lab.add(full, "d" + std::to_string(i), party("a@x.example"), false, "full");
  lab.run(lab.now + 1);
  const auto begin = lab.now;
  for (int i = 0; i < 3; ++i) lab.add(free, "e" + std::to_string(i), party("a@x.example"), false, "free");
  lab.run(lab.now + 31 * kTenth);
  const auto begins = lab.begins("free");
  ASSERT_EQ(begins.size(), 3u);
  EXPECT_LE(begins.back(), begin + 30 * kTenth);
}

TEST_P(PartyRate, GoesWhenTheRuleGoes) {
  Lab lab;
  lab.scheduler->rates({{GetParam(), {}, {1000 * kSecond, 1}}});
  const auto t = lab.transport({.name = "t", .destination = {.window = {.initial = 100, .limit = 100}}});
  for (int i = 0; i < 50; ++i) lab.add(t, "d" + std::to_string(i), party("a@x.example"), false, "a");
  lab.run(lab.now + 1);
  EXPECT_EQ(lab.begins("a").size(), 1u);
  lab.scheduler->rates({});
  lab.run(lab.now + 1);
  EXPECT_EQ(lab.begins("a").size(), 50u);
}

TEST_P(PartyRate, NothingIsOwedLongerThanANewRateSays) {
  Lab lab;
  lab.latency = [](const auto &) { return kMillisecond; };
  lab.scheduler->rates({{GetParam(), {}, {1000 * kSecond, 1}}});
  const auto t = lab.transport({.name = "t"});
  for (int i = 0; i < 3; ++i) lab.add(t, "d", party("a@x.example"), false, "a");
  lab.run(lab.now + kSecond);
  EXPECT_EQ(lab.begins("a").size(), 1u);
  lab.scheduler->rates({{GetParam(), {}, {kTenth, 1}}});
  lab.run(lab.now + kSecond);
  EXPECT_EQ(lab.begins("a").size(), 3u);
}

INSTANTIATE_TEST_SUITE_P(Keys, PartyRate,
                         ::testing::Values(RateRule::Key::Tenant, RateRule::Key::Campaign, RateRule::Key::Sender,
                                           RateRule::Key::SourcePool));

// As of a rate of a party: whoever raises one does not wait for what the old one said.
class Reloaded : public ::testing::TestWithParam<bool> {
 protected:
  // Of the destination, or of the transport.
  static TransportLimits with(RateLimit rate) {
    TransportLimits limits{.name = "t"};
    (GetParam() ? limits.destination.rate : limits.rate) = rate;
    return limits;
  }
};

TEST_P(Reloaded, ARateThatIsRaisedIsNotWaitedForAsItWas) {
  Lab lab;
  lab.latency = [](const auto &) { return kMillisecond; };
  const auto t = lab.transport(with({1000 * kSecond, 1}));
  for (int i = 0; i < 3; ++i) lab.add(t, "d", {}, false, "m");
  lab.run(lab.now + kSecond);
  EXPECT_EQ(lab.begins("m").size(), 1u);
  lab.transport(with({kTenth, 1}));
  lab.run(lab.now + kSecond);
  EXPECT_EQ(lab.begins("m").size(), 3u);
}

TEST_P(Reloaded, NobodyPaysForABurstThatIsGone) {
  Lab lab;
  lab.latency = [](const auto &) { return kMillisecond; };
  const auto t = lab.transport(with({100 * kSecond, 5}));
  for (int i = 0; i < 4; ++i) lab.add(t, "d", {}, false, "m");
  lab.run(lab.now + kSecond);
  EXPECT_EQ(lab.begins("m").size(), 4u);
  lab.transport(with({kTenth, 1}));
  for (int i = 0; i < 3; ++i) lab.add(t, "d", {}, false, "m");
  lab.run(lab.now + kSecond);
  EXPECT_EQ(lab.begins("m").size(), 7u);
}

// What is left of a burst that is gone is nothing, after a restart as after a reload.
TEST_P(Reloaded, ABurstThatIsGoneIsGoneAfterARestart) {
  Lab before;
  before.latency = [](const auto &) { return kMillisecond; };
  auto t = before.transport(with({10 * kSecond, 5}));
  for (int i = 0; i < 2; ++i) before.add(t, "d", {}, false, "m");
  before.run(before.now + kSecond);
  EXPECT_EQ(before.begins("m").size(), 2u);
  const auto saved = before.scheduler->save(0, before.now);
  Lab lab;
  lab.now = before.now;
  t = lab.transport(with({10 * kSecond, 1}));
  lab.scheduler->restore(saved, 0, lab.now);
  for (int i = 0; i < 2; ++i) lab.add(t, "d", {}, false, "m");
  lab.run(lab.now + 9 * kSecond);
  EXPECT_EQ(lab.begins("m").size(), 0u);
  lab.run(lab.now + 2 * kSecond);
  EXPECT_EQ(lab.begins("m").size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Whose, Reloaded, ::testing::Bool());

TEST(QueueRunDelay, RoundsTheNextAttemptUp) {
  Lab lab{{.jitter = 0, .queue_run_delay = 300 * kSecond}};
  const auto t = lab.transport({.name = "t"});
  lab.result = [](const auto &) { return Result::NoFeedback; };
  lab.add(t, "d");
  lab.run(lab.now + 2 * kSecond);
  EXPECT_EQ(lab.scheduler->due(0) % (300 * kSecond), 0);
  EXPECT_GE(lab.scheduler->due(0), lab.now - kSecond + 300 * kSecond);
}

}  // namespace
}  // namespace mansio::scheduler
