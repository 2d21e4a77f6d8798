// A scripted SMTP or LMTP server for tests, in a thread of its own on 127.0.0.x or a UNIX socket. It behaves well
// unless its hooks say otherwise, and keeps what it was told.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace mansio::smtp::test {

// What a hook may answer instead of a reply text ("" = behave well).
inline constexpr const char *kDrop = "<drop>";    // close at once
inline constexpr const char *kStall = "<stall>";  // say nothing until the client closes

struct Transaction {
  std::string mail;
  std::vector<std::string> rcpts;  // accepted ones
  std::string content;             // dots unstuffed
  bool bdat = false;
};

struct Behaviour {
  bool lmtp = false;
  std::vector<std::string> extensions{"PIPELINING", "8BITMIME", "SIZE 1000000", "ENHANCEDSTATUSCODES"};
  std::string greeting = "220 fake.example ESMTP";
  // The command line; the reply to it.
  std::function<std::string(const std::string &command)> on_command = [](const auto &) { return std::string{}; };
  // The replies after the content, all lines; the transaction it ends.
  std::function<std::string(const Transaction &)> on_content = [](const auto &) { return std::string{}; };
  bool tls = false;                              // offers STARTTLS
  bool wrapped = false;                          // speaks TLS from the first byte on
  std::function<void(SSL_CTX *)> identity = {};  // certificate and key; else a self-signed one without a name
  bool tls_broken = false;                       // ... and sends garbage instead of a handshake
  bool inject_clear = false;                     // ... and a further reply behind "220 go ahead"
  bool deaf = false;                             // reads no more once the content comes
  // The failures on the way that look like a server's: content is never answered ...
  bool pix = false;         // ... unless its final dot and CRLF come in a packet of their own
  int largest_segment = 0;  // ... if it came in segments larger than that: what a black hole does to large packets
};

// A server that gives one command, known by how its line begins, this reply.
inline Behaviour answering(std::string command, std::string reply,
                           std::vector<std::string> extensions = Behaviour{}.extensions) {
  Behaviour b;
  b.extensions = std::move(extensions);
  b.on_command = [=](const std::string &line) { return line.starts_with(command) ? reply : std::string{}; };
  return b;
}

class FakeServer {
 public:
  explicit FakeServer(Behaviour behaviour = {}, const std::string &ip = "127.0.0.1", std::uint16_t port_wanted = 0)
      : behaviour_(std::move(behaviour)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_wanted);
    ::inet_pton(AF_INET, ip.c_str(), &address.sin_addr);
    if (behaviour_.deaf) {
      // Else the kernels take megabytes of it: the client's send buffer grows with the segments that may be under way.
      const int little = 4096, segment = 536;
      ::setsockopt(listener_, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
      ::setsockopt(listener_, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
    }
    if (::bind(listener_, reinterpret_cast<sockaddr *>(&address), sizeof address) < 0) throw std::runtime_error{"bind"};
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr *>(&address), &size);
    port = ntohs(address.sin_port);
    nexthop = '[' + ip + "]:" + std::to_string(port);
    listen_now();
  }
  FakeServer(Behaviour behaviour, const std::string &path, std::nullptr_t) : behaviour_(std::move(behaviour)) {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    ::unlink(path.c_str());
    if (::bind(listener_, reinterpret_cast<sockaddr *>(&address), sizeof address) < 0) throw std::runtime_error{"bind"};
    nexthop = "unix:" + path;
    listen_now();
  }
  ~FakeServer() {
    ::shutdown(listener_, SHUT_RDWR);
    if (acceptor_.joinable()) acceptor_.join();
    hang_up();
    for (auto &session : sessions_) session.join();
    ::close(listener_);
  }

  std::uint16_t port = 0;
  std::string nexthop;

