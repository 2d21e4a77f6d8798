#include "kernel/control/role.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/local/stream_protocol.hpp>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <list>
#include <optional>

#include "kernel/control/session.hpp"

namespace mansio::control {
namespace {

constexpr std::size_t kSessions = 64;
constexpr auto kPause = std::chrono::seconds{1};  // when no descriptor is left

class ControlRole final : public process::Role {
 public:
  ~ControlRole() override { remove_socket(); }

  Result<void> prepare(process::RoleContext &context) override {
    context_ = &context;
    bridge_.emplace(context);
    pause_.emplace(context.loop);
    path_ = context.start.spool + "/control.sock";
    return listen();
  }
  void run() override { asio::co_spawn(context_->loop, accept(), asio::detached); }
  void attach(const wire::Peer &peer, std::shared_ptr<io::Channel> channel) override {
    bridge_->attach(peer, std::move(channel));
  }
  void dead(const wire::Dead &dead) override {
    if (dead.peer.kind == wire::RoleKind::Queue) bridge_->queue_lost();
  }
  bool reload(const config::Settings &, std::uint32_t) override { return true; }  // it has no settings of its own
  void command_result(const wire::CommandResult &result) override { bridge_->command_result(result); }
  void peer_stats(const wire::Stats &stats) override { bridge_->peer_stats(stats); }
  void stats(const std::function<void(std::string, double)> &each) override {
    each("mansio_control_connections_total", static_cast<double>(connections_));
  }
  void drain(Nanos) override {
    ErrorCode ignored;
    acceptor_->close(ignored);
    pause_->cancel();
    remove_socket();
    bridge_->close();
    // They still say what they have heard by now, such as the answer to "stop", and end; none has much time for it.
    for (const auto &weak : sessions_)
      if (const auto s = weak.lock()) s->shutdown(LocalSocket::shutdown_receive, ignored);
    context_->finished();
  }

 private:
  Result<void> listen() {
    const auto failed = [&](const char *call) {
      return Error{Status::Fail, path_ + ": " + call + ": " + std::strerror(errno)};
    };
    if (path_.size() >= sizeof(sockaddr_un::sun_path))
      return Error{Status::BadConfig, path_ + ": longer than a socket's path may be (107 octets)"};
    // The queue holds this spool's lock, so that a socket lying here belongs to nobody.
    ::unlink(path_.c_str());
    io::UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!fd) return failed("socket");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
    if (::bind(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) return failed("bind");
    // Anybody who gets here may connect; what they may do, their credentials decide.
    if (::chmod(path_.c_str(), 0666) != 0) return failed("chmod");
    if (::listen(fd.get(), 16) != 0) return failed("listen");
    struct stat st {};
    if (::stat(path_.c_str(), &st) == 0) inode_ = st.st_ino;
    acceptor_.emplace(context_->loop, asio::local::stream_protocol{}, fd.release());
    return {};
  }

  void remove_socket() {
    struct stat st {};
    if (inode_ != 0 && ::stat(path_.c_str(), &st) == 0 && st.st_ino == inode_) ::unlink(path_.c_str());
    inode_ = 0;
  }

  Task<> accept() {
    while (acceptor_->is_open()) {
      ErrorCode e;
      const auto socket = std::make_shared<LocalSocket>(context_->loop);
      co_await acceptor_->async_accept(*socket, asio::redirect_error(asio::use_awaitable, e));
      if (!acceptor_->is_open()) co_return;
      if (e) {  // EMFILE and its like would come again at once
        pause_->expires_after(kPause);
        co_await pause_->async_wait(asio::redirect_error(asio::use_awaitable, e));
        continue;
      }
      std::erase_if(sessions_, [](const auto &s) { return s.expired(); });
      Client client;
      if (sessions_.size() >= kSessions || !identify(socket->native_handle(), client)) continue;
      ++connections_;
      sessions_.push_back(socket);
      const auto access = access_of(client, ::geteuid(), ::getegid());
      asio::co_spawn(context_->loop, serve(socket, *bridge_, context_->log, std::move(client), access), asio::detached);
    }
  }

  process::RoleContext *context_ = nullptr;
  std::optional<Bridge> bridge_;
  std::string path_;
  ino_t inode_ = 0;
  std::optional<asio::local::stream_protocol::acceptor> acceptor_;
  std::optional<asio::steady_timer> pause_;
  std::list<std::weak_ptr<LocalSocket>> sessions_;
  std::uint64_t connections_ = 0;
};

}  // namespace

std::unique_ptr<process::Role> make_role() { return std::make_unique<ControlRole>(); }

}  // namespace mansio::control
