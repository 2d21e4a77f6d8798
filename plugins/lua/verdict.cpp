#include "plugins/lua/verdict.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include "plugins/common/credentials.hpp"
#include "plugins/lua/bind.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/declare/argument.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kVerdictType = "verdict";
constexpr std::size_t kLongestText = 400;
constexpr std::int64_t kLongestRetry = std::int64_t{7} * 86400 * 1'000'000'000;  // beyond it nobody is listened to

// "5.7.1"; nothing for what is no code of RFC 3463.
std::optional<plugin::Enhanced> enhanced_code(std::string_view text) {
  std::uint16_t parts[3]{};
  const char *at = text.data(), *const end = text.data() + text.size();
  for (int i = 0; i < 3; ++i) {
    const auto [next, error] = std::from_chars(at, end, parts[i]);
    if (error != std::errc{} || next - at > 3 || (i < 2 && (next == end || *next != '.'))) return std::nullopt;
    at = next + (i < 2 ? 1 : 0);
  }
  if (at != end || (parts[0] != 2 && parts[0] != 4 && parts[0] != 5)) return std::nullopt;
  return plugin::Enhanced{parts[0], parts[1], parts[2]};
}

// Of one line, as a reply can have it.
std::string one_line(std::string_view text) {
  std::string out{text.substr(0, kLongestText)};
  for (auto &c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return out;
}

// {retry =, nexthop_failed =, relay =}, of transports.
void read_result_options(lua_State *L, int index, Verdict &verdict) {
  only_fields(L, index, "the result", kResultOptions);
  const bool defers = verdict.kind == VerdictKind::Defer;
  if (lua_getfield(L, index, "retry") != LUA_TNIL) {
    if (!defers) throw ScriptError{"retry is for a result that defers"};
    verdict.retry = std::min(duration_at(L, -1, "retry"), kLongestRetry);
  }
  if (lua_getfield(L, index, "nexthop_failed") != LUA_TNIL) {
    if (!defers) throw ScriptError{"nexthop_failed is for a result that defers"};
    if (!lua_isboolean(L, -1)) throw ScriptError{"expected true or false for nexthop_failed, got " + type_name(L, -1)};
    verdict.nexthop_failed = lua_toboolean(L, -1) != 0;
  }
  if (lua_getfield(L, index, "relay") != LUA_TNIL) verdict.relay = one_line(text_at(L, -1, "relay"));
  lua_pop(L, 3);
}

// ([code,] [enhanced code,] [text] [, options]) from `at` on, of a reply that begins with `digit`.
Verdict reply_at(lua_State *L, int at, int digit, Verdict verdict) {
  if (lua_type(L, at) == LUA_TNUMBER) {
    verdict.code = static_cast<std::uint16_t>(integer_at(L, at, "the code", digit * 100, digit * 100 + 99));
    ++at;
  }
  const auto options_at = [L](int index) { return type_name(L, index) == "table"; };  // and no address
  if (lua_type(L, at) == LUA_TSTRING) {
    const auto text = text_at(L, at, "the enhanced code");
    const auto enhanced = enhanced_code(text);
    if (enhanced && enhanced->cls != digit)
      throw ScriptError{"the enhanced code is " + std::string{text} + ", expected one that begins with " +
                        std::to_string(digit)};
    if (enhanced) {
      verdict.enhanced = *enhanced;
      ++at;
    } else if (!lua_isnoneornil(L, at + 1) && !options_at(at + 1)) {
      throw ScriptError{"the enhanced code is \"" + std::string{text} + "\", expected one such as \"" +
                        std::to_string(digit) + ".7.1\""};
    }
  }
  if (!options_at(at)) {
    if (!lua_isnoneornil(L, at)) verdict.text = one_line(text_at(L, at, "the text"));
    ++at;
  }
  if (options_at(at)) read_result_options(L, at++, verdict);
  if (!lua_isnoneornil(L, at))
    throw ScriptError{"too many arguments, expected [code,] [enhanced code,] text [, options]"};
  return verdict;
}

// A name as the host takes one for who a client is.
template <std::size_t N>
std::string user_at(lua_State *L) {
  const auto name = text_at<"mansio.authenticated", N>(L);
  if (!sasl::is_name(name))
    throw ScriptError{std::string{declared_argument("mansio.authenticated", N).what} +
                      " is no name: expected 1 to 255 octets of UTF-8 without control characters"};
  return std::string{name};
}

int accept(lua_State *L) {
  push_verdict(L, {});
  return 1;
}
int reject(lua_State *L) {
  push_verdict(L, reply_at(L, 1, 5, {VerdictKind::Reject, 0, {5, 7, 1}, "refused by policy"}));
  return 1;
}
int defer(lua_State *L) {
  push_verdict(L, reply_at(L, 1, 4, {VerdictKind::Defer, 0, {4, 7, 1}, "try again later"}));
  return 1;
}
int hold(lua_State *L) {
  push_verdict(L, {VerdictKind::Hold, 0, {}, one_line(text_at<"mansio.hold">(L))});
  return 1;
}
int discard(lua_State *L) {
  push_verdict(L, {VerdictKind::Discard, 0, {}, one_line(text_at<"mansio.discard">(L))});
  return 1;
}

// mansio.redirect(address)
int redirect(lua_State *L) {
  constexpr std::size_t kLongestAddress = 320;
  const auto address = text_at<"mansio.redirect">(L);
  if (address.empty() || address.size() > kLongestAddress || address.find('@') == address.npos)
    throw ScriptError{"expected an address such as \"user@example.com\", got \"" + one_line(address) + '"'};
  push_verdict(L, {VerdictKind::Redirect, 0, {}, std::string{address}});
  return 1;
}

int sent(lua_State *L) {
  push_verdict(L, result_at(L, 1, VerdictKind::Sent));
  return 1;
}
int uncertain(lua_State *L) {
  push_verdict(L, result_at(L, 1, VerdictKind::Uncertain));
  return 1;
}

// mansio.authenticated(user [, identity])
int authenticated(lua_State *L) {
  Verdict verdict{VerdictKind::Authenticated, 0, {}, user_at<1>(L)};
  if (!lua_isnoneornil(L, 2)) verdict.identity = user_at<2>(L);
  push_verdict(L, verdict);
  return 1;
}

// mansio.challenge([octets])
int challenge(lua_State *L) {
  constexpr std::size_t kLongestChallenge = 9210;  // as the host takes them
  const auto octets = lua_isnoneornil(L, 1) ? std::string_view{} : text_at<"mansio.challenge">(L);
  if (octets.size() > kLongestChallenge)
    throw ScriptError{"a challenge has at most 9210 octets, got " + std::to_string(octets.size())};
  push_verdict(L, {VerdictKind::Challenge, 0, {}, std::string{octets}});
  return 1;
}

// mansio.permits(n [, {ttl =, retry =}])
int permits(lua_State *L) {
  Verdict verdict{VerdictKind::Permits, 0, {}, ""};
  verdict.permits =
      static_cast<std::uint32_t>(integer_at<"mansio.permits">(L, 0, std::numeric_limits<std::uint32_t>::max()));
  if (!lua_isnoneornil(L, 2)) {
    expect_table<"mansio.permits", 2>(L);
    only_fields(L, 2, "mansio.permits", kPermitsOptions);
    if (lua_getfield(L, 2, "ttl") != LUA_TNIL) verdict.ttl = duration_at(L, -1, "ttl");
    if (lua_getfield(L, 2, "retry") != LUA_TNIL) verdict.retry = duration_at(L, -1, "retry");
    lua_pop(L, 2);
  }
  push_verdict(L, verdict);
  return 1;
}

// mansio.retry(time [, text])
int retry(lua_State *L) {
  Verdict verdict{VerdictKind::Defer, 0, {4, 7, 1}, "try again later"};
  verdict.retry = std::min(duration_at<"mansio.retry">(L), kLongestRetry);
  if (!lua_isnoneornil(L, 2)) verdict.text = one_line(text_at<"mansio.retry", 2>(L));
  push_verdict(L, verdict);
  return 1;
}

// mansio.route{transport =, nexthop =, source_pool =}
int route(lua_State *L) {
  Verdict verdict{VerdictKind::Route, 0, {}, ""};
  expect_table<"mansio.route">(L);
  only_fields(L, 1, "mansio.route", kRouteFields);
  const auto take = [L](const char *name, std::string &to) {
    if (lua_getfield(L, 1, name) != LUA_TNIL) to = one_line(text_at(L, -1, name));
    lua_pop(L, 1);
  };
  take("transport", verdict.text);
  take("nexthop", verdict.relay);
  take("source_pool", verdict.identity);
  if (verdict.text.empty() && verdict.relay.empty() && verdict.identity.empty())
    throw ScriptError{"mansio.route says nothing, expected a transport, a nexthop or a source_pool"};
  push_verdict(L, verdict);
  return 1;
}

// What lies in Lua; its texts are the user values, so that the collector need not call us.
struct Stored {
  VerdictKind kind;
  std::uint16_t code;
  plugin::Enhanced enhanced;
  std::int64_t retry;
  bool nexthop_failed;
  std::uint32_t permits;
  std::int64_t ttl;
};
constexpr int kTextSlot = 1, kRelaySlot = 2, kIdentitySlot = 3;

std::string stored_text(lua_State *L, int index, int which) {
  std::string text;
  std::size_t n = 0;
  lua_getiuservalue(L, index, which);
  if (const char *at = lua_tolstring(L, -1, &n)) text.assign(at, n);
  lua_pop(L, 1);
  return text;
}

std::string_view constructor_of(VerdictKind kind) {
  static constexpr std::string_view kNames[] = {"accept",        "reject",    "defer",   "hold",
                                                "discard",       "redirect",  "sent",    "uncertain",
                                                "authenticated", "challenge", "permits", "route"};
  return kNames[static_cast<int>(kind)];
}

int verdict_text(lua_State *L) {
  const auto verdict = verdict_at(L, 1);
  if (!verdict) throw ScriptError{"expected a verdict"};
  const auto text = verdict->kind == VerdictKind::Permits ? std::to_string(verdict->permits) : verdict->text;
  push(L, std::string{constructor_of(verdict->kind)} + (text.empty() ? "" : ": ") + text);
  return 1;
}

}  // namespace

