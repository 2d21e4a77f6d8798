// Parts: what one version wrote another reads as far as it knows it, and damage is noticed.
#include "kernel/base/parts.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace mansio {
namespace {

using Read = std::vector<std::pair<int, std::string>>;

bool read(std::string_view bytes, Read &out) {
  return each_part(bytes, [&](std::uint8_t kind, std::string_view part) { out.emplace_back(kind, part); });
}

TEST(Parts, AreReadInTheirOrder) {
  std::string bytes;
  put_part(bytes, 7, std::uint16_t{0x0102});
  put_part(bytes, 200, std::string{"text"});
  put_part(bytes, 7, std::vector<std::string>{});
  Read parts;
  EXPECT_TRUE(read(bytes, parts));
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0], (std::pair<int, std::string>{7, {'\x02', '\x01'}}));
  EXPECT_EQ(decode<std::string>(parts[1].second), "text");
  EXPECT_EQ(parts[2].first, 7);
}

TEST(Parts, NoneAreNone) {
  Read parts;
  EXPECT_TRUE(read("", parts));
  EXPECT_TRUE(parts.empty());
}

TEST(Parts, ThatEndTooEarlyAreNoticedAndThoseBeforeThemRead) {
  std::string bytes;
  put_part(bytes, 1, std::string{"whole"});
  const auto whole = bytes.size();
  put_part(bytes, 2, std::string{"damaged"});
  for (auto size = whole + 1; size < bytes.size(); ++size) {
    Read parts;
    EXPECT_FALSE(read(std::string_view{bytes}.substr(0, size), parts)) << size;
    EXPECT_EQ(parts.size(), 1u);
  }
}

}  // namespace
}  // namespace mansio