  std::vector<Transaction> transactions() const { return locked(transactions_); }
  std::vector<std::string> commands() const { return locked(commands_); }
  std::vector<std::string> names() const { return locked(names_); }  // of SNI
  std::vector<std::string> peers() const { return locked(peers_); }  // addresses of clients, in their order
  std::size_t connections() const { return locked(connections_); }
  void hang_up() {  // on all clients
    const std::lock_guard lock{mutex_};
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  void wait_until_all_are_closed() const {
    while (!locked(open_).empty()) std::this_thread::yield();
  }
  std::size_t count(std::string_view prefix) const {
    std::size_t n = 0;
    for (const auto &command : commands()) n += command.starts_with(prefix);
    return n;
  }

 private:
  class Peer {
   public:
    explicit Peer(int fd) : fd_(fd) {}
    ~Peer() {
      if (ssl_) SSL_free(ssl_);
    }
    bool fill() {
      char block[16384];
      const auto got =
          ssl_ ? SSL_read(ssl_, block, sizeof block) : static_cast<int>(::recv(fd_, block, sizeof block, 0));
      if (got <= 0) return false;
      chunk_at_ = taken_ + in_.size();
      in_.append(block, static_cast<std::size_t>(got));
      return true;
    }
    std::optional<std::string> line() {
      for (;;) {
        if (const auto end = in_.find("\r\n"); end != std::string::npos) {
          auto text = in_.substr(0, end);
          fresh_ = taken_ == chunk_at_ && in_.size() == end + 2;
          in_.erase(0, end + 2);
          taken_ += end + 2;
          return text;
        }
        if (!fill()) return std::nullopt;
      }
    }
    std::optional<std::string> bytes(std::size_t n) {
      while (in_.size() < n)
        if (!fill()) return std::nullopt;
      auto text = in_.substr(0, n);
      in_.erase(0, n);
      taken_ += n;
      return text;
    }
    void send(std::string text) {
      if (text.empty() || text.back() != '\n') text += "\r\n";
      if (ssl_) {
        SSL_write(ssl_, text.data(), static_cast<int>(text.size()));
      } else {
        (void)!::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      }
    }
    void drain() {
      while (fill()) in_.clear();
    }
    // Until it is closed: by our destructor, as the client's FIN waits behind what is not read.
    void read_no_more() {
      pollfd end{fd_, POLLRDHUP, 0};
      ::poll(&end, 1, -1);
    }
    bool start_tls(SSL_CTX *ctx, std::string &name) {
      ssl_ = SSL_new(ctx);
      SSL_set_fd(ssl_, fd_);
      if (SSL_accept(ssl_) != 1) return false;
      const char *sni = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name);
      name = sni ? sni : "";
      return true;
    }
    bool encrypted() const { return ssl_; }
    bool line_came_alone() const { return fresh_; }  // the last one: in one packet, with nothing else in it
    int segment() const {
      tcp_info info{};
      socklen_t size = sizeof info;
      return ::getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? static_cast<int>(info.tcpi_rcv_mss) : 0;
    }

   private:
    int fd_;
    SSL *ssl_ = nullptr;
    std::string in_;
    std::size_t taken_ = 0, chunk_at_ = 0;  // octets: read by us, received before the last packet
    bool fresh_ = false;
  };

  template <class T>
  T locked(const T &value) const {
    const std::lock_guard lock{mutex_};
    return value;
  }
  template <class T>
  void note(std::vector<T> &to, T value) {
    const std::lock_guard lock{mutex_};
    to.push_back(std::move(value));
  }

  void listen_now() {
    ::listen(listener_, 16);
    acceptor_ = std::thread{[this] {
      for (;;) {
        sockaddr_in from{};
        socklen_t size = sizeof from;
        const int fd = ::accept4(listener_, reinterpret_cast<sockaddr *>(&from), &size, SOCK_CLOEXEC);
        if (fd < 0) return;
        char text[INET_ADDRSTRLEN] = "";
        ::inet_ntop(AF_INET, &from.sin_addr, text, sizeof text);
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const std::lock_guard lock{mutex_};
        ++connections_;
        peers_.emplace_back(text);
        open_.push_back(fd);
        sessions_.emplace_back([this, fd] {
          serve(fd);
          ::shutdown(fd, SHUT_RDWR);
          const std::lock_guard inner{mutex_};
          std::erase(open_, fd);
          ::close(fd);
        });
      }
    }};
  }

  // False: the connection ends.
  bool reply(Peer &peer, const std::string &chosen, const std::string &usual) {
    const auto &text = chosen.empty() ? usual : chosen;
    if (text == kDrop) return false;
    if (text == kStall) {
      peer.drain();
      return false;
    }
    peer.send(text);
    return !text.starts_with("421");
  }

