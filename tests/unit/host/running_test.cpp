// In whose code a process ended, as it stands in the shared memory afterwards. Those that end are children of the test.
#include "kernel/host/running.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>

namespace mansio::host {
namespace {

constexpr std::uint32_t kSlot = 3;

class RunningTest : public ::testing::Test {
 protected:
  // The slot's code after a child has done `work` that ends it.
  template <class F>
  process::SharedMemory::Code after(F work) {
    const auto pid = ::fork();
    if (pid == 0) {
      Running running;
      running.show(*shared_, kSlot, true);
      work(running);
      std::_Exit(0);
    }
    ::waitpid(pid, &status_, 0);
    return shared_->code(kSlot);
  }

  const std::unique_ptr<process::SharedMemory> shared_ = std::move(*process::SharedMemory::create());
  const Running::Code loops_{"filter spam", 11}, blocks_{"lookup people", 22};
  int status_ = 0;
};

// A process in a plugin's thread, and a loop in other code.
template <class F>
void in_two(Running &running, const Running::Code &loops, const Running::Code &blocks, F end) {
  const Running::Scope loop{&running, loops};
  std::thread{[&] {
    const Running::ThreadScope thread{blocks};
    end();
  }}.join();
}

TEST_F(RunningTest, OthersSeeWhoseCodeTheLoopIsIn) {
  Running running;
  running.show(*shared_, kSlot, false);
  EXPECT_EQ(shared_->code(kSlot).instance, 0u);
  {
    const Running::Scope outer{&running, loops_};
    EXPECT_EQ(shared_->code(kSlot).instance, 11u);
    {
      const Running::Scope inner{&running, blocks_};
      EXPECT_EQ(shared_->code(kSlot).instance, 22u);
    }
    EXPECT_EQ(shared_->code(kSlot).instance, 11u);
  }
  EXPECT_EQ(shared_->code(kSlot).instance, 0u);
}

TEST_F(RunningTest, AProcessThatIsKilledWasWhereItsLoopWas) {
  const auto code = after([&](Running &running) {
    const Running::Scope loop{&running, loops_};
    ::kill(::getpid(), SIGKILL);
    ::pause();
  });
  EXPECT_EQ(code.instance, 11u);
  EXPECT_FALSE(code.hangs);
}

TEST_F(RunningTest, AThreadThatAbortsIsToldFromTheLoop) {
  EXPECT_EQ(after([&](Running &running) { in_two(running, loops_, blocks_, [] { std::abort(); }); }).instance, 22u);
  EXPECT_TRUE(WIFSIGNALED(status_) && WTERMSIG(status_) == SIGABRT) << "it still ends as it would have";
}

TEST_F(RunningTest, AThreadThatFaultsDiesOfIt) {
  EXPECT_EQ(after([&](Running &running) { in_two(running, loops_, blocks_, [] { __builtin_trap(); }); }).instance, 22u);
  EXPECT_FALSE(WIFEXITED(status_) && WEXITSTATUS(status_) == 0);
}

TEST_F(RunningTest, AThreadThatIsSentASignalDiesOfIt) {
  EXPECT_EQ(after([&](Running &running) { in_two(running, loops_, blocks_, [] { ::raise(SIGBUS); }); }).instance, 22u);
  EXPECT_FALSE(WIFEXITED(status_) && WEXITSTATUS(status_) == 0);
}

TEST_F(RunningTest, AThreadThatExitsIsToldFromTheLoop) {
  EXPECT_EQ(after([&](Running &running) { in_two(running, loops_, blocks_, [] { std::exit(7); }); }).instance, 22u);
  EXPECT_TRUE(WIFEXITED(status_) && WEXITSTATUS(status_) == 7);
}

TEST_F(RunningTest, WhatALoopDoesAfterTheLastWordChangesNothing) {
  static Running *running = nullptr;
  static Running::Code later{"filter late", 33};
  ASSERT_EQ(std::atexit([] {  // before show(), so it runs after the last word
              if (running) const Running::Scope scope{running, later};
            }),
            0);
  const auto code = after([&](Running &its) {
    running = &its;
    in_two(its, loops_, blocks_, [] { std::exit(7); });
  });
  EXPECT_EQ(code.instance, 22u);
}

TEST_F(RunningTest, AThreadOfAPluginsOwnIsInNobodysCode) {
  const auto code = after([&](Running &running) {
    const Running::Scope loop{&running, loops_};
    std::thread{[] { std::abort(); }}.join();
  });
  EXPECT_EQ(code.instance, 0u);
}

TEST_F(RunningTest, WhoEndsAHangSaysWhereItWas) {
  const auto code = after([&](Running &running) {
    const Running::Scope loop{&running, loops_};
    std::thread{[&] {
      running.hangs();
      std::abort();
    }}.join();
  });
  EXPECT_EQ(code.instance, 11u);
  EXPECT_TRUE(code.hangs);
}

}  // namespace
}  // namespace mansio::host
