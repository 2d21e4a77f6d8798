// What the check of plugins makes of amounts of memory and of an instance's counters.
#include "kernel/cli/plugin_course.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace mansio::cli {
namespace {

constexpr std::size_t kMega = 1024 * 1024;

TEST(JudgeMemory, FindsWhatGrowsWithTheCalls) {
  EXPECT_NE(judge_memory({0, 1 * kMega, 2 * kMega, 3 * kMega, 4 * kMega, 5 * kMega}), "");
  EXPECT_EQ(judge_memory({0, 5 * kMega, 5 * kMega, 5 * kMega, 5 * kMega, 5 * kMega}), "");  // a cache
  EXPECT_EQ(judge_memory({0, 1 * kMega, 2 * kMega, 3 * kMega, 2 * kMega, 3 * kMega}),
            "");  // what is collected at times
  EXPECT_EQ(judge_memory({0, 1000, 2000, 3000, 4000, 5000}), "");
  EXPECT_EQ(judge_memory({0, 1 * kMega, 2 * kMega}), "");  // too few to tell
  EXPECT_EQ(judge_memory({}), "");
}

TEST(JudgeMemory, FindsWhatIsMuchForSmallCalls) {
  EXPECT_NE(judge_memory({kMega, 257 * kMega, kMega}), "");
  EXPECT_EQ(judge_memory({kMega, 100 * kMega}), "");
  EXPECT_EQ(judge_memory({1000 * kMega, 1001 * kMega, 900 * kMega}), "");  // it was taken before the first
}

// An instance that counts as it is told.
struct Counts {
  double late = 0, dropped = 0;
  void stats(const std::function<void(std::string, double)> &add) const {
    add("mansio_plugin_operations_total{lookup=\"check\"}", 100000);
    add("mansio_plugin_late_answers_total{lookup=\"check\"}", late);
    add("mansio_plugin_log_lines_dropped_total{lookup=\"check\"}", dropped);
  }
};

TEST(Course, SaysWhatCameLateAndWhatWasLoggedTooMuch) {
  Course course{40};
  EXPECT_TRUE(course.goes_on(Counts{0, 10}));
  EXPECT_FALSE(course.goes_on(Counts{0, 100000}));
  course.ends(Counts{3, 100000});
  EXPECT_NE(course.late(), "");
  EXPECT_NE(course.floods(), "");

  Course good{40};
  EXPECT_TRUE(good.goes_on(Counts{}));
  good.ends(Counts{0, 10});
  EXPECT_EQ(good.late(), "");
  EXPECT_EQ(good.floods(), "");
}

TEST(Course, SeesMemoryThatIsNotGivenBack) {
  if (!allocated_bytes()) GTEST_SKIP() << "no allocator that tells";
  for (const bool leaks : {true, false}) {
    Course course{40};
    std::vector<std::unique_ptr<std::string>> kept;
    for (int round = 0; round < 40; ++round) {
      ASSERT_TRUE(course.goes_on(Counts{}));
      kept.push_back(std::make_unique<std::string>(kMega, 'x'));
      if (!leaks) kept.clear();
    }
    course.ends(Counts{});
    EXPECT_EQ(course.memory().empty(), !leaks);
  }
}

}  // namespace
}  // namespace mansio::cli
