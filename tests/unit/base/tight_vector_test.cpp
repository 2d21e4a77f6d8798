// What grows tightly has little unused at any length, also when it goes on after it was cut to fit.
#include "kernel/base/tight_vector.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace mansio {
namespace {

TEST(TightVector, HasLittleUnused) {
  std::vector<std::uint32_t> v;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    make_room(v);
    v.push_back(i);
    ASSERT_LE(v.capacity(), v.size() + v.size() / 8 + 8);
  }
  v.shrink_to_fit();
  make_room(v);
  v.insert(v.begin(), 7);
  EXPECT_LE(v.capacity(), v.size() + v.size() / 8 + 8);
  EXPECT_EQ(v.front(), 7u);
  EXPECT_EQ(v.back(), 99'999u);
}

}  // namespace
}  // namespace mansio
