#include "plugins/lookup-redis/connection.hpp"

#include <string_view>
#include <utility>

#include "plugins/lookup-common/reply.hpp"

namespace mansio::lookup {
namespace {

timeval to_timeval(std::chrono::nanoseconds time) {
  const auto us = std::chrono::ceil<std::chrono::microseconds>(time).count();
  return {us / 1'000'000, us % 1'000'000};
}

std::string_view text_of(const redisReply &r) { return r.str ? std::string_view{r.str, r.len} : std::string_view{}; }

// False: there are too many.
bool collect(const redisReply &r, Table::Values &values) {
  switch (r.type) {
    case REDIS_REPLY_STRING:
      return values.add(text_of(r));
    case REDIS_REPLY_INTEGER:
      return values.add(std::to_string(r.integer));
    case REDIS_REPLY_ARRAY:
      for (std::size_t i = 0; i < r.elements; ++i)
        if (!collect(*r.element[i], values)) return false;
      return true;
    default:
      return true;  // nil, or the status of a command that finds nothing
  }
}

}  // namespace

RedisSettings read_redis_settings(const plugin::Config &config, plugin::Problems &problems) {
  RedisSettings s;
  problems.of([&] { s.hosts = parse_endpoints("hosts", config.list("hosts"), 6379); });
  s.user = config.option("user");
  s.password = config.option("password");
  problems.of([&] {
    s.dbname = config.integer("dbname");
    if (s.dbname < 0) throw plugin::BadConfig{"dbname", "is " + std::to_string(s.dbname) + ", expected 0 or more"};
  });
  problems.of([&] {
    if (!s.user.empty() && s.password.empty())
      throw plugin::BadConfig{"password", "is not given, expected one for the given user"};
  });
  problems.of([&] { s.timeout = positive_duration(config, "timeout"); });
  return s;
}

RedisConnection::Reply RedisConnection::run(const std::vector<std::string> &arguments, std::string &why) {
  std::vector<const char *> words;
  std::vector<std::size_t> lengths;
  for (const auto &a : arguments) {
    words.push_back(a.data());
    lengths.push_back(a.size());
  }
  Reply r{static_cast<redisReply *>(
      ::redisCommandArgv(connection_.get(), static_cast<int>(words.size()), words.data(), lengths.data()))};
  if (!r) why = name_ + ": " + connection_->errstr;
  return r;
}

std::unique_ptr<RedisConnection> RedisConnection::connect(const RedisSettings &s, const Endpoint &to,
                                                          std::string &why) {
  const auto limit = to_timeval(s.timeout);
  auto *raw = to.local() ? ::redisConnectUnixWithTimeout(to.path.c_str(), limit)
                         : ::redisConnectWithTimeout(to.host.c_str(), to.port, limit);
  if (!raw) return why = "out of memory", nullptr;
  std::unique_ptr<RedisConnection> c{new RedisConnection{to.name(), raw}};
  if (raw->err != 0) return why = to.name() + ": " + raw->errstr, nullptr;
  if (::redisSetTimeout(raw, limit) != REDIS_OK) return why = to.name() + ": " + raw->errstr, nullptr;
  const auto good = [&](const std::vector<std::string> &command) {
    const auto r = c->run(command, why);
    if (r && r->type == REDIS_REPLY_ERROR) why = to.name() + ": " + std::string{text_of(*r)};
    return r && r->type != REDIS_REPLY_ERROR;
  };
  if (!s.password.empty() && !good(s.user.empty() ? std::vector<std::string>{"AUTH", s.password}
                                                  : std::vector<std::string>{"AUTH", s.user, s.password}))
    return nullptr;
  if (s.dbname != 0 && !good({"SELECT", std::to_string(s.dbname)})) return nullptr;
  return c;
}

std::optional<Answer> RedisConnection::ask(const std::vector<std::string> &arguments, Table::Values values,
                                           std::string &why) {
  const auto r = run(arguments, why);
  if (!r) return std::nullopt;
  if (r->type == REDIS_REPLY_ERROR) {
    auto text = name_ + ": " + std::string{text_of(*r)};
    // It will not answer now, but another server might.
    for (const std::string_view word : {"LOADING", "MASTERDOWN", "CLUSTERDOWN", "NOAUTH"})
      if (text_of(*r).starts_with(word)) return why = std::move(text), std::nullopt;
    return Answer::try_later(std::move(text));
  }
  collect(*r, values);
  return std::move(values).answer();
}

}  // namespace mansio::lookup
