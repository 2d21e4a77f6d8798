// What one mail exchanger that does not answer costs: the knowledge about addresses by itself, and deliveries to a
// domain with one good and one bad exchanger.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/transport-smtp/client/health.hpp"
#include "plugins/transport-smtp/tests/fake_server.hpp"
#include "plugins/transport-smtp/tests/test_host.hpp"

namespace mansio::smtp::test {
namespace {

class AddressHealth : public ::testing::Test {
 protected:
  // The order of the targets "a" and "b" (preference 10), "c" (20).
  std::string order() const {
    std::vector<Target> targets{{"a", "a", 25, 10}, {"b", "b", 25, 10}, {"c", "c", 25, 20}};
    health.order(targets, now);
    std::string names;
    for (const auto &target : targets) names += target.host;
    return names;
  }
  static std::string key(const char *name) { return Target{name, name, 25, 0}.key(); }
  void fail(const char *name, std::int64_t after) {
    const auto began = now;
    health.begin(key(name), began);
    now += after;
    health.failed(key(name), began, now);
  }

  Health health{5 * kSecond, 30 * kSecond};
  std::int64_t now = 1000 * kSecond;
};

TEST_F(AddressHealth, ChangesNothingWhereNothingIsKnown) {
  EXPECT_EQ(order(), "abc");
  EXPECT_EQ(health.patience(key("a")), 5 * kSecond);
}

TEST_F(AddressHealth, OpeningsSpreadOverAddressesOfOnePreference) {
  health.begin(key("a"), now);
  EXPECT_EQ(order(), "bac");
  health.begin(key("b"), now);
  health.begin(key("b"), now);
  EXPECT_EQ(order(), "abc");  // but a better preference comes first
  health.answered(key("a"), now);
  EXPECT_EQ(order(), "abc");
}

TEST_F(AddressHealth, AnOpeningThatIsLateMakesOthersGoElsewhereInItsPreference) {
  health.begin(key("a"), now);
  now += kSecond / 10 - 1;
  for (int i = 0; i < 3; ++i) health.begin(key("b"), now);
  EXPECT_EQ(order(), "abc");
  now += 1;
  EXPECT_EQ(order(), "bac");
}

TEST_F(AddressHealth, AnOpeningThatLastsMakesOthersGoElsewhereEvenToAWorsePreference) {
  health.begin(key("a"), now);
  health.begin(key("b"), now);
  now += kSecond - 1;
  EXPECT_EQ(order(), "abc");
  now += 1;
  EXPECT_EQ(order(), "cab");
}

TEST_F(AddressHealth, AFailureIsRememberedForAWhileAndThenProbedByOne) {
  fail("a", 5 * kSecond);
  EXPECT_EQ(order(), "bca");
  now += 30 * kSecond - 1;
  EXPECT_EQ(order(), "bca");
  now += 1;
  EXPECT_EQ(order(), "abc");
  health.begin(key("a"), now);  // the probe
  EXPECT_EQ(order(), "bca");
  health.answered(key("a"), now);
  EXPECT_EQ(order(), "abc");
  EXPECT_EQ(health.known(), 0u);
}

TEST_F(AddressHealth, EachFailureInARowDoublesMemoryAndPatienceUpToEightTimes) {
  for (const auto times : {1, 2, 4, 8, 8}) {
    fail("a", kSecond);
    now += times * 30 * kSecond - 1;
    EXPECT_EQ(order(), "bca") << times;
    now += 1;
    EXPECT_EQ(order(), "abc") << times;
    EXPECT_EQ(health.patience(key("a")), std::min(8, 2 * times) * 5 * kSecond);
  }
}

TEST_F(AddressHealth, OpeningsThatFailTogetherAreOneFailure) {
  for (int i = 0; i < 10; ++i) health.begin(key("a"), now + i);
  for (int i = 0; i < 10; ++i) health.failed(key("a"), now + i, now + 5 * kSecond + i);
  EXPECT_EQ(health.patience(key("a")), 10 * kSecond);
}

TEST_F(AddressHealth, WhereAllAreBadTheOrderIsAsIfAllWereGood) {
  for (const auto *name : {"b", "a", "c"}) fail(name, kSecond);
  EXPECT_EQ(order(), "abc");
}

TEST_F(AddressHealth, AnOpeningThatWeEndOurselvesSaysNothing) {
  health.begin(key("a"), now);
  health.withdrawn(key("a"), now);
  EXPECT_EQ(order(), "abc");
  EXPECT_EQ(health.known(), 0u);
}

TEST_F(AddressHealth, ForgetsWhatFailedLongAgoWhenThereIsMuch) {
  for (int i = 0; i < 5000; ++i) {
    fail(std::to_string(i).c_str(), 0);
    now += kSecond;
  }
  EXPECT_LE(health.known(), 4096u);
}

// ---- deliveries ----------------------------------------------------------------------------------------------------

// One exchanger that takes connections and says nothing, one that works.
struct OneHangs {
  FakeServer bad, good;
  TestHost host;
  Mail mail;
  explicit OneHangs(std::map<std::string, std::string> options, std::uint16_t good_preference = 20)
      : bad(silent(), "127.0.0.2"), good({}, "127.0.0.3", bad.port), host(kSmtp, with_defaults(std::move(options))) {
    host.answer("example.com", MANSIO_DNS_MX, {{"mx1.example.com", 10}, {"mx2.example.com", good_preference}});
    host.answer("mx1.example.com", MANSIO_DNS_A, {{"127.0.0.2", 0}});
    host.answer("mx2.example.com", MANSIO_DNS_A, {{"127.0.0.3", 0}});
    mail.nexthop = "example.com:" + std::to_string(bad.port);
  }
  static Behaviour silent() {
    Behaviour b;
    b.greeting = kStall;
    return b;
  }
  static std::map<std::string, std::string> with_defaults(std::map<std::string, std::string> options) {
    options.try_emplace("smtp_connection_cache_on_demand", "false");
    options.try_emplace("smtp_randomize_addresses", "false");
    return options;
  }
};

TEST(SmtpFailover, DoesNotWaitLongForOneExchangerWhenThereIsAnother) {
  OneHangs t{{{"smtp_failover_time", "20ms"}}};
  const auto r = t.host.deliver(t.mail);
  EXPECT_EQ(r[0].status, MANSIO_OK);
  EXPECT_EQ(r[0].remote_mta, "mx2.example.com");
}

TEST(SmtpFailover, TheLastServerHasAllTheTime) {
  OneHangs t{{{"smtp_failover_time", "1ms"}, {"smtp_helo_timeout", "200ms"}}, 5};
  t.host.answer("example.com", MANSIO_DNS_MX, {{"mx1.example.com", 10}});
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(t.host.deliver(t.mail)[0].status, MANSIO_DEFER);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds{200});
}

TEST(SmtpFailover, RemembersWhoDidNotAnswer) {
  OneHangs t{{{"smtp_failover_time", "500ms"}}};  // the good one has that, too, and is as slow as this machine
  for (int i = 0; i < 5; ++i) EXPECT_EQ(t.host.deliver(t.mail)[0].status, MANSIO_OK);
  EXPECT_EQ(t.bad.connections(), 1u);
  EXPECT_EQ(t.good.transactions().size(), 5u);
}

TEST(SmtpFailover, ProbesAgainLater) {
  OneHangs t{{{"smtp_failover_time", "20ms"}, {"smtp_probe_interval", "0"}}};
  for (int i = 0; i < 2; ++i) EXPECT_EQ(t.host.deliver(t.mail)[0].status, MANSIO_OK);
  EXPECT_EQ(t.bad.connections(), 2u);
}

TEST(SmtpFailover, OthersDoNotQueueUpWhereOneWaits) {
  OneHangs t{{{"smtp_failover_time", "0"}}, 10};
  const auto stuck = t.host.fake().deliver(t.mail);
  ASSERT_TRUE(t.host.fake().run_until([&] { return t.bad.connections() == 1; }));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(t.host.deliver(t.mail)[0].remote_mta, "mx2.example.com");
  EXPECT_FALSE(t.host.fake().completed(stuck));
  EXPECT_EQ(t.bad.connections(), 1u);
}

TEST(SmtpFailover, AGreetingThatRefusesIsAnAnswer) {
  Behaviour busy;
  busy.greeting = "421 4.3.2 busy";
  OneHangs t{{}};
  FakeServer third{busy, "127.0.0.4", t.bad.port};
  t.host.answer("mx1.example.com", MANSIO_DNS_A, {{"127.0.0.4", 0}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(t.host.deliver(t.mail)[0].status, MANSIO_OK);
  EXPECT_EQ(third.connections(), 3u);
}

}  // namespace
}  // namespace mansio::smtp::test
