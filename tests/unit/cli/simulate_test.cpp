// The simulator: what its scenarios show, and what must hold in any of them.
#include <gmock/gmock.h>

#include <filesystem>
#include <random>

#include "kernel/cli/simulate/report.hpp"
#include "kernel/config/rate.hpp"

namespace mansio::cli::simulate {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string path_of(const std::string &name) { return MANSIO_SOURCE_DIR "/examples/simulate/" + name + ".toml"; }

Scenario example(const std::string &name) {
  auto scenario = read_scenario(path_of(name));
  EXPECT_TRUE(scenario) << scenario.error().text;
  return scenario ? std::move(*scenario) : Scenario{};
}

Report run(const Scenario &scenario) {
  auto report = Simulation{scenario}.run();
  EXPECT_THAT(report.violations, IsEmpty()) << scenario.name;
  return report;
}

const Totals &of(const std::vector<Totals> &all, const std::string &name) {
  for (const auto &t : all)
    if (t.name == name) return t;
  ADD_FAILURE() << "no " << name;
  return all.front();
}

// Deliveries between two times, from the beginning.
std::uint64_t delivered(const Report &r, Nanos from, Nanos to, std::size_t destination = 0) {
  std::uint64_t n = 0;
  for (const auto &step : r.steps)
    if (step.at > from && step.at <= to) n += step.by_destination[destination];
  return n;
}

constexpr Nanos kMinute = 60 * kSecond;
double seconds(std::uint64_t microseconds) { return static_cast<double>(microseconds) * 1e-6; }

TEST(Scenario, EachThatIsShippedIsRight) {
  int n = 0;
  for (const auto &entry : std::filesystem::directory_iterator(MANSIO_SOURCE_DIR "/examples/simulate")) {
    if (entry.path().extension() != ".toml") continue;
    ++n;
    const auto scenario = read_scenario(entry.path().string());
    ASSERT_TRUE(scenario) << scenario.error().text;
    EXPECT_FALSE(scenario->title.empty()) << entry.path();
  }
  EXPECT_GE(n, 8);
}

TEST(Scenario, ReportsAllThatIsWrongWithPlaces) {
  const auto wrong = parse_scenario("s.toml", R"(
durration = "1m"
[transport.t]
destination_concurrency_limit = "many"
[[destination]]
name = "a.example"
count = 3
error = 2
[[destination.phase]]
from = 0
[[arrival]]
destination = "b.example"
)");
  ASSERT_FALSE(wrong);
  const auto &text = wrong.error().text;
  EXPECT_THAT(text, HasSubstr("s.toml:2: durration is not an option here"));
  EXPECT_THAT(text, HasSubstr("s.toml:4: transport.t.destination_concurrency_limit"));
  EXPECT_THAT(text, HasSubstr("s.toml:8: destination[1].error is an integer, expected a number from 0 to 1"));
  EXPECT_THAT(text, HasSubstr("destination[1].phase[1] is not later than the one before it"));
  EXPECT_THAT(text, HasSubstr("expected '#'"));
  EXPECT_THAT(text, HasSubstr("there is no such [[destination]]"));
  EXPECT_THAT(text, HasSubstr("neither or both of rate and messages"));
  EXPECT_THAT(parse_scenario("s.toml", "date = \"soon\"").error().text, HasSubstr("expected a date"));
  EXPECT_FALSE(parse_scenario("s.toml", "[["));
  EXPECT_FALSE(read_scenario("/nonexistent"));
}

TEST(Scenario, RefusesWhatWouldHaveNoEffect) {
  const auto wrong = parse_scenario("s.toml", R"(
[queue]
minimal_backoff_time = "1m"
in_flow_delay = "1s"
bounce_queue_lifetime = "1d"
[transport.t]
process_limit = 5
delivery_time_limit = "1m"
destination_key = "recipient"
[[transport.t.destination]]
match = ["a.example"]
destination_rate_plugin = "shared"
[[rate_limit]]
key = "tenant"
rate = "1/s"
plugin = "shared"
[[response]]
code = ["4.7.1"]
action = "pool"
pool = "other"
[[destination]]
name = "a.example"
rate_reply = "550 no"
[[arrival]]
destination = "a.example"
rate = 1
[[event]]
at = "1m"
action = "flush"
destination = "a.example"
tenant = "a"
)");
  ASSERT_FALSE(wrong);
  const auto &text = wrong.error().text;
  for (const auto *line :
       {"s.toml:4: queue.in_flow_delay has no effect in a simulation",
        "s.toml:5: queue.bounce_queue_lifetime has no effect",
        "s.toml:8: transport.t.delivery_time_limit has no effect",
        "s.toml:9: transport.t.destination_key has no effect",
        "s.toml:12: transport.t.destination[1].destination_rate_plugin has no effect",
        "s.toml:16: rate_limit[1].plugin has no effect", "s.toml:19: response[1].action has no effect",
        "s.toml:20: response[1].pool has no effect", "destination[1].rate_reply is \"550 no\"",
        "event[1].action is \"flush\", expected", "event[1] is of nothing or of several"})
    EXPECT_THAT(text, HasSubstr(line));
  EXPECT_THAT(text, Not(HasSubstr("minimal_backoff_time")));
  EXPECT_THAT(text, Not(HasSubstr("process_limit")));
}

// What is told 421 has a back-off, and is told so again: a pace that was found spares both sides that.
TEST(Simulation, AReplyThatAsksForLessSlowsItsDestinationDown) {
  const auto with = example("asks-for-less");
  auto without = with;
  without.settings.responses.clear();
  const auto slowed = run(with), hasty = run(without);
  EXPECT_EQ(slowed.all.delivered, slowed.all.offered);
  EXPECT_GT(slowed.all.deferred, 0u);
  EXPECT_LT(slowed.all.deferred, hasty.all.deferred / 2);
}

// Over all transports.
TEST(Simulation, NoMoreIsUnderDeliveryThanTheActiveLimitsAllow) {
  const auto scenario = parse_scenario("active.toml", R"(
duration = "1m"
[queue]
qmgr_message_active_limit = 20
[transport.one]
[transport.two]
[[destination]]
name = "a#.example"
count = 50
transport = "one"
latency = "1s"
[[destination]]
name = "b#.example"
count = 50
transport = "two"
latency = "1s"
[[arrival]]
destination = "a#.example"
messages = 400
[[arrival]]
destination = "b#.example"
messages = 400
)");
  ASSERT_TRUE(scenario) << scenario.error().text;
  const auto bound = run(*scenario);
  EXPECT_EQ(bound.all.delivered, 800u);
  EXPECT_GE(bound.ended, 30 * kSecond);  // 800 seconds of work, twenty at once, give or take half of each
  auto free = *scenario;
  free.settings.queue.qmgr_message_active_limit = 20'000;
  EXPECT_LT(run(free).ended, 30 * kSecond);
  free.settings.queue.qmgr_message_recipient_limit = 20;
  EXPECT_GE(run(free).ended, 30 * kSecond);
  // A message for forty destinations is one of these all the same.
  free = *scenario;
  free.settings.queue.qmgr_message_active_limit = 3;
  for (auto &a : free.arrivals) a.messages = 1, a.recipients = 40;
  EXPECT_LT(run(free).ended, 30 * kSecond);
}

TEST(Simulation, AReplySuspendsItsDestination) {
  auto scenario = parse_scenario("suspend.toml", R"(
duration = "20m"
[transport.t]
[[response]]
code = ["451"]
action = "suspend"
time = "2m"
[[destination]]
name = "d.example"
error = 1.0
[[destination.phase]]
from = "5m"
error = 0
[[arrival]]
destination = "d.example"
rate = 2
)");
  ASSERT_TRUE(scenario) << scenario.error().text;
  const auto suspended = run(*scenario);
  scenario->settings.responses.clear();
  const auto tried = run(*scenario);
  EXPECT_EQ(suspended.all.delivered, suspended.all.offered);
  EXPECT_GT(suspended.all.deferred, 0u);
  EXPECT_LT(suspended.all.deferred, tried.all.deferred / 2);
}

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

TEST(Simulation, ASourcePoolsRateBindsItOverAllDestinations) {
  const auto scenario = parse_scenario("pool.toml", R"(
duration = "1m"
[transport.t]
[[rate_limit]]
key = "source_pool"
match = ["warm"]
rate = "5/s"
[[destination]]
name = "d#.example"
count = 10
latency = "10ms"
[[arrival]]
name = "warm"
destination = "d#.example"
source_pool = "warm"
messages = 200
[[arrival]]
name = "others"
destination = "d#.example"
messages = 200
)");
  ASSERT_TRUE(scenario) << scenario.error().text;
  const auto r = run(*scenario);
  EXPECT_GE(seconds(of(r.arrivals, "warm").delay.quantile(0.99)), 35);
  EXPECT_LE(seconds(of(r.arrivals, "others").delay.quantile(0.99)), 5);
}

TEST(Simulation, AWarmUpLimitsANewPoolAtEachProviderAndHoldsNothingUp) {
  constexpr std::uint64_t kProviders = 5, kBurst = 5;
  constexpr Nanos kDay = 86400 * kSecond;
  const std::vector<std::uint64_t> days{50, 100, 200, 400, 800, 1600, 3200};
  const auto scenario = example("warm-up");
  const auto r = run(scenario);
  const auto pool = std::find_if(r.pools.begin(), r.pools.end(), [](const auto &p) { return p.name == "new"; });
  ASSERT_NE(pool, r.pools.end());
  std::vector<std::uint64_t> from_new(9);
  for (const auto &step : r.steps)
    if (const auto i = static_cast<std::size_t>(pool - r.pools.begin()); i < step.by_pool.size())
      from_new[static_cast<std::size_t>((step.at - 1) / kDay)] += step.by_pool[i];
  for (std::size_t day = 0; day < days.size(); ++day)
    EXPECT_LE(from_new[day], kProviders * (days[day] + kBurst + 1)) << day;
  for (std::size_t day = 0; day < 5; ++day) EXPECT_GE(from_new[day], kProviders * days[day] * 9 / 10) << day;
  EXPECT_NEAR(static_cast<double>(from_new[7]), 0.2 * 86400 / 2, 500);  // warm: half of all
  EXPECT_EQ(r.all.delivered, r.all.offered);
  EXPECT_LT(seconds(r.all.delay.quantile(0.99)), 1);
  EXPECT_THAT(table(scenario, r), HasSubstr("by source pool"));
  EXPECT_THAT(csv(scenario, r), HasSubstr("\"delivered from new\""));
}

TEST(Simulation, TheSameSeedGivesTheSameRun) {
  auto scenario = example("fragile");
  scenario.duration = 2 * kMinute;
  const auto once = csv(scenario, run(scenario)), again = csv(scenario, run(scenario));
  EXPECT_EQ(once, again);
  scenario.seed = 2;
  EXPECT_NE(once, csv(scenario, run(scenario)));
}

TEST(Simulation, WritesATableALineAStepAndAPlot) {
  auto scenario = example("healthy");
  scenario.duration = kMinute;
  const auto report = run(scenario);
  EXPECT_THAT(table(scenario, report), HasSubstr("provider.example"));
  EXPECT_THAT(table(scenario, report), HasSubstr("no limit was exceeded"));
  const auto lines = csv(scenario, report);
  EXPECT_EQ(static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '\n')), report.steps.size() + 1);
  EXPECT_THAT(lines, HasSubstr("\"delivered d#.example\""));
  const auto plot = svg(scenario, report);
  EXPECT_TRUE(plot.starts_with("<svg "));
  EXPECT_THAT(plot, HasSubstr("<polyline"));
  EXPECT_TRUE(plot.ends_with("</svg>\n"));
}

