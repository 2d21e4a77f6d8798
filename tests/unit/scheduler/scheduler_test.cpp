// The scheduler behind its seam: order, fairness, concurrency, back-off; at the end its invariants under random
// workloads.
#include "kernel/scheduler/scheduler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace mansio::scheduler {
namespace {

class SchedulerTest : public ::testing::Test {
 protected:
  SchedulerTest() {
    smtp_ = scheduler_->transport({.name = "smtp", .sessions = 10});
    scheduler_->transport_available(smtp_, 1000);
  }
  Group group(GroupId id, std::string_view nexthop) {
    return {.id = id, .transport = smtp_, .destination = scheduler_->destination(smtp_, nexthop)};
  }
  void add(GroupId id, std::string_view nexthop) { scheduler_->add(group(id, nexthop), now_); }
  std::vector<GroupId> take_all() {
    std::vector<GroupId> ids;
    while (auto d = scheduler_->next(now_)) ids.push_back(d->group);
    return ids;
  }
  std::unique_ptr<Scheduler> scheduler_ = Scheduler::create({.jitter = 0}, 1);
  TransportId smtp_ = 0;
  Nanos now_ = 1'000'000 * kSecond;
};

TEST_F(SchedulerTest, LeasesInOrderOfArrivalWithinADestination) {
  for (GroupId i = 0; i < 4; ++i) add(i, "example.com");
  EXPECT_EQ(take_all(), (std::vector<GroupId>{0, 1, 2, 3}));
}

TEST_F(SchedulerTest, TakesTurnsBetweenDestinations) {
  for (GroupId i = 0; i < 3; ++i) add(i, "a.example");
  for (GroupId i = 3; i < 6; ++i) add(i, "b.example");
  EXPECT_EQ(take_all(), (std::vector<GroupId>{0, 3, 1, 4, 2, 5}));
}

TEST_F(SchedulerTest, KeepsToTheInitialConcurrencyAndGrowsWithSuccess) {
  for (GroupId i = 0; i < 30; ++i) add(i, "example.com");
  EXPECT_EQ(take_all().size(), 5u);
  EXPECT_EQ(scheduler_->why(20, now_).limit, "destination_concurrency_limit");
  scheduler_->finished(0, Result::Delivered, std::nullopt, now_);
  EXPECT_EQ(take_all().size(), 2u);  // the freed place and a new one
}

TEST_F(SchedulerTest, KeepsToTheTransportsSessions) {
  for (GroupId i = 0; i < 30; ++i) add(i, "d" + std::to_string(i));
  EXPECT_EQ(take_all().size(), 10u);
  EXPECT_EQ(scheduler_->why(20, now_).limit, "transport_sessions");
}

TEST_F(SchedulerTest, LeasesNothingWithoutAProcessToRunTheTransport) {
  scheduler_->transport_available(smtp_, 0);
  add(0, "example.com");
  EXPECT_TRUE(take_all().empty());
  EXPECT_EQ(scheduler_->why(0, now_).limit, "transport_unavailable");
  scheduler_->transport_available(smtp_, 1);
  EXPECT_EQ(take_all().size(), 1u);
}

TEST_F(SchedulerTest, DefersForTheMessagesAgeBetweenTheBounds) {
  const auto arrived = now_;
  add(0, "example.com");
  for (const Nanos expected : {300, 300, 600, 1200, 2400, 4000, 4000}) {
    ASSERT_EQ(take_all().size(), 1u);
    const auto due = scheduler_->finished(0, Result::Delivered, now_ - arrived, now_);
    ASSERT_TRUE(due.has_value());
    EXPECT_EQ(*due - now_, expected * kSecond);
    EXPECT_LE(scheduler_->next_due(), due);
    EXPECT_TRUE(take_all().empty());
    EXPECT_EQ(scheduler_->why(0, now_).limit, "backoff");
    now_ = *due;
  }
}

TEST_F(SchedulerTest, JitterStaysInItsFraction) {
  scheduler_ = Scheduler::create({.jitter = 0.1}, 7);
  smtp_ = scheduler_->transport({.name = "smtp", .sessions = 0});
  scheduler_->transport_available(smtp_, 1000);
  std::set<Nanos> seen;
  for (GroupId i = 0; i < 100; ++i) {
    add(i, "d" + std::to_string(i));
    ASSERT_EQ(take_all().size(), 1u);
    const auto due = *scheduler_->finished(i, Result::Delivered, Nanos{0}, now_) - now_;
    EXPECT_GE(due, 270 * kSecond);
    EXPECT_LE(due, 330 * kSecond);
    seen.insert(due);
  }
  EXPECT_GT(seen.size(), 90u);
}

TEST_F(SchedulerTest, AFailedCohortKillsTheDestinationUntilTheMinimalBackoff) {
  for (GroupId i = 0; i < 8; ++i) add(i, "dead.example");
  ASSERT_EQ(take_all().size(), 5u);
  int failures = 0;  // Postfix: three consecutive failures from a window of five
  for (GroupId i = 0; i < 3; ++i, ++failures) scheduler_->finished(i, Result::SiteFailure, Nanos{0}, now_);
  EXPECT_EQ(scheduler_->why(7, now_).limit, "dead_destination");
  // What waits there counts as tried, without a connection.
  for (GroupId i = 5; i < 8; ++i) {
    const auto d = scheduler_->next(now_);
    ASSERT_TRUE(d.has_value());
    EXPECT_TRUE(d->suspended);
    EXPECT_TRUE(scheduler_->finished(d->group, Result::NoFeedback, Nanos{0}, now_).has_value());
  }
  scheduler_->finished(3, Result::NoFeedback, std::nullopt, now_);
  scheduler_->finished(4, Result::NoFeedback, std::nullopt, now_);
  EXPECT_FALSE(scheduler_->next(now_).has_value());
  now_ += 300 * kSecond;
  std::size_t leased = 0;
  while (const auto d = scheduler_->next(now_)) {
    EXPECT_FALSE(d->suspended);
    ++leased;
  }
  EXPECT_EQ(leased, 5u);
}

// As when the way out of here is cut: all that die in one moment are not to be tried again in one moment.
TEST_F(SchedulerTest, DestinationsThatDiedTogetherComeBackSpreadOut) {
  constexpr GroupId kDead = 1000;
  const auto died_until = [&](double jitter) {
    scheduler_ = Scheduler::create({.jitter = jitter}, 7);
    smtp_ = scheduler_->transport({.name = "smtp", .sessions = 0, .destination = {.window = {.initial = 1}}});
    scheduler_->transport_available(smtp_, 10 * kDead);
    for (GroupId i = 0; i < kDead; ++i) add(i, "d" + std::to_string(i));
    EXPECT_EQ(take_all().size(), kDead);
    std::vector<Nanos> out;
    for (GroupId i = 0; i < kDead; ++i) {
      scheduler_->finished(i, Result::SiteFailure, Nanos{0}, now_);
      out.push_back(scheduler_->state_of(scheduler_->destination_of(i)).dead_until - now_);
    }
    std::sort(out.begin(), out.end());
    return out;
  };
  const auto spread = died_until(0.1);
  EXPECT_GE(spread.front(), 270 * kSecond);
  EXPECT_LE(spread.back(), 330 * kSecond);
  std::map<Nanos, int> in_second;
  int most = 0;
  for (const auto until : spread) most = std::max(most, ++in_second[until / kSecond]);
  EXPECT_GE(in_second.size(), 55u);
  EXPECT_LT(most, 40);  // 17 on average
  const auto together = died_until(0);
  EXPECT_EQ(together.front(), 300 * kSecond);
  EXPECT_EQ(together.back(), 300 * kSecond);
}

TEST_F(SchedulerTest, FlushRevivesADeadDestination) {
  add(0, "dead.example");
  for (GroupId i = 1; i < 5; ++i) add(i, "dead.example");
  ASSERT_EQ(take_all().size(), 5u);
  for (GroupId i = 0; i < 5; ++i) scheduler_->finished(i, Result::SiteFailure, Nanos{0}, now_);
  EXPECT_TRUE(take_all().empty());
  scheduler_->flush(2, now_);
  const auto d = scheduler_->next(now_);
  ASSERT_TRUE(d.has_value());
  EXPECT_EQ(d->group, 2u);
  EXPECT_FALSE(d->suspended);
}

TEST_F(SchedulerTest, WhereMoreFallsDueThanOneCallLooksAtItIsCalledAgain) {
  const GroupId count = 20'000;
  // Two days away: all lie together where time is coarse, until it has come near.
  for (GroupId i = 0; i < count; ++i)
    scheduler_->add_deferred(group(i, "d" + std::to_string(i % 100)), now_ + 172'800 * kSecond + i, now_);
  now_ += 172'801 * kSecond;
  EXPECT_FALSE(scheduler_->next(now_).has_value());
  std::set<GroupId> seen;
  for (std::size_t calls = 0; seen.size() < count && calls < 3 * count; ++calls) {
    const auto due = scheduler_->next_due();
    ASSERT_TRUE(due.has_value());
    EXPECT_LE(*due, now_);
    while (const auto d = scheduler_->next(now_)) {
      EXPECT_TRUE(seen.insert(d->group).second);
      scheduler_->finished(d->group, Result::Delivered, std::nullopt, now_);
    }
  }
  EXPECT_EQ(seen.size(), count);
}

TEST_F(SchedulerTest, NewMailAndRetriedMailTakeTurns) {
  for (GroupId i = 0; i < 3; ++i) scheduler_->add_deferred(group(i, "example.com"), now_ - 1, now_);
  for (GroupId i = 3; i < 6; ++i) add(i, "example.com");
  const auto order = take_all();
  ASSERT_EQ(order.size(), 5u);
  EXPECT_EQ(std::count_if(order.begin(), order.begin() + 4, [](GroupId g) { return g < 3; }), 2);
}

TEST_F(SchedulerTest, ASuspectRunsWithNothingBesideIt) {
  add(0, "a.example");
  ASSERT_EQ(take_all().size(), 1u);
  auto suspect = group(1, "b.example");
  suspect.alone = true;
  scheduler_->add(suspect, now_);
  EXPECT_TRUE(take_all().empty());
  EXPECT_EQ(scheduler_->why(1, now_).limit, "alone");
  add(2, "c.example");
  EXPECT_EQ(take_all(), (std::vector<GroupId>{2}));  // others are not held up at first
  now_ += 6 * kSecond;
  add(3, "c.example");
  EXPECT_TRUE(take_all().empty());  // now the transport drains
  scheduler_->finished(0, Result::Delivered, std::nullopt, now_);
  scheduler_->finished(2, Result::Delivered, std::nullopt, now_);
  EXPECT_EQ(take_all(), (std::vector<GroupId>{1}));
  scheduler_->finished(1, Result::Delivered, std::nullopt, now_);
  EXPECT_EQ(take_all(), (std::vector<GroupId>{3}));
}

TEST_F(SchedulerTest, ASuspectThatCannotRunDoesNotStopTheOthersForEver) {
  add(0, "stalled.example");
  ASSERT_EQ(take_all().size(), 1u);
  auto suspect = group(1, "b.example");
  suspect.alone = true;
  scheduler_->add(suspect, now_);
  add(2, "c.example");
  ASSERT_EQ(take_all().size(), 1u);
  add(3, "c.example");
  ASSERT_EQ(take_all().size(), 1u);
  now_ += 10 * kSecond;
  add(4, "c.example");
  EXPECT_TRUE(take_all().empty());
  ASSERT_TRUE(scheduler_->next_due().has_value());
  now_ = *scheduler_->next_due();
  EXPECT_EQ(take_all(), (std::vector<GroupId>{4}));
}

TEST_F(SchedulerTest, ASuspectThatIsSuspendedKeepsNobodyAwakeAndNothingBack) {
  add(0, "stalled.example");
  ASSERT_EQ(take_all().size(), 1u);
  auto suspect = group(1, "b.example");
  suspect.alone = true;
  scheduler_->add(suspect, now_);
  scheduler_->suspend({Suspension::Key::Destination, "b.example", 0, kForGood, ""}, now_);
  now_ += 60 * kSecond;
  add(2, "c.example");
  EXPECT_EQ(take_all(), (std::vector<GroupId>{2}));
  const auto due = scheduler_->next_due();
  EXPECT_TRUE(!due || *due > now_);
  scheduler_->resume(Suspension::Key::Destination, "b.example", now_);
  scheduler_->finished(0, Result::Delivered, std::nullopt, now_);
  scheduler_->finished(2, Result::Delivered, std::nullopt, now_);
  EXPECT_EQ(take_all(), (std::vector<GroupId>{1}));
}

TEST_F(SchedulerTest, SessionsThatOthersHaveTakenAreNotGivenTwice) {
  scheduler_->transport_available(smtp_, 1000, 8);
  for (GroupId i = 0; i < 5; ++i) add(i, "d" + std::to_string(i));
  EXPECT_EQ(take_all().size(), 2u);
  EXPECT_EQ(scheduler_->why(4, now_).limit, "transport_sessions");
  scheduler_->transport_available(smtp_, 1000, 7);
  EXPECT_EQ(take_all().size(), 1u);
  scheduler_->transport_available(smtp_, 1000);
  EXPECT_EQ(take_all().size(), 2u);
}

TEST_F(SchedulerTest, ForgetsIdleDestinations) {
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    add(0, "d" + std::to_string(i));
    ASSERT_EQ(take_all().size(), 1u);
    scheduler_->finished(0, Result::Delivered, std::nullopt, now_);
  }
  EXPECT_LT(scheduler_->destination(smtp_, "one-more.example"), 10'000u);  // numbers are used again
}

// Random workloads: limits are never exceeded, nothing eligible waits while there is room, nothing is lost.
class SchedulerProperty : public ::testing::TestWithParam<unsigned> {};

TEST_P(SchedulerProperty, HoldsUnderRandomWorkloads) {
  std::mt19937 random{GetParam()};
  const auto pick = [&](std::uint32_t n) { return std::uniform_int_distribution<std::uint32_t>{0, n - 1}(random); };
  auto scheduler = Scheduler::create({.minimal_backoff_time = 10 * kSecond, .maximal_backoff_time = 100 * kSecond}, 3);
  constexpr std::uint32_t kSessions = 12, kLimit = 4, kDestinations = 7;
  TransportId transports[2];
  for (std::uint32_t i = 0; i < 2; ++i) {
    transports[i] = scheduler->transport({.name = "t" + std::to_string(i),
                                          .sessions = kSessions,
                                          .destination = {.window = {.initial = 2, .limit = kLimit}}});
    scheduler->transport_available(transports[i], 100);
  }
  struct Known {
    TransportId transport;
    DestinationId destination;
    enum { Waiting, Leased, Suspended } state = Waiting;
  };
  std::map<GroupId, Known> known;
  std::vector<GroupId> free;
  for (GroupId i = 0; i < 300; ++i) free.push_back(i);
  Nanos now = kSecond;
  std::uint64_t done = 0;
  for (int step = 0; step < 6000; ++step) {
    const auto action = pick(10);
    if (action < 4 && !free.empty()) {
      const auto id = free.back();
      free.pop_back();
      const auto t = transports[pick(2)];
      const auto d = scheduler->destination(t, "d" + std::to_string(pick(kDestinations)));
      known[id] = {t, d};
      const Group g{.id = id, .transport = t, .destination = d};
      if (pick(4) == 0)
        scheduler->add_deferred(g, now + pick(60) * kSecond, now);
      else
        scheduler->add(g, now);
    } else if (action < 8) {
      std::vector<GroupId> out;
      for (auto &[id, k] : known)
        if (k.state != Known::Waiting) out.push_back(id);
      if (!out.empty()) {
        const auto id = out[pick(static_cast<std::uint32_t>(out.size()))];
        const bool suspended = known[id].state == Known::Suspended;
        const bool again = suspended || pick(3) == 0;
        const auto result = suspended ? Result::NoFeedback : static_cast<Result>(pick(3));
        ASSERT_EQ(scheduler->finished(id, result, again ? std::optional{Nanos{0}} : std::nullopt, now).has_value(),
                  again);
        if (again) {
          known[id].state = Known::Waiting;
        } else {
          known.erase(id);
          free.push_back(id);
          ++done;
        }
      }
    } else if (action == 8 && !known.empty()) {
      auto it = known.begin();
      std::advance(it, pick(static_cast<std::uint32_t>(known.size())));
      if (it->second.state == Known::Waiting) {
        if (pick(2)) {
          scheduler->remove(it->first);
          free.push_back(it->first);
          known.erase(it);
        } else {
          scheduler->flush(it->first, now);
        }
      }
    } else {
      now += pick(5) * kSecond;
    }
    while (const auto d = scheduler->next(now)) {
      auto &k = known.at(d->group);
      ASSERT_EQ(k.state, Known::Waiting);
      k.state = d->suspended ? Known::Suspended : Known::Leased;
    }
    std::map<TransportId, std::uint32_t> per_transport;
    std::map<DestinationId, std::uint32_t> per_destination;
    for (auto &[id, k] : known)
      if (k.state == Known::Leased) ++per_transport[k.transport], ++per_destination[k.destination];
    for (auto &[t, n] : per_transport) ASSERT_LE(n, kSessions);
    for (auto &[d, n] : per_destination) ASSERT_LE(n, kLimit);
    for (auto &[id, k] : known) {
      if (k.state != Known::Waiting) continue;
      const auto why = scheduler->why(id, now);
      ASSERT_NE(why.limit, "turn") << id;  // would be eligible
      ASSERT_NE(why.limit, "unknown") << id;
      ASSERT_NE(why.limit, "delivery") << id;
      if (why.limit == "transport_sessions") {
        ASSERT_EQ(per_transport[k.transport], kSessions);
      }
      if (why.limit == "backoff") {
        ASSERT_GT(why.eligible, now);
      }
    }
    const auto counts = scheduler->counts();
    ASSERT_EQ(counts.ready + counts.leased + counts.deferred, known.size());
  }
  // Nothing is lost: everything still known comes out in the end.
  for (int round = 0; round < 100'000 && !known.empty(); ++round) {
    while (const auto d = scheduler->next(now))
      known.at(d->group).state = d->suspended ? Known::Suspended : Known::Leased;
    std::vector<GroupId> out;
    for (auto &[id, k] : known)
      if (k.state != Known::Waiting) out.push_back(id);
    for (const auto id : out) {
      if (known[id].state == Known::Suspended) {
        scheduler->finished(id, Result::NoFeedback, Nanos{0}, now);
        known[id].state = Known::Waiting;
      } else {
        scheduler->finished(id, Result::Delivered, std::nullopt, now);
        known.erase(id);
      }
    }
    if (out.empty()) {
      const auto due = scheduler->next_due();
      ASSERT_TRUE(due.has_value() || known.empty());
      if (due) now = std::max(now, *due);
    }
  }
  EXPECT_TRUE(known.empty());
  EXPECT_GT(done, 100u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SchedulerProperty, ::testing::Range(1u, 9u));

}  // namespace
}  // namespace mansio::scheduler
