#include "plugins/transport-common/reason.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

using mansio::transport::parse_reason;

std::string shown(std::string_view text) {
  const auto reason = parse_reason(text);
  if (!reason) return "none";
  const auto &e = reason->enhanced;
  return std::to_string(e.cls) + '.' + std::to_string(e.subject) + '.' + std::to_string(e.detail) + '|' +
         std::string{reason->text};
}

TEST(Reason, IsACodeAndWhatFollows) {
  EXPECT_EQ(shown("5.1.1 no such user"), "5.1.1|no such user");
  EXPECT_EQ(shown("4.7.123  later "), "4.7.123|later");
  EXPECT_EQ(shown("\n5.2.2\r\nover quota\n"), "5.2.2|over quota");
  EXPECT_EQ(shown("5.0.0"), "5.0.0|");
}

TEST(Reason, IsNothingWithoutACodeOfClassFourOrFive) {
  for (const auto *text : {"", "5", "5.1", "5.1.", "5.1.1x no", "2.0.0 fine", "5.1.1234 no", "550 5.1.1 no", "no 5.1.1",
                           "5..1 no", "5.1.-1 no"})
    EXPECT_EQ(shown(text), "none") << text;
}

}  // namespace
