// The canonical text of Settings: every option written out, nothing left to include or to read elsewhere.
// Reading it back gives the same Settings; it holds secrets and stays in memory.
#pragma once

#include <string>

#include "kernel/config/settings.hpp"

namespace mansio::config {

std::string write_snapshot(const Settings &settings);

}  // namespace mansio::config
