// Rates in C++ on the fake host: what a plugin is asked, and what it answers.
#include "mansio/rate.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mansio/testing/fake_host.hpp"

namespace mansio::plugin {
namespace {

using mansio::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Purse {
 public:
  static constexpr Info info{"rate-purse", "1.0"};
  static constexpr mansio_option options[] = {{"coins", MANSIO_OPT_INTEGER, 0, "10", "In each purse."}, {}};
  explicit Purse(Host host) : coins_(static_cast<std::uint32_t>(host.integer("coins"))) {}

  Reply lease(const LeaseRequest &r) {
    if (r.key == "throw") throw std::runtime_error{"oops"};
    if (r.key == "later") return defer("nobody knows");
    auto &left = purses_.try_emplace(r.limit + '/' + r.key, coins_).first->second;
    const auto given = std::min(left, r.want);
    left -= given;
    return permits(given, std::chrono::seconds{7}, std::chrono::milliseconds{given < r.want ? 500 : 0});
  }
  void give_back(std::string_view limit, std::string_view key, std::uint32_t unused) {
    purses_[std::string{limit} + '/' + std::string{key}] += unused;
  }

 private:
  std::uint32_t coins_;
  std::map<std::string, std::uint32_t> purses_;
};

class Hotel : public Purse {
 public:
  static constexpr Info info{"rate-hotel", "1.0"};
  explicit Hotel(Host host) : Purse(host) {}
  Reply hold(const PlacesRequest &r) {
    asked_.push_back(r);
    return permits(std::min(r.want, r.capacity), std::chrono::seconds{60});
  }
  static inline std::vector<PlacesRequest> asked_;
};

class Patient {
 public:
  static constexpr Info info{"rate-patient", "1.0"};
  static constexpr mansio_option options[] = {{}};
  explicit Patient(Host) {}
  ~Patient() {
    if (thread_.joinable()) thread_.join();
  }
  void lease(LeaseRequest r, Token token) {
    thread_ = std::thread{[r = std::move(r), token = std::move(token)]() mutable {
      token.complete(permits(r.want, std::chrono::seconds{1}));
    }};
  }

 private:
  std::thread thread_;
};

TEST(Rate, GivesAndTakesBack) {
  FakeHost host{Glue<Purse, RateKind>::entry(), {{"coins", "6"}}};
  const auto first = host.lease({.limit = "tenant_rate_limit", .key = "a", .want = 4});
  EXPECT_EQ(first.status, MANSIO_OK);
  EXPECT_THAT(first.values, ElementsAre("4"));
  EXPECT_EQ(first.ttl_ns, 7'000'000'000);
  EXPECT_EQ(first.retry_ns, 0);
  const auto second = host.lease({.limit = "tenant_rate_limit", .key = "a", .want = 4});
  EXPECT_THAT(second.values, ElementsAre("2"));
  EXPECT_EQ(second.retry_ns, 500'000'000);
  host.give_back("tenant_rate_limit", "a", 3);
  EXPECT_THAT(host.lease({.limit = "tenant_rate_limit", .key = "a", .want = 4}).values, ElementsAre("3"));
  EXPECT_THAT(host.lease({.key = "b", .want = 4}).values, ElementsAre("4"));
  EXPECT_THAT(host.faults, IsEmpty());
}

TEST(Rate, MayLendPlaces) {
  Hotel::asked_.clear();
  FakeHost host{Glue<Hotel, RateKind>::entry()};
  ASSERT_TRUE(host.lends_places());
  const auto reply = host.hold({.limit = "destination_rate_delay",
                                .key = "smtp:a.example",
                                .holder = "one",
                                .number = 7,
                                .held = 1,
                                .want = 3,
                                .capacity = 2,
                                .rest = std::chrono::milliseconds{500}});
  EXPECT_EQ(reply.status, MANSIO_OK);
  EXPECT_THAT(reply.values, ElementsAre("2"));
  EXPECT_EQ(reply.ttl_ns, 60'000'000'000);
  ASSERT_EQ(Hotel::asked_.size(), 1u);
  const auto &asked = Hotel::asked_.front();
  EXPECT_EQ(asked.limit, "destination_rate_delay");
  EXPECT_EQ(asked.key, "smtp:a.example");
  EXPECT_EQ(asked.holder, "one");
  EXPECT_EQ(asked.number, 7u);
  EXPECT_EQ(asked.held, 1u);
  EXPECT_EQ(asked.want, 3u);
  EXPECT_EQ(asked.rest, std::chrono::milliseconds{500});
  EXPECT_GT(asked.deadline, 0);
  EXPECT_FALSE((FakeHost{Glue<Purse, RateKind>::entry()}.lends_places()));
}

TEST(Rate, WhatItCannotSayIsAFailure) {
  FakeHost host{Glue<Purse, RateKind>::entry()};
  EXPECT_EQ(host.lease({.key = "later"}).status, MANSIO_DEFER);
  EXPECT_EQ(host.lease({.key = "throw"}).status, MANSIO_INTERNAL);
  EXPECT_THAT(host.log, HasSubstr("oops"));
}

TEST(Rate, MayAnswerLaterFromAThreadOfItsOwn) {
  FakeHost host{Glue<Patient, RateKind>::entry()};
  EXPECT_THAT(host.lease({.want = 3}).values, ElementsAre("3"));
  host.give_back("tenant_rate_limit", "test", 1);  // which it does not want to know
  EXPECT_THAT(host.faults, IsEmpty());
}

TEST(Rate, IsADraftOfThisBuild) {
  const auto *plugin = Glue<Purse, RateKind>::entry();
  EXPECT_STREQ(plugin->kinds[0], "mansio.rate/1~draft");
  EXPECT_EQ(plugin->draft_build, MANSIO_DRAFT_BUILD);
}

}  // namespace
}  // namespace mansio::plugin
