// Breaker: a plugin that fails several times in a row, within a window, is not asked for a while. Those who need it
// hear at once what they would otherwise hear at their time limit, and a plugin that is overrun gets rest. After the
// pause one operation tries it; the others still wait for what becomes of that. Whatever it answers properly ends the
// row: "try later" is an answer. (The supervisor has a breaker for processes that die.)
#pragma once

#include <cstdint>

#include "kernel/base/clock.hpp"

namespace mansio::host {

class Breaker {
 public:
  // failures 0: never opens.
  Breaker(std::uint32_t failures, Nanos window, Nanos time) : failures_(failures), window_(window), time_(time) {}

  // May an operation begin? Then succeeded(), failed() or not_begun() follows.
  bool allows(Nanos now) {
    if (!open()) return true;
    if (now < open_until_ || trying_) return false;
    trying_ = true;
    return true;
  }
  void succeeded() {
    row_ = 0;
    open_until_ = 0;
    trying_ = false;
  }
  void not_begun() { trying_ = false; }
  // True: it has opened just now, or again.
  bool failed(Nanos now) {
    if (failures_ == 0) return false;
    if (open() && !trying_) return false;  // begun before it opened
    if (!open()) {
      if (row_ == 0 || now - row_began_ > window_) {
        row_ = 0;
        row_began_ = now;
      }
      if (++row_ < failures_) return false;
    }
    row_ = 0;
    trying_ = false;
    open_until_ = now + time_;
    return true;
  }
  bool open() const { return open_until_ != 0; }

 private:
  const std::uint32_t failures_;
  const Nanos window_, time_;
  std::uint32_t row_ = 0;
  Nanos row_began_ = 0, open_until_ = 0;
  bool trying_ = false;
};

}  // namespace mansio::host
