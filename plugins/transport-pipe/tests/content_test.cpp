#include "plugins/transport-pipe/content.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "mansio/config.hpp"

namespace {

using namespace mansio::pipe;

std::string through(const std::string &message, const ContentForm &form, std::size_t piece = 1 << 16,
                    const std::string &head = "") {
  Content content{form, head,
                  [&](std::uint64_t offset, char *to, std::size_t n) {
                    n = std::min(n, piece);
                    std::memcpy(to, message.data() + offset, n);
                    return static_cast<std::int64_t>(n);
                  },
                  message.size()};
  std::string out;
  while (content.next(out) == Content::Piece::More) continue;
  return out;
}

TEST(Content, LinesGetTheLineEndWhateverThePieces) {
  const std::string message = "Subject: x\r\n\r\n" + std::string(200, 'y') + "\r\n.\r\n";
  std::string expected = "Subject: x\n\n" + std::string(200, 'y') + "\n.\n";
  for (const std::size_t piece : {1, 2, 5, 7, 100, 100'000}) EXPECT_EQ(through(message, {}, piece), expected) << piece;
  EXPECT_EQ(through(message, {.eol = "\r\n"}), message);
}

TEST(Content, LinesArePrefixedWhereAskedForWhateverThePieces) {
  const std::string message = "From me\r\n.\r\n..x\r\nFrom\r\na From \r\n";
  for (const std::size_t piece : {1, 2, 3, 5, 100}) {
    EXPECT_EQ(through(message, {.quote_dot = true}, piece), "From me\n..\n...x\nFrom\na From \n");
    EXPECT_EQ(through(message, {.quote_from = true}, piece), ">From me\n.\n..x\nFrom\na From \n");
  }
}

TEST(Content, HeadComesFirstAndABlankLineLast) {
  EXPECT_EQ(through("a\r\n", {.blank_line_after = true}, 64, "Return-Path: <>\n"), "Return-Path: <>\na\n\n");
  EXPECT_EQ(through("", {}, 64, "X: y\n"), "X: y\n");
}

TEST(Content, ALastLineWithoutItsEndGetsOne) {
  EXPECT_EQ(through("a\r\nFrom b", {.quote_from = true}), "a\n>From b\n");
  EXPECT_EQ(through("a\r\nb\r", {}), "a\nb\r\n");
}

TEST(Content, SaysWhenTheMessageCannotBeRead) {
  Content content{{}, "", [](std::uint64_t, char *, std::size_t) { return std::int64_t{-1}; }, 5};
  std::string out;
  EXPECT_EQ(content.next(out), Content::Piece::Unreadable);
}

TEST(Eol, KnowsTheEscapesOfC) {
  EXPECT_EQ(parse_eol("\\r\\n"), "\r\n");
  EXPECT_EQ(parse_eol("\n"), "\n");
  EXPECT_EQ(parse_eol("\\12\\0\\\\"), std::string("\n\0\\", 3));
  for (const auto *bad : {"", "\\", "\\x", "\\777"}) EXPECT_THROW(parse_eol(bad), mansio::plugin::BadConfig) << bad;
}

}  // namespace
