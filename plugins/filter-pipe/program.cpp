#include "program.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace mansio::filter_pipe {
namespace {

constexpr std::size_t kMostError = 4096;
constexpr int kTurnMs = 100;                     // how soon `stop` is seen
constexpr std::int64_t kMoment = 1'000'000'000;  // ns

using pipe::Fd;

std::int64_t now() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * std::int64_t{1'000'000'000} + t.tv_nsec;
}

// With a program under way.
class Talk {
 public:
  explicit Talk(pipe::Process process)
      : input_(std::move(process.input)),
        output_(std::move(process.output)),
        error_(std::move(process.errors)),
        ended_(std::move(process.ended)) {}

  // False: it wrote too much, or its input cannot be read (`failed`).
  bool turn(const Read &content, std::size_t most, Ran &ran) {
    std::array<pollfd, 4> fds{
        {{input_.get(), POLLOUT, 0}, {output_.get(), POLLIN, 0}, {error_.get(), POLLIN, 0}, {ended_.get(), POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), kTurnMs) < 0 && errno != EINTR) return false;
    if (fds[0].revents != 0 && !feed(content)) return failed = true, false;
    if (fds[1].revents != 0) take(output_, ran.output, most + 1);
    if (fds[2].revents != 0) take(error_, ran.error, kMostError);
    return ran.output.size() <= most;
  }
  // What it wrote before it ended. False: too much. `complete`: and nobody else can write more of it.
  bool rest(std::size_t most, Ran &ran) {
    drain(error_, ran.error, kMostError);
    drain(output_, ran.output, most + 1);
    // What it started has the output, too, for a moment.
    for (const auto until = now() + kMoment; output_ && ran.output.size() <= most && now() < until;) {
      pollfd fd{output_.get(), POLLIN, 0};
      ::poll(&fd, 1, kTurnMs);
      drain(output_, ran.output, most + 1);
    }
    ran.complete = !output_;
    return ran.output.size() <= most;
  }
  bool failed = false;

 private:
  // A program need not read its input: a pipe that it closed is no failure.
  bool feed(const Read &content) {
    if (at_ == end_) {
      const auto n = content(offset_, block_.data(), block_.size());
      if (n < 0) return false;
      if (n == 0) return input_.close(), true;
      at_ = 0;
      end_ = static_cast<std::size_t>(n);
      offset_ += static_cast<std::uint64_t>(n);
    }
    const auto n = ::write(input_.get(), block_.data() + at_, end_ - at_);
    if (n > 0) at_ += static_cast<std::size_t>(n);
    if (n < 0 && errno != EAGAIN && errno != EINTR) input_.close();
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
    if (n <= 0) return from.close(), false;
    to.append(block, std::min(static_cast<std::size_t>(n), most - std::min(most, to.size())));
    return true;
  }

  Fd input_, output_, error_;  // our ends
  Fd ended_;                   // readable once it has ended
  std::array<char, 65536> block_{};
  std::size_t at_ = 0, end_ = 0;
  std::uint64_t offset_ = 0;
};

}  // namespace

Ran run_program(const pipe::Program &program, const Read &content, std::size_t most, std::int64_t until,
                const std::atomic<bool> &stop) {
  Ran ran;
  auto started = pipe::start(program, ran.why);
  if (!started) return ran;
  const auto pid = started->pid;
  Talk talk{std::move(*started)};
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
