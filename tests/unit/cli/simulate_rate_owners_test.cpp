// Limits that a plugin owns, in the simulator.
#include "tests/unit/cli/simulations.hpp"

namespace mansio::cli::simulate {
namespace {

using ::testing::HasSubstr;

// Twenty deliveries at once of a fifth of a second each are a hundred a second, five are twenty-five.
TEST(Simulation, ALimitThatAPluginKeepsIsWhatThatGives) {
  auto scenario = example("shared-limit");
  const auto r = run(scenario);
  const auto with_five = delivered(r, 12 * kMinute, 20 * kMinute);
  EXPECT_LE(with_five, 8u * 60 * 26);
  EXPECT_GE(with_five, 8u * 60 * 20);
  EXPECT_EQ(delivered(r, 26 * kMinute + 30 * kSecond, 30 * kMinute), 0u);
  EXPECT_EQ(r.all.delivered, r.all.offered);
  EXPECT_LT(seconds(of(r.destinations, "d#.example").delay.quantile(0.99)), 2);
  ASSERT_EQ(r.rate_owners.size(), 1u);
  EXPECT_GT(r.rate_owners.front().questions, 0u);
  EXPECT_GT(r.rate_owners.front().failures, 0u);
  EXPECT_THAT(table(scenario, r), HasSubstr("by owner of limits"));
  scenario.settings.rates.front().budget.on_failure = config::OnFailure::Skip;
  EXPECT_GT(delivered(run(scenario), 26 * kMinute + 30 * kSecond, 30 * kMinute), 7000u);
}

// By permits of its owner, whose rate is another than what is configured for one of two tenants.
TEST(Simulation, ARateThatAPluginOwnsIsOfEachByItself) {
  const auto scenario = parse_scenario("rates.toml", R"(
duration = "5m"
drain = false
[rate.shared]
latency = "10ms"
[[rate.shared.limit]]
name = "tenant_rate_limit"
key = "small"
rate = "2/s"
[transport.t]
[[rate_limit]]
key = "tenant"
rate = "10/s"
burst = 5
plugin = "shared"
[[destination]]
name = "d#.example"
count = 20
latency = "50ms"
[[arrival]]
destination = "d#.example"
tenant = "large"
messages = 10000
[[arrival]]
destination = "d#.example"
tenant = "small"
messages = 10000
)");
  ASSERT_TRUE(scenario) << scenario.error().text;
  const auto r = run(*scenario);
  EXPECT_NEAR(static_cast<double>(of(r.tenants, "large").delivered), 3000, 60);
  EXPECT_NEAR(static_cast<double>(of(r.tenants, "small").delivered), 600, 30);
  ASSERT_EQ(r.rate_owners.size(), 1u);
  EXPECT_GE(r.rate_owners.front().permits, r.all.delivered);
}

// An answer that comes after the time limit is none.
TEST(Simulation, AnOwnerThatIsTooSlowFails) {
  const auto text = [](const std::string &on_failure) {
    return "duration = \"2m\"\ndrain = false\n[rate.slow]\nlatency = \"3s\"\nspread = 0\ntime_limit = \"1s\"\n"
           "on_failure = \"" +
           on_failure +
           "\"\n[transport.t]\ndestination_rate_limit = \"10/s\"\ndestination_rate_plugin = \"slow\"\n"
           "[[destination]]\nname = \"d.example\"\nlatency = \"50ms\"\n"
           "[[arrival]]\ndestination = \"d.example\"\nmessages = 5000\n";
  };
  const auto waits = parse_scenario("slow.toml", text("defer")), goes = parse_scenario("slow.toml", text("skip"));
  ASSERT_TRUE(waits) << waits.error().text;
  ASSERT_TRUE(goes) << goes.error().text;
  EXPECT_EQ(run(*waits).all.delivered, 0u);
  EXPECT_NEAR(static_cast<double>(run(*goes).all.delivered), 1190, 30);
}

}  // namespace
}  // namespace mansio::cli::simulate
