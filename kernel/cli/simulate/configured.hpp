// Configured: the tables of a scenario that are Mansio's own configuration, read and checked as `mansio check` does.
// What the scheduler does not take of them is refused, as it would have no effect.
#pragma once

#include <string>
#include <string_view>

#include "kernel/config/problems.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/config/toml.hpp"

namespace mansio::cli::simulate {

bool is_configuration(std::string_view key);  // at top level
// Of a [rate.NAME]: the other options are the scenario's.
bool is_rate_option(std::string_view option);
config::Settings read_configured(const config::TomlTable &root, const std::string &file, config::Problems &problems);

}  // namespace mansio::cli::simulate
