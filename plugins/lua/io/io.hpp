// What reaches servers and files from scripts: functions that fill the table `mansio` on top. All of it is off unless
// the configuration allows it.
#pragma once

#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

void add_connect(lua_State *L);  // mansio.connect()
void add_redis(lua_State *L);    // mansio.redis()
void add_sqlite(lua_State *L);   // mansio.sqlite()
void add_http(lua_State *L);     // the functions of mansio.http

}  // namespace mansio::lua
