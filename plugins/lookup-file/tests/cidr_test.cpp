// cidr_table(5).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/lookup-file/tests/tables.hpp"

namespace mansio::lookup {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(CidrTable, AnswersWithTheFirstNetworkThatHasTheAddress) {
  const auto table = good(TableType::Cidr,
                          "192.0.2.1 exact\n"
                          "192.0.2.0/25 low\n"
                          "192.0.2.0/24 whole\n"
                          "2001:db8::/33 six\n"
                          "0.0.0.0/0 any four\n");
  EXPECT_EQ(value(*table, "192.0.2.1"), "exact");
  EXPECT_EQ(value(*table, "192.0.2.127"), "low");
  EXPECT_EQ(value(*table, "192.0.2.128"), "whole");
  EXPECT_EQ(value(*table, "198.51.100.1"), "any four");
  EXPECT_EQ(value(*table, "2001:db8:7fff::1"), "six");
  EXPECT_EQ(value(*table, "2001:db8:8000::1"), "-");
}

TEST(CidrTable, ComparesAddressesNotTheirText) {
  const auto table = good(TableType::Cidr, "[2001:db8::]/32 a\n[2001:db9::1] b\n::ffff:192.0.2.1 mapped\n");
  EXPECT_EQ(value(*table, "2001:0DB8:0:0::1"), "a");
  EXPECT_EQ(value(*table, "[2001:db9:0::1]"), "b");
  EXPECT_EQ(value(*table, "192.0.2.1"), "-");
}

TEST(CidrTable, FindsNothingForWhatIsNoAddress) {
  const auto table = good(TableType::Cidr, "0.0.0.0/0 x\n::/0 y\n");
  for (const auto *key : {"", "example.com", "1.2.3", "1.2.3.4/32", "1.2.3.4 ", "::1%eth0"})
    EXPECT_EQ(value(*table, key), "-") << key;
}

TEST(CidrTable, NegatesAndPassesOverBlocks) {
  const auto table = good(TableType::Cidr,
                          "if 10.0.0.0/8\n"
                          "10.1.0.0/16 inner\n"
                          "if !10.2.0.0/16\n"
                          "10.0.0.0/8 not two\n"
                          "endif\n"
                          "10.2.2.2 two\n"
                          "ENDIF\n"
                          "!192.0.2.0/24 outside\n"
                          "192.0.2.0/24 inside\n");
  EXPECT_EQ(value(*table, "10.1.9.9"), "inner");
  EXPECT_EQ(value(*table, "10.3.0.1"), "not two");
  EXPECT_EQ(value(*table, "10.2.2.2"), "two");
  EXPECT_EQ(value(*table, "10.2.2.3"), "outside");
  EXPECT_EQ(value(*table, "11.0.0.1"), "outside");
  EXPECT_EQ(value(*table, "192.0.2.3"), "inside");
}

TEST(CidrTable, NamesTheLineOfEachProblem) {
  EXPECT_THAT(problems(TableType::Cidr,
                       "192.0.2.1/24 x\n"
                       "192.0.2.0/33 x\n"
                       "192.0.2.0/ x\n"
                       "192.0.2 x\n"
                       "192.0.2.0/24\n"
                       "endif\n"
                       "if 10.0.0.0/8 x\n"
                       "if 10.0.0.0/8\n"),
              ElementsAre(HasSubstr("1 has \"192.0.2.1/24\" with bits set beyond"), HasSubstr("2 has"),
                          HasSubstr("from 0 to 32"), HasSubstr("4 has \"192.0.2\", expected an address"),
                          HasSubstr("5 has no result"), HasSubstr("6 has an \"endif\" without"),
                          HasSubstr("7 has text after"), HasSubstr("8 has an \"if\" without")));
}

}  // namespace
}  // namespace mansio::lookup
