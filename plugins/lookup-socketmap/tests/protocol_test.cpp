#include "plugins/lookup-socketmap/protocol.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mansio::lookup {
namespace {

using State = Netstring::State;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Netstring, IsLengthColonContentComma) {
  EXPECT_EQ(netstring("hello world"), "11:hello world,");
  EXPECT_EQ(netstring(""), "0:,");
  const auto n = parse_netstring("5:hello,rest", 100);
  EXPECT_EQ(n.state, State::Complete);
  EXPECT_EQ(n.content, "hello");
  EXPECT_EQ(n.size, 8u);
}

TEST(Netstring, IsPartialUntilItsComma) {
  const std::string whole = "5:hello,";
  for (std::size_t n = 0; n < whole.size(); ++n)
    EXPECT_EQ(parse_netstring(whole.substr(0, n), 100).state, State::Partial) << n;
}

TEST(Netstring, IsBadOtherwise) {
  for (const auto *bytes : {":a,", "a:b,", "-1:a,", "1:ab", "101:", "99999999999999999999", "1 :a,"})
    EXPECT_EQ(parse_netstring(bytes, 100).state, State::Bad) << bytes;
  EXPECT_EQ(parse_netstring("100:", 100).state, State::Partial);
}

TEST(Answer, HasFiveForms) {
  EXPECT_THAT(parse_answer("OK a value with blanks ")->values, ElementsAre("a value with blanks "));
  EXPECT_EQ(parse_answer("OK ")->outcome, Answer::Outcome::NotFound);
  EXPECT_EQ(parse_answer("NOTFOUND ")->outcome, Answer::Outcome::NotFound);
  EXPECT_EQ(parse_answer("NOTFOUND")->outcome, Answer::Outcome::NotFound);
  for (const auto *text : {"TEMP sql is down", "TIMEOUT slow", "PERM no such map"}) {
    const auto answer = parse_answer(text).value();
    EXPECT_EQ(answer.outcome, Answer::Outcome::TryLater);
    EXPECT_THAT(answer.text, HasSubstr(text));
  }
  for (const auto *text : {"", "ok x", "OKx", "ERROR", " OK x"}) EXPECT_FALSE(parse_answer(text)) << text;
}

TEST(Answer, KeepsControlCharactersOutOfTheLog) { EXPECT_THAT(parse_answer("TEMP a\nb")->text, HasSubstr("a?b")); }

}  // namespace
}  // namespace mansio::lookup
