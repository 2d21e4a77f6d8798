// Chunked keeps what it is given where it is, and makes and destroys each element once.
#include "kernel/base/chunked.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace mansio {
namespace {

struct alignas(64) CacheLine {
  static inline int alive = 0;
  CacheLine() { ++alive; }
  CacheLine(const CacheLine &) = delete;
  CacheLine &operator=(const CacheLine &) = delete;
  ~CacheLine() { --alive; }
  std::string text = "new";
};

TEST(Chunked, KeepsItsElementsWhereTheyAreAndDestroysThem) {
  {
    Chunked<CacheLine, 16> lines;
    auto *first = &lines.grow();
    first->text = "first";
    for (int i = 1; i < 100; ++i) {
      auto &line = lines.grow();
      ASSERT_EQ(line.text, "new");
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(&line) % 64, 0u);
    }
    EXPECT_EQ(lines.size(), 100u);
    EXPECT_EQ(&lines[0], first);
    EXPECT_EQ(lines.front().text, "first");
    EXPECT_EQ(CacheLine::alive, 112);  // seven chunks
    for (int i = 0; i < 99; ++i) lines.pop_back();
    EXPECT_EQ(lines.back().text, "first");
  }
  EXPECT_EQ(CacheLine::alive, 0);
}

TEST(TakeNumber, IsOneThatIsFreeBeforeANewOne) {
  Chunked<int, 4> all;
  std::vector<std::uint32_t> free;
  for (std::uint32_t i = 0; i < 6; ++i) EXPECT_EQ(take_number(free, all), i);
  free = {1, 3};
  EXPECT_EQ(take_number(free, all), 3u);
  EXPECT_EQ(take_number(free, all), 1u);
  EXPECT_EQ(take_number(free, all), 6u);
  EXPECT_EQ(all.size(), 7u);
}

}  // namespace
}  // namespace mansio
