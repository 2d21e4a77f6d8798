// mansio check: reads a configuration as `mansio run` would and reports every problem, one a line.
#pragma once

#include <string>
#include <vector>

#include "kernel/config/parse.hpp"

namespace mansio::cli {

// Problems to stderr and 1, or "FILE: ok" and 0.
int check_main(const std::string &config_path);

// Loads each transport's plugin and checks the options that only the plugin knows.
std::vector<config::Problem> check_plugins(const config::Parsed &parsed, const std::string &config_path);

// The configured directory, or lib/mansio/plugins beside the directory that this program is in.
std::string plugin_directory(const config::Settings &settings);

}  // namespace mansio::cli
