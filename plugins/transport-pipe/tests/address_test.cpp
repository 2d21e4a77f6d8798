#include "plugins/transport-pipe/address.hpp"

#include <gtest/gtest.h>

namespace {

using namespace mansio::pipe;

std::string shown(std::string_view address, const AddressForm &form = {}) {
  return to_string(parse_address(address), form);
}

TEST(Address, IsGivenWithoutQuotesUnlessTheyAreAskedFor) {
  EXPECT_EQ(shown(R"("a b"@example.com)"), "a b@example.com");
  EXPECT_EQ(shown(R"("a\"b"@example.com)"), "a\"b@example.com");
  EXPECT_EQ(shown(R"("a b"@example.com)", {.quote = true}), R"("a b"@example.com)");
  EXPECT_EQ(shown(R"("a\"b\\"@example.com)", {.quote = true}), R"("a\"b\\"@example.com)");
  EXPECT_EQ(shown("plain.name+x@example.com", {.quote = true}), "plain.name+x@example.com");
  EXPECT_EQ(shown("j\xc3\xbcrgen@example.com", {.quote = true}), "j\xc3\xbcrgen@example.com");
  EXPECT_EQ(shown("two..dots@example.com", {.quote = true}), R"("two..dots"@example.com)");
  EXPECT_EQ(shown("", {.quote = true}), "");
  EXPECT_EQ(shown("MAILER-DAEMON", {.quote = true}), "MAILER-DAEMON");
}

TEST(Address, FoldsItsPartsWhereAskedFor) {
  EXPECT_EQ(shown("Bob@Example.COM"), "Bob@Example.COM");
  EXPECT_EQ(shown("Bob@Example.COM", {.fold_domain = true}), "Bob@example.com");
  EXPECT_EQ(shown("Bob@Example.COM", {.fold_local = true}), "bob@Example.COM");
}

TEST(Address, TheFirstDelimiterBeginsTheExtension) {
  const auto split = split_local("bob+lists-x", "+-");
  EXPECT_EQ(split.user, "bob");
  EXPECT_EQ(split.extension, "lists-x");
  EXPECT_EQ(split_local("bob", "+").extension, "");
  EXPECT_EQ(split_local("+bob", "+").user, "+bob");
  EXPECT_EQ(split_local("bob+x", "").user, "bob+x");
  EXPECT_EQ(split_local("", "+").user, "");
}

TEST(Address, NamesThatMailNeedsHaveNoExtension) {
  for (const auto *name : {"MAILER-Daemon", "double-bounce", "owner-users", "users-request", "Owner-x-request"})
    EXPECT_EQ(split_local(name, "-").user, name);
  EXPECT_EQ(split_local("owner+users", "+-").user, "owner");
  EXPECT_EQ(split_local("-request", "-").user, "-request");
  EXPECT_EQ(split_local("users-requested", "-").extension, "requested");
}

}  // namespace
