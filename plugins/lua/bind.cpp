#include "plugins/lua/bind.hpp"

#include <cmath>

#include "plugins/lua/duration.hpp"
#include "plugins/lua/names.hpp"

namespace mansio::lua {
namespace {

std::string key_text(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TSTRING) return type_name(L, index);
  std::size_t n = 0;
  const char *text = lua_tolstring(L, index, &n);
  return std::string{text, n};
}

// __index of a strict table: (table, key), its name as upvalue.
int no_such_field(lua_State *L) {
  const std::string name = lua_tostring(L, lua_upvalueindex(1));
  const auto key = key_text(L, 2);
  const auto near = missing_name(name, key, keys_of(L, 1));
  if (name == "_G") throw ScriptError{"there is no global \"" + key + '"' + near};
  throw ScriptError{name + " has no \"" + key + '"' + near};
}

int no_new_field(lua_State *L) {
  const std::string name = lua_tostring(L, lua_upvalueindex(1));
  throw ScriptError{name + " takes no new field, such as \"" + key_text(L, 2) + '"'};
}

}  // namespace

std::string type_name(lua_State *L, int index) {
  if (lua_isnone(L, index)) return "nothing";
  if (luaL_getmetafield(L, index, "__name") != LUA_TNIL) {
    std::string name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : luaL_typename(L, index);
    lua_pop(L, 1);
    return name;
  }
  return luaL_typename(L, index);
}

std::string_view text_at(lua_State *L, int index, const char *what) {
  std::size_t n = 0;
  const char *text = lua_isstring(L, index) ? lua_tolstring(L, index, &n) : nullptr;
  if (!text) {
    const auto got = type_name(L, index);
    throw ScriptError{std::string{"expected text for "} + what + ", got " + got +
                      (got == "address" || got == "recipient" ? "; its text is .address" : "")};
  }
  return {text, n};
}

std::int64_t integer_at(lua_State *L, int index, const char *what, std::int64_t least, std::int64_t most) {
  int is_integer = 0;
  const auto value = lua_tointegerx(L, index, &is_integer);
  if (!is_integer) throw ScriptError{std::string{"expected an integer for "} + what + ", got " + type_name(L, index)};
  if (value < least || value > most)
    throw ScriptError{std::string{what} + " is " + std::to_string(value) + ", expected " + std::to_string(least) +
                      " to " + std::to_string(most)};
  return value;
}

std::int64_t duration_at(lua_State *L, int index, const char *what) {
  constexpr double kMost = 3650.0 * 86400;
  if (lua_type(L, index) == LUA_TNUMBER) {
    const auto seconds = lua_tonumber(L, index);
    if (!(seconds >= 0 && seconds <= kMost))
      throw ScriptError{std::string{what} + " is no time, expected seconds, or text such as \"5s\""};
    return std::llround(seconds * 1e9);
  }
  const auto text = text_at(L, index, what);
  const auto ns = parse_duration(text);
  if (!ns) throw ScriptError{no_time(what, text)};
  return *ns;
}

void expect_table(lua_State *L, int index, const char *what) {
  if (!lua_istable(L, index))
    throw ScriptError{std::string{"expected a table for "} + what + ", got " + type_name(L, index)};
}

void expect_function(lua_State *L, int index, const char *what) {
  if (!lua_isfunction(L, index))
    throw ScriptError{std::string{"expected a function for "} + what + ", got " + type_name(L, index)};
}

void only_fields(lua_State *L, int index, std::string_view where, std::span<const std::string_view> known) {
  index = lua_absindex(L, index);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    const auto key = key_text(L, -1);
    bool found = false;
    for (const auto name : known) found = found || name == key;
    if (!found || lua_type(L, -1) != LUA_TSTRING)
      throw ScriptError{std::string{where} + " has no option \"" + key + '"' + did_you_mean_or(key, known)};
  }
}

std::vector<std::string> keys_of(lua_State *L, int index) {
  std::vector<std::string> keys;
  index = lua_absindex(L, index);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING) keys.push_back(key_text(L, -1));
  }
  return keys;
}

std::string strict_name(lua_State *L, int index) {
  std::string name;
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return name;
  lua_pushliteral(L, "__index");
  lua_rawget(L, -2);
  if (lua_tocfunction(L, -1) == bound<no_such_field> && lua_getupvalue(L, -1, 1)) {
    if (lua_type(L, -1) == LUA_TSTRING) name = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
  return name;
}

std::string text_field(lua_State *L, int index, const char *name) {
  std::string text;
  if (lua_getfield(L, index, name) != LUA_TNIL) text = text_at(L, -1, name);
  lua_pop(L, 1);
  return text;
}

bool flag_field(lua_State *L, int index, const char *name) {
  if (lua_getfield(L, index, name) != LUA_TNIL && !lua_isboolean(L, -1))
    throw ScriptError{std::string{"expected true or false for "} + name + ", got " + type_name(L, -1)};
  const bool flag = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  return flag;
}

void push_no_such_field(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  lua_pushcclosure(L, bound<no_such_field>, 1);
}

void push_no_new_field(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  lua_pushcclosure(L, bound<no_new_field>, 1);
}

void make_strict(lua_State *L, const char *name, bool open) {
  lua_createtable(L, 0, 3);
  push_no_such_field(L, name);
  lua_setfield(L, -2, "__index");
  if (!open) {
    push_no_new_field(L, name);
    lua_setfield(L, -2, "__newindex");
  }
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
}

void make_type(lua_State *L, const char *type, const luaL_Reg *methods, lua_CFunction collect) {
  luaL_newmetatable(L, type);  // sets __name
  lua_newtable(L);
  if (methods) luaL_setfuncs(L, methods, 0);
  make_strict(L, type);
  lua_setfield(L, -2, "__index");
  if (collect) {
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
  }
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

}  // namespace mansio::lua
