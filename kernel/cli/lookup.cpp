#include "kernel/cli/lookup.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>

#include "kernel/config/parse.hpp"
#include "kernel/host/tables.hpp"
#include "kernel/io/dns.hpp"
#include "kernel/supervisor/checked.hpp"

namespace mansio::cli {
namespace {

constexpr int kNotFound = 1, kUsage = 64, kTryLater = 75;

std::vector<std::string> all_keys(const LookupOrder &order) {
  std::vector<std::string> keys;
  for (const auto &key : order.keys) {
    if (key != "-") {
      keys.push_back(key);
      continue;
    }
    for (std::string line; std::getline(std::cin, line);) keys.push_back(line);
  }
  return keys;
}

}  // namespace

int lookup_main(const LookupOrder &order) {
  const auto files = config::direct_files();
  const auto parsed = config::parse_settings(order.config, *files);
  for (const auto &problem : parsed.problems) std::fprintf(stderr, "%s\n", to_string(problem).c_str());
  if (!parsed.problems.empty()) return kUsage;
  const auto &settings = parsed.settings;

  asio::io_context loop{1};
  SystemClock clock;
  FdLogSink sink{STDERR_FILENO};
  Logger log{sink, clock, "lookup", LogLevel::Warn};
  io::DnsOptions dns_options;
  dns_options.servers = settings.dns.servers;
  dns_options.timeout = settings.dns.timeout;
  const auto dns = io::Dns::create(loop, clock, dns_options);
  const auto dir = settings.plugin_dir.empty() ? supervisor::default_plugin_dir() : settings.plugin_dir;
  const auto tables = host::TableSet::in_process(settings, dir, {loop, clock, log, *dns});
  if (auto loaded = tables->load(order.table); !loaded) {
    std::fprintf(stderr, "%s\n", loaded.error().text.c_str());
    return tables->has(order.table) ? kTryLater : kUsage;
  }

  const auto keys = all_keys(order);
  int status = 0;
  for (const auto &key : keys) {
    std::optional<io::TableAnswer> answer;
    tables->query(order.table, key, [&](const io::TableAnswer &a) { answer = a; });
    while (!answer) loop.run_one_for(std::chrono::seconds{1});
    switch (answer->outcome) {
      case io::TableAnswer::Outcome::Found:
        for (const auto &value : answer->values)
          fmt::print("{}{}{}\n", keys.size() > 1 ? key : "", keys.size() > 1 ? "\t" : "", value);
        break;
      case io::TableAnswer::Outcome::NotFound:
        status = std::max(status, kNotFound);
        break;
      case io::TableAnswer::Outcome::TryLater:
        std::fprintf(stderr, "%s: try later: %s\n", key.c_str(), answer->text.c_str());
        status = kTryLater;
        break;
    }
  }
  return status;
}

}  // namespace mansio::cli
