// Where the parts of a message are, whatever was done to it.
#include "plugins/mime-common/walk.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "plugins/mime-common/tests/text_source.hpp"

namespace mansio::mime::testing {
namespace {

using ::testing::ElementsAre;

// "depth: first header line [body]" of each part, and how the walk ended where that was at a limit.
std::vector<std::string> parts(const std::string &message, std::size_t piece = 1 << 20) {
  TextSource source{message, piece};
  auto walk = std::make_unique<Walk>();
  std::vector<std::string> found;
  Entity part;
  Step step;
  while ((step = walk->next(source, part)) == Step::Part) {
    const auto header = source.range(part.header_begin, part.header_end);
    std::string line{header.substr(0, header.find("\r\n"))};
    line = std::to_string(part.depth) + ": " + line;
    if (!part.container) line += " [" + std::string{source.range(part.body_begin, walk->end_of_body(source))} + "]";
    found.push_back(line);
    EXPECT_EQ(part.number, found.size());
  }
  if (step == Step::TooDeep) found.push_back("too deep");
  if (step == Step::TooMany) found.push_back("too many");
  if (step == Step::TooLong) found.push_back("too long");
  EXPECT_EQ(walk->next(source, part), Step::End);
  return found;
}

std::string multipart(const std::string &subtype, const std::string &boundary, const std::vector<std::string> &inside,
                      bool closed = true) {
  auto text = "Content-Type: multipart/" + subtype + "; boundary=" + boundary + "\r\n\r\n";
  for (const auto &part : inside) text += "--" + boundary + "\r\n" + part + "\r\n";
  return closed ? text + "--" + boundary + "--\r\n" : text;
}

TEST(Walk, OfAPlainMessageIsOnePart) {
  EXPECT_THAT(parts("Subject: a\r\n\r\nbody\r\n"), ElementsAre("1: Subject: a [body\r\n]"));
  EXPECT_THAT(parts("Subject: a\r\n"), ElementsAre("1: Subject: a []"));
  EXPECT_THAT(parts("\r\nbody"), ElementsAre("1:  [body]"));
  EXPECT_THAT(parts(""), ElementsAre("1:  []"));
}

TEST(Walk, GoesDepthFirst) {
  const auto embedded = "Content-Type: message/rfc822\r\n\r\nSubject: inside\r\n" +
                        multipart("alternative", "two", {"X: a\r\n\r\nA", "X: b\r\n\r\nB"});
  const auto message =
      "MIME-Version: 1.0\r\n" + multipart("mixed", "one", {"X: 1\r\n\r\nfirst\r\nline", embedded, "X: 2\r\n\r\n"});
  for (const std::size_t piece : {1u, 7u, 100000u})
    EXPECT_THAT(parts(message, piece),
                ElementsAre("1: MIME-Version: 1.0", "2: X: 1 [first\r\nline]", "2: Content-Type: message/rfc822",
                            "3: Subject: inside", "4: X: a [A]", "4: X: b [B]", "2: X: 2 []"));
}

TEST(Walk, MixedInAlternativeInAMessage) {
  const auto mixed = multipart("mixed", "in", {"X: 1\r\n\r\n1", "X: 2\r\n\r\n2"});
  const auto message =
      "Content-Type: Message/RFC822 (a copy)\r\n\r\n" + multipart("alternative", "out", {"X: t\r\n\r\ntext", mixed});
  EXPECT_THAT(
      parts(message),
      ElementsAre("1: Content-Type: Message/RFC822 (a copy)", "2: Content-Type: multipart/alternative; boundary=out",
                  "3: X: t [text]", "3: Content-Type: multipart/mixed; boundary=in", "4: X: 1 [1]", "4: X: 2 [2]"));
}

TEST(Walk, LeavesPreambleAndEpilogueOut) {
  EXPECT_THAT(
      parts("Content-Type: multipart/mixed; boundary=\"a b \"\r\n\r\npreamble\r\n\r\n--a b  \t\r\nX: 1\r\n\r\nbody\r\n"
            "--a b--\r\nepilogue\r\n--a b\r\nX: none\r\n\r\n"),
      ElementsAre("1: Content-Type: multipart/mixed; boundary=\"a b \"", "2: X: 1 [body]"));
}

TEST(Walk, GoesOnWhereADelimiterIsMissing) {
  const auto open = multipart("mixed", "in", {"X: 1\r\n\r\none", "X: 2\r\n\r\ntwo"}, false);
  EXPECT_THAT(parts(open),
              ElementsAre("1: Content-Type: multipart/mixed; boundary=in", "2: X: 1 [one]", "2: X: 2 [two\r\n]"));
  // What is around it goes on.
  EXPECT_THAT(
      parts(multipart("mixed", "out", {open, "X: 3\r\n\r\nthree"})),
      ElementsAre("1: Content-Type: multipart/mixed; boundary=out", "2: Content-Type: multipart/mixed; boundary=in",
                  "3: X: 1 [one]", "3: X: 2 [two\r\n]", "2: X: 3 [three]"));
  // Cut off within a header section, and behind a delimiter.
  EXPECT_THAT(parts("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: 1\r\nY"),
              ElementsAre("1: Content-Type: multipart/mixed; boundary=b", "2: X: 1 []"));
  EXPECT_THAT(parts("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b"),
              ElementsAre("1: Content-Type: multipart/mixed; boundary=b", "2:  []"));
}

TEST(Walk, EndsAHeaderSectionAtADelimiter) {
  EXPECT_THAT(parts(multipart("mixed", "b", {"X: 1", "X: 2\r\n\r\ntwo"})),
              ElementsAre("1: Content-Type: multipart/mixed; boundary=b", "2: X: 1 []", "2: X: 2 [two]"));
  EXPECT_THAT(
      parts(multipart("mixed", "b", {"Content-Type: message/rfc822", "X: 2\r\n\r\ntwo"})),
      ElementsAre("1: Content-Type: multipart/mixed; boundary=b", "2: Content-Type: message/rfc822", "2: X: 2 [two]"));
}

TEST(Walk, TakesTheLongestBoundaryThatALineBeginsWith) {
  const auto inner = multipart("mixed", "ab", {"X: 1\r\n\r\n--a\r\n--", "X: 2\r\n\r\n2"});
  EXPECT_THAT(
      parts("Content-Type: multipart/mixed; boundary=abc\r\n\r\n--abc\r\n" + inner +
            "--abc\r\nX: 3\r\n\r\n3\r\n--abc--\r\n"),
      ElementsAre("1: Content-Type: multipart/mixed; boundary=abc", "2: Content-Type: multipart/mixed; boundary=ab",
                  "3: X: 1 [--a\r\n--]", "3: X: 2 [2]", "2: X: 3 [3]"));
  const std::string longer(300, 'l');
  EXPECT_THAT(parts(multipart("mixed", longer, {"X: 1\r\n\r\n1"})).at(1), "2: X: 1 [1]");
}

TEST(Walk, DoesNotEnterWhatIsEncodedOrHasNoBoundary) {
  EXPECT_THAT(parts("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: BASE64\r\n\r\nQTog\r\n"),
              ElementsAre("1: Content-Type: message/rfc822 [QTog\r\n]"));
  EXPECT_THAT(parts("Content-Type: multipart/mixed\r\n\r\n--\r\n\r\n"),
              ElementsAre("1: Content-Type: multipart/mixed [--\r\n\r\n]"));
}

TEST(Walk, TakesAPartOfADigestForAMessage) {
  EXPECT_THAT(parts(multipart("digest", "b", {"\r\nSubject: a\r\n\r\nA", "Content-Type: text/plain\r\n\r\nB"})),
              ElementsAre("1: Content-Type: multipart/digest; boundary=b", "2: ", "3: Subject: a [A]",
                          "2: Content-Type: text/plain [B]"));
}

TEST(Walk, ReadsFoldedFieldsAndLongLines) {
  const std::string line(20000, 'x');
  EXPECT_THAT(parts("X: " + line + "\r\nContent-Type:\r\n multipart/mixed;\r\n\tboundary=b\r\n\r\n--b\r\nX: 1\r\n\r\n" +
                    line + "\r\n--b--\r\n")
                  .at(1),
              "2: X: 1 [" + line + "]");
  // The line break is no part of the body wherever the buffer ends.
  for (std::size_t n = 8150; n < 8250; ++n) {
    const std::string body(n, 'x');
    ASSERT_EQ(parts("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + body + "\r\n--b--\r\n").at(1),
              "2:  [" + body + "]");
  }
}

std::string nested(int levels) {
  std::string text = "X: core\r\n\r\ncore";
  for (int i = levels; i > 1; --i) text = multipart("mixed", "level" + std::to_string(i) + "x", {text});
  return text;
}

TEST(Walk, HasLimitsThatItTellsOf) {
  const auto deep = parts(nested(64));
  ASSERT_EQ(deep.size(), 64u);
  EXPECT_EQ(deep.back(), "64: X: core [core]");
  EXPECT_EQ(parts(nested(65)).back(), "too deep");

  auto many = parts(multipart("mixed", "b", std::vector<std::string>(9'999, "\r\nx")));
  EXPECT_EQ(many.size(), 10'000u);
  EXPECT_EQ(many.back(), "2:  [x]");
  many = parts(multipart("mixed", "b", std::vector<std::string>(10'000, "\r\nx")));
  EXPECT_EQ(many.size(), 10'001u);
  EXPECT_EQ(many.back(), "too many");

  EXPECT_THAT(parts("Content-Type: multipart/mixed;\r\n x=" + std::string(17 << 10, 'x') + "\r\n\r\n"),
              ElementsAre("too long"));
}

TEST(Walk, IsOverWhenTheMessageCannotBeRead) {
  struct Broken final : Source {
    std::size_t read(std::uint64_t, char *, std::size_t) override { throw std::runtime_error{"gone"}; }
  } broken;
  Walk walk;
  Entity part;
  EXPECT_THROW(walk.next(broken, part), std::runtime_error);
  EXPECT_EQ(walk.next(broken, part), Step::End);
}

}  // namespace
}  // namespace mansio::mime::testing
