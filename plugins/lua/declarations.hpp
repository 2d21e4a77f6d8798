// What scripts may name: events, options, and the fields of the objects that handlers get. The engine's checks and
// their suggestions read these tables, and a test holds sdk/lua/mansio.d.lua against them. shapes.hpp says what those
// are.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "mansio/draft/event.h"
#include "mansio/draft/filter.h"

namespace mansio::lua {

struct EventName {
  std::string_view name;
  std::uint32_t stage;
};
inline constexpr std::array kEvents{
    EventName{"connect", MANSIO_STAGE_CONNECT},
    EventName{"helo", MANSIO_STAGE_HELO},
    EventName{"starttls", MANSIO_STAGE_STARTTLS},
    EventName{"auth", MANSIO_STAGE_AUTH},
    EventName{"mail", MANSIO_STAGE_MAIL},
    EventName{"rcpt", MANSIO_STAGE_RCPT},
    EventName{"data", MANSIO_STAGE_DATA},
    EventName{"header", MANSIO_STAGE_HEADER},
    EventName{"eoh", MANSIO_STAGE_END_OF_HEADERS},
    EventName{"body", MANSIO_STAGE_BODY},
    EventName{"end-of-message", MANSIO_STAGE_END_OF_MESSAGE},
    EventName{"disconnect", MANSIO_STAGE_DISCONNECT},
    // Of the queue, in which a policy has a say.
    EventName{"route", MANSIO_STAGE_ROUTE},
    EventName{"predelivery", MANSIO_STAGE_PRE_DELIVERY},
    EventName{"retry", MANSIO_STAGE_RETRY},
    EventName{"bounce", MANSIO_STAGE_BOUNCE},
};

// What became of messages; see mansio/draft/event.h. LOG is not told.
struct MessageEventName {
  std::string_view name;
  std::uint32_t event;
};
inline constexpr std::array kMessageEvents{
    MessageEventName{"inserted", MANSIO_EVENT_INSERTED},     MessageEventName{"routed", MANSIO_EVENT_ROUTED},
    MessageEventName{"delivering", MANSIO_EVENT_DELIVERING}, MessageEventName{"delivered", MANSIO_EVENT_DELIVERED},
    MessageEventName{"deferred", MANSIO_EVENT_DEFERRED},     MessageEventName{"bounced", MANSIO_EVENT_BOUNCED},
    MessageEventName{"removed", MANSIO_EVENT_REMOVED},
};

inline constexpr std::array<std::string_view, 2> kOnOptions{"timeout", "on_error"};
inline constexpr std::array<std::string_view, 3> kOnErrors{"fail", "defer", "accept"};
// What mansio.provide() takes; the names are in the order of the kinds.
enum class ProvideKind { Lookup, Transport, Auth, Rate, Filter };
inline constexpr std::array<std::string_view, 5> kProvideKinds{"lookup", "transport", "auth", "rate", "filter"};
inline constexpr std::array<std::string_view, 1> kLookupFields{"lookup"};
inline constexpr std::array<std::string_view, 1> kTransportFields{"deliver"};
inline constexpr std::array<std::string_view, 3> kAuthFields{"check", "mechanisms", "step"};
inline constexpr std::array<std::string_view, 2> kRateFields{"lease", "give_back"};
// A function for each event that it sees, and what mansio.on() takes as options, for all of them.
inline constexpr auto kFilterFields = [] {
  std::array<std::string_view, kEvents.size() + kOnOptions.size()> names{};
  auto *next = std::copy(kOnOptions.begin(), kOnOptions.end(), names.begin());
  for (const auto &event : kEvents) *next++ = event.name;
  return names;
}();
inline constexpr std::array<std::string_view, 2> kCheckedMechanisms{"PLAIN", "LOGIN"};
inline constexpr std::array<std::string_view, 2> kPermitsOptions{"ttl", "retry"};
inline constexpr std::array<std::string_view, 1> kRateOptions{"burst"};
inline constexpr std::array<std::string_view, 3> kResultOptions{"retry", "nexthop_failed", "relay"};
inline constexpr std::array<std::string_view, 3> kRouteFields{"transport", "nexthop", "source_pool"};
inline constexpr std::array<std::string_view, 2> kMemoizeOptions{"ttl", "size"};
inline constexpr std::array<std::string_view, 4> kConnectOptions{"timeout", "tls", "tls_name", "ca_file"};
inline constexpr std::array<std::string_view, 7> kRedisOptions{"timeout", "tls",      "tls_name", "ca_file",
                                                               "user",    "password", "database"};
inline constexpr std::array<std::string_view, 4> kHttpOptions{"timeout", "limit", "headers", "ca_file"};
inline constexpr std::array<std::string_view, 2> kSqliteOptions{"timeout", "write"};

// Of mansio.dns().
inline constexpr std::array<std::string_view, 5> kRecordTypes{"A", "AAAA", "MX", "TXT", "PTR"};

// What reaches the system, and is off unless the option `allow` has it.
inline constexpr std::array<std::string_view, 7> kLibraries{"io",   "os",    "package", "connect",
                                                            "http", "redis", "sqlite"};

// A field of `session` that is a fact of the host: its macro, and what it is to Lua.
enum class FactType { Text, Integer, Boolean };
struct Fact {
  std::string_view name;
  std::string_view macro;
  FactType type;
};
inline constexpr std::array kSessionFacts{
    Fact{"client_address", "client_address", FactType::Text},
    Fact{"client_name", "client_name", FactType::Text},
    Fact{"client_port", "client_port", FactType::Integer},
    Fact{"trusted", "client_trusted", FactType::Boolean},
    Fact{"helo_name", "helo_name", FactType::Text},
    Fact{"protocol", "protocol", FactType::Text},
    Fact{"listener", "listener", FactType::Text},
    Fact{"myhostname", "myhostname", FactType::Text},
    Fact{"tls_version", "tls_version", FactType::Text},
    Fact{"tls_cipher", "tls_cipher", FactType::Text},
    Fact{"auth_user", "auth_user", FactType::Text},
    Fact{"tenant", "tenant", FactType::Text},
    Fact{"stress", "stress", FactType::Boolean},
};
// The same of `mail`, for events of the queue; retry_after is there at "retry", and kind at "bounce".
inline constexpr std::array kQueuedFacts{
    Fact{"client_address", "client_address", FactType::Text},
    Fact{"client_name", "client_name", FactType::Text},
    Fact{"helo_name", "helo_name", FactType::Text},
    Fact{"protocol", "protocol", FactType::Text},
    Fact{"listener", "listener", FactType::Text},
    Fact{"auth_user", "auth_user", FactType::Text},
    Fact{"tenant", "tenant", FactType::Text},
    Fact{"campaign", "campaign", FactType::Text},
    Fact{"priority", "priority", FactType::Integer},
    Fact{"size", "size", FactType::Integer},
    Fact{"arrival", "arrival", FactType::Integer},
    Fact{"attempts", "attempts", FactType::Integer},
    Fact{"transport", "transport", FactType::Text},
    Fact{"nexthop", "nexthop", FactType::Text},
    Fact{"source_pool", "source_pool", FactType::Text},
    Fact{"myhostname", "myhostname", FactType::Text},
    Fact{"retry_after", "retry_after", FactType::Integer},
    Fact{"kind", "kind", FactType::Text},
};
inline constexpr std::array<std::string_view, 15> kSessionFields{
    "id",       "meta",       "client_address", "client_name", "client_port", "trusted", "helo_name", "protocol",
    "listener", "myhostname", "tls_version",    "tls_cipher",  "auth_user",   "tenant",  "stress"};
inline constexpr std::array<std::string_view, 5> kTransactionFields{"session", "meta", "queue_id", "sender",
                                                                    "recipient_count"};
inline constexpr std::array<std::string_view, 4> kAddressFields{"address", "localpart", "domain", "parameters"};
inline constexpr std::array<std::string_view, 16> kMessageFields{
    "size", "header",       "headers",    "add_header",    "insert_header",    "set_header", "remove_header", "raw",
    "body", "replace_body", "set_sender", "add_recipient", "remove_recipient", "text",       "progress",      "parts"};
inline constexpr std::array<std::string_view, 13> kPartFields{
    "type",     "parameters", "disposition", "disposition_parameters",
    "filename", "encoding",   "leaf",        "depth",
    "number",   "header",     "headers",     "body",
    "text"};
inline constexpr std::array<std::string_view, 19> kDeliveryFields{
    "sender",      "recipients", "nexthop", "queue_id",  "meta",          "message", "attempts",
    "arrival",     "envid",      "ret",     "smtputf8",  "require_tls",   "sent",    "possible_duplicate",
    "source_pool", "defer",      "bounce",  "uncertain", "client_address"};
inline constexpr std::array<std::string_view, 7> kAuthStepFields{"mechanism", "response",    "number", "client_address",
                                                                 "helo_name", "tls_version", "meta"};
inline constexpr std::array<std::string_view, 5> kLeaseFields{"limit", "key", "want", "per_second", "burst"};
inline constexpr std::array<std::string_view, 5> kMessageEventFields{"name", "time", "queue_id", "recipient", "fields"};
inline constexpr std::array<std::string_view, 23> kQueuedFields{
    "queue_id", "sender",    "recipients", "meta",        "to",         "client_address", "client_name", "helo_name",
    "protocol", "listener",  "auth_user",  "tenant",      "campaign",   "priority",       "size",        "arrival",
    "attempts", "transport", "nexthop",    "source_pool", "myhostname", "retry_after",    "kind"};
inline constexpr std::array<std::string_view, 6> kQueuedRecipientFields{"address", "localpart", "domain",
                                                                        "code",    "status",    "text"};
inline constexpr std::array<std::string_view, 6> kRecipientFields{"address",  "localpart", "domain",
                                                                  "original", "orcpt",     "notify"};

}  // namespace mansio::lua
