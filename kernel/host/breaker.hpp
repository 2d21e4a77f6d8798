// Breaker: a plugin that fails several times in a row, within a window, is not asked for a while. Those who need it
// hear at once what they would otherwise hear at their time limit, a plugin that is overrun gets rest, and one that
// computes until it is stopped does not stop others with it each time. After the pause one operation tries it; the
// others still wait for what becomes of that, but no longer than for another pause: it may be one that nobody hears of
// again. Whatever the plugin answers properly ends the row: "try later" is an answer. (The supervisor has a breaker for
// processes that die.)
#pragma once

#include <cstdint>

#include "kernel/base/clock.hpp"

namespace mansio::host {

class Breaker {
 public:
  // failures 0: never opens.
  Breaker(std::uint32_t failures, Nanos window, Nanos time) : failures_(failures), window_(window), time_(time) {}

  // May an operation begin? Then succeeded(), failed() or not_begun() follows. `part_of`: not 0, the same for several
  // operations that are one to the breaker. The first of them may be the one that tries, and then all of them do.
  bool allows(Nanos now, std::uint64_t part_of = 0) {
    if (!open_) return true;
    if (trying_ && part_of != 0 && part_of == tries_) return true;
    if (now < next_) return false;
    trying_ = true;
    tries_ = part_of;
    next_ = now + time_;
    return true;
  }
  void succeeded() {
    row_ = 0;
    open_ = trying_ = false;
  }
  // It did not come to an answer, and not for the plugin's sake: it says nothing, and if it tried, the next one may.
  void not_begun() {
    if (trying_) next_ = 0;
    trying_ = false;
  }
  // True: it has opened just now, or again.
  bool failed(Nanos now) {
    if (failures_ == 0) return false;
    if (open_ && !trying_) return false;  // begun before it opened
    if (!open_) {
      if (row_ == 0 || now - row_began_ > window_) {
        row_ = 0;
        row_began_ = now;
      }
      if (++row_ < failures_) return false;
    }
    row_ = 0;
    open_ = true;
    trying_ = false;
    next_ = now + time_;
    return true;
  }
  bool open() const { return open_; }

 private:
  const std::uint32_t failures_;
  const Nanos window_, time_;
  std::uint32_t row_ = 0;
  Nanos row_began_ = 0;
  bool open_ = false, trying_ = false;
  std::uint64_t tries_ = 0;  // part of what, if of anything
  Nanos next_ = 0;           // while it is open: when another operation may try
};

}  // namespace mansio::host
