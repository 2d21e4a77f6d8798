// The order of keys is that of Postfix's manual pages.
#include "kernel/route/keys.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mansio::route {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> texts(const Keys &keys) {
  std::vector<std::string> out;
  for (const auto &key : keys) out.push_back(key.text);
  return out;
}

std::string split(std::string_view local, std::string_view delimiters) {
  const auto box = split_extension(local, delimiters);
  return std::string{box.user} + '|' + std::string{box.extension};
}

TEST(Keys, AnExtensionBeginsAtTheFirstDelimiter) {
  EXPECT_EQ(split("alice+lists", "+"), "alice|+lists");
  EXPECT_EQ(split("alice+lists+more", "+"), "alice|+lists+more");
  EXPECT_EQ(split("alice-lists+more", "+-"), "alice|-lists+more");
  EXPECT_EQ(split("alice+", "+"), "alice|+");
  EXPECT_EQ(split("alice+lists", ""), "alice+lists|");
  EXPECT_EQ(split("+lists", "+"), "+lists|");
  EXPECT_EQ(split("", "+"), "|");
}

TEST(Keys, NamesThatMailNeedsHaveNoExtension) {
  EXPECT_EQ(split("double-bounce", "-"), "double-bounce|");
  EXPECT_EQ(split("Mailer-Daemon", "-"), "Mailer-Daemon|");
  EXPECT_EQ(split("owner-users", "-"), "owner-users|");
  EXPECT_EQ(split("users-request", "-"), "users-request|");
  EXPECT_EQ(split("owner+users", "+-"), "owner|+users");
}

TEST(Keys, AnAddressIsRewrittenByItselfThenWithoutExtensionThenByUserThenByDomain) {
  EXPECT_THAT(texts(rewriting_keys("alice+x@Example.COM", "+", true)),
              ElementsAre("alice+x@example.com", "alice@example.com", "alice+x", "alice", "@example.com"));
  EXPECT_THAT(texts(rewriting_keys("alice+x@example.com", "+", false)),
              ElementsAre("alice+x@example.com", "alice@example.com", "@example.com"));
  EXPECT_THAT(texts(rewriting_keys("alice@example.com", "+", true)),
              ElementsAre("alice@example.com", "alice", "@example.com"));
}

TEST(Keys, TheWholeAddressIsMarkedForTablesOfPatterns) {
  const auto keys = rewriting_keys("alice+x@example.com", "+", true);
  EXPECT_TRUE(keys[0].whole);
  for (std::size_t i = 1; i < keys.size(); ++i) EXPECT_FALSE(keys[i].whole) << keys[i].text;
  EXPECT_FALSE(keys[0].without_extension);
  EXPECT_TRUE(keys[1].without_extension);
  EXPECT_FALSE(keys[2].without_extension);
  EXPECT_TRUE(keys[3].without_extension);
  EXPECT_TRUE(keys[4].without_extension);
}

TEST(Keys, ATransportIsFoundByAddressDomainParentsAndStar) {
  EXPECT_THAT(
      texts(transport_keys("alice+x@a.example.com", "+", false)),
      ElementsAre("alice+x@a.example.com", "alice@a.example.com", "a.example.com", ".example.com", ".com", "*"));
  EXPECT_THAT(texts(transport_keys("alice@a.example.com", "", true)),
              ElementsAre("alice@a.example.com", "a.example.com", "example.com", "com", "*"));
}

TEST(Keys, ARelayhostIsFoundBySenderAndDomain) {
  EXPECT_THAT(texts(relayhost_keys("alice@example.com")), ElementsAre("alice@example.com", "@example.com"));
  EXPECT_THAT(texts(relayhost_keys("")), ElementsAre("<>"));
}

TEST(Keys, AccessByAddressGoesFromTheAddressOverTheDomainToTheUser) {
  EXPECT_THAT(texts(address_access_keys("alice+x@a.example.com", "+", true, "<>")),
              ElementsAre("alice+x@a.example.com", "alice@a.example.com", "a.example.com", "example.com", "com",
                          "alice+x@", "alice@"));
  EXPECT_THAT(texts(address_access_keys("alice@a.example.com", "+", false, "<>")),
              ElementsAre("alice@a.example.com", "a.example.com", ".example.com", ".com", "alice@"));
  EXPECT_THAT(texts(address_access_keys("", "+", true, "<>")), ElementsAre("<>"));
  EXPECT_THAT(texts(address_access_keys("", "+", true, "")), IsEmpty());
}

TEST(Keys, AHostIsFoundByItsNameAndThoseAboveIt) {
  EXPECT_THAT(texts(host_keys("Mail.Example.com", true)), ElementsAre("mail.example.com", "example.com", "com"));
  EXPECT_THAT(texts(host_keys("mail.example.com", false)), ElementsAre("mail.example.com", ".example.com", ".com"));
  EXPECT_THAT(texts(host_keys("unknown", true)), ElementsAre("unknown"));
  EXPECT_THAT(texts(host_keys("[192.0.2.1]", true)), ElementsAre("[192.0.2.1]"));
}

TEST(Keys, ANetworkIsAnAddressWithoutItsEnd) {
  EXPECT_THAT(texts(network_keys("192.0.2.1")), ElementsAre("192.0.2.1", "192.0.2", "192.0", "192"));
  EXPECT_THAT(texts(network_keys("2001:db8:1::9")), ElementsAre("2001:db8:1::9", "2001:db8:1", "2001:db8", "2001"));
  EXPECT_THAT(texts(network_keys("::1")), ElementsAre("::1"));
  EXPECT_THAT(texts(network_keys("unix")), ElementsAre("unix"));
}

TEST(Keys, ADomainOfAListIsItselfOrBelowOneWithADot) {
  EXPECT_THAT(texts(domain_keys("a.example.com")), ElementsAre("a.example.com", ".example.com", ".com"));
}

}  // namespace
}  // namespace mansio::route
