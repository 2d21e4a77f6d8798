// A step of AUTH as a script sees it. Nobody is let in but by a result that says so.
#include "plugins/lua/auth.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/objects.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kAuthStep = "auth step", *kExchangeMeta = "exchange metadata";
constexpr std::size_t kMostNotes = 16, kLongestNoteName = 64, kLongestNote = 4096;

AuthWork &auth_of(lua_State *L, const char *type) { return *call_of(L, 1, type).asked<AuthWork>(); }

int auth_step_field(lua_State *L) {
  const auto &step = auth_of(L, kAuthStep).step();
  const auto key = text_at(L, 2, "the field");
  if (key == "mechanism") {
    push(L, step.mechanism);
  } else if (key == "response") {
    if (step.has_response)
      push(L, step.response);
    else
      lua_pushnil(L);
  } else if (key == "number") {
    lua_pushinteger(L, lua_Integer{step.number} + 1);
  } else if (key == "client_address") {
    push_known(L, step.client_address);
  } else if (key == "helo_name") {
    push_known(L, step.client_helo);
  } else if (key == "tls_version") {
    push_known(L, step.tls);
  } else if (key == "meta") {
    push_handle(L, kExchangeMeta, call_of(L, 1, kAuthStep));
  } else {
    no_field(kAuthStep, key, kAuthStepFields);
  }
  return 1;
}

int get_note(lua_State *L) {
  const auto &notes = auth_of(L, kExchangeMeta).notes();
  const auto found = notes.find(text_at(L, 2, "the name"));
  if (found == notes.end())
    lua_pushnil(L);
  else
    push(L, found->second);
  return 1;
}

int put_note(lua_State *L) {
  auto &notes = auth_of(L, kExchangeMeta).notes();
  const std::string name{text_at(L, 2, "the name")};
  const std::string value{lua_isnil(L, 3) ? std::string_view{} : text_at(L, 3, "the value")};
  if (value.empty()) {
    notes.erase(name);
    return 0;
  }
  if (name.empty() || name.size() > kLongestNoteName || value.size() > kLongestNote ||
      (notes.size() >= kMostNotes && !notes.contains(name)))
    throw ScriptError{"an exchange cannot have \"" + name.substr(0, kLongestNoteName) +
                      "\" in its metadata: there is room for 16 names of 1 to 64 octets, and values up to 4 KiB"};
  notes[name] = value;
  return 0;
}

}  // namespace

void make_auth_types(lua_State *L) {
  make_handle_type(L, kAuthStep, bound<auth_step_field>, bound<takes_no_field>);
  make_handle_type(L, kExchangeMeta, bound<get_note>, bound<put_note>);
}

int AuthWork::push(lua_State *L, Call &call) {
  if (credentials_) {
    lua::push(L, credentials_->user);
    lua::push(L, credentials_->password);
  }
  push_handle(L, kAuthStep, call);
  return credentials_ ? 3 : 1;
}

plugin::Reply AuthWork::result(lua_State *L, Call &call) {
  if (credentials_ && (lua_isboolean(L, -1) || lua_isnil(L, -1)))
    return lua_toboolean(L, -1) ? plugin::authenticated(credentials_->user)
                                : plugin::wrong_credentials("the script says no");
  const auto verdict = verdict_at(L, -1);
  const bool fits = verdict && verdict->of_auth() && !(credentials_ && verdict->kind == VerdictKind::Challenge);
  // What it returned is not shown: it may be a password.
  if (!fits)
    throw ScriptError{call.place(L) + ": the " + (credentials_ ? "check" : "step") + " of AUTH returned " +
                      (!verdict             ? type_name(L, -1)
                       : verdict->of_auth() ? "a challenge"
                                            : "a result that is for " + std::string{whose(*verdict)}) +
                      ", expected " + std::string{credentials_ ? expected_of("auth.check") : expected_of("auth.step")}};
  return reply(*verdict);
}

std::optional<plugin::Reply> AuthWork::thrown(const Verdict &verdict) {
  // To be let in is returned: an error on the way is none.
  if (!verdict.refuses() || !verdict.of_auth()) return std::nullopt;
  return reply(verdict);
}

// The script's error is in the log.
plugin::Reply AuthWork::fault(const std::string &) { return plugin::Reply{MANSIO_INTERNAL, {}, "the script failed"}; }

plugin::Reply AuthWork::reply(const Verdict &verdict) {
  switch (verdict.kind) {
    case VerdictKind::Authenticated:
      return plugin::authenticated(verdict.text, verdict.identity);
    case VerdictKind::Challenge:
      exchanges_.keep(step_.exchange, std::move(exchange_));
      return plugin::challenge(verdict.text);
    case VerdictKind::Defer:
      return plugin::defer(verdict.text);
    default:
      return plugin::wrong_credentials(verdict.text);
  }
}

}  // namespace mansio::lua
