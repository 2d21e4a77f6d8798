// The route table: the first match wins, and postmaster always has a way.
#include "kernel/route/route_table.hpp"

#include <gtest/gtest.h>

#include "kernel/route/check.hpp"

namespace mansio::route {
namespace {

class RouteTableTest : public ::testing::Test {
 protected:
  RouteTableTest() { settings_.myhostname = "mail.example.org"; }

  void add(config::RouteRule rule) { settings_.routes.push_back(std::move(rule)); }
  std::string transport(std::string_view sender, std::string_view recipient) const {
    const std::vector<std::string> own{"192.0.2.7"};
    return RouteTable{settings_, own}.route(sender, recipient).route.transport;
  }
  static config::RouteRule to(std::string transport) {
    config::RouteRule rule;
    rule.transport = std::move(transport);
    return rule;
  }
  static config::RouteRule by_domain(std::vector<std::string> domains, std::string transport) {
    auto rule = to(std::move(transport));
    rule.domain = std::move(domains);
    return rule;
  }

  config::Settings settings_;
};

TEST_F(RouteTableTest, TheFirstMatchWins) {
  add(by_domain({"a.example"}, "first"));
  add(by_domain({"a.example"}, "second"));
  add(to("default"));
  EXPECT_EQ(transport("s@x", "u@a.example"), "first");
  EXPECT_EQ(transport("s@x", "u@b.example"), "default");
}

TEST_F(RouteTableTest, DomainsMatchWithoutRegardToCaseAndInBothForms) {
  add(by_domain({"xn--bcher-kva.example"}, "idn"));
  add(to("default"));
  EXPECT_EQ(transport("", "u@Bücher.EXAMPLE"), "idn");
  EXPECT_EQ(transport("", "u@XN--BCHER-KVA.example"), "idn");
  EXPECT_EQ(transport("", "u@xn--bcher-kva.example."), "idn");
}

TEST_F(RouteTableTest, ADotMeansSubdomainsOnly) {
  add(by_domain({".example.com"}, "sub"));
  add(to("default"));
  EXPECT_EQ(transport("", "u@a.example.com"), "sub");
  EXPECT_EQ(transport("", "u@b.a.example.com"), "sub");
  EXPECT_EQ(transport("", "u@example.com"), "default");
  EXPECT_EQ(transport("", "u@badexample.com"), "default");
}

TEST_F(RouteTableTest, RecipientAddressesMatchAsAWhole) {
  auto rule = to("one");
  rule.recipient = {"Boss@example.com"};
  add(rule);
  add(to("default"));
  EXPECT_EQ(transport("", "boss@EXAMPLE.com"), "one");
  EXPECT_EQ(transport("", "big.boss@example.com"), "default");
}

TEST_F(RouteTableTest, SendersMatchByAddressByDomainAndAsTheNullSender) {
  auto rule = to("sent");
  rule.sender = {"a@x.example", "@y.example", "<>"};
  add(rule);
  add(to("default"));
  EXPECT_EQ(transport("A@x.example", "u@d.example"), "sent");
  EXPECT_EQ(transport("b@x.example", "u@d.example"), "default");
  EXPECT_EQ(transport("b@Y.example", "u@d.example"), "sent");
  EXPECT_EQ(transport("", "u@d.example"), "sent");
}

TEST_F(RouteTableTest, AllConditionsOfARouteMustHold) {
  auto rule = by_domain({"d.example"}, "both");
  rule.sender = {"@x.example"};
  add(rule);
  add(to("default"));
  EXPECT_EQ(transport("a@x.example", "u@d.example"), "both");
  EXPECT_EQ(transport("a@y.example", "u@d.example"), "default");
  EXPECT_EQ(transport("a@x.example", "u@e.example"), "default");
}

TEST_F(RouteTableTest, ARecipientWithoutDomainOrAtAnOwnAddressIsAtThisHost) {
  add(by_domain({"mail.example.org"}, "local"));
  add(to("default"));
  EXPECT_EQ(transport("", "postmaster"), "local");
  EXPECT_EQ(transport("", "u@[192.0.2.7]"), "local");
  EXPECT_EQ(transport("", "u@[192.0.2.8]"), "default");
}

TEST_F(RouteTableTest, ARouteMayRefuse) {
  config::RouteRule rule;
  rule.domain = {"gone.example"};
  rule.error = "550 5.1.2 this domain is gone";
  add(rule);
  auto next = to("smtp");
  next.nexthop = "[127.0.0.1]:2526";
  add(next);
  const RouteTable table{settings_};
  const auto refused = table.route("", "u@gone.example");
  ASSERT_TRUE(refused.refusal);
  EXPECT_EQ(*refused.refusal, (Refusal{550, {5, 1, 2}, "this domain is gone"}));
  const auto taken = table.route("", "u@there.example");
  EXPECT_FALSE(taken.refusal);
  EXPECT_EQ(taken.route, (Route{"smtp", "[127.0.0.1]:2526"}));
}

TEST_F(RouteTableTest, PostmasterHasAWayWhereARouteRefuses) {
  settings_.mydestination = {"own.example", "other.example"};
  config::RouteRule refuse;
  refuse.domain = {"own.example"};
  refuse.error = "550 5.1.1 no such user";
  const auto way = [&](std::string_view recipient) { return RouteTable{settings_}.route("a@x.example", recipient); };

  // To the postmaster setting's address ...
  add(refuse);
  add(to("smtp"));
  for (const auto *address : {"postmaster@own.example", "PostMaster@OWN.example", "\"postmaster\"@own.example"}) {
    EXPECT_FALSE(way(address).refusal) << address;
    EXPECT_EQ(way(address).address, "postmaster@mail.example.org") << address;
    EXPECT_EQ(way(address).route.transport, "smtp") << address;
  }
  EXPECT_TRUE(way("u@own.example").refusal);
  EXPECT_EQ(way("postmaster@other.example").address, "");

  // ... else to the postmaster of an own domain that takes mail ...
  settings_.routes.clear();
  add(refuse);
  add(by_domain({"other.example"}, "maildir"));
  config::RouteRule nothing_else;
  nothing_else.error = "550 5.1.2 not for us";
  add(nothing_else);
  EXPECT_EQ(way("postmaster").address, "postmaster@other.example");
  EXPECT_EQ(way("postmaster@mail.example.org").address, "postmaster@other.example");
  EXPECT_EQ(way("postmaster@own.example").route.transport, "maildir");
  EXPECT_TRUE(way("postmaster@elsewhere.example").refusal);

  // ... else as other recipients of an own domain are delivered.
  settings_.routes.clear();
  auto listed = to("maildir");
  listed.recipient = {"alice@own.example"};
  add(listed);
  add(nothing_else);
  EXPECT_EQ(way("postmaster").route.transport, "maildir");
  EXPECT_EQ(way("postmaster").address, "postmaster@own.example");
  EXPECT_TRUE(way("u@own.example").refusal);
}

TEST_F(RouteTableTest, ThePostmasterSettingsAddressIsPostmasterToo) {
  settings_.mydestination = {"own.example"};
  settings_.postmaster = "root@own.example";
  config::RouteRule refuse;
  refuse.recipient = {"root@own.example"};
  refuse.error = "550 5.1.1 no such user";
  add(refuse);
  add(by_domain({"own.example"}, "maildir"));
  const auto decision = RouteTable{settings_}.route("", "root@own.example");
  EXPECT_FALSE(decision.refusal);
  EXPECT_EQ(decision.address, "postmaster@own.example");
}

TEST_F(RouteTableTest, AConfigurationWithoutAWayForPostmasterIsRefused) {
  config::Parsed parsed;
  parsed.settings = settings_;
  parsed.settings.mydestination = {"own.example"};
  auto &refuse = parsed.settings.routes.emplace_back();
  refuse.error = "550 5.1.2 nothing for us";
  auto problems = check_routes(parsed, "/etc/m.toml");
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(to_string(problems[0]),
            "/etc/m.toml: postmaster has no way: every route for it refuses (550 nothing for us), but mail for "
            "postmaster must be accepted; expected an address that some [[route]] delivers");
  parsed.places["postmaster"] = {"/etc/n.toml", 7};
  EXPECT_EQ(check_routes(parsed, "/etc/m.toml").at(0).line, 7u);

  parsed.settings.routes.insert(parsed.settings.routes.begin(), by_domain({"own.example"}, "maildir"));
  EXPECT_TRUE(check_routes(parsed, "/etc/m.toml").empty());
}

TEST_F(RouteTableTest, WithoutAnyMatchMailWaits) {
  const auto decision = RouteTable{settings_}.route("", "u@a.example");
  ASSERT_TRUE(decision.refusal);
  EXPECT_EQ(decision.refusal->code, 451);
}

TEST_F(RouteTableTest, AddressesOfAnyBytesAreRouted) {
  add(by_domain({"a.example"}, "a"));
  add(to("default"));
  for (const auto *odd : {"", "@", "@@", "u@", "u@\xff", "\"a@b\"@c..d", "u@[", "u@[]", "u@-"})
    EXPECT_EQ(transport("@", odd), "default") << odd;
  EXPECT_EQ(transport("", "\"x@b.example\"@a.example"), "a");
}

}  // namespace
}  // namespace mansio::route
