#include "plugins/lua/sandbox.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/command.hpp"
#include "plugins/lua/io/io.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/objects.hpp"
#include "plugins/lua/registration.hpp"
#include "plugins/lua/state.hpp"
#include "plugins/lua/submit.hpp"
#include "plugins/lua/verdict.hpp"
#include "plugins/lua/wait.hpp"

namespace mansio::lua {
namespace {

void open(lua_State *L, const char *name, lua_CFunction library) {
  luaL_requiref(L, name, library, 1);
  lua_pop(L, 1);
}

// The library stays, with these fields alone.
void keep_only(lua_State *L, const char *library, std::initializer_list<const char *> fields) {
  lua_getglobal(L, library);
  lua_newtable(L);
  for (const auto *field : fields) {
    lua_getfield(L, -2, field);
    lua_setfield(L, -2, field);
  }
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);  // where require() finds it
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, library);
  lua_pop(L, 1);
  lua_setglobal(L, library);
  lua_pop(L, 1);
}

// The metatable of the value on top, which it pops, is nobody's to see or change: a script could put a finalizer there,
// and those run where no instruction is counted.
void hide_metatable(lua_State *L) {
  if (lua_getmetatable(L, -1)) {
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

void remove_global(lua_State *L, const char *name) {
  lua_pushnil(L);
  lua_setglobal(L, name);
}

// __newindex of _G: globals are made while the script is loaded, so that one that a handler makes is a slip.
int new_global(lua_State *L) {
  if (!State::of(L).loading())
    throw ScriptError{std::string{"\""} + (lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?") +
                      "\" is no variable of this function; it lacks \"local\", or a value at load"};
  lua_rawset(L, 1);
  return 0;
}

void strict_globals(lua_State *L) {
  for (const auto *library : {"string", "table", "math", "utf8", "os"}) {
    lua_getglobal(L, library);
    make_strict(L, library);
    lua_pop(L, 1);
  }
  lua_pushglobaltable(L);
  make_strict(L, "_G", true);
  lua_getmetatable(L, -1);
  lua_pushcfunction(L, bound<new_global>);
  lua_setfield(L, -2, "__newindex");
  lua_pop(L, 2);
}

void add_library(lua_State *L, const char *name, void (*fill)(lua_State *)) {
  lua_newtable(L);
  fill(L);
  lua_setfield(L, -2, name);
}

void open_mansio(lua_State *L) {
  make_object_types(L);
  lua_newtable(L);
  add_registration(L);
  add_command(L);
  add_verdicts(L);
  add_waits(L);
  add_submit(L);
  add_library(L, "re", add_re);
  add_library(L, "json", add_json);
  add_library(L, "base64", add_base64);
  add_library(L, "hash", add_hash);
  add_library(L, "time", add_time);
  add_library(L, "ip", add_ip);
  add_library(L, "idna", add_idna);
  add_library(L, "suffix", add_suffix);
  add_library(L, "counter", add_counter);
  add_library(L, "log", add_log);
  add_library(L, "metric", add_metric);
  add_library(L, "http", add_http);
  add_config(L);
  add_state_directory(L);
  add_window(L);
  add_rate(L);
  add_spawn(L);
  add_connect(L);
  add_redis(L);
  add_sqlite(L);
  lua_setglobal(L, "mansio");
}

// For the prelude alone: whether the value has a __len, which getmetatable() may be made to hide.
int has_len(lua_State *L) {
  lua_pushboolean(L, luaL_getmetafield(L, 1, "__len") != LUA_TNIL);
  return 1;
}

// The same: what C is about to do, in instructions; the error is told of who called the prelude.
int charge(lua_State *L) {
  return translated(L, 2, [L] {
    const auto n = lua_tonumber(L, 1);
    State::of(L).charge(L, n > 0 ? static_cast<std::uint64_t>(std::min<lua_Number>(n, 1e12)) : 0);
    return 0;
  });
}

void strict_mansio(lua_State *L) {
  lua_getglobal(L, "mansio");
  for (const auto *library :
       {"re", "json", "base64", "hash", "time", "ip", "idna", "suffix", "counter", "log", "metric", "http"}) {
    lua_getfield(L, -1, library);
    make_strict(L, (std::string{"mansio."} + library).c_str());
    lua_pop(L, 1);
  }
  make_strict(L, "mansio");
  lua_pop(L, 1);
}

}  // namespace

void open_sandbox(lua_State *L, const Settings &settings) {
  open(L, LUA_GNAME, luaopen_base);
  open(L, LUA_STRLIBNAME, luaopen_string);
  open(L, LUA_TABLIBNAME, luaopen_table);
  open(L, LUA_MATHLIBNAME, luaopen_math);
  open(L, LUA_UTF8LIBNAME, luaopen_utf8);
  open(L, LUA_OSLIBNAME, luaopen_os);
  if (!settings.allows("os")) keep_only(L, "os", {"clock", "date", "difftime", "time"});
  if (settings.allows("io")) {
    open(L, LUA_IOLIBNAME, luaopen_io);
    lua_getglobal(L, LUA_IOLIBNAME);
    lua_getfield(L, -1, "stdout");
    hide_metatable(L);  // that of every file
    lua_pop(L, 1);
  }
  if (settings.allows("package")) {
    open(L, LUA_LOADLIBNAME, luaopen_package);
    keep_modules(L);
  }
  // Files and code from elsewhere; and the collector, which is the allocator's to drive.
  for (const auto *name : {"dofile", "loadfile", "collectgarbage", "warn"}) remove_global(L, name);
  lua_getglobal(L, "string");
  lua_pushnil(L);
  lua_setfield(L, -2, "dump");
  add_patterns(L);  // find, match, gmatch and gsub, within limits
  lua_pop(L, 1);
  lua_pushliteral(L, "");
  hide_metatable(L);
  open_mansio(L);
  if (luaL_loadbufferx(L, kPrelude, std::char_traits<char>::length(kPrelude), "=prelude", "t") != LUA_OK) lua_error(L);
  lua_pushcfunction(L, has_len);
  lua_pushcfunction(L, charge);
  lua_call(L, 2, 0);
  strict_mansio(L);
  strict_globals(L);
}

}  // namespace mansio::lua
