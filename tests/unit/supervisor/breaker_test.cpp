#include "kernel/supervisor/breaker.hpp"

#include <gtest/gtest.h>

namespace mansio::supervisor {
namespace {

TEST(Breaker, OpensAfterSeveralDeathsWithinItsWindow) {
  Breaker breaker{3, 10 * kSecond, 60 * kSecond};
  EXPECT_FALSE(breaker.died(1 * kSecond));
  EXPECT_FALSE(breaker.died(2 * kSecond));
  EXPECT_EQ(breaker.died(3 * kSecond), 60 * kSecond);
  EXPECT_FALSE(breaker.died(64 * kSecond)) << "it has all its chances again";
}

TEST(Breaker, StaysClosedForDeathsFarApart) {
  Breaker breaker{2, 10 * kSecond, 60 * kSecond};
  for (Nanos now = 0; now < 200 * kSecond; now += 11 * kSecond) EXPECT_FALSE(breaker.died(now));
}

TEST(Breaker, NeverOpensWithoutALimit) {
  Breaker breaker;
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(breaker.died(i));
}

}  // namespace
}  // namespace mansio::supervisor
