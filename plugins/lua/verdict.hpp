// What a handler may return, made by mansio.accept(), reject(), defer(), hold() and discard(), and what a transport
// may: sent(), reject(), defer() and uncertain(). One that is thrown as an error, and caught by nobody, is the answer,
// too: so a table that is down defers without a line of code.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "mansio/host.hpp"
#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

enum class VerdictKind { Accept, Reject, Defer, Hold, Discard, Sent, Uncertain };
struct Verdict {
  VerdictKind kind = VerdictKind::Accept;
  std::uint16_t code = 0;
  plugin::Enhanced enhanced{};
  std::string text;
  // Of transports.
  std::int64_t retry = 0;  // ns: not again before; 0 = as the queue likes
  bool nexthop_failed = false;
  std::string relay{};  // for the log

  bool of_handlers() const {
    return kind != VerdictKind::Sent && kind != VerdictKind::Uncertain && retry == 0 && !nexthop_failed &&
           relay.empty();
  }
  bool of_transports() const {
    return kind != VerdictKind::Accept && kind != VerdictKind::Hold && kind != VerdictKind::Discard;
  }
};

// mansio.accept ..., into the table on top.
void add_verdicts(lua_State *L);

// The arguments from `at` on, ([code,] [enhanced code,] [text] [, options]), of a result of a transport: Sent, Defer,
// Reject or Uncertain. Throws ScriptError.
Verdict result_at(lua_State *L, int at, VerdictKind kind);

std::optional<Verdict> verdict_at(lua_State *L, int index);
void push_verdict(lua_State *L, const Verdict &verdict);

// As the host knows it; Hold and Discard are no objection, as Accept is.
plugin::Reply reply_of(const Verdict &verdict);

}  // namespace mansio::lua
