#include "plugins/lua/wait.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/names.hpp"

namespace mansio::lua {
namespace {

enum What : lua_KContext { kLookup, kLookupAll, kDns, kSleep };

// The host's last word on a wait. fill(WaitAnswer &) may throw.
template <class F>
void over(void *arg, F fill) noexcept {
  auto &wait = *static_cast<Wait *>(arg);
  auto &engine = *wait.engine;
  auto *call = wait.call;
  engine.forget(wait);
  if (!call) return;
  call->wait_is_over();
  try {
    fill(call->answer());
  } catch (const std::exception &) {
    call->answer().status = MANSIO_DEFER;
  }
  engine.wake(*call);
}

void looked_up(void *arg, const mansio_reply *reply) noexcept {
  over(arg, [reply](WaitAnswer &answer) {
    const auto copy = plugin::Reply::copy(reply);
    answer = {copy.status(), copy.text(), copy.values(), {}};
  });
}

void resolved(void *arg, mansio_status status, mansio_str text, const mansio_dns_record *records, std::size_t n,
              std::size_t stride) noexcept {
  over(arg, [&](WaitAnswer &answer) {
    auto copy = plugin::DnsAnswer::copy(status, text, records, n, stride);
    answer = {copy.status, std::move(copy.text), {}, std::move(copy.records)};
  });
}

void slept(void *arg) noexcept {
  over(arg, [](WaitAnswer &answer) { answer = {MANSIO_OK, {}, {}, {}}; });
}

// What failed for now is the call's answer, unless the script catches it.
int no_answer(lua_State *L, Call &call) {
  if (const auto *host = call.engine().host())
    host->warn(call.waits_for() + " cannot answer: " + call.answer().text, call.op());
  push_verdict(L, {VerdictKind::Defer, 0, {4, 3, 0}, call.waits_for() + " cannot answer now"});
  return lua_error(L);
}

void push_list(lua_State *L, const std::vector<std::string> &values) {
  lua_createtable(L, static_cast<int>(values.size()), 0);
  for (std::size_t i = 0; i < values.size(); ++i) {
    push(L, values[i]);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
}

void push_records(lua_State *L, const std::vector<plugin::DnsRecord> &records) {
  lua_createtable(L, static_cast<int>(records.size()), 0);
  for (std::size_t i = 0; i < records.size(); ++i) {
    lua_createtable(L, 0, 2);
    push(L, records[i].data);
    lua_setfield(L, -2, "data");
    lua_pushinteger(L, records[i].preference);
    lua_setfield(L, -2, "preference");
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
}

// Where the script goes on after its wait.
int awake(lua_State *L, What what) {
  auto &call = Call::running(L, "a wait");
  const auto &answer = call.answer();
  if (what == kSleep) return 0;
  const bool none = answer.status == MANSIO_NOT_FOUND;
  if (what == kDns) {
    // What is no name at all has no records either.
    if (answer.status != MANSIO_OK && !none && answer.status != MANSIO_FAIL) return no_answer(L, call);
    push_records(L, answer.records);
    return 1;
  }
  if (answer.status != MANSIO_OK && !none) return no_answer(L, call);
  if (what == kLookupAll)
    push_list(L, answer.values);
  else if (none || answer.values.empty())
    lua_pushnil(L);
  else
    push(L, answer.values.front());
  return 1;
}

int resumed(lua_State *L, int, lua_KContext what) {
  return translated(L, 1, [&] { return awake(L, static_cast<What>(what)); });
}

template <What what>
int look_up(lua_State *L) {
  auto &call = Call::may_wait(L, what == kLookup ? "mansio.lookup" : "mansio.lookup_all");
  const auto table = text_at(L, 1, "the table's name");
  const auto key = text_at(L, 2, "the key");
  auto &wait = call.begin_wait("table \"" + std::string{table} + '"');
  call.engine().host()->lookup(table, key, looked_up, &wait);
  return lua_yieldk(L, 0, what, resumed);
}

int dns(lua_State *L) {
  struct Type {
    std::string_view name;
    std::uint16_t number;
  };
  static constexpr std::array kTypes{Type{"A", MANSIO_DNS_A}, Type{"AAAA", MANSIO_DNS_AAAA}, Type{"MX", MANSIO_DNS_MX},
                                     Type{"TXT", MANSIO_DNS_TXT}, Type{"PTR", MANSIO_DNS_PTR}};
  auto &call = Call::may_wait(L, "mansio.dns");
  const auto name = text_at(L, 1, "the name");
  const auto wanted = text_at(L, 2, "the type of the records");
  const auto type =
      std::find_if(kTypes.begin(), kTypes.end(), [&](const Type &t) { return t.name == wanted; });
  if (type == kTypes.end())
    throw ScriptError{"there is no type \"" + std::string{wanted} + "\" of records here, expected A, AAAA, MX, TXT or PTR"};
  auto &wait = call.begin_wait("the DNS for " + std::string{name});
  call.engine().host()->query(name, type->number, resolved, &wait);
  return lua_yieldk(L, 0, kDns, resumed);
}

int sleep(lua_State *L) {
  auto &call = Call::may_wait(L, "mansio.sleep");
  const auto time = duration_at(L, 1, "the time to sleep");
  auto &wait = call.begin_wait("a time");
  wait.timer = call.engine().host()->timer(std::max<std::int64_t>(time, 1), slept, &wait);
  return lua_yieldk(L, 0, kSleep, resumed);
}

}  // namespace

void add_waits(lua_State *L) {
  static constexpr luaL_Reg kFunctions[] = {{"lookup", bound<look_up<kLookup>>},
                                            {"lookup_all", bound<look_up<kLookupAll>>},
                                            {"dns", bound<dns>},
                                            {"sleep", bound<sleep>},
                                            {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

}  // namespace mansio::lua
