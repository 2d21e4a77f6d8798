#include "plugins/lua/tool/test_file.hpp"

#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/tool/fake_script.hpp"
#include "plugins/lua/tool/library.hpp"

namespace mansio::lua::tool {
namespace {

int make_directory(lua_State *L) {
  const std::string path{text_at(L, 1, "the path")};
  std::error_code ignored;  // opening the file in it tells
  std::filesystem::create_directory(path, ignored);
  return 0;
}

// The chunk's function with the table at the bottom of the stack as its argument; one result.
void run_chunk(lua_State *L, const char *text) {
  if (luaL_loadbufferx(L, text, std::strlen(text), kLibraryName, "t") != LUA_OK) lua_error(L);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
}

void add_list(lua_State *L, const char *name) {
  lua_newtable(L);
  lua_setfield(L, 1, name);
}

}  // namespace

TestFile::TestFile(const std::string &path, bool update) : L_(luaL_newstate()) {
  if (!L_) throw std::runtime_error{"no memory for a state of Lua"};
  try {
    load(path, update);
  } catch (...) {
    lua_close(L_);
    throw;
  }
}

TestFile::~TestFile() { lua_close(L_); }

void TestFile::load(const std::string &path, bool update) {
  const auto slash = path.rfind('/');
  const auto directory = slash == path.npos ? std::string{} : path.substr(0, slash + 1);
  const auto why = protect(L_, [&](lua_State *L) {
    luaL_openlibs(L);
    lua_newtable(L);
    add_primitives(L);
    lua_pushcfunction(L, bound<make_directory>);
    lua_setfield(L, 1, "make_directory");
    push(L, directory);
    lua_setfield(L, 1, "directory");
    lua_pushboolean(L, update);
    lua_setfield(L, 1, "update");
    for (const auto *list : {"cases", "kept"}) add_list(L, list);
    run_chunk(L, kSessions);
    run_chunk(L, kKinds);
    run_chunk(L, kServers);
    run_chunk(L, kAssertions);
    run_ = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_settop(L, 1);
    if (luaL_loadfilex(L, path.c_str(), "t") != LUA_OK) lua_error(L);
    lua_call(L, 0, 0);
    lua_getfield(L, 1, "cases");
    const auto n = static_cast<lua_Integer>(lua_rawlen(L, -1));
    for (lua_Integer i = 1; i <= n; ++i) {
      lua_rawgeti(L, -1, i);
      lua_getfield(L, -1, "name");
      names_.emplace_back(text_at(L, -1, "the name"));
      lua_pop(L, 2);
    }
    lua_settop(L, 1);
    shared_ = luaL_ref(L, LUA_REGISTRYINDEX);
  });
  if (!why.empty()) throw std::runtime_error{why};
  if (names_.empty()) throw std::runtime_error{path + " has no test.case()"};
}

Failure TestFile::run(std::size_t number) {
  Failure failure;
  const auto why = protect(L_, [&](lua_State *L) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, run_);
    lua_rawgeti(L, LUA_REGISTRYINDEX, shared_);
    lua_getfield(L, -1, "cases");
    lua_rawgeti(L, -1, static_cast<lua_Integer>(number) + 1);
    lua_getfield(L, -1, "run");
    lua_insert(L, 2);
    lua_settop(L, 2);
    lua_call(L, 1, 2);
    if (lua_isnil(L, 1)) return;
    failure = {std::string{text_at(L, 1, "the error")}, std::string{text_at(L, 2, "the log")}};
  });
  if (!why.empty()) failure.why = why;
  return failure;
}

}  // namespace mansio::lua::tool
