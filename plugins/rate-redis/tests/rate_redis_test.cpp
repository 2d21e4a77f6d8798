// The plugin against a redis-server of its own, as one node and as two.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mansio/testing/fake_host.hpp"
#include "plugins/lookup-common/tests/rig.hpp"
#include "plugins/testing/readme.hpp"

namespace {

namespace rig = mansio::lookup::rig;
using mansio::testing::FakeHost;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct RateRedisTest : testing::Test {
  RateRedisTest() { start(); }
  void start() {
    server = std::make_unique<rig::Program>(
        std::vector<std::string>{"redis-server", "--port", std::to_string(port), "--bind", "127.0.0.1", "--dir",
                                 dir.path(), "--save", "", "--appendonly", "no", "--requirepass", "secret"},
        dir / "server.log");
    server->wait_until([this] { return command("PING") != ""; });
  }
  // What the server answers; "" for nothing and for errors.
  std::string command(const std::string &text) const {
    auto *c = ::redisConnect("127.0.0.1", port);
    std::string out;
    if (c && c->err == 0) {
      for (const auto *each : {"AUTH secret", text.c_str()}) {
        auto *r = static_cast<redisReply *>(::redisCommand(c, each));
        out = !r || r->type == REDIS_REPLY_ERROR ? ""
              : r->str                           ? std::string{r->str, r->len}
                                                 : std::to_string(r->integer);
        if (r) ::freeReplyObject(r);
      }
    }
    if (c) ::redisFree(c);
    return out;
  }
  FakeHost::Options options() const {
    return {{"hosts", "127.0.0.1:" + std::to_string(port)},
            {"password", "secret"},
            {"timeout", "20s"},
            {"retry_interval", "0"}};
  }
  // So slow that nothing is added while a test runs.
  static mansio::testing::FakeLease hourly(std::uint32_t want, const std::string &key = "acme") {
    return {.limit = "tenant_rate_limit", .key = key, .want = want, .per_second = 1.0 / 3600, .burst = 10};
  }
  static std::uint32_t given(const mansio::testing::FakeReply &r) {
    EXPECT_EQ(r.status, MANSIO_OK) << r.text;
    return r.values.empty() ? 0 : static_cast<std::uint32_t>(std::stoul(r.values[0]));
  }

  rig::Directory dir;
  std::uint16_t port = rig::free_port();
  std::unique_ptr<rig::Program> server;
};

TEST_F(RateRedisTest, TwoNodesShareOneBurstAndEachKeyHasItsOwn) {
  FakeHost one{mansio_plugin_entry_1(), options()}, two{mansio_plugin_entry_1(), options()};
  EXPECT_EQ(given(one.lease(hourly(7))), 7u);
  EXPECT_EQ(given(two.lease(hourly(7))), 3u);
  const auto none = one.lease(hourly(1));
  EXPECT_EQ(given(none), 0u);
  EXPECT_GT(none.retry_ns, std::int64_t{3500} * 1'000'000'000);
  EXPECT_LE(none.retry_ns, std::int64_t{3600} * 1'000'000'000);
  EXPECT_EQ(none.ttl_ns, std::int64_t{5} * 1'000'000'000);
  EXPECT_EQ(given(two.lease(hourly(1, "other"))), 1u);
  EXPECT_THAT(one.faults, IsEmpty());
}

TEST_F(RateRedisTest, NeverGivesMoreThanTheBurstHoweverManyAskAtOnce) {
  FakeHost one{mansio_plugin_entry_1(), options()}, two{mansio_plugin_entry_1(), options()};
  std::vector<std::uint64_t> ops;
  for (int i = 0; i < 50; ++i) {
    ops.push_back(one.ask(hourly(1)));
    ops.push_back(two.ask(hourly(1)));
  }
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < ops.size(); ++i) sum += given((i % 2 == 0 ? one : two).finish(ops[i]));
  EXPECT_EQ(sum, 10u);
}

TEST_F(RateRedisTest, FillsAtTheConfiguredRate) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  const mansio::testing::FakeLease lease{.key = "fast", .want = 1000, .per_second = 200, .burst = 20};
  const auto begin = std::chrono::steady_clock::now();
  std::uint32_t sum = given(host.lease(lease));
  EXPECT_EQ(sum, 20u);
  while (sum < 60) sum += given(host.lease(lease));
  const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_LE(sum, 20 + 200 * took + 1);
  EXPECT_GE(took, 0.19);
}

TEST_F(RateRedisTest, TakesBackWhatWasNotUsed) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  EXPECT_EQ(given(host.lease(hourly(10))), 10u);
  host.give_back("tenant_rate_limit", "acme", 4);
  EXPECT_EQ(given(host.lease(hourly(10))), 4u);
  host.give_back("tenant_rate_limit", "acme", 100);  // more than there ever were: it is full, and no more
  EXPECT_EQ(command("EXISTS mansio:rate:tenant_rate_limit:acme"), "0");
  EXPECT_EQ(given(host.lease(hourly(100))), 10u);
  host.give_back("tenant_rate_limit", "nobody", 1);
  EXPECT_EQ(host.log, "");
}

TEST_F(RateRedisTest, AKeyIsNamedAfterItsLimitAndGoesWhenItsBucketIsFull) {
  auto o = options();
  o["prefix"] = "p/";
  FakeHost host{mansio_plugin_entry_1(), o};
  auto lease = hourly(1, "smtp:a b\r\nc");
  lease.limit = "destination_rate_limit";
  EXPECT_EQ(given(host.lease(lease)), 1u);
  EXPECT_EQ(command("DBSIZE"), "1");
  lease.key = "soon full";
  lease.per_second = 20;
  lease.burst = 1;
  EXPECT_EQ(given(host.lease(lease)), 1u);
  server->wait_until([this] { return command("DBSIZE") == "1"; });
}

TEST_F(RateRedisTest, ATimeThatTheBucketCannotHaveMeansThatTheClockWentBack) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  EXPECT_EQ(given(host.lease(hourly(1))), 1u);
  command("HSET mansio:rate:tenant_rate_limit:acme full 9000000000000000");
  const auto none = host.lease(hourly(1));
  EXPECT_EQ(given(none), 0u);
  EXPECT_LT(none.retry_ns, std::int64_t{3700} * 1'000'000'000);
  EXPECT_LT(std::stoll(command("HGET mansio:rate:tenant_rate_limit:acme full")), 9'000'000'000'000'000);
}

TEST_F(RateRedisTest, ANodeWithASmallerBurstForgivesNothing) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  EXPECT_EQ(given(host.lease(hourly(10))), 10u);
  auto small = hourly(1);
  small.burst = 3;
  EXPECT_EQ(given(host.lease(small)), 0u);
  EXPECT_EQ(given(host.lease(hourly(1))), 0u);
}

TEST_F(RateRedisTest, FailsWhileTheServerIsDownAndGoesOnAfterwards) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  EXPECT_EQ(given(host.lease(hourly(1))), 1u);
  server->stop();
  const auto reply = host.lease(hourly(1));
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_THAT(reply.text, HasSubstr("127.0.0.1:" + std::to_string(port)));
  host.give_back("tenant_rate_limit", "acme", 1);
  EXPECT_THAT(host.log, HasSubstr("permits not given back"));
  start();
  EXPECT_EQ(given(host.lease(hourly(1))), 1u);
}

