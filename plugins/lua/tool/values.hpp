// What the functions in C of `mansio lua test` share: how they are called, and what they read from tables.
#pragma once

#include <string>
#include <string_view>

#include "plugins/lua/bind.hpp"

namespace mansio::lua::tool {

// Unlike bound(): without the place in the library that called.
template <Binding F>
int primitive(lua_State *L) {
  return translated(L, 0, [L] { return F(L); });
}

// f(key, value), both text, of the table in that field; none is an empty one.
template <class F>
void each_text(lua_State *L, int index, const char *name, F f) {
  lua_getfield(L, index, name);
  if (!lua_isnil(L, -1)) {
    expect_table(L, -1, name);
    const int table = lua_absindex(L, -1);
    lua_pushnil(L);
    while (lua_next(L, table)) {
      if (lua_type(L, -2) != LUA_TSTRING) throw ScriptError{std::string{"expected names as keys of "} + name};
      const std::string key{text_at(L, -2, name)};
      f(key, std::string{lua_isboolean(L, -1) ? lua_toboolean(L, -1) ? "true" : "false" : text_at(L, -1, key.c_str())});
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

}  // namespace mansio::lua::tool
