// mansio/tls.hpp: TLS over a Socket of mansio/socket.hpp, with OpenSSL on the same non-blocking descriptor.
// Plugins that include it link OpenSSL::SSL and call ignore_sigpipe() at start.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "mansio/socket.hpp"

namespace mansio::plugin {

struct FreeSsl {
  void operator()(SSL *ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX *ctx) const { SSL_CTX_free(ctx); }
};
using SslContext = std::unique_ptr<SSL_CTX, FreeSsl>;

// The first reason in OpenSSL's error queue, which is emptied.
inline std::string ssl_error_text() {
  const auto code = ERR_peek_error();
  const char *reason = code ? ERR_reason_error_string(code) : nullptr;
  ERR_clear_error();
  return reason ? reason : "unknown error";
}

class TlsSocket final : public Stream {
 public:
  explicit TlsSocket(std::unique_ptr<Socket> socket) : socket_(std::move(socket)) {}
  ~TlsSocket() override { TlsSocket::close(); }

  // Client handshake; `server_name` goes into SNI unless it is empty. After a failure reason() tells more.
  Task<IoResult> handshake(SSL_CTX *ctx, const std::string &server_name, std::int64_t deadline) {
    ERR_clear_error();
    ssl_.reset(SSL_new(ctx));
    if (!ssl_ || SSL_set_fd(ssl_.get(), socket_->fd()) != 1 ||
        (!server_name.empty() && SSL_set_tlsext_host_name(ssl_.get(), server_name.c_str()) != 1)) {
      reason_ = ssl_error_text();
      co_return IoResult{IoStatus::Error};
    }
    SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    for (;;) {
      ERR_clear_error();
      const int done = SSL_connect(ssl_.get());
      if (done == 1) co_return IoResult{};
      const auto events = wanted(done);
      if (!events) co_return failure(done, 0);
      const auto wake = co_await socket_->wait(events, deadline);
      if (wake != Wake::Ready) {
        reason_ = io_result(wake).text();
        co_return io_result(wake);
      }
    }
  }
  const std::string &reason() const { return reason_; }
  // "" if the server's certificate is vouched for by a CA of the context and has one of `names` (host names, ".domain"
  // for any name below it, IP addresses); else what is wrong with it. After the handshake.
  std::string distrust(const std::vector<std::string> &names) const {
    auto *certificate = ssl_ ? SSL_get0_peer_certificate(ssl_.get()) : nullptr;
    if (!certificate) return "the server has no certificate";
    if (const auto verdict = SSL_get_verify_result(ssl_.get()); verdict != X509_V_OK)
      return X509_verify_cert_error_string(verdict);
    std::string wanted;
    for (const auto &name : names) {
      // An address is no name: -2 says that the text is none.
      const int by_ip = X509_check_ip_asc(certificate, name.c_str(), 0);
      if (by_ip == 1 || (by_ip == -2 && X509_check_host(certificate, name.data(), name.size(),
                                                        X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1))
        return {};
      wanted += (wanted.empty() ? "" : ", ") + name;
    }
    ERR_clear_error();
    return "the certificate is for none of: " + wanted;
  }
  std::string description() const {  // "TLSv1.3 TLS_AES_256_GCM_SHA384"
    return ssl_ ? std::string{SSL_get_version(ssl_.get())} + ' ' + SSL_get_cipher_name(ssl_.get()) : std::string{};
  }

  Task<IoResult> read_some(char *to, std::size_t n, std::int64_t deadline) override {
    int events = SSL_has_pending(ssl_.get()) ? 0 : MANSIO_READABLE;
    for (;;) {
      if (events) {
        const auto wake = co_await socket_->wait(events, deadline);
        if (wake != Wake::Ready) co_return io_result(wake);
      }
      ERR_clear_error();
      std::size_t got = 0;
      const int done = SSL_read_ex(ssl_.get(), to, n, &got);
      if (done == 1) co_return IoResult{IoStatus::Ok, got, 0};
      events = wanted(done);
      if (!events) co_return failure(done, 0);
    }
  }

  Task<IoResult> write(std::span<const std::string_view> data, std::int64_t timeout) override {
    // One record instead of several: small pieces are joined first.
    std::string joined;
    if (data.size() > 1) {
      for (const auto piece : data) joined += piece;
    }
    const std::string_view all = data.size() == 1 ? data[0] : std::string_view{joined};
    co_return co_await write_all(all, timeout);
  }

  Task<IoResult> send_file(int fd, std::uint64_t offset, std::uint64_t n, std::int64_t timeout) override {
    IoResult all;
    std::string block(std::min<std::uint64_t>(n, 64u << 10), '\0');
    while (all.n < n) {
      const auto want = std::min<std::uint64_t>(block.size(), n - all.n);
      const auto got = ::pread(fd, block.data(), want, static_cast<off_t>(offset + all.n));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) co_return IoResult{IoStatus::Error, all.n, got < 0 ? errno : EIO};
      const auto sent = co_await write_all({block.data(), static_cast<std::size_t>(got)}, timeout);
      all.n += sent.n;
      if (!sent) co_return IoResult{sent.status, all.n, sent.error};
    }
    co_return all;
  }

  bool gone() const override { return socket_->gone(); }
  void set_cancel(Cancel *cancel) override { socket_->set_cancel(cancel); }
  void close() override {
    // close_notify without waiting for the peer's; a failed session may not send it.
    if (ssl_ && usable_) SSL_shutdown(ssl_.get());
    ERR_clear_error();
    ssl_.reset();
    socket_->close();
  }

 private:
  Task<IoResult> write_all(std::string_view data, std::int64_t timeout) {
    IoResult all;
    while (all.n < data.size()) {
      ERR_clear_error();
      std::size_t sent = 0;
      const int done = SSL_write_ex(ssl_.get(), data.data() + all.n, data.size() - all.n, &sent);
      if (done == 1) {
        all.n += sent;
        continue;
      }
      const auto events = wanted(done);
      if (!events) co_return failure(done, all.n);
      const auto wake = co_await socket_->wait(events, socket_->host().now() + timeout);
      if (wake != Wake::Ready) co_return IoResult{io_result(wake).status, all.n, 0};
    }
    co_return all;
  }
  int wanted(int done) const {
    switch (SSL_get_error(ssl_.get(), done)) {
      case SSL_ERROR_WANT_READ:
        return MANSIO_READABLE;
      case SSL_ERROR_WANT_WRITE:
        return MANSIO_WRITABLE;
      default:
        return 0;
    }
  }
  IoResult failure(int done, std::size_t moved) {
    const int saved = errno;
    const int kind = SSL_get_error(ssl_.get(), done);
    if (kind == SSL_ERROR_ZERO_RETURN) return {IoStatus::Eof, moved, 0};
    usable_ = false;
    if (kind == SSL_ERROR_SYSCALL && saved) {
      reason_ = std::strerror(saved);
      return {IoStatus::Error, moved, saved};
    }
    reason_ = ssl_error_text();
    return {IoStatus::Error, moved, 0};
  }

  std::unique_ptr<Socket> socket_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  std::string reason_;
  bool usable_ = true;
};

}  // namespace mansio::plugin
