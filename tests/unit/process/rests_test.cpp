// Rests of plugin instances: whoever asks first after one tries it, and the others wait for what becomes of that.
#include "kernel/process/rests.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace mansio::process {
namespace {

using Leave = RestTable::Leave;
using Kind = RestTable::State::Kind;

constexpr std::uint64_t kOne = 0x1234, kOther = 0x5678;
constexpr Nanos kPatience = 10 * kSecond;

class RestsTest : public ::testing::Test {
 protected:
  Leave ask(std::uint32_t slot, Nanos now, std::uint64_t instance = kOne) {
    return table_->ask(instance, slot, now, kPatience);
  }
  const std::unique_ptr<RestTable> table_ = std::make_unique<RestTable>();
};

TEST_F(RestsTest, OneThatNeverRestedIsFree) {
  EXPECT_EQ(ask(0, 0), Leave::Free);
  EXPECT_FALSE(table_->state(kOne));
  EXPECT_FALSE(table_->recovered(kOne, 0, 0));
  table_->rest(kOther, kSecond);
  EXPECT_EQ(ask(0, 0), Leave::Free);
}

TEST_F(RestsTest, OneProcessTriesItAfterTheRest) {
  ASSERT_TRUE(table_->rest(kOne, 60 * kSecond));
  EXPECT_EQ(ask(0, 60 * kSecond - 1), Leave::No);
  EXPECT_EQ(ask(0, 60 * kSecond), Leave::Begun);
  EXPECT_EQ(ask(1, 60 * kSecond), Leave::No);
  EXPECT_EQ(ask(0, 61 * kSecond), Leave::Yours);
  EXPECT_EQ(table_->state(kOne)->kind, Kind::Trying);
  EXPECT_EQ(table_->state(kOne)->slot, 0u);
  EXPECT_FALSE(table_->recovered(kOne, 1, 62 * kSecond)) << "it did not try";
  EXPECT_EQ(ask(1, 62 * kSecond), Leave::No);
  EXPECT_TRUE(table_->recovered(kOne, 0, 63 * kSecond));
  EXPECT_FALSE(table_->recovered(kOne, 0, 64 * kSecond));
  EXPECT_EQ(ask(1, 64 * kSecond), Leave::Free);
  EXPECT_EQ(table_->state(kOne)->kind, Kind::Recovered);
  EXPECT_EQ(table_->state(kOne)->time, 63 * kSecond);
}

TEST_F(RestsTest, ATryThatNobodyHearsOfLeavesItToAnother) {
  table_->rest(kOne, 60 * kSecond);
  EXPECT_EQ(ask(63, 60 * kSecond), Leave::Begun);
  EXPECT_EQ(ask(0, 60 * kSecond + kPatience), Leave::Begun);
  EXPECT_FALSE(table_->recovered(kOne, 63, 71 * kSecond));
  EXPECT_EQ(table_->state(kOne)->slot, 0u);
}

TEST_F(RestsTest, ItRestsAgain) {
  table_->rest(kOne, 60 * kSecond);
  ask(0, 60 * kSecond);
  table_->rest(kOne, 200 * kSecond);
  EXPECT_EQ(ask(0, 199 * kSecond), Leave::No);
  EXPECT_EQ(table_->state(kOne)->kind, Kind::Resting);
}

TEST_F(RestsTest, OneThatIsForgottenMakesRoom) {
  std::uint64_t tag = 1;
  while (table_->rest(tag, kSecond)) ++tag;
  EXPECT_GT(tag, 100u);
  EXPECT_EQ(ask(0, 0, tag), Leave::Free);
  table_->forget(7);
  EXPECT_EQ(ask(0, 0, 7), Leave::Free);
  EXPECT_TRUE(table_->rest(tag, kSecond));
  EXPECT_EQ(ask(0, 0, tag), Leave::No);
  EXPECT_EQ(ask(0, 0, 8), Leave::No);
}

}  // namespace
}  // namespace mansio::process
