// DueHeap: deferred groups by due time. A binary heap whose owner keeps each group's position in it, so that any of
// them can be taken out in O(log n). The times lie in the heap itself: to ask the owner for each that is compared would
// touch as many places all over memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "kernel/base/chunked.hpp"
#include "kernel/base/clock.hpp"

namespace mansio::scheduler {

inline constexpr std::uint32_t kNotInHeap = UINT32_MAX;

// Owner: `Nanos due(id)`, which stays as it is meanwhile, and `uint32_t &position(id)`.
template <class Owner>
class DueHeap {
 public:
  explicit DueHeap(Owner &owner) : owner_(owner) {}

  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  std::uint32_t top() const { return heap_.front().id; }
  Nanos first() const { return heap_.front().due; }

  void push(std::uint32_t id) {
    heap_.push_back({});
    up(heap_.size() - 1, {owner_.due(id), id});
  }
  void erase(std::uint32_t id) {
    const std::size_t hole = std::exchange(owner_.position(id), kNotInHeap);
    const auto last = heap_.back();
    heap_.pop_back();
    if (hole == heap_.size()) return;
    if (hole > 0 && last.due < heap_[(hole - 1) / 2].due)
      up(hole, last);
    else
      down(hole, last);
  }

 private:
  struct Entry {
    Nanos due = 0;
    std::uint32_t id = 0;
  };

  void place(std::size_t at, const Entry &e) {
    heap_[at] = e;
    owner_.position(e.id) = static_cast<std::uint32_t>(at);
  }
  void up(std::size_t at, Entry e) {
    for (; at > 0; at = (at - 1) / 2) {
      const auto &parent = heap_[(at - 1) / 2];
      if (parent.due <= e.due) break;
      place(at, parent);
    }
    place(at, e);
  }
  void down(std::size_t at, Entry e) {
    for (;;) {
      auto child = 2 * at + 1;
      if (child >= heap_.size()) break;
      if (child + 1 < heap_.size()) child += heap_[child + 1].due < heap_[child].due ? 1 : 0;
      if (heap_[child].due >= e.due) break;
      place(at, heap_[child]);
      at = child;
    }
    place(at, e);
  }

  Owner &owner_;
  Chunked<Entry> heap_;
};

}  // namespace mansio::scheduler
