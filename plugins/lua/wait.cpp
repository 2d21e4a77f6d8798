#include "plugins/lua/wait.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <string_view>
#include <utility>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/names.hpp"
#include "plugins/lua/objects.hpp"
#include "plugins/lua/strand.hpp"
#include "plugins/lua/told.hpp"
#include "plugins/lua/verdict.hpp"

namespace mansio::lua {
namespace {

enum What : lua_KContext { kLookup, kLookupAll, kDns, kSleep };

// What the host says; make() builds the answer, and may throw.
template <class F>
void answered(void *arg, F make) noexcept {
  auto &wait = *static_cast<Wait *>(arg);
  try {
    end_wait(wait, make());
  } catch (const std::exception &) {
    end_wait(wait, {});  // no memory: DEFER
  }
}

void looked_up(void *arg, const mansio_reply *reply) noexcept {
  answered(arg, [reply] {
    const auto copy = plugin::Reply::copy(reply);
    return WaitAnswer{copy.status(), copy.text(), copy.values()};
  });
}

void resolved(void *arg, mansio_status status, mansio_str text, const mansio_dns_record *records, std::size_t n,
              std::size_t stride) noexcept {
  answered(arg, [&] {
    auto copy = plugin::DnsAnswer::copy(status, text, records, n, stride);
    return WaitAnswer{copy.status, std::move(copy.text), {}, std::move(copy.records)};
  });
}

void slept(void *arg) noexcept {
  answered(arg, [] { return WaitAnswer{MANSIO_OK}; });
}

[[noreturn]] void no_answer(lua_State *L, Call &call) { cannot_answer(L, call, call.waits_for(), call.answer().text); }

void push_records(lua_State *L, const std::vector<plugin::DnsRecord> &records) {
  lua_createtable(L, static_cast<int>(records.size()), 0);
  for (std::size_t i = 0; i < records.size(); ++i) {
    lua_createtable(L, 0, 2);
    push(L, records[i].data);
    lua_setfield(L, -2, "data");
    lua_pushinteger(L, records[i].preference);
    lua_setfield(L, -2, "preference");
    luaL_setmetatable(L, kRecordType);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i) + 1);
  }
}

void ask_for_recording(Wait &wait, const Call &call, std::string_view kind, std::string_view of,
                       std::string_view what) {
  if (!call.recorded()) return;
  append_told(wait.question, kind);
  append_told(wait.question, of);
  append_told(wait.question, what);
}

std::string line_of_recording(std::string line, const WaitAnswer &answer) {
  const bool with_preference = line.ends_with(std::string{'\t'} + std::string{kToldPreferences});
  append_told(line, answer.status == MANSIO_OK          ? kToldOk
                    : answer.status == MANSIO_NOT_FOUND ? kToldNotFound
                    : answer.status == MANSIO_FAIL      ? kToldFail
                                                        : kToldDefer);
  for (const auto &value : answer.values) append_told(line, value);
  for (const auto &record : answer.records)
    append_told(line, with_preference ? std::to_string(record.preference) + ' ' + record.data : record.data);
  if (answer.status != MANSIO_OK && answer.status != MANSIO_NOT_FOUND) append_told(line, answer.text);
  return line;
}

// Where the script goes on after its wait.
int awake(lua_State *L, What what) {
  auto &call = Call::running(L, "a wait");
  const auto &answer = call.answer();
  if (what == kSleep) return 0;
  const bool none = answer.status == MANSIO_NOT_FOUND;
  if (what == kDns) {
    // What is no name at all has no records either.
    if (answer.status != MANSIO_OK && !none && answer.status != MANSIO_FAIL) no_answer(L, call);
    push_records(L, answer.records);
    return 1;
  }
  if (answer.status != MANSIO_OK && !none) no_answer(L, call);
  if (what == kLookupAll)
    push_texts(L, answer.values);
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
  const auto table = text_at<"mansio.lookup">(L);
  const auto key = text_at<"mansio.lookup", 2>(L);
  auto &wait = call.begin_wait("table \"" + std::string{table} + '"');
  ask_for_recording(wait, call, kToldLookup, table, key);
  call.engine().host()->lookup(table, key, looked_up, &wait);
  return lua_yieldk(L, 0, what, resumed);
}

