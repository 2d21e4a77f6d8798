#include "plugins/lua/registration.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/names.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

State &loading_state(lua_State *L, const char *what) {
  auto &state = State::of(L);
  if (!state.loading()) throw ScriptError{std::string{what} + " works while the script is loaded, and not in handlers"};
  return state;
}

std::uint32_t stage_named(std::string_view name) {
  for (const auto &event : kEvents)
    if (event.name == name) return event.stage;
  std::vector<std::string_view> names;
  for (const auto &event : kEvents) names.push_back(event.name);
  throw ScriptError{"there is no event \"" + std::string{name} + '"' + did_you_mean(name, names)};
}

OnError on_error_named(std::string_view name) {
  const auto found = std::find(kOnErrors.begin(), kOnErrors.end(), name);
  if (found == kOnErrors.end())
    throw ScriptError{"on_error is \"" + std::string{name} + "\", expected fail, defer or accept" +
                      did_you_mean(name, kOnErrors)};
  return static_cast<OnError>(found - kOnErrors.begin());
}

// mansio.on(event, [options,] function)
int on(lua_State *L) {
  auto &state = loading_state(L, "mansio.on");
  const auto stage = stage_named(text_at(L, 1, "the event"));
  Handler handler;
  const int function = lua_isfunction(L, 2) ? 2 : 3;
  if (function == 3) {
    expect_table(L, 2, "the options");
    only_fields(L, 2, "mansio.on", kOnOptions);
    if (lua_getfield(L, 2, "timeout") != LUA_TNIL) handler.timeout = duration_at(L, -1, "timeout");
    if (lua_getfield(L, 2, "on_error") != LUA_TNIL) handler.on_error = on_error_named(text_at(L, -1, "on_error"));
    lua_pop(L, 2);
  }
  expect_function(L, function, "the handler");
  lua_pushvalue(L, function);
  handler.function = luaL_ref(L, LUA_REGISTRYINDEX);
  state.add_handler(stage, handler);
  return 0;
}

// mansio.provide("lookup", name, {lookup = function(key, table) ... end})
// mansio.provide("transport", name, {deliver = function(delivery) ... end})
int provide(lua_State *L) {
  auto &state = loading_state(L, "mansio.provide");
  const auto kind = text_at(L, 1, "the kind");
  if (std::find(kProvideKinds.begin(), kProvideKinds.end(), kind) == kProvideKinds.end())
    throw ScriptError{"a script cannot provide a \"" + std::string{kind} + "\", only a lookup or a transport" +
                      did_you_mean(kind, kProvideKinds)};
  const bool transport = kind == "transport";
  const std::string name{text_at(L, 2, transport ? "the transport's name" : "the table's name")};
  expect_table(L, 3, "the object");
  if (transport)
    only_fields(L, 3, "mansio.provide", kTransportFields);
  else
    only_fields(L, 3, "mansio.provide", kLookupFields);
  lua_getfield(L, 3, transport ? "deliver" : "lookup");
  expect_function(L, -1, transport ? "its field deliver" : "its field lookup");
  const int function = luaL_ref(L, LUA_REGISTRYINDEX);
  if (!(transport ? state.add_transport(name, function) : state.add_lookup(name, function)))
    throw ScriptError{"the " + std::string{kind} + " \"" + name + "\" is provided twice"};
  return 0;
}

}  // namespace

void add_registration(lua_State *L) {
  static constexpr luaL_Reg kFunctions[] = {{"on", bound<on>}, {"provide", bound<provide>}, {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

}  // namespace mansio::lua
