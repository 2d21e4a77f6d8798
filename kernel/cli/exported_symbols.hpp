// The symbols that a shared object offers to others.
#pragma once

#include <string>
#include <vector>

#include "kernel/base/result.hpp"

namespace mansio::cli {

// Of one that is loaded in this process already (so the dynamic linker has found it in order); sorted.
Result<std::vector<std::string>> exported_symbols(const std::string &path);

}  // namespace mansio::cli
