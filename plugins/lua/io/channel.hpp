// A connection of a script: TCP or a UNIX socket, with TLS where it is asked for, and what has been read of it ahead.
// One operation at a time; all on the instance's loop. Deadlines are absolute, as the host's now().
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "mansio/loop.hpp"
#include "mansio/socket.hpp"
#include "plugins/lua/io/peer.hpp"

struct ssl_ctx_st;  // SSL_CTX of OpenSSL

namespace mansio::lua {

class Channel {
 public:
  struct Target {
    Peer peer;
    ssl_ctx_st *tls = nullptr;  // null: clear text
    std::string tls_name{};     // that the certificate has to have
    auto operator<=>(const Target &) const = default;
  };

  Channel(plugin::Host host, Target target) : host_(host), target_(std::move(target)) {}
  ~Channel() { close(); }
  Channel(const Channel &) = delete;
  Channel &operator=(const Channel &) = delete;

  // "", or why there is no connection.
  plugin::Task<std::string> open(std::int64_t deadline, plugin::Cancel &cancel);
  // Adds what comes to unread(), at least an octet of it. "", or why not; at the end of the stream ended() is true.
  plugin::Task<std::string> fill(std::int64_t deadline, plugin::Cancel &cancel);
  plugin::Task<std::string> write(std::string_view bytes, std::int64_t timeout, plugin::Cancel &cancel);

  std::string_view unread() const { return unread_; }
  void consume(std::size_t n);
  bool ended() const { return ended_; }
  bool is_open() const { return stream_ != nullptr; }
  bool in_use() const { return in_use_ != nullptr; }
  // Of an idle one: closed by the other side, or with something to say that nobody asked for.
  bool stale() const { return !stream_ || ended_ || !unread_.empty() || has_data(); }
  const Peer &peer() const { return target_.peer; }
  const plugin::Host &host() const { return host_; }
  // What is under way ends.
  void close();

 private:
  class Use;
  plugin::Task<std::string> connect(const plugin::Endpoint &to, std::int64_t deadline, plugin::Cancel &cancel);
  bool has_data() const;  // or an end

  plugin::Host host_;
  Target target_;
  std::unique_ptr<plugin::Stream> stream_;
  int fd_ = -1;  // of the stream
  std::string unread_;
  bool ended_ = false;
  plugin::Cancel *in_use_ = nullptr;
};

}  // namespace mansio::lua
