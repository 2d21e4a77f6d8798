// Base64 and quoted-printable, whole and in pieces.
#include "plugins/mime-common/decoder.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace mansio::mime {
namespace {

std::string decoded(Encoding encoding, std::string_view text) {
  std::string whole;
  Decoder decoder{encoding};
  decoder.add(text, whole);
  EXPECT_LE(whole.size(), text.size() + Decoder::kMostHeld);
  decoder.finish(whole);
  std::string in_pieces;
  Decoder again{encoding};
  for (const char c : text) again.add({&c, 1}, in_pieces);
  again.finish(in_pieces);
  EXPECT_EQ(in_pieces, whole);
  return whole;
}
std::string base64(std::string_view text) { return decoded(Encoding::Base64, text); }
std::string qp(std::string_view text) { return decoded(Encoding::QuotedPrintable, text); }

TEST(Decoder, OfBase64PassesOverWhatIsNone) {
  EXPECT_EQ(base64("aGVsbG8gd29ybGQ=\r\n"), "hello world");
  EXPECT_EQ(base64("aGVs\r\nbG8g!d29y*bGQ"), "hello world");
  EXPECT_EQ(base64("YQ==Yg==\r\nYw"), "abc");
  EXPECT_EQ(base64("a"), "");
  EXPECT_EQ(base64("===="), "");
  EXPECT_EQ(base64("//79"), "\xff\xfe\xfd");
}

TEST(Decoder, OfQuotedPrintableLeavesWhatIsNone) {
  EXPECT_EQ(qp("a=3Db=e4\r\nc"), "a=b\xe4\r\nc");
  EXPECT_EQ(qp("soft=\r\nbreak= \t\r\nhere=\nand"), "softbreakhereand");
  EXPECT_EQ(qp("blanks \t\r\nat ends  "), "blanks\r\nat ends");
  EXPECT_EQ(qp("=zz =4 =4z = x =="), "=zz =4 =4z = x =");
  EXPECT_EQ(qp("=4"), "=4");
  EXPECT_EQ(qp("a="), "a");
  const std::string blanks(500, ' ');
  EXPECT_EQ(qp("a" + blanks + "b"), "a" + blanks + "b");
  EXPECT_EQ(qp("=" + blanks + "b"), "=" + blanks + "b");
}

TEST(Decoder, KnowsTheEncodings) {
  EXPECT_EQ(encoding_of(" Base64 (comment)"), Encoding::Base64);
  EXPECT_EQ(encoding_of("quoted-printable; x"), Encoding::QuotedPrintable);
  EXPECT_EQ(encoding_of("8bit"), Encoding::None);
  EXPECT_EQ(encoding_of("x-uuencode"), Encoding::None);
  EXPECT_EQ(decoded(Encoding::None, "a=\r\n"), "a=\r\n");
}

}  // namespace
}  // namespace mansio::mime
