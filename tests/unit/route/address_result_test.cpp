// Answers that are lists of addresses.
#include "kernel/route/address_result.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mansio::route {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> parse(std::vector<std::string> values, AddressRules rules = {}) {
  if (rules.asked.empty()) rules.asked = "alice@example.com";
  rules.origin = "mx.example.org";
  const auto addresses = parse_addresses(values, rules);
  return addresses ? *addresses : std::vector<std::string>{"error: " + addresses.error().text};
}

TEST(AddressResult, IsDividedAtCommas) {
  EXPECT_THAT(parse({"bob@example.net"}), ElementsAre("bob@example.net"));
  EXPECT_THAT(parse({" bob@example.net ,carol@example.net,, "}), ElementsAre("bob@example.net", "carol@example.net"));
  EXPECT_THAT(parse({"bob@example.net", "carol@example.net"}), ElementsAre("bob@example.net", "carol@example.net"));
  EXPECT_THAT(parse({"\"b,ob\"@example.net, Carol <carol@example.net>"}),
              ElementsAre("\"b,ob\"@example.net", "carol@example.net"));
}

TEST(AddressResult, AnAddressWithoutDomainIsHere) { EXPECT_THAT(parse({"bob"}), ElementsAre("bob@mx.example.org")); }

TEST(AddressResult, ADomainAloneKeepsTheUser) {
  EXPECT_THAT(parse({"@example.net"}), ElementsAre("alice@example.net"));
  EXPECT_THAT(parse({"@example.net"}, {.asked = "alice+x@example.com", .extension = "+x"}),
              ElementsAre("alice@example.net"));
  EXPECT_THAT(parse({"@example.net"}, {.asked = "alice+x@example.com"}), ElementsAre("alice+x@example.net"));
  EXPECT_THAT(parse({"bob@example.net, @example.net"}), ElementsAre(HasSubstr("only the first address")));
}

TEST(AddressResult, AnExtensionThatWasNotMatchedIsPropagated) {
  EXPECT_THAT(parse({"bob@example.net, carol"}, {.asked = "alice+x@example.com", .extension = "+x", .propagate = true}),
              ElementsAre("bob+x@example.net", "carol+x@mx.example.org"));
}

TEST(AddressResult, WhatIsNoAddressIsAnError) {
  EXPECT_THAT(parse({""}), ElementsAre(HasSubstr("no address")));
  EXPECT_THAT(parse({","}), ElementsAre(HasSubstr("no address")));
  EXPECT_THAT(parse({"bob@"}), ElementsAre(HasSubstr("error: bob@")));
  EXPECT_THAT(parse({"bob carol"}), ElementsAre(HasSubstr("error: bob carol")));
  EXPECT_THAT(parse({"bob@example.net\r\nX: y"}), ElementsAre(HasSubstr("error: ")));
  EXPECT_THAT(parse({std::string(1001, 'a') + "@example.net"}), ElementsAre(HasSubstr("address_length_limit")));
}

}  // namespace
}  // namespace mansio::route
