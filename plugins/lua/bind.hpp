// What the bindings share: how a C++ function becomes one of Lua's, how its arguments are read, and how it says what a
// script did wrong.
//
// Lua is its C++ build: its errors and yields are exceptions that are no std::exception, so they unwind destructors and
// pass `catch (const std::exception &)`. A binding throws ScriptError, or lets what the standard library throws escape;
// the script sees an error with its own file and line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/lua/lua_api.hpp"
#include "plugins/lua/script_error.hpp"

namespace mansio::lua {

// Runs f(); what the standard library or a binding throws becomes an error of Lua, told of the function at `level`.
template <class F>
int translated(lua_State *L, int level, F f) {
  try {
    return f();
  } catch (const std::exception &e) {
    luaL_where(L, level);
    lua_pushstring(L, e.what());
    lua_concat(L, 2);
  }
  return lua_error(L);
}

using Binding = int (*)(lua_State *);
template <Binding F>
int bound(lua_State *L) {
  return translated(L, 1, [L] { return F(L); });
}

// Calls f(lua_State *) so that no error of Lua leaves it, with no budget but the state's memory. "" when it went well.
template <class F>
std::string protect(lua_State *L, F f) {
  if (!lua_checkstack(L, 8)) return "no memory";
  lua_CFunction run = [](lua_State *inner) -> int {
    auto *body = static_cast<F *>(lua_touserdata(inner, 1));
    lua_settop(inner, 0);
    return translated(inner, 0, [&] { return (*body)(inner), 0; });
  };
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, &f);
  std::string why;
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    // A number would have to be made a string, which may fail.
    why = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error that is no text";
    lua_pop(L, 1);
  }
  return why;
}

inline void push(lua_State *L, std::string_view text) { lua_pushlstring(L, text.data(), text.size()); }
// A list of them, which has operator[].
template <class Texts>
void push_texts(lua_State *L, const Texts &texts) {
  lua_createtable(L, static_cast<int>(texts.size()), 0);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    push(L, texts[i]);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i) + 1);
  }
}

// "string", "address", "nothing".
std::string type_name(lua_State *L, int index);

// Arguments, checked; `what` names one in the message. Numbers are taken for text as everywhere in Lua.
std::string_view text_at(lua_State *L, int index, const char *what);
std::int64_t integer_at(lua_State *L, int index, const char *what, std::int64_t least, std::int64_t most);
// Seconds as a number, or text as in the configuration ("500ms", "5s", "2m", "1h", "7d"); in nanoseconds.
std::int64_t duration_at(lua_State *L, int index, const char *what);
void expect_table(lua_State *L, int index, const char *what);
void expect_function(lua_State *L, int index, const char *what);

// Refuses keys of the table at `index` that are not among `known`, with the nearest one; `where` names the table.
void only_fields(lua_State *L, int index, std::string_view where, std::span<const std::string_view> known);

// A field of the table at `index`: "" or false when it is not given.
std::string text_field(lua_State *L, int index, const char *name);
bool flag_field(lua_State *L, int index, const char *name);

// The table on top reads no field that it does not have, and, unless `open`, takes no new one.
void make_strict(lua_State *L, const char *name, bool open = false);

// What make_strict() called the table at `index`; "" for any other value. And the text keys of a table.
std::string strict_name(lua_State *L, int index);
std::vector<std::string> keys_of(lua_State *L, int index);

// The functions behind that, pushed: errors for a field that is not there, and for a new one.
void push_no_such_field(lua_State *L, const char *name);
void push_no_new_field(lua_State *L, const char *name);

// A C++ object as userdata with the metatable `type`, which make_type() made; destroyed by Lua's collector.
template <class T, class... Arguments>
T &new_object(lua_State *L, const char *type, Arguments &&...arguments) {
  auto *object = new (lua_newuserdatauv(L, sizeof(T), 0)) T(std::forward<Arguments>(arguments)...);
  luaL_setmetatable(L, type);  // from here on the collector destroys it
  return *object;
}
template <class T>
T &object_at(lua_State *L, int index, const char *type) {
  auto *object = static_cast<T *>(luaL_testudata(L, index, type));
  if (!object) throw ScriptError{std::string{"expected a "} + type + ", got " + type_name(L, index)};
  return *object;
}
template <class T>
int destroy_object(lua_State *L) {
  static_cast<T *>(lua_touserdata(L, 1))->~T();
  return 0;
}
// `collect` may be NULL for what needs no destructor. Methods are fields of the metatable's strict __index.
void make_type(lua_State *L, const char *type, const luaL_Reg *methods, lua_CFunction collect);

}  // namespace mansio::lua
