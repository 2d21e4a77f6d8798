#include "kernel/cli/load/connection.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>

#include "kernel/mail/utf8.hpp"

namespace mansio::cli::load {
namespace {

constexpr std::size_t kRead = 64 * 1024, kLongestLine = 1024 * 1024;

void no_delay(Protocol::socket &socket) {
  const int on = 1;  // fails on a UNIX socket, which needs none
  (void)::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

void limit_window(int socket, int bytes) {
  (void)::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  (void)::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

void Watchdog::tick() {
  const auto now = std::chrono::steady_clock::now();
  for (auto *connection : *connections_) {
    if (connection->deadline_ < now) connection->close("timed out");
  }
  timer_.expires_after(std::chrono::milliseconds{500});
  timer_.async_wait([this](const ErrorCode &error) {
    if (!error && !stopped_) tick();
  });
}

void Watchdog::close_all() {
  for (auto *connection : *connections_) connection->close("stopped");
}

Connection::Connection(asio::io_context &loop, Watchdog &watchdog) : Connection(Protocol::socket{loop}, watchdog) {}

Connection::Connection(Protocol::socket socket, Watchdog &watchdog)
    : socket_(std::move(socket)), watchdog_(watchdog), registry_(watchdog.connections_) {
  registry_->insert(this);
  if (socket_.is_open()) no_delay(socket_);
}

Connection::~Connection() { registry_->erase(this); }

void Connection::arm() { deadline_ = std::chrono::steady_clock::now() + watchdog_.patience_; }

bool Connection::settle(const ErrorCode &error) {
  deadline_ = std::chrono::steady_clock::time_point::max();
  if (error && error_.empty()) close(error == asio::error::eof ? "connection closed by the peer" : error.message());
  return error_.empty();
}

void Connection::close(std::string_view why) {
  if (error_.empty()) error_ = why;
  ErrorCode ignored;
  socket_.close(ignored);
}

std::string Connection::peer() const {
  ErrorCode error;
  const auto remote = socket_.remote_endpoint(error);
  char host[NI_MAXHOST];
  const bool ip = !error && (remote.data()->sa_family == AF_INET || remote.data()->sa_family == AF_INET6);
  if (!ip || ::getnameinfo(remote.data(), static_cast<socklen_t>(remote.size()), host, sizeof host, nullptr, 0,
                           NI_NUMERICHOST) != 0)
    return "unknown";
  return remote.data()->sa_family == AF_INET6 ? fmt::format("ipv6:{}", host) : std::string{host};
}

Task<bool> Connection::connect(const Endpoint &to, ConnectOptions options) {
  constexpr auto kPause = std::chrono::milliseconds{100};
  trace_ = options.trace;
  ErrorCode error;
  for (unsigned tries = 1;; ++tries) {
    socket_.open(to.address.protocol(), error);
    if (!error && options.window > 0) limit_window(socket_.native_handle(), options.window);
    arm();
    if (!error) co_await socket_.async_connect(to.address, asio::redirect_error(asio::use_awaitable, error));
    const bool refused = error == asio::error::connection_refused || error == asio::error::connection_reset;
    if (!refused || tries >= options.tries || !open()) break;
    ErrorCode ignored;
    socket_.close(ignored);
    asio::steady_timer timer{socket_.get_executor(), kPause};
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  if (!settle(error)) co_return false;
  no_delay(socket_);
  co_return true;
}

bool Connection::begin_tls(asio::ssl::context &context) {
  if (at_ < in_.size()) {
    close("bytes in clear after STARTTLS");
    return false;
  }
  tls_ = std::make_unique<asio::ssl::stream<Protocol::socket &>>(socket_, context);
  return true;
}

Task<bool> Connection::handshake(asio::ssl::stream_base::handshake_type side) {
  ErrorCode error;
  arm();
  co_await tls_->async_handshake(side, asio::redirect_error(asio::use_awaitable, error));
  co_return settle(error);
}

Task<bool> Connection::accept_tls(asio::ssl::context &context) {
  if (!begin_tls(context)) co_return false;
  co_return co_await handshake(asio::ssl::stream_base::server);
}

Task<bool> Connection::start_tls(asio::ssl::context &context, const std::string &name, bool verify_name) {
  if (!begin_tls(context)) co_return false;
  auto *const ssl = tls_->native_handle();
  ErrorCode error;
  (void)asio::ip::make_address(name, error);
  const bool ip = !error;
  if (!name.empty() && !ip) (void)SSL_set_tlsext_host_name(ssl, name.c_str());
  if (verify_name &&
      (ip ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) : SSL_set1_host(ssl, name.c_str())) != 1) {
    close("the server's name cannot be verified");
    co_return false;
  }
  co_return co_await handshake(asio::ssl::stream_base::client);
}

Task<bool> Connection::fill() {
  if (!open()) co_return false;
  if (at_ == in_.size()) {
    in_.clear();
  } else {
    in_.erase(0, at_);
  }
  at_ = 0;
  const auto had = in_.size();
  in_.resize(had + kRead);
  ErrorCode error;
  std::size_t n = 0;
  const auto room = asio::buffer(in_.data() + had, kRead);
  arm();
  if (tls_) {
    n = co_await tls_->async_read_some(room, asio::redirect_error(asio::use_awaitable, error));
  } else {
    n = co_await socket_.async_read_some(room, asio::redirect_error(asio::use_awaitable, error));
  }
  in_.resize(had + n);
  co_return settle(error);
}

Task<std::optional<std::string_view>> Connection::read_line() {
  for (;;) {
    if (const auto newline = in_.find('\n', at_); newline != std::string::npos) {
      auto line = std::string_view{in_}.substr(at_, newline - at_);
      at_ = newline + 1;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (trace_) show('<', line);
      co_return line;
    }
    if (in_.size() - at_ > kLongestLine) close("a line without an end");
    if (!co_await fill()) co_return std::nullopt;
  }
}

Task<std::optional<std::string_view>> Connection::read_some() {
  if (at_ == in_.size() && !co_await fill()) co_return std::nullopt;
  const auto bytes = std::string_view{in_}.substr(at_);
  at_ = in_.size();
  co_return bytes;
}

// Content in large pieces is only counted.
void Connection::show(char direction, std::string_view bytes) const {
  constexpr std::size_t kMost = 4096;
  if (bytes.size() > kMost) return fmt::print(stderr, "{} [{} octets]\n", direction, bytes.size());
  while (!bytes.empty()) {
    const auto end = std::min(bytes.find('\n'), bytes.size());
    auto line = bytes.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    fmt::print(stderr, "{} {}\n", direction, printable(line, true));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
}

Task<bool> Connection::write(std::string_view bytes) {
  const std::vector<std::string_view> pieces{bytes};
  co_return co_await write(pieces);
}

Task<bool> Connection::write(const std::vector<std::string_view> &pieces) {
  if (!open()) co_return false;
  std::vector<asio::const_buffer> buffers;
  buffers.reserve(pieces.size());
  for (const auto piece : pieces) {
    buffers.emplace_back(piece.data(), piece.size());
    if (trace_) show('>', piece);
  }
  ErrorCode error;
  arm();
  if (tls_) {
    co_await asio::async_write(*tls_, buffers, asio::redirect_error(asio::use_awaitable, error));
  } else {
    co_await asio::async_write(socket_, buffers, asio::redirect_error(asio::use_awaitable, error));
  }
  co_return settle(error);
}

}  // namespace mansio::cli::load
