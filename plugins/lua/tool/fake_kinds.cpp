// What a test asks of the other kinds of scripts: steps of AUTH, leases of a rate, events that they are told of, and
// deliveries.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/names.hpp"
#include "plugins/lua/tool/fake_script.hpp"
#include "plugins/lua/tool/values.hpp"

namespace mansio::lua::tool {
namespace {

using mansio::testing::FakeAuthStep;
using mansio::testing::FakeEvent;
using mansio::testing::FakeHost;
using mansio::testing::FakeLease;
using mansio::testing::FakeMail;

// Of a field that may be missing.
std::int64_t number_field(lua_State *L, int index, const char *name, std::int64_t otherwise, std::int64_t most) {
  lua_getfield(L, index, name);
  const auto number = lua_isnil(L, -1) ? otherwise : integer_at(L, -1, name, 0, most);
  lua_pop(L, 1);
  return number;
}

bool has_word(std::string_view words, std::string_view word) {
  return (' ' + std::string{words} + ' ').find(' ' + std::string{word} + ' ') != std::string::npos;
}

// What nobody waits for goes as far as it gets without time.
void settle(FakeHost &host) { host.advance(std::chrono::nanoseconds{0}); }

// The field `notify` of the table on top.
std::uint8_t notify_field(lua_State *L) {
  struct Name {
    std::string_view text;
    std::uint8_t bit;
  };
  static constexpr std::array kNames{Name{"never", MANSIO_NOTIFY_NEVER}, Name{"success", MANSIO_NOTIFY_SUCCESS},
                                     Name{"failure", MANSIO_NOTIFY_FAILURE}, Name{"delay", MANSIO_NOTIFY_DELAY}};
  std::uint8_t bits = 0;
  if (lua_getfield(L, -1, "notify") != LUA_TNIL) {
    expect_table(L, -1, "notify");
    const auto n = static_cast<lua_Integer>(lua_rawlen(L, -1));
    for (lua_Integer i = 1; i <= n; ++i) {
      lua_rawgeti(L, -1, i);
      const auto text = text_at(L, -1, "notify");
      const auto name =
          std::find_if(kNames.begin(), kNames.end(), [&](const Name &known) { return known.text == text; });
      if (name == kNames.end())
        throw ScriptError{"notify has \"" + std::string{text} + "\", expected never, success, failure or delay"};
      bits = static_cast<std::uint8_t>(bits | name->bit);
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  return bits;
}

}  // namespace

void provides_none(const char *kind) {
  throw ScriptError{std::string{"the script provides no "} + kind +
                    " of this name: test.script(path, {name = ...}) says what it is called in the configuration"};
}

// script:auth_step{mechanism =, response =, step =, exchange =, client_address =, helo_name =, tls_version =}
int auth_step(lua_State *L) {
  auto &host = script_at(L, 1).host();
  expect_table(L, 2, "the step");
  FakeAuthStep step;
  step.mechanism = text_field(L, 2, "mechanism");
  lua_getfield(L, 2, "response");
  if (!lua_isnil(L, -1)) step.response = std::string{text_at(L, -1, "the response")};
  lua_pop(L, 1);
  step.step = static_cast<std::uint32_t>(number_field(L, 2, "step", 0, 1000));
  step.exchange = static_cast<std::uint64_t>(number_field(L, 2, "exchange", 1, 1'000'000'000));
  step.client_address = text_field(L, 2, "client_address");
  step.client_helo = text_field(L, 2, "helo_name");
  step.tls = text_field(L, 2, "tls_version");
  const auto offered = host.mechanisms(step.tls.empty());
  if (offered.empty()) provides_none("auth");
  if (!has_word(offered, step.mechanism))
    throw ScriptError{"the script does not offer the mechanism \"" + step.mechanism + "\", but " + offered};
  push_reply(L, host.authenticate(step));
  return 1;
}

// script:lease{limit =, key =, want =, per_second =, burst =}
int lease(lua_State *L) {
  constexpr std::int64_t kMost = 1'000'000'000;
  auto &host = script_at(L, 1).host();
  if (!host.owns_rates()) provides_none("rate");
  expect_table(L, 2, "the request");
  FakeLease request;
  if (auto limit = text_field(L, 2, "limit"); !limit.empty()) request.limit = std::move(limit);
  if (auto key = text_field(L, 2, "key"); !key.empty()) request.key = std::move(key);
  request.want = static_cast<std::uint32_t>(number_field(L, 2, "want", 1, kMost));
  request.burst = static_cast<std::uint32_t>(number_field(L, 2, "burst", 1, kMost));
  if (lua_getfield(L, 2, "per_second") != LUA_TNIL) {
    if (!lua_isnumber(L, -1)) throw ScriptError{"expected a number for per_second, got " + type_name(L, -1)};
    request.per_second = lua_tonumber(L, -1);
  }
  lua_pop(L, 1);
  push_reply(L, host.lease(request));
  return 1;
}

// script:give_back(limit, key, unused)
int give_back(lua_State *L) {
  auto &host = script_at(L, 1).host();
  if (!host.owns_rates()) provides_none("rate");
  const std::string limit{text_at(L, 2, "the limit")}, key{text_at(L, 3, "the key")};
  host.give_back(limit, key, static_cast<std::uint32_t>(integer_at(L, 4, "the number", 0, 1'000'000'000)));
  settle(host);
  return 0;
}

// script:tell(event, {queue_id =, recipient =, fields =}): whether a handler was told.
int tell(lua_State *L) {
  auto &host = script_at(L, 1).host();
  const auto name = text_at(L, 2, "the event");
  expect_table(L, 3, "what is told");
  const auto known =
      std::find_if(kMessageEvents.begin(), kMessageEvents.end(), [&](const auto &e) { return e.name == name; });
  if (known == kMessageEvents.end()) {
    std::vector<std::string_view> names;
    for (const auto &event : kMessageEvents) names.push_back(event.name);
    throw ScriptError{"there is no event \"" + std::string{name} + "\" of the queue" + did_you_mean(name, names)};
  }
  FakeEvent event;
  event.event = known->event;
  event.time = host.now();
  if (auto id = text_field(L, 3, "queue_id"); !id.empty()) event.queue_id = std::move(id);
  event.recipient = text_field(L, 3, "recipient");
  each_text(L, 3, "fields",
            [&](const std::string &field, std::string value) { event.fields.emplace_back(field, std::move(value)); });
  lua_pushboolean(L, host.hears_events() && host.tell(event));
  settle(host);
  return 1;
}

// script:abort(session, queue id): that message comes to nothing.
int abort_message(lua_State *L) {
  auto &host = script_at(L, 1).host();
  const std::string session{text_at(L, 2, "the session")}, queue_id{text_at(L, 3, "the queue id")};
  host.abort(session, queue_id);
  settle(host);
  return 0;
}

// script:deliver{sender =, recipients =, content =, nexthop =, meta =, attempts =, envid =, source_pool =}: a list of
// replies, one for each of {address =, original =, orcpt =, notify =}.
int deliver(lua_State *L) {
  auto &host = script_at(L, 1).host();
  expect_table(L, 2, "the delivery");
  FakeMail mail;
  mail.sender = text_field(L, 2, "sender");
  mail.content = text_field(L, 2, "content");
  mail.nexthop = text_field(L, 2, "nexthop");
  mail.envid = text_field(L, 2, "envid");
  mail.source_pool = text_field(L, 2, "source_pool");
  mail.attempts = static_cast<std::uint32_t>(number_field(L, 2, "attempts", 0, 1'000'000));
  each_text(L, 2, "meta",
            [&](const std::string &name, std::string value) { mail.metadata.emplace_back(name, std::move(value)); });
  lua_getfield(L, 2, "recipients");
  expect_table(L, -1, "the recipients");
  const auto n = static_cast<lua_Integer>(lua_rawlen(L, -1));
  for (lua_Integer i = 1; i <= n; ++i) {
    lua_rawgeti(L, -1, i);
    expect_table(L, -1, "a recipient");
    const int at = lua_absindex(L, -1);
    mail.recipients.push_back(
        {text_field(L, at, "address"), text_field(L, at, "original"), text_field(L, at, "orcpt"), notify_field(L)});
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  const auto op = host.deliver(mail);
  host.finish(op);
  const auto result = host.take(op);
  lua_createtable(L, static_cast<int>(n), 0);
  for (const auto &[index, reply] : result.recipients) {
    push_reply(L, reply);
    lua_rawseti(L, -2, static_cast<lua_Integer>(index) + 1);
  }
  return 1;
}

}  // namespace mansio::lua::tool
