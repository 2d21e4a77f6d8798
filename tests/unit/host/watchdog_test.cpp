#include "kernel/host/watchdog.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>

namespace mansio::host {
namespace {

using namespace std::chrono_literals;

constexpr Nanos kNever = 3600 * kSecond;

class WatchdogTest : public ::testing::Test {
 protected:
  void watch(Nanos hang, double cpu_limit) {
    watchdog_.emplace(loop_, hang, cpu_limit, [this](const char *why) { why_ = why; });
  }
  // What it says within a generous time, while this thread does `work`.
  template <class F>
  std::string ended(F work) {
    const auto limit = std::chrono::steady_clock::now() + 60s;
    while (!why_.load() && std::chrono::steady_clock::now() < limit) work();
    return why_.load() ? why_.load() : "";
  }

  asio::io_context loop_;
  std::atomic<const char *> why_{nullptr};
  std::optional<Watchdog> watchdog_;
};

TEST_F(WatchdogTest, EndsAProcessWhoseLoopDoesNotTurn) {
  watch(100 * kMillisecond, 0);
  EXPECT_EQ(ended([] { std::this_thread::sleep_for(10ms); }), "its loop hangs");
}

TEST_F(WatchdogTest, LeavesOneAloneWhoseLoopTurns) {
  watch(2 * kSecond, 0);
  loop_.run_for(4s);
  EXPECT_EQ(why_.load(), nullptr);
}

TEST_F(WatchdogTest, EndsAProcessThatUsesMoreCpuThanItsLimitThoughItsLoopTurns) {
  watch(kNever, 0.05);  // half a second in ten
  EXPECT_EQ(ended([this] {
              const auto slice = std::chrono::steady_clock::now() + 20ms;
              while (std::chrono::steady_clock::now() < slice) {
              }
              loop_.poll();
            }),
            "it uses more CPU than its cpu_limit");
}

TEST_F(WatchdogTest, CountsTheCpuOfOtherThreads) {
  watch(kNever, 0.05);
  std::atomic<bool> stop{false};
  std::thread burner{[&] {
    while (!stop) {
    }
  }};
  const auto why = ended([this] { loop_.run_one_for(10ms); });
  stop = true;
  burner.join();
  EXPECT_EQ(why, "it uses more CPU than its cpu_limit");
}

// A process that stops lets go of it from whatever its loop is doing, and its own turn may stand behind that already.
TEST_F(WatchdogTest, MayGoWhenItsTurnIsDue) {
  auto going = std::make_unique<Watchdog>(loop_, kNever, 0, [](const char *) {});
  asio::steady_timer earlier{loop_, 1ms};
  earlier.async_wait([&](ErrorCode) { going.reset(); });
  std::this_thread::sleep_for(1s);  // both have expired: the loop takes them up together
  loop_.run_for(5s);
  EXPECT_TRUE(loop_.stopped());  // nothing is armed any more
}

TEST(Running, NamesTheInnermostAndThenTheOuterAgain) {
  Running running;
  const Running::Code outer{"transport smtp"}, inner{"lookup people"};
  EXPECT_EQ(running.who(), nullptr);
  {
    const Running::Scope one{&running, outer};
    {
      const Running::Scope two{&running, inner};
      EXPECT_EQ(running.who(), &inner);
    }
    EXPECT_EQ(running.who(), &outer);
  }
  EXPECT_EQ(running.who(), nullptr);
  const Running::Scope nobody_looks{nullptr, outer};
}

}  // namespace
}  // namespace mansio::host
