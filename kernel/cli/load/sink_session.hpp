// One session of `mansio sink`: an SMTP or LMTP server that takes everything, but for what the fault rules say.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/cli/load/connection.hpp"
#include "kernel/cli/load/faults.hpp"
#include "kernel/cli/load/tls.hpp"

namespace mansio::cli::load {

struct SinkOptions {
  bool lmtp = false;
  std::string hostname = "sink.invalid";
  std::set<std::string, std::less<>> without;  // EHLO keywords not to offer
  TlsContext tls;                              // null: no STARTTLS
  bool implicit_tls = false;
  std::string dump_directory;  // "" = content is counted and forgotten
  std::size_t size_limit = 0;  // 0: none
};

struct SinkTotals {
  std::uint64_t connections = 0, refused_connections = 0, tls_connections = 0;
  std::uint64_t messages = 0, recipients = 0, bytes = 0;
  std::uint64_t refused_messages = 0, refused_recipients = 0, dropped_connections = 0, protocol_errors = 0;
};

// What the sessions of a sink share.
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
};

class SinkSession {
 public:
  SinkSession(Sink &sink, Protocol::socket socket) : sink_(sink), connection_(std::move(socket), sink.watchdog) {}
  Task<> run();

 private:
  struct Recipient {
    std::string address, parameters;
  };

  Task<bool> greet();
  Task<bool> command(std::string_view line);
  Task<bool> judge(std::string_view stage, std::string_view argument, const std::string *&reply);
  Task<bool> hello(std::string_view verb, std::string_view argument);
  Task<bool> start_tls();
  Task<bool> data();
  Task<bool> bdat(std::string_view argument);
  Task<bool> end_of_data();
  Task<bool> flush();
  void mail(std::string_view argument);
  void take_recipient(std::string_view argument);
  void take_message(std::size_t recipients);
  bool keep() const { return !sink_.options.dump_directory.empty() || sink_.log; }
  void store(std::string_view bytes);
  void dump();
  void reset();
  void answer(std::string_view reply);

  Sink &sink_;
  Connection connection_;
  std::string out_;
  std::string helo_, sender_, sender_parameters_, content_;
  std::vector<Recipient> recipients_;
  std::uint64_t size_ = 0;
  std::uint64_t taken_ = 0;  // messages whose reply is not sent yet
  bool mail_seen_ = false, bdat_seen_ = false;
};

}  // namespace mansio::cli::load
