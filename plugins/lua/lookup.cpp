#include "plugins/lua/lookup.hpp"

#include <string>
#include <vector>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"

namespace mansio::lua {

int LookupWork::push(lua_State *L, Call &) {
  lua::push(L, request_.key);
  lua::push(L, request_.table);
  return 2;
}

plugin::Reply LookupWork::result(lua_State *L, Call &call) {
  const auto wrong = [&](const std::string &got) {
    return ScriptError{call.place(L) + ": the lookup returned " + got +
                       ", expected a text, a list of texts, nil for \"not found\", or mansio.defer(\"why\")"};
  };
  if (lua_isnil(L, -1)) return plugin::not_found();
  if (lua_isstring(L, -1)) return plugin::found(std::string{text_at(L, -1, "the value")});
  if (const auto verdict = verdict_at(L, -1)) {
    if (verdict->kind != VerdictKind::Defer || !verdict->of_handlers())
      throw wrong("a verdict that is no mansio.defer() for lookups");
    return plugin::defer(verdict->text);
  }
  if (!lua_istable(L, -1)) throw wrong(type_name(L, -1));
  std::vector<std::string> values;
  const auto n = lua_rawlen(L, -1);
  for (lua_Unsigned i = 1; i <= n; ++i) {
    if (lua_rawgeti(L, -1, static_cast<lua_Integer>(i)) != LUA_TSTRING && !lua_isnumber(L, -1))
      throw wrong("a list with " + type_name(L, -1) + " in it");
    values.emplace_back(text_at(L, -1, "a value"));
    lua_pop(L, 1);
  }
  return plugin::found_all(std::move(values));
}

std::optional<plugin::Reply> LookupWork::thrown(const Verdict &verdict) {
  if (verdict.kind != VerdictKind::Defer || !verdict.of_handlers()) return std::nullopt;
  return plugin::defer(verdict.text);
}

}  // namespace mansio::lua
