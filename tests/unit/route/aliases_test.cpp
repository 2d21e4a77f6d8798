// Virtual aliases: who gets mail for whom, in the end.
#include "kernel/route/aliases.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/route/fake_tables.hpp"

namespace mansio::route {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class AliasesTest : public ::testing::Test {
 protected:
  AliasesTest() {
    settings_.myhostname = "mx.example.org";
    settings_.mydestination = {"example.org"};
    settings_.virtual_alias_maps = {"virtual"};
    settings_.recipient_delimiter = "+";
    add_table("virtual");
  }
  void add_table(std::string name, bool partial_keys = true) {
    auto &lookup = settings_.lookups.emplace_back();
    lookup.name = std::move(name);
    lookup.partial_keys = partial_keys;
  }
  std::string &entry(const std::string &key) { return tables_.tables["virtual"][key]; }
  Expansion expand(std::string address) {
    const OwnDomains own{settings_, {}};
    const DomainTables domains{settings_, own};
    const Aliases aliases{settings_, domains};
    Search search{loop_, clock_, tables_};
    return testing::run(loop_, aliases.expand(search, std::move(address)));
  }
  std::vector<std::string> recipients(std::string address) { return expand(std::move(address)).addresses; }

  asio::io_context loop_;
  VirtualClock clock_;
  testing::FakeTables tables_{loop_};
  config::Settings settings_;
};

TEST_F(AliasesTest, WhatNoTableHasStaysAsItIs) {
  const auto expansion = expand("alice@example.com");
  EXPECT_THAT(expansion.addresses, ElementsAre("alice@example.com"));
  EXPECT_FALSE(expansion.alias);
  EXPECT_FALSE(expansion.later);
}

TEST_F(AliasesTest, AliasesOfAliasesAreFollowed) {
  entry("team@example.com") = "alice@example.com, bob@example.com";
  entry("alice@example.com") = "alice@host.example";
  const auto expansion = expand("team@example.com");
  EXPECT_THAT(expansion.addresses, ElementsAre("bob@example.com", "alice@host.example"));
  EXPECT_TRUE(expansion.alias);
}

TEST_F(AliasesTest, AnswersThatComeAtOnceAreAnswers) {
  tables_.at_once = true;
  entry("alice@example.com") = "bob@example.com";
  EXPECT_THAT(recipients("alice@example.com"), ElementsAre("bob@example.com"));
}

TEST_F(AliasesTest, AnAddressInItsOwnExpansionIsAMailbox) {
  entry("alice@example.com") = "alice@example.com, archive@example.com";
  EXPECT_THAT(recipients("alice@example.com"), ElementsAre("alice@example.com", "archive@example.com"));
  entry("x@example.com") = "y@example.com";
  entry("y@example.com") = "X@example.com";
  EXPECT_THAT(recipients("x@example.com"), ElementsAre("X@example.com"));
}

TEST_F(AliasesTest, WhatTwoMembersLeadToIsDeliveredOnce) {
  entry("all@example.com") = "a@example.com, b@example.com";
  entry("a@example.com") = "shared@example.com";
  entry("b@example.com") = "shared@example.com";
  entry("shared@example.com") = "box@host.example";
  EXPECT_THAT(recipients("all@example.com"), ElementsAre("box@host.example"));
}

TEST_F(AliasesTest, TheExtensionIsSearchedWithAndThenWithoutAndPropagated) {
  entry("alice@example.com") = "bob@example.net";
  EXPECT_THAT(recipients("alice+x@example.com"), ElementsAre("bob+x@example.net"));
  entry("alice+x@example.com") = "carol@example.net";
  EXPECT_THAT(recipients("alice+x@example.com"), ElementsAre("carol@example.net"));
  settings_.propagate_unmatched_extensions = {};
  EXPECT_THAT(recipients("alice+y@example.com"), ElementsAre("bob@example.net"));
}

TEST_F(AliasesTest, UsersAloneAreThoseOfOwnDomains) {
  entry("root") = "admin@example.net";
  EXPECT_THAT(recipients("root@example.org"), ElementsAre("admin@example.net"));
  EXPECT_THAT(recipients("root@mx.example.org"), ElementsAre("admin@example.net"));
  EXPECT_THAT(recipients("root@example.com"), ElementsAre("root@example.com"));
}

TEST_F(AliasesTest, UsersAloneAreThoseOfDomainsThatATableCallsOwn) {
  settings_.mydestination_maps = {"domains"};
  add_table("domains");
  tables_.tables["domains"]["example.com"] = "yes";
  entry("root") = "admin@example.net";
  EXPECT_THAT(recipients("root@example.com"), ElementsAre("admin@example.net"));
  tables_.down = {"domains"};
  EXPECT_TRUE(expand("root@example.com").later);
}

TEST_F(AliasesTest, ADomainCanBeMovedAsAWhole) {
  entry("@example.com") = "@example.net";
  EXPECT_THAT(recipients("anyone@example.com"), ElementsAre("anyone@example.net"));
  EXPECT_THAT(recipients("anyone+x@example.com"), ElementsAre("anyone+x@example.net"));
}

TEST_F(AliasesTest, TablesOfPatternsAreAskedForWholeAddressesOnly) {
  settings_.lookups[0].partial_keys = false;
  entry("@example.com") = "@example.net";
  EXPECT_THAT(recipients("Anyone+x@example.com"), ElementsAre("Anyone+x@example.com"));
  EXPECT_THAT(tables_.asked, ElementsAre("virtual:Anyone+x@example.com"));
}

TEST_F(AliasesTest, ACombinationWithPatternsIsAskedForWholeAddressesOnly) {
  add_table("patterns", false);
  add_table("both");
  settings_.lookups.back().unionmap = {"virtual", "patterns"};
  settings_.virtual_alias_maps = {"both"};
  recipients("alice@example.com");
  EXPECT_THAT(tables_.asked, ElementsAre("both:alice@example.com"));
}

TEST_F(AliasesTest, KeysAreAskedInLowerCase) {
  entry("alice@example.com") = "bob@example.net";
  EXPECT_THAT(recipients("Alice@example.com"), ElementsAre("bob@example.net"));
}

TEST_F(AliasesTest, EachKeyIsSearchedInEachTableBeforeTheNext) {
  settings_.virtual_alias_maps = {"virtual", "more"};
  add_table("more");
  recipients("a@example.com");
  EXPECT_THAT(tables_.asked,
              ElementsAre("virtual:a@example.com", "more:a@example.com", "virtual:@example.com", "more:@example.com"));
}

TEST_F(AliasesTest, ATableThatCannotSayEndsTheSearch) {
  settings_.virtual_alias_maps = {"virtual", "more"};
  add_table("more");
  tables_.tables["more"]["alice@example.com"] = "bob@example.net";
  tables_.down = {"virtual"};
  const auto expansion = expand("alice@example.com");
  EXPECT_TRUE(expansion.later);
  EXPECT_THAT(expansion.text, HasSubstr("connection refused"));
  EXPECT_THAT(tables_.asked, Not(Contains("more:alice@example.com")));
}

TEST_F(AliasesTest, AMemberThatCannotBeFoundKeepsTheWholeListWaiting) {
  settings_.virtual_alias_maps = {"virtual"};
  entry("team@example.com") = "alice@example.com, bob@slow.example";
  entry("bob@slow.example") = "not an address";
  const auto expansion = expand("team@example.com");
  EXPECT_TRUE(expansion.later);
  EXPECT_THAT(expansion.text, HasSubstr("table virtual, for bob@slow.example"));
}

TEST_F(AliasesTest, RecursionHasALimit) {
  settings_.virtual_alias_recursion_limit = 3;
  for (int i = 0; i < 4; ++i)
    entry("a" + std::to_string(i) + "@example.com") = "a" + std::to_string(i + 1) + "@example.com";
  EXPECT_THAT(recipients("a1@example.com"), ElementsAre("a4@example.com"));
  const auto expansion = expand("a0@example.com");
  EXPECT_TRUE(expansion.later);
  EXPECT_THAT(expansion.text, HasSubstr("virtual_alias_recursion_limit (3) is reached with a0@example.com"));
}

TEST_F(AliasesTest, ExpansionHasALimit) {
  settings_.virtual_alias_expansion_limit = 3;
  entry("three@example.com") = "a@x.example, b@x.example, c@x.example";
  entry("four@example.com") = "a@x.example, b@x.example, c@x.example, d@x.example";
  EXPECT_EQ(recipients("three@example.com").size(), 3u);
  const auto expansion = expand("four@example.com");
  EXPECT_TRUE(expansion.later);
  EXPECT_THAT(expansion.text, HasSubstr("virtual_alias_expansion_limit (3) is reached with four@example.com"));
}

TEST_F(AliasesTest, AListWhoseEveryMemberIsAnAliasMayBeAsLongAsTheLimit) {
  settings_.virtual_alias_expansion_limit = 100;
  for (int i = 0; i < 100; ++i) {
    entry("all@example.com") += "m" + std::to_string(i) + "@example.com,";
    entry("m" + std::to_string(i) + "@example.com") = "box" + std::to_string(i) + "@host.example";
  }
  EXPECT_EQ(recipients("all@example.com").size(), 100u);
}

TEST_F(AliasesTest, ASearchHasADeadline) {
  entry("alice@example.com") = "bob@example.com";
  const OwnDomains own{settings_, {}};
  const DomainTables domains{settings_, own};
  const Aliases aliases{settings_, domains};
  Search search{loop_, clock_, tables_};
  clock_.advance(3600 * kSecond);
  EXPECT_TRUE(testing::run(loop_, aliases.expand(search, "alice@example.com")).later);
}

}  // namespace
}  // namespace mansio::route
