// A web server of one test: it takes requests on 127.0.0.1, keeps what it got, and says what the test chose. A
// connection is kept open, as HTTP/1.1 has it.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace mansio::http::test {

struct Received {
  std::string head, body;  // head: request line and header fields

  std::string field(const std::string &name) const {  // "" when there is none
    const auto at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return {};
    const auto from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  }
};

class HttpServer {
 public:
  // answer(request): the whole response; "" closes the connection without one.
  explicit HttpServer(std::function<std::string(const Received &)> answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr *>(&address), size) != 0 || ::listen(listener_, 16) != 0)
      std::abort();
    ::getsockname(listener_, reinterpret_cast<sockaddr *>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread{[this] { serve(); }};
  }
  ~HttpServer() {
    stopping_ = true;
    thread_.join();
    ::close(listener_);
  }
  HttpServer(const HttpServer &) = delete;
  HttpServer &operator=(const HttpServer &) = delete;

  std::string url(const std::string &path = "/hook") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  std::vector<Received> received() const {
    const std::lock_guard lock{mutex_};
    return received_;
  }
  int connections() const { return connections_; }

  static std::string response(int status, const std::string &body = "", const std::string &fields = "") {
    return "HTTP/1.1 " + std::to_string(status) + " x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           fields + "\r\n" + body;
  }

 private:
  // One connection after another is enough here.
  void serve() {
    while (!stopping_) {
      if (!readable(listener_)) continue;
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      ++connections_;
      std::string input;
      while (!stopping_ && talk(fd, input)) continue;
      ::close(fd);
    }
  }
  static bool readable(int fd) {
    pollfd p{fd, POLLIN, 0};
    return ::poll(&p, 1, 20) > 0;
  }
  bool talk(int fd, std::string &input) {
    const auto end = input.find("\r\n\r\n");
    if (end != std::string::npos) {
      Received request{input.substr(0, end + 2), ""};
      const auto length = request.field("Content-Length");
      const std::size_t whole = end + 4 + (length.empty() ? 0 : std::stoul(length));
      if (request.field("Expect") == "100-continue" && input.size() == end + 4 && !continued_) {
        continued_ = true;
        send(fd, "HTTP/1.1 100 Continue\r\n\r\n");
      }
      if (input.size() >= whole) {
        continued_ = false;
        request.body = input.substr(end + 4, whole - end - 4);
        input.erase(0, whole);
        {
          const std::lock_guard lock{mutex_};
          received_.push_back(request);
        }
        const auto said = answer_(request);
        send(fd, said);
        return !said.empty();
      }
    }
    if (!readable(fd)) return true;
    char buffer[65536];
    const auto n = ::recv(fd, buffer, sizeof buffer, 0);
    if (n > 0) input.append(buffer, static_cast<std::size_t>(n));
    return n > 0;
  }
  static void send(int fd, std::string_view text) {
    while (!text.empty()) {
      const auto n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  std::function<std::string(const Received &)> answer_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  bool continued_ = false;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> connections_ = 0;
  mutable std::mutex mutex_;
  std::vector<Received> received_;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace mansio::http::test
