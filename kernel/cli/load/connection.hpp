// One byte stream of a load tool: TCP or UNIX, clear or TLS, read by lines. A failure is `false`, with the reason in
// error(); a connection that has failed stays so. Every wait ends at the deadline, which a Watchdog enforces with one
// timer for all connections of the loop, because a timer for each read would cost more than the read.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "kernel/cli/load/endpoint.hpp"
#include "kernel/io/asio.hpp"

namespace mansio::cli::load {

class Connection;

struct ConnectOptions {
  unsigned tries = 1;  // at a server that refuses the connection or resets it
  int window = 0;      // bytes of the TCP window; 0: the system's
  bool trace = false;  // show on standard error what is said
};

class Watchdog {
 public:
  Watchdog(asio::io_context &loop, std::chrono::nanoseconds patience) : timer_(loop), patience_(patience) {}
  void start() { tick(); }
  void stop() {
    stopped_ = true;  // a wait that has expired already is not cancelled
    timer_.cancel();
  }
  void close_all();

 private:
  friend class Connection;
  void tick();

  asio::steady_timer timer_;
  std::chrono::nanoseconds patience_;  // for one wait
  bool stopped_ = false;
  // Shared with the connections: those left when the loop is destroyed go after the watchdog.
  using Registry = std::unordered_set<Connection *>;
  std::shared_ptr<Registry> connections_ = std::make_shared<Registry>();
};

void limit_window(int socket, int bytes);

class Connection {
 public:
  Connection(asio::io_context &loop, Watchdog &watchdog);   // to connect() with
  Connection(Protocol::socket socket, Watchdog &watchdog);  // accepted
  ~Connection();
  Connection(const Connection &) = delete;
  Connection &operator=(const Connection &) = delete;

  Task<bool> connect(const Endpoint &to, ConnectOptions options = {});
  // Bytes received in clear but not yet read are an attack or a fault: the handshake is refused then.
  // `name` is the server's, for SNI and for its certificate; an IP address is no SNI.
  Task<bool> start_tls(asio::ssl::context &context, const std::string &name, bool verify_name);
  Task<bool> accept_tls(asio::ssl::context &context);

  // A line without its line end, borrowed until the next read; nullopt at the end of the stream.
  Task<std::optional<std::string_view>> read_line();
  // Some bytes, at least one: what is buffered, else what comes. Borrowed until the next read.
  Task<std::optional<std::string_view>> read_some();
  void unread(std::size_t n) { at_ -= n; }  // gives back the last n bytes of read_some()

  Task<bool> write(std::string_view bytes);
  Task<bool> write(const std::vector<std::string_view> &pieces);

  bool line_buffered() const { return in_.find('\n', at_) != std::string::npos; }
  bool secure() const { return tls_ != nullptr; }
  bool open() const { return error_.empty(); }
  const std::string &error() const { return error_; }
  std::string peer() const;  // "192.0.2.1", "ipv6:2001:db8::1", "unknown"
  void close(std::string_view why = "closed");
  void trace() { trace_ = true; }

 private:
  friend class Watchdog;
  Task<bool> fill();
  Task<bool> handshake(asio::ssl::stream_base::handshake_type side);
  bool begin_tls(asio::ssl::context &context);
  bool settle(const ErrorCode &error);  // true unless `error`
  void arm();
  void show(char direction, std::string_view bytes) const;

  Protocol::socket socket_;
  Watchdog &watchdog_;
  std::shared_ptr<std::unordered_set<Connection *>> registry_;
  std::unique_ptr<asio::ssl::stream<Protocol::socket &>> tls_;
  std::string in_;
  std::size_t at_ = 0;  // of in_, not yet read
  std::string error_;
  bool trace_ = false;
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
};

}  // namespace mansio::cli::load
