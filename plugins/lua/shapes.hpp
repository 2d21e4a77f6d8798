// What kind of thing scripts meet where: what handlers get, what the fields of objects are, and what functions take and
// return. The check of a script's functions (check/) follows these tables, which name objects as their metatables do.
// A list of them is "recipient[]"; what is not here is not known, and nothing is said about it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "plugins/lua/declarations.hpp"

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
    ObjectShape{"delivery", kDeliveryFields, true},
    ObjectShape{"recipient", kRecipientFields, true},
    ObjectShape{"auth step", kAuthStepFields, true},
    ObjectShape{"lease request", kLeaseFields, false},
    ObjectShape{"event", kMessageEventFields, true},
    ObjectShape{"mail", kQueuedFields, true},
    ObjectShape{"recipient of mail", kQueuedRecipientFields, true},
};

inline constexpr const ObjectShape *find_shape(std::string_view name) {
  const auto *const found = std::find_if(kObjectShapes.begin(), kObjectShapes.end(),
                                         [&](const ObjectShape &shape) { return shape.name == name; });
  return found == kObjectShapes.end() ? nullptr : found;
}

// What the functions of mansio.on() and of filters get. Of the queue's events only "route" has more than the mail.
struct HandlerShape {
  std::string_view event;
  std::array<std::string_view, 3> parameters;
};
inline constexpr std::array kHandlerShapes{
    HandlerShape{"connect", {"session"}},
    HandlerShape{"helo", {"session", "string"}},
    HandlerShape{"starttls", {"session"}},
    HandlerShape{"auth", {"session", "string", "string"}},
    HandlerShape{"mail", {"transaction", "address"}},
    HandlerShape{"rcpt", {"transaction", "address"}},
    HandlerShape{"data", {"transaction"}},
    HandlerShape{"header", {"transaction", "string", "string"}},
    HandlerShape{"eoh", {"transaction"}},
    HandlerShape{"body", {"transaction", "string"}},
    HandlerShape{"end-of-message", {"transaction", "message"}},
    HandlerShape{"disconnect", {"session"}},
    HandlerShape{"route", {"mail", "address"}},
    HandlerShape{"predelivery", {"mail"}},
    HandlerShape{"retry", {"mail"}},
    HandlerShape{"bounce", {"mail"}},
};
inline constexpr std::array<std::string_view, 3> kListenerShape{"event"};

// The same of mansio.provide(), by kind and field.
struct ProvidedShape {
  std::string_view kind, field;
  std::array<std::string_view, 3> parameters;
};
inline constexpr std::array kProvidedShapes{
    ProvidedShape{"lookup", "lookup", {"string", "string"}},
    ProvidedShape{"transport", "deliver", {"delivery"}},
    ProvidedShape{"auth", "check", {"string", "string", "auth step"}},
    ProvidedShape{"auth", "step", {"auth step"}},
    ProvidedShape{"rate", "lease", {"lease request"}},
    ProvidedShape{"rate", "give_back", {"string", "string"}},
};

