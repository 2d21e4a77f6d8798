// What scripts may name: events, what they may provide, options, libraries, and the fields of objects, with what the
// host calls those that are its facts. Bindings, the checks with their suggestions, `mansio lua test` and what writes
// sdk/lua/mansio.d.lua read these tables. The names of fields and options come from declare/, which says what they are;
// shapes.hpp puts it all in the terms of the check of a script's functions.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mansio/draft/event.h"
#include "mansio/draft/filter.h"
#include "plugins/lua/declare/declared.hpp"
#include "plugins/lua/declare/methods.hpp"
#include "plugins/lua/declare/objects.hpp"
#include "plugins/lua/declare/options.hpp"
#include "plugins/lua/declare/results.hpp"

namespace mansio::lua {

struct EventName {
  std::string_view name;
  std::uint32_t stage;
  std::string_view handler;  // its type
  std::string_view text{};
};
inline constexpr std::array kEvents{
    EventName{"connect", MANSIO_STAGE_CONNECT, "fun(session: mansio.session): mansio.verdict?"},
    EventName{"helo", MANSIO_STAGE_HELO, "fun(session: mansio.session, name: string): mansio.verdict?"},
    EventName{"starttls", MANSIO_STAGE_STARTTLS, "fun(session: mansio.session): mansio.verdict?"},
    EventName{"auth", MANSIO_STAGE_AUTH,
              "fun(session: mansio.session, mechanism: string, user: string): mansio.verdict?"},
    EventName{"mail", MANSIO_STAGE_MAIL,
              "fun(transaction: mansio.transaction, sender: mansio.address): mansio.verdict?"},
    EventName{"rcpt", MANSIO_STAGE_RCPT, "fun(transaction: mansio.transaction, rcpt: mansio.address): mansio.verdict?"},
    EventName{"data", MANSIO_STAGE_DATA, "fun(transaction: mansio.transaction): mansio.verdict?"},
    EventName{"header", MANSIO_STAGE_HEADER,
              "fun(transaction: mansio.transaction, name: string, value: string): mansio.verdict?"},
    EventName{"eoh", MANSIO_STAGE_END_OF_HEADERS, "fun(transaction: mansio.transaction): mansio.verdict?"},
    EventName{"body", MANSIO_STAGE_BODY, "fun(transaction: mansio.transaction, piece: string): mansio.verdict?"},
    EventName{"end-of-message", MANSIO_STAGE_END_OF_MESSAGE,
              "fun(transaction: mansio.transaction, message: mansio.message): mansio.verdict?"},
    EventName{"disconnect", MANSIO_STAGE_DISCONNECT, "fun(session: mansio.session)"},
    // Of the queue, in which a policy has a say.
    EventName{"route", MANSIO_STAGE_ROUTE, "fun(mail: mansio.mail, recipient: mansio.address): mansio.verdict?",
              "These four of a policy of the queue."},
    EventName{"predelivery", MANSIO_STAGE_PRE_DELIVERY, "fun(mail: mansio.mail): mansio.verdict?"},
    EventName{"retry", MANSIO_STAGE_RETRY, "fun(mail: mansio.mail): mansio.verdict?"},
    EventName{"bounce", MANSIO_STAGE_BOUNCE, "fun(mail: mansio.mail): mansio.verdict?"},
};

// What handlers of a stage may return; nullptr for what is no stage.
constexpr const DeclaredResults *results_at(std::uint32_t stage) {
  for (const auto &event : kEvents)
    if (event.stage == stage) return find_results(event.name);
  return nullptr;
}

// A message of which the script has seen something comes to nothing; the host tells it, and nobody waits. It is no
// stage.
inline constexpr EventName kAbortEvent{"abort", UINT32_MAX, "fun(session_id: string, queue_id: string)",
                                       "Told, and returns nothing."};

// What became of messages, and lines of the log; see mansio/draft/event.h.
struct MessageEventName {
  std::string_view name;
  std::uint32_t event;
  std::string_view handler = "fun(event: mansio.event)";  // its type
};
inline constexpr std::array kMessageEvents{
    MessageEventName{"inserted", MANSIO_EVENT_INSERTED},
    MessageEventName{"routed", MANSIO_EVENT_ROUTED},
    MessageEventName{"delivering", MANSIO_EVENT_DELIVERING},
    MessageEventName{"delivered", MANSIO_EVENT_DELIVERED},
    MessageEventName{"deferred", MANSIO_EVENT_DEFERRED},
    MessageEventName{"bounced", MANSIO_EVENT_BOUNCED},
    MessageEventName{"removed", MANSIO_EVENT_REMOVED},
    MessageEventName{"log", MANSIO_EVENT_LOG, "fun(line: string)"},
};

inline constexpr auto kOnOptions = names_of(kOnDeclared);
inline constexpr std::array<std::string_view, 3> kOnErrors{"fail", "defer", "accept"};
// What mansio.provide() takes; the names are in the order of the kinds.
enum class ProvideKind { Lookup, Transport, Auth, Rate, Filter };
inline constexpr std::array<std::string_view, 5> kProvideKinds{"lookup", "transport", "auth", "rate", "filter"};
inline constexpr auto kLookupFields = names_of(kLookupObjectDeclared);
inline constexpr auto kTransportFields = names_of(kTransportObjectDeclared);
inline constexpr auto kAuthFields = names_of(kAuthObjectDeclared);
inline constexpr auto kRateFields = names_of(kRateObjectDeclared);
// A function for each event that it sees, and what mansio.on() takes as options, for all of them.
inline constexpr auto kFilterFields = [] {
  std::array<std::string_view, kEvents.size() + kOnOptions.size() + 1> names{};
  auto *next = std::copy(kOnOptions.begin(), kOnOptions.end(), names.begin());
  for (const auto &event : kEvents) *next++ = event.name;
  *next = kAbortEvent.name;
  return names;
}();
inline constexpr std::array<std::string_view, 2> kCheckedMechanisms{"PLAIN", "LOGIN"};
inline constexpr auto kAnswerOptions = names_of(kAnswerDeclared);
inline constexpr auto kPermitsOptions = names_of(kPermitsDeclared);
inline constexpr auto kRateOptions = names_of(kRateDeclared);
inline constexpr auto kOptionFields = names_of(kOptionDeclared);
inline constexpr std::array<std::string_view, 6> kOptionTypes{"string", "integer", "number", "boolean", "time", "list"};
inline constexpr auto kResultOptions = names_of(kResultDeclared);
inline constexpr auto kRouteFields = names_of(kRouteDeclared);
inline constexpr auto kMemoizeOptions = names_of(kMemoizeDeclared);
inline constexpr auto kSubmitFields = names_of(kSubmitDeclared);
inline constexpr auto kConnectOptions = names_of(kConnectDeclared);
inline constexpr auto kRedisOptions = names_of(kRedisDeclared);
inline constexpr auto kHttpOptions = names_of(kHttpDeclared);
inline constexpr auto kSqliteOptions = names_of(kSqliteDeclared);

// Of mansio.dns().
inline constexpr std::array<std::string_view, 5> kRecordTypes{"A", "AAAA", "MX", "TXT", "PTR"};

// Of mansio.take_permits(): limits of whose mail it is.
inline constexpr std::array<std::string_view, 4> kQueueLimits{"tenant_rate_limit", "campaign_rate_limit",
                                                              "sender_rate_limit", "source_pool_rate_limit"};

// What reaches the system, and is off unless the option `allow` has it.
inline constexpr std::array<std::string_view, 7> kLibraries{"io",   "os",    "package", "connect",
                                                            "http", "redis", "sqlite"};

// A field of `session` that is a fact of the host: its macro, and what it is to Lua.
enum class FactType { Text, Integer, Boolean };
struct Fact {
  std::string_view name{};
  std::string_view macro{};
  FactType type = FactType::Text;
};
template <std::size_t Facts, std::size_t N>
constexpr auto facts_of(const DeclaredField (&fields)[N]) {
  std::array<Fact, Facts> facts{};
  std::size_t next = 0;
  for (const auto &field : fields) {
    if (field.macro.empty()) continue;
    const auto type = plain_name(field.type);
    facts[next++] = {field.name, field.macro,
                     type == "boolean"   ? FactType::Boolean
                     : type == "integer" ? FactType::Integer
                                         : FactType::Text};
  }
  return facts;
}
template <std::size_t N>
constexpr std::size_t count_facts(const DeclaredField (&fields)[N]) {
  std::size_t n = 0;
  for (const auto &field : fields) n += field.macro.empty() ? 0 : 1;
  return n;
}
inline constexpr auto kSessionFacts = facts_of<count_facts(kSessionDeclared)>(kSessionDeclared);
// The same of `mail`, for events of the queue.
inline constexpr auto kQueuedFacts = facts_of<count_facts(kQueuedDeclared)>(kQueuedDeclared);
inline constexpr auto kSessionFields = names_of(kSessionDeclared);
inline constexpr auto kTransactionFields = names_of(kTransactionDeclared);
inline constexpr auto kAddressFields = names_of(kAddressDeclared);
inline constexpr auto kMessageFields =
    names_of<count_methods("message:", kDeclaredMethods)>(kMessageDeclared, "message:", kDeclaredMethods);
inline constexpr auto kMessageVersionFields =
    names_of<count_methods("version:", kDeclaredMethods)>(kMessageVersionDeclared, "version:", kDeclaredMethods);
inline constexpr auto kPartFields =
    names_of<count_methods("part:", kDeclaredMethods)>(kPartDeclared, "part:", kDeclaredMethods);
inline constexpr auto kDeliveryFields =
    names_of<count_methods("delivery:", kDeclaredMethods)>(kDeliveryDeclared, "delivery:", kDeclaredMethods);
inline constexpr auto kAuthStepFields = names_of(kAuthStepDeclared);
inline constexpr auto kLeaseFields = names_of(kLeaseDeclared);
inline constexpr auto kMessageEventFields = names_of(kMessageEventDeclared);
inline constexpr auto kQueuedFields = names_of(kQueuedDeclared);
inline constexpr auto kQueuedRecipientFields = names_of(kQueuedRecipientDeclared);
inline constexpr auto kRecipientFields = names_of(kRecipientDeclared);
inline constexpr auto kHeaderFieldFields = names_of(kHeaderFieldDeclared);
inline constexpr auto kOriginFields = names_of(kOriginDeclared);
inline constexpr auto kRecordFields = names_of(kRecordDeclared);
inline constexpr auto kResponseFields = names_of(kResponseDeclared);

}  // namespace mansio::lua
