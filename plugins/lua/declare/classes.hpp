// All classes that types name, and what the engine calls their objects.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "plugins/lua/declare/declared.hpp"
#include "plugins/lua/declare/objects.hpp"
#include "plugins/lua/declare/options.hpp"

namespace mansio::lua {

struct DeclaredClass {
  std::string_view name, text{};
  std::span<const DeclaredField> fields{};
  std::string_view object{};  // its metatable's name, where the check of a script's functions follows it
  std::string_view list{};    // that of a list of them
};
inline constexpr DeclaredClass kDeclaredClasses[] = {
    {"mansio.session", "A client's connection. Good until its handler ends.", kSessionDeclared, "session"},
    {"mansio.transaction", "A message that is being received. Good until its handler ends.", kTransactionDeclared,
     "transaction"},
    {"mansio.address", "", kAddressDeclared, "address"},
    {"mansio.field", "Of a message's header section.", kHeaderFieldDeclared, "header field", "header field[]"},
    {"mansio.part",
     "A part of a message (MIME): the message itself, what is in a multipart, an embedded message. Good until its "
     "handler ends.",
     kPartDeclared, "part"},
    {"mansio.message",
     "The message at its end. Reading gives it as it came; edits count when the handlers end without objection.",
     kMessageDeclared, "message"},
    {"mansio.message_version", "What some recipients of a message get in the place of what the others get.",
     kMessageVersionDeclared, "version"},
    {"mansio.verdict", "What a handler says: the constructors make it."},
    {"mansio.event", "What became of a message, once that is on stable storage. Good until its handler ends.",
     kMessageEventDeclared, "event"},
    {"mansio.mail", "Mail in the queue, of events in which a policy has a say. Good until its handler ends.",
     kQueuedDeclared, "mail"},
    {"mansio.mail_recipient", "", kQueuedRecipientDeclared, "recipient of mail", "recipient of mail[]"},
    {"mansio.recipient", "A recipient of a delivery.", kRecipientDeclared, "recipient", "recipient[]"},
    {"mansio.delivery", "What a transport has to deliver. Good until deliver() ends.", kDeliveryDeclared, "delivery"},
    {"mansio.origin", "The client, unless a content filter or a server before us has told of another (XFORWARD).",
     kOriginDeclared, "origin"},
    {"mansio.auth_step", "A step of AUTH. Good until its function ends.", kAuthStepDeclared, "auth step"},
    {"mansio.lease_request", "A question of the queue for permits.", kLeaseDeclared, "lease request"},
    {"mansio.record", "Of DNS.", kRecordDeclared, "record", "record[]"},
    {"mansio.response", "What a server of HTTP answered.", kResponseDeclared, "response"},
    {"mansio.task", "A function that runs beside. It ends with its handler.", {}, "task"},
    {"mansio.connection", "A connection to a server. Good until its handler ends, which closes it.", {}, "connection"},
    {"mansio.redis_server", "", {}, "redis server"},
    {"mansio.database", "", {}, "database"},
    {"mansio.regex", "", {}, "regex"},
    {"mansio.ip_set", "", {}, "ip set"},
    {"mansio.window_of", "", {}, "window"},
    {"mansio.rate_limit", "", {}, "rate"},
    {"mansio.counter_metric", "", {}, "counter metric"},
    {"mansio.gauge_metric", "", {}, "gauge metric"},
    {"mansio.OnOptions", "", kOnDeclared},
    {"mansio.ResultOptions", "", kResultDeclared},
    {"mansio.PermitsOptions", "", kPermitsDeclared},
    {"mansio.RouteFields", "", kRouteDeclared},
    {"mansio.SubmitFields", "", kSubmitDeclared},
    {"mansio.ConnectOptions", "", kConnectDeclared},
    {"mansio.HttpOptions", "", kHttpDeclared},
    {"mansio.RedisOptions", "", kRedisDeclared},
    {"mansio.SqliteOptions", "", kSqliteDeclared},
    {"mansio.MemoizeOptions", "", kMemoizeDeclared},
    {"mansio.RateOptions", "", kRateDeclared},
    {"mansio.AnswerOptions", "", kAnswerDeclared},
    {"mansio.OptionFields", "", kOptionDeclared},
    {"mansio.Lookup", "", kLookupObjectDeclared},
    {"mansio.Transport", "", kTransportObjectDeclared},
    {"mansio.AuthObject", "Either check or step.", kAuthObjectDeclared},
    {"mansio.RateObject", "", kRateObjectDeclared},
    {"mansio.FilterObject",  // and a function for each of kEvents
     "What [filter.NAME] or [policy.NAME] does: a function for each event that it sees, as mansio.on() has them; the "
     "options\nare for all of them.",
     kOnDeclared},
};

// What the engine calls objects of this type: a metatable's name, "string", or one of these with "[]" behind; "" for
// what it does not follow. Whether it may be nil makes no difference, as using nil is an error all the same.
constexpr bool is_texts(std::string_view type) {  // "full"|"hdrs"
  while (type.starts_with('"')) {
    const auto end = type.find('"', 1);
    if (end == type.npos) return false;
    type.remove_prefix(end + 1);
    if (type.empty()) return true;
    if (!type.starts_with('|')) return false;
    type.remove_prefix(1);
  }
  return false;
}
constexpr std::string_view engine_type(std::string_view type) {
  constexpr std::string_view kOrNil = "|nil";
  if (type.ends_with('?')) type.remove_suffix(1);
  if (type.ends_with(kOrNil)) type.remove_suffix(kOrNil.size());
  if (type == "string" || is_texts(type)) return "string";
  for (const auto alias : {"mansio.Event", "mansio.MessageEvent", "mansio.RecordType", "mansio.OnError",
                           "mansio.ProvideKind", "mansio.QueueLimit"})
    if (type == alias) return "string";
  for (const auto &declared : kDeclaredClasses) {
    if (type == declared.name) return declared.object;
    if (type.ends_with("[]") && type.substr(0, type.size() - 2) == declared.name) return declared.list;
  }
  return {};
}

// Of "fun(a: string, b: mansio.delivery): mansio.verdict?" the types of its first three arguments, as the engine calls
// them.
constexpr std::array<std::string_view, 3> parameters_of(std::string_view function) {
  constexpr std::string_view kFunction = "fun(";
  std::array<std::string_view, 3> types{};
  if (!function.starts_with(kFunction)) return types;
  function = function.substr(kFunction.size());
  function = function.substr(0, function.find(')'));
  for (auto &type : types) {
    const auto one = function.substr(0, function.find(", "));
    const auto colon = one.find(": ");
    if (colon != one.npos) type = engine_type(one.substr(colon + 2));
    if (one.size() == function.size()) break;
    function.remove_prefix(one.size() + 2);
  }
  return types;
}

}  // namespace mansio::lua