// What a field is; of `session` and `mail` the facts that are text besides.
struct FieldShape {
  std::string_view object, field, type;
};
inline constexpr std::array kFieldShapes{
    FieldShape{"session", "id", "string"},
    FieldShape{"transaction", "session", "session"},
    FieldShape{"transaction", "sender", "address"},
    FieldShape{"transaction", "queue_id", "string"},
    FieldShape{"address", "address", "string"},
    FieldShape{"address", "localpart", "string"},
    FieldShape{"address", "domain", "string"},
    FieldShape{"delivery", "sender", "address"},
    FieldShape{"delivery", "recipients", "recipient[]"},
    FieldShape{"delivery", "nexthop", "string"},
    FieldShape{"delivery", "queue_id", "string"},
    FieldShape{"delivery", "message", "message"},
    FieldShape{"delivery", "envid", "string"},
    FieldShape{"delivery", "source_pool", "string"},
    FieldShape{"delivery", "client_address", "string"},
    FieldShape{"recipient", "address", "string"},
    FieldShape{"recipient", "localpart", "string"},
    FieldShape{"recipient", "domain", "string"},
    FieldShape{"recipient", "original", "string"},
    FieldShape{"recipient", "orcpt", "string"},
    FieldShape{"auth step", "mechanism", "string"},
    FieldShape{"auth step", "response", "string"},
    FieldShape{"auth step", "client_address", "string"},
    FieldShape{"auth step", "helo_name", "string"},
    FieldShape{"auth step", "tls_version", "string"},
    FieldShape{"lease request", "limit", "string"},
    FieldShape{"lease request", "key", "string"},
    FieldShape{"event", "name", "string"},
    FieldShape{"event", "queue_id", "string"},
    FieldShape{"event", "recipient", "address"},
    FieldShape{"mail", "queue_id", "string"},
    FieldShape{"mail", "sender", "address"},
    FieldShape{"mail", "recipients", "recipient of mail[]"},
    FieldShape{"mail", "to", "address"},
    FieldShape{"recipient of mail", "address", "string"},
    FieldShape{"recipient of mail", "localpart", "string"},
    FieldShape{"recipient of mail", "domain", "string"},
    FieldShape{"recipient of mail", "status", "string"},
    FieldShape{"recipient of mail", "text", "string"},
};

// "" where it is not known. A text may not be there (nil), in which case using it is an error all the same.
inline constexpr std::string_view type_of_field(std::string_view object, std::string_view field) {
  const auto is_text = [&](const Fact &fact) { return fact.name == field && fact.type == FactType::Text; };
  if (object == "session" && std::any_of(kSessionFacts.begin(), kSessionFacts.end(), is_text)) return "string";
  if (object == "mail" && std::any_of(kQueuedFacts.begin(), kQueuedFacts.end(), is_text)) return "string";
  for (const auto &shape : kFieldShapes)
    if (shape.object == object && shape.field == field) return shape.type;
  return {};
}

// What functions return, and methods ("message:header").
struct ResultShape {
  std::string_view function, type;
};
inline constexpr std::array kResultShapes{
    ResultShape{"mansio.lookup", "string"},      ResultShape{"mansio.connect", "connection"},
    ResultShape{"mansio.redis", "redis server"}, ResultShape{"mansio.sqlite", "database"},
    ResultShape{"mansio.re.compile", "regex"},   ResultShape{"mansio.ip.set", "ip set"},
    ResultShape{"mansio.window", "window"},      ResultShape{"mansio.rate", "rate"},
    ResultShape{"mansio.spawn", "task"},         ResultShape{"mansio.metric.counter", "counter metric"},
    ResultShape{"mansio.hash.sha256", "string"}, ResultShape{"mansio.metric.gauge", "gauge metric"},
    ResultShape{"mansio.json.encode", "string"}, ResultShape{"mansio.base64.encode", "string"},
    ResultShape{"mansio.hash.hmac", "string"},   ResultShape{"tostring", "string"},
    ResultShape{"message:header", "string"},     ResultShape{"message:text", "string"},
    ResultShape{"connection:read", "string"},    ResultShape{"connection:read_line", "string"},
    ResultShape{"string:lower", "string"},       ResultShape{"string:upper", "string"},
    ResultShape{"string:sub", "string"},         ResultShape{"string:rep", "string"},
    ResultShape{"string:gsub", "string"},        ResultShape{"string:reverse", "string"},
    ResultShape{"string:format", "string"},      ResultShape{"string.format", "string"},
    ResultShape{"string.lower", "string"},       ResultShape{"string.upper", "string"},
};

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

