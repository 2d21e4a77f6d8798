// mansio check: judges a configuration as `mansio run` and a reload do, and reports every problem, one a line. Started
// by root it also demands the user that `run` would drop to. With `system` it looks at the machine as well.
#pragma once

#include <string>

#include "kernel/cli/instance.hpp"

namespace mansio::cli {

// Problems to stderr and 1, or "FILE: ok" and 0. Of the machine: a line for each thing looked at, and what to change; 1
// if one of them loses mail or keeps Mansio from running.
int check_main(const Where &where, bool system);

}  // namespace mansio::cli
