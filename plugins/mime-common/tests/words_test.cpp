// Encoded words and charsets.
#include "plugins/mime-common/words.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mansio::mime {
namespace {

TEST(Words, AreDecodedWhereTheyStand) {
  EXPECT_EQ(decode_words("plain"), "plain");
  EXPECT_EQ(decode_words("a =?utf-8?q?b_c=3D?= d"), "a b c= d");
  EXPECT_EQ(decode_words("=?US-ASCII*en?Q?a?= \r\n =?us-ascii?Q?_b?="), "a b");
  EXPECT_EQ(decode_words("=?utf-8?q?a?= b =?utf-8?q?c_?="), "a b c ");
  EXPECT_EQ(decode_words("=?iso-8859-15?q?=A4?= =?windows-1252?B?gA==?="), "\xe2\x82\xac\xe2\x82\xac");
  // A character in two words.
  EXPECT_EQ(decode_words("=?utf-8?B?w6TD?= =?UTF-8?B?pA==?="), "\xc3\xa4\xc3\xa4");
}

TEST(Words, ThatAreNoneStay) {
  for (const auto *const text :
       {"=?", "=?a", "=?a?b", "=?a?b?", "=?a?b?c", "=?a?x?c?=", "=??b?c?=", "a=?b c?=", "?=", "=?a?b?c ?x="})
    EXPECT_EQ(decode_words(text), text);
  EXPECT_EQ(decode_words("=? =?utf-8?q?a?="), "=? a");
}

TEST(Words, ManyBeginningsAreReadOnce) {
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += "=?a?q? ";
  EXPECT_EQ(decode_words(text), text);
}

TEST(Charsets, BecomeUtf8) {
  EXPECT_EQ(to_utf8("", "a\xc3\xa4"), "a\xc3\xa4");
  EXPECT_EQ(to_utf8("UTF-8", "\xc0\x80\xed\xa0\x80z"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz");
  EXPECT_EQ(to_utf8("latin1", "\xe4\x80\x81"), "\xc3\xa4\xe2\x82\xac\xef\xbf\xbd");
  EXPECT_EQ(to_utf8("iso-8859-15", "\xa4\xe4"), "\xe2\x82\xac\xc3\xa4");
  EXPECT_EQ(to_utf8("koi8-r", "a\xc1"), "a\xef\xbf\xbd");
}

}  // namespace
}  // namespace mansio::mime
