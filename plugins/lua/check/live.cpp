#include "plugins/lua/check/live.hpp"

#include <cstddef>
#include <new>
#include <stdexcept>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/names.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

// Runs f(L), in which memory may end.
template <class F>
void protect_or_throw(lua_State *L, F f) {
  if (const auto why = protect(L, f); !why.empty()) throw std::runtime_error{why};
}

// The value at the names of `path`, or nil, is pushed.
void push_at(lua_State *L, std::string_view path) {
  lua_pushglobaltable(L);
  while (!path.empty()) {
    const auto name = path.substr(0, path.find('.'));
    path.remove_prefix(name.size() == path.size() ? path.size() : name.size() + 1);
    if (lua_istable(L, -1)) {
      push(L, name);
      lua_rawget(L, -2);
    } else {
      lua_pushnil(L);
    }
    lua_remove(L, -2);
  }
}

// Of the strict table on top.
std::optional<World::Fields> fields_of(lua_State *L) {
  auto name = strict_name(L, -1);
  if (name.empty()) return std::nullopt;
  return World::Fields{std::move(name), keys_of(L, -1)};
}

// Of what has the metatable on top, which says them by a strict table.
std::optional<World::Fields> fields_by_metatable(lua_State *L) {
  if (!lua_istable(L, -1)) return std::nullopt;
  lua_pushliteral(L, "__index");
  lua_rawget(L, -2);
  return fields_of(L);
}

void push_argument(lua_State *L, const Argument &argument) {
  luaL_checkstack(L, 4, nullptr);
  switch (argument.kind) {
    case Argument::Kind::None:
      break;
    case Argument::Kind::Nil:
      lua_pushnil(L);
      break;
    case Argument::Kind::False:
    case Argument::Kind::True:
      lua_pushboolean(L, argument.kind == Argument::Kind::True);
      break;
    case Argument::Kind::Number: {
      const bool negative = argument.text.starts_with('-');
      if (lua_stringtonumber(L, argument.text.c_str() + (negative ? 1 : 0)) == 0) lua_pushinteger(L, 0);
      if (negative) lua_arith(L, LUA_OPUNM);
      break;
    }
    case Argument::Kind::String:
      push(L, argument.text);
      break;
    case Argument::Kind::Function:
      lua_pushcfunction(L, [](lua_State *) { return 0; });
      break;
    case Argument::Kind::Object:
      lua_newtable(L);
      luaL_setmetatable(L, argument.text.c_str());
      break;
    case Argument::Kind::Table:
      lua_newtable(L);
      lua_Integer n = 0;
      for (std::size_t i = 0; i < argument.values.size(); ++i) {
        if (argument.names[i].empty())
          lua_pushinteger(L, ++n);
        else
          push(L, argument.names[i]);
        push_argument(L, argument.values[i]);
        lua_rawset(L, -3);
      }
      break;
  }
}

}  // namespace

bool LiveWorld::has_global(std::string_view name) {
  bool found = false;
  protect_or_throw(lua_, [&](lua_State *L) {
    push_at(L, name);
    found = !lua_isnil(L, -1);
  });
  return found;
}

std::vector<std::string> LiveWorld::globals() {
  std::vector<std::string> names;
  protect_or_throw(lua_, [&](lua_State *L) {
    lua_pushglobaltable(L);
    names = keys_of(L, -1);
  });
  return names;
}

std::optional<World::Fields> LiveWorld::fields_at(std::string_view path) {
  std::optional<Fields> found;
  protect_or_throw(lua_, [&](lua_State *L) {
    push_at(L, path);
    if (lua_istable(L, -1))
      found = fields_of(L);
    else if (lua_isuserdata(L, -1) && lua_getmetatable(L, -1))
      found = fields_by_metatable(L);
  });
  return found;
}

std::optional<World::Fields> LiveWorld::methods_of(std::string_view type) {
  std::optional<Fields> found;
  protect_or_throw(lua_, [&](lua_State *L) {
    if (type != "string") {
      luaL_getmetatable(L, std::string{type}.c_str());
    } else {
      lua_pushliteral(L, "");
      if (!lua_getmetatable(L, -1)) lua_pushnil(L);
    }
    found = fields_by_metatable(L);
  });
  return found;
}

std::string LiveWorld::objection(std::string_view path, const std::vector<Argument> &arguments) {
  std::string said;
  protect_or_throw(lua_, [&](lua_State *L) {
    push_at(L, path);
    if (!lua_iscfunction(L, -1)) return;  // the script has one of its own there
    const int before = lua_gettop(L);
    for (const auto &argument : arguments) push_argument(L, argument);
    // What has no memory is no slip.
    if (lua_pcall(L, lua_gettop(L) - before, 0, 0) != LUA_ERRRUN || lua_type(L, -1) != LUA_TSTRING) return;
    std::size_t n = 0;
    const char *const text = lua_tolstring(L, -1, &n);
    said.assign(text, n);
  });
  return said;
}

bool LiveWorld::is_off(std::string_view path) {
  const auto library = library_of(path);
  if (library.empty() || State::of(lua_).engine().settings().allows(library)) return false;
  bool is_ours = false;
  protect_or_throw(lua_, [&](lua_State *L) {
    push_at(L, path);
    is_ours = lua_iscfunction(L, -1) != 0;
  });
  return is_ours;
}

}  // namespace mansio::lua
