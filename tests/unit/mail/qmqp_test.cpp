// Netstrings and QMQP requests, cut anywhere.
#include "kernel/mail/qmqp.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace mansio {
namespace {

std::string net(std::string_view bytes) {
  std::string out;
  append_netstring(out, bytes);
  return out;
}
std::string request(std::string_view message, const std::vector<std::string> &addresses) {
  std::string inner = net(message);
  for (const auto &address : addresses) inner += net(address);
  return net(inner);
}

// What the reader makes of `text` in pieces of `piece` octets: "content|sender|recipient...|end".
std::string told(const std::string &text, std::size_t piece, std::size_t address_limit = 2048) {
  QmqpReader reader{address_limit};
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    auto in = std::string_view{text}.substr(at, piece);
    for (;;) {
      const auto event = reader.next(in);
      if (event.part == QmqpReader::Part::More) break;
      if (event.part == QmqpReader::Part::Content) out += event.bytes;
      if (event.part == QmqpReader::Part::Sender || event.part == QmqpReader::Part::Recipient)
        out.append("|").append(event.bytes);
      if (event.part == QmqpReader::Part::End) return out + "|end" + (in.empty() ? "" : "+");
      if (event.part == QmqpReader::Part::Malformed) return out + "|malformed";
      if (event.part == QmqpReader::Part::TooLong) return out + "|long";
    }
  }
  return out + "|more";
}

TEST(Netstring, IsWrittenAndRead) {
  EXPECT_EQ(net("hello"), "5:hello,");
  EXPECT_EQ(net(""), "0:,");
  const auto found = take_netstring("5:hello,rest", 5);
  EXPECT_EQ(found.state, Netstring::State::Complete);
  EXPECT_EQ(found.bytes, "hello");
  EXPECT_EQ(found.length, 8u);
  for (const auto *part : {"", "5", "5:", "5:hello"})
    EXPECT_EQ(take_netstring(part, 9).state, Netstring::State::More) << part;
  for (const auto *bad : {":", "x", "05:hello,", "00:,", "5:hello;", "6:hello!,", "-1:", "9999999999999999999:"})
    EXPECT_EQ(take_netstring(bad, 5).state, Netstring::State::Malformed) << bad;
}

TEST(QmqpReader, TellsTheSameHoweverTheRequestIsCut) {
  const auto text = request("Subject: x\n\nbody\n", {"a@b.example", "c@d.example", "e@f.example"});
  for (std::size_t piece = 1; piece <= text.size(); ++piece)
    EXPECT_EQ(told(text, piece), "Subject: x\n\nbody\n|a@b.example|c@d.example|e@f.example|end");
}

TEST(QmqpReader, KnowsTheSizeBeforeTheContent) {
  QmqpReader reader;
  std::string_view in = "40:3:abc,";
  EXPECT_EQ(reader.next(in).part, QmqpReader::Part::Size);
  EXPECT_EQ(reader.content_size(), 3u);
  EXPECT_EQ(reader.next(in).bytes, "abc");
}

TEST(QmqpReader, TakesEmptyPartsAndNoRecipients) {
  EXPECT_EQ(told(request("", {"", "a@b"}), 3), "||a@b|end");
  EXPECT_EQ(told(request("x", {""}), 3), "x||end");
  EXPECT_EQ(told(request("x", {"a@b"}) + "more", 99), "x|a@b|end+");
}

TEST(QmqpReader, RefusesLengthsThatDoNotAddUp) {
  EXPECT_EQ(told("x", 1), "|malformed");
  EXPECT_EQ(told(net(net("x")), 1), "x|malformed");  // no sender
  EXPECT_EQ(told("0:,", 1), "|malformed");
  EXPECT_EQ(told("12:1:x,0:,3:a@b,,", 1), "x||malformed");  // the last one ends outside
  EXPECT_EQ(told("11:1:x,0:,3:a@b,,", 1), "x||malformed");
  EXPECT_EQ(told("14:1:x,0:,3:a@b,0,,", 1), "x||a@b|malformed");  // a length without its colon
  EXPECT_EQ(told("13:1:x,0:,3:a@b,;", 1), "x||a@b|malformed");
  EXPECT_EQ(told("13:1:x;0:,3:a@b,,", 1), "x|malformed");
  EXPECT_EQ(told("13:01:x0:,3:a@b,,", 1), "|malformed");
}

TEST(QmqpReader, BoundsAddresses) {
  EXPECT_EQ(told(request("x", {"12345", "a"}), 2, 5), "x|12345|a|end");
  EXPECT_EQ(told(request("x", {"123456", "a"}), 2, 5), "x|long");
}

}  // namespace
}  // namespace mansio
