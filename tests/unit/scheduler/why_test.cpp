// Why a group does not move: each kind of limit has its answer, with its value, who else waits, and until when.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/scheduler/lab.hpp"

namespace mansio::scheduler {
namespace {

class WhyTest : public ::testing::Test {
 protected:
  void start(TransportLimits limits = {.name = "t"}, std::uint32_t capacity = 1000) {
    t_ = lab_.transport(std::move(limits), capacity);
  }
  // Adds so many to one destination, lets go what can, and asks about the last.
  Why last_of(int n, const std::string &to = "d.example", const Party &party = {}) {
    GroupId id = 0;
    for (int i = 0; i < n; ++i) id = lab_.add(t_, to, party);
    lab_.run(lab_.now + 1);
    return lab_.why(id);
  }
  Lab lab_;
  TransportId t_ = 0;
};

TEST_F(WhyTest, Concurrency) {
  start();
  const auto why = last_of(12);
  EXPECT_EQ(why.limit, "destination_concurrency_limit");
  EXPECT_EQ(why.value, 5);
  EXPECT_EQ(why.others, 6u);
  EXPECT_EQ(why.eligible, 0);
}

TEST_F(WhyTest, Sessions) {
  start({.name = "t", .sessions = 3});
  const auto why = last_of(5);
  EXPECT_EQ(why.limit, "transport_sessions");
  EXPECT_EQ(why.value, 3);
  EXPECT_EQ(why.others, 1u);
}

TEST_F(WhyTest, ADeliveryUnderWay) {
  start();
  EXPECT_EQ(last_of(1).limit, "delivery");
}

TEST_F(WhyTest, BackOff) {
  start();
  lab_.result = [](const auto &) { return Result::NoFeedback; };
  const auto id = lab_.add(t_, "d.example");
  lab_.run(lab_.now + 2 * kSecond);
  EXPECT_EQ(lab_.why(id).limit, "backoff");
  EXPECT_EQ(lab_.why(id).eligible, lab_.now - kSecond + 300 * kSecond);
}

TEST_F(WhyTest, ADeadDestination) {
  start();
  lab_.result = [](const auto &) { return Result::SiteFailure; };
  for (int i = 0; i < 5; ++i) lab_.add(t_, "d.example");
  lab_.run(lab_.now + 2 * kSecond);
  // Handed out as tried on paper, and not yet said to be finished.
  const auto id = 5u;
  lab_.scheduler->add({.id = id, .transport = t_, .destination = lab_.scheduler->destination(t_, "d.example")},
                      lab_.now);
  EXPECT_EQ(lab_.why(id).limit, "dead_destination");
  EXPECT_EQ(lab_.why(id).eligible, lab_.now - kSecond + 300 * kSecond);
  ASSERT_TRUE(lab_.scheduler->next(lab_.now)->suspended);
  EXPECT_EQ(lab_.why(id).limit, "dead_destination");
  EXPECT_EQ(lab_.scheduler->state_of(lab_.scheduler->destination_of(id)).dead_until, lab_.why(id).eligible);
}

TEST_F(WhyTest, ATransportWithoutProcesses) {
  start({.name = "t"}, 0);
  const auto why = last_of(2);
  EXPECT_EQ(why.limit, "transport_unavailable");
  EXPECT_EQ(why.value, 0);
  EXPECT_EQ(why.eligible, lab_.now - 1 + 60 * kSecond);
  EXPECT_EQ(why.others, 1u);
}

TEST_F(WhyTest, AHold) {
  start();
  const auto id = lab_.add(t_, "d.example");
  lab_.scheduler->hold(id);
  EXPECT_EQ(lab_.why(id).limit, "hold");
}

TEST_F(WhyTest, APause) {
  start();
  lab_.scheduler->pause(Why{"qmgr_message_active_limit", "20 messages under delivery at once", 0, 20, 0});
  const auto why = last_of(3);
  EXPECT_EQ(why.limit, "qmgr_message_active_limit");
  EXPECT_EQ(why.value, 20);
  EXPECT_EQ(why.others, 2u);
  lab_.scheduler->pause(std::nullopt);
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.sessions, 3u);
}

TEST_F(WhyTest, AnAdaptiveRate) {
  start({.name = "t", .destination = {.window = {.initial = 10, .limit = 10}}});
  lab_.latency = [](const auto &) { return kMillisecond; };
  (void)last_of(10);
  lab_.scheduler->push_back(lab_.scheduler->destination(t_, "d.example"), lab_.now);
  const auto why = last_of(10);
  EXPECT_EQ(why.limit, "adaptive_rate");
  EXPECT_GT(why.eligible, lab_.now);
  EXPECT_NEAR(why.value, 0.2, 0.001);  // ten at once, halved
  EXPECT_NEAR(lab_.scheduler->state_of(lab_.scheduler->destination(t_, "d.example")).adaptive_rate, 5, 0.01);
}

TEST_F(WhyTest, ATenantsShare) {
  start({.name = "t", .sessions = 10, .destination = {.window = {.initial = 20, .limit = 20}}});
  lab_.add(t_, "other.example", {.tenant = "other"});
  const auto why = last_of(20, "own.example", {.tenant = "own"});
  EXPECT_EQ(why.limit, "tenant_share");
  EXPECT_EQ(why.detail, "t: 8 deliveries of tenant own are under way, the rest is for others");
  EXPECT_EQ(why.value, 8);
  EXPECT_EQ(why.others, 11u);
  EXPECT_EQ(why.eligible, 0);
}

TEST_F(WhyTest, ATurnIsOfWhatNothingBinds) {
  start();
  for (int i = 0; i < 3; ++i) lab_.add(t_, "d.example");
  const auto why = lab_.why(2);
  EXPECT_EQ(why.limit, "turn");
  EXPECT_EQ(why.others, 2u);
  lab_.run(lab_.now + 1);
  EXPECT_EQ(lab_.why(2).limit, "delivery");
}

TEST_F(WhyTest, ASuspectAndWhatWaitsForIt) {
  start();
  auto &s = *lab_.scheduler;
  const auto to = s.destination(t_, "d.example");
  s.add({.id = 0, .transport = t_, .destination = to}, lab_.now);
  ASSERT_TRUE(s.next(lab_.now));
  s.add({.id = 1, .transport = t_, .destination = to, .alone = true}, lab_.now);
  ASSERT_FALSE(s.next(lab_.now));
  auto why = lab_.why(1);
  EXPECT_EQ(why.limit, "alone");
  EXPECT_NE(why.detail.find("suspected of killing workers: waits until nothing else runs on t"), std::string::npos);
  EXPECT_EQ(why.value, 1);
  EXPECT_EQ(why.eligible, lab_.now + 5 * kSecond);  // from then on nothing else begins
  s.finished(0, Result::Delivered, std::nullopt, lab_.now);
  ASSERT_TRUE(s.next(lab_.now));
  s.add({.id = 2, .transport = t_, .destination = to}, lab_.now);
  s.add({.id = 3, .transport = t_, .destination = to}, lab_.now);
  ASSERT_FALSE(s.next(lab_.now));
  why = lab_.why(3);
  EXPECT_EQ(why.limit, "alone");
  EXPECT_NE(why.detail.find("runs alone on t"), std::string::npos);
  EXPECT_EQ(why.value, 1);
  EXPECT_EQ(why.others, 1u);
  EXPECT_EQ(why.eligible, 0);
}

TEST_F(WhyTest, OthersAreVisitedAsFarAsIsWanted) {
  start({.name = "t", .sessions = 2});
  const auto groups = [&](const Why &why, std::size_t most) {
    std::vector<GroupId> out;
    const bool all = lab_.scheduler->each_waiting(why, most, [&](GroupId id) { out.push_back(id); });
    EXPECT_EQ(all, out.size() < most || most == 0) << why.limit;
    std::sort(out.begin(), out.end());
    return out;
  };
  for (int i = 0; i < 4; ++i) lab_.add(t_, "a.example", {.tenant = i == 3 ? "x" : ""});
  lab_.add(t_, "b.example", {.tenant = "x"});
  lab_.run(lab_.now + 1);  // 0, and that of the other tenant
  auto why = lab_.why(1);
  EXPECT_EQ(why.limit, "transport_sessions");
  const auto all = groups(why, 100);
  EXPECT_EQ(all.size(), 3u);
  EXPECT_EQ(groups(why, 2).size(), 2u);
  EXPECT_EQ(lab_.scheduler->tenant_of(4), "x");
  lab_.scheduler->pause(Why{"qmgr_message_active_limit", "", 0, 2, 0});
  EXPECT_EQ(groups(lab_.why(1), 100), all);
  lab_.scheduler->pause(std::nullopt);
  lab_.scheduler->suspend({Suspension::Key::Destination, "a.example", 0, kForGood, ""}, lab_.now);
  why = lab_.why(1);
  EXPECT_EQ(why.limit, "suspended");
  for (const auto id : groups(why, 100)) EXPECT_NE(id, 4u);
  EXPECT_EQ(groups(why, 100).size(), why.others + 1);
}

TEST_F(WhyTest, ATenantThatIsSuspendedWaitsWithItsOwnMailOnly) {
  start();
  for (int i = 0; i < 3; ++i) lab_.add(t_, "d" + std::to_string(i) + ".example", {.tenant = "x"});
  for (int i = 0; i < 20; ++i) lab_.add(t_, "d0.example");
  lab_.scheduler->suspend({Suspension::Key::Tenant, "x", 0, kForGood, ""}, lab_.now);
  EXPECT_EQ(lab_.why(0).limit, "suspended");
  EXPECT_EQ(lab_.why(0).others, 2u);
}

TEST_F(WhyTest, OfWhatIsUnknown) {
  start();
  EXPECT_EQ(lab_.why(17).limit, "unknown");
}

}  // namespace
}  // namespace mansio::scheduler
