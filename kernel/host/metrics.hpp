// Metrics: what a plugin counts, and what the host counts about it. A plugin defines its metrics while it is created
// and counts from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "kernel/base/clock.hpp"
#include "kernel/host/plugin.hpp"

namespace mansio::host {

class Metrics {
 public:
  // Metrics of the plugin; `help`: what it is, "" for nothing. 0: no such name, a second of that name, too many, or
  // frozen.
  std::uint32_t define(std::uint32_t type, std::string_view name, std::string_view help);
  void freeze() { frozen_ = true; }
  void add(std::uint32_t metric, std::int64_t by);     // any thread
  void set(std::uint32_t metric, std::int64_t value);  // any thread

  // What the host sees, on its loop.
  struct Host {
    std::uint64_t operations = 0, failed = 0, refused = 0, timed_out = 0, late = 0, misbehaviours = 0, log_dropped = 0;
    Nanos busy = 0;  // time from start to end, over all operations
  } host;

  // `labels`: `{instance="smtp",plugin="transport-smtp"}`
  void stats(const std::string &labels, std::size_t in_flight, const StatsSink &add) const;

 private:
  struct Metric {
    std::string name, help;
    bool gauge;
    std::atomic<std::int64_t> value{0};
    Metric(std::string n, std::string h, bool g) : name(std::move(n)), help(std::move(h)), gauge(g) {}
  };
  std::deque<Metric> metrics_;  // its elements stay where they are
  std::atomic<bool> frozen_{false};
};

}  // namespace mansio::host
