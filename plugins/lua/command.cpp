#include "plugins/lua/command.hpp"

#include <string_view>

#include "mansio/command.hpp"
#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/declare/results.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/registration.hpp"

namespace mansio::lua {
namespace {

// As the host has them.
bool is_command(std::string_view name) {
  constexpr std::size_t kLongest = 64;
  return !name.empty() && name.size() <= kLongest && name.front() != '-' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == name.npos;
}

std::optional<plugin::Reply> failure(const Verdict &verdict) {
  if (!verdict.refuses() || !verdict.of_handlers()) return std::nullopt;
  return plugin::command_failed(verdict.text);
}

// mansio.command(name, help, function)
int command(lua_State *L) {
  auto &state = loading_state(L, "mansio.command");
  const std::string name{text_at<"mansio.command">(L)}, help{text_at<"mansio.command", 2>(L)};
  if (!is_command(name))
    throw ScriptError{"the command is \"" + name +
                      "\", expected a name of 1 to 64 of a to z, 0 to 9, _ and -, such as \"forget\""};
  expect_function<"mansio.command", 3>(L);
  lua_pushvalue(L, 3);
  if (!state.add_command(name, luaL_ref(L, LUA_REGISTRYINDEX)))
    throw ScriptError{"the command \"" + name + "\" is there already"};
  state.engine().offer_command(name, help);
  return 0;
}

}  // namespace

int CommandWork::push(lua_State *L, Call &call) {
  const auto n = static_cast<int>(arguments_.size());
  luaL_checkstack(L, n, "too many arguments");
  for (const auto &argument : arguments_) {
    call.state().charge(L, 10 + argument.size() / 16);
    lua::push(L, argument);
  }
  return n;
}

plugin::Reply CommandWork::result(lua_State *L, Call &call) {
  const auto wrong = [&](const std::string &got) {
    return ScriptError{call.place(L) + ": the command returned " + got + ", expected " +
                       std::string{expected_of("command")}};
  };
  if (lua_isnil(L, -1)) return plugin::command_done();
  if (lua_isstring(L, -1)) return plugin::command_done(std::string{text_at(L, -1, "the answer")});
  if (const auto verdict = verdict_at(L, -1)) {
    const auto failed = failure(*verdict);
    if (!failed) throw wrong("a result that is no mansio.reject() or defer() for commands");
    return *failed;
  }
  if (!lua_istable(L, -1)) throw wrong(type_name(L, -1));
  std::vector<std::string> lines;
  const auto n = lua_rawlen(L, -1);
  call.state().charge(L, 10 * n);
  for (lua_Unsigned i = 1; i <= n; ++i) {
    if (lua_rawgeti(L, -1, static_cast<lua_Integer>(i)) != LUA_TSTRING && !lua_isnumber(L, -1))
      throw wrong("a list with " + type_name(L, -1) + " in it");
    lines.emplace_back(text_at(L, -1, "a line"));
    lua_pop(L, 1);
  }
  return plugin::command_done({}, std::move(lines));
}

std::optional<plugin::Reply> CommandWork::thrown(const Verdict &verdict) { return failure(verdict); }

void add_command(lua_State *L) {
  static constexpr luaL_Reg kFunctions[] = {{"command", bound<command>}, {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

}  // namespace mansio::lua
