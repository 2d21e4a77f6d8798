#include "kernel/base/sparse_array.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace mansio {
namespace {

TEST(SparseArray, ReadsWhatWasSetLastWhateverTheOrder) {
  std::mt19937 random{1};
  for (const unsigned values : {1u, 2u, 5u}) {
    for (const bool in_order : {true, false}) {
      SparseArray<std::uint16_t, 8> array;
      std::map<std::size_t, std::uint16_t> expected;
      for (std::size_t n = 0; n < 200; ++n) {
        const auto i = in_order && n < 60 ? n : random() % 60;
        const auto value = static_cast<std::uint16_t>(random() % values + random() % 2);
        array.set(i, value);
        expected[i] = value;
        for (std::size_t k = 0; k < 70; ++k)
          ASSERT_EQ(array.get(k), expected.contains(k) ? expected[k] : 0) << "n " << n << " at " << k;
      }
    }
  }
}

TEST(SparseArray, OneValueInOrderAndThenAnother) {
  SparseArray<std::uint16_t, 8> array;
  for (std::size_t i = 0; i < 20; ++i) array.set(i, 7);
  array.set(3, 9);
  array.set(19, 0);
  for (std::size_t i = 0; i < 24; ++i) EXPECT_EQ(array.get(i), i == 3 ? 9 : i < 19 ? 7 : 0) << i;
}

}  // namespace
}  // namespace mansio
