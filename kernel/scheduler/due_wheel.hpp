// DueWheel: deferred groups by due time, so that neither putting one in nor taking one out costs more when millions
// wait. A tick is 2^27 ns (0.13 s). Groups whose tick has come lie in a small heap, in exact order. The others lie in
// buckets, unordered: of one tick, of 1,024 ticks (2.3 minutes), of 1,024 times that (39 hours), and again (4.5 years).
// As time reaches a bucket its groups move one level down; a bucket may hold a million, so they move a bounded number
// at a time.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "kernel/base/clock.hpp"
#include "kernel/scheduler/bags.hpp"
#include "kernel/scheduler/due_heap.hpp"

namespace mansio::scheduler {

// Owner: `Nanos due(id)`, `uint32_t &position(id)` and `uint32_t &spot(id)`, both the wheel's while the group is in it,
// and a bit of it, `bool soon(id)` and `soon(id, bool)`. Two hints: `prefetch(id)`, the wheel is about to look at this
// group; `due_soon(id)`, its tick has come.
template <class Owner>
class DueWheel {
 public:
  DueWheel(Owner &owner, HugePages &pages) : owner_(owner), soon_(owner), bags_(pages) {
    for (auto &level : heads_) level.fill(Bags::kNone);
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  void push(std::uint32_t id) {
    ++size_;
    place(id);
  }
  void erase(std::uint32_t id) {
    --size_;
    if (owner_.soon(id))
      soon_.erase(id);
    else
      take_out(id);
  }

  // Takes time further, moving at most `budget` groups.
  void advance(Nanos now, int budget) {
    const auto to = tick_of(now);
    while (budget > 0) {
      if (const auto at = moving_bucket()) {
        const auto prefetch = [this](std::uint32_t id) { owner_.prefetch(id); };
        auto &first = head(*at);
        bags_.each_of_top(first, prefetch);
        for (auto top = Bags::kNone; first != Bags::kNone && budget > 0; --budget) {
          if (std::exchange(top, first) != first) bags_.each_below(first, prefetch);
          const auto id = bags_.last(first);
          take_out(id);
          place(id);
        }
        continue;
      }
      if (cursor_ >= to || buckets() == 0) {
        if (buckets() == 0 && cursor_ < to) cursor_ = to;
        return;
      }
      cursor_ = std::min(next_tick(), to);
    }
  }

  // There is more for advance() to do.
  bool behind(Nanos now) const {
    return moving_bucket() || (buckets() > 0 && cursor_ < tick_of(now) && next_tick() <= tick_of(now));
  }
  // The first whose time has come, if advance() has got so far.
  std::optional<std::uint32_t> due(Nanos now) const {
    if (soon_.empty() || owner_.due(soon_.top()) > now) return std::nullopt;
    return soon_.top();
  }
  // When to advance() again: no later than the first is due.
  Nanos next() const {
    auto at = soon_.empty() ? std::numeric_limits<Nanos>::max() : owner_.due(soon_.top());
    if (moving_bucket()) return std::min(at, time_of(cursor_));
    return buckets() == 0 ? at : std::min(at, time_of(next_tick()));
  }

 private:
  static constexpr unsigned kTickBits = 27, kBits = 10, kLevels = 4;  // together more than 63 bits
  static constexpr std::uint64_t kBuckets = 1u << kBits;

  struct At {
    unsigned level;
    std::uint64_t bucket;
  };

  static std::uint64_t tick_of(Nanos t) { return t <= 0 ? 0 : static_cast<std::uint64_t>(t) >> kTickBits; }
  static Nanos time_of(std::uint64_t tick) { return static_cast<Nanos>(tick << kTickBits); }
  Bags::Head &head(At at) { return heads_[at.level][at.bucket]; }
  std::size_t buckets() const { return size_ - soon_.size(); }  // groups in them

  // A level's buckets are those of the turn of the level above that the cursor is in, so a tick has one place.
  void place(std::uint32_t id) {
    const auto tick = tick_of(owner_.due(id));
    if (tick <= cursor_) {
      owner_.soon(id, true);
      owner_.due_soon(id);
      return soon_.push(id);
    }
    unsigned level = 0;
    while (level + 1 < kLevels && tick >> (kBits * (level + 1)) != cursor_ >> (kBits * (level + 1))) ++level;
    put_in({level, (tick >> (kBits * level)) % kBuckets}, id);
  }
  void put_in(At at, std::uint32_t id) {
    owner_.soon(id, false);
    owner_.position(id) = at.level << kBits | static_cast<std::uint32_t>(at.bucket);
    owner_.spot(id) = bags_.add(head(at), id);
    used_[at.level][at.bucket / 64] |= std::uint64_t{1} << at.bucket % 64;
  }
  void take_out(std::uint32_t id) {
    const At at{owner_.position(id) >> kBits, owner_.position(id) % kBuckets};
    const auto spot = owner_.spot(id);
    if (const auto moved = bags_.remove(head(at), spot); moved != Bags::kNone) owner_.spot(moved) = spot;
    if (head(at) == Bags::kNone) used_[at.level][at.bucket / 64] &= ~(std::uint64_t{1} << at.bucket % 64);
  }
  bool used(At at) const { return used_[at.level][at.bucket / 64] >> at.bucket % 64 & 1; }

  // The highest bucket that the cursor is in and that still holds groups: they are to move down.
  std::optional<At> moving_bucket() const {
    for (auto level = kLevels; level-- > 0;)
      if (const At at{level, (cursor_ >> (kBits * level)) % kBuckets}; used(at)) return at;
    return std::nullopt;
  }
  // The first tick after the cursor at which a bucket begins that holds groups. There is one.
  std::uint64_t next_tick() const {
    for (unsigned level = 0; level < kLevels; ++level) {
      const auto turn = cursor_ >> (kBits * level);
      for (auto i = turn % kBuckets + 1; i < kBuckets; i = (i / 64 + 1) * 64) {
        const auto word = used_[level][i / 64] >> i % 64;
        if (word == 0) continue;
        const auto bucket = i + static_cast<unsigned>(std::countr_zero(word));
        return (turn / kBuckets * kBuckets + bucket) << (kBits * level);
      }
    }
    return cursor_ + 1;
  }

  Owner &owner_;
  DueHeap<Owner> soon_;
  std::size_t size_ = 0;
  std::uint64_t cursor_ = 0;  // a tick: all up to it has been moved to `soon_`, unless moving_bucket() says otherwise
  Bags bags_;
  std::array<std::array<Bags::Head, kBuckets>, kLevels> heads_;
  std::array<std::array<std::uint64_t, kBuckets / 64>, kLevels> used_{};
};

}  // namespace mansio::scheduler
