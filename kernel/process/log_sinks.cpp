#include "kernel/process/log_sinks.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

namespace mansio::process {
namespace {

class DescriptorOutput final : public LogOutput {
 public:
  explicit DescriptorOutput(io::UniqueFd fd) : fd_(std::move(fd)) {}
  void emit(LogLevel, std::string_view line) override {
    // A log that cannot be written must not stop mail: the line is dropped.
    [[maybe_unused]] const auto n = ::write(fd_.get(), line.data(), line.size());
  }
  // The number stays and what it names changes, in one system call: no writer sees a closed descriptor.
  void reopen(io::UniqueFd fd) override {
    if (fd) ::dup3(fd.get(), fd_.get(), O_CLOEXEC);
  }

 private:
  io::UniqueFd fd_;
};

// A datagram socket per sink; when syslogd was restarted the send fails once and we connect again.
class SyslogOutput final : public LogOutput {
 public:
  explicit SyslogOutput(std::string identity)
      : identity_(std::move(identity)), socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    connect();
  }
  void emit(LogLevel level, std::string_view line) override {
    const auto packet = syslog_packet(level, identity_, ::getpid(), SystemClock{}.wall(), line);
    if (::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) >= 0 || errno == EAGAIN) return;
    connect();
    [[maybe_unused]] const auto n = ::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
  }
  void reopen(io::UniqueFd) override { connect(); }

 private:
  void connect() {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strcpy(to.sun_path, "/dev/log");
    [[maybe_unused]] const auto rc = ::connect(socket_.get(), reinterpret_cast<sockaddr *>(&to), sizeof to);
  }
  std::string identity_;
  io::UniqueFd socket_;
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
