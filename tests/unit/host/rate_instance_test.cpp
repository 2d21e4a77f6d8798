// The host against a rate plugin that behaves badly: tests/fixtures/rate-odd.c does as the key says.
#include "kernel/host/rate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "tests/unit/host/host_rig.hpp"

namespace mansio::host {
namespace {

using ::testing::HasSubstr;

class RateInstanceTest : public HostTest {
 protected:
  void create(Limits limits = {}) {
    const auto plugin = load_plugin(MANSIO_FIXTURES "/rate-odd.so");
    ASSERT_TRUE(plugin.ok()) << plugin.error().text;
    auto made = RateInstance::create({loop_, clock_, log_, dns_}, **plugin, {"odd", {{"most", "100"}}, {}, limits});
    ASSERT_TRUE(made.ok()) << made.error().text;
    instance_ = std::move(*made);
  }
  wire::RateLease ask(const std::string &key, std::uint32_t want = 5, Nanos within = 60 * kSecond) {
    std::optional<wire::RateLease> out;
    instance_->lease({++last_, "tenant_rate_limit", key, want, 10, 5, within},
                     [&](wire::RateLease &&lease) { out = std::move(lease); });
    EXPECT_TRUE(until([&] { return out.has_value(); }));
    return out.value_or(wire::RateLease{});
  }

  std::uint64_t last_ = 0;
  std::unique_ptr<RateInstance> instance_;
};

TEST_F(RateInstanceTest, PassesOnWhatThePluginGives) {
  create();
  const auto lease = ask("acme", 5);
  EXPECT_FALSE(lease.failed);
  EXPECT_EQ(lease.number, 1u);
  EXPECT_EQ(lease.units, 5u);
  EXPECT_EQ(lease.ttl, 600 * kSecond);
  EXPECT_THAT(lines_.text, HasSubstr("gave 5 of tenant_rate_limit acme"));
  const auto none = ask("none");
  EXPECT_FALSE(none.failed);
  EXPECT_EQ(none.units, 0u);
  EXPECT_EQ(none.retry, 300 * kMillisecond);
}

TEST_F(RateInstanceTest, PassesOnWhatPlacesThePluginLends) {
  create();
  const auto hold = [&](const std::string &key, std::uint32_t held, std::uint32_t want) {
    std::optional<wire::RateLease> out;
    instance_->hold({++last_, "process_limit", key, "node", held, want, 4, 0, 60 * kSecond},
                    [&](wire::RateLease &&lease) { out = std::move(lease); });
    EXPECT_TRUE(until([&] { return out.has_value(); }));
    return out.value_or(wire::RateLease{});
  };
  const auto lease = hold("smtp", 1, 9);
  EXPECT_FALSE(lease.failed) << lease.text;
  EXPECT_EQ(lease.number, 1u);
  EXPECT_EQ(lease.units, 4u);
  EXPECT_EQ(lease.ttl, 600 * kSecond);
  EXPECT_THAT(lines_.text, HasSubstr("holds 1 of process_limit smtp"));
  EXPECT_THAT(lines_.text, HasSubstr("lends 4 of process_limit smtp"));
  EXPECT_EQ(hold("smtp", 2, 2).units, 2u);
  EXPECT_TRUE(hold("fail", 0, 1).failed);
}

TEST_F(RateInstanceTest, GivesNoMoreThanWasWanted) {
  create();
  EXPECT_EQ(ask("much", 7).units, 7u);
}

TEST_F(RateInstanceTest, TakesWhatMakesNoSenseForAFailure) {
  create();
  EXPECT_EQ(ask("junk").text, "the plugin did not say how many");
  EXPECT_EQ(ask("empty").text, "the plugin did not say how many");
  EXPECT_EQ(ask("fail").text, "the plugin failed");
  for (const auto *key : {"junk", "empty", "fail"}) {
    const auto lease = ask(key);
    EXPECT_TRUE(lease.failed) << key;
    EXPECT_EQ(lease.units, 0u) << key;
  }
}

TEST_F(RateInstanceTest, EndsAQuestionAtItsDeadline) {
  create();
  const auto lease = ask("never", 1, 5 * kMillisecond);
  EXPECT_TRUE(lease.failed);
  EXPECT_EQ(lease.text, "time limit exceeded");
  EXPECT_EQ(instance_->in_flight(), 0u);
}

TEST_F(RateInstanceTest, RefusesMoreThanItMayHaveUnderWay) {
  create({1, 0, 100});
  instance_->lease({99, "tenant_rate_limit", "never", 1, 10, 5, 60 * kSecond}, [](wire::RateLease &&) {});
  EXPECT_EQ(ask("acme").text, "the plugin has too much to do");
}

TEST_F(RateInstanceTest, TellsThePluginWhatWasNotUsed) {
  create();
  EXPECT_EQ(ask("acme", 100).units, 100u);
  EXPECT_EQ(ask("acme", 1).units, 0u);
  bool told = false;
  instance_->give_back({"tenant_rate_limit", "acme", 40}, [&] { told = true; });
  EXPECT_TRUE(told);
  EXPECT_EQ(instance_->in_flight(), 0u);
  EXPECT_THAT(lines_.text, HasSubstr("got back 40 of tenant_rate_limit acme"));
  EXPECT_EQ(ask("acme", 100).units, 40u);
  EXPECT_EQ(instance_->misbehaviours(), 0u);
}

TEST(RateLease, NeedsANumber) {
  for (const auto *text : {"", " 1", "1 ", "-1", "1.5", "99999999999999999999"}) {
    Answer answer;
    answer.status = MANSIO_OK;
    answer.values = {text};
    EXPECT_TRUE(rate_lease(std::move(answer), 5).failed) << text;
  }
  Answer answer;
  answer.status = MANSIO_OK;
  answer.values = {"3", "whatever"};
  answer.ttl = -1;
  const auto lease = rate_lease(std::move(answer), 5);
  EXPECT_FALSE(lease.failed);
  EXPECT_EQ(lease.units, 3u);
  EXPECT_EQ(lease.ttl, 0);
}

}  // namespace
}  // namespace mansio::host
