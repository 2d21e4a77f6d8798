#include "kernel/host/breaker.hpp"

#include <gtest/gtest.h>

namespace mansio::host {
namespace {

constexpr Nanos kWindow = 60 * kSecond, kTime = 10 * kSecond;

TEST(LookupBreaker, OpensAfterFailuresInARow) {
  Breaker breaker{3, kWindow, kTime};
  EXPECT_FALSE(breaker.failed(1));
  EXPECT_FALSE(breaker.failed(2));
  breaker.succeeded();
  EXPECT_FALSE(breaker.failed(3));
  EXPECT_FALSE(breaker.failed(4));
  EXPECT_TRUE(breaker.allows(4));
  EXPECT_TRUE(breaker.failed(5));
  EXPECT_FALSE(breaker.allows(6));
}

TEST(LookupBreaker, FailuresFarApartAreNoRow) {
  Breaker breaker{2, kWindow, kTime};
  EXPECT_FALSE(breaker.failed(1));
  EXPECT_FALSE(breaker.failed(2 + kWindow));
  EXPECT_TRUE(breaker.failed(3 + kWindow));
}

TEST(LookupBreaker, AfterThePauseOneOperationTriesIt) {
  Breaker breaker{1, kWindow, kTime};
  EXPECT_TRUE(breaker.failed(1));
  EXPECT_FALSE(breaker.failed(2)) << "begun before it opened";
  EXPECT_FALSE(breaker.allows(kTime));
  EXPECT_TRUE(breaker.allows(1 + kTime));
  EXPECT_FALSE(breaker.allows(1 + kTime));
  EXPECT_TRUE(breaker.failed(2 + kTime));
  EXPECT_FALSE(breaker.allows(3 + kTime));
  EXPECT_TRUE(breaker.allows(2 + 2 * kTime));
  breaker.succeeded();
  EXPECT_FALSE(breaker.open());
  EXPECT_TRUE(breaker.allows(3 + 2 * kTime));
}

TEST(LookupBreaker, AnOperationThatDidNotBeginLeavesTheTrialToTheNext) {
  Breaker breaker{1, kWindow, kTime};
  breaker.failed(1);
  EXPECT_TRUE(breaker.allows(1 + kTime));
  breaker.not_begun();
  EXPECT_TRUE(breaker.allows(1 + kTime));
}

TEST(LookupBreaker, ATryThatIsNotHeardOfAgainLeavesTheNextOneToAnother) {
  Breaker breaker{1, kWindow, kTime};
  breaker.failed(1);
  EXPECT_TRUE(breaker.allows(1 + kTime));
  EXPECT_FALSE(breaker.allows(2 * kTime));
  EXPECT_TRUE(breaker.allows(1 + 2 * kTime));
  EXPECT_FALSE(breaker.allows(2 + 2 * kTime));
}

TEST(LookupBreaker, SeveralOperationsMayBeOneTry) {
  Breaker breaker{1, kWindow, kTime};
  breaker.failed(1);
  EXPECT_TRUE(breaker.allows(1 + kTime, 7));
  EXPECT_FALSE(breaker.allows(1 + kTime, 8));
  EXPECT_FALSE(breaker.allows(1 + kTime));
  EXPECT_TRUE(breaker.allows(2 + kTime, 7));
  EXPECT_TRUE(breaker.failed(3 + kTime));
  EXPECT_FALSE(breaker.allows(4 + kTime, 7)) << "it has failed";
}

TEST(LookupBreaker, NeverOpensWithoutALimit) {
  Breaker breaker{0, kWindow, kTime};
  for (Nanos now = 1; now < 100; ++now) EXPECT_FALSE(breaker.failed(now));
  EXPECT_TRUE(breaker.allows(100));
}

}  // namespace
}  // namespace mansio::host
