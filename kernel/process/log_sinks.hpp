// Log sinks beyond the plain descriptor: one that can be turned to another file while in use (rotation), and
// syslog. Both are safe from any thread and hold no process-wide state (libc's syslog does).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "kernel/base/log.hpp"
#include "kernel/io/fd.hpp"

namespace mansio::process {

class LogOutput : public LogSink {
 public:
  virtual void reopen(io::UniqueFd fd) = 0;  // the same log under a new descriptor
};

// `target` as in settings; `fd` is the open file or stderr, unused for syslog. `identity`: "mansio/queue", for syslog.
std::unique_ptr<LogOutput> make_log_output(const std::string &target, io::UniqueFd fd, std::string identity);

// RFC 3164 frame round one line, as /dev/log takes it. `line` may end in '\n'.
std::string syslog_packet(LogLevel level, std::string_view identity, int pid, Nanos wall, std::string_view line);

}  // namespace mansio::process