// What one node says of places.
class Holder {
 public:
  Holder(const FakeHost::Options &options, std::string name)
      : host_(mansio_plugin_entry_1(), options), name_(std::move(name)) {}

  mansio::testing::FakeReply say(std::uint32_t held, std::uint32_t want) {
    return host_.hold({.limit = "process_limit",
                       .key = "smtp",
                       .holder = name_,
                       .number = ++number,
                       .held = held,
                       .want = want,
                       .capacity = capacity,
                       .rest = rest});
  }
  // How many it may have from now on.
  std::uint32_t hold(std::uint32_t held, std::uint32_t want) {
    const auto r = say(held, want);
    EXPECT_EQ(r.status, MANSIO_OK) << r.text;
    return r.values.empty() ? 0 : static_cast<std::uint32_t>(std::stoul(r.values[0]));
  }

  std::uint64_t number = 0;
  std::uint32_t capacity = 6;
  std::chrono::nanoseconds rest{};

 private:
  FakeHost host_;
  std::string name_;
};

TEST_F(RateRedisTest, TwoNodesHaveNoMorePlacesThanThereAre) {
  Holder one{options(), "one"}, two{options(), "two"};
  EXPECT_EQ(one.hold(0, 4), 4u);
  EXPECT_EQ(two.hold(0, 4), 2u);
  const auto none = two.say(2, 4);
  EXPECT_EQ(none.values.at(0), "2");
  EXPECT_EQ(none.ttl_ns, std::int64_t{120} * 1'000'000'000);
  EXPECT_EQ(none.retry_ns, 250'000'000);
  EXPECT_EQ(one.hold(3, 3), 3u);  // a delivery has ended
  EXPECT_EQ(two.hold(2, 4), 3u);
  EXPECT_EQ(one.hold(0, 0), 0u);
  EXPECT_EQ(two.hold(3, 6), 6u);
}

TEST_F(RateRedisTest, ANodeWithMoreThanItsPartGivesUpWhatIsAboveAsItsDeliveriesEnd) {
  Holder one{options(), "one"}, two{options(), "two"};
  EXPECT_EQ(one.hold(0, 6), 6u);
  EXPECT_EQ(two.hold(0, 6), 0u);
  EXPECT_EQ(one.hold(6, 6), 3u);
  EXPECT_EQ(two.hold(0, 6), 0u) << "it has them until it says that it has not";
  EXPECT_EQ(one.hold(5, 5), 3u);
  EXPECT_EQ(two.hold(0, 6), 1u);
  EXPECT_EQ(one.hold(3, 6), 3u);
  EXPECT_EQ(two.hold(1, 6), 3u);
  EXPECT_EQ(one.hold(3, 6), 3u);
}

TEST_F(RateRedisTest, FewerPlacesThanNodesGoRound) {
  Holder one{options(), "one"}, two{options(), "two"}, three{options(), "three"};
  for (auto *h : {&one, &two, &three}) h->capacity = 1;
  EXPECT_EQ(one.hold(0, 1), 1u);
  EXPECT_EQ(two.hold(0, 1), 0u);
  EXPECT_EQ(three.hold(0, 1), 0u);
  EXPECT_EQ(one.hold(0, 1), 0u) << "others have waited longer";
  EXPECT_EQ(three.hold(0, 1), 0u);
  EXPECT_EQ(two.hold(0, 1), 1u);
  EXPECT_EQ(two.hold(0, 0), 0u);
  EXPECT_EQ(one.hold(0, 1), 0u);
  EXPECT_EQ(three.hold(0, 1), 1u);
}

TEST_F(RateRedisTest, ThePlacesOfANodeThatSaysNothingAreFreeAfterHoldTime) {
  auto o = options();
  o["hold_time"] = "500ms";
  Holder one{o, "one"}, two{o, "two"};
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(one.hold(0, 6), 6u);
  std::uint32_t given = 0;
  while ((given = two.hold(0, 1)) == 0) std::this_thread::sleep_for(std::chrono::milliseconds{20});
  EXPECT_EQ(given, 1u);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds{500});
  EXPECT_EQ(one.hold(6, 6), 6u) << "what it has it has, though it is too much";
}

