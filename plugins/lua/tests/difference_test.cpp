// What a failed comparison shows.
#include "plugins/lua/tool/difference.hpp"

#include <gtest/gtest.h>

namespace mansio::lua::tool {
namespace {

TEST(Difference, MarksLinesOfOneSide) {
  EXPECT_EQ(difference("same", "same"), "");
  EXPECT_EQ(difference("one", "two"), "- one\n+ two\n");
  EXPECT_EQ(difference("a\nb\nc", "a\nx\nc"), "  a\n- b\n+ x\n  c\n");
  EXPECT_EQ(difference("a\nc", "a\nb\nc"), "  a\n+ b\n  c\n");
  EXPECT_EQ(difference("a\nb", "a"), "  a\n- b\n");
  EXPECT_EQ(difference("", "a"), "- \n+ a\n");
}

TEST(Difference, LeavesOutWhatIsFarFromAChange) {
  EXPECT_EQ(difference("1\n2\n3\n4\n5\nx\n7\n8\n9\n10\n11", "1\n2\n3\n4\n5\ny\n7\n8\n9\n10\n11"),
            "  ...\n  3\n  4\n  5\n- x\n+ y\n  7\n  8\n  9\n  ...\n");
}

TEST(Difference, ShowsControlCharacters) {
  EXPECT_EQ(difference("a\r\nb", "a\nb\x01"), "- a\\r\n- b\n+ a\n+ b\\x01\n");
}

TEST(Difference, ComparesTextsThatAreTooLongAsBlocks) {
  std::string a, b;
  for (int i = 0; i < 3000; ++i) {
    a += std::to_string(i) + "a\n";
    b += std::to_string(i) + "b\n";
  }
  const auto shown = difference(a, b);
  EXPECT_TRUE(shown.starts_with("- 0a\n- 1a\n"));
  EXPECT_TRUE(shown.ends_with("+ 2999b\n  \n")) << shown.substr(shown.size() - 20);
}

}  // namespace
}  // namespace mansio::lua::tool
