// mansio.config and mansio.option(): what the configuration sets for a script of its own, by its options `settings` and
// `secrets`.
//
// mansio.config is a value without fields, so that nothing can be written there; behind it lies a strict table of what
// is set and declared, which the check of a script's functions looks into.
#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/duration.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/names.hpp"
#include "plugins/lua/registration.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kConfigName = "mansio.config";
const char kSettingValues = 0;   // its address is where the registry has the table of values
constexpr int kOptionTable = 2;  // the index of what mansio.option() gets beside the name

enum class SettingType { Text, Integer, Number, Boolean, Time, List };
static_assert(kOptionTypes.size() == static_cast<std::size_t>(SettingType::List) + 1);

std::string setting_named(const std::string &name) { return "the setting \"" + name + '"'; }

SettingType type_field(lua_State *L) {
  auto type = SettingType::Text;
  if (lua_getfield(L, kOptionTable, "type") != LUA_TNIL) {
    const auto name = text_at(L, -1, "type");
    const auto found = std::find(kOptionTypes.begin(), kOptionTypes.end(), name);
    if (found == kOptionTypes.end())
      throw ScriptError{"there is no type \"" + std::string{name} + "\" of options" +
                        did_you_mean_or(name, kOptionTypes)};
    type = static_cast<SettingType>(found - kOptionTypes.begin());
  }
  lua_pop(L, 1);
  return type;
}

bool has_default(lua_State *L) {
  const bool there = lua_getfield(L, kOptionTable, "default") != LUA_TNIL;
  lua_pop(L, 1);
  return there;
}

// Pushes the field `default`, which is of that type; a time in seconds. What has none is false, a list without
// elements.
void push_default(lua_State *L, SettingType type) {
  const auto refuse = [&](const char *expected) {
    throw ScriptError{std::string{"expected "} + expected + " for default, got " + type_name(L, -1)};
  };
  if (lua_getfield(L, kOptionTable, "default") == LUA_TNIL) {
    lua_pop(L, 1);
    if (type == SettingType::List)
      lua_newtable(L);
    else
      lua_pushboolean(L, 0);
    return;
  }
  switch (type) {
    case SettingType::Text:
      if (lua_type(L, -1) != LUA_TSTRING) refuse("text");
      return;
    case SettingType::Integer:
      if (!lua_isinteger(L, -1)) refuse("an integer");
      return;
    case SettingType::Number:
      if (lua_type(L, -1) != LUA_TNUMBER) refuse("a number");
      return;
    case SettingType::Boolean:
      if (!lua_isboolean(L, -1)) refuse("true or false");
      return;
    case SettingType::Time: {
      const auto time = duration_at(L, -1, "default");
      lua_pop(L, 1);
      lua_pushnumber(L, static_cast<lua_Number>(time) / 1e9);
      return;
    }
    case SettingType::List:
      if (!lua_istable(L, -1)) refuse("a table");
      return;
  }
}

[[noreturn]] void unfit(const Setting &setting, const std::string &expected) {
  throw ScriptError{setting_named(setting.name) +
                    (setting.secret ? " of secrets is not as it should be" : " is \"" + setting.value + '"') +
                    ", expected " + expected};
}

// Pushes what is set, as that type.
void push_setting(lua_State *L, const Setting &setting, SettingType type) {
  const auto &text = setting.value;
  switch (type) {
    case SettingType::Text:
    case SettingType::List:
      push(L, text);
      return;
    case SettingType::Integer: {
      lua_Integer value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (text.empty() || error != std::errc{} || end != text.data() + text.size()) unfit(setting, "an integer");
      lua_pushinteger(L, value);
      return;
    }
    case SettingType::Number:
      if (lua_stringtonumber(L, text.c_str()) != text.size() + 1) unfit(setting, "a number");
      return;
    case SettingType::Boolean:
      if (text != "true" && text != "false") unfit(setting, "true or false");
      lua_pushboolean(L, text == "true");
      return;
    case SettingType::Time: {
      const auto time = parse_duration(text);
      if (!time) unfit(setting, "a time such as \"5s\"");
      lua_pushnumber(L, static_cast<lua_Number>(*time) / 1e9);
      return;
    }
  }
}

