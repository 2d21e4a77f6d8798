// What handlers get: session, transaction, address and message, and mail in the queue (queued.hpp); transports:
// delivery and recipient; and AUTH: a step. They are good until the handler ends, and each has the fields that
// declarations.hpp lists and no others. So have the tables that functions return: header fields, records, responses.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mansio/filter.hpp"
#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

class Call;
struct Fact;
struct Field;

void make_object_types(lua_State *L);

// The arguments of the handlers of the call's stage; returns how many.
int push_arguments(lua_State *L, Call &call);

// Types of tables: what scripts read in them by other names than shapes.hpp lists is an error, and so is a new name;
// what is listed and not there is nil.
inline constexpr const char *kAddressType = "address", *kHeaderFieldType = "header field",
                            *kLeaseType = "lease request", *kOriginType = "origin", *kRecordType = "record",
                            *kResponseType = "response";
// `text` may be NULL; with it tostring() takes a value of the type.
void make_table_type(lua_State *L, const char *type, lua_CFunction text = nullptr);
int text_of_address(lua_State *L);  // the field `address` of a table

// In address.cpp, message.cpp, part.cpp, delivery.cpp, auth.cpp and event.cpp.
void push_address(lua_State *L, std::string_view text, const std::vector<std::string_view> &parameters);
void make_message_type(lua_State *L);
void push_message(lua_State *L, Call &call);
void push_fields(lua_State *L, const std::vector<Field> &fields);  // a list of {name =, value =}
int message_parts(lua_State *L);
void make_part_types(lua_State *L);
void make_delivery_types(lua_State *L);
void make_auth_types(lua_State *L);
void make_event_type(lua_State *L);

// What all of these but tables are in Lua.
struct Handle {
  std::uint64_t serial;  // of their call
};

// The call whose objects these are: throws ScriptError when it is not the one that runs.
Call &call_of(lua_State *L, int index, const char *type);
Call &call_with(lua_State *L, std::uint64_t serial, const char *type);
[[noreturn]] void no_field(const char *type, std::string_view key, std::span<const std::string_view> known);
void push_handle(lua_State *L, const char *type, const Call &call);
void push_known(lua_State *L, const std::string &text);  // nil for ""
void push_number(lua_State *L, std::string_view text);   // the text itself where it is none
void push_fact(lua_State *L, const plugin::Stage &stage, const Fact &fact);
void push_message_meta(lua_State *L, Call &call);
// `get` has a table of `methods`, if there are any, as its upvalue.
void make_handle_type(lua_State *L, const char *type, lua_CFunction get, lua_CFunction put,
                      const luaL_Reg *methods = nullptr);
int takes_no_field(lua_State *L);  // __newindex of what cannot be changed

}  // namespace mansio::lua
