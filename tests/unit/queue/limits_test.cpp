// What a configuration says of limits is what the scheduler gets: each option has a value here that no other has, so
// that none takes another's place.
#include "kernel/queue/limits.hpp"

#include <gmock/gmock.h>

#include "tests/unit/config/memory_files.hpp"

namespace mansio::queue {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Over = scheduler::Feedback::Over;

// All that may be said of a destination.
constexpr std::string_view kOfADestination = R"(
initial_destination_concurrency = 6
destination_concurrency_limit = 23
destination_concurrency_plugin = "places"
destination_concurrency_positive_feedback = "0.25/concurrency"
destination_concurrency_negative_feedback = "0.5/sqrt_concurrency"
destination_concurrency_failed_cohort_limit = 31
destination_recipient_limit = 17
destination_rate_delay = "700ms"
destination_rate_delay_plugin = "delays"
destination_rate_limit = "10/s"
destination_rate_burst = 13
destination_rate_plugin = "rates"
adaptive_rate_minimum = "2/m"
adaptive_rate_maximum = "40/s"
adaptive_rate_decrease = 0.75
adaptive_rate_increase = 0.125
)";
constexpr std::string_view kRateTables = R"(
[rate.rates]
plugin = "rate-x"
time_limit = "3s"
[rate.places]
plugin = "rate-x"
on_failure = "skip"
[rate.delays]
plugin = "rate-x"
)";

scheduler::DestinationLimits as_configured() {
  return {.window = {.initial = 6,
                     .limit = 23,
                     .failed_cohort_limit = 31,
                     .positive = {0.25f, Over::Concurrency},
                     .negative = {0.5f, Over::SqrtConcurrency}},
          .recipient_limit = 17,
          .rate_delay = 700 * kMillisecond,
          .rate = {100 * kMillisecond, 13, 1},
          .adaptive = {.minimum = 2.0 / 60, .maximum = 40, .decrease = 0.75, .increase = 0.125},
          .concurrency_owner = 2,
          .rate_delay_owner = 3};
}

config::Settings configured(const std::string &text) {
  const auto parsed = config::parse_with_rest(text + std::string{kRateTables});
  EXPECT_THAT(config::all(parsed), IsEmpty());
  return parsed.settings;
}

TEST(ConfiguredLimits, OfATransportReachTheScheduler) {
  const auto settings = configured(R"([transport.x]
plugin = "transport-x"
process_limit = 41
process_limit_plugin = "places"
transport_retry_time = "43s"
transport_rate_delay = "47ms"
transport_rate_delay_plugin = "delays"
transport_rate_limit = "20/s"
transport_rate_burst = 53
transport_rate_plugin = "rates"
delivery_slot_cost = 59
delivery_slot_loan = 61
delivery_slot_discount = 67
minimum_delivery_slots = 71
)" + std::string{kOfADestination});
  const auto limits = limits_of(*settings.transport("x"), settings);
  EXPECT_EQ(limits.name, "x");
  EXPECT_EQ(limits.sessions, 41u);
  EXPECT_EQ(limits.sessions_owner, 2);
  EXPECT_EQ(limits.transport_retry_time, 43 * kSecond);
  EXPECT_EQ(limits.rate_delay, 47 * kMillisecond);
  EXPECT_EQ(limits.rate_delay_owner, 3);
  EXPECT_EQ(limits.rate, (scheduler::RateLimit{50 * kMillisecond, 53, 1}));
  EXPECT_EQ(limits.slots, (scheduler::SlotLimits{.cost = 59, .loan = 61, .discount = 67, .minimum = 71}));
  EXPECT_EQ(limits.destination, as_configured());
  EXPECT_FALSE(limits.by_exchangers);
}

TEST(ConfiguredLimits, OfADestinationReachItAndOfOthersTheTransports) {
  const auto settings = configured(R"([transport.x]
plugin = "transport-x"
destination_key = "site"
[[transport.x.destination]]
match = ["example.com", ".example.net"]
site = "provider"
mx = [".mx.example"])" + std::string{kOfADestination});
  const auto limits = limits_of(*settings.transport("x"), settings);
  EXPECT_TRUE(limits.by_exchangers);
  EXPECT_EQ(limits.destination, scheduler::DestinationLimits{});
  ASSERT_EQ(limits.rules.size(), 1u);
  EXPECT_THAT(limits.rules[0].match, ElementsAre("example.com", ".example.net"));
  EXPECT_EQ(limits.rules[0].site, "provider");
  EXPECT_THAT(limits.rules[0].mx, ElementsAre(".mx.example"));
  EXPECT_EQ(limits.rules[0].limits, as_configured());
}

