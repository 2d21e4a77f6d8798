// A connection to a Redis server. One thread at a time.
#pragma once

#include <hiredis/hiredis.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plugins/lookup-common/answer.hpp"
#include "plugins/lookup-common/endpoint.hpp"
#include "plugins/lookup-common/table.hpp"

namespace mansio::lookup {

struct RedisSettings {
  std::vector<Endpoint> hosts;
  std::string user, password;
  std::int64_t dbname = 0;
  std::chrono::nanoseconds timeout{};
};

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
