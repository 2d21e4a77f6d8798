// lookup-redis: asks a Redis server. Options and behaviour: README.md.
#include <chrono>
#include <string>
#include <string_view>

#include "plugins/lookup-common/pool.hpp"
#include "plugins/lookup-common/reply.hpp"
#include "plugins/lookup-common/table.hpp"
#include "plugins/lookup-redis/command.hpp"
#include "plugins/lookup-redis/connection.hpp"

namespace mansio::lookup {
namespace {

RedisSettings read_settings(const plugin::Config &config) {
  plugin::Problems problems{config};
  auto s = read_redis_settings(config, problems);
  problems.of([&] { RedisCommand{config.option("query")}; });
  problems.of([&] { Table{config}; });
  problems.end();
  return s;
}

class LookupRedis {
 public:
  static constexpr plugin::Info info{"lookup-redis", "1.0", MANSIO_NEEDS_NETWORK, MANSIO_BLOCKING, 8};
  static constexpr mansio_option options[] = {
      {"hosts", MANSIO_OPT_LIST, 0, "127.0.0.1:6379",
       "Servers in the order of preference: `unix:/path`, `host` or `host:port`."},
      kRedisUser,
      kRedisPassword,
      kRedisDatabase,
      {"query", MANSIO_OPT_TEXT, 0, "GET %s",
       "Command, as words divided by blanks; `%s` is the key, `%u` and `%d` its local part and domain, `%1` to `%9` "
       "labels of the domain from the last."},
      kResultFormat,
      kDomain,
      kExpansionLimit,
      kFoldCase,
      {"timeout", MANSIO_OPT_DURATION, 0, "4s", "Longest wait for a connection, and for an answer."},
      kRetryInterval,
      kIdleInterval,
      {}};

  explicit LookupRedis(const plugin::Host &host)
      : settings_(read_settings(host)),
        command_(host.option("query")),
        table_(host),
        pool_({settings_.hosts.size(), std::chrono::nanoseconds{host.duration("retry_interval")},
               std::chrono::nanoseconds{host.duration("idle_interval")}},
              [this](std::size_t server, std::string &why) {
                return RedisConnection::connect(settings_, settings_.hosts[server], why);
              }) {}
  static void check(const plugin::Config &config) { read_settings(config); }

  plugin::Reply lookup(std::string_view, std::string_view raw) {
    const auto key = table_.key(raw);
    const auto arguments = key ? command_.arguments(*key) : std::nullopt;
    if (!arguments) return plugin::not_found();
    return reply(pool_.ask([&](RedisConnection &c, std::string &why) {
      return c.ask(*arguments, Table::Values{table_, *key}, why);
    }));
  }

 private:
  RedisSettings settings_;
  RedisCommand command_;
  Table table_;
  Pool<RedisConnection> pool_;
};

}  // namespace
}  // namespace mansio::lookup

MANSIO_LOOKUP_PLUGIN(mansio::lookup::LookupRedis)
