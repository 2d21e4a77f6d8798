// Mail in the queue as handlers of "route", "predelivery", "retry" and "bounce" see it.
#pragma once

#include <cstdint>

#include "mansio/draft/filter.h"
#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

class Call;

constexpr bool is_of_queue(std::uint32_t stage) { return stage >= MANSIO_STAGE_ROUTE && stage <= MANSIO_STAGE_BOUNCE; }

void make_queued_types(lua_State *L);
// The arguments of a handler of such a stage; returns how many.
int push_queued(lua_State *L, Call &call);

}  // namespace mansio::lua
