// A message that compaction moves is the same message; and of two places found after a crash one stays, the right one.
#include "tests/unit/queue/bench.hpp"

namespace mansio::queue {
namespace {

using wire::DeliveryStatus;

class Compaction : public Bench {
 protected:
  static constexpr std::uint32_t kCold = 9, kColdEpoch = 50;  // older than kEpoch: kept open for long

  // What the store's thread has written.
  spool::Committed copy_of(const spool::Committed &at, std::uint32_t moves = 1, std::uint64_t further = 0) {
    auto copy = at;
    const auto offset = at.body.offset + further;
    copy.body = {kCold, kColdEpoch, offset, at.body.length};
    copy.envelope = {kCold, kColdEpoch, offset + 1000, at.envelope.length};
    copy.commit = {kCold, kColdEpoch, offset + 1104, at.commit.length};
    disk_.commits.emplace_back(copy, disk_.commits.at(at.id.sequence() - 1).second);
    disk_.copied[FakeStore::place_of(copy.commit)] = moves;
    return copy;
  }
  spool::Committed place(MessageId id) { return disk_.commits.at(id.sequence() - 1).first; }
  bool retired(const spool::Committed &at) { return store_->retired_places.contains(FakeStore::place_of(at.commit)); }
  bool lies(const spool::Committed &at) {
    const auto slot = core_->index().find(at.id);
    return slot != kNone && core_->index().lies_at(slot, at.commit);
  }
  spool::Mover &mover() {
    advance(2 * kSecond);
    return *store_->mover;
  }
  MessageId deferred() {
    const auto id = mail_to({"a@example.com"});
    report(leases().at(0), DeliveryStatus::Deferred);
    return id;
  }
};

TEST_F(Compaction, MovedMessageIsReadWhereItLiesNow) {
  begin();
  const auto id = deferred();
  const auto from = place(id);
  ASSERT_TRUE(mover().may_move(id, from.commit));
  const auto copy = copy_of(from);
  mover().moved(copy, from.commit);
  EXPECT_TRUE(lies(copy));
  EXPECT_TRUE(retired(from));
  EXPECT_FALSE(mover().may_move(id, from.commit));
  advance(400 * kSecond);
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  ASSERT_EQ(l[0].slices.size(), 1u);
  EXPECT_EQ(l[0].slices[0], copy.body);
  report(l[0], DeliveryStatus::Sent);
  EXPECT_FALSE(known(id));
  EXPECT_TRUE(retired(copy));
}

TEST_F(Compaction, DeliveryUnderWayKeepsWhatItReads) {
  begin();
  const auto id = mail_to({"a@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  const auto from = place(id);
  EXPECT_FALSE(mover().may_move(id, from.commit));
  const auto copy = copy_of(from);
  mover().moved(copy, from.commit);  // leased while it was copied
  const auto pinned = [&](const spool::Place &p) { return store_->pins[{p.segment, p.epoch}]; };
  const auto others = pinned(from.body);
  EXPECT_EQ(pinned(copy.body), 0);
  report(l[0], DeliveryStatus::Deferred);
  EXPECT_EQ(pinned(from.body), others - 1);
  EXPECT_EQ(pinned(copy.body), 0);
  EXPECT_EQ(store_->bad_unpins, 0);
}

TEST_F(Compaction, CopyOfWhatIsDoneMeanwhileIsGivenUp) {
  begin();
  const auto id = mail_to({"a@example.com"});
  const auto from = place(id);
  report(leases().at(0), DeliveryStatus::Sent);
  const auto copy = copy_of(from);
  mover().moved(copy, from.commit);
  EXPECT_FALSE(known(id));
  EXPECT_TRUE(retired(copy));
}

TEST_F(Compaction, OfTwoPlacesFoundTheOneCopiedLessOftenStays) {
  begin();
  const auto id = deferred();
  const auto from = place(id);
  const auto copy = copy_of(from);
  store_->sync();
  begin();
  EXPECT_EQ(core_->index().size(), 1u);
  EXPECT_TRUE(lies(from));
  EXPECT_TRUE(retired(copy));
  EXPECT_FALSE(retired(from));
}

TEST_F(Compaction, OfTwoPlacesFoundTheOneTheJournalNamesStays) {
  begin();
  const auto id = deferred();
  const auto from = place(id);
  const auto failed = copy_of(from), good = copy_of(from, 1, 1 << 20);
  mover().moved(good, from.commit);
  store_->sync();
  begin();
  EXPECT_EQ(core_->index().size(), 1u);
  EXPECT_TRUE(lies(good));
  EXPECT_TRUE(retired(failed));
  EXPECT_TRUE(retired(from));
  EXPECT_TRUE(leases().empty());  // its backoff holds
}

TEST_F(Compaction, FinishedMessageComesBackFromNeitherPlace) {
  begin();
  const auto id = deferred();
  const auto from = place(id);
  const auto copy = copy_of(from);
  mover().moved(copy, from.commit);
  advance(400 * kSecond);
  report(leases().at(0), DeliveryStatus::Sent);
  store_->sync();
  begin();
  EXPECT_EQ(core_->index().size(), 0u);
  EXPECT_TRUE(retired(from));
  EXPECT_TRUE(retired(copy));
}

// Its copy lies in a newer segment than the message, but in none that this life has granted.
TEST_F(Compaction, MovedMessageThatMayHaveBeenUnderWayIsFlagged) {
  begin();
  const auto id = deferred();
  const auto from = place(id);
  mover().moved(copy_of(from), from.commit);
  advance(400 * kSecond);
  ASSERT_EQ(leases().size(), 1u);
  begin();
  advance(kSecond);
  const auto again = leases();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].id, id);
  EXPECT_TRUE(again[0].possible_duplicate);
}

TEST_F(Compaction, WriterThatSpeaksOfTheOldPlaceOnlyNowNeitherDoublesTheMessageNorTakesItForNew) {
  begin();
  const auto e = envelope({"a@example.com"});
  const auto from = commit(e);  // found by the next start, which its writer has not told of it
  begin();
  advance(kSecond);
  report(leases().at(0), DeliveryStatus::Deferred);
  const auto copy = copy_of(from);
  mover().moved(copy, from.commit);
  advance(400 * kSecond);
  ASSERT_EQ(leases().size(), 1u);
  slow_finding_ = true;
  start();
  ingress_ = attach(wire::RoleKind::Ingress, "ingress.0", 100);
  say(ingress_, wire::Notice{1, from.id, from.commit, from.envelope, from.body, encode_envelope(e)});
  store_->finding();
  EXPECT_EQ(core_->index().size(), 1u);
  EXPECT_TRUE(lies(copy));
  EXPECT_TRUE(core_->index().message(core_->index().find(from.id)).possible_duplicate);
}

TEST_F(Compaction, DamagedMessageIsSetAside) {
  begin();
  const auto id = deferred();
  mover().damaged(id, place(id).commit);
  EXPECT_EQ(core_->index().count(QueueName::Corrupt), 1u);
  advance(4000 * kSecond);
  EXPECT_TRUE(leases().empty());
}

}  // namespace
}  // namespace mansio::queue
