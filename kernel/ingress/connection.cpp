#include "kernel/ingress/connection.hpp"

#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <cstring>

namespace mansio::ingress {
namespace {

auto result_in(ErrorCode &error) { return asio::redirect_error(asio::use_awaitable, error); }

}  // namespace

Connection::Connection(asio::io_context &loop, io::UniqueFd socket, int family)
    : socket_(loop), buffer_(std::make_unique_for_overwrite<char[]>(kBuffer)) {
  socket_.assign(asio::generic::stream_protocol{family, 0}, socket.get(), error_);
  if (error_) return;
  socket.release();
  socket_.non_blocking(true, error_);
}

void Connection::consume(std::size_t n) {
  begin_ += n;
  if (begin_ == end_) begin_ = end_ = 0;
}

Task<bool> Connection::read_more() {
  if (error_) co_return false;
  if (begin_ != 0 && end_ == kBuffer) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  const auto space = asio::buffer(buffer_.get() + end_, kBuffer - end_);
  if (tls_)
    end_ += co_await tls_->async_read_some(space, result_in(error_));
  else
    end_ += co_await socket_.async_read_some(space, result_in(error_));
  co_return !error_;
}

bool Connection::write_now(std::string_view &bytes, bool last) {
  if (error_) return false;
  if (tls_) return bytes.empty();
  while (!bytes.empty()) {
    const auto n = ::send(socket_.native_handle(), bytes.data(), bytes.size(),
                          MSG_NOSIGNAL | MSG_DONTWAIT | (last ? MSG_MORE : 0));
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) error_ = ErrorCode{errno, boost::system::system_category()};
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

Task<bool> Connection::write(std::string_view bytes) {
  if (error_) co_return false;
  if (tls_)
    co_await asio::async_write(*tls_, asio::buffer(bytes), result_in(error_));
  else
    co_await asio::async_write(socket_, asio::buffer(bytes), result_in(error_));
  torn_ = static_cast<bool>(error_);
  co_return !torn_;
}

Task<bool> Connection::start_tls(std::shared_ptr<asio::ssl::context> context) {
  begin_ = end_ = 0;
  tls_context_ = std::move(context);
  tls_ = std::make_unique<asio::ssl::stream<Socket &>>(socket_, *tls_context_);
  co_await tls_->async_handshake(asio::ssl::stream_base::server, result_in(error_));
  shaken_ = !error_;
  co_return shaken_;
}

Task<void> Connection::end_tls() {
  if (tls_ && !error_) co_await tls_->async_shutdown(result_in(error_));
}

bool Connection::resumed() const { return shaken_ && SSL_session_reused(tls_->native_handle()) == 1; }
std::string Connection::tls_version() const { return tls_ ? SSL_get_version(tls_->native_handle()) : ""; }
std::string Connection::tls_cipher() const { return tls_ ? SSL_get_cipher_name(tls_->native_handle()) : ""; }

bool Connection::input_waiting() {
  if (begin_ != end_) return true;
  if (error_) return false;
  if (tls_) {
    // Records that were read off the socket, whole or in part, and not given out yet.
    SSL *const ssl = tls_->native_handle();
    if (SSL_has_pending(ssl) == 1 || BIO_ctrl_pending(SSL_get_rbio(ssl)) > 0) return true;
  }
  char byte;
  return ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool Connection::gone() {
  if (begin_ != end_) return false;
  if (error_) return true;
  char byte;
  const auto n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

void Connection::cancel() {
  ErrorCode ignored;
  socket_.cancel(ignored);
}

void Connection::close() {
  ErrorCode ignored;
  socket_.close(ignored);
}

void Connection::linger_close() {
  // A close with unread input makes the kernel send RST, which may overtake our last reply.
  ErrorCode ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  char sink[4096];
  for (int i = 0; i < 16 && ::recv(socket_.native_handle(), sink, sizeof sink, MSG_DONTWAIT) > 0; ++i) {
  }
  socket_.close(ignored);
}

}  // namespace mansio::ingress
