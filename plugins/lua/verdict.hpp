// What a handler may return, made by mansio.accept(), reject(), defer(), hold(), discard() and redirect(); what a
// transport may: sent(), reject(), defer() and uncertain(); AUTH: authenticated(), challenge(), reject() and defer();
// the owner of a limit: permits() and defer(); and handlers of the queue's events those of handlers, route() and
// retry(). One that is thrown as an error, and caught by nobody, is the answer, too: so a table that is down defers
// without a line of code.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mansio/host.hpp"
#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

enum class VerdictKind {
  Accept,
  Reject,
  Defer,
  Hold,
  Discard,
  Redirect,
  Sent,
  Uncertain,
  Authenticated,
  Challenge,
  Permits,
  Route
};
struct Verdict {
  VerdictKind kind = VerdictKind::Accept;
  std::uint16_t code = 0;
  plugin::Enhanced enhanced{};
  // Of authenticated(): the user; of challenge(): its octets; of route(): the transport; of redirect(): the address.
  std::string text;
  // Of transports; retry also of permits() and of what the queue is told.
  std::int64_t retry = 0;  // ns: not again before; 0 = as the queue likes
  bool nexthop_failed = false;
  std::string relay{};     // for the log; of route(): the next hop
  std::string identity{};  // of authenticated(): as whom the user acts; "": as itself; of route(): the source pool
  std::uint32_t permits = 0;
  std::int64_t ttl = 0;  // ns, of permits(); 0 = as the queue likes

  bool refuses() const { return kind == VerdictKind::Reject || kind == VerdictKind::Defer; }
  bool has_options() const { return retry != 0 || nexthop_failed || !relay.empty(); }
  // Says what becomes of the message, and does not object to it.
  bool disposes() const {
    return kind == VerdictKind::Hold || kind == VerdictKind::Discard || kind == VerdictKind::Redirect;
  }
  bool of_handlers() const { return (refuses() || disposes() || kind == VerdictKind::Accept) && !has_options(); }
  bool of_transports() const { return refuses() || kind == VerdictKind::Sent || kind == VerdictKind::Uncertain; }
  bool of_auth() const {
    return (refuses() || kind == VerdictKind::Authenticated || kind == VerdictKind::Challenge) && !has_options();
  }
  bool of_queue(std::uint32_t stage) const;  // of a handler of that stage of the queue
  bool of_rates() const { return kind == VerdictKind::Permits || (kind == VerdictKind::Defer && !has_options()); }
};

// mansio.accept ..., into the table on top.
void add_verdicts(lua_State *L);

// The arguments from `at` on, ([code,] [enhanced code,] [text] [, options]), of a result of a transport: Sent, Defer,
// Reject or Uncertain. Throws ScriptError.
Verdict result_at(lua_State *L, int at, VerdictKind kind);

std::optional<Verdict> verdict_at(lua_State *L, int index);
// Whose result it is: "handlers", "transports", "AUTH", "rates" or "the queue's events".
std::string_view whose(const Verdict &verdict);
void push_verdict(lua_State *L, const Verdict &verdict);

// As the host knows it, of handlers and transports; what disposes is no objection, as Accept is none.
plugin::Reply reply_of(const Verdict &verdict);

}  // namespace mansio::lua
