#include "kernel/host/timers.hpp"

#include <algorithm>

namespace mansio::host {
namespace {

constexpr auto kMoment = std::chrono::milliseconds{20};

}  // namespace

std::uint64_t Timers::add(Nanos after, std::function<void()> fire) {
  constexpr Nanos kLongest = 10LL * 365 * 86400 * kSecond;  // beyond any use, within the clock's range
  const auto now = std::chrono::steady_clock::now();
  const auto at = now + std::chrono::nanoseconds{std::clamp<Nanos>(after, 0, kLongest)};
  const auto id = ++last_;
  due_.emplace(std::pair{at, id}, std::move(fire));
  times_.emplace(id, at);
  if (at < armed_) {
    far_ = false;
    arm(std::min<Time>(at, now + kMoment));
  }
  return id;
}

void Timers::cancel(std::uint64_t id) {
  const auto i = times_.find(id);
  if (i == times_.end()) return;
  due_.erase({i->second, id});
  times_.erase(i);
  // With none left the loop must be free to end, soon. Otherwise an early wake-up costs less than setting the timer
  // anew.
  if (due_.empty() && far_) {
    timer_.cancel();
    armed_ = Time::max();
    far_ = false;
  }
}

void Timers::arm(Time at) {
  armed_ = at;
  timer_.expires_at(at);
  timer_.async_wait([this, alive = std::weak_ptr{alive_}](ErrorCode e) {
    if (!e && !alive.expired()) run();
  });
}

void Timers::run() {
  const std::weak_ptr alive{alive_};
  const auto now = std::chrono::steady_clock::now();
  armed_ = Time::min();  // no arming until we are through
  far_ = false;
  while (!due_.empty() && due_.begin()->first.first <= now) {
    auto node = due_.extract(due_.begin());
    times_.erase(node.key().second);
    node.mapped()();
    if (alive.expired()) return;
  }
  armed_ = Time::max();
  far_ = !due_.empty();
  if (far_) arm(due_.begin()->first.first);
}

}  // namespace mansio::host
