// What the sessions of `mansio sink` share: what was asked for, and what came.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "kernel/cli/load/connection.hpp"
#include "kernel/cli/load/faults.hpp"
#include "kernel/cli/load/sink_dump.hpp"
#include "kernel/cli/load/tls.hpp"

namespace mansio::cli::load {

struct SinkOptions {
  bool lmtp = false, qmqp = false;
  bool esmtp = true;                                   // false: EHLO is an unknown command
  bool pix = false;                                    // greet as through a PIX that fixes SMTP up
  std::optional<std::chrono::nanoseconds> abort_data;  // after DATA's reply, wait so long and refuse unread content
  std::chrono::nanoseconds read_delay{};               // after DATA's reply, before content is read
  int window = 0;
  bool trace = false, counters = false;
  DumpOptions dumps;
  std::string hostname = "sink.invalid";
  std::set<std::string, std::less<>> without;  // EHLO keywords not to offer
  TlsContext tls;                              // null: no STARTTLS
  bool implicit_tls = false;
  std::size_t size_limit = 0;  // 0: none
};

struct SinkTotals {
  std::uint64_t connections = 0, refused_connections = 0, tls_connections = 0;
  std::uint64_t messages = 0, recipients = 0, bytes = 0;
  std::uint64_t refused_messages = 0, refused_recipients = 0, dropped_connections = 0, protocol_errors = 0;
  std::uint64_t ended = 0, quits = 0;  // sessions, QUITs
};

struct Sink {
  Sink(asio::io_context &l, std::chrono::nanoseconds patience, std::uint64_t seed)
      : loop(l), watchdog(l, patience), faults(seed) {}

  asio::io_context &loop;
  Watchdog watchdog;
  Faults faults;
  SinkOptions options;
  SinkTotals totals;
  std::size_t sessions = 0;
  std::function<void()> message_taken;  // after its reply has been sent
  std::FILE *log = nullptr;             // a line for each message; not owned

  bool keeps_content() const { return options.dumps.any() || log; }
  // The message, to `recipients` of its own, goes into totals, log and dumps.
  void take(const TakenMessage &message, std::uint64_t size, std::size_t recipients);
  void count(std::uint64_t SinkTotals::*what) {
    ++(totals.*what);
    if (options.counters) fmt::print(stderr, "sess={} quit={} mesg={}\r", totals.ended, totals.quits, totals.messages);
  }
};

// What a session of either kind does first: the delay and the log line that the rules ask for. False: it ends here.
Task<bool> obey(Sink &sink, Connection &connection, const Verdict &verdict, std::string_view command,
                std::string_view argument);

}  // namespace mansio::cli::load
