// The process that reads the configuration: it has no rights of its own, asks the supervisor for each file, and is
// the only one besides egress and hosts that loads plugins (to learn their options and needs).
#pragma once

#include "kernel/io/fd.hpp"

namespace mansio::supervisor {

int run_config_child(io::UniqueFd supervisor);

}  // namespace mansio::supervisor
