// What only the route table can tell of a configuration, for `mansio check` and for every start and reload.
#pragma once

#include <string>
#include <vector>

#include "kernel/config/parse.hpp"

namespace mansio::route {

// Mail for postmaster must have a way. `file` is where a problem without a place of its own is reported.
std::vector<config::Problem> check_routes(const config::Parsed &parsed, const std::string &file);

}  // namespace mansio::route
