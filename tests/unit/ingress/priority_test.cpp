// What clients write for a priority, in a parameter and in header fields.
#include "kernel/ingress/priority.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace mansio::ingress {
namespace {

TEST(PriorityField, HasANumberWithoutItsComments) {
  for (const auto *text : {"4", " 4 ", "4 (urgent)", "(a \\) (b)) 4", "4(x)"})
    EXPECT_EQ(priority_of_field("MT-Priority", text), 4) << text;
  EXPECT_EQ(priority_of_field("MT-Priority", "-9"), -9);
  for (const auto *text : {"", "()", "(4", "4 5", "+4", "04", "10", "-0", "4.", "4 (x) 5", "4 )"})
    EXPECT_EQ(priority_of_field("MT-Priority", text), std::nullopt) << text;
}

TEST(PriorityField, OfMailProgramsIsTurnedRound) {
  const int expected[] = {4, 2, 0, -2, -4};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(priority_of_field("x-priority", std::to_string(i + 1)), expected[i]);
  EXPECT_EQ(priority_of_field("X-Priority", "1 (Highest)"), 4);
  for (const auto *text : {"0", "6", "-1"}) EXPECT_EQ(priority_of_field("X-Priority", text), std::nullopt) << text;
}

TEST(PriorityField, MayHaveAWord) {
  EXPECT_EQ(priority_of_field("Priority", "Non-Urgent"), -4);
  EXPECT_EQ(priority_of_field("Priority", "urgent"), 4);
  EXPECT_EQ(priority_of_field("Importance", "high"), 4);
  EXPECT_EQ(priority_of_field("Importance", "normal"), 0);
  EXPECT_EQ(priority_of_field("Precedence", "bulk"), -4);
  EXPECT_EQ(priority_of_field("Precedence", "first-class"), std::nullopt);
}

}  // namespace
}  // namespace mansio::ingress
