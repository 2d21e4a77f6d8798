// What the journal said of each message, put together again.
#include <gmock/gmock.h>

#include "kernel/queue/journal.hpp"

namespace mansio::queue {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

Deferral deferral(std::uint16_t attempts, std::uint64_t reason) { return {kSecond, attempts, {{0, reason}}, false}; }

MessageId id(std::uint64_t n) { return {n + 1}; }

TEST(Replay, PutsTogetherTheEntriesOfEachMessageInTheirOrder) {
  Replay replay;
  for (std::uint64_t n = 0; n < 1000; ++n) replay.apply(entry::waiting(id(n), deferral(1, 1)));
  for (std::uint64_t n = 0; n < 1000; n += 2) replay.apply(entry::deferred(id(n), deferral(2, 2)));
  for (std::uint64_t n = 0; n < 1000; ++n) replay.apply(entry::woken(id(n)));
  for (std::uint64_t n = 0; n < 1000; ++n) {
    const auto said = replay.find(id(n));
    EXPECT_FALSE(said.gone);
    ASSERT_TRUE(said.record);
    ASSERT_EQ(said.record->deferrals.size(), 1u);
    const auto &d = said.record->deferrals[0];
    EXPECT_EQ(d.attempts, n % 2 == 0 ? 2 : 1);
    EXPECT_THAT(d.recipients, ElementsAre(Pair(0, n % 2 == 0 ? 2 : 1)));
    EXPECT_TRUE(d.woken);
  }
  EXPECT_EQ(replay.skipped(), 0u);
  EXPECT_EQ(replay.messages(), 1000u);
}

TEST(Replay, WhatAPolicyChoseIsKnownAgain) {
  Replay replay;
  replay.apply(entry::deferred(id(1), deferral(1, 1)));
  replay.apply(entry::put_off(id(1)));
  replay.apply(entry::pools(id(1), {{0, "warm"}, {1, "warm"}, {2, "cold"}}));
  replay.apply(entry::pools(id(1), {{1, ""}, {2, "spare"}}));
  auto said = replay.find(id(1));
  ASSERT_TRUE(said.record);
  EXPECT_TRUE(said.record->deferrals.at(0).put_off);
  EXPECT_THAT(said.record->pools, ElementsAre(Pair(0, "warm"), Pair(2, "spare")));
  EXPECT_FALSE(said.record->deferrals.at(0).unrouted);
  replay.apply(entry::unrouted(id(1), {7}));  // another one
  EXPECT_FALSE(replay.find(id(1)).record->deferrals.at(0).unrouted);
  replay.apply(entry::unrouted(id(1), {7, 0}));
  EXPECT_TRUE(replay.find(id(1)).record->deferrals.at(0).unrouted);
  replay.apply(entry::deferred(id(1), deferral(2, 1)));  // by the back-off again
  said = replay.find(id(1));
  EXPECT_FALSE(said.record->deferrals.at(0).put_off);
  EXPECT_FALSE(said.record->deferrals.at(0).unrouted);
  EXPECT_EQ(replay.skipped(), 0u);
}

TEST(Replay, NothingThatIsSaidOfAGoneMessageCountsUnlessItIsAllThereIsToKnow) {
  Replay replay;
  replay.apply(entry::waiting(id(1), deferral(1, 1)));
  replay.apply(entry::gone(id(1)));
  replay.apply(entry::deferred(id(1), deferral(2, 1)));
  EXPECT_TRUE(replay.find(id(1)).gone);
  EXPECT_FALSE(replay.find(id(1)).record);
  EXPECT_FALSE(replay.find(id(2)).gone);
  EXPECT_FALSE(replay.find(id(2)).record);
  EXPECT_EQ(replay.messages(), 0u);
  replay.apply(entry::waiting(id(1), deferral(3, 1)));
  EXPECT_FALSE(replay.find(id(1)).gone);
  EXPECT_EQ(replay.messages(), 1u);
  ASSERT_TRUE(replay.find(id(1)).record);
  EXPECT_EQ(replay.find(id(1)).record->deferrals.at(0).attempts, 3);
}

TEST(Replay, AReasonIsKeptOnceForAllThatWaitForItAndGoesWithTheLastOfThem) {
  Replay replay;
  Reasons reasons;
  const Reason busy{450, {4, 2, 0}, "busy", "mx", "relay"};
  replay.apply(entry::reason(7, busy));
  replay.apply(entry::reason(8, busy));  // said anew behind a checkpoint
  const auto first = replay.reason(7, reasons);
  reasons.drop(first);  // nobody waits for it: it is there for the next all the same
  const auto second = replay.reason(7, reasons);
  const auto third = replay.reason(8, reasons);
  EXPECT_EQ(first, second);
  EXPECT_EQ(second, third);
  EXPECT_EQ(reasons.get(second), busy);
  const auto unknown = replay.reason(9, reasons);
  EXPECT_EQ(unknown, replay.reason(0, reasons));
  EXPECT_EQ(reasons.get(unknown), Reason{});
  EXPECT_EQ(reasons.size(), 2u);
  replay.forget_reasons(reasons);
  for (const auto reference : {unknown, unknown, second}) reasons.drop(reference);
  EXPECT_EQ(reasons.size(), 1u);
  EXPECT_EQ(reasons.get(third), busy);
  reasons.drop(third);
  EXPECT_EQ(reasons.size(), 0u);
}

TEST(Replay, KnowsWhatStoresAreYetToForget) {
  constexpr std::uint64_t kOurs = 7, kOther = 8;
  Replay replay;
  replay.apply(entry::spool(kOurs));
  for (std::uint64_t n = 0; n < 4; ++n) replay.apply(entry::gone(id(n)));
  replay.apply(entry::deferred(id(4), deferral(1, 1)));
  replay.apply(entry::owed(kOther, {id(0), id(9)}));
  replay.apply(entry::owed(kOurs, {id(7)}));  // of before the checkpoint
  replay.apply(entry::told(kOurs, {id(1), id(3)}));
  replay.apply(entry::told(kOther, {id(9)}));
  EXPECT_EQ(replay.spool(), kOurs);
  EXPECT_THAT(replay.owed(), UnorderedElementsAre(StoreKey{kOurs, id(0)}, StoreKey{kOurs, id(2)},
                                                  StoreKey{kOurs, id(7)}, StoreKey{kOther, id(0)}));
  EXPECT_TRUE(replay.find(id(1)).gone) << "all the same";
  EXPECT_EQ(replay.messages(), 1u);
  EXPECT_EQ(replay.skipped(), 0u);
}

TEST(Replay, OfSpoolsThatWereNeverInAStoreNothingIsOwed) {
  Replay replay;
  replay.apply(entry::gone(id(1)));
  EXPECT_EQ(replay.spool(), 0u);
  EXPECT_THAT(replay.owed(), IsEmpty());
  EXPECT_EQ(replay.restore(), RestoreOrder{});
  replay.apply(entry::restore({"second", 7, true}));
  EXPECT_EQ(replay.restore(), (RestoreOrder{"second", 7, true}));
  replay.apply(entry::restore({}));
  EXPECT_EQ(replay.restore(), RestoreOrder{});
}

}  // namespace
}  // namespace mansio::queue
