// A Lua source as the check of scripts reads it. It takes any bytes; what Lua accepts it accepts, unless that is too
// deep; and what it finds lies where it may.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "plugins/lua/check/source.hpp"
#include "plugins/lua/lua_api.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::lua_source {

bool is_lua(std::string_view text) {
  lua_State *const L = luaL_newstate();
  require(L != nullptr);
  const int status = luaL_loadbufferx(L, text.data(), text.size(), "=text", "t");
  lua_close(L);
  return status == LUA_OK;
}

void look_at(const lua::Source &source) {
  const auto n = source.expressions.size();
  for (lua::Index i = 0; i < n; ++i) {
    const auto &e = source.expressions[i];
    require(e.depth <= lua::kDeepestExpression);
    // What an expression consists of stands before it.
    require((e.first == lua::kNone || e.first < i) && (e.second == lua::kNone || e.second < i));
    for (const auto child : e.list) require(child < i);
    for (const auto key : e.keys) require(key == lua::kNone || key < i);
    if (e.kind == lua::ExpressionKind::Table) require(e.keys.size() == e.list.size());
    if (e.kind == lua::ExpressionKind::Local) require(e.local < source.locals.size());
    if (e.kind == lua::ExpressionKind::Function) require(e.function < source.functions.size());
  }
  for (const auto &step : source.steps) require(step.expression < n);
  for (const auto &local : source.locals) require((local.value == lua::kNone || local.value < n));
  for (const auto &function : source.functions) {
    for (const auto parameter : function.parameters) require(parameter < source.locals.size());
    for (const auto value : function.returned) require(value < n);
  }
}

MANSIO_FUZZ_TARGET("lua-source-fuzz", data, size) {
  constexpr std::size_t kShort = 1900;  // too short to be too deep
  const std::string_view text{reinterpret_cast<const char *>(data), size};
  const auto source = lua::parse_source(text);
  if (source) look_at(*source);
  if (!source && size < kShort) require(!is_lua(text));
  return 0;
}

}  // namespace mansio::fuzz::lua_source
