// The smooth weighted choice: everybody has his part at any time, whoever may not be chosen for a while.
#include "kernel/scheduler/spread.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

namespace mansio::scheduler {
namespace {

double unit(std::mt19937 &random) { return std::uniform_real_distribution<double>{0, 1}(random); }

TEST(Spread, NobodyIsFurtherFromHisPartThanThereAreOthers) {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    std::mt19937 random{seed};
    std::vector<std::uint32_t> weights(2 + random() % 6);
    for (auto &w : weights) w = 1 + static_cast<std::uint32_t>(random() % (seed % 2 == 0 ? 5 : 1'000'000));
    const auto sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    std::vector<std::size_t> all(weights.size()), chosen(weights.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    Spread spread{weights};
    for (int n = 1; n <= 5000; ++n) {
      ++chosen[spread.choose(all, unit(random))];
      for (const auto i : all)
        ASSERT_LT(std::abs(static_cast<double>(chosen[i]) - n * (weights[i] / sum)), static_cast<double>(all.size()))
            << "seed " << seed << ", choice " << n;
    }
  }
}

TEST(Spread, IsNoPatternThatAnotherPatternCouldMeet) {
  std::mt19937 random{1};
  const std::vector<std::size_t> both{0, 1};
  Spread spread{{1, 1}};
  std::size_t even = 0;  // chosen every second time
  for (int n = 0; n < 2000; ++n) {
    const auto i = spread.choose(both, unit(random));
    if (n % 2 == 0) even += i;
  }
  EXPECT_GT(even, 300u);
  EXPECT_LT(even, 700u);
}

TEST(Spread, WhoMayNotBeChosenHasNoClaimOnWhatWentElsewhere) {
  std::mt19937 random{1};
  const std::vector<std::size_t> all{0, 1, 2}, others{0, 1};
  Spread spread{{1, 2, 3}};
  for (int n = 0; n < 10'000; ++n) EXPECT_LT(spread.choose(others, unit(random)), 2u);
  std::size_t chosen[3] = {};
  for (int n = 0; n < 600; ++n) ++chosen[spread.choose(all, unit(random))];
  EXPECT_NEAR(static_cast<double>(chosen[0]), 100, 6);
  EXPECT_NEAR(static_cast<double>(chosen[1]), 200, 6);
  EXPECT_NEAR(static_cast<double>(chosen[2]), 300, 6);
}

TEST(Spread, OneOfThoseThatMayIsChosenThoughAllAreInDebt) {
  std::mt19937 random{1};
  const std::vector<std::size_t> all{0, 1, 2};
  Spread spread{{1, 1, 1'000'000}};
  for (int n = 0; n < 1000; ++n) {
    const auto first = spread.choose(all, unit(random));
    EXPECT_LT(first, 3u);
    const std::vector<std::size_t> one{static_cast<std::size_t>(n % 3)};
    EXPECT_EQ(spread.choose(one, 0), one[0]);
    const std::vector<std::size_t> two{0, 1};
    EXPECT_LT(spread.choose(two, unit(random)), 2u);
  }
}

}  // namespace
}  // namespace mansio::scheduler
