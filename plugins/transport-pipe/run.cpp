#include "plugins/transport-pipe/run.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

namespace mansio::pipe {
namespace {

constexpr std::size_t kMaxOutput = 4096;  // kept; more is read and dropped, for a full pipe would stop the command
constexpr std::size_t kAtOnce = 1 << 20;  // read or written, lest one fast command keeps the loop

}  // namespace

Run::Run(const plugin::Host &host, Process process, Content content, std::int64_t time_limit,
         std::function<void(Ended)> done)
    : host_(host), process_(std::move(process)), content_(std::move(content)), done_(std::move(done)) {
  host_.watch<&Run::listen>(process_.output.get(), MANSIO_READABLE, this);
  host_.watch<&Run::feed>(process_.input.get(), MANSIO_WRITABLE, this);
  timer_ = host_.timer<&Run::out_of_time>(time_limit, this);
  host_.watch<&Run::over>(process_.ended.get(), MANSIO_READABLE, this);
}

Run::~Run() {
  if (process_.pid > 0) {
    ::kill(-process_.pid, SIGKILL);
    while (::waitpid(process_.pid, nullptr, 0) < 0 && errno == EINTR) continue;
  }
  if (timer_ != 0) host_.cancel_timer(timer_);
  for (auto *fd : {&process_.input, &process_.output, &process_.ended}) close(*fd);
}

void Run::close(Fd &fd) {
  if (!fd) return;
  host_.forget(fd.get());
  fd.close();
}

// A command that does not read it all may still have done what it should: its exit status tells.
void Run::feed(int) {
  for (std::size_t given = 0; given < kAtOnce;) {
    while (piece_.empty() && !content_ends_) {
      const auto state = content_.next(piece_);
      if (state == Content::Piece::Unreadable) return kill(Ended::How::Unreadable);
      content_ends_ = state == Content::Piece::End;
    }
    if (piece_.empty()) return close(process_.input);
    const auto n = ::write(process_.input.get(), piece_.data(), piece_.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return close(process_.input);
    piece_.erase(0, static_cast<std::size_t>(n));
    given += static_cast<std::size_t>(n);
  }
  host_.watch<&Run::feed>(process_.input.get(), MANSIO_WRITABLE, this);
}

void Run::listen(int) {
  take_output();
  if (process_.output) host_.watch<&Run::listen>(process_.output.get(), MANSIO_READABLE, this);
}

void Run::take_output() {
  std::array<char, 4096> buffer{};
  for (std::size_t taken = 0; process_.output && taken < kAtOnce;) {
    const auto n = ::read(process_.output.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return close(process_.output);
    taken += static_cast<std::size_t>(n);
    ended_.output.append(
        buffer.data(), std::min(static_cast<std::size_t>(n), kMaxOutput - std::min(kMaxOutput, ended_.output.size())));
  }
}

// What it started and left behind is not waited for, even if that holds its output open.
void Run::over(int) {
  take_output();
  while (::waitpid(process_.pid, &ended_.wait_status, 0) < 0 && errno == EINTR) continue;
  process_.pid = -1;
  const auto done = std::move(done_);
  done(std::move(ended_));
}

void Run::out_of_time() {
  timer_ = 0;
  kill(Ended::How::TimeLimit);
}

// over() follows.
void Run::kill(Ended::How how) {
  if (process_.pid <= 0 || ended_.how != Ended::How::ByItself) return;
  ended_.how = how;
  ::kill(-process_.pid, SIGKILL);
  close(process_.input);
}

}  // namespace mansio::pipe
