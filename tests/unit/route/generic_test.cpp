// Generic tables: the public address in the place of an internal one.
#include "kernel/route/generic.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "kernel/route/header_rewriting.hpp"
#include "tests/unit/route/fake_tables.hpp"

namespace mansio::route {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Task<std::string> header_by(Search &search, const Generic &generic, std::string section) {
  const auto header = co_await rewrite_header(search, generic, std::move(section));
  co_return header ? *header : "later: " + header.error().text;
}

class GenericTest : public ::testing::Test {
 protected:
  GenericTest() {
    settings_.myhostname = "host.internal";
    settings_.mydestination = {"own.internal"};
    settings_.recipient_delimiter = "+";
    settings_.lookups.emplace_back().name = "generic";
  }
  std::string &entry(const std::string &key) { return tables_.tables["generic"][key]; }
  Mapped find(std::string address) {
    const Generic generic{settings_, names_, {}};
    Search search{loop_, clock_, tables_};
    return testing::run(loop_, generic.find(search, AddressClass::EnvelopeSender, std::move(address)));
  }
  std::vector<std::string> found(std::string address) { return find(std::move(address)).addresses; }

  const std::vector<std::string> names_{"generic"};
  asio::io_context loop_;
  VirtualClock clock_;
  testing::FakeTables tables_{loop_};
  config::Settings settings_;
};

TEST_F(GenericTest, TheWholeAddressComesBeforeTheUserAndTheUserBeforeTheDomain) {
  entry("@own.internal") = "office@example.com";
  EXPECT_THAT(found("alice@own.internal"), ElementsAre("office@example.com"));
  entry("alice") = "a.user@example.com";
  EXPECT_THAT(found("alice@own.internal"), ElementsAre("a.user@example.com"));
  entry("alice@own.internal") = "alice@example.com";
  EXPECT_THAT(found("Alice@Own.Internal"), ElementsAre("alice@example.com"));
}

TEST_F(GenericTest, UsersWithoutADomainAreThoseOfThisHost) {
  entry("alice") = "alice@example.com";
  EXPECT_THAT(found("alice@host.internal"), ElementsAre("alice@example.com"));
  EXPECT_THAT(found("alice@elsewhere.example"), IsEmpty());
}

TEST_F(GenericTest, ADomainAloneKeepsTheUser) {
  entry("@own.internal") = "@example.com";
  EXPECT_THAT(found("alice@own.internal"), ElementsAre("alice@example.com"));
  EXPECT_THAT(found("alice+x@own.internal"), ElementsAre("alice@example.com"));
  settings_.propagate_unmatched_extensions = {"generic"};
  EXPECT_THAT(found("alice+x@own.internal"), ElementsAre("alice+x@example.com"));
}

TEST_F(GenericTest, AnExtensionIsDroppedUnlessItIsToBePropagated) {
  entry("alice@own.internal") = "a.user@example.com";
  EXPECT_THAT(found("alice+x@own.internal"), ElementsAre("a.user@example.com"));
  settings_.propagate_unmatched_extensions = {"generic"};
  EXPECT_THAT(found("alice+x@own.internal"), ElementsAre("a.user+x@example.com"));
  entry("alice+x@own.internal") = "x@example.com";
  EXPECT_THAT(found("alice+x@own.internal"), ElementsAre("x@example.com"));
}

TEST_F(GenericTest, WhatIsFoundIsNotLookedUpAgain) {
  entry("alice@own.internal") = "bob@own.internal, carol@own.internal";
  entry("bob@own.internal") = "bob@example.com";
  EXPECT_THAT(found("alice@own.internal"), ElementsAre("bob@own.internal"));
}

TEST_F(GenericTest, TheNullSenderStaysWhatItIs) {
  entry("@") = "x@example.com";
  EXPECT_THAT(found(""), IsEmpty());
  EXPECT_THAT(tables_.asked, IsEmpty());
}

TEST_F(GenericTest, ATableThatIsDownOrMakesNoSenseMeansLater) {
  entry("alice@own.internal") = ", ,";
  EXPECT_TRUE(find("alice@own.internal").later);
  tables_.down = {"generic"};
  const auto mapped = find("bob@own.internal");
  EXPECT_TRUE(mapped.later);
  EXPECT_THAT(mapped.text, HasSubstr("connection refused"));
}

TEST_F(GenericTest, AddressesOfAHeaderAreRewrittenAndNothingElse) {
  entry("@own.internal") = "@example.com";
  const Generic generic{settings_, names_, {}};
  Search search{loop_, clock_, tables_};
  const auto header =
      testing::run(loop_, header_by(search, generic,
                                    "Received: for <alice@own.internal>\r\nFrom: Alice <alice@own.internal>\r\n"
                                    "Resent-To: bob@own.internal,\r\n c@elsewhere.example (c@own.internal)\r\n"
                                    "Subject: alice@own.internal\r\n"));
  EXPECT_EQ(header,
            "Received: for <alice@own.internal>\r\nFrom: Alice <alice@example.com>\r\n"
            "Resent-To: bob@example.com,\r\n c@elsewhere.example (c@own.internal)\r\n"
            "Subject: alice@own.internal\r\n");
}

// A table that never answers, as a process sees it that ends meanwhile.
TEST_F(GenericTest, ASearchThatIsStoppedIsOverAndAsksNothingMore) {
  class Silent final : public io::Tables {
   public:
    bool has(std::string_view) const override { return true; }
    void query(std::string_view, std::string_view, std::function<void(const io::TableAnswer &)> done) override {
      waiting.push_back(std::move(done));
    }
    std::vector<std::function<void(const io::TableAnswer &)>> waiting;
  } silent;
  const Generic generic{settings_, names_, {}};
  Search search{loop_, clock_, silent};
  std::optional<Mapped> out;
  asio::co_spawn(loop_, generic.find(search, AddressClass::EnvelopeSender, "alice@own.internal"),
                 [&](std::exception_ptr, Mapped mapped) { out = std::move(mapped); });
  loop_.poll();
  ASSERT_EQ(silent.waiting.size(), 1u);
  search.stop();
  loop_.restart();
  loop_.run();
  ASSERT_TRUE(out.has_value());
  EXPECT_TRUE(out->later);
  silent.waiting.front()(io::TableAnswer{});  // too late: nobody minds
  EXPECT_EQ(silent.waiting.size(), 1u);
}

}  // namespace
}  // namespace mansio::route
