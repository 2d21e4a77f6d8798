#include "kernel/host/watchdog.hpp"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <utility>

namespace mansio::host {
namespace {

constexpr auto kTurn = std::chrono::milliseconds{500};
constexpr Nanos kWindow = 10 * kSecond;
constexpr Nanos kHang = 5 * kSecond;
constexpr const char *kHangs = "its loop hangs";

Nanos read_clock(clockid_t which) {
  timespec t{};
  ::clock_gettime(which, &t);
  return t.tv_sec * kSecond + t.tv_nsec;
}

}  // namespace

Watchdog::Watchdog(asio::io_context &loop, Nanos hang, double cpu_limit, std::function<void(const char *)> end)
    : timer_(loop),
      hang_(hang),
      cpu_limit_(cpu_limit),
      end_(std::move(end)),
      last_beat_(read_clock(CLOCK_MONOTONIC)),
      thread_([this] { watch(); }) {
  beat();
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

void Watchdog::beat() {
  last_beat_ = read_clock(CLOCK_MONOTONIC);
  timer_.expires_after(kTurn);
  // A wait that had expired when we went is not cancelled any more: the loop still calls this.
  timer_.async_wait([this, alive = std::weak_ptr{alive_}](ErrorCode e) {
    if (!e && !alive.expired()) beat();
  });
}

// A machine that slept or was stopped makes the beat look old once, so it must be old at two turns running.
void Watchdog::watch() {
  std::deque<std::pair<Nanos, Nanos>> used;  // when, CPU time until then
  bool late = false;
  std::unique_lock lock{mutex_};
  while (!stop_.wait_for(lock, kTurn, [this] { return stopping_; })) {
    const auto now = read_clock(CLOCK_MONOTONIC);
    const bool now_late = now - last_beat_ > hang_;
    if (now_late && late) return end_(kHangs);
    late = now_late;
    if (cpu_limit_ <= 0) continue;
    used.emplace_back(now, read_clock(CLOCK_PROCESS_CPUTIME_ID));
    while (used.size() > 2 && now - used[1].first >= kWindow) used.pop_front();
    const auto seconds = static_cast<double>(std::max(now - used.front().first, kWindow)) / 1e9;
    if (static_cast<double>(used.back().second - used.front().second) / 1e9 > cpu_limit_ * seconds)
      return end_("it uses more CPU than its cpu_limit");
  }
}

std::unique_ptr<Watchdog> watch_plugins(asio::io_context &loop, const char *process, const Running &running,
                                        double cpu_limit) {
  return std::make_unique<Watchdog>(loop, kHang, cpu_limit, [process, &running](const char *why) {
    const auto *who = running.who();  // the log belongs to the loop's thread
    if (why == kHangs) running.hangs();
    std::fprintf(stderr, "%s process ends itself: %s%s%s\n", process, why, who ? "; its loop is in the code of " : "",
                 who ? who->name.c_str() : "");
    std::abort();
  });
}

}  // namespace mansio::host
