// Line ends of mail that is made on this host.
#include "kernel/mail/line_ends.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace mansio {
namespace {

// In pieces of that many octets.
std::string canonical_lines(std::string_view text, std::size_t piece = 1'000'000) {
  LineEnds lines;
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += piece) out += lines.feed(text.substr(at, piece));
  return out + lines.finish();
}

TEST(LineEndsTest, WhatIsCanonicalStaysAsItIs) {
  EXPECT_EQ(canonical_lines("a: b\r\n\r\nbody\r\n.\r\n"), "a: b\r\n\r\nbody\r\n.\r\n");
  EXPECT_EQ(canonical_lines(""), "");
  EXPECT_EQ(canonical_lines("\r\n"), "\r\n");
}

TEST(LineEndsTest, ABareLineFeedEndsALineAndABareReturnIsASpace) {
  EXPECT_EQ(canonical_lines("a\nb\n\nc\n"), "a\r\nb\r\n\r\nc\r\n");
  EXPECT_EQ(canonical_lines("a\rb\r\r\nc\r\n"), "a b \r\nc\r\n");
  EXPECT_EQ(canonical_lines("a\n.\nb\n"), "a\r\n.\r\nb\r\n");
}

TEST(LineEndsTest, TheLastLineHasAnEnd) {
  EXPECT_EQ(canonical_lines("a"), "a\r\n");
  EXPECT_EQ(canonical_lines("a\r\nb"), "a\r\nb\r\n");
  EXPECT_EQ(canonical_lines("a\r"), "a \r\n");
  EXPECT_EQ(canonical_lines("\r"), " \r\n");
}

TEST(LineEndsTest, PiecesOfAnySizeGiveTheSame) {
  const std::string_view text = "a\r\n\r\rb\n\n\r\nc\r\r\n.\rd";
  for (std::size_t piece = 1; piece < text.size(); ++piece)
    EXPECT_EQ(canonical_lines(text, piece), canonical_lines(text)) << piece;
}

TEST(LineEndsTest, TheLongestLineIsCountedWithoutItsEnd) {
  LineEnds lines;
  lines.feed("abc\r\nabc");
  EXPECT_EQ(lines.longest_line(), 3u);
  lines.feed("de\rf\n");
  EXPECT_EQ(lines.longest_line(), 7u);
  lines.feed(std::string(7, 'x'));
  lines.finish();
  EXPECT_EQ(lines.longest_line(), 7u);
}

}  // namespace
}  // namespace mansio
