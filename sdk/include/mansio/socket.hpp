// mansio/socket.hpp: non-blocking stream sockets (TCP over IPv4 and IPv6, UNIX) for coroutines of mansio/loop.hpp,
// and a buffered reader over any Stream. Failures are values (IoResult); a write never raises SIGPIPE as long as
// ignore_sigpipe() was called once at start (sendfile() and OpenSSL cannot be told otherwise).
//
// Reads wait first and read then: a client reads when it expects an answer, which is rarely there already, so trying
// first would cost a system call a reply. Writes try first, for the opposite reason.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "mansio/loop.hpp"

namespace mansio::plugin {

inline void ignore_sigpipe() {  // [init]; leaves a handler somebody installed alone
  struct sigaction now {};
  if (::sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) ::signal(SIGPIPE, SIG_IGN);
}

// ---- addresses ---------------------------------------------------------------------------------------------------

class Endpoint {
 public:
  static std::optional<Endpoint> ip(std::string_view address, std::uint16_t port) {
    Endpoint e;
    e.text_ = address;
    auto *v4 = reinterpret_cast<sockaddr_in *>(&e.address_);
    auto *v6 = reinterpret_cast<sockaddr_in6 *>(&e.address_);
    if (::inet_pton(AF_INET, e.text_.c_str(), &v4->sin_addr) == 1) {
      v4->sin_family = AF_INET;
      v4->sin_port = htons(port);
      e.length_ = sizeof *v4;
    } else if (::inet_pton(AF_INET6, e.text_.c_str(), &v6->sin6_addr) == 1) {
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(port);
      e.length_ = sizeof *v6;
    } else {
      return std::nullopt;
    }
    return e;
  }
  static std::optional<Endpoint> unix_path(std::string_view path) {
    Endpoint e;
    auto *un = reinterpret_cast<sockaddr_un *>(&e.address_);
    if (path.empty() || path.size() >= sizeof un->sun_path) return std::nullopt;
    e.text_ = path;
    un->sun_family = AF_UNIX;
    std::memcpy(un->sun_path, path.data(), path.size());
    e.length_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return e;
  }
  int family() const { return address_.ss_family; }
  const std::string &text() const { return text_; }  // address or path, without port
  const sockaddr *address() const { return reinterpret_cast<const sockaddr *>(&address_); }
  socklen_t length() const { return length_; }

 private:
  sockaddr_storage address_{};
  socklen_t length_ = 0;
  std::string text_;
};

// ---- streams -----------------------------------------------------------------------------------------------------

enum class IoStatus { Ok, Eof, Timeout, Cancelled, Error };

struct IoResult {
  IoStatus status = IoStatus::Ok;
  std::size_t n = 0;  // bytes moved, also when the rest failed
  int error = 0;      // errno of Error
  explicit operator bool() const { return status == IoStatus::Ok; }
  std::string text() const {
    switch (status) {
      case IoStatus::Ok:
        return "ok";
      case IoStatus::Eof:
        return "connection closed";
      case IoStatus::Timeout:
        return "timed out";
      case IoStatus::Cancelled:
        return "cancelled";
      case IoStatus::Error:
        break;
    }
    return error ? std::strerror(error) : "protocol error";
  }
};
inline IoResult io_result(Wake wake) {
  return {wake == Wake::Ready ? IoStatus::Ok : wake == Wake::Timeout ? IoStatus::Timeout : IoStatus::Cancelled};
}

class Stream {
 public:
  virtual ~Stream() = default;
  // At least one byte, or why not. `deadline` is absolute.
  virtual Task<IoResult> read_some(char *to, std::size_t n, std::int64_t deadline) = 0;
  // All of `data` (one system call where possible); `timeout` limits each wait for progress.
  virtual Task<IoResult> write(std::span<const std::string_view> data, std::int64_t timeout) = 0;
  // A range of a file. `timeout` as for write().
  virtual Task<IoResult> send_file(int fd, std::uint64_t offset, std::uint64_t n, std::int64_t timeout) = 0;
  // Of an idle stream: the peer has closed it. One system call.
  virtual bool gone() const = 0;
  virtual void set_cancel(Cancel *cancel) = 0;  // of the operation that uses it from now on
  virtual void close() = 0;
};

class Socket final : public Stream {
 public:
  explicit Socket(Host host) : watch_(host) {}
  ~Socket() override { Socket::close(); }

  // The largest TCP segment of the next connection, either way; 0: the system's.
  void limit_segment(int bytes) { segment_ = bytes; }
  // Connects from `from`, if given (port 0 = any).
  Task<IoResult> connect(const Endpoint &to, const Endpoint *from, std::int64_t deadline) {
    close();
    fd_ = ::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) co_return IoResult{IoStatus::Error, 0, errno};
    watch_.attach(fd_);
    if (from && from->family() == to.family() && ::bind(fd_, from->address(), from->length()) < 0)
      co_return IoResult{IoStatus::Error, 0, errno};
    if (to.family() != AF_UNIX) {
      const int on = 1;  // we write whole batches, so there is nothing for Nagle to gather
      ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      if (segment_ > 0 && ::setsockopt(fd_, IPPROTO_TCP, TCP_MAXSEG, &segment_, sizeof segment_) < 0)
        co_return IoResult{IoStatus::Error, 0, errno};
    }
    if (::connect(fd_, to.address(), to.length()) == 0) co_return IoResult{};
    if (errno != EINPROGRESS) co_return IoResult{IoStatus::Error, 0, errno};
    const auto wake = co_await watch_.wait(MANSIO_WRITABLE, deadline);
    if (wake != Wake::Ready) co_return io_result(wake);
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    co_return error ? IoResult{IoStatus::Error, 0, error} : IoResult{};
  }

