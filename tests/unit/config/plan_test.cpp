// What the supervisor derives from Settings without knowing more of them: processes, listeners, and the descriptors
// they need.
#include "kernel/config/plan.hpp"

#include <gmock/gmock.h>

#include "kernel/base/codec.hpp"
#include "tests/unit/config/memory_files.hpp"

namespace mansio::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Plan plan_of(const std::string &text) {
  const auto parsed = parse_text(text);
  EXPECT_THAT(all(parsed), IsEmpty());
  return make_plan(parsed.settings);
}

constexpr auto kText = R"(
spool = "/s"
ingress_processes = 3
stop_timeout = 9
drain_timeout = 99
[smtpd]
connection_limit = 100
tls_cert_file = "/c"
tls_key_file = "/k"
[queue]
bounce_template_file = "/b"
[listener.a]
listen = ["*:25", "[::1]:26"]
[listener.b]
listen = ["127.0.0.1:27"]
connection_limit = 5000
[transport.x]
plugin = "transport-smtp"
process_limit = 10
[[route]]
transport = "x"
)";

TEST(Plan, HoldsWhatTheSupervisorNeeds) {
  const auto plan = plan_of(kText);
  EXPECT_EQ(plan.spool, "/s");
  EXPECT_EQ(plan.user, "mansio");
  EXPECT_EQ(plan.ingress_processes, 3u);
  EXPECT_EQ(plan.stop_timeout, 9 * kSecond);
  EXPECT_EQ(plan.drain_timeout, 99 * kSecond);
  ASSERT_EQ(plan.listeners.size(), 2u);
  EXPECT_THAT(plan.listeners[0].addresses,
              ElementsAre(PlanAddress{"0.0.0.0", 25}, PlanAddress{"::", 25}, PlanAddress{"::1", 26}));
  EXPECT_EQ(to_string(plan.listeners[0].addresses[2]), "[::1]:26");
  EXPECT_EQ(to_string(plan.listeners[1].addresses[0]), "127.0.0.1:27");
  EXPECT_THAT(plan.files, ElementsAre("/b", "/c", "/k"));
  ASSERT_EQ(plan.transports.size(), 1u);
  EXPECT_EQ(plan.transports[0].plugin, "transport-smtp");
}

TEST(Plan, NamesThePluginsWhoseCodeCanEndProcessesWithOtherWork) {
  const auto plan = plan_of(std::string{kText} + R"(
[lookup.people]
plugin = "lookup-file"
[lookup.apart]
plugin = "lookup-file"
isolation = "process"
[lookup.both]
unionmap = ["people", "apart"]
[filter.spam]
plugin = "filter-x"
breaker_deaths = 2
breaker_window = "3s"
breaker_time = "4s"
[policy.grey]
plugin = "policy-x"
[auth.users]
plugin = "auth-x"
)");
  std::vector<std::string> names;
  for (const auto &guest : plan.guests) names.push_back(guest.name);
  EXPECT_THAT(names, ElementsAre("lookup people", "filter spam", "policy grey", "auth users"));
  EXPECT_EQ(plan.guests[1], (PlanGuest{"filter spam", 2, 3 * kSecond, 4 * kSecond}));
}

TEST(Plan, CountsDescriptorsOfTheProcessThatNeedsMost) {
  const auto plan = plan_of(kText);
  EXPECT_EQ(plan.ingress_descriptors, 64u + 4u + 2u * 5000u);
  EXPECT_EQ(plan.transports[0].descriptors, 64u + 40u);
  EXPECT_EQ(plan.descriptors(), plan.ingress_descriptors);
  EXPECT_EQ(plan.largest(), "ingress (connection_limit = 5000)");
}

TEST(Plan, CountsADescriptorMoreWhereADeliveryMayHaveAHeaderOfItsOwn) {
  const auto plan = plan_of(kText + std::string{"[lookup.g]\nplugin = \"lookup-a\"\n[transport.y]\n"
                                                "plugin = \"transport-smtp\"\nprocess_limit = 5000\n"
                                                "smtp_generic_maps = [\"g\"]\n"});
  ASSERT_EQ(plan.transports.size(), 2u);
  EXPECT_EQ(plan.transports[1].descriptors, 64u + 5u * 5000u);
  EXPECT_EQ(plan.largest(), "egress of transport.y (process_limit = 5000)");
}

TEST(Plan, CountsProcessesAndTheirThreadsOfTwoGenerations) {
  const auto plan = plan_of(kText);
  const auto processes =
      2 * (plan.ingress_processes + 1 + 1) + 3;  // a transport, the router; queue, control, supervisor
  EXPECT_EQ(plan.processes, processes);
  EXPECT_EQ(plan.threads, 4 * processes + 2 * 16);  // those of its plugin
  const auto more = plan_of(kText + std::string{"[lookup.here]\nplugin = \"lookup-a\"\nthreads = 10\n"
                                                "[filter.a]\nplugin = \"filter-a\"\nisolation = \"process\"\n"});
  EXPECT_EQ(more.processes, processes + 2);
  EXPECT_EQ(more.threads, plan.threads + 2 * 10 * (plan.ingress_processes + 1) + 2 * (4 + 16));
}

