// What handlers get: session, transaction, address and message. They are good until the handler ends, and each has the
// fields that declarations.hpp lists and no others.
#pragma once

#include <string_view>
#include <vector>

#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

class Call;

void make_object_types(lua_State *L);

// The arguments of the handlers of the call's stage; returns how many.
int push_arguments(lua_State *L, Call &call);

// In address.cpp and message.cpp.
void make_address_type(lua_State *L);
void push_address(lua_State *L, std::string_view text, const std::vector<std::string_view> &parameters);
void make_message_type(lua_State *L);
void push_message(lua_State *L, Call &call);

// The call whose objects these are: throws ScriptError when it is not the one that runs.
Call &call_of(lua_State *L, int index, const char *type);
void push_handle(lua_State *L, const char *type, const Call &call);

}  // namespace mansio::lua
