// Who goes before whom: lists and single messages, tenants, classes of priority; and that nobody is forgotten.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/unit/scheduler/lab.hpp"
#include "tests/unit/scheduler/times.hpp"

namespace mansio::scheduler {
namespace {

Nanos longest_wait(const Lab &lab, const std::string &tag) {
  Nanos longest = 0;
  for (const auto &d : lab.began)
    if (d.tag == tag) longest = std::max(longest, d.begun - d.added);
  return longest;
}
Nanos finish(const Lab &lab, const std::string &tag) {
  Nanos last = 0;
  for (const auto &d : lab.ended)
    if (d.tag == tag) last = std::max(last, d.ended);
  return last;
}

// A list of 50,000 recipients at one destination: 1,000 deliveries of fifty.
class ListTest : public ::testing::Test {
 protected:
  void start(SlotLimits slots = {}) {
    t_ = lab_.transport({.name = "t", .sessions = 20, .slots = slots});
    ASSERT_TRUE(slots.cost < 2 || lab_.scheduler->is_list(t_, 1000));
    begin_ = lab_.now;
  }
  void list(const std::string &to, int deliveries, const std::string &tag = "list") {
    for (int i = 0; i < deliveries; ++i) lab_.add(t_, to, {}, lab_.scheduler->is_list(t_, 1000), tag);
  }
  Lab lab_;
  TransportId t_ = 0;
  Nanos begin_ = 0;
};

TEST_F(ListTest, WhatHasFewDeliveriesIsNoList) {
  start();
  EXPECT_FALSE(lab_.scheduler->is_list(t_, 14));
  EXPECT_TRUE(lab_.scheduler->is_list(t_, 15));
}

TEST_F(ListTest, ASingleMessageGoesAheadOfOne) {
  start();
  list("example.com", 1000);
  lab_.run(lab_.now + 10 * kSecond);
  const auto since = lab_.now;
  for (int i = 0; i < 10; ++i) {
    lab_.add(t_, "example.com", {}, false, "single");
    lab_.run(lab_.now + 2 * kSecond);
  }
  EXPECT_LE(longest_wait(lab_, "single"), kSecond);  // the next place that becomes free
  EXPECT_EQ(lab_.begins("single").size(), 10u);
  EXPECT_GT(lab_.now, since);
  lab_.run();
  EXPECT_EQ(lab_.ended.size(), 1010u);
}

TEST_F(ListTest, WithoutSlotsItWaitsBehindTheList) {
  start({.cost = 0});
  list("example.com", 1000);
  lab_.run(lab_.now + 10 * kSecond);
  lab_.add(t_, "example.com", {}, false, "single");
  lab_.run();
  EXPECT_GT(longest_wait(lab_, "single"), 30 * kSecond);
}

TEST_F(ListTest, AListToManyDestinationsDoesNotDelayMailToAnother) {
  start();
  for (int i = 0; i < 5000; ++i) lab_.add(t_, "d" + std::to_string(i), {}, true, "list");
  lab_.run(lab_.now + 10 * kSecond);
  lab_.add(t_, "new.example", {}, false, "single");
  lab_.run(lab_.now + 2 * kSecond);
  ASSERT_EQ(lab_.begins("single").size(), 1u);
  EXPECT_LE(longest_wait(lab_, "single"), kSecond);
}

// Single mail without end: of six deliveries one goes ahead, so the list takes 6/5 of its time.
TEST_F(ListTest, AListTakesAtMostAFifthLongerForOthersSake) {
  start();
  list("example.com", 1000);
  lab_.run();
  const auto alone = finish(lab_, "list") - begin_;
  lab_.ended.clear();
  begin_ = lab_.now;
  list("example.com", 1000, "second");
  lab_.run(lab_.now + 1);
  for (int i = 0; i < 3000; ++i) lab_.add(t_, "example.com", {}, false, "single");
  lab_.run();
  const auto contested = finish(lab_, "second") - begin_;
  EXPECT_LE(contested, alone * 6 / 5 + 2 * kSecond);
  EXPECT_GE(contested, alone * 11 / 10);
}

TEST_F(ListTest, WhatWasThereBeforeTheListGoesBeforeItForNothing) {
  start();
  for (int i = 0; i < 100; ++i) lab_.add(t_, "example.com", {}, false, "single");
  lab_.now += kSecond;
  list("example.com", 1000);
  lab_.run(lab_.now + 1);
  lab_.run(lab_.now + 30 * kSecond);
  const auto singles = lab_.begins("single"), lists = lab_.begins("list");
  ASSERT_EQ(singles.size(), 100u);
  EXPECT_LE(singles.back(), lists.front());
}

// One delivery at once, so that their order is all there is: L of a list, S of single messages that came after it.
class SlotTest : public ::testing::Test {
 protected:
  std::string order(SlotLimits slots, std::size_t begun) {
    Lab lab;
    const auto t = lab.transport(
        {.name = "t", .sessions = 1, .slots = slots, .destination = {.window = {.initial = 1, .limit = 1}}});
    for (int i = 0; i < 100; ++i) lab.add(t, "example.com", {}, true, "L");
    lab.run(lab.now + 1);
    for (int i = 0; i < 20; ++i) lab.add(t, "example.com", {}, false, "S");
    lab.run();
    std::string out;
    for (const auto &d : lab.began)
      if (out.size() < begun) out += d.tag;
    return out;
  }
};

TEST_F(SlotTest, TheFirstWaitsForWhatItCosts) {
  EXPECT_EQ(order({.cost = 5, .loan = 0, .discount = 0}, 18), "LLLLLSLLLLLSLLLLLS");
  EXPECT_EQ(order({.cost = 2, .loan = 0, .discount = 0}, 9), "LLSLLSLLS");
}

TEST_F(SlotTest, SoManyGoAheadOnLoanAndArePaidForAfterwards) {
  EXPECT_EQ(order({.cost = 5, .loan = 3, .discount = 0}, 15), "LSSSLLLLSLLLLLS");
  EXPECT_EQ(order({.cost = 5, .loan = 1, .discount = 0}, 13), "LSLLLLSLLLLLS");
  EXPECT_EQ(order({.cost = 1'000'000, .loan = 1'000'000, .discount = 0}, 22), "L" + std::string(20, 'S') + "L");
}

TEST_F(SlotTest, ADiscountShortensTheFirstWaitAndNoOther) {
  EXPECT_EQ(order({.cost = 5, .loan = 0, .discount = 50}, 16), "LLLSLLLLLSLLLLLS");
  EXPECT_EQ(order({.cost = 4, .loan = 0, .discount = 75}, 12), "LSLLLLSLLLLS");
}

TEST_F(SlotTest, BelowTwoNobodyGoesAhead) { EXPECT_EQ(order({.cost = 1}, 100), std::string(100, 'L')); }

double jain(const std::vector<double> &shares) {
  double sum = 0, squares = 0;
  for (const auto s : shares) sum += s, squares += s * s;
  return sum * sum / (static_cast<double>(shares.size()) * squares);
}

TEST(Tenants, TakeTurnsInsideADestination) {
  Lab lab;
  const auto t = lab.transport({.name = "t", .sessions = 1000});
  for (int i = 0; i < 5000; ++i) lab.add(t, "example.com", {.tenant = "abuser"}, false, "abuser");
  for (int i = 0; i < 200; ++i) lab.add(t, "example.com", {.tenant = "other"}, false, "other");
  lab.run(lab.now + 20 * kSecond + 1);
  EXPECT_GE(lab.begins("other").size(), 180u);  // half of what the destination takes, from its first round on
}

TEST(Tenants, AnAbuserWithAThousandDestinationsGainsNothing) {
  Lab lab;
  const auto t = lab.transport({.name = "t", .sessions = 50});
  for (int i = 0; i < 20'000; ++i) lab.add(t, "d" + std::to_string(i % 1000), {.tenant = "abuser"}, false, "abuser");
  for (int k = 0; k < 9; ++k)
    for (int i = 0; i < 400; ++i)
      lab.add(t, "e" + std::to_string(k), {.tenant = "t" + std::to_string(k)}, false, "t" + std::to_string(k));
  lab.run(lab.now + 60 * kSecond);
  std::vector<double> done{static_cast<double>(lab.done("abuser"))};
  for (int k = 0; k < 9; ++k) done.push_back(static_cast<double>(lab.done("t" + std::to_string(k))));
  EXPECT_GT(jain(done), 0.98);
}

TEST(Tenants, SlowDeliveriesOfOneDoNotFillTheTransport) {
  Lab lab;
  const auto t = lab.transport({.name = "t", .sessions = 50});
  lab.latency = [](const auto &d) { return d.tag == "slow" ? 100 * kSecond : kSecond; };
  for (int i = 0; i < 2000; ++i) lab.add(t, "s" + std::to_string(i % 500), {.tenant = "slow"}, false, "slow");
  for (int i = 0; i < 10'000; ++i) lab.add(t, "q" + std::to_string(i % 100), {.tenant = "quick"}, false, "quick");
  lab.run(lab.now + 300 * kSecond);
  EXPECT_GE(lab.done("quick"), 24u * 300u);  // half of the sessions, a second each
  EXPECT_LE(lab.most_sessions, 50u);
}

TEST(Tenants, WeightsCount) {
  Lab lab;
  lab.scheduler->tenants({{"gold", 3}});
  const auto t = lab.transport({.name = "t", .sessions = 40});
  for (int i = 0; i < 10'000; ++i) {
    lab.add(t, "g" + std::to_string(i % 50), {.tenant = "gold"}, false, "gold");
    lab.add(t, "s" + std::to_string(i % 50), {.tenant = "silver"}, false, "silver");
  }
  lab.run(lab.now + 100 * kSecond);
  const auto ratio = static_cast<double>(lab.done("gold")) / static_cast<double>(lab.done("silver"));
  EXPECT_NEAR(ratio, 3, 0.2);
}

TEST(Tenants, WeightsCountInsideADestination) {
  Lab lab;
  lab.scheduler->tenants({{"gold", 3}});
  const auto t = lab.transport({.name = "t", .sessions = 1000, .destination = {.window = {.initial = 4, .limit = 4}}});
  for (int i = 0; i < 1000; ++i) {
    lab.add(t, "d.example", {.tenant = "gold"}, false, "gold");
    lab.add(t, "d.example", {.tenant = "silver"}, false, "silver");
  }
  lab.run(lab.now + 100 * kSecond);
  EXPECT_NEAR(static_cast<double>(lab.done("gold")), 300, 10);
  EXPECT_NEAR(static_cast<double>(lab.done("silver")), 100, 10);
}

TEST(Tenants, OfATransportThatComesBackAllHaveTheirPart) {
  Lab lab;
  const auto t = lab.transport({.name = "t", .sessions = 30}, 0);
  for (const auto *tenant : {"a", "b", "c"})
    for (int i = 0; i < 300; ++i) lab.add(t, tenant + std::to_string(i % 20), {.tenant = tenant}, false, tenant);
  lab.run(lab.now + kSecond);
  EXPECT_TRUE(lab.began.empty());
  lab.scheduler->transport_available(t, 100);
  lab.run(lab.now + 10 * kSecond);
  for (const auto *tenant : {"a", "b", "c"}) EXPECT_NEAR(static_cast<double>(lab.done(tenant)), 100, 12) << tenant;
}

TEST(Tenants, WhatIsSlowLeavesRoomForOthersWhoComeAndGo) {
  Lab lab;
  const auto t = lab.transport({.name = "t", .sessions = 100});
  lab.latency = [](const auto &d) { return d.tag == "slow" ? 60 * kSecond : 300 * kMillisecond; };
  for (int i = 0; i < 5000; ++i) lab.add(t, "s" + std::to_string(i % 1000), {.tenant = "slow"}, false, "slow");
  lab.add(t, "q", {.tenant = "quick"}, false, "quick");
  lab.run(lab.now + 200 * kMillisecond);
  for (int i = 0; i < 600; ++i) {  // eight a second, so some are always under way
    for (int k = 0; k < 2; ++k) lab.add(t, "q" + std::to_string(i % 50), {.tenant = "quick"}, false, "quick");
    lab.run(lab.now + 250 * kMillisecond);
  }
  EXPECT_LE(longest_wait(lab, "quick"), kSecond);
}

TEST(Tenants, ThatIsAloneHasAll) {
  Lab lab;
  const auto t = lab.transport({.name = "t", .sessions = 40});
  for (int i = 0; i < 4000; ++i) lab.add(t, "d" + std::to_string(i % 50), {.tenant = "one"}, false, "one");
  lab.run(lab.now + 1);
  EXPECT_EQ(lab.sessions, 40u);
}

// A policy may make each sender one. Their numbers are used again, and with them nothing of who had them.
TEST(Tenants, WhoseMailHasLongGoneAreForgotten) {
  Lab lab;
  lab.latency = [](const auto &) { return kMillisecond; };
  lab.scheduler->tenants({{"heavy", 100}});
  const auto t = lab.transport({.name = "t", .destination = {.window = {.initial = 1, .limit = 1}}});
  lab.add(t, "d", {.tenant = "heavy"});
  for (int i = 0; i < 20'000; ++i) {
    const auto name = "tenant" + std::to_string(i);
    lab.add(t, "d", {.tenant = name});
    lab.run(lab.now + 10 * kMillisecond);
  }
  EXPECT_EQ(lab.waiting(), 0u);
  EXPECT_LT(lab.scheduler->counts().tenants, 5'000u);
  for (const auto *name : {"heavy", "light"})
    for (int i = 0; i < 1000; ++i) lab.add(t, "d", {.tenant = name}, false, name);
  lab.run(lab.now + 505 * kMillisecond);
  EXPECT_NEAR(static_cast<double>(lab.begins("light").size()), 505 / 101, 2);
}

class PriorityTest : public ::testing::TestWithParam<std::uint32_t> {};

TEST_P(PriorityTest, IsServedMoreButStarvesNobody) {
  Lab lab;
  const auto at_once = GetParam();
  const auto t =
      lab.transport({.name = "t", .sessions = 21, .destination = {.window = {.initial = at_once, .limit = at_once}}});
  for (int i = 0; i < 4000; ++i) {
    lab.add(t, "d", {.priority = 5}, false, "urgent");
    lab.add(t, "d", {.priority = 0}, false, "normal");
    lab.add(t, "d", {.priority = -3}, false, "bulk");
  }
  lab.run(lab.now + 2100 / at_once * kSecond);
  EXPECT_NEAR(static_cast<double>(lab.done("urgent")), 1600, 40);
  EXPECT_NEAR(static_cast<double>(lab.done("normal")), 400, 20);
  EXPECT_NEAR(static_cast<double>(lab.done("bulk")), 100, 10);
  lab.run();
  EXPECT_EQ(lab.ended.size(), 12'000u);
}
TEST_P(PriorityTest, OfOneTenantTakesNothingFromAnother) {
  Lab lab;
  const auto at_once = GetParam();
  const auto t =
      lab.transport({.name = "t", .sessions = 21, .destination = {.window = {.initial = at_once, .limit = at_once}}});
  for (int i = 0; i < 3000; ++i) {
    for (const auto priority : {9, 0, -9}) lab.add(t, "d", {.tenant = "loud", .priority = priority}, false, "loud");
    lab.add(t, "d", {.tenant = "quiet"}, false, "quiet");
  }
  lab.run(lab.now + 1050 / at_once * kSecond);
  EXPECT_NEAR(static_cast<double>(lab.done("loud")), static_cast<double>(lab.done("quiet")), 25);
}

TEST_P(PriorityTest, ManyCampaignsOfOneTenantTakeNothingFromAnother) {
  Lab lab;
  lab.latency = [](const auto &d) { return kSecond + d.group % 7 * 100 * kMillisecond; };
  lab.scheduler->tenants({{"quiet", 2}});
  const auto at_once = GetParam();
  const auto t =
      lab.transport({.name = "t", .sessions = 21, .destination = {.window = {.initial = at_once, .limit = at_once}}});
  for (int i = 0; i < 1000; ++i) {
    const auto campaign = "c" + std::to_string(i % 500);
    lab.add(t, "d", {.tenant = "loud", .campaign = campaign}, false, "loud");
    lab.add(t, "d", {.tenant = "quiet"}, false, "quiet");
  }
  lab.run(lab.now + 1050 / at_once * kSecond);
  const auto ratio = static_cast<double>(lab.done("quiet")) / static_cast<double>(lab.done("loud"));
  EXPECT_NEAR(ratio, 2, 0.15);
}

// What binds is the destination's concurrency, or the transport's sessions.
INSTANTIATE_TEST_SUITE_P(AtOnce, PriorityTest, ::testing::Values(1u, 5u, 21u));

TEST(Backlogs, NewAndDeferredMailOfADestinationTakeTurns) {
  Lab lab;
  const auto t = lab.transport({.name = "t"});
  int tries = 0;
  lab.result = [&](const auto &d) { return d.tag == "old" && tries++ < 300 ? Result::NoFeedback : Result::Delivered; };
  lab.latency = [&](const auto &) { return tries < 300 ? 1 : kSecond; };
  for (int i = 0; i < 300; ++i) lab.add(t, "d", {}, false, "old");
  lab.run(lab.now + kSecond);
  ASSERT_EQ(tries, 300);
  lab.began.clear();
  lab.now += 299 * kSecond;
  for (int i = 0; i < 300; ++i) lab.add(t, "d", {}, false, "new");
  lab.run(lab.now + 20 * kSecond);
  const auto old = static_cast<double>(lab.begins("old").size()), fresh = static_cast<double>(lab.begins("new").size());
  EXPECT_GT(old, 50);
  EXPECT_NEAR(old / fresh, 1, 0.2);
}

// What a large destination's return brings back is spread out by chance.
TEST(Backlogs, ReturnSpreadOutAfterAnOutage) {
  Lab lab{{.jitter = 0.1}};
  const auto t = lab.transport({.name = "t"});
  const auto back = lab.now + 7200 * kSecond;
  lab.result = [&](const auto &) { return lab.now < back ? Result::SiteFailure : Result::Delivered; };
  lab.latency = [](const auto &) { return kTenth; };
  for (int i = 0; i < 3000; ++i) lab.add(t, "giant.example");
  lab.run();
  ASSERT_EQ(lab.ended.size(), 3000u);
  std::map<Nanos, int> minutes;
  int most = 0;
  for (const auto &d : lab.ended) most = std::max(most, ++minutes[d.ended / (60 * kSecond)]);
  EXPECT_GE(minutes.size(), 8u);
  EXPECT_LT(most, 1000);
}

}  // namespace
}  // namespace mansio::scheduler
