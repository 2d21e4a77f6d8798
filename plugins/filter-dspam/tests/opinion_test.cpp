// Whose opinion counts, what recipients want, and by what name DSPAM knows them.
#include "plugins/filter-dspam/opinion.hpp"

#include <gtest/gtest.h>

#include "plugins/filter-dspam/header.hpp"
#include "plugins/filter-dspam/user.hpp"

namespace {

using namespace mansio::dspam;

constexpr Opinion kHam{false, Action::Accept}, kTag{true, Action::Tag}, kReject{true, Action::Reject};

TEST(DspamMixed, FirstIsTheFirst) {
  EXPECT_EQ(decide(Mixed::First, {kHam, kReject}), 0u);
  EXPECT_EQ(decide(Mixed::First, {kTag, kHam}), 0u);
}

TEST(DspamMixed, AnyIsTheSeverestOfThoseThatCallItSpam) {
  EXPECT_EQ(decide(Mixed::Any, {kHam, kTag, kReject, kReject}), 2u);
  EXPECT_EQ(decide(Mixed::Any, {kHam, kHam}), 0u);
}

TEST(DspamMixed, AllIsTheMildestWhereEveryoneCallsItSpam) {
  EXPECT_EQ(decide(Mixed::All, {kReject, kTag}), 1u);
  EXPECT_EQ(decide(Mixed::All, {kReject, kHam, kTag}), 1u);
  EXPECT_EQ(decide(Mixed::All, {kReject}), 0u);
}

TEST(DspamPreferences, AreReadByDspamsNames) {
  Preferences wants{true, Action::Quarantine, "[SPAM]"};
  EXPECT_EQ(wants.apply("spamAction=tag, spamSubject=[JUNK] , trainingMode=TEFT,enable=no"), "");
  EXPECT_EQ(wants.action, Action::Tag);
  EXPECT_EQ(wants.subject, "[JUNK]");
  EXPECT_FALSE(wants.enabled);
  EXPECT_EQ(wants.apply("optOut=off,spamAction=deliver,spamSubject="), "");
  EXPECT_TRUE(wants.enabled);
  EXPECT_EQ(wants.action, Action::Accept);
  EXPECT_EQ(wants.subject, "");
}

TEST(DspamPreferences, AreRefusedWhereTheySayNothing) {
  Preferences wants;
  EXPECT_EQ(wants.apply("spamAction=explode"), "spamAction is \"explode\"");
  EXPECT_EQ(wants.apply("tag"), "\"tag\" is no NAME=VALUE");
  EXPECT_EQ(wants.apply("enable=perhaps"), "enable is \"perhaps\"");
  EXPECT_EQ(wants.apply("spamSubject=\xff"), "spamSubject is no printable ASCII");
  EXPECT_EQ(wants.apply(" , ,"), "");
}

TEST(DspamUser, IsMadeOfAnAddress) {
  const auto of = [](std::string_view text) { return UserTemplate::parse(text)->of("Bob+x@Example.COM"); };
  EXPECT_EQ(of("{address}"), "Bob+x@example.com");
  EXPECT_EQ(of("{local}"), "Bob+x");
  EXPECT_EQ(of("mail-{domain}-{local}"), "mail-example.com-Bob+x");
  EXPECT_EQ(of("shared"), "shared");
  EXPECT_TRUE(UserTemplate::parse("shared")->fixed());
  EXPECT_FALSE(UserTemplate::parse("{user}"));
  EXPECT_FALSE(UserTemplate::parse("a}"));
  EXPECT_EQ(fold_domain("Postmaster"), "Postmaster");
}

TEST(DspamUser, IsMadeOfAMailbox) {
  EXPECT_EQ(mailbox_of("Bob+X@Example.COM", true, ""), "bob+x@example.com");
  EXPECT_EQ(mailbox_of("Bob+X@Example.COM", false, ""), "Bob+X@example.com");
  EXPECT_EQ(mailbox_of("Bob+X-y@Example.COM", true, "-+"), "bob@example.com");
  EXPECT_EQ(mailbox_of("+x@example.com", true, "+"), "+x@example.com");
  EXPECT_EQ(mailbox_of("\"a+b\"@example.com", true, "+"), "\"a+b\"@example.com");
  EXPECT_EQ(mailbox_of("Postmaster", true, "+"), "postmaster");
  EXPECT_EQ(mailbox_of("", true, "+"), "");
}

TEST(DspamUser, IsMadeOfANameThatIsNone) {
  EXPECT_EQ(to_user("bob@example.com"), "bob@example.com");
  EXPECT_EQ(to_user("\"a b\"/c@example.com"), "_a_b__c@example.com");
  EXPECT_EQ(to_user("-x"), "_x");
  EXPECT_EQ(to_user("@example.com"), "_example.com");
  EXPECT_EQ(to_user("../b"), ".._b");
  for (const auto &name : {std::string{}, std::string(1000, '-'), std::string{"a\r\n\0", 4}})
    EXPECT_TRUE(is_user(to_user(name))) << name;
}

TEST(DspamUser, IsOneThatDspamTakes) {
  EXPECT_TRUE(is_user("bob@example.com"));
  for (const auto *name : {"", "-x", "@example.com", "a b", "a<b", "a>b", "a\"b", "../b", "a/b", "a\r\nb"})
    EXPECT_FALSE(is_user(name)) << name;
}

TEST(DspamHeader, IsTakenApart) {
  const auto fields = parse_fields("Received: a\r\n b\r\nX-A: 1\r\nx-a:2\r\n\r\nX-A: body\r\n");
  ASSERT_EQ(fields.size(), 3u);
  EXPECT_EQ(fields[0].value, "a\r\n b");
  EXPECT_EQ(fields[1].nth, 1u);
  EXPECT_EQ(fields[2].nth, 2u);
  EXPECT_EQ(fields[2].value, "2");
  EXPECT_TRUE(parse_fields("\r\nX: y\r\n").empty());
  EXPECT_TRUE(parse_fields("no header\r\n").empty());
}

TEST(DspamHeader, EndsWhereTheHostsEnds) {
  for (const auto *line : {"X-DSPAM-\x80: 1", "X-DSPAM\x01: 1", "X DSPAM: 1", ": 1"}) {
    const auto fields = parse_fields("A: 1\r\n" + std::string{line} + "\r\nB: 2\r\n");
    ASSERT_EQ(fields.size(), 1u) << line;
    EXPECT_EQ(fields[0].name, "A");
  }
  EXPECT_TRUE(parse_fields(" folded: nothing\r\nA: 1\r\n").empty());
  EXPECT_EQ(parse_fields("A \t: 1\r\n").at(0).name, "A");
  EXPECT_EQ(parse_fields(std::string(90, 'a') + ": 1\r\n").size(), 1u);
  EXPECT_TRUE(parse_fields(std::string(70, 'a') + std::string(10, ' ') + ": 1\r\n").empty());
}

TEST(DspamHeader, SubjectsAreTaggedOnce) {
  EXPECT_EQ(tagged_subject("[SPAM]", "one\r\n two"), "[SPAM] one\r\n two");
  EXPECT_EQ(tagged_subject("[SPAM]", "[SPAM] one"), "[SPAM] one");
  EXPECT_EQ(tagged_subject("[SPAM]", ""), "[SPAM]");
  EXPECT_EQ(tagged_subject("", "one"), "one");
  EXPECT_TRUE(tagged_subject("[SPAM]", std::string(990, 'x')).starts_with("[SPAM]\r\n x"));
}

}  // namespace