TEST(ConfiguredLimits, OfRatesTenantsAndGroupsReachIt) {
  const auto settings = configured(R"(
[[tenant]]
name = "acme"
weight = 3
[[source_group]]
name = "bulk"
pools = ["old=9", "new"]
[[rate_limit]]
key = "campaign"
match = ["spring"]
rate = "30/m"
burst = 5
plugin = "rates"
[[rate_limit]]
key = "source_pool_destination"
match = ["new"]
destination = ["provider"]
rate = "60/m"
concurrency = 7
)");
  const auto tenants = weights_of(settings);
  ASSERT_EQ(tenants.size(), 1u);
  EXPECT_EQ(tenants[0].name, "acme");
  EXPECT_EQ(tenants[0].weight, 3u);
  const auto groups = groups_of(settings);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0], (scheduler::SourceGroup{"bulk", {{"old", 9}, {"new", 1}}}));
  const auto rates = rates_of(settings, 0);
  ASSERT_EQ(rates.size(), 2u);
  EXPECT_EQ(rates[0].key, scheduler::RateRule::Key::Campaign);
  EXPECT_THAT(rates[0].match, ElementsAre("spring"));
  EXPECT_EQ(rates[0].limit, (scheduler::RateLimit{2 * kSecond, 5, 1}));
  EXPECT_EQ(rates[1].key, scheduler::RateRule::Key::SourcePoolDestination);
  EXPECT_THAT(rates[1].destinations, ElementsAre("provider"));
  EXPECT_EQ(rates[1].limit, (scheduler::RateLimit{kSecond, 1}));
  EXPECT_EQ(rates[1].concurrency, 7u);
  const auto owners = owners_of(settings);
  ASSERT_EQ(owners.size(), 3u);
  EXPECT_EQ(owners[0].name, "rates");
  EXPECT_EQ(owners[0].time_limit, 3 * kSecond);
  EXPECT_FALSE(owners[0].skip);
  EXPECT_TRUE(owners[1].skip);
}

TEST(ConfiguredLimits, OfTheBackOffReachIt) {
  const auto settings = configured(R"(
[queue]
minimal_backoff_time = "2m"
maximal_backoff_time = "3h"
backoff_jitter = 0.25
queue_run_delay = "90s"
)");
  const auto backoff = backoff_of(settings.queue);
  EXPECT_EQ(backoff.minimal_backoff_time, 120 * kSecond);
  EXPECT_EQ(backoff.maximal_backoff_time, 10'800 * kSecond);
  EXPECT_EQ(backoff.jitter, 0.25);
  EXPECT_EQ(backoff.queue_run_delay, 90 * kSecond);
  EXPECT_EQ(longest_wait(settings.queue), (10'800 + 2'700 + 90) * kSecond);
}

TEST(ConfiguredLimits, OfResponsesReachIt) {
  const auto settings = configured(R"(
[[response]]
destination = ["provider"]
code = ["421", "4.7.*"]
pattern = "(?i)too many"
threshold = 3
window = "2m"
action = "pool"
time = "20m"
pool = "warm"
[[response]]
code = ["450"]
action = "concurrency"
concurrency = 2
)");
  const auto rules = responses_of(settings);
  ASSERT_EQ(rules.size(), 2u);
  EXPECT_THAT(rules[0].destinations, ElementsAre("provider"));
  EXPECT_THAT(rules[0].codes, ElementsAre("421", "4.7.*"));
  ASSERT_TRUE(rules[0].text);
  EXPECT_TRUE(rules[0].text("421 Too many connections"));
  EXPECT_FALSE(rules[0].text("421 busy"));
  EXPECT_EQ(rules[0].threshold, 3u);
  EXPECT_EQ(rules[0].window, 120 * kSecond);
  EXPECT_EQ(rules[0].action, scheduler::ResponseRule::Action::Pool);
  EXPECT_EQ(rules[0].time, 1200 * kSecond);
  EXPECT_EQ(rules[0].pool, "warm");
  EXPECT_EQ(rules[1].action, scheduler::ResponseRule::Action::Concurrency);
  EXPECT_EQ(rules[1].concurrency, 2u);
  EXPECT_FALSE(rules[1].text);
}

}  // namespace
}  // namespace mansio::queue
