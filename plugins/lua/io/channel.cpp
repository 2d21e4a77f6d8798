#include "plugins/lua/io/channel.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "mansio/tls.hpp"
#include "plugins/lua/io/fake_servers.hpp"
#include "plugins/lua/io/resolve.hpp"
#include "plugins/lua/lib/network.hpp"

namespace mansio::lua {
namespace {

constexpr std::size_t kReceivePiece = 16 << 10;

}  // namespace

// While an operation is under way, close() can end it.
class Channel::Use {
 public:
  Use(Channel &channel, plugin::Cancel &cancel) : channel_(channel) {
    channel_.in_use_ = &cancel;
    if (channel_.stream_) channel_.stream_->set_cancel(&cancel);
  }
  ~Use() {
    channel_.in_use_ = nullptr;
    if (channel_.stream_) channel_.stream_->set_cancel(nullptr);
  }
  Use(const Use &) = delete;
  Use &operator=(const Use &) = delete;

 private:
  Channel &channel_;
};

plugin::Task<std::string> Channel::open(std::int64_t deadline, plugin::Cancel &cancel) {
  const Use use{*this, cancel};
  if (const auto *const fakes = FakeServers::of(host_)) {
    std::unique_ptr<FakeServers::Conversation> conversation;
    std::string none;
    if (fakes->connect(target_.peer.text(), conversation, none)) {
      if (conversation) stream_ = FakeServers::stream(std::move(conversation));
      co_return none;
    }
  }
  if (target_.peer.local()) {
    const auto endpoint = plugin::Endpoint::unix_path(target_.peer.path);
    if (!endpoint) co_return std::string{"the path is too long"};
    auto failure = co_await connect(*endpoint, deadline, cancel);
    co_return failure;
  }
  const auto addresses = co_await resolve(host_, target_.peer.host, cancel);
  std::string why = addresses.why;
  for (const auto &address : addresses.list) {
    if (cancel.requested()) break;
    const auto endpoint = plugin::Endpoint::ip(address, target_.peer.port);
    if (!endpoint) continue;
    why = co_await connect(*endpoint, deadline, cancel);
    if (why.empty()) co_return why;
  }
  co_return why.empty() ? std::string{"no address"} : why;
}

plugin::Task<std::string> Channel::connect(const plugin::Endpoint &to, std::int64_t deadline, plugin::Cancel &cancel) {
  auto socket = std::make_unique<plugin::Socket>(host_);
  socket->set_cancel(&cancel);
  const auto connected = co_await socket->connect(to, nullptr, deadline);
  if (!connected) co_return to.text() + ": " + connected.text();
  const int fd = socket->fd();
  if (target_.tls) {
    const auto &name = target_.tls_name;
    auto secured = std::make_unique<plugin::TlsSocket>(std::move(socket));
    const bool is_address = IpAddress::parse(name).has_value();
    const std::string server_name = is_address ? std::string{} : name;
    const auto shaken = co_await secured->handshake(target_.tls, server_name, deadline);
    if (!shaken) co_return "TLS: " + secured->reason();
    const std::vector<std::string> names{name};
    if (const auto wrong = secured->distrust(names); !wrong.empty()) co_return "TLS: " + wrong;
    stream_ = std::move(secured);
  } else {
    stream_ = std::move(socket);
  }
  fd_ = fd;
  co_return std::string{};
}

plugin::Task<std::string> Channel::fill(std::int64_t deadline, plugin::Cancel &cancel) {
  if (!stream_) co_return std::string{"the connection is closed"};
  const Use use{*this, cancel};
  std::string piece(kReceivePiece, '\0');
  const auto got = co_await stream_->read_some(piece.data(), piece.size(), deadline);
  if (got.status == plugin::IoStatus::Eof) {
    ended_ = true;
    co_return std::string{};
  }
  if (!got) co_return got.text();
  unread_.append(piece, 0, got.n);
  co_return std::string{};
}

plugin::Task<std::string> Channel::write(std::string_view bytes, std::int64_t timeout, plugin::Cancel &cancel) {
  if (!stream_) co_return std::string{"the connection is closed"};
  if (bytes.empty()) co_return std::string{};
  const Use use{*this, cancel};
  const std::string_view pieces[] = {bytes};
  const auto sent = co_await stream_->write(pieces, timeout);
  co_return sent ? std::string{} : sent.text();
}

void Channel::consume(std::size_t n) {
  constexpr std::size_t kKept = 64 << 10;
  unread_.erase(0, n);
  if (unread_.empty() && unread_.capacity() > kKept) unread_.shrink_to_fit();  // that was set aside for one read
}

// Below TLS, where what came with the last answer has been read, too: tickets come before the first one.
bool Channel::has_data() const {
  if (fd_ < 0) return stream_->gone();  // a fake
  char c = 0;
  return ::recv(fd_, &c, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

void Channel::close() {
  if (in_use_) std::exchange(in_use_, nullptr)->request();
  stream_.reset();
  fd_ = -1;
}

}  // namespace mansio::lua
