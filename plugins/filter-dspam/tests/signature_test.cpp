// Signatures in mail that users send back, as mail programs make it.
#include "plugins/filter-dspam/signature.hpp"

#include <gmock/gmock.h>

namespace {

using mansio::dspam::find_signatures;
using mansio::dspam::kMostSignatures;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> in(std::string_view message) { return find_signatures(message, "X-DSPAM-Signature"); }

TEST(DspamSignature, IsFoundInHeadersAndTexts) {
  EXPECT_THAT(in("X-DSPAM-Signature: 4f6a12ab\r\n\r\nbody\r\n"), ElementsAre("4f6a12ab"));
  EXPECT_THAT(in("Subject: Fwd\r\n\r\n> x-dspam-signature: 1,4f6a12ab\r\n"), ElementsAre("1,4f6a12ab"));
  EXPECT_THAT(in("Subject: Fwd\r\n\r\nX-DSPAM-Signature:\r\n 4f6a12ab\r\n"), ElementsAre("4f6a12ab"));
  EXPECT_THAT(in("\r\n<b>X-DSPAM-Signature:</b>&nbsp; <i>4f6a12ab</i><br>\r\n"), ElementsAre("4f6a12ab"));
  EXPECT_THAT(in("\r\nbuy now\r\n!DSPAM:4f6a12ab!\r\n"), ElementsAre("4f6a12ab"));
  EXPECT_THAT(in("\r\nX-DSPAM-Signature: 4f6a=\r\n12ab\r\n"), ElementsAre("4f6a12ab"));
}

TEST(DspamSignature, IsFoundInBase64) {
  // "From: a@example.com\r\nX-DSPAM-Signature: 4f6a12ab3481523\r\n\r\nbuy now\r\n"
  EXPECT_THAT(in("Content-Transfer-Encoding: base64\r\n\r\n"
                 "RnJvbTogYUBleGFtcGxlLmNvbQ0KWC1EU1BBTS1TaWduYXR1cmU6IDRmNmEx\r\n"
                 "MmFiMzQ4MTUyMw0KDQpidXkgbm93DQo=\r\n"),
              ElementsAre("4f6a12ab3481523"));
}

TEST(DspamSignature, IsNamedOnceAndInOrder) {
  EXPECT_THAT(in("X-DSPAM-Signature: b2\r\nX-DSPAM-Signature: a1\r\n\r\nX-DSPAM-Signature: b2\r\n!DSPAM:c3!\r\n"),
              ElementsAre("b2", "a1", "c3"));
}

TEST(DspamSignature, IsNothingElse) {
  EXPECT_THAT(in(""), IsEmpty());
  EXPECT_THAT(in("X-DSPAM-Signature:"), IsEmpty());
  EXPECT_THAT(in("X-DSPAM-Signature: \"quoted\"\r\n"), IsEmpty());
  EXPECT_THAT(in("X-DSPAM-Signature: <never closed\r\n"), IsEmpty());
  EXPECT_THAT(in("!DSPAM:4f6a12ab\r\n"), IsEmpty());
  EXPECT_THAT(in("X-DSPAM-Signature: " + std::string(128, 'a') + "\r\n"), IsEmpty());
}

TEST(DspamSignature, FloodsAreBounded) {
  std::string flood;
  for (int i = 0; i < 1000; ++i) flood += "X-DSPAM-Signature: a" + std::to_string(i) + "\r\n";
  EXPECT_EQ(in(flood).size(), kMostSignatures);
}

}  // namespace
