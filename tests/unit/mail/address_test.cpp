// Addresses and paths: RFC 5321's forms with their lengths, RFC 6531's, and what only a tolerant server takes.
#include "kernel/mail/address.hpp"

#include <gtest/gtest.h>

namespace mansio {
namespace {

std::string reverse(std::string_view text, PathOptions options = {}) {
  const auto parsed = parse_reverse_path(text, options);
  return parsed ? to_string(parsed->address) : "error " + to_string(parsed.error().enhanced);
}

std::string forward(std::string_view text, PathOptions options = {}) {
  const auto parsed = parse_forward_path(text, options);
  return parsed ? to_string(parsed->address) : "error " + to_string(parsed.error().enhanced);
}

TEST(Path, NullSenderIsASenderOnly) {
  EXPECT_EQ(reverse("<>"), "");
  EXPECT_TRUE(parse_reverse_path("<>").ok());
  EXPECT_EQ(forward("<>"), "error 5.1.3");
}

TEST(Path, LeavesTheParametersUnread) {
  const auto parsed = parse_reverse_path("<user@example.com> SIZE=1 BODY=8BITMIME");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->rest, " SIZE=1 BODY=8BITMIME");
  EXPECT_EQ(parse_reverse_path("<>")->rest, "");
  EXPECT_FALSE(parse_reverse_path("<user@example.com>SIZE=1").ok());
}

TEST(Path, DropsSourceRoutes) {
  EXPECT_EQ(forward("<@a.example,@b.example:user@c.example>"), "user@c.example");
  EXPECT_EQ(forward("<@a.example user@c.example>"), "error 5.1.3");
  EXPECT_EQ(forward("<@a.example:>"), "error 5.1.3");
}

TEST(Path, LowersTheDomainAndKeepsTheLocalPart) {
  EXPECT_EQ(reverse("<User.Name@EXAMPLE.Com>"), "User.Name@example.com");
}

TEST(Path, PrintsQuotesOnlyWhereTheyAreNeeded) {
  EXPECT_EQ(reverse("<\"user\"@example.com>"), "user@example.com");
  EXPECT_EQ(reverse("<\"a b\"@example.com>"), "\"a b\"@example.com");
  EXPECT_EQ(reverse("<\"a\\\"\\b@c\"@example.com>"), "\"a\\\"b@c\"@example.com");
  EXPECT_EQ(parse_reverse_path("<\"a\\\"@c\"@example.com>")->address.local, "a\"@c");
}

TEST(Path, AcceptsPostmasterWithoutDomainForRecipients) {
  EXPECT_EQ(forward("<PostMaster>"), "PostMaster");
  EXPECT_EQ(reverse("<postmaster>"), "error 5.1.7");
  EXPECT_EQ(forward("<root>"), "error 5.1.3");
}

TEST(Path, ReadsAddressLiterals) {
  EXPECT_EQ(reverse("<u@[192.0.2.1]>"), "u@[192.0.2.1]");
  EXPECT_EQ(reverse("<u@[ipv6:2001:DB8:0::1]>"), "u@[IPv6:2001:db8::1]");
  EXPECT_EQ(reverse("<u@[2001:db8::1]>"), "error 5.1.7");
  EXPECT_EQ(reverse("<u@[192.0.2.256]>"), "error 5.1.7");
  EXPECT_EQ(reverse("<u@[192.0.2.1>"), "error 5.1.7");
  EXPECT_EQ(reverse("<u@[IPv6:]>"), "error 5.1.7");
}

TEST(Path, RefusesWhatIsNoPath) {
  for (const auto *text :
       {"",          "<",       ">",        "<@>",     "<a@>",     "<@a>",     "<a@b",   "a@b",
        "<a b@c>",   "<a@b c>", "<a@b@c>",  "<a@-b>",  "<a@b->",   "<a@b..c>", "<a@.b>", "<a@b.>",
        "<.a@b>",    "<a.@b>",  "<a..b@c>", "<\"a@b>", "<\"\"@b>", "<a@b>>",   "< a@b>", "<\"a\r\n\"@b>",
        "<a\x01@b>", "<a@b\t>", "<\"a\\",   "<a@b/c>"}) {
    EXPECT_FALSE(parse_reverse_path(text).ok()) << text;
    EXPECT_FALSE(parse_forward_path(text).ok()) << text;
  }
  EXPECT_FALSE(parse_reverse_path(std::string_view{"<a\0b@c>", 7}).ok());
}

TEST(Path, ToleratesWhatIsCommonWhenNotStrict) {
  const PathOptions lax{.strict = false};
  EXPECT_EQ(reverse("a@b.example SIZE=3", lax), "a@b.example");
  EXPECT_EQ(reverse("<user..name.@b.example>", lax), "\"user..name.\"@b.example");
}

TEST(Path, EnforcesTheLengthsOfRfc5321) {
  const std::string local(64, 'l'), label(63, 'd');
  const auto domain = label + "." + label;
  EXPECT_EQ(reverse("<" + local + "@" + domain + ">"), local + "@" + domain);
  EXPECT_EQ(reverse("<" + local + "x@" + domain + ">"), "error 5.1.7");
  EXPECT_EQ(reverse("<a@" + label + "x.example>"), "error 5.1.7");
  // 254 octets between the brackets, then 255.
  const auto long_domain = domain + "." + label + "." + std::string(62 - 2, 'd');
  EXPECT_TRUE(parse_reverse_path("<a@" + long_domain + ">").ok());
  EXPECT_FALSE(parse_reverse_path("<aaa@" + long_domain + "d>").ok());
}

TEST(Path, TakesALongLocalPartWhenNotStrict) {
  const std::string local(200, 'l');
  EXPECT_EQ(reverse("<" + local + "@example.com>", {.strict = false}), local + "@example.com");
  EXPECT_EQ(reverse("<" + local + local + "@example.com>", {.strict = false}), "error 5.1.7");
}

TEST(Path, TakesUtf8OnlyWithSmtputf8) {
  const PathOptions utf8{.smtputf8 = true};
  EXPECT_EQ(reverse("<用户@example.com>"), "error 5.6.7");
  EXPECT_EQ(reverse("<用户@example.com>", utf8), "用户@example.com");
  EXPECT_EQ(reverse("<u@münchen.example>", utf8), "u@münchen.example");
  EXPECT_EQ(reverse("<\"用 户\"@example.com>", utf8), "\"用 户\"@example.com");
  EXPECT_EQ(reverse("<\xff\xfe@example.com>", utf8), "error 5.1.7");
  EXPECT_EQ(reverse("<u@\xed\xa0\x80.example>", utf8), "error 5.1.7");
}

TEST(Address, PrintedFormParsesToItself) {
  for (const auto *local : {"a", "a.b", "a b", "a@b", "\"", "\\", ".", "a..b", "<>", "用户"}) {
    const Address address{local, "example.com"};
    const auto parsed = parse_mailbox(to_string(address));
    ASSERT_TRUE(parsed.ok()) << local;
    EXPECT_EQ(*parsed, address);
    EXPECT_EQ(split_address(to_string(address)).domain, "example.com");
  }
}

TEST(Address, ComparesDomainsAfterIdna) {
  EXPECT_TRUE(same_mailbox({"u", "münchen.example"}, {"u", "xn--mnchen-3ya.example"}));
  EXPECT_FALSE(same_mailbox({"u", "example.com"}, {"U", "example.com"}));
  EXPECT_TRUE(same_mailbox({"postmaster", "example.com"}, {"Postmaster", "EXAMPLE.com"}));
  EXPECT_EQ(ascii_domain("[192.0.2.1]"), "[192.0.2.1]");
  EXPECT_EQ(ascii_domain("[IPv6:2001:DB8::1]"), "[ipv6:2001:db8::1]");
  EXPECT_EQ(ascii_domain("bücher.example"), "xn--bcher-kva.example");
  EXPECT_FALSE(ascii_domain("\xff.example"));
}

TEST(Domain, ComesInOneForm) {
  EXPECT_EQ(ascii_domain("Example.COM."), "example.com");
  EXPECT_EQ(ascii_domain("Bücher.example"), "xn--bcher-kva.example");
  EXPECT_EQ(ascii_domain("xn--bcher-kva.EXAMPLE"), "xn--bcher-kva.example");
  for (const auto *bad : {"", ".", "a..b", "-a.example", "a-.example", "a b", "a@b", "exa\nmple"})
    EXPECT_FALSE(ascii_domain(bad)) << bad;
  EXPECT_FALSE(ascii_domain(std::string(64, 'a') + ".example"));
  EXPECT_FALSE(ascii_domain("\xff.example"));
}

TEST(Address, LiteralsGoBothWays) {
  EXPECT_EQ(address_literal("192.0.2.1"), "[192.0.2.1]");
  EXPECT_EQ(address_literal("2001:DB8::1"), "[IPv6:2001:db8::1]");
  EXPECT_EQ(address_literal("mail.example"), "");
  EXPECT_EQ(literal_address("[IPv6:2001:db8::1]"), "2001:db8::1");
  EXPECT_EQ(literal_address("[192.0.2.1]"), "192.0.2.1");
  EXPECT_EQ(literal_address("[IPv6:192.0.2.1]"), "");
}

TEST(Domain, IsCheckedAsHeloAndMailTakeIt) {
  EXPECT_EQ(*parse_domain("Mail_1.Example.COM"), "mail_1.example.com");
  EXPECT_EQ(*parse_domain("[127.0.0.1]"), "[127.0.0.1]");
  EXPECT_FALSE(parse_domain("a b").ok());
  EXPECT_FALSE(parse_domain("").ok());
  EXPECT_FALSE(parse_domain("münchen.example", false).ok());
}

}  // namespace
}  // namespace mansio
