// rate-redis: limits that several nodes keep together, in a Redis server. Options and behaviour: README.md.
#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mansio/rate.hpp"
#include "plugins/lookup-common/pool.hpp"
#include "plugins/lookup-common/reply.hpp"
#include "plugins/lookup-common/table.hpp"
#include "plugins/lookup-redis/connection.hpp"
#include "plugins/rate-redis/scripts.hpp"

namespace mansio::rate {
namespace {

using lookup::Answer;
using lookup::RedisConnection;

lookup::RedisSettings read_settings(const plugin::Config &config) {
  plugin::Problems problems{config};
  auto s = lookup::read_redis_settings(config, problems);
  problems.of([&] { lookup::positive_duration(config, "lease_time"); });
  problems.of([&] { lookup::positive_duration(config, "hold_time"); });
  problems.end();
  return s;
}

std::optional<std::int64_t> number(const std::vector<std::string> &values, std::size_t i) {
  if (i >= values.size()) return std::nullopt;
  const auto &text = values[i];
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return out;
}

class RateRedis {
 public:
  static constexpr plugin::Info info{"rate-redis", "1.0", MANSIO_NEEDS_NETWORK, MANSIO_BLOCKING, 8};
  static constexpr mansio_option options[] = {
      {"hosts", MANSIO_OPT_LIST, 0, "127.0.0.1:6379",
       "Servers in the order of preference, the same on all nodes: `unix:/path`, `host` or `host:port`."},
      lookup::kRedisUser,
      lookup::kRedisPassword,
      lookup::kRedisDatabase,
      {"prefix", MANSIO_OPT_TEXT, 0,
       "mansio:rate:", "What the names of keys begin with; nodes with the same prefix share their limits."},
      {"lease_time", MANSIO_OPT_DURATION, 0, "5s",
       "How long a node may use what it was given; what it has not used by then is lost."},
      {"hold_time", MANSIO_OPT_DURATION, 0, "2m",
       "How long a node that says nothing keeps its places of a limit of deliveries at once; it says so three times in "
       "this time, or more often."},
      {"timeout", MANSIO_OPT_DURATION, 0, "1s", "Longest wait for a connection, and for an answer."},
      lookup::kRetryInterval,
      lookup::kIdleInterval,
      {}};

  explicit RateRedis(const plugin::Host &host)
      : host_(host),
        settings_(read_settings(host)),
        prefix_(host.option("prefix")),
        lease_time_(host.duration("lease_time")),
        hold_time_(host.duration("hold_time")),
        values_(false, {}, "%s", 0),
        pool_({settings_.hosts.size(), std::chrono::nanoseconds{host.duration("retry_interval")},
               std::chrono::nanoseconds{host.duration("idle_interval")}},
              [this](std::size_t server, std::string &why) {
                return RedisConnection::connect(settings_, settings_.hosts[server], why);
              }) {}
  static void check(const plugin::Config &config) { read_settings(config); }

  plugin::Reply lease(const plugin::LeaseRequest &r) {
    const std::vector<std::string> command{"EVAL",
                                           kTake,
                                           "1",
                                           key_of(r.limit, r.key),
                                           std::to_string(1e6 / r.per_second),
                                           std::to_string(r.burst),
                                           std::to_string(r.want)};
    return permits_of(command, lease_time_);
  }

  // May be sent twice: a question says all, so the second time it changes nothing.
  plugin::Reply hold(const plugin::PlacesRequest &r) {
    return permits_of(
        {"EVAL", kHold, "1", key_of(r.limit, r.key), r.holder, std::to_string(r.number), std::to_string(r.held),
         std::to_string(r.want), std::to_string(r.capacity), std::to_string(microseconds(r.rest)),
         std::to_string(microseconds(hold_time_)), std::to_string(microseconds(kAskAgain))},
        hold_time_);
  }

  // Sent once only: it may have been carried out though no answer came, and what goes back twice is too much.
  void give_back(std::string_view limit, std::string_view key, std::uint32_t unused) {
    const std::vector<std::string> command{"EVAL", kGiveBack, "1", key_of(limit, key), std::to_string(unused)};
    bool sent = false;
    const auto answer = pool_.ask([&](RedisConnection &c, std::string &why) -> std::optional<Answer> {
      if (std::exchange(sent, true)) return Answer::try_later(why);
      return c.ask(command, lookup::Table::Values{values_, {}}, why);
    });
    if (answer.outcome != Answer::Outcome::Found) host_.warn("permits not given back: " + answer.text);
  }

 private:
  static constexpr std::chrono::milliseconds kAskAgain{250};

  static std::int64_t microseconds(std::chrono::nanoseconds time) {
    return std::chrono::ceil<std::chrono::microseconds>(time).count();
  }

  // What a script answers: how many, and in how many microseconds to ask again.
  plugin::Reply permits_of(const std::vector<std::string> &command, std::chrono::nanoseconds time) {
    const auto answer = pool_.ask([&](RedisConnection &c, std::string &why) {
      return c.ask(command, lookup::Table::Values{values_, {}}, why);
    });
    if (answer.outcome != Answer::Outcome::Found) return plugin::defer(answer.text);
    const auto given = number(answer.values, 0), wait = number(answer.values, 1);
    if (!given || !wait || *given < 0) return plugin::defer("the server's answer is not understood");
    return plugin::permits(static_cast<std::uint32_t>(*given), time, std::chrono::microseconds{*wait});
  }

  std::string key_of(std::string_view limit, std::string_view key) const {
    std::string out{prefix_};
    return out.append(limit).append(1, ':').append(key);
  }

  const plugin::Host host_;
  const lookup::RedisSettings settings_;
  const std::string prefix_;
  const std::chrono::nanoseconds lease_time_, hold_time_;
  const lookup::Table values_;  // takes all of an answer as it is
  lookup::Pool<RedisConnection> pool_;
};

}  // namespace
}  // namespace mansio::rate

MANSIO_RATE_PLUGIN(mansio::rate::RateRedis)
