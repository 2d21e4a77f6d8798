#include "plugins/lua/verdict.hpp"

#include <charconv>

#include "plugins/lua/bind.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kType = "verdict";
constexpr std::size_t kLongestText = 400;

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

// ([code,] [enhanced code,] [text]) of a reply that begins with `digit`.
Verdict refusal(lua_State *L, VerdictKind kind, int digit, Verdict verdict) {
  verdict.kind = kind;
  int at = 1;
  if (lua_type(L, at) == LUA_TNUMBER) {
    verdict.code = static_cast<std::uint16_t>(integer_at(L, at, "the code", digit * 100, digit * 100 + 99));
    ++at;
  }
  if (lua_type(L, at) == LUA_TSTRING) {
    const auto text = text_at(L, at, "the enhanced code");
    const auto enhanced = enhanced_code(text);
    if (enhanced && enhanced->cls != digit)
      throw ScriptError{"the enhanced code is " + std::string{text} + ", expected one that begins with " +
                        std::to_string(digit)};
    if (enhanced) {
      verdict.enhanced = *enhanced;
      ++at;
    } else if (!lua_isnoneornil(L, at + 1)) {
      throw ScriptError{"the enhanced code is \"" + std::string{text} + "\", expected one such as \"" +
                        std::to_string(digit) + ".7.1\""};
    }
  }
  if (!lua_isnoneornil(L, at)) verdict.text = one_line(text_at(L, at, "the text"));
  if (!lua_isnoneornil(L, at + 1)) throw ScriptError{"too many arguments, expected [code,] [enhanced code,] text"};
  return verdict;
}

int accept(lua_State *L) {
  push_verdict(L, {});
  return 1;
}
int reject(lua_State *L) {
  push_verdict(L, refusal(L, VerdictKind::Reject, 5, {VerdictKind::Reject, 0, {5, 7, 1}, "refused by policy"}));
  return 1;
}
int defer(lua_State *L) {
  push_verdict(L, refusal(L, VerdictKind::Defer, 4, {VerdictKind::Defer, 0, {4, 7, 1}, "try again later"}));
  return 1;
}
int hold(lua_State *L) {
  push_verdict(L, {VerdictKind::Hold, 0, {}, one_line(text_at(L, 1, "the reason"))});
  return 1;
}
int discard(lua_State *L) {
  push_verdict(L, {VerdictKind::Discard, 0, {}, one_line(text_at(L, 1, "the reason"))});
  return 1;
}

// What lies in Lua; the text is the user value, so that the collector need not call us.
struct Stored {
  VerdictKind kind;
  std::uint16_t code;
  plugin::Enhanced enhanced;
};

int to_text(lua_State *L) {
  static constexpr const char *kNames[] = {"accept", "reject", "defer", "hold", "discard"};
  const auto verdict = verdict_at(L, 1);
  if (!verdict) throw ScriptError{"expected a verdict"};
  push(L, std::string{kNames[static_cast<int>(verdict->kind)]} + (verdict->text.empty() ? "" : ": ") + verdict->text);
  return 1;
}

}  // namespace

void add_verdicts(lua_State *L) {
  make_type(L, kType, nullptr, nullptr);
  luaL_getmetatable(L, kType);
  lua_pushcfunction(L, bound<to_text>);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  static constexpr luaL_Reg kFunctions[] = {{"accept", bound<accept>}, {"reject", bound<reject>},
                                            {"defer", bound<defer>},   {"hold", bound<hold>},
                                            {"discard", bound<discard>}, {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

std::optional<Verdict> verdict_at(lua_State *L, int index) {
  const auto *stored = static_cast<const Stored *>(luaL_testudata(L, index, kType));
  if (!stored) return std::nullopt;
  Verdict verdict{stored->kind, stored->code, stored->enhanced, {}};
  lua_getiuservalue(L, index, 1);
  std::size_t n = 0;
  if (const char *text = lua_tolstring(L, -1, &n)) verdict.text.assign(text, n);
  lua_pop(L, 1);
  return verdict;
}

void push_verdict(lua_State *L, const Verdict &verdict) {
  auto *stored = static_cast<Stored *>(lua_newuserdatauv(L, sizeof(Stored), 1));
  *stored = {verdict.kind, verdict.code, verdict.enhanced};
  push(L, verdict.text);
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, kType);
}

plugin::Reply reply_of(const Verdict &verdict) {
  if (verdict.kind == VerdictKind::Reject || verdict.kind == VerdictKind::Defer) {
    const auto status = verdict.kind == VerdictKind::Reject ? MANSIO_FAIL : MANSIO_DEFER;
    plugin::Reply reply{status, verdict.enhanced, verdict.text};
    reply.code(verdict.code);
    return reply;
  }
  return plugin::Reply{MANSIO_OK};
}

}  // namespace mansio::lua
