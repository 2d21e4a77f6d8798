// prefetch(): has an object's memory fetched into the cache while we go on. Small objects in arrays often lie across
// two lines, so both of its ends are asked for.
#pragma once

#include <cstddef>

namespace mansio {

template <class T>
void prefetch(const T &object) {
  static_assert(sizeof(T) <= 64, "more than two lines");
  // gcc takes a function that does nothing but prefetch for one without effect, and leaves its calls out.
  asm volatile("" : : "r"(&object));
  __builtin_prefetch(&object);
  __builtin_prefetch(reinterpret_cast<const std::byte *>(&object) + sizeof(T) - 1);
}

}  // namespace mansio
