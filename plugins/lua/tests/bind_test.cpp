// What bindings rely on: errors and yields of Lua are exceptions of C++, and what a binding holds is let go of by them.
#include "plugins/lua/bind.hpp"

#include <gmock/gmock.h>

#include <memory>

namespace mansio::lua::testing {
namespace {

using ::testing::HasSubstr;

int held = 0;  // objects of bindings below that are alive

struct Held {
  Held() { ++held; }
  ~Held() { --held; }
  Held(const Held &) = delete;
  Held &operator=(const Held &) = delete;
};

int ends_in_an_error(lua_State *L) {
  const Held one, two;
  lua_pushinteger(L, held);
  return lua_error(L);
}
int calls_what_ends_in_an_error(lua_State *L) {
  const Held outer;
  lua_pushcfunction(L, bound<ends_in_an_error>);
  lua_call(L, 0, 0);
  return 0;
}
int throws(lua_State *) {
  const Held one;
  throw ScriptError{"as asked"};
}
int yields(lua_State *L) {
  const Held one;
  return lua_yield(L, 0);
}

struct Bindings : ::testing::Test {
  Bindings() : lua(luaL_newstate(), lua_close) { held = 0; }
  const std::unique_ptr<lua_State, void (*)(lua_State *)> lua;
};

TEST_F(Bindings, LetGoOfWhatTheyHoldWhenTheyEndInAnErrorOfLua) {
  auto *const L = lua.get();
  lua_pushcfunction(L, bound<calls_what_ends_in_an_error>);
  EXPECT_EQ(lua_pcall(L, 0, 0, 0), LUA_ERRRUN);
  EXPECT_EQ(lua_tointeger(L, -1), 3);  // that many there were
  EXPECT_EQ(held, 0);
}

TEST_F(Bindings, LetGoOfWhatTheyHoldWhenTheyThrow) {
  auto *const L = lua.get();
  lua_pushcfunction(L, bound<throws>);
  EXPECT_EQ(lua_pcall(L, 0, 0, 0), LUA_ERRRUN);
  EXPECT_THAT(lua_tostring(L, -1), HasSubstr("as asked"));
  EXPECT_EQ(held, 0);
}

TEST_F(Bindings, LetGoOfWhatTheyHoldWhenTheyYield) {
  auto *const thread = lua_newthread(lua.get());
  lua_pushcfunction(thread, bound<yields>);
  int results = 0;
  EXPECT_EQ(lua_resume(thread, nullptr, 0, &results), LUA_YIELD);
  EXPECT_EQ(held, 0);
}

}  // namespace
}  // namespace mansio::lua::testing
