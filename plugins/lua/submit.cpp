// mansio.submit and mansio.take_permits. Both wait: the queue is in another process. What it refuses for good the
// script is told; what it cannot do now is an error that defers, as with a table that is down.
#include "plugins/lua/submit.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "mansio/permits.hpp"
#include "mansio/submit.hpp"
#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/names.hpp"
#include "plugins/lua/wait.hpp"

namespace mansio::lua {
namespace {

constexpr int kMail = 1;  // its index

bool is_ascii(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) > 127; });
}

// Up to its first empty line.
std::string_view header_of(std::string_view message) {
  const auto end = std::min(message.find("\n\n"), message.find("\n\r\n"));
  return message.substr(0, end);
}

void read_recipients(lua_State *L, plugin::Submission &mail) {
  lua_getfield(L, kMail, "recipients");
  if (type_name(L, -1) == "table") {  // and no address
    const auto n = static_cast<lua_Integer>(lua_rawlen(L, -1));
    State::of(L).charge(L, 10 * static_cast<std::uint64_t>(n));
    for (lua_Integer i = 1; i <= n; ++i) {
      lua_rawgeti(L, -1, i);
      mail.recipients.emplace_back(text_at(L, -1, "a recipient"));
      lua_pop(L, 1);
    }
  } else {
    mail.recipients.emplace_back(text_at(L, -1, "recipients"));
  }
  lua_pop(L, 1);
  if (mail.recipients.empty()) throw ScriptError{"the mail has no recipients"};
}

void read_meta(lua_State *L, plugin::Submission &mail) {
  if (lua_getfield(L, kMail, "meta") != LUA_TNIL) {
    expect_table(L, -1, "meta");
    const int meta = lua_absindex(L, -1);
    lua_pushnil(L);
    while (lua_next(L, meta)) {
      if (lua_type(L, -2) != LUA_TSTRING) throw ScriptError{"expected names as keys of meta"};
      const std::string name{text_at(L, -2, "the name")};
      mail.metadata.emplace_back(name, text_at(L, -1, name.c_str()));
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

plugin::Submission mail_at(lua_State *L) {
  expect_table<"mansio.submit">(L);
  only_fields(L, kMail, "mansio.submit", kSubmitFields);
  plugin::Submission mail;
  if (lua_getfield(L, kMail, "sender") != LUA_TNIL) mail.sender = text_at(L, -1, "sender");
  lua_pop(L, 1);
  read_recipients(L, mail);
  read_meta(L, mail);
  lua_getfield(L, kMail, "message");
  const auto message = text_at(L, -1, "message");
  State::of(L).charge(L, 1000 + message.size() / 8);
  const bool ascii_addresses =
      is_ascii(mail.sender) && std::all_of(mail.recipients.begin(), mail.recipients.end(), is_ascii);
  if (!is_ascii(message)) mail.flags |= MANSIO_MSG_BODY_8BITMIME;
  if (!ascii_addresses || !is_ascii(header_of(message))) mail.flags |= MANSIO_MSG_SMTPUTF8;
  mail.content = message;
  lua_pop(L, 1);
  return mail;
}

// What was taken, or what was refused, as the script gets it.
WaitAnswer answer_of(mansio_status status, std::string text) {
  WaitAnswer answer{status == MANSIO_FAIL ? MANSIO_OK : status, text};
  answer.give = [taken = status == MANSIO_OK, text = std::move(text)](lua_State *L) {
    if (!taken) lua_pushnil(L);
    push(L, text);
    return taken ? 1 : 2;
  };
  return answer;
}

void submitted(void *arg, mansio_status status, mansio_str text) noexcept {
  auto &wait = *static_cast<Wait *>(arg);
  try {
    end_wait(wait, answer_of(status, plugin::string(text)));
  } catch (const std::exception &) {
    end_wait(wait, {});  // no memory: DEFER
  }
}

// mansio.submit{sender =, recipients =, message =, meta =}: the queue id; or nil and why.
int submit(lua_State *L) {
  auto &call = Call::may_wait(L, "mansio.submit");
  const auto mail = mail_at(L);
  const plugin::Submitter submitter{*call.engine().host()};
  call.reaches_out();  // a delivery that is ended now may have done something
  auto &wait = call.begin_wait("the queue, for mail of the script's own", mail.content.size());
  submitter.submit(mail, submitted, &wait);
  return wait_for_it(L, call);
}

void granted(void *arg, std::uint32_t number, std::int64_t retry_ns) noexcept {
  auto &wait = *static_cast<Wait *>(arg);
  try {
    WaitAnswer answer{MANSIO_OK};
    answer.give = [number, retry_ns](lua_State *L) {
      lua_pushinteger(L, number);
      if (number != 0) return 1;
      lua_pushnumber(L, static_cast<lua_Number>(std::max<std::int64_t>(retry_ns, 0)) / 1e9);
      return 2;
    };
    end_wait(wait, std::move(answer));
  } catch (const std::exception &) {
    end_wait(wait, {});  // no memory: DEFER
  }
}

// mansio.take_permits(limit, key [, n]): how many, and of none the seconds until it may be asked again.
int take_permits(lua_State *L) {
  constexpr std::int64_t kMost = 10'000;  // of one question, to the host
  auto &call = Call::may_wait(L, "mansio.take_permits");
  const auto limit = text_at<"mansio.take_permits">(L);
  if (std::find(kQueueLimits.begin(), kQueueLimits.end(), limit) == kQueueLimits.end())
    throw ScriptError{no_queue_limit(limit)};
  const auto key = text_at<"mansio.take_permits", 2>(L);
  const auto n = lua_isnoneornil(L, 3) ? 1 : integer_at<"mansio.take_permits", 3>(L, 1, kMost);
  const plugin::Permits permits{*call.engine().host()};
  auto &wait = call.begin_wait("permits of " + std::string{limit});
  permits.take(limit, key, static_cast<std::uint32_t>(n), granted, &wait);
  return wait_for_it(L, call);
}

}  // namespace

void add_submit(lua_State *L) {
  static constexpr luaL_Reg kFunctions[] = {
      {"submit", bound<submit>}, {"take_permits", bound<take_permits>}, {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

}  // namespace mansio::lua
