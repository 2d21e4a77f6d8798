#include "plugins/lua/tool/fake_script.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/names.hpp"
#include "plugins/lua/tool/difference.hpp"
#include "plugins/lua/tool/values.hpp"

namespace mansio::lua::tool {
namespace {

using mansio::testing::FakeDnsAnswer;
using mansio::testing::FakeHost;
using mansio::testing::FakeMeta;
using mansio::testing::FakeReply;
using mansio::testing::FakeStage;
using mansio::testing::FakeTableAnswer;

constexpr const char *kType = "fake script";

struct Holder {
  std::unique_ptr<FakeScript> script;
};

std::vector<std::string> list_at(lua_State *L, int index, const char *what) {
  std::vector<std::string> values;
  if (lua_isnoneornil(L, index)) return values;
  expect_table(L, index, what);
  index = lua_absindex(L, index);
  const auto n = static_cast<lua_Integer>(lua_rawlen(L, index));
  for (lua_Integer i = 1; i <= n; ++i) {
    lua_rawgeti(L, index, i);
    values.emplace_back(text_at(L, -1, what));
    lua_pop(L, 1);
  }
  return values;
}

void push_meta(lua_State *L, const FakeMeta &meta) {
  lua_createtable(L, 0, static_cast<int>(meta.size()));
  for (const auto &[name, value] : meta) {
    push(L, value);
    lua_setfield(L, -2, name.c_str());
  }
}

const char *status_name(mansio_status status) {
  switch (status) {
    case MANSIO_OK:
      return "ok";
    case MANSIO_NOT_FOUND:
      return "not found";
    case MANSIO_SKIP:
      return "skip";
    case MANSIO_DEFER:
      return "defer";
    case MANSIO_FAIL:
      return "fail";
    case MANSIO_UNCERTAIN:
      return "uncertain";
    default:
      return "internal";
  }
}

std::uint32_t stage_named(std::string_view name) {
  for (const auto &event : kEvents)
    if (event.name == name) return event.stage;
  throw ScriptError{"there is no event \"" + std::string{name} + '"'};
}

// script(options, clock in seconds since 1970)
int open_script(lua_State *L) {
  FakeScript::Options options;
  each_text(L, 1, "options", [&](const std::string &name, std::string value) { options[name] = std::move(value); });
  options["script"] = text_field(L, 1, "path");
  const auto clock = integer_at(L, 2, "the clock", 1, 4'000'000'000);
  auto made = std::make_unique<FakeScript>(L, options, text_field(L, 1, "name"), clock * 1'000'000'000);
  new_object<Holder>(L, kType, Holder{std::move(made)});
  return 1;
}

int close_script(lua_State *L) {
  object_at<Holder>(L, 1, kType).script.reset();
  return 0;
}

int wants(lua_State *L) {
  auto &host = script_at(L, 1).host();
  if (!host.watches_sessions()) provides_none("filter");
  lua_pushboolean(L, host.wants(stage_named(text_at(L, 2, "the event"))));
  return 1;
}

// script:stage{event =, arguments =, macros =, content =, session =, queue_id =, session_meta =, message_meta =}
int stage(lua_State *L) {
  auto &host = script_at(L, 1).host();
  expect_table(L, 2, "the stage");
  FakeStage s;
  s.stage = stage_named(text_field(L, 2, "event"));
  lua_getfield(L, 2, "arguments");
  s.arguments = list_at(L, -1, "the arguments");
  lua_pop(L, 1);
  each_text(L, 2, "macros",
            [&](const std::string &name, std::string value) { s.macros.emplace_back(name, std::move(value)); });
  s.content = text_field(L, 2, "content");
  s.session = text_field(L, 2, "session");
  s.queue_id = text_field(L, 2, "queue_id");
  each_text(L, 2, "session_meta",
            [&](const std::string &name, std::string value) { s.session_meta[name] = std::move(value); });
  each_text(L, 2, "message_meta",
            [&](const std::string &name, std::string value) { s.message_meta[name] = std::move(value); });
  const auto result = host.run(s);
  push_reply(L, *result.last);
  push_texts(L, result.edits);
  lua_setfield(L, -2, "edits");
  push_meta(L, result.session_meta);
  lua_setfield(L, -2, "session_meta");
  push_meta(L, result.message_meta);
  lua_setfield(L, -2, "message_meta");
  return 1;
}

int lookup(lua_State *L) {  // (table, key)
  auto &host = script_at(L, 1).host();
  const std::string table{text_at(L, 2, "the table's name")}, key{text_at(L, 3, "the key")};
  push_reply(L, host.lookup(key, table));
  return 1;
}

int know_table(lua_State *L) {  // (table)
  script_at(L, 1).know(std::string{text_at(L, 2, "the table's name")});
  return 0;
}

// (table, key, list), or (table, key, nil, why it cannot answer)
int set_table(lua_State *L) {
  auto &script = script_at(L, 1);
  const std::string table{text_at(L, 2, "the table's name")}, key{text_at(L, 3, "the key")};
  auto values = list_at(L, 4, "the values");
  mansio_status status = values.empty() ? MANSIO_NOT_FOUND : MANSIO_OK;
  std::string text;
  if (!lua_isnoneornil(L, 5)) {
    status = MANSIO_DEFER;
    text = text_at(L, 5, "the reason");
  }
  script.know(table);
  script.host().tables[{table, key}] = FakeTableAnswer{status, std::move(values), std::move(text)};
  return 0;
}

struct DnsType {
  std::string_view name;
  std::uint16_t number;
};
constexpr std::array kDnsTypes{DnsType{"A", MANSIO_DNS_A}, DnsType{"AAAA", MANSIO_DNS_AAAA},
                               DnsType{"MX", MANSIO_DNS_MX}, DnsType{"TXT", MANSIO_DNS_TXT},
                               DnsType{"PTR", MANSIO_DNS_PTR}};

// (name, type, list of {data =, preference =}), or (name, type, nil, why it cannot answer)
int set_dns(lua_State *L) {
  auto &script = script_at(L, 1);
  const std::string name{text_at(L, 2, "the name")};
  const auto wanted = text_at(L, 3, "the type of the records");
  const auto type =
      std::find_if(kDnsTypes.begin(), kDnsTypes.end(), [&](const DnsType &t) { return t.name == wanted; });
  if (type == kDnsTypes.end())
    throw ScriptError{"there is no type \"" + std::string{wanted} + "\" of records, expected A, AAAA, MX, TXT or PTR"};
  FakeDnsAnswer answer{MANSIO_NOT_FOUND, {}, ""};
  if (lua_isnoneornil(L, 4)) {
    answer.status = MANSIO_DEFER;
    answer.text = text_at(L, 5, "the reason");
  } else {
    expect_table(L, 4, "the records");
    const auto n = static_cast<lua_Integer>(lua_rawlen(L, 4));
    for (lua_Integer i = 1; i <= n; ++i) {
      lua_rawgeti(L, 4, i);
      expect_table(L, -1, "a record");
      const int record = lua_absindex(L, -1);
      lua_getfield(L, record, "preference");
      const auto preference = lua_isnil(L, -1) ? 0 : integer_at(L, -1, "preference", 0, 65535);
      answer.records.push_back({text_field(L, record, "data"), static_cast<std::uint16_t>(preference)});
      lua_pop(L, 2);
      answer.status = MANSIO_OK;
    }
  }
  script.host().dns[{name, type->number}] = std::move(answer);
  return 0;
}

int dns_queries(lua_State *L) {  // a list of "NAME TYPE"
  std::vector<std::string> asked;
  for (const auto &[name, number] : script_at(L, 1).host().dns_queries)
    for (const auto &type : kDnsTypes)
      if (type.number == number) asked.push_back(name + ' ' + std::string{type.name});
  push_texts(L, asked);
  return 1;
}

int advance(lua_State *L) {
  auto &host = script_at(L, 1).host();
  host.advance(std::chrono::nanoseconds{duration_at(L, 2, "the time")});
  return 0;
}

int now(lua_State *L) {
  lua_pushnumber(L, static_cast<lua_Number>(script_at(L, 1).host().now()) / 1e9);
  return 1;
}

int log_text(lua_State *L) {
  push(L, script_at(L, 1).host().log);
  return 1;
}

int metric(lua_State *L) {
  auto &host = script_at(L, 1).host();
  lua_pushinteger(L, host.metric(std::string{text_at(L, 2, "the name")}));
  return 1;
}

int faults(lua_State *L) {
  push_texts(L, script_at(L, 1).host().faults);
  return 1;
}

int answer_http(lua_State *L) {  // (function)
  expect_function(L, 2, "the answers");
  lua_settop(L, 2);
  script_at(L, 1).servers().answer_http(L);
  return 0;
}

int answer_connections(lua_State *L) {  // (function)
  expect_function(L, 2, "the answers");
  lua_settop(L, 2);
  script_at(L, 1).servers().answer_connections(L);
  return 0;
}

int compare(lua_State *L) {
  const auto expected = text_at(L, 1, "the expected text"), got = text_at(L, 2, "the text");
  push(L, difference(expected, got));
  return 1;
}

// suggestion(name, list of known names): `; did you mean "rcpt"?`, or "".
int suggestion(lua_State *L) {
  const auto name = text_at(L, 1, "the name");
  const auto names = list_at(L, 2, "the names");
  const std::vector<std::string_view> known{names.begin(), names.end()};
  push(L, did_you_mean(name, known));
  return 1;
}

}  // namespace

FakeScript &script_at(lua_State *L, int index) {
  auto &holder = object_at<Holder>(L, index, kType);
  if (!holder.script) throw ScriptError{"this script belongs to a case that has ended"};
  return *holder.script;
}

void push_reply(lua_State *L, const FakeReply &reply) {
  lua_createtable(L, 0, 10);
  push(L, status_name(reply.status));
  lua_setfield(L, -2, "status");
  lua_pushinteger(L, reply.smtp_code);
  lua_setfield(L, -2, "code");
  push(L, reply.enhanced);
  lua_setfield(L, -2, "enhanced");
  push(L, reply.text);
  lua_setfield(L, -2, "text");
  push_texts(L, reply.values);
  lua_setfield(L, -2, "values");
  lua_pushnumber(L, static_cast<lua_Number>(reply.ttl_ns) / 1e9);
  lua_setfield(L, -2, "ttl");
  lua_pushnumber(L, static_cast<lua_Number>(reply.retry_ns) / 1e9);
  lua_setfield(L, -2, "retry");
  push(L, reply.relay);
  lua_setfield(L, -2, "relay");
  lua_pushboolean(L, (reply.flags & MANSIO_REPLY_SITE_FAILURE) != 0);
  lua_setfield(L, -2, "nexthop_failed");
}

FakeScript::FakeScript(lua_State *L, const Options &options, const std::string &name, std::int64_t clock)
    : servers_(L),
      host_(
          [&] {
            auto problems = FakeHost::check(mansio_plugin_entry_1(), options);
            while (!problems.empty() && problems.back() == '\n') problems.pop_back();
            if (!problems.empty()) throw ScriptError{problems};
            return mansio_plugin_entry_1();
          }(),
          options, {{"instance", name}, {"virtual_clock", std::to_string(clock)}}) {
  host_.other_services = [this](std::string_view iface) -> const void * {
    return iface == FakeServers::kService ? static_cast<const FakeServers *>(&servers_) : nullptr;
  };
  host_.other_tables = [this](const std::string &table, const std::string &) {
    if (known_.contains(table)) return FakeTableAnswer{MANSIO_NOT_FOUND, {}, ""};
    return FakeTableAnswer{MANSIO_DEFER, {}, "the test has no table \"" + table + '"'};
  };
}

void add_primitives(lua_State *L) {
  static constexpr luaL_Reg kMethods[] = {{"close", primitive<close_script>},
                                          {"wants", primitive<wants>},
                                          {"stage", driving<stage>},
                                          {"lookup", driving<lookup>},
                                          {"know_table", primitive<know_table>},
                                          {"set_table", primitive<set_table>},
                                          {"set_dns", primitive<set_dns>},
                                          {"dns_queries", primitive<dns_queries>},
                                          {"advance", driving<advance>},
                                          {"now", primitive<now>},
                                          {"log", primitive<log_text>},
                                          {"metric", primitive<metric>},
                                          {"faults", primitive<faults>},
                                          {"auth_step", driving<auth_step>},
                                          {"lease", driving<lease>},
                                          {"give_back", driving<give_back>},
                                          {"tell", driving<tell>},
                                          {"abort", driving<abort_message>},
                                          {"deliver", driving<deliver>},
                                          {"answer_submit", primitive<answer_submit>},
                                          {"submitted", primitive<submitted>},
                                          {"set_permits", primitive<set_permits>},
                                          {"call_command", driving<call_command>},
                                          {"answer_http", primitive<answer_http>},
                                          {"answer_connections", primitive<answer_connections>},
                                          {nullptr, nullptr}};
  make_type(L, kType, kMethods, destroy_object<Holder>);
  static constexpr luaL_Reg kFunctions[] = {{"script", primitive<open_script>},
                                            {"difference", primitive<compare>},
                                            {"suggestion", primitive<suggestion>},
                                            {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
  // Field of a session, and of mail in the queue -> the host's name of it.
  const auto add_facts = [L](const char *name, const auto &facts) {
    lua_createtable(L, 0, static_cast<int>(facts.size()));
    for (const auto &fact : facts) {
      push(L, fact.macro);
      lua_setfield(L, -2, std::string{fact.name}.c_str());
    }
    lua_setfield(L, -2, name);
  };
  add_facts("facts", kSessionFacts);
  add_facts("mail_facts", kQueuedFacts);
}

}  // namespace mansio::lua::tool