// Three of a tenant for one of another, over all destinations: what he has at one that is his alone he does not have at
// the one that they share.
TEST(Simulation, FairnessIsSaidBetweenTenantsOfADestinationAndBetweenDestinationsOfATenant) {
  const auto scenario = parse_scenario("fair.toml", R"(
duration = "2m"
step = "10s"
drain = false
[[tenant]]
name = "three"
weight = 3
[transport.t]
initial_destination_concurrency = 4
destination_concurrency_limit = 4
[[destination]]
name = "both.example"
latency = "100ms"
spread = 0
[[destination]]
name = "one.example"
latency = "400ms"
spread = 0
[[arrival]]
destination = "both.example"
tenant = "three"
messages = 10000
[[arrival]]
destination = "both.example"
tenant = "single"
messages = 10000
[[arrival]]
destination = "one.example"
tenant = "three"
messages = 10000
)");
  ASSERT_TRUE(scenario) << scenario.error().text;
  const auto r = run(*scenario);
  const auto &both = of(r.destinations, "both.example"), &one = of(r.destinations, "one.example");
  ASSERT_TRUE(both.between_tenants.index());
  EXPECT_NEAR(*both.between_tenants.index(), 0.877, 0.01);  // 27.5/s and 12.5/s
  EXPECT_FALSE(both.between_destinations.index());          // it is one
  EXPECT_FALSE(one.between_tenants.index());
  ASSERT_TRUE(of(r.tenants, "three").between_destinations.index());
  EXPECT_NEAR(*of(r.tenants, "three").between_destinations.index(), 0.821, 0.01);  // 27.5/s and 10/s
  EXPECT_FALSE(of(r.tenants, "single").between_destinations.index());
  ASSERT_TRUE(r.all.between_tenants.index());
  EXPECT_NEAR(*r.all.between_tenants.index(), 0.8, 0.01);  // 3 : 1
  const auto text = table(*scenario, r);
  EXPECT_THAT(text, HasSubstr("Jain d Jain t\n"));
  EXPECT_THAT(text, Not(HasSubstr("1.000")));
  const auto lines = csv(*scenario, r);
  EXPECT_THAT(lines, HasSubstr("mean_delay,p50,p90,p99,\"delivered both.example\",\"delivered one.example\","
                               "\"delivered tenant three\",\"delivered tenant single\"\n"));
  const auto plot = svg(*scenario, r);
  EXPECT_THAT(plot, HasSubstr(">delay of what was delivered, seconds<"));
  EXPECT_THAT(plot, HasSubstr(">deliveries a second, by tenant<"));
}

