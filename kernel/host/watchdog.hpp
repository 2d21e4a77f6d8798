// Watchdog: a thread of a process whose loop runs plugins' code. It ends the process (SIGABRT, for the core) when the
// loop does not turn any more, or when the process uses more CPU than its budget, measured over ten seconds. Nobody
// outside has to notice first: a reset connection is better than hundreds that stand.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "kernel/base/clock.hpp"
#include "kernel/host/running.hpp"
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

  const std::shared_ptr<char> alive_ = std::make_shared<char>();
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

// The one of a process of that name: it says on standard error why it ends the process, and in whose code the loop is.
// `running` outlives it. It goes before the loop is to run empty, and before the plugins.
std::unique_ptr<Watchdog> watch_plugins(asio::io_context &loop, const char *process, const Running &running,
                                        double cpu_limit = 0);

}  // namespace mansio::host
