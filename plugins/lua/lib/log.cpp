// mansio.log and mansio.metric: what a script tells its operator.
#include <string>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kCounter = "counter metric", *kGauge = "gauge metric";
struct Metric {
  std::uint32_t id;
};

// (text), or (format, ...) as string.format, which is the upvalue; see Call::log().
template <int level>
int log(lua_State *L) {
  if (lua_gettop(L) > 1) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
  }
  const auto text = text_at<"mansio.log.info">(L);
  auto &state = State::of(L);
  state.charge(L, 100 + text.size() / 16);
  if (const auto *const call = state.call())
    call->log(level, text);
  else if (const auto *const host = state.engine().host())
    host->log(level, text);
  return 0;
}

template <bool gauge>
int metric(lua_State *L) {
  const std::string name{text_at<"mansio.metric.counter">(L)}, help{text_at<"mansio.metric.counter", 2>(L)};
  const Metric made{State::of(L).engine().metric(name, help, gauge)};
  new_object<Metric>(L, gauge ? kGauge : kCounter, made);
  return 1;
}

int metric_add(lua_State *L) {
  const auto known = object_at<Metric>(L, 1, kCounter);
  const auto n = lua_isnoneornil(L, 2) ? 1 : integer_at<"counter metric:add">(L, 0, 1'000'000'000'000);
  if (const auto *host = State::of(L).engine().host()) host->add(known.id, n);
  return 0;
}

int metric_set(lua_State *L) {
  const auto known = object_at<Metric>(L, 1, kGauge);
  const auto n = integer_at<"gauge metric:set">(L, -1'000'000'000'000'000, 1'000'000'000'000'000);
  if (const auto *host = State::of(L).engine().host()) host->set(known.id, n);
  return 0;
}

template <int level>
void add_level(lua_State *L, const char *name) {
  lua_getglobal(L, "string");
  lua_getfield(L, -1, "format");
  lua_remove(L, -2);
  lua_pushcclosure(L, bound<log<level>>, 1);
  lua_setfield(L, -2, name);
}

}  // namespace

void add_log(lua_State *L) {
  add_level<MANSIO_LOG_DEBUG>(L, "debug");
  add_level<MANSIO_LOG_INFO>(L, "info");
  add_level<MANSIO_LOG_WARN>(L, "warn");
  add_level<MANSIO_LOG_ERROR>(L, "error");
}

void add_metric(lua_State *L) {
  static constexpr luaL_Reg kOfCounter[] = {{"add", bound<metric_add>}, {nullptr, nullptr}};
  static constexpr luaL_Reg kOfGauge[] = {{"set", bound<metric_set>}, {nullptr, nullptr}};
  make_type(L, kCounter, kOfCounter, nullptr);
  make_type(L, kGauge, kOfGauge, nullptr);
  static constexpr luaL_Reg kFunctions[] = {
      {"counter", bound<metric<false>>}, {"gauge", bound<metric<true>>}, {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

}  // namespace mansio::lua
