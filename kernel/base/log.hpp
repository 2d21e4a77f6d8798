// Structured logging: one JSON object a line, written with one write(2), so that lines of several
// processes sharing a file never mix. A line that speaks of a message carries "qid"; one that reports
// trouble says what an operator can do.
//
//   log.warn("segment abandoned", {{"qid", id}, {"segment", 12}, {"error", text}});
//
// A Logger belongs to a process or, with --single, to a thread; it is not shared between threads
// except through `emit`, which is one system call. There is no global logger.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "kernel/base/clock.hpp"
#include "kernel/base/id.hpp"

namespace mansio {

enum class LogLevel : std::uint8_t { Debug, Info, Warn, Error };

struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool, MessageId> value;

  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string &v) : key(k), value(std::string_view{v}) {}
  LogField(std::string_view k, const char *v) : key(k), value(std::string_view{v}) {}
  LogField(std::string_view k, MessageId v) : key(k), value(v) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}
  LogField(std::string_view k, double v) : key(k), value(v) {}
  template <std::signed_integral T>
  LogField(std::string_view k, T v) : key(k), value(static_cast<std::int64_t>(v)) {}
  template <std::unsigned_integral T>
  LogField(std::string_view k, T v) : key(k), value(static_cast<std::uint64_t>(v)) {}
};

// Where finished lines go. Default: a descriptor (stderr, file); syslog is another (kernel/process).
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void emit(LogLevel level, std::string_view line) = 0;  // `line` ends in '\n'; any thread
};

class FdLogSink final : public LogSink {
 public:
  explicit FdLogSink(int fd) : fd_(fd) {}  // borrowed
  void emit(LogLevel level, std::string_view line) override;

 private:
  int fd_;
};

class Logger {
 public:
  // `process` names the role and instance: "ingress.0". `sink` and `clock` outlive the logger.
  Logger(LogSink &sink, const Clock &clock, std::string process, LogLevel least = LogLevel::Info)
      : sink_(&sink), clock_(&clock), process_(std::move(process)), least_(least) {}

  void debug(std::string_view event, std::initializer_list<LogField> fields = {}) {
    log(LogLevel::Debug, event, fields);
  }
  void info(std::string_view event, std::initializer_list<LogField> fields = {}) { log(LogLevel::Info, event, fields); }
  void warn(std::string_view event, std::initializer_list<LogField> fields = {}) { log(LogLevel::Warn, event, fields); }
  void error(std::string_view event, std::initializer_list<LogField> fields = {}) {
    log(LogLevel::Error, event, fields);
  }
  void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields);
  void line(LogLevel level, std::string_view text) { sink_->emit(level, text); }  // already formatted, ends in '\n'

  bool enabled(LogLevel level) const { return level >= least_; }
  void set_sink(LogSink &sink) { sink_ = &sink; }
  const std::string &process() const { return process_; }

 private:
  LogSink *sink_;
  const Clock *clock_;
  std::string process_;
  LogLevel least_;
};

void append_json_string(std::string &out, std::string_view bytes);  // quoted; bad UTF-8 becomes \ufffd
std::string rfc3339(Nanos wall);                                    // 2026-11-22T04:33:00.123Z

}  // namespace mansio
