#include "kernel/base/siphash.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mansio {
namespace {

// The key 00 01 ... 0f of the authors' vectors, and texts 00 01 02 ... of so many octets.
constexpr HashKey kKey{0x0706050403020100ULL, 0x0F0E0D0C0B0A0908ULL};
std::string counting(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += static_cast<char>(i);
  return text;
}

TEST(SipHash, GivesTheValuesOfItsAuthors) {
  EXPECT_EQ(siphash(kKey, counting(0)), 0x726FDB47DD0E0E31ULL);
  EXPECT_EQ(siphash(kKey, counting(1)), 0x74F839C593DC67FDULL);
  EXPECT_EQ(siphash(kKey, counting(8)), 0x93F5F5799A932462ULL);
  EXPECT_EQ(siphash(kKey, counting(15)), 0xA129CA6149BE45E5ULL);
}

TEST(SipHash, DependsOnTheKey) {
  EXPECT_NE(siphash(kKey, "a"), siphash({kKey.first, kKey.second ^ 1}, "a"));
  EXPECT_NE(siphash(kKey, "a"), siphash({kKey.first ^ 1, kKey.second}, "a"));
}

}  // namespace
}  // namespace mansio
