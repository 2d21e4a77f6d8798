// The way of a recipient where tables have a say.
#include "kernel/route/route_finder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/route/transport_result.hpp"
#include "tests/unit/route/fake_tables.hpp"

namespace mansio::route {
namespace {

using ::testing::HasSubstr;

class RouteFinderTest : public ::testing::Test {
 protected:
  RouteFinderTest() {
    settings_.myhostname = "mx.example.org";
    settings_.mydestination = {"example.org"};
    settings_.transports.resize(3);
    settings_.transports[0].name = "smtp";
    settings_.transports[1].name = "lmtp";
    settings_.transports[2].name = "slow";
    for (const auto *name : {"transport", "relayhost", "relocated"}) settings_.lookups.emplace_back().name = name;
    auto &own = settings_.routes.emplace_back();
    own.domain = {"example.org"};
    own.transport = "lmtp";
    own.nexthop = "unix:/run/lmtp";
    auto &gone = settings_.routes.emplace_back();
    gone.domain = {"gone.example"};
    gone.error = "550 5.1.2 gone";
    settings_.routes.emplace_back().transport = "smtp";
    settings_.transport_maps = {"transport"};
  }
  std::string &transport(const std::string &key) { return tables_.tables["transport"][key]; }
  FoundRoute find(std::string sender, std::string recipient) {
    const RouteTable routes{settings_};
    const OwnDomains own{settings_, {}};
    const DomainTables domains{settings_, own};
    const RouteFinder finder{settings_, routes, domains};
    Search search{loop_, clock_, tables_};
    return testing::run(loop_, finder.route(search, std::move(sender), std::move(recipient)));
  }
  std::string way(std::string sender, std::string recipient) {
    const auto found = find(std::move(sender), std::move(recipient));
    const auto &d = found.decision;
    if (d.refusal)
      return std::to_string(d.refusal->code) + ' ' + to_string(d.refusal->enhanced) + ' ' + d.refusal->text;
    return d.route.transport + ':' + d.route.nexthop;
  }

  asio::io_context loop_;
  VirtualClock clock_;
  testing::FakeTables tables_{loop_};
  config::Settings settings_;
};

TEST_F(RouteFinderTest, WithoutAnEntryTheRoutesCount) {
  EXPECT_EQ(way("", "a@example.org"), "lmtp:unix:/run/lmtp");
  EXPECT_EQ(way("", "a@elsewhere.example"), "smtp:");
}

TEST_F(RouteFinderTest, ATransportTableIsStrongerThanARoute) {
  transport("example.org") = "slow:[192.0.2.1]:25";
  EXPECT_EQ(way("", "a@example.org"), "slow:[192.0.2.1]:25");
  transport("a@example.org") = "smtp:";
  EXPECT_EQ(way("", "a@example.org"), "smtp:");
  transport("gone.example") = "smtp:backup.example";
  EXPECT_EQ(way("", "a@gone.example"), "smtp:backup.example");
}

TEST_F(RouteFinderTest, AnEmptyTransportKeepsTheOneOfTheRoute) {
  transport("example.org") = ":other.example";
  EXPECT_EQ(way("", "a@example.org"), "lmtp:other.example");
  transport("example.org") = ":";
  EXPECT_EQ(way("", "a@example.org"), "lmtp:unix:/run/lmtp");
}

TEST_F(RouteFinderTest, StarIsForAllThatIsNotThere) {
  transport("*") = "smtp:hub.example";
  transport(".inner.example") = ":";
  EXPECT_EQ(way("", "a@elsewhere.example"), "smtp:hub.example");
  EXPECT_EQ(way("", "a@b.inner.example"), "smtp:");
}

TEST_F(RouteFinderTest, ErrorAndRetryRefuse) {
  transport("a@x.example") = "error:5.7.1 not there";
  transport("b@x.example") = "retry:";
  EXPECT_EQ(way("", "a@x.example"), "550 5.7.1 not there");
  EXPECT_EQ(way("", "b@x.example"), "450 4.0.0 not delivered");
}

TEST_F(RouteFinderTest, AnEntryThatMakesNoSenseDefers) {
  transport("x.example") = "uucp:host";
  EXPECT_EQ(way("", "a@x.example"), "451 4.3.5 Server configuration error");
  EXPECT_THAT(find("", "a@x.example").trouble, HasSubstr("there is no [transport.uucp]"));
  transport("x.example") = "smtp:[bad";
  EXPECT_EQ(way("", "a@x.example"), "451 4.3.5 Server configuration error");
}

TEST_F(RouteFinderTest, ATableThatCannotSayDefers) {
  tables_.down = {"transport"};
  EXPECT_EQ(way("", "a@x.example"), "451 4.3.0 Temporary lookup failure");
}

TEST_F(RouteFinderTest, WhoHasMovedIsRefusedWithWhereTo) {
  settings_.relocated_maps = {"relocated"};
  tables_.tables["relocated"]["alice"] = "alice@new.example";
  EXPECT_EQ(way("", "alice@example.org"), "550 5.1.6 User has moved to alice@new.example");
  EXPECT_EQ(way("", "alice@elsewhere.example"), "smtp:");
}

TEST_F(RouteFinderTest, ASendersRelayhostIsForForeignDomains) {
  settings_.sender_dependent_relayhost_maps = {"relayhost"};
  tables_.tables["relayhost"]["@example.org"] = "[out.example]:587";
  tables_.tables["relayhost"]["bob@example.org"] = "DUNNO";
  tables_.tables["relayhost"]["<>"] = "bounces.example";
  EXPECT_EQ(way("alice@example.org", "x@elsewhere.example"), "smtp:[out.example]:587");
  EXPECT_EQ(way("bob@example.org", "x@elsewhere.example"), "smtp:");
  EXPECT_EQ(way("", "x@elsewhere.example"), "smtp:bounces.example");
  EXPECT_EQ(way("alice@example.org", "x@example.org"), "lmtp:unix:/run/lmtp");
  transport("elsewhere.example") = "slow:";
  EXPECT_EQ(way("alice@example.org", "x@elsewhere.example"), "slow:");
}

TEST_F(RouteFinderTest, AnAddressOfAnAliasDomainHasNoWayOfItsOwn) {
  settings_.virtual_alias_domains = {"aliases.example"};
  EXPECT_EQ(way("", "x@aliases.example"), "550 5.1.1 User unknown in virtual alias table");
}

TEST(TransportResult, IsATransportAndANextHop) {
  config::Settings settings;
  settings.transports.emplace_back().name = "smtp";
  EXPECT_EQ(parse_transport("smtp", settings)->transport, "smtp");
  EXPECT_EQ(parse_transport(" smtp : Hub.Example ", settings)->nexthop, "hub.example");
  EXPECT_TRUE(parse_transport(":", settings)->unchanged());
  EXPECT_TRUE(parse_transport("", settings)->unchanged());
  EXPECT_FALSE(parse_transport("smtp:a b", settings));
  EXPECT_EQ(parse_transport("error:a\r\n250 b", settings)->refusal->text, "a  250 b");
}

}  // namespace
}  // namespace mansio::route
