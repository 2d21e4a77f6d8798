// LogTeller: what a process writes to its log goes to the queue as well, for plugins that are told of it
// (docs/decisions/0073), by way of the supervisor. The log itself is written as ever, and first.
//
//  - Nothing is kept while nobody wants it: a line then costs the test of a flag.
//  - Whoever writes a line never waits. Lines are kept for a moment and go in batches; what comes faster than
//    kMostBytes in that time, or finds the channel behind, is dropped, and its number told with the next batch.
//
// take() from any thread, the rest on the loop's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/log.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/wire/process_messages.hpp"

namespace mansio::process {

class LogTeller {
 public:
  static constexpr std::size_t kMostBytes = 64 * 1024;  // in a twentieth of a second
  static constexpr std::size_t kLongest = 16 * 1024;    // of one line; a longer one is dropped

  using Send = std::function<bool(const wire::LogLines &)>;  // false: it went nowhere
  LogTeller(asio::io_context &loop, Send send);

  void wanted(bool yes);
  void take(std::string_view line);  // with or without its end
  void finish();                     // what is there goes, and no more is taken

 private:
  void later();
  void flush();
  void give(wire::LogLines &batch);

  asio::io_context &loop_;
  const Send send_;
  asio::steady_timer timer_;
  std::atomic<bool> wanted_{false};

  std::mutex mutex_;
  std::vector<std::string> lines_;
  std::size_t bytes_ = 0;  // of these
  std::uint64_t dropped_ = 0;
  bool scheduled_ = false;

  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what the loop still has when this is gone
};

// A log that is told as well. Both outlive it.
class ToldLog final : public LogSink {
 public:
  ToldLog(LogSink &log, LogTeller &teller) : log_(log), teller_(teller) {}
  void emit(LogLevel level, std::string_view line) override {
    log_.emit(level, line);
    teller_.take(line);
  }

 private:
  LogSink &log_;
  LogTeller &teller_;
};

}  // namespace mansio::process
