// What a script finds when it starts: Lua's libraries without those that reach the system, run code that nobody checked
// or run where no limit holds, and the table `mansio`.
#pragma once

#include <string>
#include <vector>

#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

void open_sandbox(lua_State *L, const std::vector<std::string> &allow);

// The part that is written in Lua.
extern const char *const kPrelude;

}  // namespace mansio::lua
