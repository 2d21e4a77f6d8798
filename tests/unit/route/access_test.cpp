// What entries of access tables mean.
#include "kernel/route/access.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mansio::route {
namespace {

using ::testing::HasSubstr;

AccessAction parsed(std::string_view text) {
  auto action = parse_access(text);
  EXPECT_TRUE(action) << text << ": " << (action ? "" : action.error().text);
  return action ? *action : AccessAction{};
}
std::string problem(std::string_view text) {
  const auto action = parse_access(text);
  return action ? "" : action.error().text;
}
std::string reply(std::string_view text) {
  const auto r = parsed(text).refusal;
  return std::to_string(r.code) + ' ' + to_string(r.enhanced) + ' ' + r.text;
}

TEST(Access, OkAndNumbersLetPass) {
  for (const auto *text : {"OK", "ok", " OK ", "1234567", "554", "permit"})
    EXPECT_EQ(parsed(text).kind, AccessKind::Ok) << text;
}

TEST(Access, DunnoIsAsIfTheKeyWereNotThere) { EXPECT_EQ(parsed("dunno").kind, AccessKind::Dunno); }

TEST(Access, RejectAndDeferHaveTheListenersCodes) {
  EXPECT_EQ(reply("REJECT"), "554 5.7.1 ");
  EXPECT_EQ(reply("reject go away"), "554 5.7.1 go away");
  EXPECT_EQ(reply("REJECT 5.7.25 no PTR"), "554 5.7.25 no PTR");
  EXPECT_EQ(reply("REJECT 4.7.25 no PTR"), "554 5.7.1 4.7.25 no PTR");
  EXPECT_EQ(reply("DEFER"), "450 4.7.1 ");
  const auto other = parse_access("REJECT", {.reject = 521, .defer = 421});
  EXPECT_EQ(other->refusal.code, 521);
}

TEST(Access, CodesWithTextRefuse) {
  EXPECT_EQ(reply("550 5.1.1 unknown"), "550 5.1.1 unknown");
  EXPECT_EQ(reply("450 later"), "450 4.7.1 later");
  EXPECT_THAT(problem("250 fine"), HasSubstr("no code from 400 to 599"));
  EXPECT_THAT(problem("12345 x"), HasSubstr("no code from 400 to 599"));
}

TEST(Access, ConditionalDeferralsWait) {
  EXPECT_EQ(parsed("DEFER_IF_PERMIT try later").kind, AccessKind::DeferIfPermit);
  EXPECT_EQ(parsed("defer_if_reject").kind, AccessKind::DeferIfReject);
  EXPECT_EQ(reply("DEFER_IF_PERMIT 4.2.0 greylisted"), "450 4.2.0 greylisted");
}

TEST(Access, EffectsOnTheMessage) {
  EXPECT_EQ(parsed("DISCARD spam").kind, AccessKind::Discard);
  EXPECT_EQ(parsed("HOLD for review").text, "for review");
  EXPECT_EQ(parsed("REDIRECT abuse@example.com").text, "abuse@example.com");
  EXPECT_EQ(parsed("BCC archive@Example.com").text, "archive@example.com");
  EXPECT_EQ(parsed("PREPEND X-Seen: yes").text, "X-Seen: yes");
  EXPECT_EQ(parsed("filter scan:[127.0.0.1]:10025").kind, AccessKind::Filter);
  EXPECT_EQ(parsed("FILTER scan:[127.0.0.1]:10025").text, "scan:[127.0.0.1]:10025");
  EXPECT_EQ(parsed("FILTER scan:").text, "scan:");
  EXPECT_EQ(parsed("WARN look here").kind, AccessKind::Warn);
  EXPECT_EQ(parsed("INFO look here").kind, AccessKind::Info);
}

TEST(Access, AddressesAndFieldsAreChecked) {
  EXPECT_THAT(problem("REDIRECT"), HasSubstr("needs an address"));
  EXPECT_THAT(problem("BCC nobody"), HasSubstr("needs an address"));
  EXPECT_THAT(problem("PREPEND no field"), HasSubstr("header field"));
  EXPECT_THAT(problem("PREPEND X-A: b\r\nX-C: d"), HasSubstr("header field"));
  EXPECT_THAT(problem("PREPEND X-A: b\xC3\xBC"), HasSubstr("header field"));
}

TEST(Access, WhatIsNotUnderstoodLetsNothingPass) {
  for (const auto *text :
       {"FILTER", "FILTER scan", "FILTER :[127.0.0.1]:10025", "FILTER scan:a b", "FILTER scan:\xC3\xBC"})
    EXPECT_THAT(problem(text), HasSubstr("needs transport:destination")) << text;
  EXPECT_THAT(problem("reject_unknown_client"), HasSubstr("no action"));
  EXPECT_THAT(problem("permit_mynetworks, reject_unknown_client"), HasSubstr("no action"));
  EXPECT_THAT(problem("permit_mynetworks reject: no"), HasSubstr("no action"));
  EXPECT_THAT(problem(""), HasSubstr("no action"));
  EXPECT_THAT(problem(",,"), HasSubstr("no action"));
}

TEST(Access, RestrictionsDecideOneAfterTheOther) {
  const auto comes_to = [](std::string_view text, AccessClient client) {
    return decided(parsed(text), client, {.reject = 521, .defer = 421});
  };
  constexpr AccessClient kStranger{}, kOurs{.in_mynetworks = true}, kKnown{.authenticated = true};
  const auto *const text = "Permit_MyNetworks, permit_sasl_authenticated reject_unauth_destination,reject";
  EXPECT_EQ(parsed(text).kind, AccessKind::Restrict);
  EXPECT_EQ(comes_to(text, kOurs).kind, AccessKind::Ok);
  EXPECT_EQ(comes_to(text, kKnown).kind, AccessKind::Ok);
  EXPECT_EQ(comes_to(text, kStranger).kind, AccessKind::Refuse);
  EXPECT_EQ(comes_to(text, kStranger).refusal.code, 521);
  EXPECT_EQ(comes_to("permit_mynetworks defer", kStranger).refusal.code, 421);
  EXPECT_EQ(comes_to("permit_mynetworks", kStranger).kind, AccessKind::Dunno);
  EXPECT_EQ(comes_to("reject_unauth_destination permit reject", kStranger).kind, AccessKind::Ok);
  EXPECT_EQ(comes_to("HOLD", kStranger).kind, AccessKind::Hold);
}

TEST(Access, TextOfATableCannotBeginALineOfItsOwn) { EXPECT_EQ(reply("REJECT a\r\n250 b"), "554 5.7.1 a  250 b"); }

TEST(Access, CodesAboutOneKindOfAddressBecomeThoseOfTheOther) {
  EXPECT_EQ(fitting({5, 1, 1}, AccessSubject::Sender), (EnhancedStatus{5, 1, 0}));
  EXPECT_EQ(fitting({5, 1, 3}, AccessSubject::Sender), (EnhancedStatus{5, 1, 7}));
  EXPECT_EQ(fitting({5, 1, 8}, AccessSubject::Recipient), (EnhancedStatus{5, 1, 2}));
  EXPECT_EQ(fitting({5, 1, 1}, AccessSubject::Recipient), (EnhancedStatus{5, 1, 1}));
  EXPECT_EQ(fitting({4, 1, 1}, AccessSubject::Client), (EnhancedStatus{4, 0, 0}));
  EXPECT_EQ(fitting({5, 7, 1}, AccessSubject::Helo), (EnhancedStatus{5, 7, 1}));
}

}  // namespace
}  // namespace mansio::route
