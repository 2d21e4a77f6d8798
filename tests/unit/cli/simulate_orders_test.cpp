// What operators and replies change in the course of a simulation.
#include <algorithm>

#include "tests/unit/cli/simulations.hpp"

namespace mansio::cli::simulate {
namespace {

TEST(Simulation, AnOrderSuspendsAndResumes) {
  const auto scenario = parse_scenario("order.toml", R"(
duration = "6m"
[queue]
minimal_backoff_time = "1s"
maximal_backoff_time = "1s"
maximal_queue_lifetime = "2m"
[transport.t]
[[destination]]
name = "d.example"
latency = "100ms"
error = 0.3
[[destination]]
name = "other.example"
latency = "100ms"
[[arrival]]
destination = "d.example"
rate = 5
[[arrival]]
destination = "other.example"
rate = 5
[[event]]
at = "4m"
action = "resume"
destination = "d.example"
[[event]]
at = "1m"
action = "suspend"
destination = "d.example"
)");
  ASSERT_TRUE(scenario) << scenario.error().text;
  const auto r = run(*scenario);
  EXPECT_GT(delivered(r, 0, kMinute), 200u);
  EXPECT_EQ(delivered(r, kMinute + 10 * kSecond, 4 * kMinute), 0u);
  EXPECT_GT(delivered(r, kMinute + 10 * kSecond, 4 * kMinute, 1), 500u);
  EXPECT_GT(r.all.deferred, 100u);
  EXPECT_EQ(r.all.delivered, r.all.offered);  // nothing has expired: suspended time is no age
}

// The worst percentile of delay in a step, from one time to another.
double worst_p99(const Report &r, Nanos from, Nanos to) {
  double worst = 0;
  for (const auto &step : r.steps)
    if (step.at > from && step.at <= to) worst = std::max(worst, step.p99);
  return worst;
}

// Nothing that goes to hosts that have gone is delivered, so all delays are of other mail.
TEST(Simulation, AFlushDoesNotMakeCongestionWorse) {
  auto scenario = example("flush");
  const auto paced = run(scenario);
  EXPECT_LT(worst_p99(paced, 110 * kMinute, 120 * kMinute), 2);
  EXPECT_LT(worst_p99(paced, 120 * kMinute, 150 * kMinute), 2);
  ASSERT_EQ(scenario.events.size(), 1u);
  scenario.events.front().paced = false;
  EXPECT_GT(worst_p99(run(scenario), 120 * kMinute, 150 * kMinute), 60);
}

TEST(Simulation, AFlushTriesWhatWaitsForADestinationBeforeItsTime) {
  const auto scenario = parse_scenario("flush.toml", R"(
duration = "20m"
drain = false
[queue]
minimal_backoff_time = "1h"
maximal_backoff_time = "1h"
[transport.t]
process_limit = 8
destination_concurrency_failed_cohort_limit = 0
[[destination]]
name = "a#.example"
count = 10
refuse = 1
[[destination.phase]]
from = "5m"
refuse = 0
[[destination]]
name = "b.example"
refuse = 1
[[destination.phase]]
from = "5m"
refuse = 0
[[arrival]]
destination = "a#.example"
tenant = "mine"
messages = 100
[[arrival]]
destination = "a#.example"
messages = 50
[[arrival]]
destination = "b.example"
tenant = "mine"
messages = 30
[[event]]
at = "10m"
action = "flush"
destination = "a#.example"
tenant = "mine"
)");
  ASSERT_TRUE(scenario) << scenario.error().text;
  const auto r = run(*scenario);
  EXPECT_EQ(r.arrivals[0].delivered, 100u);
  EXPECT_EQ(r.arrivals[1].delivered, 0u);
  EXPECT_EQ(r.arrivals[2].delivered, 0u);
  EXPECT_EQ(r.all.expired, 0u);
}

TEST(Simulation, MailOfADeferredTransportGoesWhenItIsFlushed) {
  const auto scenario = parse_scenario("deferred.toml", R"(
duration = "1h"
drain = false
[queue]
defer_transports = ["dial"]
[transport.dial]
[[destination]]
name = "d.example"
[[arrival]]
destination = "d.example"
messages = 50
[[event]]
at = "30m"
action = "flush"
transport = "dial"
)");
  ASSERT_TRUE(scenario) << scenario.error().text;
  const auto r = run(*scenario);
  EXPECT_EQ(delivered(r, 0, 30 * kMinute), 0u);
  EXPECT_EQ(r.all.delivered, 50u);
  EXPECT_GT(r.all.suspended, 50u);
}

TEST(Simulation, WhatIsHeldWaitsUntilItIsReleased) {
  const auto scenario = parse_scenario("hold.toml", R"(
duration = "10m"
[queue]
minimal_backoff_time = "1s"
maximal_backoff_time = "1s"
[transport.t]
[[destination]]
name = "d.example"
latency = "100ms"
error = 0.5
[[arrival]]
destination = "d.example"
tenant = "held"
messages = 2000
to = "1m"
[[arrival]]
destination = "d.example"
rate = 5
[[event]]
at = "1m"
action = "hold"
tenant = "held"
[[event]]
at = "5m"
action = "release"
tenant = "held"
)");
  ASSERT_TRUE(scenario) << scenario.error().text;
  const auto r = run(*scenario);
  const auto of_held = [&](Nanos from, Nanos to) {
    std::uint64_t n = 0;
    for (const auto &step : r.steps)
      if (step.at > from && step.at <= to && !step.by_tenant.empty()) n += step.by_tenant[0];
    return n;
  };
  ASSERT_EQ(r.tenants[0].name, "held");
  EXPECT_GT(of_held(0, kMinute), 500u);
  EXPECT_EQ(of_held(kMinute + 10 * kSecond, 5 * kMinute), 0u);
  EXPECT_GT(of_held(5 * kMinute, 10 * kMinute), 0u);
  EXPECT_EQ(r.all.delivered, r.all.offered);
}

// Nobody tries anything meanwhile, so nothing expires either.
TEST(Simulation, ATransportWithoutProcessesPutsItsMailOff) {
  const auto scenario = parse_scenario("stop.toml", R"(
duration = "30m"
[queue]
minimal_backoff_time = "30s"
maximal_backoff_time = "1m"
maximal_queue_lifetime = "2m"
[transport.t]
transport_retry_time = "1m"
[transport.other]
[[destination]]
name = "d.example"
transport = "t"
[[destination]]
name = "e.example"
transport = "other"
[[arrival]]
destination = "d.example"
rate = 5
[[arrival]]
destination = "e.example"
rate = 5
[[event]]
at = "5m"
action = "stop"
transport = "t"
[[event]]
at = "15m"
action = "start"
transport = "t"
)");
  ASSERT_TRUE(scenario) << scenario.error().text;
  const auto r = run(*scenario);
  EXPECT_EQ(delivered(r, 5 * kMinute + 10 * kSecond, 15 * kMinute), 0u);
  EXPECT_GT(delivered(r, 5 * kMinute + 10 * kSecond, 15 * kMinute, 1), 2000u);
  EXPECT_GT(r.all.suspended, 1000u);
  EXPECT_EQ(r.all.delivered, r.all.offered);
}

TEST(Simulation, ASourcePoolIsSuspendedAtADestinationForATime) {
  const auto scenario = parse_scenario("pair.toml", R"(
duration = "10m"
[transport.t]
[[destination]]
name = "d.example"
latency = "100ms"
[[destination]]
name = "e.example"
latency = "100ms"
[[arrival]]
destination = "d.example"
source_pool = "p"
rate = 5
[[arrival]]
destination = "e.example"
source_pool = "p"
rate = 5
[[event]]
at = "2m"
action = "suspend"
source_pool = "p"
destination = "d.example"
for = "3m"
)");
  ASSERT_TRUE(scenario) << scenario.error().text;
  const auto r = run(*scenario);
  EXPECT_EQ(delivered(r, 2 * kMinute + 10 * kSecond, 5 * kMinute), 0u);
  EXPECT_GT(delivered(r, 2 * kMinute + 10 * kSecond, 5 * kMinute, 1), 600u);
  EXPECT_EQ(r.all.delivered, r.all.offered);
}

std::uint64_t delivered_from(const Report &r, const std::string &pool, Nanos from, Nanos to) {
  std::size_t number = 0;
  while (number < r.pools.size() && r.pools[number].name != pool) ++number;
  std::uint64_t n = 0;
  for (const auto &step : r.steps)
    if (step.at > from && step.at <= to && number < step.by_pool.size()) n += step.by_pool[number];
  return n;
}

TEST(Simulation, AReplyLetsMailLeaveFromAnotherSourcePool) {
  auto scenario = example("spare-pool");
  const auto r = run(scenario);
  EXPECT_EQ(delivered_from(r, "spare", 0, 10 * kMinute), 0u);
  EXPECT_GT(delivered_from(r, "spare", 11 * kMinute, 29 * kMinute), 20'000u);
  EXPECT_EQ(delivered_from(r, "spare", 52 * kMinute, 70 * kMinute), 0u);  // twice twenty minutes
  EXPECT_EQ(r.all.delivered, r.all.offered);
  EXPECT_GT(r.all.deferred, 0u);
  EXPECT_LT(r.all.deferred, 100u);
  scenario.settings.responses.clear();
  EXPECT_GT(run(scenario).all.deferred, 10'000u);
}

TEST(Simulation, AnOperatorGivesMailAnotherSourcePoolAndEndsWhatAReplyDid) {
  const auto scenario = parse_scenario("rebind.toml", R"(
duration = "20m"
[queue]
minimal_backoff_time = "1m"
maximal_backoff_time = "1m"
[transport.t]
destination_concurrency_failed_cohort_limit = 0
[[response]]
code = ["451"]
action = "pool"
pool = "second"
time = "1h"
[[destination]]
name = "d.example"
blocks = "first"
[[destination.phase]]
from = "5m"
blocks = ""
[[destination]]
name = "e.example"
refuse = 1
[[destination.phase]]
from = "5m"
refuse = 0
[[arrival]]
destination = "d.example"
source_pool = "first"
rate = 5
[[arrival]]
destination = "e.example"
source_pool = "third"
messages = 100
[[event]]
at = "2m"
action = "rebind"
source_pool = "third"
pool = "fourth"
[[event]]
at = "10m"
action = "unthrottle"
destination = "d.example"
)");
  ASSERT_TRUE(scenario) << scenario.error().text;
  const auto r = run(*scenario);
  EXPECT_GT(delivered_from(r, "second", 0, 10 * kMinute), 2000u);
  EXPECT_EQ(delivered_from(r, "first", 0, 10 * kMinute), 0u);
  EXPECT_EQ(delivered_from(r, "second", 10 * kMinute + 10 * kSecond, 20 * kMinute), 0u);
  EXPECT_GT(delivered_from(r, "first", 10 * kMinute, 20 * kMinute), 2000u);
  EXPECT_EQ(delivered_from(r, "third", 0, 20 * kMinute), 0u);
  EXPECT_EQ(delivered_from(r, "fourth", 0, 20 * kMinute), 100u);
}

// What a provider takes from each address by itself is twice as much from two.
TEST(Simulation, ANextHopMayCountWhatItTakesBySourcePool) {
  auto scenario = parse_scenario("by-pool.toml", R"(
duration = "5m"
drain = false
[transport.t]
[[source_group]]
name = "both"
pools = ["a=1", "b=1"]
[[destination]]
name = "d.example"
latency = "100ms"
rate = 10
by_pool = true
[[arrival]]
destination = "d.example"
source_pool = "both"
rate = 16
)");
  ASSERT_TRUE(scenario) << scenario.error().text;
  const auto apart = run(*scenario);
  scenario->destinations.front().by_pool = false;
  const auto together = run(*scenario);
  EXPECT_LT(apart.all.deferred * 4, together.all.deferred);
}

}  // namespace
}  // namespace mansio::cli::simulate
