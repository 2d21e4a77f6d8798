#include "kernel/process/syslog.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "kernel/base/clock.hpp"
#include "kernel/process/log_sinks.hpp"

namespace mansio::process {

Syslog::Syslog() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) { connect(); }

void Syslog::connect() {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::strcpy(to.sun_path, "/dev/log");
  [[maybe_unused]] const auto rc = ::connect(socket_.get(), reinterpret_cast<sockaddr *>(&to), sizeof to);
}

void Syslog::send(LogLevel level, std::string_view identity, int pid, std::string_view line) {
  const auto packet = syslog_packet(level, identity, pid, SystemClock{}.wall(), line);
  if (::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) >= 0 || errno == EAGAIN) return;
  connect();
  [[maybe_unused]] const auto n = ::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
}

}  // namespace mansio::process
