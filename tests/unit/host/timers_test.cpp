#include "kernel/host/timers.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mansio::host {
namespace {

class TimersTest : public ::testing::Test {
 protected:
  static std::chrono::steady_clock::time_point now() { return std::chrono::steady_clock::now(); }
  void note(Nanos after, char what) {
    timers_.add(after, [this, what] { fired_ += what; });
  }

  asio::io_context loop_{1};
  Timers timers_{loop_};
  std::string fired_;
};

TEST_F(TimersTest, FireInTheOrderOfTheirTimesAndNotBefore) {
  const auto begin = now();
  note(60 * kMillisecond, 'c');
  note(1 * kMillisecond, 'a');
  note(30 * kMillisecond, 'b');
  timers_.add(60 * kMillisecond, [&] { EXPECT_GE(now() - begin, std::chrono::milliseconds{60}); });
  loop_.run();
  EXPECT_EQ(fired_, "abc");
  EXPECT_EQ(timers_.size(), 0u);
}

TEST_F(TimersTest, ThoseThatAreCancelledDoNotFire) {
  const auto never = timers_.add(30 * kMillisecond, [&] { fired_ += 'n'; });
  note(40 * kMillisecond, 'a');
  timers_.cancel(never);
  timers_.cancel(never);
  timers_.cancel(77);
  loop_.run();
  EXPECT_EQ(fired_, "a");
}

TEST_F(TimersTest, WithNoneLeftTheLoopEnds) {
  const auto first = timers_.add(3600 * kSecond, [] {});
  timers_.cancel(first);
  loop_.run();  // not yet set to the hour
  loop_.restart();
  const auto second = timers_.add(3600 * kSecond, [] {});
  timers_.add(50 * kMillisecond, [&] { timers_.cancel(second); });  // set by then
  loop_.run();
  EXPECT_EQ(timers_.size(), 0u);
}

TEST_F(TimersTest, OneMayBeSetAgainWhereTheLastOneWasCancelled) {
  for (const char what : {'a', 'b'}) {
    timers_.cancel(timers_.add(3600 * kSecond, [] {}));
    note(25 * kMillisecond, what);
    loop_.run();
    loop_.restart();
  }
  EXPECT_EQ(fired_, "ab");
}

TEST_F(TimersTest, WhatFiresMaySetAndCancelOthers) {
  std::uint64_t other = 0;
  timers_.add(kMillisecond, [&] {
    timers_.cancel(other);
    note(0, 'a');
    note(30 * kMillisecond, 'b');
  });
  other = timers_.add(kMillisecond, [&] { fired_ += 'n'; });
  loop_.run();
  EXPECT_EQ(fired_, "ab");
}

TEST_F(TimersTest, MayGoWhileOneFires) {
  auto own = std::make_unique<Timers>(loop_);
  own->add(0, [&] { own.reset(); });
  own->add(3600 * kSecond, [] {});
  loop_.run();
  EXPECT_EQ(own, nullptr);
}

}  // namespace
}  // namespace mansio::host
