#include "program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace mansio::filter_pipe {
namespace {

constexpr std::size_t kMostError = 4096;
constexpr int kTurnMs = 100;                     // how soon `stop` is seen
constexpr std::int64_t kMoment = 1'000'000'000;  // ns

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd &) = delete;
  Fd &operator=(const Fd &) = delete;
  ~Fd() { reset(); }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

std::int64_t now() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * std::int64_t{1'000'000'000} + t.tv_nsec;
}

bool make_pipe(Fd &read, Fd &write) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  read.reset(ends[0]);
  write.reset(ends[1]);
  return true;
}

std::vector<char *> pointers(const std::vector<std::string> &texts) {
  std::vector<char *> out;
  for (const auto &text : texts) out.push_back(const_cast<char *>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

// The three pipes of a program under way.
class Talk {
 public:
  Fd input, output, error;  // our ends
  Fd ended;                 // readable once it has ended

  // False: it wrote too much, or its input cannot be read (`failed`).
  bool turn(const Read &content, std::size_t most, Ran &ran) {
    std::array<pollfd, 4> fds{
        {{input.get(), POLLOUT, 0}, {output.get(), POLLIN, 0}, {error.get(), POLLIN, 0}, {ended.get(), POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), kTurnMs) < 0 && errno != EINTR) return false;
    if (fds[0].revents != 0 && !feed(content)) return failed = true, false;
    if (fds[1].revents != 0) take(output, ran.output, most + 1);
    if (fds[2].revents != 0) take(error, ran.error, kMostError);
    return ran.output.size() <= most;
  }
  // What it wrote before it ended. False: too much. `complete`: and nobody else can write more of it.
  bool rest(std::size_t most, Ran &ran) {
    drain(error, ran.error, kMostError);
    drain(output, ran.output, most + 1);
    // What it started has the output, too, for a moment.
    for (const auto until = now() + kMoment; output && ran.output.size() <= most && now() < until;) {
      pollfd fd{output.get(), POLLIN, 0};
      ::poll(&fd, 1, kTurnMs);
      drain(output, ran.output, most + 1);
    }
    ran.complete = !output;
    return ran.output.size() <= most;
  }
  bool failed = false;

 private:
  // A program need not read its input: a pipe that it closed is no failure.
  bool feed(const Read &content) {
    if (at_ == end_) {
      const auto n = content(offset_, block_.data(), block_.size());
      if (n < 0) return false;
      if (n == 0) return input.reset(), true;
      at_ = 0;
      end_ = static_cast<std::size_t>(n);
      offset_ += static_cast<std::uint64_t>(n);
    }
    const auto n = ::write(input.get(), block_.data() + at_, end_ - at_);
    if (n > 0) at_ += static_cast<std::size_t>(n);
    if (n < 0 && errno != EAGAIN && errno != EINTR) input.reset();
    return true;
  }
  static void drain(Fd &from, std::string &to, std::size_t most) {
    while (from && to.size() < most && take(from, to, most)) {
    }
  }
  // False: there is nothing now.
  static bool take(Fd &from, std::string &to, std::size_t most) {
    char block[16384];
    const auto n = ::read(from.get(), block, sizeof block);
    if (n < 0 && errno == EINTR) return true;
    if (n < 0 && errno == EAGAIN) return false;
    if (n <= 0) return from.reset(), false;
    to.append(block, std::min(static_cast<std::size_t>(n), most - std::min(most, to.size())));
    return true;
  }

  std::array<char, 65536> block_{};
  std::size_t at_ = 0, end_ = 0;
  std::uint64_t offset_ = 0;
};

Ran refused(const char *what, int error) {
  Ran ran;
  ran.why = std::string{what} + ": " + std::strerror(error);
  return ran;
}

}  // namespace

Ran run_program(const std::vector<std::string> &arguments, const std::vector<std::string> &environment,
                const Read &content, std::size_t most, std::int64_t until, const std::atomic<bool> &stop) {
  Talk talk;
  Fd in, out, err;
  if (!make_pipe(in, talk.input) || !make_pipe(talk.output, out) || !make_pipe(talk.error, err))
    return refused("pipe", errno);
  for (const auto *fd : {&talk.input, &talk.output, &talk.error})
    ::fcntl(fd->get(), F_SETFL, ::fcntl(fd->get(), F_GETFL) | O_NONBLOCK);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&actions, in.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err.get(), STDERR_FILENO);
  sigset_t none, defaults;
  ::sigemptyset(&none);
  ::sigemptyset(&defaults);
  ::sigaddset(&defaults, SIGPIPE);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int started = ::posix_spawn(&pid, arguments.front().c_str(), &actions, &attributes, pointers(arguments).data(),
                                    pointers(environment).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (started != 0) return refused(arguments.front().c_str(), started);
  in.reset();
  out.reset();
  err.reset();

  talk.ended.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));

  Ran ran;
  ran.end = Ran::End::Exited;
  int status = 0;
  bool reaped = false;
  while (!reaped) {
    if (!talk.turn(content, most, ran)) ran.end = talk.failed ? Ran::End::Refused : Ran::End::TooMuch;
    if (stop || now() >= until) ran.end = Ran::End::TimedOut;
    if (ran.end != Ran::End::Exited) break;
    // What it started may hold its outputs for longer than it lives; that is not waited for.
    reaped = ::waitpid(pid, &status, WNOHANG) == pid;
  }
  if (reaped && !talk.rest(most, ran)) ran.end = Ran::End::TooMuch;
  ::kill(-pid, SIGKILL);
  while (!reaped && ::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (ran.end == Ran::End::Refused) ran.why = "the message cannot be read";
  if (ran.end != Ran::End::Exited) return ran;
  if (WIFSIGNALED(status)) ran.end = Ran::End::Killed;
  ran.status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  return ran;
}

}  // namespace mansio::filter_pipe
