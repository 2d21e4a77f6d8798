#include "plugins/lookup-common/table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mansio::lookup {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Answer answer(const Table &table, std::string_view key, const std::vector<std::string> &values) {
  const auto asked = table.key(key);
  if (!asked) return Answer::not_found();
  Table::Values found{table, *asked};
  for (const auto &value : values)
    if (!found.add(value)) break;
  return std::move(found).answer();
}

TEST(Table, WithDomainsAsksForAddressesInThemOnly) {
  const Table table{true, {"Example.com", "example.net"}, "%s", 0};
  EXPECT_EQ(table.key("User@EXAMPLE.com"), "user@example.com");
  EXPECT_TRUE(table.key("a@example.net"));
  for (const auto *key : {"a@example.org", "a@sub.example.com", "user", "example.com", "@example.com", "a@", ""})
    EXPECT_EQ(table.key(key), std::nullopt) << key;
}

TEST(Table, WithoutDomainsAsksForEveryKeyButTheEmptyOne) {
  const Table table{false, {}, "%s", 0};
  EXPECT_EQ(table.key("User"), "User");
  EXPECT_EQ(table.key("@example.com"), "@example.com");
  EXPECT_EQ(table.key(""), std::nullopt);
}

TEST(Table, DoesNotAskForKeysThatTheResultFormatHasNoUseFor) {
  const Table table{true, {}, "%s@%D", 0};
  EXPECT_TRUE(table.key("a@b.example"));
  EXPECT_EQ(table.key("a"), std::nullopt);
}

TEST(Table, FormatsEachValueAndLeavesOutTheOnesThatDoNotFit) {
  const Table table{true, {}, "smtp:[%d]", 0};
  EXPECT_THAT(answer(table, "k", {"a@one.test", "unqualified", "", "b@two.test"}).values,
              ElementsAre("smtp:[one.test]", "smtp:[two.test]"));
  EXPECT_EQ(answer(table, "k", {"unqualified"}).outcome, Answer::Outcome::NotFound);
}

TEST(Table, EndsInTryLaterBeyondTheExpansionLimit) {
  const Table table{true, {}, "%s", 2};
  EXPECT_THAT(answer(table, "k", {"a", "", "b"}).values, ElementsAre("a", "b"));
  const auto many = answer(table, "k", {"a", "b", "c"});
  EXPECT_EQ(many.outcome, Answer::Outcome::TryLater);
  EXPECT_THAT(many.text, HasSubstr("expansion_limit"));
}

TEST(Table, RefusesOptionsThatMeanNothing) {
  EXPECT_THROW(Table(true, {"hash:/etc/domains"}, "%s", 0), plugin::BadConfig);
  EXPECT_THROW(Table(true, {}, "%s", -1), plugin::BadConfig);
  EXPECT_THROW(Table(true, {}, "%q", 0), plugin::BadConfig);
}

}  // namespace
}  // namespace mansio::lookup
