// The wheel against a sorted map: whatever is put in, taken out and waited for, groups come out when they are due.
#include "kernel/scheduler/due_wheel.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace mansio::scheduler {
namespace {

struct Owner {
  struct Slot {
    Nanos due = 0;
    std::uint32_t position = 0, spot = 0;
    bool soon = false;
  };
  std::vector<Slot> slots;
  Nanos due(std::uint32_t id) const { return slots[id].due; }
  std::uint32_t &position(std::uint32_t id) { return slots[id].position; }
  std::uint32_t &spot(std::uint32_t id) { return slots[id].spot; }
  bool soon(std::uint32_t id) const { return slots[id].soon; }
  void soon(std::uint32_t id, bool value) { slots[id].soon = value; }
  void prefetch(std::uint32_t) {}
  void due_soon(std::uint32_t) {}
};

class DueWheelProperty : public ::testing::TestWithParam<unsigned> {};

TEST_P(DueWheelProperty, GivesEachGroupWhenItIsDueAndInOrder) {
  std::mt19937_64 random{GetParam()};
  Owner owner;
  owner.slots.resize(500);
  HugePages pages;
  DueWheel<Owner> wheel{owner, pages};
  std::multimap<Nanos, std::uint32_t> expected;
  std::vector<std::uint32_t> free;
  for (std::uint32_t i = 0; i < owner.slots.size(); ++i) free.push_back(i);
  Nanos now = static_cast<Nanos>(random() % (1ull << 50));
  const auto erase = [&](std::uint32_t id) {
    for (auto [at, end] = expected.equal_range(owner.due(id)); at != end; ++at) {
      if (at->second != id) continue;
      expected.erase(at);
      break;
    }
    wheel.erase(id);
    free.push_back(id);
  };
  for (int step = 0; step < 20'000; ++step) {
    const auto what = random() % 8;
    if (what < 4 && !free.empty()) {
      const auto id = free.back();
      free.pop_back();
      const Nanos spans[] = {kSecond / 10, 10 * kSecond, 4000 * kSecond, 100 * 86400 * kSecond, 3000 * 86400 * kSecond};
      owner.slots[id].due = now + static_cast<Nanos>(random() % static_cast<std::uint64_t>(spans[random() % 5]));
      expected.emplace(owner.due(id), id);
      wheel.push(id);
    } else if (what == 4 && !expected.empty()) {
      auto at = expected.begin();
      std::advance(at, static_cast<std::ptrdiff_t>(random() % expected.size()));
      erase(at->second);
    } else if (what == 5) {
      now += static_cast<Nanos>(random() % static_cast<std::uint64_t>(100 * kSecond));
    } else if (what == 6 && !expected.empty()) {
      // As its owner does: sleep until it says so. It never says a time beyond the first's.
      for (int wakes = 0;; ++wakes) {
        ASSERT_LT(wakes, 100);
        wheel.advance(now, 1'000'000);
        if (wheel.due(now)) break;
        ASSERT_FALSE(wheel.behind(now));
        ASSERT_LE(wheel.next(), expected.begin()->first);
        ASSERT_GT(wheel.next(), now);
        now = wheel.next();
      }
    }
    wheel.advance(now, 1 + static_cast<int>(random() % 4));
    while (wheel.behind(now)) wheel.advance(now, 3);
    while (const auto id = wheel.due(now)) {
      ASSERT_FALSE(expected.empty());
      ASSERT_EQ(owner.due(*id), expected.begin()->first);
      erase(*id);
    }
    ASSERT_TRUE(expected.empty() || expected.begin()->first > now);
    ASSERT_EQ(wheel.size(), expected.size());
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, DueWheelProperty, ::testing::Range(1u, 6u));

}  // namespace
}  // namespace mansio::scheduler
