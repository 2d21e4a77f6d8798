// mansio.connect: a connection to a server of any protocol, which a script reads and writes.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "plugins/lua/declarations.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/io/channel.hpp"
#include "plugins/lua/io/io.hpp"
#include "plugins/lua/io/operation.hpp"
#include "plugins/lua/io/server_options.hpp"
#include "plugins/lua/io/services.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kConnectionType = "connection";
constexpr std::size_t kLongestLine = 64 << 10;
constexpr std::size_t kAside = 96 << 10;  // for what is read ahead, and the rest of a connection

struct Connection final : Resource {
  Connection(const plugin::Host &host, Channel::Target target, std::int64_t each_timeout)
      : channel(host, std::move(target)), timeout(each_timeout) {}
  void close() override { channel.close(); }

  Channel channel;
  std::int64_t timeout;
  bool wrote = false;  // so that the server may have done something
};

struct Held {
  std::uint64_t serial;  // of its call
  std::shared_ptr<Connection> connection;
};

using Work = plugin::Task<WaitAnswer>;

Work open(std::shared_ptr<Connection> connection, std::uint64_t serial, plugin::Cancel &cancel) {
  const auto deadline = connection->channel.host().now() + connection->timeout;
  auto why = co_await connection->channel.open(deadline, cancel);
  if (!why.empty()) co_return unavailable(std::move(why));
  WaitAnswer answer{MANSIO_OK};
  answer.give = [connection, serial](lua_State *L) {
    new_object<Held>(L, kConnectionType, Held{serial, connection});
    return 1;
  };
  co_return answer;
}

// mansio.connect(address [, {timeout =, tls =, tls_name =, ca_file =}])
int connect(lua_State *L) {
  expect_allowed(L, "connect", "mansio.connect");
  auto &call = may_ask(L, "mansio.connect");
  const auto text = text_at<"mansio.connect">(L);
  const auto peer = Peer::parse(text);
  if (!peer)
    throw ScriptError{"the address is \"" + std::string{text} + "\", expected \"host:port\" or \"unix:/path\""};
  ServerOptions options;
  if (!lua_isnoneornil(L, 2)) {
    expect_table<"mansio.connect", 2>(L);
    only_fields(L, 2, "mansio.connect", kConnectOptions);
    options = server_options(L, 2, *peer);
  }
  auto &engine = call.engine();
  auto *const tls = options.tls ? engine.services().tls(options.ca_file) : nullptr;
  auto connection =
      std::make_shared<Connection>(*engine.host(), Channel::Target{*peer, tls, options.tls_name}, options.timeout);
  call.keep(connection, kAside);
  return wait_for_task(L, call, peer->text(), 0,
                       [&](plugin::Cancel &cancel) { return open(std::move(connection), call.serial(), cancel); });
}

Held &held_at(lua_State *L) {
  auto &held = object_at<Held>(L, 1, kConnectionType);
  if (Call::running(L, "a connection").serial() != held.serial)
    throw ScriptError{"a connection is good in its handler only, and that has ended"};
  return held;
}

// One that can be read or written now.
std::shared_ptr<Connection> usable(lua_State *L) {
  const auto &held = held_at(L);
  if (!held.connection->channel.is_open()) throw ScriptError{"the connection has been closed"};
  if (held.connection->channel.in_use()) throw ScriptError{"another task reads or writes this connection just now"};
  return held.connection;
}

int push_octets(lua_State *L, Channel &channel, std::size_t n) {
  n = std::min(n, channel.unread().size());
  State::of(L).charge(L, 20 + n / 16);
  if (n == 0)
    lua_pushnil(L);
  else
    push(L, channel.unread().substr(0, n));
  channel.consume(n);
  return 1;
}

Work read_octets(std::shared_ptr<Connection> connection, std::size_t n, plugin::Cancel &cancel) {
  auto &channel = connection->channel;
  const auto deadline = channel.host().now() + connection->timeout;
  while (channel.unread().size() < n && !channel.ended()) {
    auto why = co_await channel.fill(deadline, cancel);
    if (!why.empty()) co_return unavailable(std::move(why), connection->wrote);
  }
  WaitAnswer answer{MANSIO_OK};
  answer.give = [connection, n](lua_State *L) { return push_octets(L, connection->channel, n); };
  co_return answer;
}

