// mansio.on() and mansio.provide(): what a script offers, checked while it is loaded.
#pragma once

#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

class State;

// Into the table on top.
void add_registration(lua_State *L);
void add_provide(lua_State *L);  // the second of them, in provide.cpp

// The state, while its script is loaded: throws ScriptError later.
State &loading_state(lua_State *L, const char *what);

}  // namespace mansio::lua
