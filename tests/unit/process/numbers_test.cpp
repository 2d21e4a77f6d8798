// Numbers over all processes: each is counted once, whoever counts it, a flood of new keys pushes out none that is
// counted often, and processes that are killed in the middle hold up nobody.
#include "kernel/process/numbers.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "kernel/process/shared.hpp"
#include "tests/unit/process/killed.hpp"

namespace mansio::process {
namespace {

constexpr Nanos kHour = 3600 * kSecond;
constexpr TokenRate kTwoPerMinute{30 * kSecond, 2};

std::unique_ptr<SharedMemory> shared() {
  auto memory = SharedMemory::create();
  EXPECT_TRUE(memory.ok());
  return std::move(*memory);
}

std::uint64_t spread(std::uint64_t n) { return siphash({1, 2}, std::to_string(n)) | 1; }
// Keys of one bucket.
std::uint64_t crowded(std::uint64_t n) { return std::uint64_t{7} << 40 | (n + 1); }

TEST(Numbers, AreOneForAllProcessesOfAnInstance) {
  const auto m = shared();
  auto view = SharedMemory::map(io::UniqueFd{::dup(m->fd().get())});
  ASSERT_TRUE(view.ok());
  auto one = m->numbers(0, "policy a"), two = (*view)->numbers(1, "policy a"), other = m->numbers(0, "filter a");
  EXPECT_EQ(one.add("n", 5), 5);
  EXPECT_EQ(two.add("n", -7), -2);
  EXPECT_EQ(one.read("n"), -2);
  EXPECT_EQ(one.add_to_window("w", kHour, "k", 3, kHour), 3.0);
  EXPECT_EQ(two.add_to_window("w", kHour, "k", 1, kHour), 4.0);
  EXPECT_EQ(one.take("r", kTwoPerMinute, "k", 2, kHour), 0);
  EXPECT_EQ(two.take("r", kTwoPerMinute, "k", 1, kHour), 30 * kSecond);
  EXPECT_EQ(two.available("r", kTwoPerMinute, "k", kHour), 0);

  EXPECT_EQ(other.read("n"), 0);
  EXPECT_EQ(other.count_in_window("w", kHour, "k", kHour), 0);
  EXPECT_EQ(other.available("r", kTwoPerMinute, "k", kHour), 2);
}

TEST(Numbers, OfAnotherNameKeyLengthOrRateAreOthers) {
  const auto m = shared();
  auto n = m->numbers(0, "policy a");
  ASSERT_TRUE(n.add_to_window("w", kHour, "k", 3, kHour));
  EXPECT_EQ(n.count_in_window("v", kHour, "k", kHour), 0);
  EXPECT_EQ(n.count_in_window("w", 2 * kHour, "k", kHour), 0);
  EXPECT_EQ(n.count_in_window("w", kHour, "l", kHour), 0);
  EXPECT_EQ(n.count_in_window("w", kHour, "k", kHour), 3);
  EXPECT_EQ(n.take("w", kTwoPerMinute, "k", 2, kHour), 0);
  EXPECT_EQ(n.available("w", {30 * kSecond, 3}, "k", kHour), 3);
  EXPECT_EQ(n.available("w", {31 * kSecond, 2}, "k", kHour), 2);
}

// Names and keys of any length, which differ in one octet.
TEST(Numbers, TellLongKeysApart) {
  const auto m = shared();
  auto n = m->numbers(0, "policy a");
  const std::string key(10'000, 'k');
  EXPECT_EQ(n.add_to_window("w", kHour, key + "a", 1, 0), 1.0);
  EXPECT_EQ(n.add_to_window("w", kHour, key + "b", 1, 0), 1.0);
  EXPECT_EQ(n.add_to_window("w", kHour, key + "a", 1, 0), 2.0);
}

TEST(Numbers, OfMoreInstancesThanThereAreTablesShareRoomAndNothingElse) {
  const auto m = shared();
  for (std::size_t i = 0; i < 2 * kNumberTables; ++i) {
    auto n = m->numbers(0, "policy " + std::to_string(i));
    EXPECT_EQ(n.add("n", static_cast<std::int64_t>(i)), static_cast<std::int64_t>(i));
    EXPECT_EQ(n.add_to_window("w", kHour, "k", i + 1, 0), static_cast<double>(i + 1));
  }
  for (std::size_t i = 0; i < 2 * kNumberTables; ++i)
    EXPECT_EQ(m->numbers(1, "policy " + std::to_string(i)).read("n"), static_cast<std::int64_t>(i));
}

struct Table {
  LockOwners owners{};
  std::unique_ptr<NumberTable> table = std::make_unique<NumberTable>();
  NumberTable::Caller caller{owners, owners.id(0)};
};

TEST(NumberTable, AWindowSlides) {
  Table t;
  const auto add = [&](std::uint64_t n, Nanos now) { return t.table->add(t.caller, 9, 100, n, now); };
  const auto count = [&](Nanos now) { return t.table->count(9, 100, now); };
  EXPECT_EQ(add(10, 1000), 10.0);
  EXPECT_EQ(add(0, 1099), 10.0);
  EXPECT_EQ(count(1150), 5);
  EXPECT_EQ(add(1, 1150), 6.0);
  EXPECT_EQ(count(1200), 1);
  EXPECT_EQ(count(1300), 0);
  EXPECT_EQ(add(4, 1300), 4.0);
}

TEST(NumberTable, WhoLookedAtTheClockBeforeOthersCountsWithThem) {
  Table t;
  EXPECT_EQ(t.table->add(t.caller, 9, 100, 5, 1200), 5.0);
  EXPECT_EQ(t.table->add(t.caller, 9, 100, 1, 1010), 6.0);
  EXPECT_EQ(t.table->count(9, 100, 1200), 6);
}

// Periods are known by 24 bits, so an old one looks like one that is still to come.
TEST(NumberTable, AKeyThatCameLongAgoCountsFromTheBeginning) {
  constexpr Nanos kPeriods = Nanos{1} << 24;
  for (const auto later : {kPeriods / 2, kPeriods / 2 + 2, kPeriods - 10'000}) {
    Table t;
    const auto add = [&](Nanos now) { return t.table->add(t.caller, 9, kMillisecond, 1, now); };
    ASSERT_EQ(add(100 * kMillisecond), 1.0);
    const auto now = (100 + later) * kMillisecond;
    EXPECT_EQ(add(now), 1.0) << later;
    EXPECT_EQ(add(now + 2 * kMillisecond), 1.0) << later;
  }
}

TEST(NumberTable, AWindowCountsNoMoreThanItCanHold) {
  Table t;
  EXPECT_EQ(t.table->add(t.caller, 9, kHour, UINT64_MAX, 0), static_cast<double>(NumberTable::kMost));
  EXPECT_EQ(t.table->add(t.caller, 9, kHour, 1, 0), static_cast<double>(NumberTable::kMost));
}

TEST(NumberTable, ABucketFillsAgain) {
  Table t;
  const auto take = [&](std::int64_t n, Nanos now) { return t.table->take(t.caller, 9, {10, 3}, n, now); };
  EXPECT_EQ(take(0, 1000), 0);
  EXPECT_EQ(take(3, 1000), 0);
  EXPECT_EQ(take(1, 1000), 10);
  EXPECT_EQ(t.table->available(9, {10, 3}, 1009), 0);
  EXPECT_EQ(take(2, 1010), 10);
  EXPECT_EQ(take(1, 1010), 0);
  EXPECT_EQ(t.table->available(9, {10, 3}, 1039), 2);
  EXPECT_EQ(t.table->available(9, {10, 3}, 1040), 3);
}

TEST(NumberTable, HasAsManyCountersAsItSaysAndKeepsThem) {
  Table t;
  for (std::uint64_t i = 0; i < NumberTable::kMostCounters; ++i) ASSERT_EQ(t.table->add(spread(i), 1), 1) << i;
  EXPECT_FALSE(t.table->add(spread(1'000'000), 1).has_value());
  EXPECT_EQ(t.table->read(spread(1'000'000)), 0);
  for (std::uint64_t i = 0; i < NumberTable::kMostCounters; ++i) ASSERT_EQ(t.table->add(spread(i), 2), 3) << i;
}

TEST(NumberTable, AFloodOfNewKeysPushesOutNoneThatIsCountedOften) {
  Table t;
  for (std::uint64_t key = 0; key < 4; ++key)
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE(t.table->add(t.caller, crowded(key), kHour, 1, 0));
      ASSERT_EQ(t.table->take(t.caller, crowded(100 + key), {kSecond, 10}, 1, 0), 0);
    }
  for (std::uint64_t key = 1000; key < 101'000; ++key) {
    ASSERT_EQ(t.table->add(t.caller, crowded(key), kHour, 1'000'000, kSecond / 2), 1'000'000.0);
    ASSERT_EQ(t.table->take(t.caller, crowded(key + 1'000'000), {kSecond, 10}, 10, kSecond / 2), 0);
  }
  for (std::uint64_t key = 0; key < 4; ++key) {
    EXPECT_EQ(t.table->count(crowded(key), kHour, kSecond / 2), 10) << key;
    EXPECT_EQ(t.table->available(crowded(100 + key), {kSecond, 10}, kSecond / 2), 0) << key;
  }
}

TEST(NumberTable, WhatIsOverMakesRoomHoweverOftenItWasCounted) {
  Table t;
  for (std::uint64_t key = 0; key < NumberTable::kRows; ++key)
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(t.table->add(t.caller, crowded(key), kSecond, 1, 0));
  const auto later = 3 * kSecond;
  for (std::uint64_t key = 100; key < 100 + NumberTable::kRows; ++key)
    ASSERT_EQ(t.table->add(t.caller, crowded(key), kSecond, 1, later), 1.0);
  for (std::uint64_t key = 100; key < 100 + NumberTable::kRows; ++key)
    EXPECT_EQ(t.table->add(t.caller, crowded(key), kSecond, 1, later), 2.0) << key;
}

TEST(NumberTable, HasRoomForAsManyKeysAsAreExpected) {
  Table t;
  constexpr std::uint64_t kKeys = 600'000;
  for (std::uint64_t key = 0; key < kKeys; ++key) ASSERT_TRUE(t.table->add(t.caller, spread(key), kHour, 1, 0));
  std::uint64_t kept = 0;
  for (std::uint64_t key = 0; key < kKeys; ++key) kept += t.table->count(spread(key), kHour, 0) == 1;
  EXPECT_GT(kept, kKeys / 100 * 98);
}

// New keys, too: of two who enter one at once the second finds it.
TEST(NumberTable, ThreadsGetEachNumberOnce) {
  Table t;
  constexpr int kThreads = 4, kKeys = 2'000;
  std::vector<std::atomic<int>> given(kKeys * (kThreads + 1));
  std::atomic<int> granted = 0;
  std::vector<std::thread> threads;
  for (std::uint32_t slot = 0; slot < kThreads; ++slot)
    threads.emplace_back([&, slot] {
      const NumberTable::Caller caller{t.owners, t.owners.id(slot)};
      for (std::uint64_t key = 0; key < kKeys; ++key) {
        const auto n = t.table->add(caller, spread(key), kHour, 1, kHour);
        if (n && *n >= 1 && *n <= kThreads) given[key * (kThreads + 1) + static_cast<std::size_t>(*n)].fetch_add(1);
        if (t.table->take(caller, spread(key + kKeys), {kHour, 3}, 1, kHour) == 0) granted.fetch_add(1);
        t.table->add(1, 1);
      }
    });
  for (auto &thread : threads) thread.join();
  for (std::size_t key = 0; key < kKeys; ++key)
    for (std::size_t n = 1; n <= kThreads; ++n) ASSERT_EQ(given[key * (kThreads + 1) + n].load(), 1) << key;
  EXPECT_EQ(granted.load(), 3 * kKeys);
  EXPECT_EQ(t.table->read(1), std::int64_t{kThreads} * kKeys);
}

TEST(NumberTable, NobodyIsChargedForOthersWhileRowsChangeHands) {
  Table t;
  std::atomic<int> charged = 0;
  std::vector<std::thread> threads;
  for (std::uint32_t slot = 0; slot < 4; ++slot)
    threads.emplace_back([&, slot] {
      const NumberTable::Caller caller{t.owners, t.owners.id(slot)};
      for (std::uint64_t i = 0; i < 50'000; ++i) {
        const auto n = t.table->add(caller, crowded(slot * 1'000'000 + i), kHour, 1, static_cast<Nanos>(4 * i + slot));
        if (n && *n != 1) charged.fetch_add(1);
      }
    });
  for (auto &thread : threads) thread.join();
  EXPECT_EQ(charged.load(), 0);
}

TEST(LockOwners, EndWithTheirProcess) {
  LockOwners owners{};
  const auto first = owners.id(3), other = owners.id(4);
  EXPECT_NE(first, 0u);
  EXPECT_NE(first, other);
  EXPECT_TRUE(owners.alive(first));
  owners.end(3);
  EXPECT_FALSE(owners.alive(first));
  EXPECT_TRUE(owners.alive(owners.id(3)));
  EXPECT_NE(owners.id(3), first);
  EXPECT_TRUE(owners.alive(other));
  EXPECT_FALSE(owners.alive(0));
}

// They enter keys of one table without pause, so that some die with a lock. Whatever they held is free afterwards.
TEST(Numbers, GoOnAfterProcessesAreKilledInTheMiddle) {
  const auto m = shared();
  auto mine = m->numbers(10, "policy a");
  ASSERT_EQ(mine.add("mine", 1), 1);
  ASSERT_EQ(mine.add_to_window("w", kHour, "mine", 1, 0), 1.0);
  std::uint64_t next = 0;
  for (int round = 0; round < 20; ++round) {
    ASSERT_NO_FATAL_FAILURE(kill_in_the_middle(*m, [](SharedMemory &view, std::uint32_t slot) {
      return [n = view.numbers(slot, "policy a")](std::uint32_t i) mutable {
        (void)n.add_to_window("w", kHour, std::to_string(i), 1, 0);
        (void)n.add("all", 1);
      };
    }));
    for (int i = 0; i < 20'000; ++i)
      ASSERT_TRUE(mine.add_to_window("w", kHour, "mine " + std::to_string(++next), 1, 0)) << next;
    EXPECT_GE(mine.read("all"), 3 * 1000 * (round + 1));
    EXPECT_EQ(mine.add("mine", 1), round + 2);
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(mine.add_to_window("w", kHour, "mine", 1, 0));
  }
  EXPECT_EQ(mine.count_in_window("w", kHour, "mine", 0), 1 + 20 * 50);
}

}  // namespace
}  // namespace mansio::process
