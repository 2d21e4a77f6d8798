// A socket to the local syslog daemon, /dev/log. Safe from any thread; no process-wide state (libc's syslog has it).
// A line that cannot be sent is dropped: a log must not stop mail.
#pragma once

#include <string_view>

#include "kernel/base/log.hpp"
#include "kernel/io/fd.hpp"

namespace mansio::process {

class Syslog {
 public:
  Syslog();
  void connect();  // again, when the daemon may be another; send() does so too when it finds that it is
  // `identity` ("mansio/smtp") and `pid` make the tag. They may be another process's: the queue tells what delivery
  // processes did, under their names. Date and host are syslog's to add, so `line` has neither.
  void send(LogLevel level, std::string_view identity, int pid, std::string_view line);

 private:
  io::UniqueFd socket_;
};

}  // namespace mansio::process