// connection:read(n): n octets, fewer at the end of what the server sends, nil after it.
int read(lua_State *L) {
  auto connection = usable(L);
  auto &channel = connection->channel;
  const auto most = static_cast<std::int64_t>(State::of(L).call_memory());
  const auto n = static_cast<std::size_t>(integer_at<"connection:read">(L, 1, most));
  if (channel.unread().size() >= n || channel.ended()) return push_octets(L, channel, n);
  auto &call = Call::may_wait(L, "connection:read");
  return wait_for_task(L, call, channel.peer().text(), n,
                       [&](plugin::Cancel &cancel) { return read_octets(std::move(connection), n, cancel); });
}

// Whether there is a line; at the end of the stream what is left is one.
bool has_line(const Channel &channel) {
  return channel.ended() || channel.unread().find('\n') != std::string_view::npos;
}

int push_line(lua_State *L, Channel &channel) {
  const auto all = channel.unread();
  const auto end = all.find('\n');
  const auto whole = end == all.npos ? all.size() : end + 1;
  State::of(L).charge(L, 20 + whole / 16);
  auto line = all.substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (whole == 0)
    lua_pushnil(L);
  else
    push(L, line);
  channel.consume(whole);
  return 1;
}

Work read_one_line(std::shared_ptr<Connection> connection, plugin::Cancel &cancel) {
  auto &channel = connection->channel;
  const auto deadline = channel.host().now() + connection->timeout;
  while (!has_line(channel)) {
    if (channel.unread().size() > kLongestLine)
      co_return unavailable("a line is longer than 64 KiB", connection->wrote);
    auto why = co_await channel.fill(deadline, cancel);
    if (!why.empty()) co_return unavailable(std::move(why), connection->wrote);
  }
  WaitAnswer answer{MANSIO_OK};
  answer.give = [connection](lua_State *L) { return push_line(L, connection->channel); };
  co_return answer;
}

// connection:read_line(): without its end, nil after the last one.
int read_line(lua_State *L) {
  auto connection = usable(L);
  auto &channel = connection->channel;
  if (has_line(channel)) return push_line(L, channel);
  auto &call = Call::may_wait(L, "connection:read_line");
  return wait_for_task(L, call, channel.peer().text(), 0,
                       [&](plugin::Cancel &cancel) { return read_one_line(std::move(connection), cancel); });
}

Work write_all(std::shared_ptr<Connection> connection, std::string text, plugin::Cancel &cancel) {
  connection->wrote = true;
  auto why = co_await connection->channel.write(text, connection->timeout, cancel);
  if (!why.empty()) co_return unavailable(std::move(why), connection->wrote);
  co_return WaitAnswer{MANSIO_OK};
}

// connection:write(text, ...)
int write(lua_State *L) {
  auto connection = usable(L);
  std::string text;
  for (int i = 2, n = lua_gettop(L); i <= n; ++i) text += text_at(L, i, declared_argument("connection:write", 1).what);
  auto &call = Call::may_wait(L, "connection:write");
  call.state().charge(L, 20 + text.size() / 16);
  const auto octets = text.size();
  const auto peer = connection->channel.peer().text();
  return wait_for_task(L, call, peer, octets, [&](plugin::Cancel &cancel) {
    return write_all(std::move(connection), std::move(text), cancel);
  });
}

int close(lua_State *L) {
  const auto connection = held_at(L).connection;
  connection->close();
  Call::running(L, "a connection").let_go(*connection);
  return 0;
}

}  // namespace

void add_connect(lua_State *L) {
  static constexpr luaL_Reg kMethods[] = {{"read", bound<read>},
                                          {"read_line", bound<read_line>},
                                          {"write", bound<write>},
                                          {"close", bound<close>},
                                          {nullptr, nullptr}};
  make_type(L, kConnectionType, kMethods, destroy_object<Held>);
  lua_pushcfunction(L, bound<connect>);
  lua_setfield(L, -2, "connect");
}

}  // namespace mansio::lua
