// mansio.counter and mansio.window: numbers that all states of the process share, and nobody else.
#include <openssl/evp.h>

#include <string>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/lib/hex.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/lib/window.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kWindowType = "window";
struct WindowReference {
  Window *window;  // the engine's, which outlives every state
};

// mansio.counter.add(name [, n]): the new value.
int counter_add(lua_State *L) {
  const std::string name{text_at(L, 1, "the name")};
  const auto n = lua_isnoneornil(L, 2) ? 1 : integer_at(L, 2, "the number", -1'000'000'000'000, 1'000'000'000'000);
  auto &value = State::of(L).engine().counter(name);
  value = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) + static_cast<std::uint64_t>(n));
  lua_pushinteger(L, value);
  return 1;
}

int counter_get(lua_State *L) {
  lua_pushinteger(L, State::of(L).engine().counter_value(std::string{text_at(L, 1, "the name")}));
  return 1;
}

// mansio.window(name, length)
int window(lua_State *L) {
  const std::string name{text_at(L, 1, "the name")};
  const auto length = duration_at(L, 2, "the length");
  if (length < 1'000'000) throw ScriptError{"the length is too short, expected 1ms or more"};
  auto *found = State::of(L).engine().window(name, length);
  if (!found) throw ScriptError{"the window \"" + name + "\" has another length elsewhere"};
  new_object<WindowReference>(L, kWindowType, WindowReference{found});
  return 1;
}

// Strangers choose keys: of a long one its hash is kept, so that many do not become much.
std::string key_at(lua_State *L, int index) {
  constexpr std::size_t kLongestKey = 256;
  const auto key = text_at(L, index, "the key");
  if (key.size() <= kLongestKey) return std::string{key};
  State::of(L).charge(L, 100 + key.size() / 4);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  if (::EVP_Digest(key.data(), key.size(), digest, &n, ::EVP_sha256(), nullptr) != 1)
    throw ScriptError{"OpenSSL does not offer SHA-256, which long keys need"};
  return "sha256:" + hex({reinterpret_cast<const char *>(digest), n});
}

int window_add(lua_State *L) {
  auto &counts = *object_at<WindowReference>(L, 1, kWindowType).window;
  const auto key = key_at(L, 2);
  const auto n = lua_isnoneornil(L, 3) ? 1 : integer_at(L, 3, "the number", 0, 1'000'000'000);
  lua_pushnumber(L, counts.add(key, static_cast<double>(n), State::of(L).engine().monotonic()));
  return 1;
}

int window_count(lua_State *L) {
  const auto &counts = *object_at<WindowReference>(L, 1, kWindowType).window;
  lua_pushnumber(L, counts.count(key_at(L, 2), State::of(L).engine().monotonic()));
  return 1;
}

}  // namespace

void add_counter(lua_State *L) {
  static constexpr luaL_Reg kFunctions[] = {
      {"add", bound<counter_add>}, {"get", bound<counter_get>}, {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

void add_window(lua_State *L) {
  static constexpr luaL_Reg kMethods[] = {
      {"add", bound<window_add>}, {"count", bound<window_count>}, {nullptr, nullptr}};
  make_type(L, kWindowType, kMethods, nullptr);
  lua_pushcfunction(L, bound<window>);
  lua_setfield(L, -2, "window");
}

}  // namespace mansio::lua
