// The command line of `mansio sink`.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "kernel/cli/load/endpoint.hpp"
#include "kernel/cli/load/sink_state.hpp"

namespace mansio::cli::load {

struct SinkCommandLine {
  std::string listen;
  int backlog = 4096;
  std::vector<std::string> replies, drops, delays, without, command_delays;
  std::string hard, soft, dropped, goodbye, logged;  // lists of commands
  std::string soft_reply = "450 4.3.0 Error: command failed", hard_reply = "500 5.3.0 Error: command failed";
  std::string abort_data, read_delay, data_delay, stop_after;  // times; "" = none
  bool lmtp = false, qmqp = false, tls = false, implicit_tls = false, json = false, ipv4 = false, ipv6 = false;
  bool no_8bitmime = false, no_esmtp = false, no_enhanced = false, no_dsn = false, no_pipelining = false, pix = false;
  bool counters = false, verbose = false, ignored = false;
  std::string certificate, key, dump, dump_each, dump_together, start, log, hostname = "sink.invalid", timeout = "5m";
  std::string user, root;
  std::size_t max_connections = 10'000, connections_at_once = 0, size_limit = 0;
  int window = 0;
  std::uint64_t quit_after = 0, sessions = 0, seed = 1;
};

void declare(CLI::App &app, SinkCommandLine &options);

// Makes the sink what the command line says.
Result<void> configure(const SinkCommandLine &options, Sink &sink);

}  // namespace mansio::cli::load
