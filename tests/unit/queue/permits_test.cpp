// Permits that plugins take of the queue's limits: they and mail have one bucket, and what is no limit is said.
#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/unit/queue/bench.hpp"

namespace mansio::queue {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class PermitsTaken : public Bench {
 protected:
  PermitsTaken() { settings_.rate_limits.push_back({config::RateKey::Campaign, {"spring"}, "1/h", 3}); }
  wire::PermitsGiven take(std::uint32_t want, std::string limit = "campaign_rate_limit", std::string key = "spring") {
    say(router_, wire::PermitsAsk{++number_, std::move(limit), std::move(key), want});
    run();
    const auto given = router_.link->take<wire::PermitsGiven>();
    EXPECT_THAT(given, SizeIs(1));
    if (given.empty()) return {};
    EXPECT_EQ(given[0].number, number_);
    return given[0];
  }
  std::uint64_t number_ = 0;
};

TEST_F(PermitsTaken, AndMailHaveOneBucket) {
  begin();
  EXPECT_EQ(take(2).granted, 2u);
  auto e = envelope({"a@example.com"});
  e.campaign = "spring";
  mail(e);
  EXPECT_THAT(leases(), SizeIs(1));
  mail(e);
  EXPECT_THAT(leases(), IsEmpty());
  const auto none = take(1);
  EXPECT_EQ(none.granted, 0u);
  EXPECT_GT(none.retry, 0);
  EXPECT_LE(none.retry, 3600 * kSecond);
}

TEST_F(PermitsTaken, CountAfterACrash) {
  begin();
  advance(600 * kSecond);
  EXPECT_EQ(take(3).granted, 3u);
  begin();  // no stop before it
  EXPECT_EQ(take(1).granted, 0u);
}

TEST_F(PermitsTaken, WhatNoTableLimitsIsGranted) {
  begin();
  EXPECT_EQ(take(50, "campaign_rate_limit", "autumn").granted, 50u);
  EXPECT_EQ(take(50, "tenant_rate_limit", "spring").granted, 50u);
  EXPECT_EQ(take(1'000'000, "tenant_rate_limit", "acme").granted, 10'000u);
}

TEST_F(PermitsTaken, ALimitThatIsNoneIsSaid) {
  begin();
  for (const auto *limit : {"", "rate", "destination_rate_limit", "source_pool_destination_rate_limit"}) {
    const auto given = take(1, limit, "spring");
    EXPECT_EQ(given.granted, 0u) << limit;
    EXPECT_EQ(given.retry, wire::PermitsGiven::kNever) << limit;
  }
  EXPECT_EQ(take(1, "tenant_rate_limit", "").retry, wire::PermitsGiven::kNever);
  EXPECT_EQ(take(1, "tenant_rate_limit", {"a\0b", 3}).retry, wire::PermitsGiven::kNever);
}

TEST_F(PermitsTaken, OnlyTheRouterAsks) {
  begin();
  say(egress_, wire::PermitsAsk{1, "campaign_rate_limit", "spring", 3});
  run();
  EXPECT_THAT(egress_.link->take<wire::PermitsGiven>(), IsEmpty());
  EXPECT_EQ(take(3).granted, 3u);
}

TEST_F(PermitsTaken, TheRouterHearsWhetherNewMailIsWelcome) {
  settings_.queue.backlog_limit = 1;
  begin();
  const auto first = router_.link->take<wire::Pressure>();
  ASSERT_THAT(first, SizeIs(1));
  EXPECT_TRUE(first[0].accept);
  mail_to({"a@example.com"});
  const auto then = router_.link->take<wire::Pressure>();
  ASSERT_FALSE(then.empty());
  EXPECT_FALSE(then.back().accept);
}

}  // namespace
}  // namespace mansio::queue
