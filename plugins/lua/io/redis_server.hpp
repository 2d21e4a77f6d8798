// A Redis server as scripts use it: a command and its reply, over connections that are kept. The protocol is hiredis's,
// without its sockets: those are the host's, as for every other connection of a script.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "plugins/lua/io/channel.hpp"

struct redisReply;

namespace mansio::lua {

struct RedisSettings {
  Channel::Target target;
  std::string user, password;
  std::int64_t database = 0;
  std::int64_t timeout = 0;  // ns, for all of a command
  auto operator<=>(const RedisSettings &) const = default;
};

struct RedisResult {
  std::string why;  // there is no reply; "" = there is one, and it is no error
  std::shared_ptr<redisReply> reply;
  bool sent = false;  // the command, or a part of it
};

class RedisServer : public std::enable_shared_from_this<RedisServer> {
 public:
  RedisServer(plugin::Host host, RedisSettings settings) : host_(host), settings_(std::move(settings)) {}

  // A reply of up to `limit` octets.
  plugin::Task<RedisResult> command(std::vector<std::string> words, std::size_t limit, plugin::Cancel &cancel);
  const RedisSettings &settings() const { return settings_; }

 private:
  struct Idle {
    std::unique_ptr<Channel> channel;
    std::int64_t since;
  };
  std::unique_ptr<Channel> take();
  // "", or why it cannot be used.
  plugin::Task<std::string> greet(Channel &channel, std::int64_t deadline, plugin::Cancel &cancel);

  plugin::Host host_;
  RedisSettings settings_;
  std::vector<Idle> idle_;
};

}  // namespace mansio::lua
