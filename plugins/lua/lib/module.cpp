// require(): the modules of a script, read once. States that are made anew get the text that the first one got, so that
// a script under change is never half the old and half the new one; a reload reads all of it again.
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/settings.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

std::string text_of(const std::string &path) {
  errno = 0;
  std::ifstream in{path, std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (!in || in.bad()) throw ScriptError{"cannot read " + path + ": " + std::strerror(errno)};
  return without_heading(std::move(text));
}

// In the place of Lua's own searcher of files; upvalue: `package`. The loader and the path, or why there is none.
int search_module(lua_State *L) {
  const std::string name{text_at(L, 1, "the module's name")};
  auto &modules = State::of(L).engine().modules();
  auto known = modules.find(name);
  if (known == modules.end()) {
    lua_getfield(L, lua_upvalueindex(1), "searchpath");
    lua_pushvalue(L, 1);
    lua_getfield(L, lua_upvalueindex(1), "path");
    lua_call(L, 2, 2);
    if (lua_isnil(L, -2)) return 1;  // where it looked
    const std::string path{text_at(L, -2, "the path")};
    known = modules.emplace(name, Module{path, text_of(path)}).first;
  }
  const auto &[path, text] = known->second;
  if (luaL_loadbufferx(L, text.data(), text.size(), ("@" + path).c_str(), "t") != LUA_OK) {
    const std::string why{text_at(L, -1, "the error")};
    modules.erase(known);  // the file may be mended before the next try
    throw ScriptError{"the module \"" + name + "\" cannot be loaded: " + why};
  }
  push(L, path);
  return 2;
}

// What is wrong is told of who called require().
int searcher(lua_State *L) {
  return translated(L, 2, [L] { return search_module(L); });
}

}  // namespace

void keep_modules(lua_State *L) {
  constexpr lua_Integer kOfFiles = 2;
  lua_getglobal(L, LUA_LOADLIBNAME);
  lua_getfield(L, -1, "searchers");
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, searcher, 1);
  lua_rawseti(L, -2, kOfFiles);
  lua_pop(L, 2);
}

}  // namespace mansio::lua
