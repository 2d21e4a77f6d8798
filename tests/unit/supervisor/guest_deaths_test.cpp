// What is counted against a plugin that ends the processes it is a guest of, and for how long it rests.
#include "kernel/supervisor/guest_deaths.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace mansio::supervisor {
namespace {

using Leave = process::RestTable::Leave;

constexpr Nanos kTime = 60 * kSecond, kWindow = 30 * kSecond;

class GuestDeathsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    shared_ = std::move(*process::SharedMemory::create());
    deaths_.emplace(*shared_);
    plan_.guests = {{"filter spam", 3, kWindow, kTime}, {"lookup spam", 3, kWindow, kTime}};
  }
  std::uint64_t tag(std::uint32_t epoch = 1, const std::string &name = "filter spam") {
    return shared_->instance_tag(epoch, name);
  }
  GuestDeaths::Verdict died(std::uint32_t slot = 0, bool hung = false, std::uint32_t epoch = 1, Nanos kept_down = 0) {
    shared_->in_code_of(slot, tag(epoch));
    const auto *guest = deaths_->in_code_of(plan_, epoch, slot);
    EXPECT_NE(guest, nullptr);
    const auto verdict = deaths_->died(*guest, epoch, slot, hung, now_, kept_down);
    shared_->release_slot(slot);
    return verdict;
  }
  Leave ask(std::uint32_t slot = 0, std::uint32_t epoch = 1) {
    return shared_->rests().ask(tag(epoch), slot, now_, kTime);
  }
  void open() {
    for (int i = 0; i < 2; ++i) EXPECT_FALSE(died().opens);
    EXPECT_EQ(died().pause, kTime);
  }

  config::Plan plan_;
  Nanos now_ = 1000 * kSecond;
  std::unique_ptr<process::SharedMemory> shared_;
  std::optional<GuestDeaths> deaths_;
};

TEST_F(GuestDeathsTest, ADeathInNobodysCodeIsNobodysFault) {
  EXPECT_EQ(deaths_->in_code_of(plan_, 1, 0), nullptr);
  shared_->in_code_of(0, tag(1, "transport smtp"));
  EXPECT_EQ(deaths_->in_code_of(plan_, 1, 0), nullptr);
  shared_->in_code_of(0, tag(2));
  EXPECT_EQ(deaths_->in_code_of(plan_, 1, 0), nullptr) << "of another configuration";
  shared_->in_code_of(0, tag(1, "lookup spam"));
  EXPECT_EQ(deaths_->in_code_of(plan_, 1, 0)->name, "lookup spam");
}

TEST_F(GuestDeathsTest, SeveralOpenTheBreakerInWhicheverProcessesTheyWere) {
  EXPECT_FALSE(died(0).opens);
  EXPECT_FALSE(died(7).opens);
  EXPECT_EQ(ask(), Leave::Free);
  const auto third = died(3);
  EXPECT_TRUE(third.opens);
  EXPECT_EQ(third.pause, kTime);
  EXPECT_EQ(ask(), Leave::No);
  EXPECT_EQ(shared_->rests().ask(tag(1, "lookup spam"), 0, now_, kTime), Leave::Free);
}

TEST_F(GuestDeathsTest, DeathsFarApartDoNot) {
  for (int i = 0; i < 20; ++i, now_ += kWindow) EXPECT_FALSE(died().opens);
}

TEST_F(GuestDeathsTest, DeathsFarApartDoWhereTheProcessWasNotStartedInBetween) {
  plan_.guests[0].breaker_deaths = 11;
  for (int i = 0; i < 10; ++i, now_ += kWindow) EXPECT_FALSE(died(0, false, 1, kWindow).opens);
  EXPECT_TRUE(died(0, false, 1, kWindow).opens);
}

TEST_F(GuestDeathsTest, AHangCountsAsFiveDeaths) {
  plan_.guests[0].breaker_deaths = 11;
  EXPECT_FALSE(died(0, true).opens);
  EXPECT_FALSE(died(0, true).opens);
  EXPECT_TRUE(died().opens);
}

TEST_F(GuestDeathsTest, OneHangIsEnoughForFewerThanThat) {
  const auto verdict = died(0, true);
  EXPECT_TRUE(verdict.opens);
  EXPECT_TRUE(verdict.hung);
  EXPECT_EQ(ask(), Leave::No);
}

TEST_F(GuestDeathsTest, OneThatItsWatchdogNoticedIsOneToo) {
  shared_->hangs(4);
  EXPECT_TRUE(died(4).opens);
  EXPECT_FALSE(shared_->code(4).hangs) << "the slot is free again";
}

TEST_F(GuestDeathsTest, ProcessesThatWereInItWhenItOpenedDoNotCount) {
  open();
  EXPECT_FALSE(died(9).opens);
  EXPECT_FALSE(died(9, true).opens);
  now_ += kTime;
  EXPECT_EQ(ask(1), Leave::Begun);
  EXPECT_FALSE(died(9).opens) << "another one tries it";
}

TEST_F(GuestDeathsTest, ADeathOfATryOpensItAtOnceForTwiceAsLong) {
  open();
  for (const int times : {2, 4, 8, 16, 32, 32}) {
    now_ = shared_->rests().state(tag())->time + kSecond;
    ASSERT_EQ(ask(5), Leave::Begun);
    const auto verdict = died(5);
    EXPECT_TRUE(verdict.opens);
    EXPECT_EQ(verdict.pause, times * kTime);
    now_ += kTime;
    EXPECT_EQ(ask(5), Leave::No);
  }
}

TEST_F(GuestDeathsTest, SoDoesOneAMomentAfterATryThatWentWell) {
  open();
  now_ += kTime;
  ASSERT_EQ(ask(5), Leave::Begun);
  ASSERT_TRUE(shared_->rests().recovered(tag(), 5, now_));
  now_ += kWindow;
  const auto verdict = died(2);
  EXPECT_TRUE(verdict.opens);
  EXPECT_EQ(verdict.pause, 2 * kTime);
}

TEST_F(GuestDeathsTest, OneThatRecoveredHasAllItsChancesAgain) {
  open();
  now_ += kTime;
  ASSERT_EQ(ask(5), Leave::Begun);
  ASSERT_TRUE(shared_->rests().recovered(tag(), 5, now_));
  now_ += kWindow + kSecond;
  open();
}

TEST_F(GuestDeathsTest, AnotherConfigurationBeginsAnew) {
  open();
  EXPECT_EQ(ask(0, 2), Leave::Free);
  EXPECT_FALSE(died(0, false, 2).opens);
  EXPECT_EQ(ask(0, 1), Leave::No) << "the old one still drains";
  EXPECT_FALSE(died(0, false, 5).opens);
  EXPECT_EQ(ask(0, 1), Leave::No) << "however many were refused in between";
  deaths_->forget_before(2);
  EXPECT_EQ(ask(0, 1), Leave::Free) << "it is forgotten";
}

}  // namespace
}  // namespace mansio::supervisor
