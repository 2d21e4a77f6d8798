// mansio.provide(kind, name, object): the object's fields are functions that the engine calls, for AUTH the names of
// mechanisms, and for filters options. What does not fit is an error with file and line, before anything runs.
#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/names.hpp"
#include "plugins/lua/registration.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

constexpr int kObject = 3;  // its index

bool has_field(lua_State *L, const char *name) {
  const bool there = lua_getfield(L, kObject, name) != LUA_TNIL;
  lua_pop(L, 1);
  return there;
}

int function_field(lua_State *L, const char *name) {
  lua_getfield(L, kObject, name);
  expect_function(L, -1, (std::string{"its field "} + name).c_str());
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

// RFC 4422 section 3.1.
bool is_mechanism(std::string_view name) {
  constexpr std::size_t kLongestMechanism = 20;
  return !name.empty() && name.size() <= kLongestMechanism &&
         name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == name.npos;
}

void check_mechanism(std::string_view name, bool for_check) {
  const auto quoted = '"' + std::string{name} + '"';
  if (for_check && std::find(kCheckedMechanisms.begin(), kCheckedMechanisms.end(), name) == kCheckedMechanisms.end())
    throw ScriptError{"check is for PLAIN and LOGIN, and " + quoted + " needs a function step" +
                      did_you_mean(name, kCheckedMechanisms)};
  if (!is_mechanism(name))
    throw ScriptError{quoted + " is no mechanism, expected up to 20 of A to Z, 0 to 9, - and _, such as \"PLAIN\""};
}

// The field `mechanisms`, separated by blanks.
std::string mechanisms_field(lua_State *L, bool for_check) {
  constexpr lua_Unsigned kMostMechanisms = 16;
  if (!has_field(L, "mechanisms")) {
    if (for_check) return "PLAIN LOGIN";
    throw ScriptError{"an auth with a function step has to say its mechanisms, such as {\"PLAIN\"}"};
  }
  std::string names;
  lua_getfield(L, kObject, "mechanisms");
  expect_table(L, -1, "its field mechanisms");
  const auto n = lua_rawlen(L, -1);
  if (n == 0 || n > kMostMechanisms)
    throw ScriptError{"its field mechanisms has " + std::to_string(n) + " names, expected 1 to 16"};
  for (lua_Unsigned i = 1; i <= n; ++i) {
    lua_rawgeti(L, -1, static_cast<lua_Integer>(i));
    const auto name = text_at(L, -1, "a mechanism");
    check_mechanism(name, for_check);
    names.append(names.empty() ? "" : " ").append(name);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return names;
}

Provided auth_object(lua_State *L) {
  Provided made;
  made.takes_passwords = has_field(L, "check");
  if (made.takes_passwords == has_field(L, "step"))
    throw ScriptError{std::string{"expected a function check (of a name and a password) or a function step, and the "
                                  "object has "} +
                      (made.takes_passwords ? "both" : "neither")};
  made.mechanisms = mechanisms_field(L, made.takes_passwords);
  made.function = function_field(L, made.takes_passwords ? "check" : "step");
  return made;
}

Provided filter_object(lua_State *L) {
  Provided made;
  const auto options = handler_options(L, kObject);
  for (const auto &event : kEvents) {
    const std::string name{event.name};
    if (!has_field(L, name.c_str())) continue;
    auto handler = options;
    handler.function = function_field(L, name.c_str());
    made.handlers.emplace_back(event.stage, handler);
  }
  if (const std::string name{kAbortEvent.name}; has_field(L, name.c_str())) {
    made.aborted = options;
    made.aborted.function = function_field(L, name.c_str());
  }
  if (made.handlers.empty()) throw ScriptError{"expected a function for one event or more, such as rcpt"};
  return made;
}

Provided object_of(lua_State *L, ProvideKind kind) {
  Provided made;
  switch (kind) {
    case ProvideKind::Lookup:
      only_fields(L, kObject, "mansio.provide", kLookupFields);
      made.function = function_field(L, "lookup");
      break;
    case ProvideKind::Transport:
      only_fields(L, kObject, "mansio.provide", kTransportFields);
      made.function = function_field(L, "deliver");
      break;
    case ProvideKind::Auth:
      only_fields(L, kObject, "mansio.provide", kAuthFields);
      return auth_object(L);
    case ProvideKind::Rate:
      only_fields(L, kObject, "mansio.provide", kRateFields);
      made.function = function_field(L, "lease");
      if (has_field(L, "give_back")) made.give_back = function_field(L, "give_back");
      break;
    case ProvideKind::Filter:
      only_fields(L, kObject, "mansio.provide", kFilterFields);
      return filter_object(L);
  }
  return made;
}

// mansio.provide("lookup", name, {lookup = function(key, table) ... end})
// mansio.provide("transport", name, {deliver = function(delivery) ... end})
// mansio.provide("auth", name, {check = function(user, password, step) ... end})
// mansio.provide("auth", name, {mechanisms = {...}, step = function(step) ... end})
// mansio.provide("rate", name, {lease = function(request) ... end, give_back = function(limit, key, unused) ... end})
// mansio.provide("filter", name, {rcpt = function(transaction, rcpt) ... end, ["end-of-message"] = function ...})
int provide(lua_State *L) {
  auto &state = loading_state(L, "mansio.provide");
  const auto kind = text_at<"mansio.provide">(L);
  const auto known = std::find(kProvideKinds.begin(), kProvideKinds.end(), kind);
  if (known == kProvideKinds.end())
    throw ScriptError{"a script cannot provide a \"" + std::string{kind} +
                      "\", only a lookup, a transport, an auth, a rate or a filter" +
                      did_you_mean(kind, kProvideKinds)};
  static constexpr std::array kNamed{"the table's name", "the transport's name", "the auth's name", "the rate's name",
                                     "the filter's name"};
  const auto number = known - kProvideKinds.begin();
  const std::string name{text_at(L, 2, kNamed.at(static_cast<std::size_t>(number)))};
  expect_table(L, kObject, "the object");
  const auto which = static_cast<ProvideKind>(number);
  auto object = object_of(L, which);
  luaL_where(L, 1);
  object.place = lua_tostring(L, -1);
  if (!state.add_provided(which, name, object))
    throw ScriptError{"the " + std::string{kind} + " \"" + name + "\" is provided twice"};
  return 0;
}

}  // namespace

void add_provide(lua_State *L) {
  static constexpr luaL_Reg kFunctions[] = {{"provide", bound<provide>}, {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

}  // namespace mansio::lua