std::vector<const Setting *> settings_named(const State &state, const std::string &name) {
  std::vector<const Setting *> found;
  for (const auto &setting : state.engine().settings().own)
    if (setting.name == name) found.push_back(&setting);
  return found;
}

void push_given(lua_State *L, const std::vector<const Setting *> &given, const std::string &name, SettingType type) {
  if (type != SettingType::List) {
    if (given.size() > 1)
      throw ScriptError{setting_named(name) + " is given " + std::to_string(given.size()) + " times, expected once"};
    return push_setting(L, *given.front(), type);
  }
  lua_createtable(L, static_cast<int>(given.size()), 0);
  for (std::size_t i = 0; i < given.size(); ++i) {
    push_setting(L, *given[i], type);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i) + 1);
  }
}

// mansio.option(name [, {type =, default =, required =, description =}]): declares a setting, and returns its value.
int declare_option(lua_State *L) {
  auto &state = loading_state(L, "mansio.option");
  const std::string name{text_at<"mansio.option">(L)};
  if (!is_setting_name(name))
    throw ScriptError{'"' + name + "\" is no name of a setting, expected letters, digits and _"};
  lua_settop(L, kOptionTable);
  if (lua_isnil(L, kOptionTable)) {
    lua_newtable(L);
    lua_replace(L, kOptionTable);
  }
  expect_table<"mansio.option", 2>(L);
  only_fields(L, kOptionTable, "mansio.option", kOptionFields);
  const auto type = type_field(L);
  const bool required = flag_field(L, kOptionTable, "required");
  const auto description = text_field(L, kOptionTable, "description");
  const auto given = settings_named(state, name);
  if (required && has_default(L)) throw ScriptError{"what is required has no default: \"" + name + '"'};
  if (required && given.empty())
    throw ScriptError{setting_named(name) + (description.empty() ? "" : " (" + description + ')') +
                      " is not given, and the script needs it: settings or secrets of the configuration set it"};
  if (!state.declare_option(name)) throw ScriptError{"the option \"" + name + "\" is declared twice"};
  push_default(L, type);
  if (!given.empty()) {
    lua_pop(L, 1);
    push_given(L, given, name, type);
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kSettingValues);
  push(L, name);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return 1;
}

int cannot_be_set(lua_State *L) {
  throw ScriptError{std::string{kConfigName} + " cannot be changed: \"" +
                    (lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : type_name(L, 2)) + '"'};
}

}  // namespace

void add_config(lua_State *L) {
  lua_pushcfunction(L, bound<declare_option>);
  lua_setfield(L, -2, "option");
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 4);
  lua_newtable(L);
  for (const auto &setting : State::of(L).engine().settings().own) {
    push(L, setting.value);
    lua_setfield(L, -2, setting.name.c_str());
  }
  make_strict(L, kConfigName);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kSettingValues);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, bound<cannot_be_set>);
  lua_setfield(L, -2, "__newindex");
  lua_pushstring(L, kConfigName);
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, "config");
}

std::string stray_setting(const State &state) {
  for (const auto &setting : state.engine().settings().own) {
    if (state.declared_options().contains(setting.name)) continue;
    if (settings_named(state, setting.name).size() > 1)
      return setting_named(setting.name) +
             " is given more than once, which is for what the script declares as a list: mansio.option(\"" +
             setting.name + "\", {type = \"list\"})";
    if (state.declared_options().empty()) continue;
    const std::vector<std::string_view> known{state.declared_options().begin(), state.declared_options().end()};
    return "the configuration has " + setting_named(setting.name) + ", which the script does not declare" +
           did_you_mean_or(setting.name, known);
  }
  return {};
}

}  // namespace mansio::lua
