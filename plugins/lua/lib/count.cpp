// mansio.counter, mansio.window and mansio.rate: numbers that all processes of the instance share, and the ones of the
// next configuration. The host counts; here is what scripts may ask it for. Without a host, while a script is checked,
// nothing is counted: whatever is asked is the first of its kind.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/duration.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kWindowType = "window", *kRateType = "rate";
constexpr std::int64_t kHundredYears = 36'500 * std::int64_t{86'400} * 1'000'000'000;

struct WindowReference {
  const WindowOf *of;  // the engine's, which outlives every state
};
struct RateReference {
  const RateOf *of;  // the same
};

const plugin::Numbers *numbers_of(lua_State *L) { return State::of(L).engine().numbers(); }

template <FunctionName F>
std::string name_at(lua_State *L, const char *what) {
  constexpr std::size_t kLongestNumberName = 128;
  const auto name = text_at<F>(L);
  if (name.empty() || name.size() > kLongestNumberName)
    throw ScriptError{std::string{"the name of a "} + what + " has 1 to 128 octets"};
  return std::string{name};
}

// Strangers choose keys; a long one takes its time.
template <FunctionName F>
std::string_view key_at(lua_State *L) {
  constexpr std::size_t kLong = 256;
  const auto key = text_at<F>(L);
  if (key.size() > kLong) State::of(L).charge(L, 100 + key.size() / 4);
  return key;
}

// mansio.counter.add(name [, n]): the new value.
int counter_add(lua_State *L) {
  const auto name = name_at<"mansio.counter.add">(L, "counter");
  const auto n =
      lua_isnoneornil(L, 2) ? 1 : integer_at<"mansio.counter.add", 2>(L, -1'000'000'000'000, 1'000'000'000'000);
  const auto *const numbers = numbers_of(L);
  const auto value = numbers ? numbers->add(name, n) : std::optional<std::int64_t>(n);
  if (!value) throw ScriptError{"there are too many counters; mansio.window() is for names that strangers choose"};
  lua_pushinteger(L, *value);
  return 1;
}

int counter_get(lua_State *L) {
  const auto name = name_at<"mansio.counter.get">(L, "counter");
  const auto *const numbers = numbers_of(L);
  lua_pushinteger(L, numbers ? numbers->read(name) : 0);
  return 1;
}

// mansio.window(name, length)
int window(lua_State *L) {
  const auto name = name_at<"mansio.window">(L, "window");
  const auto length = duration_at<"mansio.window", 2>(L);
  if (length < 1'000'000) throw ScriptError{"the length is too short, expected 1ms or more"};
  if (length > kHundredYears) throw ScriptError{"the length is more than a hundred years"};
  const auto *const found = State::of(L).engine().window(name, length);
  if (!found) throw ScriptError{"the window \"" + name + "\" has another length elsewhere"};
  new_object<WindowReference>(L, kWindowType, WindowReference{found});
  return 1;
}

int window_add(lua_State *L) {
  const auto &of = *object_at<WindowReference>(L, 1, kWindowType).of;
  const auto key = key_at<"window:add">(L);
  const auto n = lua_isnoneornil(L, 3) ? 1 : integer_at<"window:add", 2>(L, 0, 1'000'000'000);
  const auto *const numbers = numbers_of(L);
  lua_pushnumber(L, numbers ? numbers->add_to_window(of.name, of.length, key, static_cast<std::uint64_t>(n))
                            : static_cast<lua_Number>(n));
  return 1;
}

int window_count(lua_State *L) {
  const auto &of = *object_at<WindowReference>(L, 1, kWindowType).of;
  const auto key = key_at<"window:count">(L);
  const auto *const numbers = numbers_of(L);
  lua_pushnumber(L, numbers ? numbers->count_in_window(of.name, of.length, key) : 0);
  return 1;
}

struct ParsedRate {
  std::int64_t number = 0, time = 0;  // so many in so many ns
};

// "100/m", "10/s", "500/15m", as rates of the configuration.
std::optional<ParsedRate> parse_rate(std::string_view text) {
  constexpr std::int64_t kMost = 1'000'000'000;
  ParsedRate rate;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rate.number);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (error != std::errc{} || rate.number < 1 || rate.number > kMost || !text.starts_with('/')) return std::nullopt;
  text.remove_prefix(1);
  const bool unit = !text.empty() && (text.front() < '0' || text.front() > '9');
  const auto time = parse_duration((unit ? "1" : "") + std::string{text});
  if (!time || *time < 1) return std::nullopt;
  rate.time = *time;
  return rate;
}

// mansio.rate(name, "100/m" [, {burst =}])
int rate(lua_State *L) {
  const auto name = name_at<"mansio.rate">(L, "rate");
  const auto text = text_at<"mansio.rate", 2>(L);
  const auto of = parse_rate(text);
  if (!of)
    throw ScriptError{"the rate is \"" + std::string{text} + "\", expected one such as \"100/m\" or \"500/15m\""};
  auto burst = of->number;
  if (!lua_isnoneornil(L, 3)) {
    expect_table<"mansio.rate", 3>(L);
    only_fields(L, 3, "mansio.rate", kRateOptions);
    if (lua_getfield(L, 3, "burst") != LUA_TNIL) burst = integer_at(L, -1, "burst", 1, 1'000'000'000);
    lua_pop(L, 1);
  }
  const auto interval = of->time / of->number;
  if (interval < 1 || burst > kHundredYears / interval)
    throw ScriptError{"the rate \"" + std::string{text} + "\" with a burst of " + std::to_string(burst) +
                      " cannot be kept: it is more than one a nanosecond, or takes a hundred years to fill"};
  const auto *const found = State::of(L).engine().rate(name, interval, burst);
  if (!found) throw ScriptError{"the rate \"" + name + "\" is another one elsewhere"};
  new_object<RateReference>(L, kRateType, RateReference{found});
  return 1;
}

// rate:take(key [, n]): true; or false, and the seconds until there are so many.
int rate_take(lua_State *L) {
  const auto &of = *object_at<RateReference>(L, 1, kRateType).of;
  const auto key = key_at<"rate:take">(L);
  const auto n = lua_isnoneornil(L, 3) ? 1 : integer_at<"rate:take", 2>(L, 0, of.burst);
  const auto *const numbers = numbers_of(L);
  // What the host cannot count is given.
  const auto wait = numbers ? std::max<std::int64_t>(numbers->take(of.name, of.interval, of.burst, key, n), 0) : 0;
  lua_pushboolean(L, wait == 0);
  if (wait == 0) return 1;
  lua_pushnumber(L, static_cast<lua_Number>(wait) / 1e9);
  return 2;
}

int rate_free(lua_State *L) {
  const auto &of = *object_at<RateReference>(L, 1, kRateType).of;
  const auto key = key_at<"rate:free">(L);
  const auto *const numbers = numbers_of(L);
  lua_pushinteger(L, numbers ? numbers->available(of.name, of.interval, of.burst, key) : of.burst);
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

void add_rate(lua_State *L) {
  static constexpr luaL_Reg kMethods[] = {{"take", bound<rate_take>}, {"free", bound<rate_free>}, {nullptr, nullptr}};
  make_type(L, kRateType, kMethods, nullptr);
  lua_pushcfunction(L, bound<rate>);
  lua_setfield(L, -2, "rate");
}

}  // namespace mansio::lua
