// The content decoder: one message in every smuggling variant, the same result however the bytes are cut.
#include "kernel/ingress/data.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mansio::ingress {
namespace {

using Framing = ContentDecoder::Framing;

struct Outcome {
  std::string content;
  std::string rest;  // after the end of DATA
  bool ended = false, bare_lf = false, bare_cr = false, too_long = false;
};

Outcome run(std::string_view in, std::size_t step, Framing framing = Framing::Data, std::uint64_t limit = 2048) {
  ContentDecoder d{framing, limit};
  Outcome o;
  std::size_t at = 0;
  while (at < in.size() && !d.ended()) {
    auto piece = in.substr(at, step);
    const auto size = piece.size();
    o.content += d.feed(piece);
    at += size - piece.size();
  }
  o.rest = in.substr(at);
  o.ended = d.ended();
  if (framing == Framing::Bdat) o.content += d.finish();
  o.bare_lf = d.bare_lf();
  o.bare_cr = d.bare_cr();
  o.too_long = d.line_too_long();
  return o;
}

TEST(ContentDecoder, PassesCanonicalContentOnWithoutACopy) {
  ContentDecoder d{Framing::Data, 2048};
  const std::string text = "Subject: x\r\n\r\none\r\ntwo\r\n";
  std::string_view in = text;
  const auto out = d.feed(in);
  EXPECT_EQ(out.data(), text.data());
  EXPECT_EQ(out, text);
  EXPECT_TRUE(in.empty());
  EXPECT_FALSE(d.ended());
}

TEST(ContentDecoder, EndsAtALoneDotAndLeavesWhatFollows) {
  for (std::size_t step = 1; step < 12; ++step) {
    const auto o = run("a\r\n.\r\nMAIL", step);
    EXPECT_TRUE(o.ended);
    EXPECT_EQ(o.content, "a\r\n");
    EXPECT_EQ(o.rest, "MAIL");
  }
}

TEST(ContentDecoder, TakesTheCommandsOwnLineEndAsTheFirst) {
  const auto o = run(".\r\nQUIT", 100);
  EXPECT_TRUE(o.ended);
  EXPECT_EQ(o.content, "");
  EXPECT_EQ(o.rest, "QUIT");
}

TEST(ContentDecoder, UnstuffsDotsInDataButNotInBdat) {
  EXPECT_EQ(run("..a\r\n...\r\nb.\r\n.c\r\n.\r\n", 3).content, ".a\r\n..\r\nb.\r\nc\r\n");
  EXPECT_EQ(run("..a\r\n.\r\n", 3, Framing::Bdat).content, "..a\r\n.\r\n");
}

TEST(ContentDecoder, TurnsBareLineFeedsIntoLineEndsAndStrayReturnsIntoSpaces) {
  const auto o = run("a\nb\rc\r\r\nd\r\n.\r\n", 100);
  EXPECT_EQ(o.content, "a\r\nb c \r\nd\r\n");
  EXPECT_TRUE(o.bare_lf);
  EXPECT_TRUE(o.bare_cr);
}

TEST(ContentDecoder, EndsAnUnfinishedLastLineOfTheLastChunk) {
  EXPECT_EQ(run("abc", 2, Framing::Bdat).content, "abc\r\n");
  EXPECT_EQ(run("abc\r", 2, Framing::Bdat).content, "abc \r\n");
  EXPECT_EQ(run("abc\r\n", 4, Framing::Bdat).content, "abc\r\n");
  EXPECT_EQ(run("", 1, Framing::Bdat).content, "");
}

TEST(ContentDecoder, SeesLinesOverTheLimitHoweverTheyArrive) {
  const std::string fits = std::string(100, 'x') + "\r\n.\r\n", over = std::string(101, 'x') + "\r\n.\r\n";
  for (const std::size_t step : {1u, 7u, 64u, 1000u}) {
    EXPECT_FALSE(run(fits, step, Framing::Data, 100).too_long) << step;
    EXPECT_TRUE(run(over, step, Framing::Data, 100).too_long) << step;
  }
}

// All strings of up to seven characters of CR, LF and dot between two words, and a second "message" after them:
// only CRLF.CRLF may end the first.
TEST(ContentDecoder, HasOneMessageInEverySmugglingVariant) {
  const char alphabet[] = {'\r', '\n', '.'};
  std::size_t variants = 0;
  for (std::size_t length = 0; length <= 7; ++length) {
    std::size_t combinations = 1;
    for (std::size_t i = 0; i < length; ++i) combinations *= 3;
    for (std::size_t n = 0; n < combinations; ++n) {
      std::string middle;
      for (std::size_t i = 0, rest = n; i < length; ++i, rest /= 3) middle += alphabet[rest % 3];
      const std::string in = "x" + middle + "MAIL FROM:<a@b>\r\n.\r\nQUIT\r\n";
      const auto end = in.find("\r\n.\r\n");
      for (const std::size_t step : {1u, 2u, 3u, 1000u}) {
        const auto o = run(in, step);
        ++variants;
        ASSERT_TRUE(o.ended);
        ASSERT_EQ(o.rest, in.substr(end + 5)) << "middle " << ::testing::PrintToString(middle);
        // No line break but CRLF comes out, so no next hop can find another end in it either.
        for (std::size_t i = 0; i < o.content.size(); ++i) {
          ASSERT_TRUE(o.content[i] != '\r' || o.content[i + 1] == '\n');
          ASSERT_TRUE(o.content[i] != '\n' || o.content[i - 1] == '\r');
        }
        ASSERT_TRUE(o.content.ends_with("\r\n"));
        const auto chunk = run(in, step, Framing::Bdat);
        ASSERT_FALSE(chunk.ended);
        ASSERT_EQ(chunk.rest, "");
      }
    }
  }
  EXPECT_EQ(variants, 4u * (1 + 3 + 9 + 27 + 81 + 243 + 729 + 2187));
}

TEST(ContentDecoder, FindsLineBreaksAtEveryOffset) {
  for (std::size_t size = 0; size < 70; ++size)
    for (std::size_t at = 0; at < size; ++at)
      for (const char c : {'\r', '\n'}) {
        std::string s(size, 'x');
        s[at] = c;
        EXPECT_EQ(find_line_break(s.data(), s.data() + s.size()) - s.data(), static_cast<std::ptrdiff_t>(at));
      }
  const std::string none(50, 'x');
  EXPECT_EQ(find_line_break(none.data(), none.data() + 50), none.data() + 50);
}

}  // namespace
}  // namespace mansio::ingress
