// The queue and the operator that a script under test has: mail that it submits, permits that it takes, and its
// commands.
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/tool/fake_script.hpp"
#include "plugins/lua/tool/values.hpp"

namespace mansio::lua::tool {
namespace {

using mansio::testing::FakeGranted;
using mansio::testing::FakePermits;
using mansio::testing::FakeSubmission;
using mansio::testing::FakeSubmitAnswer;

}  // namespace

// script:answer_submit(why it is refused for good), or (nil, why it cannot be taken now), or () when it is taken
int answer_submit(lua_State *L) {
  FakeSubmitAnswer answer;
  if (!lua_isnoneornil(L, 2))
    answer = {MANSIO_FAIL, std::string{text_at(L, 2, "the reason")}};
  else if (!lua_isnoneornil(L, 3))
    answer = {MANSIO_DEFER, std::string{text_at(L, 3, "the reason")}};
  script_at(L, 1).host().submit_answer = [answer](const FakeSubmission &) { return answer; };
  return 0;
}

// script:submitted(): a list of {sender =, recipients =, message =, meta =}
int submitted(lua_State *L) {
  const auto &all = script_at(L, 1).host().submitted;
  lua_createtable(L, static_cast<int>(all.size()), 0);
  lua_Integer n = 0;
  for (const auto &mail : all) {
    lua_createtable(L, 0, 4);
    push(L, mail.sender);
    lua_setfield(L, -2, "sender");
    push_texts(L, mail.recipients);
    lua_setfield(L, -2, "recipients");
    push(L, mail.content);
    lua_setfield(L, -2, "message");
    lua_createtable(L, 0, static_cast<int>(mail.metadata.size()));
    for (const auto &[name, value] : mail.metadata) {
      push(L, value);
      lua_setfield(L, -2, name.c_str());
    }
    lua_setfield(L, -2, "meta");
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

// script:set_permits(limit, key, n): so many there are of these; of all others there are enough.
int set_permits(lua_State *L) {
  auto &script = script_at(L, 1);
  const std::string limit{text_at(L, 2, "the limit")}, key{text_at(L, 3, "the key")};
  auto &permits = script.permits();
  permits[{limit, key}] = static_cast<std::uint32_t>(integer_at(L, 4, "the number of permits", 0, 1'000'000'000));
  script.host().permits_answer = [&permits](const FakePermits &asked) {
    constexpr std::int64_t kWait = 1'000'000'000;
    const auto known = permits.find({asked.limit, asked.key});
    if (known == permits.end()) return FakeGranted{asked.want, 0};
    const auto given = std::min(known->second, asked.want);
    known->second -= given;
    return FakeGranted{given, given == 0 ? kWait : 0};
  };
  return 0;
}

// script:call(name, argument, ...)
int call_command(lua_State *L) {
  auto &host = script_at(L, 1).host();
  const std::string name{text_at(L, 2, "the command")};
  std::vector<std::string> arguments;
  for (int i = 3; i <= lua_gettop(L); ++i) arguments.emplace_back(text_at(L, i, "an argument"));
  const auto known = host.commands();
  if (!known.contains(name)) {
    std::string names;
    for (const auto &[one, help] : known) names += (names.empty() ? "" : ", ") + one;
    throw ScriptError{"the script has no command \"" + name + "\"; it has " + (names.empty() ? "none" : names)};
  }
  push_reply(L, host.command(name, arguments));
  return 1;
}

}  // namespace mansio::lua::tool
