#include "kernel/io/awake.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "kernel/io/fd.hpp"

namespace mansio::io {
namespace {

class AwakeTest : public ::testing::Test {
 protected:
  // Until nothing more is to be done, which may be without ever sleeping.
  void run() {
    loop_.restart();
    loop_.run();
  }
  // Expected, in vain.
  void in_vain(int times) {
    for (int i = 0; i < times; ++i) {
      awake_.expect();
      run();
    }
  }

  asio::io_context loop_{1};
  Awake awake_{loop_};
};

// On a busy machine the moment may be over before an event that is there already is looked for.
bool awake_for_an_event() {
  asio::io_context loop{1};
  Awake awake{loop};
  int pipe[2];
  EXPECT_EQ(::pipe(pipe), 0);
  const UniqueFd end{pipe[1]};
  asio::posix::stream_descriptor reader{loop, pipe[0]};
  bool was = false;
  reader.async_wait(asio::posix::stream_descriptor::wait_read, [&](ErrorCode) {
    was = awake.expecting();
    awake.has_come();
    EXPECT_FALSE(awake.expecting());
  });
  awake.expect();
  asio::post(loop, [&] { EXPECT_EQ(::write(end.get(), "x", 1), 1); });
  loop.run();
  return was;
}

TEST(Awake, LooksForEventsMeanwhile) {
  bool was = false;
  for (int i = 0; i < 1000 && !was; ++i) was = awake_for_an_event();
  EXPECT_TRUE(was);
}

TEST_F(AwakeTest, EndsByItselfWhereNothingComes) {
  awake_.expect();
  run();
  EXPECT_FALSE(awake_.expecting());
}

TEST_F(AwakeTest, StopsTryingForAWhileWhereItIsInVain) {
  in_vain(4);
  awake_.expect();
  EXPECT_FALSE(awake_.expecting());
  for (int i = 0; i < 63; ++i) awake_.expect();
  EXPECT_FALSE(awake_.expecting());
  awake_.expect();
  EXPECT_TRUE(awake_.expecting()) << "after the pause it tries once more";
  run();
  awake_.expect();
  EXPECT_FALSE(awake_.expecting()) << "in vain again";
}

TEST_F(AwakeTest, WhatComesInTimeMakesUpForWhatDoesNot) {
  for (int i = 0; i < 20; ++i) {
    in_vain(1);
    awake_.expect();
    ASSERT_TRUE(awake_.expecting()) << i;
    awake_.has_come();
  }
}

TEST(Awake, NothingRefersToOneThatIsGone) {
  asio::io_context loop{1};
  {
    Awake awake{loop};
    awake.expect();
  }
  EXPECT_GT(loop.run(), 0U);
}

}  // namespace
}  // namespace mansio::io
