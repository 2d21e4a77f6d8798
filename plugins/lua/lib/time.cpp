// mansio.time: clocks and their texts, and the options of mansio.memoize, which are about time.
#include <time.h>

#include <cmath>
#include <string>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

constexpr std::int64_t kLastSecond = 253402300799;  // the last second of the year 9999

int now(lua_State *L) {
  lua_pushnumber(L, static_cast<lua_Number>(State::of(L).engine().wall()) / 1e9);
  return 1;
}

int monotonic(lua_State *L) {
  lua_pushnumber(L, static_cast<lua_Number>(State::of(L).engine().monotonic()) / 1e9);
  return 1;
}

// The argument, or now.
struct tm utc_at(lua_State *L) {
  time_t seconds = State::of(L).engine().wall() / 1'000'000'000;
  if (!lua_isnoneornil(L, 1)) {
    const auto given = lua_isnumber(L, 1) ? std::floor(lua_tonumber(L, 1)) : -1.0;
    if (!(given >= 0 && given <= static_cast<double>(kLastSecond)))
      throw ScriptError{"expected seconds since 1970 for the time"};
    seconds = static_cast<time_t>(given);
  }
  struct tm parts {};
  ::gmtime_r(&seconds, &parts);
  return parts;
}

// "2026-01-31T12:00:00Z"
int iso(lua_State *L) {
  const auto parts = utc_at(L);
  char text[64];
  push(L, {text, ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)});
  return 1;
}

// As header fields have it: "Sat, 31 Jan 2026 12:00:00 +0000". Names by hand: strftime() asks the locale.
int rfc5322(lua_State *L) {
  static constexpr const char *kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char *kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto parts = utc_at(L);
  char rest[64];
  const auto n = ::strftime(rest, sizeof rest, " %Y %H:%M:%S +0000", &parts);
  push(L, std::string{kDays[parts.tm_wday]} + ", " + std::to_string(parts.tm_mday) + ' ' + kMonths[parts.tm_mon] +
              std::string{rest, n});
  return 1;
}

// mansio.time.seconds("5m"): 300
int seconds(lua_State *L) {
  lua_pushnumber(L, static_cast<lua_Number>(duration_at<"mansio.time.seconds">(L)) / 1e9);
  return 1;
}

// Of the prelude: (settings or nil) -> ttl in seconds, number of entries.
int memoize_options(lua_State *L) {
  std::int64_t ttl = 60'000'000'000, size = 10000;
  if (!lua_isnoneornil(L, 1)) {
    expect_table(L, 1, "the options");
    only_fields(L, 1, "mansio.memoize", kMemoizeOptions);
    if (lua_getfield(L, 1, "ttl") != LUA_TNIL) ttl = duration_at(L, -1, "ttl");
    if (lua_getfield(L, 1, "size") != LUA_TNIL) size = integer_at(L, -1, "size", 1, 10'000'000);
  }
  lua_pushnumber(L, static_cast<lua_Number>(ttl) / 1e9);
  lua_pushinteger(L, size);
  return 2;
}

}  // namespace

void add_time(lua_State *L) {
  static constexpr luaL_Reg kFunctions[] = {{"now", bound<now>},         {"monotonic", bound<monotonic>},
                                            {"iso", bound<iso>},         {"rfc5322", bound<rfc5322>},
                                            {"seconds", bound<seconds>}, {"memoize_options", bound<memoize_options>},
                                            {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

}  // namespace mansio::lua
