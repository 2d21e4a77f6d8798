#include "plugins/lua/lookup.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/declarations.hpp"

namespace mansio::lua {

int LookupWork::push(lua_State *L, Call &) {
  lua::push(L, request_.key);
  lua::push(L, request_.table);
  return 2;
}

namespace {

// The second value, taken off: how long the first one is good, as the host has it: in ns, 0 for as it is configured,
// less for not at all. What is no table is a value too many, such as the one that string.gsub returns.
std::int64_t take_ttl(lua_State *L) {
  std::int64_t ttl = 0;
  if (lua_istable(L, -1)) {
    only_fields(L, -1, "the answer", kAnswerOptions);
    if (lua_getfield(L, -1, "ttl") != LUA_TNIL) {
      ttl = duration_at(L, -1, "ttl");
      if (ttl == 0) ttl = -1;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return ttl;
}

}  // namespace

plugin::Reply LookupWork::result(lua_State *L, Call &call) {
  const auto ttl = take_ttl(L);
  auto reply = answer(L, call);
  if (ttl != 0) reply.ttl(ttl);
  return reply;
}

plugin::Reply LookupWork::answer(lua_State *L, Call &call) const {
  const auto wrong = [&](const std::string &got) {
    return ScriptError{call.place(L) + ": the lookup returned " + got + ", expected " +
                       std::string{expected_of("lookup.lookup")}};
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
