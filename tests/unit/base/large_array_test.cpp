// LargeArray keeps what it is given where it is, over the ends of pages and pieces and beside other arrays, and
// destroys it once. HugePages gives out what lies side by side.
#include "kernel/base/large_array.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
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
  constexpr std::size_t kElements = 300'000;  // over many pieces and pages
  {
    HugePages pages;
    LargeArray<Counted> array{pages};
    LargeArray<std::uint64_t> other{pages};
    auto *first = &array.grow();
    first->value = 0;
    for (std::size_t i = 1; i < kElements; ++i) {
      auto &fresh = array.grow();
      ASSERT_EQ(fresh.value, 7u);
      fresh.value = i;
      other.grow() = ~i;
    }
    EXPECT_EQ(array.size(), kElements);
    EXPECT_EQ(other.size(), kElements - 1);
    EXPECT_EQ(&array[0], first);
    for (std::size_t i = 0; i < kElements; ++i) ASSERT_EQ(array[i].value, i);
    for (std::size_t i = 1; i < kElements; ++i) ASSERT_EQ(other[i - 1], ~i);
    EXPECT_EQ(Counted::alive, static_cast<int>(kElements));
  }
  EXPECT_EQ(Counted::alive, 0);
}

TEST(LargeArray, AlignsItsElements) {
  struct alignas(64) Line {
    char bytes[128];
  };
  HugePages pages;
  LargeArray<Counted> other{pages};
  LargeArray<Line> array{pages};
  other.grow();
  for (int i = 0; i < 40'000; ++i) ASSERT_EQ(reinterpret_cast<std::uintptr_t>(&array.grow()) % 64, 0u);
}

TEST(HugePages, GiveOutWhatLiesSideBySide) {
  constexpr std::size_t kPiece = 160 << 10, kTakes = 500;  // 80 MB
  HugePages pages;
  auto *before = static_cast<std::byte *>(pages.take(kPiece));
  int apart = 0;
  for (std::size_t i = 1; i < kTakes; ++i) {
    auto *piece = static_cast<std::byte *>(pages.take(kPiece));
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(piece) % HugePages::kAlignment, 0u);
    apart += piece != before + kPiece;
    *piece = *(piece + kPiece - 1) = std::byte{1};
    before = piece;
  }
  EXPECT_LE(apart, 3);
}

}  // namespace
}  // namespace mansio
