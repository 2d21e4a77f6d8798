// What tests of the simulator share: the scenarios that are shipped, and what a run of one came to.
#pragma once

#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "kernel/cli/simulate/report.hpp"

namespace mansio::cli::simulate {

inline std::string path_of(const std::string &name) { return MANSIO_SOURCE_DIR "/examples/simulate/" + name + ".toml"; }

inline Scenario example(const std::string &name) {
  auto scenario = read_scenario(path_of(name));
  EXPECT_TRUE(scenario) << scenario.error().text;
  return scenario ? std::move(*scenario) : Scenario{};
}

inline Report run(const Scenario &scenario) {
  auto report = Simulation{scenario}.run();
  EXPECT_THAT(report.violations, ::testing::IsEmpty()) << scenario.name;
  return report;
}

inline const Totals &of(const std::vector<Totals> &all, const std::string &name) {
  for (const auto &t : all)
    if (t.name == name) return t;
  ADD_FAILURE() << "no " << name;
  return all.front();
}

// Deliveries between two times, from the beginning.
inline std::uint64_t delivered(const Report &r, Nanos from, Nanos to, std::size_t destination = 0) {
  std::uint64_t n = 0;
  for (const auto &step : r.steps)
    if (step.at > from && step.at <= to) n += step.by_destination[destination];
  return n;
}

inline constexpr Nanos kMinute = 60 * kSecond;
inline double seconds(std::uint64_t microseconds) { return static_cast<double>(microseconds) * 1e-6; }

}  // namespace mansio::cli::simulate
