// mansio.on() and mansio.provide(): what a script offers, checked while it is loaded.
#pragma once

#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

// Into the table on top.
void add_registration(lua_State *L);

}  // namespace mansio::lua
