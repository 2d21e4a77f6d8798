// What is learned of a message while it passes by, the same however it is cut: header fields, hops, eight-bit text.
#include "kernel/mail/headers.hpp"

#include <gtest/gtest.h>

namespace mansio {
namespace {

ContentScanner scan(std::string_view message, std::size_t step = 0) {
  ContentScanner scanner;
  for (std::size_t i = 0; step != 0 && i < message.size(); i += step) scanner.feed(message.substr(i, step));
  if (step == 0) scanner.feed(message);
  scanner.finish();
  return scanner;
}

constexpr std::string_view kMessage =
    "Received: from a\r\n\tby b; now\r\nreceived : from b\r\nReceived-SPF: pass\r\nDelivered-To: x\r\nFROM: "
    "a@b\r\nDate: now\r\n"
    "Message-Id: <1@b>\r\nCc: c@d\r\nSubject: h\xc3\xa9\r\n\r\nReceived: not a header\r\n.dot\r\nbody\r\n";

TEST(ContentScanner, CountsFieldsOfTheHeaderSectionOnly) {
  const auto s = scan(kMessage);
  EXPECT_EQ(s.received(), 2u);
  EXPECT_EQ(s.delivered_to(), 1u);
  EXPECT_TRUE(s.has_from() && s.has_date() && s.has_message_id() && s.has_to());
  EXPECT_FALSE(s.header_malformed());
  EXPECT_EQ(s.header_size(), kMessage.find("\r\n\r\n") + 2);
  const auto info = s.info();
  EXPECT_EQ(info.size, kMessage.size());
  EXPECT_EQ(info.hops, 2);
  EXPECT_TRUE(info.leading_dots && info.eight_bit && info.eight_bit_header);
}

TEST(ContentScanner, GivesTheSameAnswerHoweverTheMessageIsCut) {
  const auto whole = scan(kMessage);
  for (std::size_t step = 1; step < kMessage.size(); ++step) {
    const auto s = scan(kMessage, step);
    EXPECT_EQ(s.received(), whole.received()) << step;
    EXPECT_EQ(s.header_size(), whole.header_size()) << step;
    EXPECT_EQ(s.has_message_id(), whole.has_message_id()) << step;
    EXPECT_EQ(s.info().leading_dots, whole.info().leading_dots) << step;
    EXPECT_EQ(s.info().eight_bit_header, whole.info().eight_bit_header) << step;
  }
}

TEST(ContentScanner, FindsADotOnlyAtTheBeginningOfALine) {
  EXPECT_FALSE(scan("A: b\r\n\r\na.b\r\n").info().leading_dots);
  EXPECT_TRUE(scan("A: b\r\n\r\na.b\r\n.\r\n").info().leading_dots);
  EXPECT_TRUE(scan(".first line\r\n").info().leading_dots);
  EXPECT_TRUE(scan("\r\n.x", 3).info().leading_dots);
  EXPECT_FALSE(scan("\r\nx.y...z\r\n", 1).info().leading_dots);
}

TEST(ContentScanner, EightBitBodyIsNotAnEightBitHeader) {
  const auto info = scan("A: b\r\n\r\nh\xc3\xa9 and then a long line of plain text after it\r\n").info();
  EXPECT_TRUE(info.eight_bit);
  EXPECT_FALSE(info.eight_bit_header);
  EXPECT_TRUE(scan("A: b\r\n\r\n" + std::string(100, 'x') + "\xff").info().eight_bit);
}

TEST(ContentScanner, ALineThatIsNoFieldBeginsTheBody) {
  const auto s = scan("A: b\r\nno field \xc3\xa9\r\nReceived: x\r\n");
  EXPECT_TRUE(s.header_malformed());
  EXPECT_EQ(s.header_size(), 6u);
  EXPECT_EQ(s.received(), 0u);
  EXPECT_TRUE(s.info().eight_bit);
  EXPECT_FALSE(s.info().eight_bit_header);
  EXPECT_TRUE(scan(" continues nothing\r\n").header_malformed());
}

TEST(ContentScanner, KnowsTheFirstLineOfAnMboxFile) {
  for (const auto *line : {"From joe Mon Jan  1 00:00:00\r\n", ">From joe\r\n", ">>From \r\n"}) {
    const auto s = scan(std::string{line} + "Received: x\r\nSubject: x\r\n\r\nFrom y\r\n");
    EXPECT_TRUE(s.mailbox_line()) << line;
    EXPECT_FALSE(s.header_malformed()) << line;
    EXPECT_EQ(s.received(), 1u) << line;
  }
  for (const auto *line : {"From: joe\r\n", "Fromage\r\n", "X: y\r\nFrom joe\r\n", "> From joe\r\n"})
    EXPECT_FALSE(scan(line).mailbox_line()) << line;
}

TEST(ContentScanner, KnowsWhileReadingWhetherTheHeaderGoesOn) {
  ContentScanner s;
  s.feed("A: b\r\n");
  EXPECT_TRUE(s.in_header());
  EXPECT_EQ(s.header_size(), 6u);
  s.feed("\r");
  EXPECT_TRUE(s.in_header());
  s.feed("\n");
  EXPECT_FALSE(s.in_header());
  EXPECT_EQ(s.header_size(), 6u);
}

TEST(ContentScanner, AMessageMayBeEmptyOrHaveNoBody) {
  EXPECT_EQ(scan("").info().size, 0u);
  EXPECT_EQ(scan("Received: x").received(), 1u);
}

TEST(Headers, SectionEndsBeforeTheEmptyLine) {
  EXPECT_EQ(header_section("A: b\r\n c\r\nD: e\r\n\r\nF: g\r\n"), "A: b\r\n c\r\nD: e\r\n");
  EXPECT_EQ(header_section("\r\nbody"), "");
  EXPECT_EQ(header_section("A: b"), "A: b");
  EXPECT_EQ(header_section("no field\r\n"), "");
}

TEST(Headers, ValuesAreUnfolded) {
  const std::string_view section = "Subject:  one\r\n\ttwo \r\nsubject: other\r\nX :y\r\nEmpty:\r\n";
  EXPECT_EQ(find_header(section, "SUBJECT"), "one\ttwo");
  EXPECT_EQ(find_header(section, "X"), "y");
  EXPECT_EQ(find_header(section, "Empty"), "");
  EXPECT_FALSE(find_header(section, "To"));
}

}  // namespace
}  // namespace mansio
