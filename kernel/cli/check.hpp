// mansio check: judges a configuration as `mansio run` and a reload do, and reports every problem, one a line. Started
// by root it also demands the user that `run` would drop to.
#pragma once

#include <string>

namespace mansio::cli {

// Problems to stderr and 1, or "FILE: ok" and 0.
int check_main(const std::string &config_path);

}  // namespace mansio::cli
