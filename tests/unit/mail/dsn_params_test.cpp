// The parameters of RFC 3461, from the wire and back to it: xtext, NOTIFY, RET, ENVID, ORCPT.
#include "kernel/mail/dsn_params.hpp"

#include <gtest/gtest.h>

namespace mansio {
namespace {

TEST(Xtext, ComesBack) {
  std::string all;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  EXPECT_EQ(xtext_decode(xtext_encode(all)), all);
  EXPECT_EQ(xtext_encode("a+b=c d"), "a+2Bb+3Dc+20d");
}

TEST(Xtext, RefusesWhatItNeverPrints) {
  for (const auto *text : {"+", "+2", "+2G", "a b", "a=b", "\x7f"}) EXPECT_FALSE(xtext_decode(text)) << text;
}

TEST(Utf8Xtext, TakesAllThreeForms) {
  EXPECT_EQ(utf8_xtext_decode("\\x{7528}\\x{6237}@example.com"), "用户@example.com");
  EXPECT_EQ(utf8_xtext_decode("用户@example.com"), "用户@example.com");
  EXPECT_EQ(utf8_xtext_encode("用户+a@example.com", false), "\\x{7528}\\x{6237}\\x{2B}a@example.com");
  EXPECT_EQ(utf8_xtext_encode("用户\\@example.com", true), "用户\\x{5C}@example.com");
  EXPECT_EQ(utf8_xtext_decode(utf8_xtext_encode("😀 é", false)), "😀 é");
}

TEST(Utf8Xtext, RefusesSurrogatesControlsAndBadUtf8) {
  for (const auto *text : {"\\x{D800}", "\\x{0D}", "\\x{110000}", "\\x{}", "\\x{41", "\\y", "a+b", "\xff"}) {
    EXPECT_FALSE(utf8_xtext_decode(text)) << text;
  }
}

TEST(Notify, IsAListOrNever) {
  EXPECT_EQ(*parse_notify("never"), kNotifyNever);
  EXPECT_EQ(*parse_notify("SUCCESS,Delay"), kNotifySuccess | kNotifyDelay);
  for (const auto *text : {"", "NEVER,DELAY", "SUCCESS,", "FAIL"}) EXPECT_FALSE(parse_notify(text).ok()) << text;
  EXPECT_EQ(format_notify(kNotifySuccess | kNotifyFailure | kNotifyDelay), "SUCCESS,FAILURE,DELAY");
  EXPECT_EQ(format_notify(0), "");
}

TEST(Ret, IsFullOrHdrs) {
  EXPECT_EQ(*parse_ret("full"), Ret::Full);
  EXPECT_EQ(*parse_ret("HDRS"), Ret::Hdrs);
  EXPECT_FALSE(parse_ret("").ok());
}

TEST(Envid, IsPrintableAsciiOfAtMostAHundredCharacters) {
  EXPECT_EQ(*parse_envid("QQ+20314159"), "QQ 314159");
  EXPECT_FALSE(parse_envid("").ok());
  EXPECT_FALSE(parse_envid("a+0Ab").ok());
  EXPECT_FALSE(parse_envid("a+FF").ok());
  EXPECT_TRUE(parse_envid(std::string(100, 'a')).ok());
  EXPECT_FALSE(parse_envid(std::string(101, 'a')).ok());
}

TEST(Orcpt, IsDecodedByItsType) {
  EXPECT_EQ(*parse_orcpt("RFC822;a+2Bb@example.com", false), "rfc822;a+b@example.com");
  EXPECT_EQ(*parse_orcpt("utf-8;\\x{7528}@example.com", false), "utf-8;用@example.com");
  EXPECT_EQ(*parse_orcpt("utf-8;用@example.com", true), "utf-8;用@example.com");
  EXPECT_FALSE(parse_orcpt("utf-8;用@example.com", false).ok());
  for (const auto *text : {"a@b", ";a@b", "rfc822;", "rfc822;a+0D", "rfc822;a b", "r c;a", "rfc822;+FF"}) {
    EXPECT_FALSE(parse_orcpt(text, true).ok()) << text;
  }
  EXPECT_FALSE(parse_orcpt("rfc822;" + std::string(500, 'a'), false).ok());
}

TEST(Orcpt, IsEncodedForTheSessionThatCarriesIt) {
  EXPECT_EQ(format_orcpt("rfc822;a+b@example.com", false), "rfc822;a+2Bb@example.com");
  EXPECT_EQ(format_orcpt("utf-8;用@example.com", true), "utf-8;用@example.com");
  EXPECT_EQ(format_orcpt("utf-8;用@example.com", false), "utf-8;\\x{7528}@example.com");
  EXPECT_EQ(format_orcpt("", false), "");
}

}  // namespace
}  // namespace mansio
