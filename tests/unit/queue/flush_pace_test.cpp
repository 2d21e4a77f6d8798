// How much of a flush is on its way at a time.
#include "kernel/queue/flush_pace.hpp"

#include <gtest/gtest.h>

#include <map>

namespace mansio::queue {
namespace {

TEST(FlushPace, LetsOutHalfOfTheSessionsAndOneAtLeast) {
  for (const auto &[sessions, most] : std::map<std::uint32_t, int>{{0, 1}, {1, 1}, {2, 1}, {5, 2}, {100, 50}}) {
    FlushPace<int> pace;
    pace.set(sessions);
    int out = 0;
    for (; pace.room(); ++out) pace.let_out(out, 0);
    EXPECT_EQ(out, most) << sessions;
  }
}

TEST(FlushPace, HasRoomForTheNextWhenOneIsOverOrDoesNotBegin) {
  FlushPace<int> pace;
  pace.set(6);
  std::map<int, FlushProgress> progress;
  for (const int delivery : {1, 2, 3}) {
    pace.let_out(delivery, 0);
    progress[delivery] = FlushProgress::Waits;
  }
  const auto settle = [&](Nanos now) { pace.settle(now, [&](int delivery) { return progress.at(delivery); }); };
  settle(FlushPace<int>::kPatience - 1);
  EXPECT_FALSE(pace.room());
  progress[1] = FlushProgress::UnderWay;
  progress[2] = FlushProgress::Over;
  settle(FlushPace<int>::kPatience - 1);
  EXPECT_TRUE(pace.room());
  pace.let_out(4, FlushPace<int>::kPatience - 1);
  progress[4] = FlushProgress::Waits;
  EXPECT_FALSE(pace.room());
  settle(FlushPace<int>::kPatience);  // the third has had its time, the fourth not yet; the first may take longer
  EXPECT_TRUE(pace.room());
  pace.let_out(5, FlushPace<int>::kPatience);
  EXPECT_FALSE(pace.room());
}

}  // namespace
}  // namespace mansio::queue
