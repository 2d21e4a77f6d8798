// Where addresses stand in header fields.
#include "kernel/mail/header_addresses.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace mansio {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> found(std::string_view body) {
  std::vector<std::string> out;
  for (const auto &span : find_addresses(body)) out.emplace_back(body.substr(span.at, span.length));
  return out;
}

TEST(HeaderAddresses, StandAloneOrInAngleBrackets) {
  EXPECT_THAT(found(" a@b.example"), ElementsAre("a@b.example"));
  EXPECT_THAT(found("a@b.example"), ElementsAre("a@b.example"));
  EXPECT_THAT(found(" Alice <a@b.example>"), ElementsAre("a@b.example"));
  EXPECT_THAT(found(" Alice< a@b.example >"), ElementsAre("a@b.example"));
  EXPECT_THAT(found(" <@relay.example:a@b.example>"), ElementsAre("a@b.example"));
}

TEST(HeaderAddresses, OfAListAreAllFound) {
  EXPECT_THAT(found(" a@b.example, Carol <c@d.example>,\r\n\te@f.example\r\n"),
              ElementsAre("a@b.example", "c@d.example", "e@f.example"));
  EXPECT_THAT(found(" Team: a@b.example, c@d.example;, e@f.example"),
              ElementsAre("a@b.example", "c@d.example", "e@f.example"));
  EXPECT_THAT(found(" undisclosed-recipients:;"), IsEmpty());
}

TEST(HeaderAddresses, NamesAndCommentsAreNone) {
  EXPECT_THAT(found(" \"x@y.example, z\" <a@b.example>"), ElementsAre("a@b.example"));
  EXPECT_THAT(found(" a@b.example (x@y.example (z@y.example), <w@y.example>)"), ElementsAre("a@b.example"));
  EXPECT_THAT(found(" a@b.example <c@d.example>"), ElementsAre("c@d.example"));
  EXPECT_THAT(found(" (\\) x@y.example) a@b.example"), ElementsAre("a@b.example"));
}

TEST(HeaderAddresses, QuotedLocalPartsAndLiteralsBelongToThem) {
  EXPECT_THAT(found(" \"a, b\"@c.example"), ElementsAre("\"a, b\"@c.example"));
  EXPECT_THAT(found(" a@[192.0.2.1]"), ElementsAre("a@[192.0.2.1]"));
  EXPECT_THAT(found(" a@[IPv6:2001:db8::1]"), ElementsAre("a@[IPv6:2001:db8::1]"));
}

TEST(HeaderAddresses, WhatIsNoAddressIsLeftAlone) {
  for (const auto *body : {"", " ", " root", " a @ b.example", " a@", " @b.example", " <>", " <a@b.example", " a@b c@d",
                           " \"", " (", " <", " a@b.example(c)d"})
    EXPECT_THAT(found(body), std::string_view{body} == " <a@b.example" ? ::testing::SizeIs(1) : ::testing::SizeIs(0))
        << body;
}

TEST(HeaderAddresses, FieldsAreSendersOrRecipients) {
  EXPECT_EQ(address_field("from"), FieldClass::Sender);
  EXPECT_EQ(address_field("Reply-To"), FieldClass::Sender);
  EXPECT_EQ(address_field("CC"), FieldClass::Recipient);
  EXPECT_EQ(address_field("Subject"), std::nullopt);
  EXPECT_EQ(address_field("Received"), std::nullopt);
}

}  // namespace
}  // namespace mansio
