// Bags: many unordered sets of ids, in blocks of thirty from one store: little over four bytes an element. Who walks a
// set finds its next elements side by side, so what belongs to them can be fetched from memory before their turn comes;
// a linked list would tell the next one only after the last had been waited for.
#pragma once

#include <array>
#include <cstdint>

#include "kernel/base/large_array.hpp"

namespace mansio::scheduler {

class Bags {
 public:
  explicit Bags(HugePages &pages) : blocks_(pages) {}

  static constexpr std::uint32_t kNone = UINT32_MAX;
  using Head = std::uint32_t;  // of one bag; kNone: empty
  using Spot = std::uint32_t;  // where in its bag an element is

  Spot add(Head &head, std::uint32_t id) {
    if (head == kNone || blocks_[head].count == kPerBlock) {
      const auto fresh = take();
      blocks_[fresh].below = head;
      head = fresh;
    }
    auto &b = blocks_[head];
    b.ids[b.count] = id;
    return head * kSpots + b.count++;
  }
  // Returns the element that is in this spot from now on, kNone if none is.
  std::uint32_t remove(Head &head, Spot spot) {
    auto &b = blocks_[head];
    const auto last = b.ids[--b.count];
    const bool moved = spot != head * kSpots + b.count;
    if (moved) blocks_[spot / kSpots].ids[spot % kSpots] = last;
    if (b.count == 0) {
      const auto empty = head;
      head = b.below;
      b.below = free_;
      free_ = empty;
    }
    return moved ? last : kNone;
  }
  std::uint32_t last(Head head) const { return blocks_[head].ids[blocks_[head].count - 1]; }
  // The elements that come after those of the topmost block, if the last is taken out each time: as many as a block
  // holds, or none.
  template <class F>
  void each_below(Head head, F &&f) const {
    const auto below = blocks_[head].below;
    if (below == kNone) return;
    const auto &b = blocks_[below];
    if (b.below != kNone) {
      __builtin_prefetch(&blocks_[b.below]);
      __builtin_prefetch(&blocks_[b.below].ids[kPerBlock / 2]);
    }
    for (auto i = b.count; i-- > 0;) f(b.ids[i]);
  }
  template <class F>
  void each_of_top(Head head, F &&f) const {
    const auto &b = blocks_[head];
    for (auto i = b.count; i-- > 0;) f(b.ids[i]);
  }

 private:
  static constexpr std::uint32_t kPerBlock = 30, kSpots = 32;
  struct alignas(64) Block {
    std::uint32_t below = kNone;  // in the bag, or among the free ones
    std::uint32_t count = 0;
    std::array<std::uint32_t, kPerBlock> ids;
  };
  static_assert(sizeof(Block) == 128);

  Head take() {
    if (free_ == kNone) {
      blocks_.grow();
      return static_cast<Head>(blocks_.size() - 1);
    }
    const auto block = free_;
    free_ = blocks_[block].below;
    return block;
  }

  LargeArray<Block> blocks_;
  Head free_ = kNone;
};

}  // namespace mansio::scheduler
