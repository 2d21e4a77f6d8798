// Timers: many one-shot timers over one Asio timer, so that setting and cancelling one (what each call of a plugin
// does) is a map operation and no system call. The Asio timer is first set to a moment from now: most of what is waited
// for has come by then, so that its deadline is never set. So a loop may run a moment longer than there are timers.
// Single-threaded.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

#include "kernel/base/clock.hpp"
#include "kernel/io/asio.hpp"

namespace mansio::host {

class Timers {
 public:
  explicit Timers(asio::io_context &loop) : timer_(loop) {}

  std::uint64_t add(Nanos after, std::function<void()> fire);  // never 0
  void cancel(std::uint64_t id);                               // unknown ids are ignored
  std::size_t size() const { return due_.size(); }

 private:
  using Time = std::chrono::steady_clock::time_point;
  void arm(Time at);
  void run();

  asio::steady_timer timer_;
  std::map<std::pair<Time, std::uint64_t>, std::function<void()>> due_;
  std::unordered_map<std::uint64_t, Time> times_;
  std::uint64_t last_ = 0;
  Time armed_ = Time::max();
  bool far_ = false;  // armed for longer than a moment
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace mansio::host
