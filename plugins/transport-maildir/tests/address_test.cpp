// From an address to the path of its mailbox: no address leads out of its directory.
#include "plugins/transport-maildir/address.hpp"

#include <gtest/gtest.h>

namespace maildir {
namespace {

std::string path(std::string_view address, std::string_view pattern = "/m/{domain}/{local}",
                 std::string_view delimiter = "+") {
  const auto mailbox = parse_mailbox(address, delimiter, true);
  return mailbox ? expand(pattern, *mailbox) : "refused";
}

TEST(MailboxPath, IsMadeOfTheParts) {
  EXPECT_EQ(path("Bob@Example.COM"), "/m/example.com/bob");
  EXPECT_EQ(path("bob+lists@example.com"), "/m/example.com/bob+lists");
  EXPECT_EQ(path("bob+lists+x@example.com", "/m/{user}/Maildir"), "/m/bob/Maildir");
  EXPECT_EQ(path("bob-lists@example.com", "/m/{user}", "+-"), "/m/bob");
  EXPECT_EQ(path("bob+lists@example.com", "/m/{user}", ""), "/m/bob+lists");
  EXPECT_EQ(path("+bob@example.com", "/m/{user}"), "/m/+bob");
  EXPECT_EQ(path("\"b o\\\"b\"@example.com"), "/m/example.com/b o\"b");
}

TEST(MailboxPath, KeepsCaseWhenTold) { EXPECT_EQ(parse_mailbox("Bob@x", "", false)->local, "Bob"); }

TEST(MailboxPath, RefusesWhatWouldLeaveItsDirectoryOrHide) {
  using namespace std::literals;
  for (const auto address :
       {"../../etc/passwd@example.com"sv, "..@example.com"sv, ".@example.com"sv, ".hidden@example.com"sv,
        "a/b@example.com"sv, "a\0b@example.com"sv, "a\nb@example.com"sv, "\"../x\"@example.com"sv, "\"\"@example.com"sv,
        "\"@example.com"sv, "\"a\\\"@example.com"sv, "@example.com"sv, "bob@"sv, "bob"sv, "bob@.."sv, "bob@a/b"sv,
        ""sv})
    EXPECT_EQ(path(address), "refused") << address;
  EXPECT_EQ(path(std::string(201, 'a') + "@example.com"), "refused");
}

TEST(MailboxPath, IsNothingWhenTheSystemTakesNoSuchName) {
  EXPECT_EQ(path(std::string(150, 'a') + "@b", "/m/{local}{local}"), "");
  EXPECT_NE(path(std::string(150, 'a') + "@b", "/m/{local}/{local}"), "");
}

TEST(MailboxPattern, IsAbsoluteAndKnowsItsPlaceholders) {
  EXPECT_EQ(check_pattern("/var/mail/{domain}/{user}/{local}"), "");
  EXPECT_NE(check_pattern("var/mail/{user}"), "");
  EXPECT_NE(check_pattern(""), "");
  EXPECT_NE(check_pattern("/var/mail/{home}"), "");
  EXPECT_NE(check_pattern("/var/mail/{user"), "");
  EXPECT_NE(check_pattern("/var/mail/user}"), "");
  EXPECT_NE(check_pattern("/var/mail/../{user}"), "");
}

}  // namespace
}  // namespace maildir
