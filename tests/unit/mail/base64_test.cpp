// Base64 as SASL over SMTP needs it: RFC 4648's examples, and nothing that has two readings.
#include "kernel/mail/base64.hpp"

#include <gtest/gtest.h>

namespace mansio {
namespace {

TEST(Base64, HasTheExamplesOfItsRfc) {
  constexpr std::pair<std::string_view, std::string_view> kExamples[] = {{"", ""},
                                                                         {"f", "Zg=="},
                                                                         {"fo", "Zm8="},
                                                                         {"foo", "Zm9v"},
                                                                         {"foob", "Zm9vYg=="},
                                                                         {"fooba", "Zm9vYmE="},
                                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto &[bytes, text] : kExamples) {
    EXPECT_EQ(base64_encode(bytes), text);
    EXPECT_EQ(base64_decode(text), std::string{bytes});
  }
}

TEST(Base64, TakesEveryOctet) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) {
    bytes += static_cast<char>(i);
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
  }
}

TEST(Base64, RefusesWhatIsNotCanonical) {
  for (const auto *text :
       {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zm9v\n", " Zm9v", "Zm=v", "====", "=", "Z===", "Zm9_", "Zg==Zg=="})
    EXPECT_FALSE(base64_decode(text)) << text;
}

}  // namespace
}  // namespace mansio
