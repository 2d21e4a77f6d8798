// Connection: one client's byte stream, in clear or, after start_tls(), through TLS. It owns the socket and a read
// buffer that is reused for the whole session. Reading and writing never throw; `error()` says what ended it.
//
// Nothing that came in clear survives the handshake: start_tls() drops the buffer, and bytes still in the socket
// go to the TLS engine, which refuses them (RFC 3207 section 4.2; CVE-2011-0411).
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/io/asio.hpp"
#include "kernel/io/fd.hpp"

namespace mansio::ingress {

class Connection {
 public:
  static constexpr std::size_t kBuffer = 32 * 1024;

  Connection(asio::io_context &loop, io::UniqueFd socket, int family);  // family: AF_INET, AF_INET6 or AF_UNIX

  // What was read and not consumed yet.
  std::string_view buffered() const { return {buffer_.get() + begin_, end_ - begin_}; }
  void consume(std::size_t n);
  // Waits for more bytes; false at the end of the stream, on an error, or when cancelled. The buffer must not be
  // full.
  Task<bool> read_more();
  bool full() const { return end_ - begin_ == kBuffer; }

  // True if all of `bytes` left at once, without waiting; else `bytes` is what remains, for write(). `last`: they may
  // leave together with the FIN of linger_close(), which has to follow at once; the client then wakes up once.
  bool write_now(std::string_view &bytes, bool last = false);
  Task<bool> write(std::string_view bytes);

  // Server side of the handshake.
  Task<bool> start_tls(std::shared_ptr<asio::ssl::context> context);
  bool secure() const { return tls_ != nullptr; }
  bool resumed() const;  // TLS that began with what was agreed on in an earlier connection
  std::string tls_version() const;
  std::string tls_cipher() const;

  Task<void> end_tls();  // says close_notify and waits for the client's; nothing to do in clear

  // Has the client sent anything that was not read yet? The socket counts too, also under TLS: a client that waits for
  // an answer has no reason to send a record of any kind.
  bool input_waiting();

  // Has the client closed its end, with nothing more to be read? Under TLS what it said last may hide that.
  bool gone();

  void cancel();        // waiting calls return false
  void close();         // at once
  void linger_close();  // sends FIN, drops what the client still has to say, then closes
  const ErrorCode &error() const { return error_; }
  // After cancel(): to send last words. Not after a handshake that failed, nor behind what a write has sent a part of.
  void forgive() {
    if ((!tls_ || shaken_) && !torn_) error_ = {};
  }

 private:
  using Socket = asio::generic::stream_protocol::socket;
  Socket socket_;
  std::shared_ptr<asio::ssl::context> tls_context_;
  std::unique_ptr<asio::ssl::stream<Socket &>> tls_;
  bool shaken_ = false, torn_ = false;
  std::unique_ptr<char[]> buffer_;
  std::size_t begin_ = 0, end_ = 0;
  ErrorCode error_;
};

}  // namespace mansio::ingress
