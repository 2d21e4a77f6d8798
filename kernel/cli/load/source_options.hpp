// The command line of `mansio source`.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <string>

#include "kernel/cli/load/client.hpp"

namespace mansio::cli::load {

struct SourceOptions {
  std::string target, from = "source@source.invalid", to = "user{r}@sink.invalid", helo = "source.invalid",
                      subject = "load {n}";
  std::string file, ca, server_name, log, timeout = "5m", retry_for = "0s", run, wait = "0s", random_wait = "0s";
  std::uint64_t messages = 1, per_connection = 0, domains = 1;
  std::size_t sessions = 1, size = 1024, recipients = 1;
  unsigned connect_tries = 1;
  int window = 0;
  bool lmtp = false, qmqp = false, no_pipelining = false, tls = false, implicit_tls = false, json = false, ipv4 = false,
       ipv6 = false, counter = false, number_recipients = false, old_mode = false, verbose = false;
  bool keep_open = false, go_on = false;  // accepted: they are what is done anyway
};

void declare(CLI::App &app, SourceOptions &options);

// The rest of it, read and checked.
struct SourcePlan {
  ClientOptions client;
  std::chrono::nanoseconds patience{}, retry_for{}, wait{}, random_wait{};
};
Result<SourcePlan> plan_of(SourceOptions &options);

}  // namespace mansio::cli::load