TEST(Simulation, StepsSayWhatTheirTenantsAndDelaysWere) {
  auto scenario = example("hundred-tenants");
  scenario.duration = 6 * kMinute;
  const auto r = run(scenario);
  ASSERT_FALSE(r.steps.empty());
  for (const auto &step : r.steps) {
    std::uint64_t sum = 0;
    for (const auto n : step.by_tenant) sum += n;
    EXPECT_EQ(sum, step.delivered);
    EXPECT_LE(step.p50, step.p90);
    EXPECT_LE(step.p90, step.p99);
  }
  EXPECT_EQ(largest_tenants(r, 3).size(), 3u);
  EXPECT_EQ(r.tenants[largest_tenants(r, 3).front()].name, "abuser");
}

TEST(Simulation, HealthyMailIsDeliveredAsItComes) {
  auto scenario = example("healthy");
  scenario.duration = 5 * kMinute;
  const auto report = run(scenario);
  EXPECT_EQ(report.all.delivered + report.all.rejected, report.all.offered);
  EXPECT_LT(seconds(report.all.delay.quantile(0.9)), 1);
  EXPECT_EQ(report.all.suspended, 0u);
}

TEST(Simulation, ADeadAndASlowGiantCostTheOthersAtMostATwentieth) {
  auto with = example("dead-giant"), without = example("healthy-beside");
  with.duration = without.duration = 10 * kMinute;
  const auto a = run(with), b = run(without);
  const auto rate = static_cast<double>(of(a.destinations, "d#.example").delivered) /
                    static_cast<double>(of(b.destinations, "d#.example").delivered);
  EXPECT_GE(rate, 0.95);
  EXPECT_GT(of(b.destinations, "d#.example").waiting(), 10'000u);  // the transport is full all the time
}

TEST(Simulation, HalfTheMxHostsHangingTakeAFifthAtMost) {
  const auto r = run(example("half-mx-dead"));
  const auto before = delivered(r, 5 * kMinute, 10 * kMinute), after = delivered(r, 15 * kMinute, 20 * kMinute);
  EXPECT_GE(static_cast<double>(after), 0.8 * static_cast<double>(before));
}

// What the qshape document computes for Postfix: twenty at once, half of them losing thirty seconds.
TEST(Simulation, WithoutMemoryOfHostsThatHangThroughputFallsToAboutOneASecond) {
  auto scenario = example("half-mx-dead-no-memory");
  scenario.drain = false;
  const auto r = run(scenario);
  const auto after = delivered(r, 15 * kMinute, 25 * kMinute);
  EXPECT_GT(after, 600u);
  EXPECT_LT(after, 1200u);
  EXPECT_GT(delivered(r, 5 * kMinute, 10 * kMinute), 20'000u);
}

TEST(Simulation, AFragileDestinationDeliversMoreWithAHighCohortLimit) {
  const auto high = example("fragile");
  auto low = high;
  low.settings.transports.front().destination_concurrency_failed_cohort_limit = 1;
  const auto tolerant = run(high), strict = run(low);
  EXPECT_EQ(tolerant.all.suspended, 0u);
  EXPECT_GT(strict.all.suspended, 0u);
  EXPECT_GT(tolerant.all.delivered, tolerant.all.offered * 98 / 100);
  EXPECT_LT(strict.all.delivered, strict.all.offered / 2);
}

// As for versions of Postfix before 2.5: rounds of 2,000 failures under 20 processes.
TEST(Simulation, AFragileDestinationDeliversMoreWithAVeryLargeConcurrencyLimitToo) {
  auto scenario = example("fragile");
  auto &fragile = scenario.settings.transports.front();
  fragile.destination_concurrency_failed_cohort_limit = 1;
  fragile.initial_destination_concurrency = fragile.destination_concurrency_limit = 2000;
  ASSERT_EQ(fragile.process_limit, 20u);
  const auto r = run(scenario);
  EXPECT_EQ(r.all.suspended, 0u);
  EXPECT_GT(r.all.delivered, r.all.offered * 98 / 100);
}

TEST(Simulation, ASlowTransportKeepsToItsDelay) {
  auto scenario = example("slow");
  scenario.duration = 10 * kMinute;
  const auto r = run(scenario);
  EXPECT_EQ(r.all.delivered, r.all.offered);
  EXPECT_EQ(r.all.deferred, 0u);  // it never comes too fast
  scenario.settings.transports.front().destination_rate_delay = 0;
  EXPECT_GT(run(scenario).all.deferred, r.all.offered / 10);
}

TEST(Simulation, AListStormDoesNotDelaySingleMail) {
  const auto r = run(example("list-storm"));
  EXPECT_LT(seconds(of(r.arrivals, "single, provider").delay.quantile(0.99)), 3);
  EXPECT_LT(seconds(of(r.arrivals, "single, others").delay.quantile(0.99)), 3);
  EXPECT_EQ(r.all.delivered, r.all.offered);
}

TEST(Simulation, BouncesOfADictionaryAttackDoNotDelayMail) {
  auto scenario = example("dictionary-attack");
  scenario.duration = 40 * kMinute;
  const auto r = run(scenario);
  const auto &mail = of(r.tenants, "mail");
  EXPECT_LT(seconds(mail.delay.quantile(0.99)), 2);
  EXPECT_GT(of(r.tenants, "bounces").waiting(), 10'000u);
}

// How much more than on average there is in the fullest minute, while the giant's backlog comes back.
template <class F>
double peak_to_mean(const Report &r, F of) {
  std::uint64_t most = 0, all = 0, minutes = 0;
  for (const auto &step : r.steps) {
    if (step.at <= 150 * kMinute || step.at > 240 * kMinute) continue;
    most = std::max<std::uint64_t>(most, of(step));
    all += of(step);
    ++minutes;
  }
  EXPECT_GT(all, 0u);
  return static_cast<double>(most * minutes) / static_cast<double>(all);
}

TEST(Simulation, ABacklogReturnsSpreadOutAfterAnOutage) {
  const auto with = example("mass-return"), without = example("mass-return-without-jitter");
  ASSERT_EQ(with.step, kMinute);
  ASSERT_EQ(without.step, kMinute);
  ASSERT_EQ(without.settings.queue.backoff_jitter, 0.0);
  const auto spread = run(with), waves = run(without);
  const auto to_giant = [](const Step &step) -> std::uint64_t { return step.by_destination[0]; };
  constexpr double kBound = 3;
  EXPECT_LT(peak_to_mean(spread, to_giant), kBound);
  EXPECT_GT(peak_to_mean(waves, to_giant), kBound);
  EXPECT_LT(peak_to_mean(spread, to_giant), 0.7 * peak_to_mean(waves, to_giant));
  // What falls due is not bounded by what the giant takes at once: all of the mailing does in one minute.
  const auto due = [](const Step &step) { return step.due; };
  constexpr double kBoundOfDue = 6;
  EXPECT_LT(peak_to_mean(spread, due), kBoundOfDue);
  EXPECT_GT(peak_to_mean(waves, due), kBoundOfDue);
  EXPECT_EQ(spread.all.delivered, spread.all.offered);
  EXPECT_LT(seconds(of(spread.destinations, "d#.example").delay.quantile(0.99)), 2);
}

TEST(Simulation, ASiteDoesNotOverrunAProviderThatItsDomainsWould) {
  auto scenario = example("one-provider");
  scenario.drain = false;
  const auto together = run(scenario);
  scenario.settings.transports.front().destination_key = config::DestinationKey::Nexthop;
  const auto apart = run(scenario);
  EXPECT_EQ(together.all.deferred, 0u);
  EXPECT_EQ(of(together.destinations, "customer#.example").waiting(), 0u);
  EXPECT_GT(apart.all.deferred + apart.all.suspended, 1000u);
  EXPECT_LT(seconds(of(together.destinations, "d#.example").delay.quantile(0.99)), 2);
}

// The large scenarios are the benchmark's; a part of one shows that they are what they say.
TEST(Simulation, WhatWaitsFromTheBeginningIsDeliveredAsFastAsTheSessionsLetIt) {
  auto scenario = example("million-waiting");
  scenario.destinations.front().count = 2000;
  scenario.arrivals.front().messages = 50'000;
  const auto r = run(scenario);
  EXPECT_EQ(r.all.delivered, 50'000u);
  EXPECT_NEAR(static_cast<double>(r.ended) / kSecond, 50'000.0 / 4000, 4);  // 2000 at once, half a second each
}

TEST(Simulation, AnAbuserDoesNotDelayAHundredTenants) {
  auto scenario = example("hundred-tenants");
  scenario.duration = 10 * kMinute;
  const auto r = run(scenario);
  std::uint64_t worst = 0;
  for (const auto &t : r.tenants)
    if (t.name != "abuser") worst = std::max(worst, t.delay.quantile(0.99));
  EXPECT_LT(seconds(worst), 2);
  EXPECT_GT(of(r.tenants, "abuser").delivered, 10'000u);
}

// Random limits, next hops and mail: whatever they are, no limit is exceeded, nothing that could go waits, nothing is
// lost, and all of it is delivered once its next hop lets it.
class AnyScenario : public ::testing::TestWithParam<unsigned> {};

Scenario random_scenario(unsigned seed) {
  std::mt19937 random{seed};
  const auto pick = [&](std::uint32_t n) { return std::uniform_int_distribution<std::uint32_t>{0, n - 1}(random); };
  const auto one_of = [&](auto... x) {
    const std::common_type_t<decltype(x)...> all[] = {x...};
    return all[pick(sizeof...(x))];
  };
  Scenario s;
  s.name = "random " + std::to_string(seed);
  s.seed = seed;
  s.duration = 120 * kSecond;
  s.step = 20 * kSecond;
  s.settings.queue.minimal_backoff_time = 10 * kSecond;
  s.settings.queue.maximal_backoff_time = 60 * kSecond;
  s.settings.queue.maximal_queue_lifetime = 30 * 86400 * kSecond;
  s.settings.queue.queue_run_delay = one_of(Nanos{0}, Nanos{0}, 30 * kSecond);
  const auto destination = [&](config::DestinationLimits &d) {
    d.destination_concurrency_limit = one_of(0u, 1u, 2u, 5u, 20u);
    d.initial_destination_concurrency =
        d.destination_concurrency_limit == 0 ? 3 : std::min(5u, d.destination_concurrency_limit);
    d.destination_concurrency_failed_cohort_limit = one_of(0u, 1u, 3u);
    d.destination_concurrency_positive_feedback = one_of("1", "1/concurrency", "0.3");
    d.destination_concurrency_negative_feedback = one_of("1", "1/sqrt_concurrency", "0");
    d.destination_recipient_limit = one_of(1u, 3u, 50u);
    d.destination_rate_delay = one_of(Nanos{0}, Nanos{0}, 100 * kMillisecond);
    d.destination_rate_limit = one_of("", "", "5/s", "90/m");
    d.destination_rate_burst = one_of(1u, 4u);
  };
  const auto transports = 1 + pick(3);
  for (std::uint32_t i = 0; i < transports; ++i) {
    auto &t = s.settings.transports.emplace_back();
    t.name = "t" + std::to_string(i);
    t.process_limit = one_of(1u, 4u, 20u, 100u);
    t.transport_rate_delay = one_of(Nanos{0}, Nanos{0}, Nanos{0}, 20 * kMillisecond);
    t.transport_rate_limit = one_of("", "", "20/s");
    t.transport_rate_burst = one_of(1u, 10u);
    if (t.transport_rate_delay > 0) t.transport_rate_limit.clear();
    t.delivery_slot_cost = one_of(0u, 2u, 5u);
    if (pick(3) == 0) t.destination_key = config::DestinationKey::Site;
    destination(t);
    if (pick(2) == 0) {
      auto &rule = t.destinations.emplace_back();
      rule.match = {"d0." + std::to_string(i) + ".example", "d1." + std::to_string(i) + ".example"};
      rule.site = one_of("", "site.example");
      if (pick(3) == 0) rule.mx = {".p.example"};
      destination(rule.limits);
    }
  }
  for (const auto *tenant : {"a", "b"}) s.settings.tenants.push_back({tenant, 1 + pick(4)});
  if (pick(2) == 0) s.settings.rate_limits.push_back({config::RateKey::Tenant, {"a"}, "3/s", 1 + pick(3)});
  if (pick(2) == 0) s.settings.rate_limits.push_back({config::RateKey::Sender, {}, "2/s", 1 + pick(3)});
  if (pick(3) == 0) s.settings.rate_limits.push_back({config::RateKey::Campaign, {}, "10/s", 1 + pick(3)});
  if (pick(3) == 0) s.settings.rate_limits.push_back({config::RateKey::SourcePool, {"p"}, "4/s", 1 + pick(3)});
  if (pick(2) == 0)
    s.settings.source_groups.push_back(
        {"g", {"p=" + std::to_string(1 + pick(5)), "q", "r=" + std::to_string(1 + pick(5))}});
  for (const auto *pool : {"p", "q", "r"}) {
    if (pick(2) == 0) continue;
    auto &rule = s.settings.rate_limits.emplace_back();
    rule.key = config::RateKey::SourcePoolDestination;
    rule.match = {pool};
    rule.rate = one_of("", "2/s", "30/m");
    rule.burst = 1 + pick(3);
    rule.concurrency = one_of(0u, 1u, 2u);
    if (pick(2) == 0) rule.destination = {"d0.0.example", "site.example", ".n1.example"};
    if (pick(3) == 0) {  // whose second day begins in the middle
      rule.warm_up = {"40/m", "3/s"};
      rule.warm_up_from = "2026-11-30";
      s.date = *config::parse_date("2026-12-01") - s.duration / 2;
    }
  }
  for (std::uint32_t i = 0; i < 4; ++i) {
    auto &d = s.destinations.emplace_back();
    const auto transport = pick(transports);
    d.name = "d#." + std::to_string(transport) + (i > 0 ? ".n" + std::to_string(i) : "") + ".example";
    d.count = 1 + pick(4);
    d.transport = "t" + std::to_string(transport);
    if (pick(3) == 0) d.mx = one_of("mx.p.example", "mx.p.example,mx.q.example");
    d.connect_timeout = 5 * kSecond;
    d.host_memory = one_of(Nanos{0}, 20 * kSecond);
    auto &b = d.phases.emplace_back();
    b.latency = one_of(kMillisecond, 300 * kMillisecond, 3 * kSecond);
    b.error = one_of(0.0, 0.2);
    b.refuse = one_of(0.0, 0.2);
    b.reject = one_of(0.0, 0.1);
    b.connections = one_of(0u, 0u, 2u);
    b.rate = one_of(0.0, 0.0, 5.0);
    b.hosts = 2;
    if (pick(3) == 0) {
      auto bad = b;
      bad.from = 20 * kSecond;
      bad.hanging = 1 + pick(2);
      d.phases.push_back(bad);
      auto good = d.phases.front();
      good.from = 80 * kSecond;
      d.phases.push_back(good);
    }
    auto &a = s.arrivals.emplace_back();
    a.destination = d.name;
    a.tenant = one_of("", "a", "b");
    a.sender = one_of("", "s@example.com", "t@example.com");
    a.campaign = one_of("", "c");
    a.source_pool = one_of("", "p", "q", "g", "g");
    a.priority = one_of(-1, 0, 7);
    a.to = s.duration;
    if (pick(3) == 0) {
      a.messages = 1 + pick(3);
      a.recipients = 1 + pick(120);
    } else {
      a.rate = one_of(0.5, 2.0);
    }
  }
  s.settings.queue.qmgr_message_active_limit = one_of(3u, 15u, 20'000u, 20'000u);
  s.settings.queue.qmgr_message_recipient_limit = one_of(10u, 20'000u, 20'000u);
  for (const auto action :
       {config::ResponseAction::Suspend, config::ResponseAction::Slow, config::ResponseAction::Concurrency}) {
    if (pick(3) != 0) continue;
    auto &rule = s.settings.responses.emplace_back();
    rule.code = {one_of("451", "4.7.1", "4.4.1")};
    rule.threshold = 1 + pick(3);
    rule.action = action;
    rule.time = 20 * kSecond;
  }
  return s;
}

TEST_P(AnyScenario, KeepsItsLimitsAndLosesNothing) {
  const auto scenario = random_scenario(GetParam());
  Simulation simulation{scenario};
  simulation.check_all();
  const auto r = simulation.run();
  EXPECT_THAT(r.violations, IsEmpty());
  EXPECT_EQ(r.all.waiting(), 0u) << table(scenario, r);
  EXPECT_GT(r.all.offered, 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, AnyScenario, ::testing::Range(1u, 61u));

}  // namespace
}  // namespace mansio::cli::simulate
