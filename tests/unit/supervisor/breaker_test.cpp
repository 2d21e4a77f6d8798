#include "kernel/supervisor/breaker.hpp"

#include <gtest/gtest.h>

#include "kernel/supervisor/backoff.hpp"

namespace mansio::supervisor {
namespace {

TEST(Breaker, OpensAfterSeveralDeathsWithinItsWindow) {
  Breaker breaker{3, 10 * kSecond, 60 * kSecond};
  EXPECT_FALSE(breaker.died(1 * kSecond));
  EXPECT_FALSE(breaker.died(2 * kSecond));
  EXPECT_EQ(breaker.died(3 * kSecond), 60 * kSecond);
  EXPECT_FALSE(breaker.died(64 * kSecond)) << "it has all its chances again";
}

TEST(Breaker, OpensAfterAsManyDeathsAsAreSetThoughTheBackOffSpreadsThemOverMoreThanItsWindow) {
  for (const auto deaths : {5u, 11u, 100u, 1000u}) {
    Breaker breaker{deaths, 60 * kSecond, 60 * kSecond};
    Backoff backoff;
    Nanos now = 1000 * kSecond, kept_down = 0;
    for (auto death = 1u; death <= deaths; ++death) {
      now += kept_down;
      backoff.started(now);
      now += 10 * kMillisecond;
      EXPECT_EQ(breaker.died(now, kept_down).has_value(), death == deaths) << death << " of " << deaths;
      kept_down = backoff.died(now);
    }
  }
}

TEST(Breaker, StaysClosedForLivesThatAreLongHoweverLongItIsKeptDownBetweenThem) {
  Breaker breaker{2, 10 * kSecond, 60 * kSecond};
  for (Nanos now = 0; now < 1000 * kSecond; now += 41 * kSecond) EXPECT_FALSE(breaker.died(now, 30 * kSecond));
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
