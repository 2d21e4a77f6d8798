#include "kernel/io/awake.hpp"

#include <sched.h>

#include <utility>

namespace mansio::io {
namespace {

using Time = std::chrono::steady_clock::time_point;

constexpr auto kMoment = std::chrono::microseconds{50};
// Of the last attempts, how many more had to succeed than fail for the next to be made, and how many are not made after
// that.
constexpr int kMostLuck = 8, kPause = 64;

}  // namespace

struct Awake::State {
  explicit State(asio::io_context &of) : loop(of) {}
  asio::io_context &loop;
  Time until{};
  bool expecting = false, looking = false;
  int luck = kMostLuck / 2, paused = 0;
};

Awake::Awake(asio::io_context &loop) : state_(std::make_shared<State>(loop)) {}

Awake::~Awake() { state_->expecting = false; }

bool Awake::expecting() const { return state_->expecting; }

void Awake::expect() {
  auto &s = *state_;
  if (s.paused > 0) {
    if (--s.paused == 0) s.luck = 1;
    return;
  }
  s.expecting = true;
  s.until = {};  // from the first look on: until then the loop has other work
  if (!std::exchange(s.looking, true)) asio::post(s.loop, [state = state_] { look(state); });
}

void Awake::has_come() {
  auto &s = *state_;
  if (std::exchange(s.expecting, false) && s.luck < kMostLuck) ++s.luck;
}

// A handler that waits in the loop's queue is what keeps it awake: it looks for events between two of them.
void Awake::look(const std::shared_ptr<State> &state) {
  auto &s = *state;
  if (!s.expecting) {
    s.looking = false;
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (s.until == Time{}) {
    s.until = now + kMoment;
  } else if (now >= s.until) {
    s.expecting = s.looking = false;
    if (--s.luck == 0) s.paused = kPause;
    return;
  } else {
    ::sched_yield();
  }
  asio::post(s.loop, [state] { look(state); });
}

}  // namespace mansio::io
