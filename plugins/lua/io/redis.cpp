// mansio.redis: commands to a Redis server.
#include <hiredis/hiredis.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "plugins/lua/declarations.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/io/io.hpp"
#include "plugins/lua/io/operation.hpp"
#include "plugins/lua/io/redis_server.hpp"
#include "plugins/lua/io/server_options.hpp"
#include "plugins/lua/io/services.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kRedisServerType = "redis server";
constexpr std::size_t kReplyLimit = 1 << 20;
constexpr std::int64_t kRedisTimeout = 4'000'000'000;

// As a script gave it. The server proper is found by the first command: while a script is loaded there may be no host.
struct RedisReference {
  Peer peer;
  ServerOptions options;
  std::string user, password;
  std::int64_t database;
  std::shared_ptr<RedisServer> server;
};

// mansio.redis(address [, {user =, password =, database =, timeout =, tls =, tls_name =, ca_file =}])
int redis(lua_State *L) {
  expect_allowed(L, "redis", "mansio.redis");
  const auto text = text_at<"mansio.redis">(L);
  const auto peer = Peer::parse(text, 6379);
  if (!peer)
    throw ScriptError{"the address is \"" + std::string{text} +
                      "\", expected \"host\", \"host:port\" or \"unix:/path\""};
  RedisReference made{*peer, {}, {}, {}, 0, nullptr};
  made.options.timeout = kRedisTimeout;
  if (!lua_isnoneornil(L, 2)) {
    expect_table<"mansio.redis", 2>(L);
    only_fields(L, 2, "mansio.redis", kRedisOptions);
    made.options = server_options(L, 2, *peer);
    made.options.timeout = timeout_field(L, 2, kRedisTimeout);
    made.user = text_field(L, 2, "user");
    made.password = text_field(L, 2, "password");
    if (!made.user.empty() && made.password.empty()) throw ScriptError{"user needs a password"};
    if (lua_getfield(L, 2, "database") != LUA_TNIL) made.database = integer_at(L, -1, "database", 0, 1'000'000);
    lua_pop(L, 1);
  }
  new_object<RedisReference>(L, kRedisServerType, std::move(made));
  return 1;
}

// A list has false where Redis has nil: a nil would end it.
void push_reply(lua_State *L, const redisReply &reply, bool inside) {
  luaL_checkstack(L, 4, "the reply is nested too deep");
  State::of(L).charge(L, 20 + (reply.type == REDIS_REPLY_STRING ? reply.len / 16 : 0));
  switch (reply.type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:  // within a list
      return push(L, {reply.str, static_cast<std::size_t>(reply.len)});
    case REDIS_REPLY_INTEGER:
      return lua_pushinteger(L, static_cast<lua_Integer>(reply.integer));
    case REDIS_REPLY_ARRAY:
      lua_createtable(L, static_cast<int>(reply.elements), 0);
      for (std::size_t i = 0; i < reply.elements; ++i) {
        push_reply(L, *reply.element[i], true);
        lua_rawseti(L, -2, static_cast<lua_Integer>(i) + 1);
      }
      return;
    default:
      return inside ? lua_pushboolean(L, 0) : lua_pushnil(L);
  }
}

plugin::Task<WaitAnswer> run(std::shared_ptr<RedisServer> server, std::vector<std::string> words, std::size_t limit,
                             plugin::Cancel &cancel) {
  auto result = co_await server->command(std::move(words), limit, cancel);
  const bool perhaps_done = result.sent && !result.reply;  // an error is a reply
  if (!result.why.empty()) co_return unavailable(std::move(result.why), perhaps_done);
  WaitAnswer answer{MANSIO_OK};
  answer.give = [reply = std::move(result.reply)](lua_State *L) {
    push_reply(L, *reply, false);
    return 1;
  };
  co_return answer;
}

// What would change the connection for all that come after, or speak when nobody has asked.
void expect_shareable(std::string_view command) {
  static constexpr std::array<std::string_view, 23> kAlone{
      "AUTH",         "SELECT",  "HELLO",   "RESET",     "QUIT",       "CLIENT",     "MULTI",       "EXEC",
      "DISCARD",      "WATCH",   "UNWATCH", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE",
      "SUNSUBSCRIBE", "MONITOR", "SYNC",    "PSYNC",     "REPLCONF",   "READONLY",   "READWRITE"};
  std::string upper{command};
  for (auto &c : upper)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  if (std::find(kAlone.begin(), kAlone.end(), upper) != kAlone.end())
    throw ScriptError{upper +
                      " is not offered, as calls share connections; a script of Redis (EVAL) does several "
                      "things at once"};
}

// server:call(command, argument, ...)
int call_server(lua_State *L) {
  auto &reference = object_at<RedisReference>(L, 1, kRedisServerType);
  auto &call = may_ask(L, "a command to Redis");
  std::vector<std::string> words;
  std::size_t octets = 0;
  const int n = lua_gettop(L);
  for (int i = 2; i <= std::max(n, 2); ++i) {
    words.emplace_back(text_at(
        L, i,
        i == 2 ? declared_argument("redis server:call", 1).what : declared_argument("redis server:call", 2).what));
    octets += words.back().size();
    call.state().charge(L, 20 + words.back().size() / 16);
  }
  expect_shareable(words.front());
  if (!reference.server) {
    auto &engine = call.engine();
    auto *const tls = reference.options.tls ? engine.services().tls(reference.options.ca_file) : nullptr;
    const RedisSettings settings{{reference.peer, tls, reference.options.tls_name},
                                 reference.user,
                                 reference.password,
                                 reference.database,
                                 reference.options.timeout};
    reference.server = engine.services().redis(settings);
  }
  const auto limit = std::min(kReplyLimit, State::of(L).call_memory() / 2);
  return wait_for_task(L, call, reference.peer.text(), limit + octets,
                       [&](plugin::Cancel &cancel) { return run(reference.server, std::move(words), limit, cancel); });
}

}  // namespace

void add_redis(lua_State *L) {
  static constexpr luaL_Reg kMethods[] = {{"call", bound<call_server>}, {nullptr, nullptr}};
  make_type(L, kRedisServerType, kMethods, destroy_object<RedisReference>);
  lua_pushcfunction(L, bound<redis>);
  lua_setfield(L, -2, "redis");
}

}  // namespace mansio::lua
