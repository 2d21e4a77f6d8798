#include "kernel/host/metrics.hpp"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "mansio/abi.h"

namespace mansio::host {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> metric_names(const Metrics &metrics) {
  std::vector<std::string> out;
  metrics.stats("{lookup=\"a\"}", 0, [&](std::string name, double) { out.push_back(std::move(name)); });
  return out;
}

TEST(PluginMetrics, ComeWithWhatThePluginSaysOfThem) {
  Metrics metrics;
  EXPECT_NE(metrics.define(MANSIO_METRIC_COUNTER, "keys", "Keys that\nwere asked for."), 0u);
  EXPECT_NE(metrics.define(MANSIO_METRIC_GAUGE, "open", ""), 0u);
  const auto all = metric_names(metrics);
  EXPECT_THAT(all, Contains("# HELP mansio_plugin_keys_total Keys that were asked for."));
  EXPECT_THAT(all, Contains("mansio_plugin_keys_total{lookup=\"a\"}"));
  EXPECT_THAT(all, Contains("mansio_plugin_open{lookup=\"a\"}"));
  EXPECT_THAT(all, Not(Contains(HasSubstr("# HELP mansio_plugin_open"))));
}

TEST(PluginMetrics, RefusesNamesThatAreNone) {
  Metrics metrics;
  for (const auto *name : {"", "Upper", "1st", "with space", "operations"})
    EXPECT_EQ(metrics.define(MANSIO_METRIC_COUNTER, name, "x"), 0u) << name;
  EXPECT_NE(metrics.define(MANSIO_METRIC_COUNTER, "once", "x"), 0u);
  EXPECT_EQ(metrics.define(MANSIO_METRIC_GAUGE, "once", "x"), 0u);
  metrics.freeze();
  EXPECT_EQ(metrics.define(MANSIO_METRIC_COUNTER, "late", "x"), 0u);
}

}  // namespace
}  // namespace mansio::host
