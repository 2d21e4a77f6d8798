// What one call of a script may cost, and what it has cost so far. A call that has used up any of it gets an error, and
// the same one again at its next instruction: no pcall() keeps it alive.
#pragma once

#include <time.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace mansio::lua {

inline std::int64_t steady_ns() {
  return std::chrono::nanoseconds{std::chrono::steady_clock::now().time_since_epoch()}.count();
}

// What this thread has computed for. A script must not fail because the machine is busy with something else.
inline std::int64_t computed_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

struct Budget {
  // What it has to begin with.
  std::uint64_t instructions = 0;
  std::size_t memory = 0;     // bytes that the call itself may hold
  std::int64_t run_time = 0;  // ns computed between two waits, as the loop does nothing else meanwhile

  // What has become of it.
  std::uint64_t spent = 0;
  std::int64_t held = 0;         // bytes, up to when it last began to run
  std::size_t base = 0;          // bytes that the state held then
  std::size_t outside = 0;       // bytes set aside outside of Lua, for connections and answers
  std::size_t volume = 0;        // bytes asked for since somebody looked at the clock
  std::int64_t slice_began = 0;  // steady_ns(), when it last began to run
  std::int64_t slice_ends = 0;   // computed_ns(); 0 while nobody had to know
  std::string over;              // why it may not go on; "" while it may

  void begin_slice() {
    slice_began = steady_ns();
    slice_ends = 0;
  }
  // What a thread has computed for is a system call, which most calls of a script are over without: it is asked for
  // only when a tenth of the time has gone by, which counts as computed.
  bool slice_is_over() {
    if (slice_ends == 0) {
      if (steady_ns() - slice_began <= run_time / 10) return false;
      slice_ends = computed_ns() + run_time - run_time / 10;
    }
    return computed_ns() > slice_ends;
  }

  void charge(std::uint64_t n) {
    if (!over.empty()) return;
    spent += n;
    if (spent > instructions)
      over = "more than " + std::to_string(instructions) + " instructions (instructions_limit)";
    else if (slice_is_over())
      over = "computed for more than " + std::to_string(run_time / 1'000'000) + " ms without a wait (run_time)";
  }
};

}  // namespace mansio::lua
