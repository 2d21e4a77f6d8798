// What replies make us do: which rule, when its threshold is reached, and the rate that is found by trying.
#include "kernel/scheduler/responses.hpp"

#include <gtest/gtest.h>

#include "tests/unit/scheduler/lab.hpp"

namespace mansio::scheduler {
namespace {

ResponseRule rule(std::vector<std::string> codes, ResponseRule::Action action = ResponseRule::Action::Suspend) {
  ResponseRule r;
  r.codes = std::move(codes);
  r.action = action;
  return r;
}

TEST(Responses, MatchByCodeEnhancedCodeTextAndDestination) {
  Responses all;
  auto text = rule({});
  text.text = [](std::string_view t) { return t.find("too many") != t.npos; };
  auto there = rule({"4*"});
  there.destinations = {".example.com"};
  all.set({rule({"421"}), rule({"4.7.*"}), text, there});
  const auto index = [&](const Reply &r) {
    const auto *found = all.match(r);
    return !found ? -1 : found->text ? 2 : !found->destinations.empty() ? 3 : found->codes[0] == "421" ? 0 : 1;
  };
  EXPECT_EQ(index({"a.example", "421", "4.7.0", ""}), 0);
  EXPECT_EQ(index({"a.example", "450", "4.7.1", ""}), 1);
  EXPECT_EQ(index({"a.example", "450", "4.2.0", "too many connections"}), 2);
  EXPECT_EQ(index({"a.example.com", "450", "4.2.0", ""}), 3);
  EXPECT_EQ(index({"example.com", "450", "4.2.0", ""}), -1);
  EXPECT_EQ(index({"a.example", "", "", "connection refused"}), -1);
}

TEST(Responses, ReachTheirThresholdWithinTheirWindowAndCountAnew) {
  Responses all;
  auto r = rule({"421"});
  r.threshold = 3;
  r.window = 60 * kSecond;
  all.set({r});
  const auto seen = [&](std::string_view to, Nanos at) {
    return all.reached(*all.match({to, "421", "", ""}), to, at * kSecond);
  };
  EXPECT_FALSE(seen("a", 1000));
  EXPECT_FALSE(seen("a", 1010));
  EXPECT_FALSE(seen("b", 1011));
  EXPECT_FALSE(seen("a", 1065));  // the first is out of the window
  EXPECT_TRUE(seen("a", 1066));
  EXPECT_FALSE(seen("a", 1067));
  EXPECT_FALSE(seen("c", 2000));
  EXPECT_EQ(all.remembered(), 1u);  // what is long ago is forgotten
}

TEST(Adaptive, HalvesAndGrowsWithinItsBounds) {
  const AdaptiveLimits limits{.minimum = 1, .decrease = 0.5, .increase = 0.05, .release = 2};
  Nanos now = 1000 * kSecond;
  Adaptive a{16, limits, now};
  EXPECT_DOUBLE_EQ(a.rate(), 8);
  a.push_back(limits, now + kSecond);  // still about the time before
  EXPECT_DOUBLE_EQ(a.rate(), 8);
  EXPECT_EQ(a.open_at(), now + kSecond + kSecond / 8);
  for (int i = 0; i < 20; ++i) a.push_back(limits, now += 11 * kSecond);
  EXPECT_DOUBLE_EQ(a.rate(), 1);
  bool free = false;
  const auto begin = now;
  while (!free && now < begin + 3600 * kSecond) free = a.success(limits, now += kSecond);
  EXPECT_TRUE(free);
  EXPECT_NEAR(static_cast<double>(now - begin) / kSecond, 10 + (32 - 1) / (0.05 * 16), 2);  // 0.8 a second
}

TEST(Adaptive, IsNotAboveTheMostThatIsSetAndFreeAgainThere) {
  const AdaptiveLimits limits{.minimum = 1, .maximum = 6, .decrease = 0.5, .increase = 0.05};
  Nanos now = 1000 * kSecond;
  Adaptive a{100, limits, now};
  EXPECT_DOUBLE_EQ(a.rate(), 6);
  a.push_back(limits, now += 11 * kSecond);
  EXPECT_DOUBLE_EQ(a.rate(), 3);
  EXPECT_FALSE(a.success(limits, now += 10 * kSecond));
  EXPECT_TRUE(a.success(limits, now += kSecond));
  // A most that is higher than twice the pace lets it go on being found.
  Adaptive b{2, limits, now};
  EXPECT_DOUBLE_EQ(b.rate(), 1);
  EXPECT_FALSE(b.success(limits, now += 50 * kSecond));  // 0.1 a second for 40 s
  EXPECT_DOUBLE_EQ(b.rate(), 5);
  EXPECT_TRUE(b.success(limits, now += 10 * kSecond));
}

// A next hop that takes ten a second and says so when it gets more: the loop finds that, with no knowledge of it.
TEST(Adaptive, FindsWhatANextHopTakes) {
  Lab lab;
  lab.latency = [](const auto &) { return 100 * kMillisecond; };
  const auto t = lab.transport({.name = "t", .destination = {.adaptive = {.minimum = 0.1}}});
  const auto d = lab.scheduler->destination(t, "d.example");
  for (int i = 0; i < 20'000; ++i) lab.add(t, "d.example");
  Nanos full_at = 0;
  std::uint64_t refused = 0;
  lab.result = [&](const auto &) {
    full_at = std::max(full_at, lab.now);
    if (full_at - lab.now > kSecond) {
      ++refused;
      lab.scheduler->push_back(d, lab.now);
      return Result::NoFeedback;
    }
    full_at += 100 * kMillisecond;
    return Result::Delivered;
  };
  lab.run(lab.now + 600 * kSecond);
  const auto before = lab.ended.size();
  const auto refused_before = refused;
  lab.run(lab.now + 600 * kSecond);
  const auto rate = static_cast<double>(lab.ended.size() - before) / 600;
  EXPECT_GT(rate, 5);
  EXPECT_LE(rate, 10.1);
  EXPECT_LT(static_cast<double>(refused - refused_before), 0.2 * static_cast<double>(lab.ended.size() - before));
}

// What the pace that is found allows does not give back what the rate that is set has let go.
TEST(Adaptive, GivesNoBurstOfTheRateThatIsSetAnew) {
  Lab lab;
  lab.latency = [](const auto &) { return 100 * kMillisecond; };
  const auto t = lab.transport({.name = "t", .destination = {.rate = {kSecond, 4}}});
  const auto d = lab.scheduler->destination(t, "d.example");
  for (int i = 0; i < 20; ++i) lab.add(t, "d.example");
  lab.run(lab.now + kMillisecond);
  EXPECT_EQ(lab.began.size(), 4u);
  lab.scheduler->push_back(d, lab.now);
  EXPECT_GT(lab.scheduler->throttled().at(0).adaptive_rate, 1);
  lab.run(lab.now + 900 * kMillisecond);
  EXPECT_EQ(lab.began.size(), 4u);
  lab.scheduler->unthrottle(d, lab.now);
  lab.run(lab.now + 5 * kSecond);
  EXPECT_LE(lab.began.size(), 10u);
}

// One delivery each ten seconds from the reply on, and free again with the first that goes well.
class PaceThatEnds : public ::testing::Test {
 protected:
  void begin(const RateLimit &set) {
    const auto t =
        lab_.transport({.name = "t", .destination = {.rate = set, .adaptive = {.minimum = 0.01, .maximum = 0.1}}});
    lab_.scheduler->push_back(lab_.scheduler->destination(t, "d.example"), lab_.now);
    for (int i = 0; i < 2; ++i) second_ = lab_.add(t, "d.example");
    lab_.run(since_ + 10 * kSecond + 1);
    ASSERT_EQ(lab_.began.size(), 1u);
    ASSERT_EQ(lab_.scheduler->throttled().size(), 1u);
    lab_.run(since_ + 11 * kSecond + 1);
    ASSERT_TRUE(lab_.scheduler->throttled().empty());
  }

  Lab lab_;
  const Nanos since_ = lab_.now;
  GroupId second_ = 0;
};

TEST_F(PaceThatEnds, KeepsNothingShutAnyMore) {
  begin({});
  lab_.run(since_ + 12 * kSecond);
  EXPECT_EQ(lab_.began.size(), 2u);
}

TEST_F(PaceThatEnds, GivesNothingBackOfTheRateThatIsSet) {
  begin({13 * kSecond, 1});
  const auto why = lab_.why(second_);
  EXPECT_EQ(why.limit, "destination_rate_limit");
  EXPECT_DOUBLE_EQ(why.value, 13);
  EXPECT_EQ(why.eligible, since_ + 23 * kSecond);
  lab_.run(since_ + 23 * kSecond - 1);
  EXPECT_EQ(lab_.began.size(), 1u);
  lab_.run(since_ + 24 * kSecond);
  EXPECT_EQ(lab_.began.size(), 2u);
}

TEST(LowerConcurrency, HoldsUntilSuccessesRaiseItAgain) {
  Lab lab;
  const auto t = lab.transport({.name = "t"});
  for (int i = 0; i < 300; ++i) lab.add(t, "d.example");
  lab.run(lab.now + 5 * kSecond + 1);
  EXPECT_GT(lab.sessions, 5u);
  lab.scheduler->lower_concurrency(lab.scheduler->destination(t, "d.example"), 2);
  EXPECT_EQ(lab.scheduler->state_of(lab.scheduler->destination(t, "d.example")).concurrency, 2u);
  lab.run();
  EXPECT_EQ(lab.ended.size(), 300u);
}

// The reply that lowers it is a word of the destination, and yet no success.
TEST(LowerConcurrency, IsNotRaisedByTheDeliveryThatLowersIt) {
  Lab lab;
  const auto t = lab.transport({.name = "t"});
  const auto d = lab.scheduler->destination(t, "d.example");
  for (int i = 0; i < 20; ++i) lab.add(t, "d.example");
  int left = 4;
  lab.result = [&](const auto &) {
    if (left > 0) --left, lab.scheduler->lower_concurrency(d, 2);
    return Result::Delivered;
  };
  lab.run(lab.now + 1);
  EXPECT_EQ(lab.sessions, 5u);
  lab.run(lab.now + kSecond);
  EXPECT_EQ(lab.scheduler->state_of(d).concurrency, 3u);  // by the fifth, which was taken
  ASSERT_EQ(lab.scheduler->throttled().size(), 1u);
  EXPECT_EQ(lab.scheduler->throttled()[0].concurrency, 3u);
  lab.run(lab.now + 2 * kSecond);  // it has grown to where it began
  EXPECT_TRUE(lab.scheduler->throttled().empty());
}

TEST(Unthrottle, EndsWhatRepliesDidAndNothingElse) {
  Lab lab;
  lab.latency = [](const auto &) { return 100 * kMillisecond; };
  const auto t = lab.transport({.name = "t", .destination = {.rate = {kSecond, 2}}});
  const auto d = lab.scheduler->destination(t, "d.example");
  EXPECT_FALSE(lab.scheduler->unthrottle(d, lab.now));
  for (int i = 0; i < 10; ++i) lab.add(t, "d.example");
  lab.run(lab.now + 1);
  EXPECT_EQ(lab.began.size(), 2u);
  for (int i = 0; i < 10; ++i) lab.scheduler->push_back(d, lab.now += 11 * kSecond);  // one a minute
  lab.scheduler->lower_concurrency(d, 1);
  ASSERT_EQ(lab.scheduler->throttled().size(), 1u);
  const auto is = lab.scheduler->throttled()[0];
  EXPECT_EQ(is.destination, "d.example");
  EXPECT_NEAR(is.adaptive_rate, 1.0 / 60, 0.001);
  EXPECT_EQ(is.concurrency, 1u);
  EXPECT_TRUE(lab.scheduler->unthrottle(d, lab.now));
  EXPECT_TRUE(lab.scheduler->throttled().empty());
  EXPECT_FALSE(lab.scheduler->unthrottle(d, lab.now));
  const auto since = lab.now;
  lab.run();
  EXPECT_EQ(lab.ended.size(), 10u);
  EXPECT_LE(lab.now - since, 10 * kSecond);  // no more than the rate that is set
  EXPECT_GE(lab.now - since, 5 * kSecond);
}

}  // namespace
}  // namespace mansio::scheduler
