#include "plugins/lookup-ldap/escape.hpp"

#include <gtest/gtest.h>

#include "mansio/config.hpp"
#include "plugins/lookup-ldap/settings.hpp"

namespace mansio::lookup {
namespace {

std::string filter(std::string_view text) {
  std::string out;
  escape_filter(out, text);
  return out;
}
std::string dn(std::string_view text) {
  std::string out;
  escape_dn(out, text);
  return out;
}

TEST(EscapeFilter, LeavesNothingThatHasAMeaning) {
  EXPECT_EQ(filter("alice@example.com"), "alice@example.com");
  EXPECT_EQ(filter("*)(uid=*"), "\\2a\\29\\28uid=\\2a");
  EXPECT_EQ(filter("a\\2ab"), "a\\5c2ab");
  EXPECT_EQ(filter(std::string_view{"a\0b", 3}), "a\\00b");
  EXPECT_EQ(filter("m\xc3\xbcller"), "m\xc3\xbcller");
}

TEST(EscapeDn, LeavesNothingThatHasAMeaning) {
  EXPECT_EQ(dn("alice@example.com"), "alice@example.com");
  EXPECT_EQ(dn("a,ou=x+b"), "a\\2cou\\3dx\\2bb");
  EXPECT_EQ(dn(" #\"<>;\\ "), "\\20\\23\\22\\3c\\3e\\3b\\5c\\20");
}

TEST(LdapUrl, KnowsTheWaysToNameAServer) {
  EXPECT_EQ(ldap_url("ldap.example.com", 389), "ldap://ldap.example.com:389");
  EXPECT_EQ(ldap_url("ldap.example.com:1389", 389), "ldap://ldap.example.com:1389");
  EXPECT_EQ(ldap_url("[2001:db8::1]", 389), "ldap://[2001:db8::1]:389");
  EXPECT_EQ(ldap_url("ldaps://ldap.example.com", 389), "ldaps://ldap.example.com");
  EXPECT_EQ(ldap_url("ldapi://%2frun%2fldapi", 389), "ldapi://%2frun%2fldapi");
  for (const auto *text : {"", "http://x", "ldap:/x", "a b"})
    EXPECT_THROW(ldap_url(text, 389), plugin::BadConfig) << text;
}

}  // namespace
}  // namespace mansio::lookup
