// LargeArray keeps what it is given where it is, over the ends of its pages and chunks, and destroys it once.
#include "kernel/base/large_array.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

namespace mansio {
namespace {

struct Counted {
  Counted() { ++alive; }
  Counted(const Counted &) = delete;
  Counted &operator=(const Counted &) = delete;
  ~Counted() { --alive; }
  std::uint64_t value = 7;
  std::array<std::uint64_t, 4> more{};  // 40 bytes: some lie across two pages
  static inline int alive = 0;
};

TEST(LargeArray, KeepsItsElementsWhereTheyAreAndDestroysThem) {
  constexpr std::size_t kElements = 300'000;  // more than a chunk
  {
    LargeArray<Counted> array;
    auto *first = &array.grow();
    first->value = 0;
    for (std::size_t i = 1; i < kElements; ++i) {
      auto &fresh = array.grow();
      ASSERT_EQ(fresh.value, 7u);
      fresh.value = i;
    }
    EXPECT_EQ(array.size(), kElements);
    EXPECT_EQ(&array[0], first);
    for (std::size_t i = 0; i < kElements; ++i) ASSERT_EQ(array[i].value, i);
    EXPECT_EQ(Counted::alive, static_cast<int>(kElements));
  }
  EXPECT_EQ(Counted::alive, 0);
}

TEST(LargeArray, AlignsItsElements) {
  struct alignas(64) Line {
    char bytes[128];
  };
  LargeArray<Line> array;
  for (int i = 0; i < 40'000; ++i) ASSERT_EQ(reinterpret_cast<std::uintptr_t>(&array.grow()) % 64, 0u);
}

}  // namespace
}  // namespace mansio