void add_verdicts(lua_State *L) {
  make_type(L, kVerdictType, nullptr, nullptr);
  luaL_getmetatable(L, kVerdictType);
  lua_pushcfunction(L, bound<verdict_text>);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  static constexpr luaL_Reg kFunctions[] = {{"accept", bound<accept>},
                                            {"reject", bound<reject>},
                                            {"defer", bound<defer>},
                                            {"hold", bound<hold>},
                                            {"discard", bound<discard>},
                                            {"redirect", bound<redirect>},
                                            {"sent", bound<sent>},
                                            {"uncertain", bound<uncertain>},
                                            {"authenticated", bound<authenticated>},
                                            {"challenge", bound<challenge>},
                                            {"permits", bound<permits>},
                                            {"retry", bound<retry>},
                                            {"route", bound<route>},
                                            {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

std::optional<Verdict> verdict_at(lua_State *L, int index) {
  const auto *stored = static_cast<const Stored *>(luaL_testudata(L, index, kVerdictType));
  if (!stored) return std::nullopt;
  Verdict verdict{stored->kind, stored->code, stored->enhanced, stored_text(L, index, kTextSlot)};
  verdict.retry = stored->retry;
  verdict.nexthop_failed = stored->nexthop_failed;
  verdict.relay = stored_text(L, index, kRelaySlot);
  verdict.identity = stored_text(L, index, kIdentitySlot);
  verdict.permits = stored->permits;
  verdict.ttl = stored->ttl;
  return verdict;
}

bool Verdict::of_queue(std::uint32_t stage) const {
  if (refuses() && (nexthop_failed || !relay.empty())) return false;
  const auto *const declared = results_at(stage);
  return declared && declared->may_be_result(constructor_of(kind));
}

std::string_view whose(const Verdict &verdict) {
  if (verdict.kind == VerdictKind::Permits) return "rates";
  if (verdict.kind == VerdictKind::Route) return "the queue's events";
  if (verdict.of_handlers()) return "handlers";
  return verdict.of_auth() ? "AUTH" : "transports";
}

void push_verdict(lua_State *L, const Verdict &verdict) {
  auto *stored = static_cast<Stored *>(lua_newuserdatauv(L, sizeof(Stored), kIdentitySlot));
  *stored = {verdict.kind,           verdict.code,    verdict.enhanced, verdict.retry,
             verdict.nexthop_failed, verdict.permits, verdict.ttl};
  push(L, verdict.text);
  lua_setiuservalue(L, -2, kTextSlot);
  push(L, verdict.relay);
  lua_setiuservalue(L, -2, kRelaySlot);
  push(L, verdict.identity);
  lua_setiuservalue(L, -2, kIdentitySlot);
  luaL_setmetatable(L, kVerdictType);
}

Verdict result_at(lua_State *L, int at, VerdictKind kind) {
  switch (kind) {
    case VerdictKind::Sent:
      return reply_at(L, at, 2, {kind, 0, {2, 0, 0}, ""});
    case VerdictKind::Reject:
      return reply_at(L, at, 5, {kind, 0, {5, 0, 0}, "the next hop refused it"});
    case VerdictKind::Uncertain:
      return reply_at(L, at, 4, {kind, 0, {4, 4, 2}, "it may have been delivered"});
    default:
      return reply_at(L, at, 4, {VerdictKind::Defer, 0, {4, 0, 0}, "try again later"});
  }
}

plugin::Reply reply_of(const Verdict &verdict) {
  mansio_status status = MANSIO_OK;
  if (verdict.kind == VerdictKind::Reject) status = MANSIO_FAIL;
  if (verdict.kind == VerdictKind::Defer) status = MANSIO_DEFER;
  if (verdict.kind == VerdictKind::Uncertain) status = MANSIO_UNCERTAIN;
  if (status == MANSIO_OK && verdict.kind != VerdictKind::Sent) return plugin::Reply{MANSIO_OK};
  plugin::Reply reply{status, verdict.enhanced, verdict.text};
  reply.code(verdict.code).retry(verdict.retry).relay(verdict.relay);
  if (verdict.nexthop_failed) reply.site_failure();
  return reply;
}

}  // namespace mansio::lua