int dns(lua_State *L) {
  // In the order of their names.
  static constexpr std::array<std::uint16_t, kRecordTypes.size()> kNumbers{MANSIO_DNS_A, MANSIO_DNS_AAAA, MANSIO_DNS_MX,
                                                                           MANSIO_DNS_TXT, MANSIO_DNS_PTR};
  auto &call = Call::may_wait(L, "mansio.dns");
  const auto name = text_at<"mansio.dns">(L);
  const auto wanted = text_at<"mansio.dns", 2>(L);
  const auto type = std::find(kRecordTypes.begin(), kRecordTypes.end(), wanted);
  if (type == kRecordTypes.end()) throw ScriptError{no_record_type(wanted)};
  auto &wait = call.begin_wait("the DNS for " + std::string{name});
  ask_for_recording(wait, call, kToldDns, name, *type);
  const auto number = kNumbers.at(static_cast<std::size_t>(type - kRecordTypes.begin()));
  call.engine().host()->query(name, number, resolved, &wait);
  return lua_yieldk(L, 0, kDns, resumed);
}

int sleep(lua_State *L) {
  auto &call = Call::may_wait(L, "mansio.sleep");
  const auto time = duration_at<"mansio.sleep">(L);
  auto &wait = call.begin_wait("a time");
  const auto *host = call.engine().host();
  const auto timer = host->timer(std::max<std::int64_t>(time, 1), slept, &wait);
  wait.stop = [host, timer, &wait] {
    host->cancel_timer(timer);
    wait.engine->forget(wait);
  };
  return lua_yieldk(L, 0, kSleep, resumed);
}

// Where a script goes on whose answer says itself what it is.
int given(lua_State *L, int, lua_KContext) {
  return translated(L, 1, [L] {
    auto &call = Call::running(L, "a wait");
    const auto answer = std::move(call.answer());
    call.release();  // Lua counts it from here on
    if (answer.status != MANSIO_OK)
      // Whose address it is is nobody's business but the operator's.
      cannot_answer(L, call, "a service that was asked", call.waits_for() + ": " + answer.text,
                    answer.status == MANSIO_UNCERTAIN);
    return answer.give ? answer.give(L) : 0;
  });
}

}  // namespace

void end_wait(Wait &wait, WaitAnswer answer) noexcept {
  auto &engine = *wait.engine;
  auto *call = wait.call;
  auto *strand = wait.strand;
  auto question = std::move(wait.question);
  engine.forget(wait);
  if (!call) return;
  try {
    if (!question.empty()) call->told(line_of_recording(std::move(question), answer));
  } catch (const std::exception &) {  // no memory: the recording has a gap
  }
  strand->wait = nullptr;
  strand->answer = std::move(answer);
  engine.wake(*call, *strand);
}

int wait_for_it(lua_State *L, Call &call) { return call.waits() ? lua_yieldk(L, 0, 0, given) : given(L, LUA_OK, 0); }

void cannot_answer(lua_State *L, Call &call, const std::string &what, const std::string &why, bool perhaps_done) {
  call.engine().host()->warn(what + " cannot answer: " + why, call.op());
  if (perhaps_done && call.delivery())
    push_verdict(L, {VerdictKind::Uncertain, 0, {4, 4, 2}, what + " did not answer, and may have done it"});
  else
    push_verdict(L, {VerdictKind::Defer, 0, {4, 3, 0}, what + " cannot answer now"});
  lua_error(L);
  std::abort();  // not reached: that throws
}

void add_waits(lua_State *L) {
  static constexpr luaL_Reg kFunctions[] = {{"lookup", bound<look_up<kLookup>>},
                                            {"lookup_all", bound<look_up<kLookupAll>>},
                                            {"dns", bound<dns>},
                                            {"sleep", bound<sleep>},
                                            {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

}  // namespace mansio::lua
