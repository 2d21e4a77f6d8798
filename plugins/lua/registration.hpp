// mansio.on() and mansio.provide(): what a script offers, checked while it is loaded.
#pragma once

#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

struct Handler;
class State;

// Into the table on top.
void add_registration(lua_State *L);
void add_provide(lua_State *L);  // the second of them, in provide.cpp

// The state, while its script is loaded: throws ScriptError later.
State &loading_state(lua_State *L, const char *what);

// The options of kOnOptions in the table at `index`; its other fields are not looked at. Throws ScriptError.
Handler handler_options(lua_State *L, int index);

}  // namespace mansio::lua