TEST(Plan, ComesThroughTheCodec) {
  const auto plan = plan_of(kText);
  EXPECT_EQ(decode<Plan>(encode(plan)), plan);
}

TEST(Plan, ResolvesTheNumberOfIngressProcesses) {
  const auto plan = plan_of(std::string{kRest});
  EXPECT_GE(plan.ingress_processes, 1u);
  EXPECT_LE(plan.ingress_processes, 4u);
}

TEST(Plan, HasAProcessForEachPluginThatIsIsolated) {
  const auto plan = plan_of(kText + std::string{"[lookup.here]\nplugin = \"lookup-a\"\n"
                                                "[lookup.users]\nplugin = \"lookup-a\"\nisolation = \"process\"\n"
                                                "breaker_deaths = 7\nbreaker_time = \"9s\"\n"});
  ASSERT_EQ(plan.hosts.size(), 1u);
  EXPECT_EQ(plan.hosts[0].name, "host.lookup.users");
  EXPECT_EQ(plan.hosts[0].lookup, "users");
  EXPECT_EQ(plan.hosts[0].transport, "");
  EXPECT_EQ(plan.hosts[0].breaker_deaths, 7u);
  EXPECT_EQ(plan.hosts[0].breaker_time, 9 * kSecond);
}

TEST(Plan, HasAProcessForFiltersAndPoliciesThatAreIsolatedAndADescriptorForTheirMessages) {
  const auto plan = plan_of(kText + std::string{"[filter.a]\nplugin = \"filter-a\"\nisolation = \"process\"\n"
                                                "[policy.a]\nplugin = \"policy-a\"\nisolation = \"process\"\n"
                                                "in_flight_limit = 10\n[policy.b]\nplugin = \"policy-a\"\n"});
  ASSERT_EQ(plan.hosts.size(), 2u);
  EXPECT_EQ(plan.hosts[0].name, "host.filter.a");
  EXPECT_EQ(plan.hosts[0].filter, "a");
  EXPECT_EQ(plan.hosts[1].name, "host.policy.a");
  EXPECT_EQ(plan.hosts[1].policy, "a");
  EXPECT_EQ(plan.hosts[1].descriptors, 64u + 10u);
  EXPECT_EQ(plan.ingress_descriptors, 64u + 4u + 2u * 5000u + 4u * (1000u + 10u + 1000u));
}

TEST(Plan, SaysWhichPoliciesTheQueueNames) {
  const auto plan = plan_of(std::string{kRest} +
                            "[policy.a]\nplugin = \"policy-a\"\nisolation = \"process\"\n"
                            "[policy.b]\nplugin = \"policy-a\"\nisolation = \"process\"\n"
                            "[queue]\npolicies = [\"b\"]\n");
  ASSERT_EQ(plan.hosts.size(), 2u);
  EXPECT_FALSE(plan.hosts[0].for_queue);
  EXPECT_TRUE(plan.hosts[1].for_queue);
}

TEST(Plan, HasAProcessForEachRatePlugin) {
  const auto plan = plan_of(kText + std::string{"[rate.shared]\nplugin = \"rate-a\"\nbreaker_deaths = 7\n"});
  ASSERT_EQ(plan.hosts.size(), 1u);
  EXPECT_EQ(plan.hosts[0].name, "host.rate.shared");
  EXPECT_EQ(plan.hosts[0].rate, "shared");
  EXPECT_EQ(plan.hosts[0].breaker_deaths, 7u);
}

TEST(Plan, HasAProcessForAuthThatIsIsolated) {
  const auto plan = plan_of(kText + std::string{"[auth.a]\nplugin = \"auth-x\"\nisolation = \"process\"\n"
                                                "[auth.b]\nplugin = \"auth-x\"\n"});
  ASSERT_EQ(plan.hosts.size(), 1u);
  EXPECT_EQ(plan.hosts[0].name, "host.auth.a");
  EXPECT_EQ(plan.hosts[0].auth, "a");
}

TEST(Plan, HasAProcessForEachStoreAndDescriptorsForTheCopies) {
  const auto plan =
      plan_of(kText + std::string{"[store.second]\nplugin = \"store-directory\"\nin_flight_limit = 10\n"});
  ASSERT_EQ(plan.hosts.size(), 1u);
  EXPECT_EQ(plan.hosts[0].name, "host.store.second");
  EXPECT_EQ(plan.hosts[0].store, "second");
  EXPECT_EQ(plan.hosts[0].descriptors, 64u + 10u);
  EXPECT_EQ(plan.ingress_descriptors, plan_of(std::string{kText}).ingress_descriptors + 2u * 10u);
}

TEST(Plan, HasAProcessForEachEventPlugin) {
  const auto plan = plan_of(kText + std::string{"[event.log]\nplugin = \"event-file\"\nbreaker_deaths = 9\n"});
  ASSERT_EQ(plan.hosts.size(), 1u);
  EXPECT_EQ(plan.hosts[0].name, "host.event.log");
  EXPECT_EQ(plan.hosts[0].event, "log");
  EXPECT_EQ(plan.hosts[0].breaker_deaths, 9u);
}

}  // namespace
}  // namespace mansio::config