  void serve(int fd) {
    Peer peer{fd};
    if (behaviour_.wrapped) {
      std::string name;
      if (!peer.start_tls(context(), name)) return;
      note(names_, name);
    }
    if (!reply(peer, behaviour_.greeting, "")) return;
    Transaction now;
    while (const auto line = peer.line()) {
      note(commands_, *line);
      const auto chosen = behaviour_.on_command(*line);
      const std::string verb = line->substr(0, line->find(' '));
      if (verb == "EHLO" || verb == "LHLO") {
        std::string text = "250-fake.example\r\n";
        auto words = behaviour_.extensions;
        if (behaviour_.tls && !peer.encrypted()) words.push_back("STARTTLS");
        for (const auto &word : words) text += "250-" + word + "\r\n";
        text += "250 HELP\r\n";
        if (!reply(peer, chosen, text)) return;
      } else if (verb == "STARTTLS") {
        if (!reply(peer, chosen, behaviour_.inject_clear ? "220 go\r\n250 injected" : "220 go")) return;
        if (!chosen.empty()) continue;
        if (behaviour_.tls_broken) {
          peer.fill();  // the ClientHello; before it, this would be an injection
          return peer.send("this is no handshake");
        }
        std::string name;
        if (!peer.start_tls(context(), name)) return;
        note(names_, name);
      } else if (verb == "MAIL") {
        now = {chosen.empty() || chosen[0] == '2' ? *line : "", {}, {}, false};
        if (!reply(peer, chosen, "250 2.1.0 sender ok")) return;
      } else if (verb == "RCPT") {
        const bool open = !now.mail.empty();
        if (!reply(peer, chosen, open ? "250 2.1.5 recipient ok" : "503 5.5.1 MAIL first")) return;
        if (open && (chosen.empty() || chosen[0] == '2')) now.rcpts.push_back(*line);
      } else if (verb == "DATA") {
        const bool go = chosen.empty() ? !now.rcpts.empty() : chosen.starts_with("354");
        if (!reply(peer, chosen, go ? "354 go ahead" : "554 5.5.1 no valid recipients")) return;
        if (!go) continue;
        if (behaviour_.deaf) return peer.read_no_more();
        while (const auto text = peer.line()) {
          if (*text == ".") {
            if ((behaviour_.pix && !peer.line_came_alone()) ||
                (behaviour_.largest_segment != 0 && peer.segment() > behaviour_.largest_segment))
              return peer.drain();
            if (!end_of_content(peer, now)) return;
            break;
          }
          now.content += text->substr(text->starts_with('.') ? 1 : 0) + "\r\n";
        }
      } else if (verb == "BDAT") {
        if (behaviour_.deaf) return peer.read_no_more();
        const auto n = std::stoul(line->substr(5));
        const auto text = peer.bytes(n);
        if (!text) return;
        if (!chosen.empty() || now.rcpts.empty()) {
          if (!reply(peer, chosen, "503 5.5.1 no valid recipients")) return;
          continue;
        }
        now.content += *text;
        now.bdat = true;
        if (!end_of_content(peer, now)) return;
      } else if (verb == "QUIT") {
        reply(peer, chosen, "221 bye");
        return;
      } else {
        if (!reply(peer, chosen, "250 ok")) return;
      }
    }
  }

  bool end_of_content(Peer &peer, Transaction &now) {
    note(transactions_, now);
    std::string usual;
    for (std::size_t i = 0; i < (behaviour_.lmtp && !now.rcpts.empty() ? now.rcpts.size() : 1); ++i)
      usual += "250 2.0.0 taken as " + std::to_string(i + 1) + "\r\n";
    const auto chosen = behaviour_.on_content(now);
    now = {};
    for (const char *end : {kDrop, kStall}) {  // some replies first
      const auto at = chosen.find(end);
      if (at == std::string::npos || at == 0) continue;
      peer.send(chosen.substr(0, at));
      return reply(peer, end, "");
    }
    return reply(peer, chosen, usual);
  }

  SSL_CTX *context() {  // with a certificate made on the spot
    const std::lock_guard lock{mutex_};
    if (!ssl_) {
      ssl_.reset(SSL_CTX_new(TLS_server_method()));
      if (behaviour_.identity) {
        behaviour_.identity(ssl_.get());
        return ssl_.get();
      }
      EVP_PKEY *key = EVP_EC_gen("P-256");
      X509 *cert = X509_new();
      ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
      X509_gmtime_adj(X509_getm_notBefore(cert), -60);
      X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
      X509_set_pubkey(cert, key);
      X509_sign(cert, key, EVP_sha256());
      SSL_CTX_use_certificate(ssl_.get(), cert);
      SSL_CTX_use_PrivateKey(ssl_.get(), key);
      X509_free(cert);
      EVP_PKEY_free(key);
    }
    return ssl_.get();
  }

  struct Free {
    void operator()(SSL_CTX *ctx) const { SSL_CTX_free(ctx); }
  };
  Behaviour behaviour_;
  int listener_ = -1;
  mutable std::mutex mutex_;
  std::vector<Transaction> transactions_;
  std::vector<std::string> commands_, names_, peers_;
  std::size_t connections_ = 0;
  std::vector<int> open_;
  std::list<std::thread> sessions_;
  std::thread acceptor_;
  std::unique_ptr<SSL_CTX, Free> ssl_;
};

}  // namespace mansio::smtp::test
