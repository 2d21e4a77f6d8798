// Limits that plugins own, through the queue core: whom it asks, what it does without an answer, and what goes back.
#include "kernel/queue/rate_links.hpp"

#include <gmock/gmock.h>

#include "kernel/wire/host_messages.hpp"
#include "tests/unit/queue/bench.hpp"

namespace mansio::queue {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class OwnedRates : public Bench {
 protected:
  OwnedRates() {
    auto &smtp = settings_.transports.front();
    smtp.transport_rate_limit = "10/s";
    smtp.transport_rate_burst = 5;
    smtp.transport_rate_plugin = "shared";
    config::Rate rate;
    rate.name = "shared";
    rate.plugin = "rate-odd";
    settings_.rates.push_back(rate);
  }
  FakePeer host(std::int32_t pid = 500, std::uint32_t generation = 1) {
    return attach(wire::RoleKind::Host, "host.rate.shared", pid, generation);
  }
  std::vector<wire::RateAsk> asked(FakePeer &h) {
    run();
    return h.link->take<wire::RateAsk>();
  }
  void give(const FakePeer &h, std::uint64_t number, std::uint32_t units, Nanos ttl = 0, Nanos retry = 0) {
    say(h, wire::RateLease{number, false, units, ttl, retry, ""});
    run();
  }
};

TEST_F(OwnedRates, TheHostIsAskedAndWhatItGivesIsLeased) {
  begin();
  auto h = host();
  mail_to({"a@example.com"});
  EXPECT_THAT(leases(), IsEmpty());
  const auto q = asked(h);
  ASSERT_EQ(q.size(), 1u);
  EXPECT_EQ(q[0].limit, "transport_rate_limit");
  EXPECT_EQ(q[0].key, "smtp");
  EXPECT_EQ(q[0].want, 1u);
  EXPECT_DOUBLE_EQ(q[0].per_second, 10);
  EXPECT_EQ(q[0].burst, 5u);
  EXPECT_EQ(q[0].time_limit, kSecond);
  give(h, q[0].number, 1);
  EXPECT_EQ(leases().size(), 1u);
  EXPECT_EQ(stat("mansio_rate_questions_total{rate=\"shared\"}"), 1);
  EXPECT_EQ(stat("mansio_rate_permits_total{rate=\"shared\"}"), 1);
}

TEST_F(OwnedRates, MailWaitsWhileNobodyAnswersAndGoesWhenSomebodyDoes) {
  begin();
  auto h = host();
  mail_to({"a@example.com"});
  EXPECT_EQ(asked(h).size(), 1u);
  for (int i = 0; i < 50; ++i) advance(100 * kMillisecond);
  EXPECT_THAT(leases(), IsEmpty());
  EXPECT_THAT(sink_.text, HasSubstr("a rate plugin fails"));
  EXPECT_THAT(sink_.text, HasSubstr("no answer in time"));
  EXPECT_GE(stat("mansio_rate_failures_total{rate=\"shared\"}"), 2);
  const auto q = asked(h);
  ASSERT_FALSE(q.empty());
  give(h, q.front().number, 1);  // too late
  EXPECT_THAT(leases(), IsEmpty());
  std::vector<wire::RateAsk> last;
  for (int i = 0; i < 50 && last.empty(); ++i) {
    advance(100 * kMillisecond);
    last = asked(h);
  }
  ASSERT_FALSE(last.empty());
  give(h, last.back().number, 1);
  EXPECT_EQ(leases().size(), 1u);
  EXPECT_THAT(sink_.text, HasSubstr("a rate plugin answers again"));
}

TEST_F(OwnedRates, FailuresThatComeAndGoAreLoggedNowAndThen) {
  begin();
  auto h = host();
  mail_to({"a@example.com"});
  for (int i = 0; i < 4; ++i) {
    auto q = asked(h);
    ASSERT_EQ(q.size(), 1u);
    say(h, wire::RateLease{q[0].number, true, 0, 0, 0, "the server is down"});
    advance(kSecond);
    q = asked(h);
    ASSERT_EQ(q.size(), 1u);
    give(h, q[0].number, 0, 0, 100 * kMillisecond);
    advance(100 * kMillisecond);
  }
  for (const std::string_view line : {"a rate plugin fails", "a rate plugin answers again"}) {
    const auto first = sink_.text.find(line);
    EXPECT_NE(first, std::string::npos) << line;
    EXPECT_EQ(sink_.text.rfind(line), first) << line;
  }
}

TEST_F(OwnedRates, AFailureThatIsSkippedLeavesTheConfiguredRate) {
  settings_.rates.front().budget.on_failure = config::OnFailure::Skip;
  begin();
  auto h = host();
  for (int i = 0; i < 3; ++i) mail_to({"a@example.com"});
  const auto q = asked(h);
  ASSERT_EQ(q.size(), 1u);
  say(h, wire::RateLease{q[0].number, true, 0, 0, 0, "the server is down"});
  EXPECT_EQ(leases().size(), 1u);  // its burst counts as used
  EXPECT_THAT(sink_.text, HasSubstr("the server is down"));
  advance(100 * kMillisecond);
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(OwnedRates, AQuestionWaitsForAProcessAndGoesToTheNextWhenItsProcessDies) {
  begin();
  mail_to({"a@example.com"});
  run();
  auto first = host(500);
  auto q = asked(first);
  ASSERT_EQ(q.size(), 1u);
  die(first);
  auto second = host(501);
  auto again = asked(second);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].number, q[0].number);
  EXPECT_LE(again[0].time_limit, kSecond);
  give(second, again[0].number, 1);
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(OwnedRates, WithoutAProcessAQuestionEndsAtItsTimeLimit) {
  settings_.rates.front().budget.on_failure = config::OnFailure::Skip;
  begin();
  mail_to({"a@example.com"});
  EXPECT_THAT(leases(), IsEmpty());
  advance(500 * kMillisecond);
  EXPECT_THAT(leases(), IsEmpty());
  EXPECT_LE(core_->wake_at(), clock_.mono() + 600 * kMillisecond);
  advance(600 * kMillisecond);
  EXPECT_EQ(leases().size(), 1u);
  EXPECT_THAT(sink_.text, HasSubstr("its process is not there"));
}

TEST_F(OwnedRates, TheNewestGenerationIsAskedAndTheOneThatEndsIsLetGo) {
  begin();
  auto old = host(500, 1);
  mail_to({"a@example.com"});
  const auto q = asked(old);
  ASSERT_EQ(q.size(), 1u);
  auto next = host(501, 2);
  give(old, q[0].number, 1);  // it was asked, so it may answer
  EXPECT_EQ(leases().size(), 1u);
  mail_to({"b@example.com"});
  EXPECT_THAT(asked(old), IsEmpty());
  EXPECT_EQ(asked(next).size(), 1u);
  EXPECT_FALSE(old.link->closed);
  core_->draining(old.peer);
  EXPECT_TRUE(old.link->closed);
  EXPECT_FALSE(next.link->closed);
  EXPECT_THAT(old.link->take<wire::RateUnused>(), IsEmpty());
}

TEST_F(OwnedRates, AProcessThatIsToEndIsLetGoOnceItHasAnswered) {
  begin();
  auto h = host();
  mail_to({"a@example.com"});
  const auto q = asked(h);
  ASSERT_EQ(q.size(), 1u);
  core_->draining(h.peer);
  EXPECT_FALSE(h.link->closed);
  give(h, q[0].number, 1);
  EXPECT_TRUE(h.link->closed);
  const auto unused = h.link->take<wire::RateUnused>();
  ASSERT_EQ(unused.size(), 1u);
  EXPECT_EQ(unused[0].units, 1u);
  EXPECT_THAT(leases(), IsEmpty());
  auto next = host(501, 2);
  const auto again = asked(next);
  ASSERT_EQ(again.size(), 1u);
  give(next, again[0].number, 1);
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(OwnedRates, WhatIsNotUsedGoesBackBeforeTheLastProcessEnds) {
  settings_.transports.front().process_limit = 1;
  begin();
  auto h = host();
  for (int i = 0; i < 4; ++i) mail_to({"a@example.com"});
  auto q = asked(h);
  ASSERT_EQ(q.size(), 1u);
  give(h, q[0].number, 1);
  q = asked(h);
  ASSERT_EQ(q.size(), 1u);
  EXPECT_EQ(q[0].want, 3u);
  give(h, q[0].number, 3, 60 * kSecond);
  EXPECT_EQ(leases().size(), 1u);
  core_->draining(h.peer);
  const auto unused = h.link->take<wire::RateUnused>();
  ASSERT_EQ(unused.size(), 1u);
  EXPECT_EQ(unused[0].limit, "transport_rate_limit");
  EXPECT_EQ(unused[0].key, "smtp");
  EXPECT_EQ(unused[0].units, 3u);
  EXPECT_TRUE(h.link->closed);
  EXPECT_EQ(stat("mansio_rate_permits_returned_total{rate=\"shared\"}"), 3);
}

TEST_F(OwnedRates, WhatIsNotUsedGoesBackWhenTheQueueStops) {
  settings_.transports.front().process_limit = 1;
  begin();
  auto h = host();
  for (int i = 0; i < 3; ++i) mail_to({"a@example.com"});
  give(h, asked(h).at(0).number, 1);
  give(h, asked(h).at(0).number, 2);
  EXPECT_THAT(h.link->take<wire::RateUnused>(), IsEmpty());
  ASSERT_TRUE(core_->stop().ok());
  const auto unused = h.link->take<wire::RateUnused>();
  ASSERT_EQ(unused.size(), 1u);
  EXPECT_EQ(unused[0].units, 2u);
}

TEST_F(OwnedRates, NobodyElseAnswersForAnOwner) {
  begin();
  auto h = host();
  auto other = attach(wire::RoleKind::Host, "host.rate.other", 600);
  auto table = attach(wire::RoleKind::Host, "host.lookup.shared", 601);
  mail_to({"a@example.com"});
  const auto q = asked(h);
  ASSERT_EQ(q.size(), 1u);
  give(other, q[0].number, 1);
  give(table, q[0].number, 1);
  give(egress_, q[0].number, 1);
  EXPECT_THAT(leases(), IsEmpty());
  give(h, q[0].number, 1);
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(OwnedRates, AReloadThatTakesTheOwnerAwayLeavesTheLocalRate) {
  begin();
  auto h = host();
  mail_to({"a@example.com"});
  EXPECT_EQ(asked(h).size(), 1u);
  EXPECT_THAT(leases(), IsEmpty());
  auto other = settings_;
  other.rates.clear();
  other.transports.front().transport_rate_plugin = config::kRateLocal;
  core_->reload(other);
  EXPECT_EQ(leases().size(), 1u);
  core_->reload(settings_);
}

class OwnedRatePlaces : public OwnedRates {
 protected:
  OwnedRatePlaces() {
    auto &smtp = settings_.transports.front();
    smtp.transport_rate_limit.clear();
    smtp.transport_rate_plugin = config::kRateLocal;
    smtp.process_limit = 3;
    smtp.process_limit_plugin = "shared";
  }
  std::vector<wire::RateHold> told(FakePeer &h) {
    run();
    return h.link->take<wire::RateHold>();
  }
};

TEST_F(OwnedRatePlaces, TheHostIsToldWhatIsHeldAndAskedForWhatIsWanted) {
  begin();
  auto h = host();
  for (int i = 0; i < 4; ++i) mail_to({"a@example.com"});
  EXPECT_THAT(leases(), IsEmpty());
  const auto q = told(h);
  ASSERT_EQ(q.size(), 1u);
  EXPECT_EQ(q[0].limit, "process_limit");
  EXPECT_EQ(q[0].key, "smtp");
  EXPECT_NE(q[0].holder, "");
  EXPECT_EQ(q[0].held, 0u);
  EXPECT_EQ(q[0].capacity, 3u);
  EXPECT_EQ(q[0].rest, 0);
  EXPECT_EQ(q[0].time_limit, kSecond);
  give(h, q[0].number, q[0].want, 60 * kSecond);
  EXPECT_EQ(leases().size(), q[0].want);
}

TEST_F(OwnedRatePlaces, MailWaitsWhileNobodyAnswers) {
  begin();
  auto h = host();
  mail_to({"a@example.com"});
  EXPECT_EQ(told(h).size(), 1u);
  for (int i = 0; i < 30; ++i) advance(100 * kMillisecond);
  EXPECT_THAT(leases(), IsEmpty());
  EXPECT_THAT(sink_.text, HasSubstr("a rate plugin fails"));
}

TEST_F(OwnedRatePlaces, ThoseThatNoDeliveryHasGoBackWhenTheQueueStops) {
  begin();
  auto h = host();
  mail_to({"a@example.com"});
  const auto q = told(h);
  ASSERT_EQ(q.size(), 1u);
  give(h, q[0].number, 1, 60 * kSecond);
  EXPECT_EQ(leases().size(), 1u);
  ASSERT_TRUE(core_->stop().ok());
  const auto last = h.link->take<wire::RateHold>();
  ASSERT_FALSE(last.empty());
  EXPECT_EQ(last.back().held, 1u);  // the delivery may go on
  EXPECT_EQ(last.back().want, 1u);
  EXPECT_EQ(last.back().time_limit, 0);
  EXPECT_GT(last.back().number, q[0].number);
  EXPECT_EQ(last.back().holder, q[0].holder);
}

}  // namespace
}  // namespace mansio::queue
