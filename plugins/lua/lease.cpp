// The questions of the queue for permits, as the script that owns the limit sees them.
#include "plugins/lua/lease.hpp"

#include <chrono>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/objects.hpp"

namespace mansio::lua {
namespace {

plugin::Reply lease_reply(const Verdict &verdict) {
  if (verdict.kind == VerdictKind::Defer) return plugin::defer(verdict.text);
  return plugin::permits(verdict.permits, std::chrono::nanoseconds{verdict.ttl},
                         std::chrono::nanoseconds{verdict.retry});
}

}  // namespace

int LeaseWork::push(lua_State *L, Call &) {
  lua_createtable(L, 0, static_cast<int>(kLeaseFields.size()));
  lua::push(L, request_.limit);
  lua_setfield(L, -2, "limit");
  lua::push(L, request_.key);
  lua_setfield(L, -2, "key");
  lua_pushinteger(L, request_.want);
  lua_setfield(L, -2, "want");
  lua_pushnumber(L, request_.per_second);
  lua_setfield(L, -2, "per_second");
  lua_pushinteger(L, request_.burst);
  lua_setfield(L, -2, "burst");
  luaL_setmetatable(L, kLeaseType);
  return 1;
}

plugin::Reply LeaseWork::result(lua_State *L, Call &call) {
  const auto verdict = verdict_at(L, -1);
  if (!verdict || !verdict->of_rates())
    throw ScriptError{call.place(L) + ": the lease returned " +
                      (verdict ? "a result that is for " + std::string{whose(*verdict)} : type_name(L, -1)) +
                      ", expected " + std::string{expected_of("rate.lease")}};
  return lease_reply(*verdict);
}

std::optional<plugin::Reply> LeaseWork::thrown(const Verdict &verdict) {
  if (!verdict.of_rates()) return std::nullopt;
  return lease_reply(verdict);
}

int UnusedWork::push(lua_State *L, Call &) {
  lua::push(L, limit_);
  lua::push(L, key_);
  lua_pushinteger(L, unused_);
  return 3;
}

}  // namespace mansio::lua
