// The concurrency window against Postfix's own sequences, its forms of feedback, and limits that differ by destination.
#include "kernel/scheduler/window.hpp"

#include <gtest/gtest.h>

#include "kernel/scheduler/scheduler.hpp"

namespace mansio::scheduler {
namespace {

int failures_until_dead(std::uint32_t window, const WindowLimits &limits) {
  Window w;
  w.size = window;
  for (int n = 1; n < 10'000; ++n)
    if (w.negative(limits)) return n;
  return -1;
}

TEST(Window, DiesAfterAsManyConsecutiveFailuresAsInPostfix) {
  const WindowLimits limits;
  EXPECT_EQ(failures_until_dead(1, limits), 1);
  EXPECT_EQ(failures_until_dead(5, limits), 3);
  EXPECT_EQ(failures_until_dead(10, limits), 7);
  EXPECT_EQ(failures_until_dead(20, limits), 13);
}

TEST(Window, TheFirstFailureOfACycleCostsTwo) {
  const WindowLimits limits;
  Window w;
  EXPECT_FALSE(w.negative(limits));
  EXPECT_EQ(w.size, 3u);
  EXPECT_FALSE(w.negative(limits));
  EXPECT_EQ(w.size, 2u);
}

TEST(Window, ALargeCohortLimitToleratesBurstsOfFailures) {  // the "fragile" transport
  // 20, 18, 17 … 1 are 19 failures and 3.5 rounds; from there each failure is a round.
  EXPECT_EQ(failures_until_dead(20, {.failed_cohort_limit = 100}), 19 + 97);
  EXPECT_EQ(failures_until_dead(20, {.failed_cohort_limit = 0}), -1);
}

// The same for versions of Postfix before 2.5.
TEST(Window, AVeryLargeOneToleratesThemAsWell) {
  const auto failures = failures_until_dead(2000, {.initial = 2000, .limit = 2000});
  EXPECT_GT(failures, 1200);
  EXPECT_LT(failures, 2000);
}

TEST(Window, ASuccessForgetsFailedCohorts) {
  const WindowLimits limits;
  Window w;
  for (int n = 0; n < 50; ++n) {
    EXPECT_FALSE(w.negative(limits));
    w.positive(5, limits);
  }
}

TEST(Window, GrowsByOneForEachSuccessUpToTheLimit) {
  const WindowLimits limits;
  Window w;
  for (std::uint32_t n = 0; n < 40; ++n) w.positive(w.size, limits);
  EXPECT_EQ(w.size, 20u);
}

TEST(Window, DoesNotGrowBeyondWhatIsInUseByMoreThanTheInitialConcurrency) {
  const WindowLimits limits;
  Window w;
  for (std::uint32_t n = 0; n < 40; ++n) w.positive(1, limits);
  EXPECT_EQ(w.size, 6u);
}

// 1/concurrency: a round of as many successes as its size makes it one larger, as TCP does.
TEST(Window, OverTheConcurrencyGrowsOnceARound) {
  const WindowLimits limits{.limit = 100, .positive = {1, Feedback::Over::Concurrency}};
  Window w;
  std::uint32_t successes = 0;
  for (; w.size < 6; ++successes) w.positive(w.size, limits);
  EXPECT_EQ(successes, 5u);
  for (successes = 0; w.size < 7; ++successes) w.positive(w.size, limits);
  EXPECT_EQ(successes, 6u);
}

TEST(Window, OverTheRootOfTheConcurrencyIsBetween) {
  const WindowLimits limits{.initial = 16, .limit = 100, .positive = {1, Feedback::Over::SqrtConcurrency}};
  Window w;
  w.size = 16;
  std::uint32_t successes = 0;
  for (; w.size < 17; ++successes) w.positive(w.size, limits);
  EXPECT_EQ(successes, 4u);
}

TEST(Window, AConstantBelowOneTakesSeveral) {
  const WindowLimits limits{.positive = {0.25f}, .negative = {0.25f}};
  Window w;
  for (int n = 0; n < 3; ++n) w.positive(w.size, limits);
  EXPECT_EQ(w.size, 5u);
  w.positive(w.size, limits);
  EXPECT_EQ(w.size, 6u);
  EXPECT_FALSE(w.negative(limits));  // down at the beginning of the cycle of failures
  EXPECT_EQ(w.size, 5u);
  for (int n = 0; n < 2; ++n) EXPECT_FALSE(w.negative(limits));
  EXPECT_EQ(w.size, 5u);
  EXPECT_FALSE(w.negative(limits));
  EXPECT_EQ(w.size, 4u);
}

TEST(Window, NoFeedbackAtAllKeepsItAsItIs) {
  const WindowLimits limits{.failed_cohort_limit = 0, .positive = {0}, .negative = {0}};
  Window w;
  for (int n = 0; n < 50; ++n) w.positive(w.size, limits);
  for (int n = 0; n < 50; ++n) w.negative(limits);
  EXPECT_EQ(w.size, 5u);
}

TEST(Window, BackFromTheDeadItIsWhatIsStillUnderWay) {
  const WindowLimits limits;
  Window w;
  w.revive(3, limits);
  EXPECT_EQ(w.size, 3u);
  w.revive(0, limits);
  EXPECT_EQ(w.size, 5u);
}

class DestinationLimitsTest : public ::testing::Test {
 protected:
  DestinationLimitsTest() {
    limits_.sessions = 1000;
    limits_.rules = {{{"slow.example", "[192.0.2.1]:25"}, {.window = {.initial = 1, .limit = 1}}},
                     {{".example"}, {.window = {.initial = 2, .limit = 3}}}};
    smtp_ = scheduler_->transport(limits_);
    scheduler_->transport_available(smtp_, 1000);
  }
  std::size_t leased(std::string_view destination, std::uint32_t messages = 50) {
    std::size_t n = 0;
    for (std::uint32_t i = 0; i < messages; ++i)
      scheduler_->add({.id = next_++, .transport = smtp_, .destination = scheduler_->destination(smtp_, destination)},
                      now_);
    while (scheduler_->next(now_)) ++n;
    return n;
  }
  std::unique_ptr<Scheduler> scheduler_ = Scheduler::create({.jitter = 0}, 1);
  TransportLimits limits_{.name = "smtp"};
  TransportId smtp_ = 0;
  GroupId next_ = 0;
  Nanos now_ = 1000 * kSecond;
};

TEST_F(DestinationLimitsTest, TheFirstRuleThatMatchesCounts) {
  EXPECT_EQ(leased("slow.example"), 1u);
  EXPECT_EQ(leased("other.example"), 2u);
  EXPECT_EQ(leased("[192.0.2.1]:25"), 1u);
  EXPECT_EQ(leased("example"), 5u);  // ".example" is its subdomains
  EXPECT_EQ(leased("example.com"), 5u);
}

TEST_F(DestinationLimitsTest, NewLimitsCountAtOnce) {
  EXPECT_EQ(leased("slow.example"), 1u);
  limits_.rules.front().limits.window.limit = limits_.rules.front().limits.window.initial = 4;
  scheduler_->transport(limits_);
  scheduler_->finished(0, Result::Delivered, std::nullopt, now_);
  EXPECT_EQ(leased("slow.example", 0), 2u);  // one in place of the first, and the window may grow now
  limits_.rules.clear();
  limits_.destination.window = {.initial = 1, .limit = 1};
  scheduler_->transport(limits_);
  EXPECT_EQ(leased("slow.example", 0), 0u);
  EXPECT_EQ(scheduler_->why(40, now_).limit, "destination_concurrency_limit");
}

TEST_F(DestinationLimitsTest, ATransportWithoutAProcessIsDeadAfterItsRetryTime) {
  scheduler_->transport_available(smtp_, 0);
  EXPECT_EQ(leased("example.com", 7), 0u);
  EXPECT_EQ(scheduler_->why(0, now_).limit, "transport_unavailable");
  EXPECT_EQ(scheduler_->why(0, now_).eligible, now_ + 60 * kSecond);
  ASSERT_TRUE(scheduler_->next_due().has_value());
  EXPECT_EQ(*scheduler_->next_due(), now_ + 60 * kSecond);
  now_ += 60 * kSecond;
  for (int i = 0; i < 7; ++i) {
    const auto d = scheduler_->next(now_);
    ASSERT_TRUE(d.has_value());
    EXPECT_TRUE(d->suspended && d->dead_transport);
    EXPECT_EQ(scheduler_->finished(d->group, Result::NoFeedback, Nanos{0}, now_), now_ + 300 * kSecond);
  }
  EXPECT_FALSE(scheduler_->next(now_).has_value());
  scheduler_->transport_available(smtp_, 10);
  now_ += 300 * kSecond;
  const auto d = scheduler_->next(now_);
  ASSERT_TRUE(d.has_value());
  EXPECT_FALSE(d->suspended);
}

TEST_F(DestinationLimitsTest, ATransportThatComesBackInTimeDefersNothing) {
  scheduler_->transport_available(smtp_, 0);
  EXPECT_EQ(leased("example.com", 3), 0u);
  now_ += 59 * kSecond;
  EXPECT_EQ(leased("example.com", 0), 0u);
  scheduler_->transport_available(smtp_, 10);
  now_ += 10 * kSecond;
  EXPECT_EQ(leased("example.com", 0), 3u);
}

TEST_F(DestinationLimitsTest, OneThatMayBeWithoutAProcessForEverFromNowOnKeepsNobodyAwake) {
  scheduler_->transport_available(smtp_, 0);
  EXPECT_EQ(leased("example.com", 3), 0u);
  limits_.transport_retry_time = 0;
  scheduler_->transport(limits_);
  now_ += 100 * kSecond;
  EXPECT_FALSE(scheduler_->next(now_).has_value());
  EXPECT_FALSE(scheduler_->next_due().has_value());
}

}  // namespace
}  // namespace mansio::scheduler