  // Takes a connected, non-blocking socket over.
  void adopt(int fd) {
    close();
    fd_ = fd;
    watch_.attach(fd_);
  }
  int fd() const { return fd_; }
  const Host &host() const { return watch_.host(); }
  bool gone() const override {
    char c = 0;
    const auto n = ::recv(fd_, &c, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
  }
  FdWatch::Awaiter wait(int events, std::int64_t deadline) { return watch_.wait(events, deadline); }

  Task<IoResult> read_some(char *to, std::size_t n, std::int64_t deadline) override {
    for (;;) {
      const auto wake = co_await watch_.wait(MANSIO_READABLE, deadline);
      if (wake != Wake::Ready) co_return io_result(wake);
      const auto got = ::recv(fd_, to, n, 0);
      if (got > 0) co_return IoResult{IoStatus::Ok, static_cast<std::size_t>(got), 0};
      if (got == 0) co_return IoResult{IoStatus::Eof};
      if (errno != EAGAIN && errno != EINTR) co_return IoResult{IoStatus::Error, 0, errno};
    }
  }

  Task<IoResult> write(std::span<const std::string_view> data, std::int64_t timeout) override {
    IoResult all;
    std::size_t part = 0, skip = 0;
    while (part < data.size()) {
      iovec vec[8];
      std::size_t count = 0;
      for (auto i = part; i < data.size() && count < 8; ++i) {
        const auto piece = data[i].substr(i == part ? skip : 0);
        vec[count++] = {const_cast<char *>(piece.data()), piece.size()};
      }
      msghdr message{};
      message.msg_iov = vec;
      message.msg_iovlen = count;
      const auto sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno == EINTR) continue;
        if (errno != EAGAIN) co_return IoResult{IoStatus::Error, all.n, errno};
        const auto wake = co_await watch_.wait(MANSIO_WRITABLE, host().now() + timeout);
        if (wake != Wake::Ready) co_return IoResult{io_result(wake).status, all.n, 0};
        continue;
      }
      all.n += static_cast<std::size_t>(sent);
      auto left = static_cast<std::size_t>(sent);
      while (part < data.size() && left >= data[part].size() - skip) {
        left -= data[part].size() - skip;
        skip = 0;
        ++part;
      }
      skip += left;
    }
    co_return all;
  }

  Task<IoResult> send_file(int fd, std::uint64_t offset, std::uint64_t n, std::int64_t timeout) override {
    IoResult all;
    auto at = static_cast<off_t>(offset);
    while (all.n < n) {
      const auto sent = ::sendfile(fd_, fd, &at, n - all.n);
      if (sent > 0) {
        all.n += static_cast<std::size_t>(sent);
        continue;
      }
      if (sent == 0) co_return IoResult{IoStatus::Error, all.n, EIO};  // the file is shorter than promised
      if (errno == EINTR) continue;
      if (errno != EAGAIN) co_return IoResult{IoStatus::Error, all.n, errno};
      const auto wake = co_await watch_.wait(MANSIO_WRITABLE, host().now() + timeout);
      if (wake != Wake::Ready) co_return IoResult{io_result(wake).status, all.n, 0};
    }
    co_return all;
  }

  void set_cancel(Cancel *cancel) override { watch_.set_cancel(cancel); }
  void close() override {
    if (fd_ < 0) return;
    watch_.detach();
    ::close(std::exchange(fd_, -1));
  }

 private:
  FdWatch watch_;
  int segment_ = 0;
  int fd_ = -1;
};

// ---- reading -----------------------------------------------------------------------------------------------------

// Bytes read and not yet consumed, at most `limit` of them.
class ReadBuffer {
 public:
  explicit ReadBuffer(std::size_t limit) : limit_(limit) {}
  std::string_view data() const { return std::string_view{bytes_}.substr(at_); }
  bool full() const { return bytes_.size() - at_ >= limit_; }
  void consume(std::size_t n) {
    at_ += n;
    if (at_ == bytes_.size()) clear();
  }
  void clear() {
    bytes_.clear();
    at_ = 0;
  }
  // Adds what the stream has. A full buffer is an Error with errno EMSGSIZE.
  Task<IoResult> fill(Stream &stream, std::int64_t deadline) {
    if (full()) co_return IoResult{IoStatus::Error, 0, EMSGSIZE};
    if (at_) bytes_.erase(0, std::exchange(at_, 0));
    const auto had = bytes_.size();
    bytes_.resize(std::min(limit_, had + 4096));
    const auto got = co_await stream.read_some(bytes_.data() + had, bytes_.size() - had, deadline);
    bytes_.resize(had + (got ? got.n : 0));
    co_return got;
  }
  // A line without its end (CRLF or LF), valid until the next fill(); nullopt = not all there yet.
  std::optional<std::string_view> line() {
    const auto all = data();
    const auto end = all.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    at_ += end + 1;
    return all.substr(0, end > 0 && all[end - 1] == '\r' ? end - 1 : end);
  }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
  std::size_t limit_;
};

}  // namespace mansio::plugin
