#include "kernel/route/route_table.hpp"

#include <gtest/gtest.h>

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
