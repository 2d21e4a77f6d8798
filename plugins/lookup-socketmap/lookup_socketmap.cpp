// lookup-socketmap: asks a server by Postfix's socketmap protocol. Options and behaviour: README.md.
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/common/ascii.hpp"
#include "plugins/lookup-common/pool.hpp"
#include "plugins/lookup-common/reply.hpp"
#include "plugins/lookup-common/table.hpp"
#include "plugins/lookup-socketmap/client.hpp"

namespace mansio::lookup {
namespace {

struct Settings {
  std::vector<Endpoint> hosts;
  std::string map;
  bool fold_case = true;
  std::chrono::nanoseconds timeout{}, retry_interval{}, idle_interval{};
};

Settings read_settings(const plugin::Config &config) {
  Settings s;
  plugin::Problems problems{config};
  problems.of([&] { s.hosts = parse_endpoints("hosts", config.list("hosts"), 0); });
  problems.of([&] {
    s.map = config.option("map");
    if (s.map.empty() || s.map.find_first_of(" \t\r\n") != std::string::npos)
      throw plugin::BadConfig{"map", "is \"" + s.map + "\", expected a name without blanks"};
  });
  s.fold_case = config.flag("fold_case");
  problems.of([&] { s.timeout = positive_duration(config, "timeout"); });
  s.retry_interval = std::chrono::nanoseconds{config.duration("retry_interval")};
  s.idle_interval = std::chrono::nanoseconds{config.duration("idle_interval")};
  problems.end();
  return s;
}

class LookupSocketmap {
 public:
  static constexpr plugin::Info info{"lookup-socketmap", "1.0", MANSIO_NEEDS_NETWORK, MANSIO_BLOCKING, 8};
  static constexpr mansio_option options[] = {
      {"hosts", MANSIO_OPT_LIST, MANSIO_OPT_REQUIRED, nullptr,
       "Servers in the order of preference: `unix:/path`, or `host:port` for TCP."},
      {"map", MANSIO_OPT_TEXT, MANSIO_OPT_REQUIRED, nullptr, "Name of the map, which goes before each key."},
      kFoldCase,
      {"timeout", MANSIO_OPT_DURATION, 0, "4s", "Longest wait for a connection, and for an answer."},
      kRetryInterval,
      kIdleInterval,
      {}};

  explicit LookupSocketmap(const plugin::Host &host)
      : settings_(read_settings(host)),
        pool_({settings_.hosts.size(), settings_.retry_interval, settings_.idle_interval},
              [this](std::size_t server, std::string &why) {
                return SocketmapClient::connect(settings_.hosts[server], settings_.timeout, why);
              }) {}
  static void check(const plugin::Config &config) { read_settings(config); }

  plugin::Reply lookup(std::string_view, std::string_view key) {
    if (key.empty()) return plugin::not_found();
    const auto folded = settings_.fold_case ? ascii::lower(key) : std::string{key};
    return reply(pool_.ask([&](SocketmapClient &c, std::string &why) { return c.ask(settings_.map, folded, why); }));
  }

 private:
  Settings settings_;
  Pool<SocketmapClient> pool_;
};

}  // namespace
}  // namespace mansio::lookup

MANSIO_LOOKUP_PLUGIN(mansio::lookup::LookupSocketmap)
