// Watchdog: a thread of a host process that ends it (SIGABRT, for the core) when its loop does not turn any more, or
// when it uses more CPU than its budget, measured over ten seconds. Nobody outside has to notice first.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "kernel/base/clock.hpp"
#include "kernel/io/asio.hpp"

namespace mansio::host {

class Watchdog {
 public:
  // `hang`: how long the loop may stand; `cpu_limit`: seconds of CPU a second, 0 = none. `end` gets the reason, on the
  // watchdog's thread, and does not return in a real process.
  Watchdog(asio::io_context &loop, Nanos hang, double cpu_limit, std::function<void(const char *why)> end);
  ~Watchdog();

 private:
  void beat();
  void watch();

  asio::steady_timer timer_;
  const Nanos hang_;
  const double cpu_limit_;
  std::function<void(const char *)> end_;
  std::atomic<Nanos> last_beat_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace mansio::host
