// The control socket's judgement: who may do what, which requests are understood, and the form of the metrics.
#include <gtest/gtest.h>

#include "kernel/control/access.hpp"
#include "kernel/control/metrics.hpp"
#include "kernel/control/session.hpp"

namespace mansio::control {
namespace {

TEST(ControlAccess, RootTheUserAndItsGroupMayChangeThings) {
  EXPECT_EQ(access_of({0, 0, 1, {}}, 100, 200), Access::Full);
  EXPECT_EQ(access_of({100, 5, 1, {}}, 100, 200), Access::Full);
  EXPECT_EQ(access_of({7, 200, 1, {}}, 100, 200), Access::Full);
  EXPECT_EQ(access_of({7, 8, 1, {9, 200}}, 100, 200), Access::Full);
  EXPECT_EQ(access_of({7, 8, 1, {9}}, 100, 200), Access::Status);
}

TEST(ControlRequest, TakesAQueueCommand) {
  const auto r =
      parse_request(R"({"command":"queue","verb":"hold","ids":["A","B"],"all":false,"match":{"sender":"x@y"}})");
  ASSERT_TRUE(r.ok());
  EXPECT_EQ(r->queue.verb, "hold");
  EXPECT_EQ(r->queue.ids, (std::vector<std::string>{"A", "B"}));
  ASSERT_EQ(r->queue.match.size(), 1u);
  EXPECT_EQ(r->queue.match[0].second, "x@y");
}

TEST(ControlRequest, MayAskWhichMessagesWereChanged) {
  EXPECT_TRUE(parse_request(R"({"command":"queue","verb":"hold","all":true,"report":true})")->queue.report);
  EXPECT_FALSE(parse_request(R"({"command":"queue","verb":"hold","all":true})")->queue.report);
  EXPECT_FALSE(parse_request(R"({"command":"queue","verb":"hold","all":true,"report":"yes"})").ok());
}

TEST(ControlRequest, TakesACallOfAPluginsCommand) {
  const auto r =
      parse_request(R"({"command":"plugin-call","instance":"filter.told","name":"echo","arguments":["a b",""]})");
  ASSERT_TRUE(r.ok());
  EXPECT_EQ(r->plugin, (std::vector<std::string>{"filter.told", "echo", "a b", ""}));
  EXPECT_EQ(parse_request(R"({"command":"plugin-call","instance":"a","name":"b"})")->plugin.size(), 2u);
  const std::string much(40000, 'x');
  EXPECT_FALSE(
      parse_request(R"({"command":"plugin-call","instance":"a","name":"b","arguments":[")" + much + R"("]})").ok());
}

TEST(ControlRequest, RefusesWhatItDoesNotUnderstand) {
  for (const auto *text :
       {R"({"command":"plugin-call"})", R"({"command":"plugin-call","instance":"a"})",
        R"({"command":"plugin-call","instance":"a","name":1})",
        R"({"command":"plugin-call","instance":"a","name":"b","arguments":"c"})",
        R"({"command":"plugin-call","instance":"a","name":"b","arguments":[1]})", "", "[]", "{", "{}",
        R"({"command":1})", R"({"command":"shell"})", R"({"command":"queue"})",
        R"({"command":"queue","verb":"list","ids":"A"})", R"({"command":"queue","verb":"list","ids":[1]})",
        R"({"command":"queue","verb":"list","all":1})", R"({"command":"queue","verb":"list","match":[]})",
        R"({"command":"queue","verb":"list","match":{"a":1}})"})
    EXPECT_FALSE(parse_request(text).ok()) << text;
  EXPECT_FALSE(parse_request(std::string(100000, '[')).ok());
}

TEST(PrometheusText, KeepsSamplesOfOneNameTogether) {
  wire::Stats a, b;
  a.from.name = "ingress.0";
  a.values = {{"mansio_x_total{listener=\"smtp\"}", 3}, {"mansio_y", 0.5}};
  b.from.name = "ingress.1";
  b.values = {{"mansio_x_total{listener=\"smtp\"}", 4}};
  EXPECT_EQ(prometheus_text({a, b}),
            "# TYPE mansio_x_total counter\n"
            "mansio_x_total{process=\"ingress.0\",listener=\"smtp\"} 3\n"
            "mansio_x_total{process=\"ingress.1\",listener=\"smtp\"} 4\n"
            "# TYPE mansio_y gauge\n"
            "mansio_y{process=\"ingress.0\"} 0.5\n");
}

TEST(PrometheusText, TellsAProcessThatAReloadReplacedFromItsSuccessor) {
  wire::Stats old, other, present;
  old.from.name = other.from.name = present.from.name = "ingress.0";
  old.from.generation = 1;
  other.from.generation = 2;
  present.from.generation = 3;
  old.values = other.values = {{"mansio_x_total{listener=\"smtp\"}", 3}};
  present.values = {{"mansio_x_total{listener=\"smtp\"}", 0}};
  EXPECT_EQ(prometheus_text({old, present, other}),
            "# TYPE mansio_x_total counter\n"
            "mansio_x_total{process=\"ingress.0\",epoch=\"1\",listener=\"smtp\"} 3\n"
            "mansio_x_total{process=\"ingress.0\",listener=\"smtp\"} 0\n"
            "mansio_x_total{process=\"ingress.0\",epoch=\"2\",listener=\"smtp\"} 3\n");
}

TEST(PrometheusText, SaysWhatAMetricIsOnceBeforeItsSamples) {
  wire::Stats a, b;
  a.from.name = "ingress.0";
  a.values = {{"mansio_x_total", 3}};
  a.help = {"mansio_x_total Keys of C:\\ and\nothers.", "mansio_not_there Nothing."};
  b.from.name = "ingress.1";
  b.values = {{"mansio_x_total", 4}};
  b.help = a.help;
  EXPECT_EQ(prometheus_text({a, b}),
            "# HELP mansio_x_total Keys of C:\\\\ and\\nothers.\n"
            "# TYPE mansio_x_total counter\n"
            "mansio_x_total{process=\"ingress.0\"} 3\n"
            "mansio_x_total{process=\"ingress.1\"} 4\n");
}

}  // namespace
}  // namespace mansio::control
