#include "plugins/lua/registration.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/names.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

OnError on_error_named(std::string_view name) {
  const auto found = std::find(kOnErrors.begin(), kOnErrors.end(), name);
  if (found == kOnErrors.end())
    throw ScriptError{"on_error is \"" + std::string{name} + "\", expected fail, defer or accept" +
                      did_you_mean(name, kOnErrors)};
  return static_cast<OnError>(found - kOnErrors.begin());
}

[[noreturn]] void no_event(std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto &event : kEvents) names.push_back(event.name);
  for (const auto &event : kMessageEvents) names.push_back(event.name);
  names.push_back(kAbortEvent.name);
  throw ScriptError{"there is no event \"" + std::string{name} + '"' + did_you_mean_or(name, names)};
}

// mansio.on(event, [options,] function)
int on(lua_State *L) {
  auto &state = loading_state(L, "mansio.on");
  const auto name = text_at<"mansio.on">(L);
  const auto stage = std::find_if(kEvents.begin(), kEvents.end(), [&](const auto &e) { return e.name == name; });
  const auto told =
      std::find_if(kMessageEvents.begin(), kMessageEvents.end(), [&](const auto &e) { return e.name == name; });
  const bool asked = stage != kEvents.end();
  const bool aborted = name == kAbortEvent.name;
  if (!asked && !aborted && told == kMessageEvents.end()) no_event(name);
  Handler handler;
  const bool has_options = lua_istable(L, 2) || (!lua_isfunction(L, 2) && !lua_isnoneornil(L, 3));
  const int function = has_options ? 3 : 2;
  if (!lua_isnoneornil(L, function + 1))
    throw ScriptError{"there is a " + type_name(L, function + 1) +
                      " behind the handler, expected mansio.on(event, [options,] handler)"};
  if (has_options) {
    expect_table<"mansio.on", 2>(L);
    only_fields(L, 2, "mansio.on", kOnOptions);
    if (lua_getfield(L, 2, "on_error") != LUA_TNIL && !asked)
      throw ScriptError{"on_error is for events that wait for an answer: \"" + std::string{name} +
                        "\" has happened already"};
    lua_pop(L, 1);
    handler = handler_options(L, 2);
  }
  expect_function(L, function, "the handler");
  lua_pushvalue(L, function);
  handler.function = luaL_ref(L, LUA_REGISTRYINDEX);
  if (asked)
    state.add_handler(stage->stage, handler);
  else if (aborted)
    state.add_abort_handler(handler);
  else
    state.add_listener(told->event, handler);
  return 0;
}

}  // namespace

State &loading_state(lua_State *L, const char *what) {
  auto &state = State::of(L);
  if (!state.loading()) throw ScriptError{std::string{what} + " works while the script is loaded, and not in handlers"};
  return state;
}

Handler handler_options(lua_State *L, int index) {
  Handler handler;
  if (lua_getfield(L, index, "timeout") != LUA_TNIL) handler.timeout = duration_at(L, -1, "timeout");
  if (lua_getfield(L, index, "on_error") != LUA_TNIL) handler.on_error = on_error_named(text_at(L, -1, "on_error"));
  lua_pop(L, 2);
  return handler;
}

void add_registration(lua_State *L) {
  static constexpr luaL_Reg kFunctions[] = {{"on", bound<on>}, {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
  add_provide(L);
}

}  // namespace mansio::lua
