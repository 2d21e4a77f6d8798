// DueHeap: deferred groups by due time. A binary heap of handles whose owner keeps each handle's time and heap
// position, so that any of them can be taken out in O(log n) with four bytes of its own a group.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "kernel/base/chunked.hpp"

namespace mansio::scheduler {

inline constexpr std::uint32_t kNotInHeap = UINT32_MAX;

// Owner: `Nanos due(id)` and `uint32_t &position(id)`.
template <class Owner>
class DueHeap {
 public:
  explicit DueHeap(Owner &owner) : owner_(owner) {}

  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  std::uint32_t top() const { return heap_.front(); }

  void push(std::uint32_t id) {
    heap_.push_back(id);
    up(heap_.size() - 1);
  }
  void erase(std::uint32_t id) {
    const std::size_t hole = std::exchange(owner_.position(id), kNotInHeap);
    const auto last = heap_.back();
    heap_.pop_back();
    if (hole == heap_.size()) return;
    place(hole, last);
    up(hole);
    down(owner_.position(last));
  }

 private:
  void place(std::size_t at, std::uint32_t id) {
    heap_[at] = id;
    owner_.position(id) = static_cast<std::uint32_t>(at);
  }
  void up(std::size_t at) {
    const auto id = heap_[at];
    const auto due = owner_.due(id);
    for (; at > 0; at = (at - 1) / 2) {
      const auto parent = heap_[(at - 1) / 2];
      if (owner_.due(parent) <= due) break;
      place(at, parent);
    }
    place(at, id);
  }
  void down(std::size_t at) {
    const auto id = heap_[at];
    const auto due = owner_.due(id);
    for (;;) {
      auto child = 2 * at + 1;
      if (child >= heap_.size()) break;
      if (child + 1 < heap_.size() && owner_.due(heap_[child + 1]) < owner_.due(heap_[child])) ++child;
      if (owner_.due(heap_[child]) >= due) break;
      place(at, heap_[child]);
      at = child;
    }
    place(at, id);
  }

  Owner &owner_;
  Chunked<std::uint32_t> heap_;
};

}  // namespace mansio::scheduler
