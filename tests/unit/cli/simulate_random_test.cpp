// What must hold in any simulation, in random ones.
#include <algorithm>
#include <random>

#include "kernel/config/rate.hpp"
#include "tests/unit/cli/simulations.hpp"

namespace mansio::cli::simulate {
namespace {

using ::testing::IsEmpty;

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

// What operators do meanwhile, and transports whose processes go; all of it is over before the mail ends.
void add_orders(Scenario &s, unsigned seed) {
  using Action = EventSpec::Action;
  std::mt19937 random{seed};
  const auto pick = [&](std::uint32_t n) { return std::uniform_int_distribution<std::uint32_t>{0, n - 1}(random); };
  const auto any_time = [&] { return (5 + Nanos{pick(100)}) * kSecond + pick(1000) * kMillisecond; };
  const auto any_row = [&] { return s.destinations[pick(static_cast<std::uint32_t>(s.destinations.size()))].name; };
  const auto one_of_row = [&] {
    auto name = any_row();
    return name.replace(name.find('#'), 1, std::to_string(pick(3)));
  };
  const auto whose = [&](EventSpec &e) {
    if (pick(3) == 0) e.destination = pick(2) == 0 ? any_row() : one_of_row();
    if (pick(3) == 0) e.tenant = pick(2) == 0 ? "a" : "b";
    if (pick(4) == 0) e.source_pool = pick(2) == 0 ? "p" : "g";
    if (pick(4) == 0) e.transport = s.settings.transports.front().name;
  };
  for (int n = 0; n < 4; ++n) {
    auto &e = s.events.emplace_back();
    e.at = any_time();
    e.action = Action::Flush;
    e.paced = pick(4) != 0;
    whose(e);
  }
  for (int n = 0; n < 2; ++n) {
    auto &hold = s.events.emplace_back();
    hold.at = any_time();
    hold.action = Action::Hold;
    whose(hold);
    auto &rebind = s.events.emplace_back();
    rebind.at = any_time();
    rebind.action = Action::Rebind;
    rebind.pool = pick(2) == 0 ? "q" : "g";
    whose(rebind);
    auto &suspend = s.events.emplace_back();
    suspend.at = any_time();
    suspend.time = pick(2) == 0 ? 20 * kSecond : 0;
    const auto what = pick(4);
    if (what == 0) suspend.tenant = "a";
    if (what == 1) suspend.destination = one_of_row();
    if (what >= 2) suspend.source_pool = "p";
    if (what == 3) suspend.destination = one_of_row();
    auto resume = suspend;
    resume.at += 30 * kSecond;
    resume.action = Action::Resume;
    s.events.push_back(resume);
  }
  s.events.push_back({.at = 115 * kSecond, .action = Action::Release});
  auto &unthrottle = s.events.emplace_back();
  unthrottle.at = any_time();
  unthrottle.action = Action::Unthrottle;
  unthrottle.destination = any_row();
  for (const auto &[at, action] : {std::pair{40 * kSecond, Action::Stop}, std::pair{70 * kSecond, Action::Start}})
    s.events.push_back({.at = at, .action = action, .transport = s.settings.transports.back().name});
  s.settings.transports.back().transport_retry_time = pick(2) == 0 ? 10 * kSecond : 0;
  std::stable_sort(s.events.begin(), s.events.end(), [](const auto &a, const auto &b) { return a.at < b.at; });
  // And a reply that takes another source pool, where the one that mail leaves from is blocked for a time.
  for (auto &d : s.destinations) {
    d.by_pool = pick(2) == 0;
    if (d.phases.size() > 1) d.phases[1].blocks = "p";
  }
  auto &rule = s.settings.responses.emplace_back();
  rule.code = {"4.3.0"};
  rule.action = config::ResponseAction::Pool;
  rule.pool = pick(2) == 0 ? "q" : "g";
  rule.threshold = 1 + pick(2);
  rule.time = 15 * kSecond;
}

// Plugins that own some of the limits: they answer in time, but for when they fail, and give at least something.
void add_owners(Scenario &s, unsigned seed) {
  std::mt19937 random{seed};
  const auto pick = [&](std::uint32_t n) { return std::uniform_int_distribution<std::uint32_t>{0, n - 1}(random); };
  const std::string names[] = {"one", "two"};
  for (const auto &name : names) {
    auto &rate = s.settings.rates.emplace_back();
    rate.name = name;
    rate.budget.on_failure = pick(2) == 0 ? config::OnFailure::Skip : config::OnFailure::Defer;
    auto &owner = s.rate_owners.emplace_back();
    owner.name = name;
    owner.latency = (1 + Nanos{pick(400)}) * kMillisecond;
    owner.lease_time = (2 + Nanos{pick(10)}) * kSecond;
    owner.hold_time = (5 + Nanos{pick(60)}) * kSecond;
    if (pick(2) == 0) owner.failures.push_back({20 * kSecond, (30 + Nanos{pick(60)}) * kSecond, pick(2) == 0});
    if (pick(2) == 0)
      owner.limits.push_back({.to = 100 * kSecond, .rate = {(1 + Nanos{pick(10)}) * 100 * kMillisecond, 1 + pick(3)}});
    if (pick(2) == 0) owner.limits.push_back({.from = 10 * kSecond, .to = 80 * kSecond, .places = 1 + pick(3)});
  }
  const auto own = [&](std::string &plugin) {
    if (pick(2) == 0) plugin = names[pick(2)];
  };
  const auto of_destination = [&](config::DestinationLimits &d) {
    if (!d.destination_rate_limit.empty()) own(d.destination_rate_plugin);
    if (d.destination_rate_delay > 0) own(d.destination_rate_delay_plugin);
    if (d.destination_concurrency_limit > 0) own(d.destination_concurrency_plugin);
  };
  for (auto &t : s.settings.transports) {
    of_destination(t);
    for (auto &rule : t.destinations) of_destination(rule.limits);
    own(t.process_limit_plugin);
    if (t.transport_rate_delay > 0) own(t.transport_rate_delay_plugin);
    if (!t.transport_rate_limit.empty()) own(t.transport_rate_plugin);
  }
  for (auto &rule : s.settings.rate_limits)
    if (!rule.rate.empty()) own(rule.plugin);
}

void keeps_its_limits_and_loses_nothing(const Scenario &scenario) {
  Simulation simulation{scenario};
  simulation.check_all();
  const auto r = simulation.run();
  EXPECT_THAT(r.violations, IsEmpty());
  EXPECT_EQ(r.all.waiting(), 0u) << table(scenario, r);
  EXPECT_GT(r.all.offered, 0u);
}

TEST_P(AnyScenario, KeepsItsLimitsAndLosesNothing) { keeps_its_limits_and_loses_nothing(random_scenario(GetParam())); }
INSTANTIATE_TEST_SUITE_P(Seeds, AnyScenario, ::testing::Range(1u, 61u));

class AnyScenarioWithOrders : public AnyScenario {};
TEST_P(AnyScenarioWithOrders, KeepsItsLimitsAndLosesNothing) {
  auto scenario = random_scenario(GetParam());
  add_orders(scenario, GetParam());
  keeps_its_limits_and_loses_nothing(scenario);
}
INSTANTIATE_TEST_SUITE_P(Seeds, AnyScenarioWithOrders, ::testing::Range(1u, 31u));

// Nothing begins without what these give.
class AnyScenarioWithOwners : public AnyScenario {};
TEST_P(AnyScenarioWithOwners, KeepsItsLimitsAndLosesNothing) {
  auto scenario = random_scenario(GetParam());
  add_owners(scenario, GetParam());
  keeps_its_limits_and_loses_nothing(scenario);
}
INSTANTIATE_TEST_SUITE_P(Seeds, AnyScenarioWithOwners, ::testing::Range(1u, 21u));

class AnyScenarioWithOrdersAndOwners : public AnyScenario {};
TEST_P(AnyScenarioWithOrdersAndOwners, KeepsItsLimitsAndLosesNothing) {
  auto scenario = random_scenario(GetParam());
  add_orders(scenario, GetParam());
  add_owners(scenario, GetParam());
  keeps_its_limits_and_loses_nothing(scenario);
}
INSTANTIATE_TEST_SUITE_P(Seeds, AnyScenarioWithOrdersAndOwners, ::testing::Range(21u, 41u));

}  // namespace
}  // namespace mansio::cli::simulate
