#include "kernel/supervisor/launcher.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

extern char **environ;

namespace mansio::supervisor {
namespace {

using Ended = std::function<void(const Exit &)>;

// A descriptor that becomes readable when the child has ended: a pidfd, or a thread's eventfd. Waiting for it on
// the loop needs no SIGCHLD handler, and a pid is never signalled after it was reaped.
class ProcessChild final : public Launched {
 public:
  ProcessChild(asio::io_context &loop, pid_t pid, io::UniqueFd pidfd, Ended ended)
      : pid_(pid), pidfd_(loop, pidfd.release()), ended_(std::move(ended)) {
    pidfd_.async_wait(asio::posix::stream_descriptor::wait_read, [this](ErrorCode e) {
      if (!e) reap();
    });
  }
  ~ProcessChild() override {
    if (reaped_) return;
    kill();
    ::waitpid(pid_, nullptr, 0);
  }
  int pid() const override { return pid_; }
  bool kill() override {
    if (!reaped_) ::syscall(SYS_pidfd_send_signal, pidfd_.native_handle(), SIGKILL, nullptr, 0);
    return true;
  }

 private:
  void reap() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    reaped_ = true;
    const Exit exit{WIFEXITED(status) ? WEXITSTATUS(status) : 0, WIFSIGNALED(status) ? WTERMSIG(status) : 0};
    const auto ended = std::move(ended_);
    ended(exit);  // may destroy us
  }
  pid_t pid_;
  asio::posix::stream_descriptor pidfd_;
  Ended ended_;
  bool reaped_ = false;
};

class ProcessLauncher final : public Launcher {
 public:
  explicit ProcessLauncher(asio::io_context &loop) : loop_(loop) {}
  bool threads() const override { return false; }

  Result<std::unique_ptr<Launched>> launch(wire::RoleKind, const std::string &name, io::UniqueFd channel,
                                           Ended ended) override {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, channel.get(), kChannelFd);  // clears close-on-exec even if equal
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    std::string program = "mansio", flag = kRoleFlag, role = name;
    char *argv[] = {program.data(), flag.data(), role.data(), nullptr};
    pid_t pid = -1;
    const int rc = ::posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, argv, environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    if (rc != 0) return Error{Status::Busy, fmt::format("cannot start {}: {}", name, std::strerror(rc))};
    io::UniqueFd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    if (!pidfd) {
      const int error = errno;
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
      return Error{Status::Busy, fmt::format("cannot watch {}: {}", name, std::strerror(error))};
    }
    return std::unique_ptr<Launched>{new ProcessChild{loop_, pid, std::move(pidfd), std::move(ended)}};
  }

 private:
  asio::io_context &loop_;
};

class ThreadChild final : public Launched {
 public:
  ThreadChild(asio::io_context &loop, io::UniqueFd event, const RoleMain &main, wire::RoleKind kind,
              io::UniqueFd channel, Ended ended)
      : event_(loop, event.release()), ended_(std::move(ended)) {
    event_.async_wait(asio::posix::stream_descriptor::wait_read, [this](ErrorCode e) {
      if (e) return;
      thread_.join();
      const auto done = std::move(ended_);
      done(Exit{code_, 0});
    });
    thread_ = std::thread([this, main, kind, fd = event_.native_handle(), c = std::move(channel)]() mutable {
      code_ = main(kind, std::move(c));
      const std::uint64_t one = 1;
      [[maybe_unused]] const auto n = ::write(fd, &one, sizeof one);
    });
  }
  ~ThreadChild() override {
    if (thread_.joinable()) thread_.join();
  }
  int pid() const override { return ::getpid(); }
  bool kill() override { return false; }

 private:
  asio::posix::stream_descriptor event_;
  Ended ended_;
  int code_ = 0;  // handed over by the event
  std::thread thread_;
};

class ThreadLauncher final : public Launcher {
 public:
  ThreadLauncher(asio::io_context &loop, RoleMain main) : loop_(loop), main_(std::move(main)) {}
  bool threads() const override { return true; }
  Result<std::unique_ptr<Launched>> launch(wire::RoleKind kind, const std::string &, io::UniqueFd channel,
                                           Ended ended) override {
    io::UniqueFd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!event) return Error{Status::Busy, std::string{"eventfd: "} + std::strerror(errno)};
    return std::unique_ptr<Launched>{
        new ThreadChild{loop_, std::move(event), main_, kind, std::move(channel), std::move(ended)}};
  }

 private:
  asio::io_context &loop_;
  RoleMain main_;
};

constexpr std::string_view kNames[] = {"supervisor", "config", "queue", "ingress",
                                       "router",     "egress", "host",  "control"};

}  // namespace

std::unique_ptr<Launcher> process_launcher(asio::io_context &loop) { return std::make_unique<ProcessLauncher>(loop); }
std::unique_ptr<Launcher> thread_launcher(asio::io_context &loop, RoleMain main) {
  return std::make_unique<ThreadLauncher>(loop, std::move(main));
}

std::string to_string(const Exit &exit) {
  if (exit.signal != 0) return fmt::format("signal {} ({})", exit.signal, ::strsignal(exit.signal));
  return fmt::format("exit status {}", exit.code);
}

std::string_view kind_name(wire::RoleKind kind) { return kNames[static_cast<std::size_t>(kind)]; }

wire::RoleKind kind_of(std::string_view role_name) {
  const auto name = role_name.substr(0, role_name.find('.'));
  for (std::size_t i = 1; i < std::size(kNames); ++i)
    if (kNames[i] == name) return static_cast<wire::RoleKind>(i);
  return wire::RoleKind::Supervisor;
}

}  // namespace mansio::supervisor