// Arguments of other functions, numbered from 1 (of methods without the object), that have to be there.
enum class ArgumentType { Text, Time, RecordType };
struct ArgumentShape {
  std::string_view function;
  std::size_t number;
  ArgumentType type;
  std::string_view what;  // as the function's own message names it
};
inline constexpr std::array kArgumentShapes{
    ArgumentShape{"mansio.lookup", 1, ArgumentType::Text, "the table's name"},
    ArgumentShape{"mansio.lookup", 2, ArgumentType::Text, "the key"},
    ArgumentShape{"mansio.lookup_all", 1, ArgumentType::Text, "the table's name"},
    ArgumentShape{"mansio.lookup_all", 2, ArgumentType::Text, "the key"},
    ArgumentShape{"mansio.dns", 1, ArgumentType::Text, "the name"},
    ArgumentShape{"mansio.dns", 2, ArgumentType::RecordType, "the type of the records"},
    ArgumentShape{"mansio.sleep", 1, ArgumentType::Time, "the time to sleep"},
    ArgumentShape{"mansio.window", 2, ArgumentType::Time, "the length"},
    ArgumentShape{"mansio.connect", 1, ArgumentType::Text, "the address"},
    ArgumentShape{"mansio.http.get", 1, ArgumentType::Text, "the URL"},
    ArgumentShape{"mansio.http.post", 1, ArgumentType::Text, "the URL"},
    ArgumentShape{"window:add", 1, ArgumentType::Text, "the key"},
    ArgumentShape{"window:count", 1, ArgumentType::Text, "the key"},
    ArgumentShape{"rate:take", 1, ArgumentType::Text, "the key"},
    ArgumentShape{"rate:free", 1, ArgumentType::Text, "the key"},
    ArgumentShape{"message:header", 1, ArgumentType::Text, "the field's name"},
    ArgumentShape{"message:remove_header", 1, ArgumentType::Text, "the field's name"},
    ArgumentShape{"message:add_header", 1, ArgumentType::Text, "the field's name"},
    ArgumentShape{"message:add_header", 2, ArgumentType::Text, "the value"},
    ArgumentShape{"message:set_header", 1, ArgumentType::Text, "the field's name"},
    ArgumentShape{"message:set_header", 2, ArgumentType::Text, "the value"},
    ArgumentShape{"message:insert_header", 2, ArgumentType::Text, "the field's name"},
    ArgumentShape{"message:insert_header", 3, ArgumentType::Text, "the value"},
    ArgumentShape{"message:set_sender", 1, ArgumentType::Text, "the address"},
    ArgumentShape{"message:add_recipient", 1, ArgumentType::Text, "the address"},
    ArgumentShape{"message:remove_recipient", 1, ArgumentType::Text, "the address"},
};

// A table of options as an argument, and the name that messages about it have.
struct OptionsShape {
  std::string_view function;
  std::size_t number;  // 0: wherever it stands
  std::string_view where;
  std::span<const std::string_view> options;
};
inline constexpr std::array kOptionsShapes{
    OptionsShape{"mansio.connect", 2, "mansio.connect", kConnectOptions},
    OptionsShape{"mansio.redis", 2, "mansio.redis", kRedisOptions},
    OptionsShape{"mansio.sqlite", 2, "mansio.sqlite", kSqliteOptions},
    OptionsShape{"mansio.http.get", 2, "mansio.http", kHttpOptions},
    OptionsShape{"mansio.http.post", 3, "mansio.http", kHttpOptions},
    OptionsShape{"mansio.http.request", 4, "mansio.http", kHttpOptions},
    OptionsShape{"mansio.rate", 3, "mansio.rate", kRateOptions},
    OptionsShape{"mansio.memoize", 2, "mansio.memoize", kMemoizeOptions},
    OptionsShape{"mansio.permits", 2, "mansio.permits", kPermitsOptions},
    OptionsShape{"mansio.route", 1, "mansio.route", kRouteFields},
    OptionsShape{"mansio.reject", 0, "the result", kResultOptions},
    OptionsShape{"mansio.defer", 0, "the result", kResultOptions},
    OptionsShape{"mansio.sent", 0, "the result", kResultOptions},
    OptionsShape{"mansio.uncertain", 0, "the result", kResultOptions},
    OptionsShape{"delivery:sent", 0, "the result", kResultOptions},
    OptionsShape{"delivery:defer", 0, "the result", kResultOptions},
    OptionsShape{"delivery:bounce", 0, "the result", kResultOptions},
    OptionsShape{"delivery:uncertain", 0, "the result", kResultOptions},
};
inline constexpr std::array<std::string_view, 2> kTimeOptions{"timeout", "ttl"};

}  // namespace mansio::lua
