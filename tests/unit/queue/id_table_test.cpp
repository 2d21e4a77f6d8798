// The table from queue ids to slots, whatever its size was made for.
#include "kernel/queue/id_table.hpp"

#include <gtest/gtest.h>

namespace mansio::queue {
namespace {

struct Slots {
  std::vector<MessageId> ids;
  mutable std::size_t fetched = 0;
  MessageId id_of(std::uint32_t slot) const { return ids.at(slot); }
  void prefetch_id(std::uint32_t slot) const {
    EXPECT_LT(slot, ids.size());
    ++fetched;
  }
};

TEST(IdTable, FindsAllThatIsInItHoweverItGrew) {
  for (const std::size_t growth : {4, 1}) {
    for (const std::size_t reserved : {0, 100, 20'000, 40'000}) {
      Slots slots;
      for (std::uint32_t i = 0; i < 30'000; ++i) slots.ids.push_back(MessageId::make(1, i % 7 + 1, i));
      IdTable<Slots> table{slots, growth};
      table.reserve(reserved);
      for (std::uint32_t i = 0; i < 30'000; ++i) {
        table.prefetch(slots.ids[i]);
        table.add(slots.ids[i], i);
      }
      EXPECT_GT(slots.fetched, 0u);
      for (std::uint32_t i = 0; i < 30'000; i += 3) table.erase(slots.ids[i]);
      table.reserve(80'000);
      EXPECT_EQ(table.size(), 20'000u);
      for (std::uint32_t i = 0; i < 30'000; ++i)
        EXPECT_EQ(table.find(slots.ids[i]), i % 3 == 0 ? IdTable<Slots>::kNobody : i);
    }
  }
}

}  // namespace
}  // namespace mansio::queue
