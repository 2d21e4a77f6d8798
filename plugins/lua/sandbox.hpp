// What a script finds when it starts: Lua's libraries without those that reach the system, run code that nobody checked
// or run where no limit holds, and the table `mansio`.
#pragma once

#include "plugins/lua/lua_api.hpp"
#include "plugins/lua/settings.hpp"

namespace mansio::lua {

void open_sandbox(lua_State *L, const Settings &settings);

// The part that is written in Lua.
extern const char *const kPrelude;

}  // namespace mansio::lua
