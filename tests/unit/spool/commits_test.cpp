// The table of a segment's commits against a map, whatever the order they come in.
#include "kernel/spool/commits.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace mansio::spool {
namespace {

TEST(Commits, KnowsWhatItWasTold) {
  std::mt19937_64 random{1};
  Commits commits;
  std::map<std::uint64_t, CommitState> expected;
  for (int i = 0; i < 5000; ++i) {
    const auto offset = (random() % 2000 + 1) * 8;
    const auto state = static_cast<CommitState>(random() % 4);
    commits.set(offset, state);
    expected[offset] = state;
    if (i == 2500) commits.shrink();
  }
  ASSERT_EQ(commits.size(), expected.size());
  std::map<CommitState, std::uint64_t> counts;
  std::uint64_t live = 0, before = 0;
  for (const auto &[offset, state] : expected) {
    ASSERT_TRUE(commits.known(offset));
    ASSERT_EQ(commits.state(offset), state);
    ++counts[state];
    if (state == CommitState::Live) live += offset - before;
    before = offset;
  }
  for (const auto &[state, count] : counts) EXPECT_EQ(commits.count(state), count);
  EXPECT_EQ(commits.live_bytes(), live);
  EXPECT_FALSE(commits.known(20'000));
}

}  // namespace
}  // namespace mansio::spool
