// What a simulation found, as a table for people, as CSV for programs, and as a plot.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "kernel/cli/simulate/simulation.hpp"

namespace mansio::cli::simulate {

std::string table(const Scenario &scenario, const Report &report);
std::string csv(const Scenario &scenario, const Report &report);  // a line a step
std::string svg(const Scenario &scenario, const Report &report);

// Numbers in Report::tenants, those with most first: of those that steps count. None if there is only one.
std::vector<std::size_t> largest_tenants(const Report &report, std::size_t most);
std::string name_of_tenant(const Report &report, std::size_t tenant);

}  // namespace mansio::cli::simulate
