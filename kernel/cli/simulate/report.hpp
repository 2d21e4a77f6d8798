// What a simulation found, as a table for people, as CSV for programs, and as a plot.
#pragma once

#include <string>

#include "kernel/cli/simulate/simulation.hpp"

namespace mansio::cli::simulate {

std::string table(const Scenario &scenario, const Report &report);
std::string csv(const Scenario &scenario, const Report &report);  // a line a step
std::string svg(const Scenario &scenario, const Report &report);

}  // namespace mansio::cli::simulate
