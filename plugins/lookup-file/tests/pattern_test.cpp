// regexp_table(5) and pcre_table(5): what they share is tested with both.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/lookup-file/tests/tables.hpp"

namespace mansio::lookup {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Patterns : public testing::TestWithParam<TableType> {};

TEST_P(Patterns, TheFirstMatchDecides) {
  const auto table = good(GetParam(), "/^postmaster@/ OK\n/@example\\.com$/ one\n/com/ two\n");
  EXPECT_EQ(value(*table, "postmaster@example.com"), "OK");
  EXPECT_EQ(value(*table, "a@example.com"), "one");
  EXPECT_EQ(value(*table, "a@examplexcom"), "two");
  EXPECT_EQ(value(*table, "a@example.org"), "-");
  EXPECT_EQ(value(*table, ""), "-");
}

TEST_P(Patterns, IgnoreCaseUntilToldOtherwise) {
  const auto table = good(GetParam(), "/^abc$/i exact\n/^ABC$/ any\n");
  EXPECT_EQ(value(*table, "abc"), "exact");
  EXPECT_EQ(value(*table, "aBc"), "any");
}

TEST_P(Patterns, PutGroupsIntoTheResult) {
  const auto table = good(GetParam(), "/^(.*)-(x)?outgoing@(.*)$/ 550 Use $1@${3}, not $(2)$(1)$$1\n");
  EXPECT_EQ(value(*table, "list-outgoing@example.com"), "550 Use list@example.com, not list$1");
}

TEST_P(Patterns, MayBeDelimitedByOtherCharacters) {
  const auto table = good(GetParam(), "|a/b| pipe\n/c\\/d/ slash\n");
  EXPECT_EQ(value(*table, "a/b"), "pipe");
  EXPECT_EQ(value(*table, "c/d"), "slash");
}

TEST_P(Patterns, NegateAndPassOverBlocks) {
  const auto table = good(GetParam(),
                          "if /@example\\.com$/\n"
                          "/^info/ info\n"
                          "if !/^(a|b)/\n"
                          "/./ neither\n"
                          "endif\n"
                          "/^a/ a\n"
                          "endif\n"
                          "!/@/ local\n"
                          "! /org$/ not org\n");
  EXPECT_EQ(value(*table, "info@example.com"), "info");
  EXPECT_EQ(value(*table, "c@example.com"), "neither");
  EXPECT_EQ(value(*table, "a@example.com"), "a");
  EXPECT_EQ(value(*table, "b@example.com"), "not org");
  EXPECT_EQ(value(*table, "user"), "local");
  EXPECT_EQ(value(*table, "x@example.org"), "-");
}

TEST_P(Patterns, FindNothingForAKeyWithANulByte) {
  EXPECT_EQ(value(*good(GetParam(), "/./ x\n"), std::string_view{"a\0b", 3}), "-");
}

TEST_P(Patterns, ContinueLines) { EXPECT_EQ(value(*good(GetParam(), "/a/\n  one\n  two\n"), "a"), "one  two"); }

TEST_P(Patterns, NameTheLineOfEachProblem) {
  EXPECT_THAT(
      problems(GetParam(),
               "/(/ x\n"
               "/a x\n"
               "// x\n"
               "word x\n"
               "/a/\n"
               "/a/ $1\n"
               "!/(a)/ $1\n"
               "/a/ $x\n"
               "/a/Q x\n"
               "endif\n"
               "if /a/ x\n"
               "if /a/\n"),
      ElementsAre(HasSubstr("1 has a pattern that is not valid"), HasSubstr("2 has a pattern without a closing"),
                  HasSubstr("3 has an empty pattern"), HasSubstr("4 has no pattern"), HasSubstr("5 has no result"),
                  HasSubstr("6 names group $1 of a pattern with 0"), HasSubstr("7 has a group"), HasSubstr("8 has a $"),
                  HasSubstr("9 has the flag \"Q\""), HasSubstr("10 has an \"endif\""), HasSubstr("11 has text after"),
                  HasSubstr("12 has an \"if\" without")));
}

INSTANTIATE_TEST_SUITE_P(Both, Patterns, testing::Values(TableType::Regexp, TableType::Pcre),
                         [](const auto &p) { return p.param == TableType::Pcre ? "Pcre" : "Regexp"; });

TEST(RegexpTable, KnowsBasicExpressionsByFlag) {
  EXPECT_EQ(value(*good(TableType::Regexp, "/^a\\(b\\)$/x got $1\n"), "ab"), "got b");
}

TEST(PcreTable, KnowsWhatPosixDoesNot) {
  const auto table = good(TableType::Pcre, "/^(?!root)(?<who>\\w+)@/ $1\n/b.d/s dot\n/E N D/x spaced\n");
  EXPECT_EQ(value(*table, "alice@x"), "alice");
  EXPECT_EQ(value(*table, "root@x"), "-");
  EXPECT_EQ(value(*table, "end"), "spaced");
  EXPECT_EQ(value(*table, "b\nd"), "-") << "s is on until it is toggled";
}

TEST(PcreTable, EndsInTryLaterWhenAMatchTakesTooLong) {
  const auto table = good(TableType::Pcre, "/^(a+)+$/ x\n");
  EXPECT_EQ(value(*table, std::string(64, 'a') + "!"), "later");
  EXPECT_EQ(value(*table, "aaa"), "x");
}

}  // namespace
}  // namespace mansio::lookup
