// FlushPace: what a flush has let out of one transport. Never more at a time than half of what that delivers at once is
// on its way, so the other half is left to mail that nobody flushed, however slowly what was flushed fails. The
// simulator uses it too.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernel/base/clock.hpp"

namespace mansio::queue {

enum class FlushProgress : std::uint8_t { Waits, UnderWay, Over };  // Waits: it may begin now, and has not

// Delivery: the caller's name for one.
template <class Delivery>
class FlushPace {
 public:
  // What does not begin by then (its destination is suspended) makes room.
  static constexpr Nanos kPatience = 60 * kSecond;

  void set(std::uint32_t sessions) { most_ = std::max<std::uint32_t>(1, sessions / 2); }
  std::size_t most() const { return most_; }
  // Before room(): `progress` of a delivery that was let out.
  template <class F>
  void settle(Nanos now, F &&progress) {
    std::erase_if(out_, [&](const Out &out) {
      const auto p = progress(out.delivery);
      return p == FlushProgress::Over || (p == FlushProgress::Waits && now >= out.since + kPatience);
    });
  }
  bool room() const { return out_.size() < most_; }
  void let_out(Delivery delivery, Nanos now) { out_.push_back({std::move(delivery), now}); }

 private:
  struct Out {
    Delivery delivery;
    Nanos since = 0;
  };

  std::size_t most_ = 50;
  std::vector<Out> out_;
};

}  // namespace mansio::queue
