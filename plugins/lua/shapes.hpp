// What kind of thing scripts meet where: what handlers get, what the fields of objects are, and what functions take and
// return, as declare/ has it, in the terms of the check of a script's functions (check/): objects are named as their
// metatables are, a list of them is "recipient[]", and "" is what is not known, about which nothing is said.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "plugins/lua/declarations.hpp"
#include "plugins/lua/declare/classes.hpp"
#include "plugins/lua/declare/declared.hpp"
#include "plugins/lua/declare/functions.hpp"
#include "plugins/lua/declare/libraries.hpp"
#include "plugins/lua/declare/methods.hpp"
#include "plugins/lua/declare/options.hpp"

namespace mansio::lua {

// Objects whose fields are declared. A handle cannot be changed at all; the others are tables.
struct ObjectShape {
  std::string_view name;
  std::span<const std::string_view> fields;
  bool handle;
};
inline constexpr std::array kObjectShapes{
    ObjectShape{"session", kSessionFields, true},
    ObjectShape{"transaction", kTransactionFields, true},
    ObjectShape{"address", kAddressFields, false},
    ObjectShape{"message", kMessageFields, true},
    ObjectShape{"version", kMessageVersionFields, true},
    ObjectShape{"part", kPartFields, true},
    ObjectShape{"delivery", kDeliveryFields, true},
    ObjectShape{"recipient", kRecipientFields, true},
    ObjectShape{"auth step", kAuthStepFields, true},
    ObjectShape{"lease request", kLeaseFields, false},
    ObjectShape{"event", kMessageEventFields, true},
    ObjectShape{"mail", kQueuedFields, true},
    ObjectShape{"recipient of mail", kQueuedRecipientFields, true},
    ObjectShape{"header field", kHeaderFieldFields, false},
    ObjectShape{"origin", kOriginFields, false},
    ObjectShape{"record", kRecordFields, false},
    ObjectShape{"response", kResponseFields, false},
};

inline constexpr const ObjectShape *find_shape(std::string_view name) {
  const auto *const found = std::find_if(kObjectShapes.begin(), kObjectShapes.end(),
                                         [&](const ObjectShape &shape) { return shape.name == name; });
  return found == kObjectShapes.end() ? nullptr : found;
}

// What functions get.
using HandlerTypes = std::array<std::string_view, 3>;
// Of an event, by mansio.on() and in filters; all "" for what is no event.
constexpr HandlerTypes types_at_event(std::string_view event) {
  for (const auto &known : kEvents)
    if (known.name == event) return parameters_of(known.handler);
  if (event == kAbortEvent.name) return parameters_of(kAbortEvent.handler);
  for (const auto &told : kMessageEvents)
    if (told.name == event) return parameters_of(told.handler);
  return {};
}
// Of a field of what mansio.provide() is given.
struct ProvidedKind {
  std::string_view kind;
  std::span<const DeclaredField> fields;
};
inline constexpr ProvidedKind kProvidedFields[] = {
    {"lookup", kLookupObjectDeclared},
    {"transport", kTransportObjectDeclared},
    {"auth", kAuthObjectDeclared},
    {"rate", kRateObjectDeclared},
};
constexpr HandlerTypes types_of_provided(std::string_view kind, std::string_view field) {
  if (kind == "filter") {
    for (const auto &event : kEvents)
      if (event.name == field) return parameters_of(event.handler);
    if (field == kAbortEvent.name) return parameters_of(kAbortEvent.handler);
  }
  for (const auto &provided : kProvidedFields)
    if (provided.kind == kind)
      for (const auto &declared : provided.fields)
        if (plain_name(declared.name) == field) return parameters_of(declared.type);
  return {};
}

constexpr std::string_view type_of_field(std::string_view object, std::string_view field) {
  if (object.empty()) return {};
  for (const auto &declared : kDeclaredClasses)
    if (declared.object == object)
      for (const auto &known : declared.fields)
        if (known.name == field) return engine_type(known.type);
  return {};
}

// A function of the engine, or a method ("message:header"); nullptr for others.
inline constexpr std::array<std::span<const DeclaredFunction>, 3> kAllFunctions{
    kDeclaredFunctions, kDeclaredLibraryFunctions, kDeclaredMethods};
constexpr const DeclaredFunction *find_function(std::string_view name) {
  for (const auto &functions : kAllFunctions)
    for (const auto &function : functions)
      if (function.name == name) return &function;
  return nullptr;
}

// What Lua's own functions return.
inline constexpr std::array<std::string_view, 11> kTextFunctions{
    "tostring",       "string:lower",  "string:upper",  "string:sub",   "string:rep",  "string:gsub",
    "string:reverse", "string:format", "string.format", "string.lower", "string.upper"};
constexpr std::string_view type_of_result(std::string_view function) {
  if (std::find(kTextFunctions.begin(), kTextFunctions.end(), function) != kTextFunctions.end()) return "string";
  const auto *const declared = find_function(function);
  return declared ? engine_type(declared->results.front().type) : "";
}
// What the variable of a loop over what it returns is: of "fun(): mansio.part?" a part.
constexpr std::string_view type_of_walk(std::string_view function) {
  constexpr std::string_view kIterator = "fun(): ";
  const auto *const declared = find_function(function);
  if (!declared) return {};
  const auto type = declared->results.front().type;
  return type.starts_with(kIterator) ? engine_type(type.substr(kIterator.size())) : "";
}

// Functions that do nothing but judge their arguments and make a value of them: the check calls them.
inline constexpr std::array<std::string_view, 19> kConstructors{
    "mansio.accept",     "mansio.reject",     "mansio.defer",        "mansio.hold",      "mansio.discard",
    "mansio.redirect",   "mansio.sent",       "mansio.uncertain",    "mansio.permits",   "mansio.authenticated",
    "mansio.challenge",  "mansio.route",      "mansio.retry",        "mansio.ip.set",    "mansio.ip.version",
    "mansio.ip.reverse", "mansio.re.compile", "mansio.time.seconds", "mansio.hash.hmac",
};
// Methods that take what a constructor takes, behind their recipient.
struct ReportShape {
  std::string_view method, constructor;
};
inline constexpr std::array kReportShapes{
    ReportShape{"delivery:sent", "mansio.sent"},
    ReportShape{"delivery:defer", "mansio.defer"},
    ReportShape{"delivery:bounce", "mansio.reject"},
    ReportShape{"delivery:uncertain", "mansio.uncertain"},
};

// What an argument or an option has to be, if it is there; what may be one of several things is not judged. Arguments
// of constructors are not asked for: they say it themselves.
enum class ArgumentType { Unknown, Text, Time, RecordType, QueueLimit, Integer, Boolean, Function, Table };
constexpr ArgumentType argument_type(std::string_view type) {
  if (type == "mansio.Time") return ArgumentType::Time;
  if (type == "mansio.RecordType") return ArgumentType::RecordType;
  if (type == "mansio.QueueLimit") return ArgumentType::QueueLimit;
  if (type == "integer") return ArgumentType::Integer;
  if (type == "boolean") return ArgumentType::Boolean;
  if (type == "string|number" || engine_type(type) == "string") return ArgumentType::Text;
  if (type == "F" || type.starts_with("fun(")) return ArgumentType::Function;
  if (type == "table" || type.starts_with("table<")) return ArgumentType::Table;
  if (type.find('|') != type.npos) return ArgumentType::Unknown;
  const bool is_table = type.ends_with("[]") || type.ends_with("Options") || type.ends_with("Fields");
  return is_table ? ArgumentType::Table : ArgumentType::Unknown;
}
constexpr ArgumentType type_of_argument(const DeclaredParameter &parameter) {
  return parameter.what.empty() ? ArgumentType::Unknown : argument_type(parameter.type);
}
constexpr bool is_constructor(std::string_view function) {
  return std::find(kConstructors.begin(), kConstructors.end(), function) != kConstructors.end();
}

// Tables of options: their type, and the name that messages about them have.
struct OptionsShape {
  std::string_view type, where;
  std::span<const DeclaredField> options;
  std::span<const std::string_view> names;
};
inline constexpr OptionsShape kOptionsShapes[] = {
    {"mansio.SubmitFields", "mansio.submit", kSubmitDeclared, kSubmitFields},
    {"mansio.ConnectOptions", "mansio.connect", kConnectDeclared, kConnectOptions},
    {"mansio.RedisOptions", "mansio.redis", kRedisDeclared, kRedisOptions},
    {"mansio.SqliteOptions", "mansio.sqlite", kSqliteDeclared, kSqliteOptions},
    {"mansio.HttpOptions", "mansio.http", kHttpDeclared, kHttpOptions},
    {"mansio.RateOptions", "mansio.rate", kRateDeclared, kRateOptions},
    {"mansio.MemoizeOptions", "mansio.memoize", kMemoizeDeclared, kMemoizeOptions},
    {"mansio.PermitsOptions", "mansio.permits", kPermitsDeclared, kPermitsOptions},
    {"mansio.RouteFields", "mansio.route", kRouteDeclared, kRouteFields},
    {"mansio.OptionFields", "mansio.option", kOptionDeclared, kOptionFields},
    {"mansio.ResultOptions", "the result", kResultDeclared, kResultOptions},
};
// Of a parameter's type, which may have others beside: "integer|string|mansio.ResultOptions".
constexpr const OptionsShape *find_options(std::string_view type) {
  for (const auto &shape : kOptionsShapes)
    if (type.ends_with(shape.type)) return &shape;
  return nullptr;
}
constexpr ArgumentType type_of_option(const OptionsShape &shape, std::string_view name) {
  for (const auto &option : shape.options)
    if (plain_name(option.name) == name) return argument_type(option.type);
  return ArgumentType::Unknown;
}

}  // namespace mansio::lua
