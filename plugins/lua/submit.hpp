// What a script asks of the queue: mail of its own, and permits of the queue's limits.
#pragma once

#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

// mansio.submit and mansio.take_permits, into the table on top.
void add_submit(lua_State *L);

}  // namespace mansio::lua
