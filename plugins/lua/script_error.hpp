// What a script did wrong. Bindings throw it, and the script sees an error with its own file and line.
#pragma once

#include <stdexcept>

namespace mansio::lua {

struct ScriptError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace mansio::lua
