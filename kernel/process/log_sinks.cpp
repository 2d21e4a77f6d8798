#include "kernel/process/log_sinks.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <ctime>

#include "kernel/process/syslog.hpp"

namespace mansio::process {
namespace {

constexpr int kPatience = 50;  // milliseconds that a line may wait for the log's reader

// A log that cannot be written must not stop mail. A reader that is slow (of a pipe, of a service manager's socket) is
// waited for a moment; one that has stopped costs lines, whose number is told once it reads again.
class DescriptorOutput final : public LogOutput {
 public:
  explicit DescriptorOutput(io::UniqueFd fd) : fd_(std::move(fd)) { look(); }
  void emit(LogLevel, std::string_view line) override {
    if (const auto lost = dropped_.load(); lost != 0) {
      const auto note = fmt::format(R"({}{{"level":"warn","event":"log lines dropped, nobody read them","lines":{}}})",
                                    torn_ ? "\n" : "", lost);
      if (!put(note + '\n', 0)) {
        ++dropped_;
        return;
      }
      dropped_ -= lost;
      torn_ = false;
    }
    if (!put(line, kPatience)) ++dropped_;
  }
  // The number stays and what it names changes, in one system call: no writer sees a closed descriptor.
  void reopen(io::UniqueFd fd) override {
    if (!fd) return;
    ::dup3(fd.get(), fd_.get(), O_CLOEXEC);
    look();
  }

 private:
  void look() {
    struct stat st {};
    const bool known = ::fstat(fd_.get(), &st) == 0;
    socket_ = known && S_ISSOCK(st.st_mode);
    may_stall_ = known && (socket_ || S_ISFIFO(st.st_mode) || ::isatty(fd_.get()) == 1);
    torn_ = false;
  }
  // False: not all of it was written.
  bool put(std::string_view text, int patience) {
    const auto whole = text.size();
    while (!text.empty()) {
      pollfd room{fd_.get(), POLLOUT, 0};
      if (may_stall_ && ::poll(&room, 1, patience) == 0) break;
      // No more than a pipe with room takes at once: where we could not have a descriptor of our own it would wait.
      const auto piece = may_stall_ ? text.substr(0, PIPE_BUF) : text;
      const auto n = socket_ ? ::send(fd_.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                             : ::write(fd_.get(), piece.data(), piece.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
    if (!text.empty() && text.size() != whole) torn_ = true;
    return text.empty();
  }

  io::UniqueFd fd_;
  std::atomic<bool> socket_{false}, may_stall_{false};
  std::atomic<bool> torn_{false};  // the end of the last line is missing
  std::atomic<std::uint64_t> dropped_{0};
};

class SyslogOutput final : public LogOutput {
 public:
  explicit SyslogOutput(std::string identity) : identity_(std::move(identity)) {}
  void emit(LogLevel level, std::string_view line) override { syslog_.send(level, identity_, ::getpid(), line); }
  void reopen(io::UniqueFd) override { syslog_.connect(); }

 private:
  std::string identity_;
  Syslog syslog_;
};

}  // namespace

std::unique_ptr<LogOutput> make_log_output(const std::string &target, io::UniqueFd fd, std::string identity) {
  if (target == "syslog") return std::make_unique<SyslogOutput>(std::move(identity));
  return std::make_unique<DescriptorOutput>(std::move(fd));
}

std::string syslog_packet(LogLevel level, std::string_view identity, int pid, Nanos wall, std::string_view line) {
  constexpr int kMail = 2 << 3;
  constexpr int severity[] = {7, 6, 4, 3};
  constexpr std::string_view months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = wall / kSecond;
  std::tm t{};
  localtime_r(&seconds, &t);
  while (line.ends_with('\n')) line.remove_suffix(1);
  return fmt::format("<{}>{} {:2} {:02}:{:02}:{:02} {}[{}]: {}", kMail | severity[static_cast<int>(level)],
                     months[t.tm_mon], t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, identity, pid, line);
}

}  // namespace mansio::process
