#include "plugins/transport-common/header.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace {

using mansio::transport::delivered_before;
using mansio::transport::header_safe;

bool has(const std::string &message, std::string_view address, std::size_t piece = 1 << 16) {
  return delivered_before(
      [&](std::uint64_t offset, char *to, std::size_t n) {
        n = std::min({n, piece, message.size() - static_cast<std::size_t>(offset)});
        std::memcpy(to, message.data() + offset, n);
        return static_cast<std::int64_t>(n);
      },
      address);
}

TEST(DeliveredBefore, FindsTheAddressInTheHeaderSectionAlone) {
  const std::string message = "Subject: x\r\ndelivered-to:\tBob@Example.com \r\n\r\nDelivered-To: amy@example.com\r\n";
  EXPECT_TRUE(has(message, "bob@example.com"));
  EXPECT_TRUE(has(message, "bob@example.com", 3));
  EXPECT_FALSE(has(message, "amy@example.com"));
  EXPECT_FALSE(has(message, "ob@example.com"));
}

TEST(DeliveredBefore, IsFalseForWhatCannotBeRead) {
  EXPECT_FALSE(delivered_before([](std::uint64_t, char *, std::size_t) { return std::int64_t{-1}; }, "a@b"));
}

TEST(HeaderSafe, LeavesNothingThatEndsALine) { EXPECT_EQ(header_safe("a\r\nb\tc\x7f\xc3\xa4"), "a??b?c?\xc3\xa4"); }

}  // namespace
