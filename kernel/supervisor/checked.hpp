// Checked: what the supervisor learns of a configuration. An unprivileged child parses the files, loads the plugins
// to ask for their options and hands this back, so that the process which may be root parses nothing but our codec.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/config/plan.hpp"

namespace mansio::supervisor {

struct Checked {
  std::vector<std::string> problems;  // one line each; the rest holds only if there is none
  config::Plan plan;                  // plugin_dir resolved
  std::int64_t uid = -1, gid = -1;    // of plan.user; -1: not started as root
  std::vector<std::uint32_t> needs;   // MANSIO_NEEDS_* of each of plan.transports
  std::string snapshot;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.problems, s.plan, s.uid, s.gid, s.needs, s.snapshot);
  }
};

std::string default_plugin_dir();  // ../lib/mansio/plugins of the binary's folder

// "" if every process fits in `limit` open files, else the sentence that says which does not and what to do.
// With --single all share one table.
std::string descriptor_shortage(const config::Plan &plan, std::uint64_t limit, bool single);

// Why a running instance cannot change to this configuration; "" if it can.
std::string incompatible(const Checked &running, const Checked &next);

}  // namespace mansio::supervisor
