// Lines and entries of text tables, and texthash.
#include "mansio/text_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/lookup-file/tests/tables.hpp"

namespace mansio::lookup {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(TextTable, FindsWhatIsThereAndNothingElse) {
  const auto table = good(TableType::Text, "alice bob\nexample.com\t smtp:[mx.test] \n");
  EXPECT_EQ(value(*table, "alice"), "bob");
  EXPECT_EQ(value(*table, "example.com"), "smtp:[mx.test]");
  EXPECT_EQ(value(*table, "carol"), "-");
  EXPECT_EQ(value(*table, ""), "-");
}

TEST(TextTable, FoldsTheCaseOfKeysUnlessToldNotTo) {
  EXPECT_EQ(value(*good(TableType::Text, "Alice Bob"), "aLICE"), "Bob");
  const auto exact = parse_text_table("Alice Bob", false);
  EXPECT_EQ(value(*exact.table, "alice"), "-");
  EXPECT_EQ(value(*exact.table, "Alice"), "Bob");
}

TEST(TextTable, ContinuesLinesThatBeginWithWhiteSpace) {
  const auto table = good(TableType::Text,
                          "# a comment\n\n"
                          "list one,\r\n"
                          "  # not the end of the line before\n"
                          "   \n"
                          "  two,\n"
                          "\tthree\n"
                          "next x");
  EXPECT_EQ(value(*table, "list"), "one,  two,\tthree");
  EXPECT_EQ(value(*table, "next"), "x");
}

TEST(TextTable, TakesWhiteSpaceWithinQuotesIntoTheKey) {
  const auto table = good(TableType::Text, "\"a b\"@example.com x\n\"c\\\" d\"@example.com y\n");
  EXPECT_EQ(value(*table, "\"a b\"@example.com"), "x");
  EXPECT_EQ(value(*table, "\"c\\\" d\"@example.com"), "y");
}

TEST(TextTable, NamesTheLineOfEachProblem) {
  EXPECT_THAT(problems(TableType::Text, "  too early\na b\nlonely\n\"open x\na c\n"),
              ElementsAre(HasSubstr("1 begins with white space"), HasSubstr("3 has no value"),
                          HasSubstr("4 has a \" that is not closed"), HasSubstr("5 has the key \"a\" once more")));
  EXPECT_THAT(problems(TableType::Text, std::string_view{"a b\0c\n", 6}), ElementsAre(HasSubstr("1 has a NUL byte")));
}

TEST(TextTable, MayBeEmpty) { EXPECT_EQ(value(*good(TableType::Text, "# nothing yet\n"), "a"), "-"); }

}  // namespace
}  // namespace mansio::lookup