TEST_F(RateRedisTest, APlaceRestsAfterItWasGivenUp) {
  Holder one{options(), "one"}, two{options(), "two"};
  for (auto *h : {&one, &two}) {
    h->capacity = 1;
    h->rest = std::chrono::milliseconds{400};
  }
  EXPECT_EQ(one.hold(0, 1), 1u);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(one.hold(0, 0), 0u);
  const auto wait = two.say(0, 1);
  if (wait.values.at(0) == "0") {
    EXPECT_GT(wait.retry_ns, 0);
    EXPECT_LE(wait.retry_ns, 400'000'000);
    while (two.hold(0, 1) == 0) std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds{400});
}

TEST_F(RateRedisTest, AQuestionThatComesLateChangesNothing) {
  Holder one{options(), "one"}, two{options(), "two"};
  one.number = 10;
  EXPECT_EQ(one.hold(2, 2), 2u);
  one.number = 5;
  one.hold(0, 0);
  EXPECT_EQ(two.hold(0, 6), 4u);
}

TEST_F(RateRedisTest, AQuestionThatComesTwiceGivesUpNothing) {
  Holder one{options(), "one"};
  one.capacity = 1;
  one.rest = std::chrono::hours{1};
  EXPECT_EQ(one.hold(0, 1), 1u);
  --one.number;  // its answer was lost
  EXPECT_EQ(one.hold(0, 1), 1u);
}

TEST_F(RateRedisTest, NeverLendsMoreThanThereAreHoweverManyAskAtOnce) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  std::vector<std::uint64_t> ops;
  for (int i = 0; i < 50; ++i)
    ops.push_back(host.ask_places(mansio::testing::FakePlaces{
        .limit = "process_limit", .key = "smtp", .holder = std::to_string(i), .want = 2, .capacity = 7}));
  std::uint32_t sum = 0;
  for (const auto op : ops) sum += given(host.finish(op));
  EXPECT_EQ(sum, 7u);
}

TEST_F(RateRedisTest, RefusesOptionsThatItCannotUse) {
  const auto check = [&](const std::string &option, const std::string &value) {
    auto o = options();
    o[option] = value;
    return FakeHost::check(mansio_plugin_entry_1(), o);
  };
  EXPECT_THAT(check("hosts", "a:b"), HasSubstr("hosts has"));
  EXPECT_THAT(check("dbname", "-1"), HasSubstr("dbname is -1"));
  EXPECT_THAT(check("lease_time", "0"), HasSubstr("lease_time is 0"));
  EXPECT_THAT(check("hold_time", "0"), HasSubstr("hold_time is 0"));
  EXPECT_EQ(check("hosts", "redis.example.com"), "");
}

TEST_F(RateRedisTest, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
