// Scenarios of the simulator: what they may say, and what is said of one that is wrong.
#include <filesystem>

#include "tests/unit/cli/simulations.hpp"

namespace mansio::cli::simulate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

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
[rate.shared]
plugin = "rate-redis"
latency = "1ms"
[[destination]]
name = "a.example"
rate_reply = "550 no"
[[arrival]]
destination = "a.example"
rate = 1
)");
  ASSERT_FALSE(wrong);
  const auto &text = wrong.error().text;
  for (const auto *line :
       {"s.toml:4: queue.in_flow_delay has no effect in a simulation",
        "s.toml:5: queue.bounce_queue_lifetime has no effect",
        "s.toml:8: transport.t.delivery_time_limit has no effect",
        "s.toml:9: transport.t.destination_key has no effect", "s.toml:11: rate.shared.plugin is not an option here",
        "destination[1].rate_reply is \"550 no\""})
    EXPECT_THAT(text, HasSubstr(line));
  EXPECT_THAT(text, Not(HasSubstr("minimal_backoff_time")));
  EXPECT_THAT(text, Not(HasSubstr("process_limit")));
  EXPECT_THAT(text, Not(HasSubstr("latency")));
}

TEST(Scenario, HasDefaultsOfAllTransports) {
  const auto s = parse_scenario("s.toml", R"(
default_process_limit = 7
initial_destination_concurrency = 2
[transport.t]
[[destination]]
name = "a.example"
[[arrival]]
destination = "a.example"
rate = 1
)");
  ASSERT_TRUE(s) << s.error().text;
  EXPECT_EQ(s->settings.transports.front().process_limit, 7u);
  EXPECT_EQ(s->settings.transports.front().initial_destination_concurrency, 2u);
  EXPECT_THAT(parse_scenario("s.toml", "default_spool = \"/x\"").error().text, HasSubstr("s.toml:1: default_spool"));
  EXPECT_THAT(parse_scenario("s.toml", "spool = \"/x\"").error().text,
              HasSubstr("s.toml:1: spool is not an option here"));
}

// As `mansio check` does.
TEST(Scenario, RefusesLimitsThatCannotBe) {
  const auto wrong = parse_scenario("s.toml", R"(
[rate.shared]
on_failure = "hold"
lease_time = "2h"
[[rate.shared.limit]]
key = "a"
[[rate.shared.failure]]
from = "2m"
to = "1m"
[transport.t]
destination_rate_plugin = "shared"
process_limit_plugin = "shraed"
initial_destination_concurrency = 9
destination_concurrency_limit = 3
[[rate_limit]]
key = "tenant"
rate = "1/s"
plugin = "nobody"
[[response]]
code = ["4.7.1"]
action = "pool"
[[source_group]]
name = "g"
[[destination]]
name = "a.example"
[[arrival]]
destination = "a.example"
rate = 1
)");
  ASSERT_FALSE(wrong);
  const auto &text = wrong.error().text;
  for (const auto *line :
       {"s.toml:3: rate.shared.on_failure is \"hold\"",
        "s.toml:4: rate.shared.lease_time is too short or too long, expected 1ms to 1h",
        "rate.shared.limit[1] has neither rate nor places", "rate.shared.failure[1] ends before it begins",
        "s.toml:11: transport.t.destination_rate_plugin stands without destination_rate_limit",
        "s.toml:12: transport.t.process_limit_plugin names \"shraed\", but there is no [rate.shraed]",
        "s.toml:13: transport.t.initial_destination_concurrency is 9", "rate_limit[1].plugin names \"nobody\"",
        "response[1] has action \"pool\" or a pool without the other", "source_group[1] has no pools"})
    EXPECT_THAT(text, HasSubstr(line));
}

TEST(Scenario, SaysWhatIsWrongWithAnOrder) {
  const auto problems = [](const std::string &event) {
    const auto s = parse_scenario("s.toml",
                                  "[transport.t]\n[[destination]]\nname = \"a.example\"\n[[arrival]]\n"
                                  "destination = \"a.example\"\nrate = 1\n[[event]]\nat = \"1m\"\n" +
                                      event);
    return s ? std::string{} : s.error().text;
  };
  EXPECT_THAT(problems("action = \"erase\""), HasSubstr("event[1].action is \"erase\", expected one of"));
  EXPECT_THAT(problems("action = \"suspend\""), HasSubstr("event[1] is of nothing or of several"));
  EXPECT_THAT(problems("action = \"suspend\"\ndestination = \"a.example\"\ntenant = \"a\""),
              HasSubstr("is of nothing or of several"));
  EXPECT_THAT(problems("action = \"suspend\"\ndestination = \"d#.example\""), HasSubstr("is of a row"));
  EXPECT_THAT(problems("action = \"suspend\"\ntenant = \"a\"\npaced = false"),
              HasSubstr("event[1].paced is not an option here"));
  EXPECT_THAT(problems("action = \"flush\"\nfor = \"1m\""), HasSubstr("event[1].for is not an option here"));
  EXPECT_THAT(problems("action = \"flush\"\ntransport = \"x\""), HasSubstr("there is no such [transport.NAME]"));
  EXPECT_THAT(problems("action = \"rebind\"\ntenant = \"a\""), HasSubstr("has no pool"));
  EXPECT_THAT(problems("action = \"unthrottle\""), HasSubstr("is not of a destination alone"));
  EXPECT_THAT(problems("action = \"stop\"\ntransport = \"t\"\ntenant = \"a\""),
              HasSubstr("is not of a transport alone"));
  for (const auto *right :
       {"action = \"suspend\"\ndestination = \"a.example\"\nsource_pool = \"p\"\nfor = \"5m\"",
        "action = \"resume\"\ncampaign = \"c\"", "action = \"flush\"", "action = \"flush\"\npaced = false",
        "action = \"hold\"\ntenant = \"a\"\ndestination = \"a.example\"", "action = \"release\"",
        "action = \"rebind\"\nsource_pool = \"p\"\npool = \"q\"",
        "action = \"unthrottle\"\ndestination = \"a.example\"", "action = \"stop\"\ntransport = \"t\"",
        "action = \"start\"\ntransport = \"t\""})
    EXPECT_EQ(problems(right), "") << right;
}

}  // namespace
}  // namespace mansio::cli::simulate
