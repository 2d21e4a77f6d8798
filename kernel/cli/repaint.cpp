#include "kernel/cli/repaint.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>

#include "kernel/cli/say.hpp"

namespace mansio::cli {
namespace {

// ECMA-48 and xterm's: another screen without a cursor, and back.
constexpr std::string_view kEnter = "\033[?1049h\033[?25l";
constexpr std::string_view kLeave = "\033[?25h\033[?1049l";

void put_now(std::string_view bytes) {
  put(bytes);
  std::fflush(stdout);
}

}  // namespace

Repaint::Repaint() {
  ::sigemptyset(&signals_);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) ::sigaddset(&signals_, signal);
  ::sigprocmask(SIG_BLOCK, &signals_, &before_);
  put_now(kEnter);
}

Repaint::~Repaint() {
  put_now(kLeave);
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

Repaint::Size Repaint::size() const {
  winsize w{};
  Size size;
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 && w.ws_row > 0) size = {w.ws_col, w.ws_row};
  return size;
}

std::string painted(std::string_view text) {
  std::string out = "\033[H";
  for (const char c : text) {
    if (c == '\n') out += "\033[K";
    out += c;
  }
  return out + "\033[J";
}

void Repaint::paint(std::string_view text) { put_now(painted(text)); }

bool Repaint::wait(double seconds) {
  timespec limit{static_cast<std::time_t>(seconds), 0};
  limit.tv_nsec = static_cast<long>((seconds - static_cast<double>(limit.tv_sec)) * 1e9);
  int signal = 0;
  do signal = ::sigtimedwait(&signals_, nullptr, &limit);
  while (signal < 0 && errno == EINTR);
  return signal < 0 || signal == SIGWINCH;
}

}  // namespace mansio::cli
