#include "kernel/process/log_sinks.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <ctime>

#include "kernel/process/syslog.hpp"

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
