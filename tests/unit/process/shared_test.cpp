// The shared table that counts connections over all processes: never too few, never for ever, also when processes are
// killed half-way.
#include "kernel/process/shared.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/process/killed.hpp"

namespace mansio::process {
namespace {

ClientKey client(std::uint32_t n) {
  ClientKey key{};
  key[10] = key[11] = 0xff;
  for (int i = 0; i < 4; ++i) key[12 + i] = static_cast<std::uint8_t>(n >> (8 * i));
  return key;
}

std::unique_ptr<SharedMemory> create() {
  auto memory = SharedMemory::create();
  EXPECT_TRUE(memory.ok());
  return std::move(*memory);
}

TEST(SharedMemory, CountsAClientOverAllSlots) {
  const auto m = create();
  EXPECT_EQ(m->connect(0, "smtp", client(1), {2, 0, 0}), Admission::Admitted);
  EXPECT_EQ(m->connect(1, "smtp", client(1), {2, 0, 0}), Admission::Admitted);
  EXPECT_EQ(m->connect(2, "smtp", client(1), {2, 0, 0}), Admission::ClientLimit);
  EXPECT_EQ(m->connect(2, "smtp", client(2), {2, 0, 0}), Admission::Admitted);
  EXPECT_EQ(m->connections(), 3u);
  m->disconnect(0, "smtp", client(1));
  EXPECT_EQ(m->connect(2, "smtp", client(1), {2, 0, 0}), Admission::Admitted);
}

TEST(SharedMemory, CountsAllClientsTogether) {
  const auto m = create();
  EXPECT_EQ(m->connect(0, "smtp", client(1), {0, 0, 2}), Admission::Admitted);
  EXPECT_EQ(m->connect(1, "smtp", client(2), {0, 0, 2}), Admission::Admitted);
  EXPECT_EQ(m->connect(1, "smtp", client(3), {0, 0, 2}), Admission::TotalLimit);
  EXPECT_EQ(m->connections(), 2u);
}

TEST(SharedMemory, CountsEachListenerForItself) {
  const auto m = create();
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(m->connect(0, "smtp", client(1), {3, 3, 10}), Admission::Admitted);
  EXPECT_EQ(m->connect(1, "smtp", client(2), {3, 3, 10}), Admission::TotalLimit);
  EXPECT_EQ(m->connect(0, "after-filter", client(1), {1, 2, 10}), Admission::Admitted);
  EXPECT_EQ(m->connect(1, "after-filter", client(1), {1, 2, 10}), Admission::ClientLimit);
  EXPECT_EQ(m->connect(1, "after-filter", client(2), {1, 2, 10}), Admission::Admitted);
  EXPECT_EQ(m->connect(0, "after-filter", client(3), {1, 2, 10}), Admission::TotalLimit);
  EXPECT_EQ(m->connections(), 5u);
  m->disconnect(0, "smtp", client(1));
  EXPECT_EQ(m->connect(0, "after-filter", client(3), {1, 2, 10}), Admission::TotalLimit);
  EXPECT_EQ(m->connect(1, "smtp", client(2), {3, 3, 10}), Admission::Admitted);
}

TEST(SharedMemory, KnowsHowManyConnectionsAListenerHas) {
  auto m = create();
  for (std::uint32_t i = 0; i < 3; ++i) ASSERT_EQ(m->connect(i, "smtp", client(i), {}), Admission::Admitted);
  EXPECT_EQ(m->connections("smtp"), 3u);
  EXPECT_EQ(m->connections("submission"), 0u);
  m->disconnect(1, "smtp", client(1));
  EXPECT_EQ(m->connections("smtp"), 2u);
}

TEST(SharedMemory, StressOfAListenerBeginsAndEndsOnce) {
  auto m = create();
  auto other = SharedMemory::map(io::UniqueFd{::dup(m->fd().get())});
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(m->stressed_until("smtp"), 0);
  EXPECT_FALSE(m->relax("smtp", 1000));
  EXPECT_TRUE(m->stress("smtp", 100));
  EXPECT_FALSE((*other)->stress("smtp", 200));
  EXPECT_FALSE(m->stress("smtp", 150)) << "it is longer already";
  EXPECT_EQ((*other)->stressed_until("smtp"), 200);
  EXPECT_EQ(m->stressed_until("submission"), 0);
  EXPECT_FALSE(m->relax("smtp", 199));
  EXPECT_TRUE((*other)->relax("smtp", 200));
  EXPECT_FALSE(m->relax("smtp", 200));
  EXPECT_EQ(m->stressed_until("smtp"), 0);
  EXPECT_TRUE(m->stress("smtp", 300));
}

TEST(SharedMemory, StressIsForALimitedNumberOfListeners) {
  auto m = create();
  int begun = 0;
  for (int i = 0; i < 300; ++i) begun += m->stress("listener" + std::to_string(i), 1000 + i);
  EXPECT_EQ(begun, 256);
  for (int i = 0; i < 256; ++i) EXPECT_EQ(m->stressed_until("listener" + std::to_string(i)), 1000 + i);
  EXPECT_EQ(m->stressed_until("listener299"), 0);
}

TEST(SharedMemory, CountsMoreOfAListenerThanACounterHolds) {
  const auto m = create();
  for (std::uint32_t i = 0; i < 70'000; ++i) ASSERT_EQ(m->connect(0, "smtp", client(i % 9), {}), Admission::Admitted);
  EXPECT_EQ(m->connect(1, "smtp", client(0), {0, 70'000, 0}), Admission::TotalLimit);
  for (std::uint32_t i = 0; i < 70'000; ++i) m->disconnect(0, "smtp", client(i % 9));
  EXPECT_EQ(m->connections(), 0u);
  EXPECT_EQ(m->connect(1, "smtp", client(0), {1, 1, 1}), Admission::Admitted);
}

TEST(SharedMemory, ForgetsWhatADeadProcessHeld) {
  const auto m = create();
  for (int i = 0; i < 5; ++i) ASSERT_EQ(m->connect(3, "smtp", client(1), {0, 0, 0}), Admission::Admitted);
  ASSERT_EQ(m->connect(4, "smtp", client(1), {0, 0, 0}), Admission::Admitted);
  m->working_on(3, MessageId{42});
  EXPECT_EQ(m->marker(3), MessageId{42});
  m->release_slot(3);
  EXPECT_EQ(m->connections(), 1u);
  EXPECT_FALSE(m->marker(3));
  EXPECT_EQ(m->connect(0, "smtp", client(1), {2, 0, 0}), Admission::Admitted);
  EXPECT_EQ(m->connect(0, "smtp", client(1), {2, 0, 0}), Admission::ClientLimit);
}

TEST(SharedMemory, TakesMoreClientsThanRowsAsOthersLeave) {
  const auto m = create();
  for (std::uint32_t i = 0; i < 200'000; ++i) {
    ASSERT_EQ(m->connect(i % 4, "smtp", client(i), {1, 0, 0}), Admission::Admitted);
    m->disconnect(i % 4, "smtp", client(i));
  }
  EXPECT_EQ(m->connections(), 0u);
}

TEST(SharedMemory, RefusesWhenFullAndNeverMiscounts) {
  const auto m = create();
  std::uint32_t admitted = 0, refused = 0;
  for (std::uint32_t i = 0; i < 40'000; ++i) {
    const auto a = m->connect(0, "smtp", client(i), {1, 0, 0});
    if (a == Admission::Admitted)
      ++admitted;
    else if (a == Admission::TableFull)
      ++refused;
    else
      FAIL() << "client " << i << " was counted with another";
  }
  EXPECT_GT(refused, 0u);
  EXPECT_GT(admitted, 20'000u);
  EXPECT_EQ(m->connections(), admitted);
}

TEST(SharedMemory, RefusesAnotherDescriptor) {
  EXPECT_FALSE(SharedMemory::map(io::UniqueFd{::dup(0)}).ok());
  EXPECT_FALSE(SharedMemory::map(io::UniqueFd{}).ok());
}

TEST(SharedMemory, ThreadsThatFightOverFewClientsNeverExceedTheLimit) {
  const auto m = create();
  constexpr std::uint32_t kLimit = 3;
  std::atomic<std::uint32_t> inside[4] = {};
  std::atomic<bool> exceeded = false;
  std::vector<std::thread> threads;
  for (std::uint32_t slot = 0; slot < 8; ++slot)
    threads.emplace_back([&, slot] {
      for (std::uint32_t i = 0; i < 20'000; ++i) {
        const auto c = (i * 7 + slot) % 4;
        if (m->connect(slot, "smtp", client(c), {kLimit, 0, 0}) != Admission::Admitted) continue;
        if (inside[c].fetch_add(1) >= kLimit) exceeded = true;
        inside[c].fetch_sub(1);
        m->disconnect(slot, "smtp", client(c));
      }
    });
  for (auto &t : threads) t.join();
  EXPECT_FALSE(exceeded);
  EXPECT_EQ(m->connections(), 0u);
  for (std::uint32_t c = 0; c < 4; ++c) EXPECT_EQ(m->connect(0, "smtp", client(c), {1, 0, 0}), Admission::Admitted);
}

TEST(SharedMemory, StaysRightWhenProcessesAreKilledInTheMiddle) {
  const auto m = create();
  for (int round = 0; round < 20; ++round) {
    ASSERT_NO_FATAL_FAILURE(kill_in_the_middle(*m, [](SharedMemory &view, std::uint32_t slot) {
      return [&view, slot](std::uint32_t i) {
        (void)view.connect(slot, "smtp", client(i % 50'000), {0, 0, 0});
        if (i % 3) view.disconnect(slot, "smtp", client(i % 50'000));
      };
    }));
    ASSERT_EQ(m->connections(), 0u);
  }
  // Every row is free again: as many clients fit as in an untouched table.
  std::uint32_t admitted = 0;
  for (std::uint32_t i = 0; i < 20'000; ++i)
    admitted += m->connect(5, "smtp", client(i), {1, 0, 0}) == Admission::Admitted;
  EXPECT_GT(admitted, 19'900u);
}

}  // namespace
}  // namespace mansio::process
