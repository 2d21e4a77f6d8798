// The table of what clients did in a unit of time: every event counts once, whoever counts it, and a crowd of new
// clients makes it forget none that did much.
#include "kernel/process/rates.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "kernel/process/shared.hpp"
#include "tests/unit/process/killed.hpp"

namespace mansio::process {
namespace {

constexpr Nanos kUnit = 60 * kSecond;
constexpr auto kMail = ClientEvent::Message;

RateTime at(Nanos now) { return {kUnit, now}; }

std::uint64_t hashed(std::uint64_t n) {
  n += 0x9E3779B97F4A7C15ULL;
  n = (n ^ (n >> 30)) * 0xBF58476D1CE4E5B9ULL;
  n = (n ^ (n >> 27)) * 0x94D049BB133111EBULL;
  return (n ^ (n >> 31)) | 1;
}

TEST(RateTable, CountsEachClientAndKindForItself) {
  const auto table = std::make_unique<RateTable>();
  EXPECT_EQ(table->counted(hashed(1), kMail, at(0)), 0u);
  EXPECT_EQ(table->count(0, hashed(1), kMail, at(0)), 1u);
  EXPECT_EQ(table->count(1, hashed(1), kMail, at(kSecond)), 2u);
  EXPECT_EQ(table->count(0, hashed(2), kMail, at(kSecond)), 1u);
  EXPECT_EQ(table->count(0, hashed(1), ClientEvent::Recipient, at(kSecond)), 1u);
  EXPECT_EQ(table->counted(hashed(1), kMail, at(kSecond)), 2u);
  EXPECT_EQ(table->counted(hashed(1), ClientEvent::Recipient, at(kSecond)), 1u);
}

TEST(RateTable, AUnitBeginsWithTheFirstEventAndTheNextAfterItsEnd) {
  const auto table = std::make_unique<RateTable>();
  const Nanos begin = 1000 * kUnit + 50 * kSecond;
  EXPECT_EQ(table->count(0, hashed(1), kMail, at(begin)), 1u);
  EXPECT_EQ(table->count(0, hashed(1), kMail, at(begin + kUnit - kMillisecond)), 2u);
  EXPECT_EQ(table->counted(hashed(1), kMail, at(begin + kUnit)), 0u);
  EXPECT_EQ(table->count(0, hashed(1), kMail, at(begin + kUnit)), 1u);
  EXPECT_EQ(table->count(0, hashed(1), kMail, at(begin + 2 * kUnit - kMillisecond)), 2u);
}

TEST(RateTable, AProcessWhoseClockWasReadEarlierCountsInTheSameUnit) {
  const auto table = std::make_unique<RateTable>();
  EXPECT_EQ(table->count(0, hashed(1), kMail, at(kUnit)), 1u);
  EXPECT_EQ(table->count(1, hashed(1), kMail, at(kUnit - 5 * kMillisecond)), 2u);
}

TEST(RateTable, ACrowdOfNewClientsPushesOutNoneThatDidMuch) {
  const auto table = std::make_unique<RateTable>();
  for (std::uint64_t client = 0; client < 50; ++client)
    for (std::uint32_t i = 1; i <= 10; ++i) ASSERT_EQ(table->count(0, hashed(client), kMail, at(0)), i);
  for (std::uint64_t other = 1000; other < 400'000; ++other)
    ASSERT_EQ(table->count(static_cast<std::uint32_t>(other % 4), hashed(other), kMail, at(kSecond)), 1u);
  for (std::uint64_t client = 0; client < 50; ++client)
    EXPECT_EQ(table->count(0, hashed(client), kMail, at(2 * kSecond)), 11u) << client;
}

TEST(RateTable, OneThatDoesMuchIsCountedAmongACrowd) {
  const auto table = std::make_unique<RateTable>();
  std::uint64_t other = 1000;
  for (int i = 0; i < 200'000; ++i) table->count(0, hashed(++other), kMail, at(0));
  std::uint32_t most = 0;
  for (int i = 0; i < 50; ++i) {
    most = std::max(most, table->count(1, hashed(1), kMail, at(kSecond)));
    for (int j = 0; j < 1000; ++j) table->count(0, hashed(++other), kMail, at(kSecond));
  }
  EXPECT_GE(most, 40u);
}

TEST(RateTable, ClientsWhoseUnitIsOverMakeRoomForOthersWithMuch) {
  const auto table = std::make_unique<RateTable>();
  for (std::uint64_t client = 0; client < 200'000; ++client)
    for (int i = 0; i < 3; ++i) ASSERT_NE(table->count(0, hashed(client), kMail, at(0)), 0u);
  for (std::uint64_t client = 300'000; client < 320'000; ++client)
    ASSERT_EQ(table->count(0, hashed(client), kMail, at(kUnit)), 1u);
  std::uint32_t kept = 0;
  for (std::uint64_t client = 300'000; client < 320'000; ++client)
    kept += table->count(0, hashed(client), kMail, at(kUnit)) == 2;
  EXPECT_GT(kept, 19'900u);
}

TEST(RateTable, ThreadsGetEachNumberOnce) {
  const auto table = std::make_unique<RateTable>();
  constexpr std::uint32_t kThreads = 8, kEach = 20'000;
  std::vector<std::atomic<int>> given(kThreads * kEach + 2);
  ASSERT_EQ(table->count(0, hashed(1), kMail, at(0)), 1u);
  std::vector<std::thread> threads;
  for (std::uint32_t slot = 0; slot < kThreads; ++slot)
    threads.emplace_back([&, slot] {
      for (std::uint32_t i = 0; i < kEach; ++i) {
        const auto n = table->count(slot, hashed(1), kMail, at(kSecond));
        if (n < given.size()) given[n].fetch_add(1);
      }
    });
  for (auto &t : threads) t.join();
  for (std::uint32_t n = 2; n < given.size(); ++n) ASSERT_EQ(given[n].load(), 1) << n;
}

TEST(RateTable, NobodyIsChargedForOthersWhileRowsChangeHands) {
  const auto table = std::make_unique<RateTable>();
  std::atomic<bool> charged = false;
  std::vector<std::thread> threads;
  for (std::uint32_t slot = 0; slot < 4; ++slot)
    threads.emplace_back([&, slot] {
      for (std::uint64_t i = 0; i < 100'000; ++i)
        if (table->count(slot, hashed(slot * 1'000'000 + i), kMail,
                         at(static_cast<Nanos>(4 * i + slot) * kMillisecond)) > 1)
          charged = true;
    });
  for (auto &t : threads) t.join();
  EXPECT_FALSE(charged);
}

TEST(RateTable, GoesOnAfterProcessesAreKilledInTheMiddle) {
  auto memory = SharedMemory::create();
  ASSERT_TRUE(memory.ok());
  auto &m = **memory;
  const auto client = [](std::uint32_t n) {
    ClientKey key{};
    for (std::size_t i = 0; i < 4; ++i) key[i] = static_cast<std::uint8_t>(n >> (8 * i));
    return key;
  };
  for (int round = 0; round < 20; ++round)
    ASSERT_NO_FATAL_FAILURE(kill_in_the_middle(m, [&](SharedMemory &view, std::uint32_t slot) {
      return [&, slot](std::uint32_t i) { (void)view.count_event(slot, "smtp", client(i), kMail, at(kSecond)); };
    }));
  for (std::uint32_t n = 0; n < 10'000; ++n) {
    ASSERT_EQ(m.count_event(5, "smtp", client(n), kMail, at(3 * kUnit)), 1u);
    ASSERT_EQ(m.count_event(6, "smtp", client(n), kMail, at(3 * kUnit)), 2u);
  }
}

TEST(SharedMemory, CountsEventsOfEachListenerForItself) {
  auto memory = SharedMemory::create();
  ASSERT_TRUE(memory.ok());
  const ClientKey client{1};
  EXPECT_EQ((*memory)->count_event(0, "smtp", client, kMail, at(0)), 1u);
  EXPECT_EQ((*memory)->count_event(1, "smtp", client, kMail, at(0)), 2u);
  EXPECT_EQ((*memory)->count_event(1, "submission", client, kMail, at(0)), 1u);
  EXPECT_EQ((*memory)->counted_events("smtp", client, kMail, at(0)), 2u);
  EXPECT_EQ((*memory)->count_event(kSlots, "smtp", client, kMail, at(0)), 0u);
}

}  // namespace
}  // namespace mansio::process
