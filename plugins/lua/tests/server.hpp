// A server of one test: each connection is talked to by a function, on a thread of its own.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace mansio::lua::testing {

class Server {
 public:
  // A path: over a UNIX socket there; otherwise a free port of 127.0.0.1.
  explicit Server(std::function<void(int fd)> talk, const std::string &path = {}) : talk_(std::move(talk)) {
    listener_ = ::socket(path.empty() ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    path.copy(local.sun_path, sizeof local.sun_path - 1);
    sockaddr_in tcp{};
    tcp.sin_family = AF_INET;
    tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int bound = path.empty() ? ::bind(listener_, reinterpret_cast<const sockaddr *>(&tcp), sizeof tcp)
                                   : ::bind(listener_, reinterpret_cast<const sockaddr *>(&local), sizeof local);
    if (bound != 0 || ::listen(listener_, 16) != 0) throw std::runtime_error{"cannot listen"};
    socklen_t size = sizeof tcp;
    if (path.empty()) ::getsockname(listener_, reinterpret_cast<sockaddr *>(&tcp), &size);
    port_ = ntohs(tcp.sin_port);
    address_ = path.empty() ? "127.0.0.1:" + std::to_string(port_) : "unix:" + path;
    accepting_ = std::thread{[this] { accept_all(); }};
  }
  ~Server() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    accepting_.join();
    for (const int fd : fds_) ::shutdown(fd, SHUT_RDWR);
    for (auto &thread : threads_) thread.join();
    for (const int fd : fds_) ::close(fd);
    ::close(listener_);
  }
  Server(const Server &) = delete;
  Server &operator=(const Server &) = delete;

  const std::string &address() const { return address_; }
  std::uint16_t port() const { return port_; }
  int connections() const { return connections_; }
  int ended() const { return ended_; }  // conversations

  // A line without its end; "" when there is none.
  static std::string line(int fd) {
    std::string text;
    for (char c = 0; ::recv(fd, &c, 1, 0) == 1 && c != '\n';)
      if (c != '\r') text += c;
    return text;
  }
  static std::string octets(int fd, std::size_t n) {
    std::string text(n, '\0');
    const auto got = ::recv(fd, text.data(), n, MSG_WAITALL);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }
  static void say(int fd, std::string_view text) {
    while (!text.empty()) {
      const auto n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }

 private:
  void accept_all() {
    while (!stopping_) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      ++connections_;
      fds_.push_back(fd);  // of this thread, until it has ended
      threads_.emplace_back([this, fd] {
        talk_(fd);
        ::shutdown(fd, SHUT_RDWR);
        ++ended_;
      });
    }
  }

  std::function<void(int)> talk_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::string address_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> connections_ = 0, ended_ = 0;
  std::vector<int> fds_;
  std::list<std::thread> threads_;
  std::thread accepting_;
};

}  // namespace mansio::lua::testing
