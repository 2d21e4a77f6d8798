// The codec of channels and spool: what is written is read back, and no truncated, padded or lying input is taken or
// makes it allocate.
#include "kernel/base/codec.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace mansio {
namespace {

struct Inner {
  std::uint16_t n = 0;
  std::string text;
  bool operator==(const Inner &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.n, s.text);
  }
};
struct Outer {
  bool flag = false;
  std::int64_t number = 0;
  std::vector<Inner> list;
  std::optional<std::string> maybe;
  std::vector<std::pair<std::string, double>> pairs;
  bool operator==(const Outer &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.flag, s.number, s.list, s.maybe, s.pairs);
  }
};

const Outer kSample{true, -5, {{7, "seven"}, {8, std::string(300, 'x')}}, "here", {{"pi", 3.25}}};

TEST(Codec, StructsComeBackAsTheyWent) {
  EXPECT_EQ(decode<Outer>(encode(kSample)), kSample);
  EXPECT_EQ(decode<Outer>(encode(Outer{})), Outer{});
}

TEST(Codec, EveryTruncationIsRefused) {
  const auto bytes = encode(kSample);
  for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(decode<Outer>(std::string_view{bytes}.substr(0, n))) << n;
}

TEST(Codec, TrailingBytesAreRefused) { EXPECT_FALSE(decode<Outer>(encode(kSample) + "x")); }

TEST(Codec, ACountLargerThanTheInputAllocatesNothing) {
  std::string bytes;
  Encoder e{bytes};
  e.varint(std::numeric_limits<std::uint64_t>::max());
  EXPECT_FALSE(decode<std::vector<std::uint64_t>>(bytes));
}

TEST(Codec, ABooleanIsZeroOrOne) { EXPECT_FALSE(decode<bool>("\x02")); }

TEST(Codec, VarintsOfEveryLengthComeBack) {
  for (unsigned bit = 0; bit < 64; ++bit) {
    const auto n = std::uint64_t{1} << bit;
    std::string bytes;
    Encoder{bytes}.varint(n);
    Decoder d{bytes};
    EXPECT_EQ(d.varint(), n);
    EXPECT_TRUE(d.finished());
  }
}

}  // namespace
}  // namespace mansio
