// Lists whose links lie in their elements: an element leaves from anywhere in O(1), and nothing is allocated. Elements
// are named by number in a store; an element may be in as many lists as it has pairs of links.
#pragma once

#include <cstdint>

namespace mansio::scheduler {

inline constexpr std::uint32_t kNobody = UINT32_MAX;

struct Ends {
  std::uint32_t head = kNobody, tail = kNobody;
  bool empty() const { return head == kNobody; }
};

template <auto Next, auto Prev>
struct Links {
  template <class Store>
  static void push_back(Store &store, Ends &ends, std::uint32_t id) {
    store[id].*Next = kNobody;
    store[id].*Prev = ends.tail;
    (ends.empty() ? ends.head : store[ends.tail].*Next) = id;
    ends.tail = id;
  }
  template <class Store>
  static void erase(Store &store, Ends &ends, std::uint32_t id) {
    auto &e = store[id];
    (e.*Prev == kNobody ? ends.head : store[e.*Prev].*Next) = e.*Next;
    (e.*Next == kNobody ? ends.tail : store[e.*Next].*Prev) = e.*Prev;
    e.*Prev = e.*Next = kNobody;
  }
};

}  // namespace mansio::scheduler
