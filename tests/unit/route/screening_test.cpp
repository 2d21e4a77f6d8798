// Access lists: which tables are asked for what, in which order, and what comes of it.
#include "kernel/route/screening.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/route/fake_tables.hpp"

namespace mansio::route {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ScreeningTest : public ::testing::Test {
 protected:
  ScreeningTest() {
    for (const auto *name : {"one", "two"}) settings_.lookups.emplace_back().name = name;
    smtpd_.client_access_maps = smtpd_.helo_access_maps = smtpd_.sender_access_maps =
        smtpd_.recipient_access_maps = {"one", "two"};
  }
  AccessLists lists() const { return AccessLists{settings_, smtpd_}; }
  Screened client(std::string name, std::string address) {
    Search search{loop_, clock_, tables_};
    const auto all = lists();
    return testing::run(loop_, all.client(search, asker_, std::move(name), std::move(address)));
  }
  Screened sender(std::string address) {
    Search search{loop_, clock_, tables_};
    const auto all = lists();
    return testing::run(loop_, all.sender(search, asker_, std::move(address)));
  }

  asio::io_context loop_;
  VirtualClock clock_;
  testing::FakeTables tables_{loop_};
  config::Settings settings_;
  config::Smtpd smtpd_;
  AccessClient asker_;
};

TEST_F(ScreeningTest, AClientIsKnownByNameParentAddressAndNetwork) {
  smtpd_.client_access_maps = {"one"};
  client("mx.example.com", "192.0.2.1");
  EXPECT_THAT(tables_.asked, ElementsAre("one:mx.example.com", "one:example.com", "one:com", "one:192.0.2.1",
                                         "one:192.0.2", "one:192.0", "one:192"));
}

TEST_F(ScreeningTest, PatternsSeeTheWholeNameAndTheWholeAddress) {
  settings_.lookups[0].partial_keys = false;
  smtpd_.client_access_maps = {"one"};
  client("mx.example.com", "192.0.2.1");
  EXPECT_THAT(tables_.asked, ElementsAre("one:mx.example.com", "one:192.0.2.1"));
}

TEST_F(ScreeningTest, ARefusalNamesWhatIsRefused) {
  tables_.tables["one"]["192.0.2"] = "REJECT 5.7.1 not from there";
  const auto said = client("unknown", "192.0.2.1");
  ASSERT_TRUE(said.refusal);
  EXPECT_EQ(said.refusal->code, 554);
  EXPECT_EQ(said.refusal->text, "<unknown[192.0.2.1]>: Client host rejected: not from there");
  EXPECT_FALSE(said.hang_up);
}

TEST_F(ScreeningTest, TheFirstKeyOfATableThatIsThereCounts) {
  tables_.tables["one"]["192.0.2.1"] = "OK";
  tables_.tables["one"]["192.0.2"] = "REJECT";
  tables_.tables["two"]["192.0.2.1"] = "REJECT";
  EXPECT_FALSE(client("unknown", "192.0.2.1").refusal);
}

TEST_F(ScreeningTest, DunnoGoesOnWithTheNextTable) {
  tables_.tables["one"]["192.0.2.1"] = "DUNNO";
  tables_.tables["one"]["192.0.2"] = "OK";
  tables_.tables["two"]["192.0.2.1"] = "421 4.7.0 go";
  const auto said = client("unknown", "192.0.2.1");
  ASSERT_TRUE(said.refusal);
  EXPECT_EQ(said.refusal->code, 421);
  EXPECT_TRUE(said.hang_up);
}

TEST_F(ScreeningTest, EffectsGatherAndLetTheNextTableSpeak) {
  tables_.tables["one"]["alice@example.com"] = "PREPEND X-One: 1";
  tables_.tables["two"]["alice@example.com"] = "HOLD looks odd";
  const auto said = sender("alice@example.com");
  EXPECT_FALSE(said.refusal);
  EXPECT_EQ(said.effects.prepend, "X-One: 1\r\n");
  EXPECT_TRUE(said.effects.hold);
  ASSERT_EQ(said.notes.size(), 1u);
  EXPECT_EQ(said.notes[0].text, "looks odd");
}

TEST_F(ScreeningTest, RestrictionsSeeTheClient) {
  tables_.tables["one"]["alice@example.com"] = "permit_mynetworks";
  tables_.tables["two"]["alice@example.com"] = "REJECT not from outside";
  EXPECT_TRUE(sender("alice@example.com").refusal);
  asker_.in_mynetworks = true;
  EXPECT_FALSE(sender("alice@example.com").refusal);
}

TEST_F(ScreeningTest, TheNullSenderHasAKey) {
  tables_.tables["one"]["<>"] = "DEFER_IF_PERMIT";
  const auto said = sender("");
  EXPECT_FALSE(said.refusal);
  ASSERT_TRUE(said.defer_if_permit);
  EXPECT_EQ(said.defer_if_permit->code, 450);
}

TEST_F(ScreeningTest, ATableThatCannotSayDefers) {
  tables_.tables["two"]["alice@example.com"] = "OK";
  tables_.down = {"one"};
  const auto said = sender("alice@example.com");
  EXPECT_TRUE(said.later);
  EXPECT_EQ(said.refusal, (Refusal{451, {4, 3, 0}, "Temporary lookup failure"}));
}

TEST_F(ScreeningTest, AnEntryThatIsNotUnderstoodDefers) {
  tables_.tables["one"]["alice@example.com"] = "FILTER x";
  const auto said = sender("alice@example.com");
  EXPECT_TRUE(said.later);
  EXPECT_EQ(said.refusal, (Refusal{451, {4, 3, 5}, "Server configuration error"}));
  ASSERT_EQ(said.notes.size(), 1u);
  EXPECT_THAT(said.notes[0].text, HasSubstr("needs transport:destination"));
}

TEST_F(ScreeningTest, TheLastFilterCountsAndHasToBeATransport) {
  settings_.transports.emplace_back().name = "scan";
  settings_.transports.emplace_back().name = "spam";
  tables_.tables["one"]["alice@example.com"] = "FILTER scan:[127.0.0.1]:10025";
  tables_.tables["two"]["alice@example.com"] = "FILTER spam:";
  EXPECT_EQ(sender("alice@example.com").effects.filter, "spam:");
  tables_.tables["two"]["alice@example.com"] = "FILTER spma:";
  const auto said = sender("alice@example.com");
  EXPECT_EQ(said.refusal, (Refusal{451, {4, 3, 5}, "Server configuration error"}));
  EXPECT_THAT(said.notes.at(0).text, HasSubstr("\"FILTER spma:\" names no [transport.NAME]"));
}

}  // namespace
}  // namespace mansio::route
