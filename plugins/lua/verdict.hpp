// What a handler may return, made by mansio.accept(), reject(), defer(), hold() and discard(). One that is thrown as an
// error, and caught by nobody, is the handler's answer too: so a table that is down defers without a line of code.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "mansio/host.hpp"
#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

enum class VerdictKind { Accept, Reject, Defer, Hold, Discard };
struct Verdict {
  VerdictKind kind = VerdictKind::Accept;
  std::uint16_t code = 0;
  plugin::Enhanced enhanced{};
  std::string text;
};

// mansio.accept ..., into the table on top.
void add_verdicts(lua_State *L);

std::optional<Verdict> verdict_at(lua_State *L, int index);
void push_verdict(lua_State *L, const Verdict &verdict);

// Accept, Reject and Defer as the host knows them.
plugin::Reply reply_of(const Verdict &verdict);

}  // namespace mansio::lua
