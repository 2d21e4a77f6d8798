// A scripted DSPAM daemon for unit tests: it speaks the dialogue as src/daemon.c of DSPAM 3.10 does, and answers each
// message with what the test says. Threads of its own, ended with the object.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <list>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace mansio::dspam::testing {

struct Transaction {
  std::string from, parameters, user, content;
};

class Daemon {
 public:
  // Bytes after the final dot; "" closes the connection.
  using Judge = std::function<std::string(const Transaction &)>;

  explicit Daemon(Judge judge, bool dlmtp = true, const std::string &path = {})
      : judge_(std::move(judge)), dlmtp_(dlmtp) {
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
    address_ = path.empty() ? "127.0.0.1:" + std::to_string(ntohs(tcp.sin_port)) : "unix:" + path;
    accepting_ = std::thread{[this] { accept_all(); }};
  }
  ~Daemon() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    accepting_.join();
    drop();
    for (auto &thread : threads_) thread.join();
    for (const int fd : fds_) ::close(fd);
    ::close(listener_);
  }
  Daemon(const Daemon &) = delete;
  Daemon &operator=(const Daemon &) = delete;

  const std::string &address() const { return address_; }
  std::size_t connections() const {
    const std::lock_guard lock{mutex_};
    return fds_.size();
  }
  std::vector<Transaction> transactions() const {
    const std::lock_guard lock{mutex_};
    return transactions_;
  }
  void drop() {  // all connections
    const std::lock_guard lock{mutex_};
    for (const int fd : fds_) ::shutdown(fd, SHUT_RDWR);
  }

 private:
  void accept_all() {
    for (;;) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0 || stopping_) {
        if (fd >= 0) ::close(fd);
        return;
      }
      const std::lock_guard lock{mutex_};
      fds_.push_back(fd);
      threads_.emplace_back([this, fd] {
        talk(fd);
        ::shutdown(fd, SHUT_RDWR);
      });
    }
  }

  static bool send(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  static bool line(int fd, std::string &buffer, std::string &to) {
    for (;;) {
      if (const auto end = buffer.find("\r\n"); end != buffer.npos) {
        to = buffer.substr(0, end);
        buffer.erase(0, end + 2);
        return true;
      }
      char block[4096];
      const auto n = ::recv(fd, block, sizeof block, 0);
      if (n <= 0) return false;
      buffer.append(block, static_cast<std::size_t>(n));
      std::erase(buffer, '\0');  // as DSPAM does, before it looks for lines
    }
  }
  static std::string between(const std::string &text, std::string_view from, std::string_view to) {
    const auto begin = text.find(from);
    if (begin == text.npos) return {};
    return text.substr(begin + from.size(), text.find(to, begin + from.size()) - begin - from.size());
  }

  void talk(int fd) {
    std::string buffer, text;
    if (!send(fd, "220 DSPAM DLMTP 3.10.2 Authentication Required\r\n") || !line(fd, buffer, text) ||
        !text.starts_with("LHLO "))
      return;
    if (!send(fd, dlmtp_ ? "250-mx\r\n250-DSPAMPROCESSMODE\r\n250 SIZE\r\n" : "250-mx\r\n250 SIZE\r\n")) return;
    for (;;) {
      Transaction t;
      if (!line(fd, buffer, text) || !text.starts_with("MAIL FROM:")) return;
      t.from = between(text, "<", ">");
      t.parameters = between(text, "DSPAMPROCESSMODE=\"", "\"");
      if (dlmtp_ && t.from != "secret@mansio") {
        if (!send(fd, "503 5.1.0 Authentication Required\r\n")) return;
        continue;
      }
      if (!send(fd, "250 2.1.0 OK\r\n") || !line(fd, buffer, text) || !text.starts_with("RCPT TO:")) return;
      t.user = between(text, "<", ">");
      if (!send(fd, "250 2.1.5 OK\r\n") || !line(fd, buffer, text) || text != "DATA") return;
      if (!send(fd, "354 Enter mail, end with \".\" on a line by itself\r\n")) return;
      for (;;) {
        if (!line(fd, buffer, text)) return;
        if (text == ".") break;
        t.content += (text.starts_with("..") ? text.substr(1) : text) + "\r\n";
      }
      {
        const std::lock_guard lock{mutex_};
        transactions_.push_back(t);
      }
      const auto answer = judge_(t);
      if (answer.empty() || !send(fd, answer)) return;
    }
  }

  const Judge judge_;
  const bool dlmtp_;
  int listener_ = -1;
  std::string address_;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<Transaction> transactions_;
  std::vector<int> fds_;
  std::list<std::thread> threads_;
  std::thread accepting_;
};

// As DSPAM writes it with --deliver=summary.
inline std::string summary(const std::string &user, bool spam, const std::string &signature) {
  const std::string word = spam ? "Spam" : "Innocent";
  return "X-DSPAM-Result: " + user + "; result=\"" + word + "\"; class=\"" + word +
         "\"; probability=" + (spam ? "1.0000" : "0.0000") + "; confidence=0.97; signature=" + signature + "\n.\r\n";
}

}  // namespace mansio::dspam::testing
