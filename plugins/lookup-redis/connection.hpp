// A connection to a Redis server, for one thread at a time, and the options that say to which.
#pragma once

#include <hiredis/hiredis.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mansio/config.hpp"
#include "plugins/lookup-common/answer.hpp"
#include "plugins/lookup-common/endpoint.hpp"
#include "plugins/lookup-common/table.hpp"

namespace mansio::lookup {

// Rows for a plugin's table of options.
inline constexpr mansio_option kRedisUser{"user", MANSIO_OPT_TEXT, 0, nullptr,
                                          "Name to log in with, for servers that have users."};
inline constexpr mansio_option kRedisPassword{"password", MANSIO_OPT_TEXT, MANSIO_OPT_SECRET, nullptr,
                                              "Password to log in with."};
inline constexpr mansio_option kRedisDatabase{"dbname", MANSIO_OPT_INTEGER, 0, "0", "Number of the database."};

struct RedisSettings {
  std::vector<Endpoint> hosts;
  std::string user, password;
  std::int64_t dbname = 0;
  std::chrono::nanoseconds timeout{};
};

// From `hosts`, `timeout` and the three options above.
RedisSettings read_redis_settings(const plugin::Config &config, plugin::Problems &problems);

class RedisConnection {
 public:
  // nullptr, and `why`: no connection.
  static std::unique_ptr<RedisConnection> connect(const RedisSettings &settings, const Endpoint &to, std::string &why);
  // Every element of the reply is a value. Nothing, and `why`: the connection is broken.
  std::optional<Answer> ask(const std::vector<std::string> &arguments, Table::Values values, std::string &why);

 private:
  struct Free {
    void operator()(redisContext *c) const { ::redisFree(c); }
    void operator()(redisReply *r) const { ::freeReplyObject(r); }
  };
  using Reply = std::unique_ptr<redisReply, Free>;
  RedisConnection(std::string name, redisContext *raw) : name_(std::move(name)), connection_(raw) {}
  // nullptr, and `why`: the connection is broken.
  Reply run(const std::vector<std::string> &arguments, std::string &why);

  std::string name_;  // of the server, for messages
  std::unique_ptr<redisContext, Free> connection_;
};

}  // namespace mansio::lookup
