// Compaction: what waits in a segment that is mostly done with moves to a cold one, and nothing is lost, doubled or
// brought back by that, whatever fails on the way.
#include <algorithm>

#include "kernel/spool/commits.hpp"
#include "kernel/spool/inspect.hpp"
#include "kernel/spool/segment.hpp"
#include "tests/unit/spool/spool_rig.hpp"

namespace mansio::spool {
namespace {

using test::FaultFiles;
using test::Op;

// A small queue process's index: where each message is looked for.
class Places final : public Mover {
 public:
  explicit Places(Rig &rig) : rig_(rig) {}
  bool may_move(MessageId id, const Place &commit) override {
    const auto at = where.find(id);
    return at != where.end() && at->second.commit.offset == commit.offset &&
           at->second.commit.segment == commit.segment && !busy.contains(id);
  }
  void moved(const Committed &copy, const Place &from) override {
    if (before_move) before_move();
    ASSERT_TRUE(rig_.store->admit(copy));
    ++moves;
    const auto at = where.find(copy.id);
    if (at == where.end()) return rig_.store->retire(copy.commit, 0);
    at->second = copy;
    rig_.store->retire(from, rig_.store->journal("moved " + to_string(copy.id)));
  }
  void damaged(MessageId id, const Place &) override { broken.insert(id); }

  std::map<MessageId, Committed> where;
  std::set<MessageId> busy, broken;
  std::function<void()> before_move;
  int moves = 0;

 private:
  Rig &rig_;
};

std::string body(std::size_t i) {
  return "message " + std::to_string(i) + std::string(3000, static_cast<char>('a' + i % 26));
}
std::string whole(std::size_t i) { return "Received: x\r\n" + body(i); }

class SpoolCompaction : public ::testing::Test {
 protected:
  static StoreOptions options() {
    auto o = Rig::small();
    o.compact_after = 0;
    return o;
  }
  void begin(StoreOptions o = options()) {
    rig.reset();
    places.reset();
    rig = std::make_unique<Rig>(disk, o);
    ASSERT_FALSE(rig->error) << rig->error->text;
    places = std::make_unique<Places>(*rig);
    WriterOptions w;
    w.large_body = 40'000;
    rig->open_writer(w);
  }
  void send(std::size_t i, std::string bytes = {}) {
    if (sent.size() <= i) sent.resize(i + 1);
    auto r = rig->wait(rig->send(bytes.empty() ? body(i) : bytes));
    ASSERT_TRUE(r.ok()) << r.error().text;
    ASSERT_TRUE(rig->store->admit(*r));
    sent[i] = *r;
    places->where[r->id] = *r;
  }
  void done(std::size_t i) {
    const auto at = places->where.find(sent[i].id);
    ASSERT_NE(at, places->where.end());
    rig->done(at->second);
    places->where.erase(at);
  }
  // Three segments and a little, of whose messages every tenth waits.
  void sparse() {
    for (std::size_t i = 0; i < 60; ++i) send(i);
    for (std::size_t i = 0; i < 60; ++i)
      if (i % 10 != 0) done(i);
    ASSERT_TRUE(rig->finish_journal());
  }
  bool emptied(std::uint32_t segment) {
    return rig->run_until([&] {
      rig->store->compact(*places);
      rig->loop.poll();
      return moved_all(segment);
    });
  }
  bool moved_all(std::uint32_t segment) {
    return std::none_of(places->where.begin(), places->where.end(),
                        [&](const auto &p) { return p.second.commit.segment == segment; });
  }
  bool recycled(const Place &place) {
    return rig->run_until([&] {
      const auto found = rig->store->open_for_reading(place.segment, place.epoch);
      return !found.ok();
    });
  }
  void expect_all() {
    for (std::size_t i = 0; i < sent.size(); ++i) {
      const auto at = places->where.find(sent[i].id);
      if (at == places->where.end()) continue;
      EXPECT_EQ(rig->body_of(at->second), whole(i)) << i;
    }
  }

  FaultFiles disk;  // outlives what uses it
  std::unique_ptr<Places> places;
  std::unique_ptr<Rig> rig;
  std::vector<Committed> sent;
};

TEST_F(SpoolCompaction, WhatWaitsIsMovedUnderItsIdAndTheSegmentIsUsedAgain) {
  begin();
  sparse();
  ASSERT_TRUE(emptied(sent[0].commit.segment));
  EXPECT_TRUE(recycled(sent[0].commit));
  EXPECT_NE(places->where.at(sent[0].id).commit.segment, sent[0].commit.segment);
  expect_all();
  EXPECT_TRUE(rig->sink.said("segment compacted"));
  EXPECT_GT(rig->store->usage().compacted_messages, 0u);
  ASSERT_TRUE(rig->finish_journal());
  // Of the copies not one octet waits for a sync.
  const auto after = disk.power_cut(0);
  std::string problems;
  const auto checked = inspect_spool(*after, "/spool", [&](const std::string &text) { problems += text + "\n"; });
  ASSERT_TRUE(checked.ok());
  EXPECT_EQ(checked->problems, 0u) << problems;
  Rig again{*after};
  std::map<MessageId, std::string> found;
  for (const auto &f : again.found) found[f.message.id] = again.body_of(f.message);
  for (const auto &[id, at] : places->where) EXPECT_EQ(found[id], rig->body_of(at)) << to_string(id);
}

TEST_F(SpoolCompaction, MoreThanAQuarterAliveOrSparseForAMomentOnlyIsLeftAlone) {
  auto o = options();
  o.compact_after = 3600 * kSecond;
  begin(o);
  sparse();
  for (int i = 0; i < 5; ++i) {
    rig->store->compact(*places);
    ASSERT_TRUE(rig->finish_journal());
  }
  EXPECT_EQ(places->moves, 0);
  begin();
  sent.clear();
  for (std::size_t i = 0; i < 60; ++i) send(i);
  for (std::size_t i = 0; i < 60; ++i)
    if (i % 3 != 0) done(i);
  ASSERT_TRUE(rig->finish_journal());
  for (int i = 0; i < 5; ++i) {
    rig->store->compact(*places);
    ASSERT_TRUE(rig->finish_journal());
  }
  EXPECT_EQ(places->moves, 0);
}

// It would only change places with the cold one.
TEST_F(SpoolCompaction, OneSparseSegmentAloneIsNotWorthACold) {
  begin();
  for (std::size_t i = 0; i < 24; ++i) send(i);
  ASSERT_NE(sent[0].commit.segment, sent[23].commit.segment);
  for (std::size_t i = 1; i < 24; ++i)
    if (sent[i].commit.segment == sent[0].commit.segment) done(i);
  ASSERT_TRUE(rig->finish_journal());
  for (int i = 0; i < 5; ++i) {
    rig->store->compact(*places);
    ASSERT_TRUE(rig->finish_journal());
  }
  EXPECT_EQ(places->moves, 0);
}

TEST_F(SpoolCompaction, WhatSomebodyIsAtStaysAndIsMovedLater) {
  begin();
  sparse();
  places->busy.insert(sent[0].id);
  ASSERT_TRUE(rig->run_until([&] {
    rig->store->compact(*places);
    rig->loop.poll();
    return places->moves > 0 && rig->sink.said("segment compacted");
  }));
  EXPECT_EQ(places->where.at(sent[0].id).commit, sent[0].commit);
  places->busy.clear();
  EXPECT_TRUE(emptied(sent[0].commit.segment));
  expect_all();
}

TEST_F(SpoolCompaction, WhatIsDoneWhileItIsCopiedDoesNotComeBack) {
  begin();
  sparse();
  places->before_move = [&, once = false]() mutable {
    if (std::exchange(once, true)) return;
    for (std::size_t i = 0; i < 60; i += 10) done(i);
  };
  ASSERT_TRUE(rig->run_until([&] {
    rig->store->compact(*places);
    rig->loop.poll();
    return places->moves > 0;
  }));
  EXPECT_TRUE(places->where.empty());
  ASSERT_TRUE(rig->finish_journal());
  EXPECT_TRUE(recycled(sent[0].commit));
  rig->store->begin_checkpoint();
  rig->store->end_checkpoint();
  ASSERT_TRUE(rig->finish_journal());
  const auto after = disk.power_cut(0);
  Rig again{*after};
  EXPECT_TRUE(again.found.empty());
}

// It would drop the word that a message is done and could not name the copy, which then would come back.
TEST_F(SpoolCompaction, NoCheckpointBeginsBeforeTheCopiesAreKnown) {
  auto o = options();
  o.journal_rotate_bytes = 2'000'000;
  begin(o);
  sparse();
  ASSERT_FALSE(rig->store->wants_checkpoint());
  bool asked = false;
  places->before_move = [&] {
    if (std::exchange(asked, true)) return;
    rig->store->journal(std::string(3'000'000, 'x'));
    EXPECT_FALSE(rig->store->wants_checkpoint());
  };
  ASSERT_TRUE(rig->run_until([&] {
    if (!asked) rig->store->compact(*places);
    rig->loop.poll();
    return asked && rig->store->wants_checkpoint();
  }));
  // Nor does the next portion begin before the checkpoint.
  const auto moves = places->moves;
  for (int i = 0; i < 5; ++i) {
    rig->store->compact(*places);
    ASSERT_TRUE(rig->finish_journal());
  }
  EXPECT_EQ(places->moves, moves);
  rig->store->begin_checkpoint();
  rig->store->end_checkpoint();
  EXPECT_TRUE(emptied(sent[20].commit.segment));
  expect_all();
}

TEST_F(SpoolCompaction, LargeBodyStaysWhereItIsAndItsSegmentIsKeptForTheCopy) {
  begin();
  const std::string bytes(100'000, 'L');
  send(0, bytes);
  const auto large = sent[0].body;
  ASSERT_NE(large.segment, sent[0].commit.segment);
  for (std::size_t i = 1; i < 60; ++i) send(i);
  for (std::size_t i = 1; i < 60; ++i)
    if (i % 10 != 0) done(i);
  ASSERT_TRUE(rig->finish_journal());
  ASSERT_TRUE(emptied(sent[0].commit.segment));
  ASSERT_TRUE(recycled(sent[0].commit));
  const auto &copy = places->where.at(sent[0].id);
  EXPECT_EQ(copy.body, large);
  EXPECT_EQ(rig->body_of(copy), "Received: x\r\n" + bytes);
  {
    const auto after = disk.power_cut(0);
    Rig again{*after};
    const auto found = std::find_if(again.found.begin(), again.found.end(),
                                    [&](const Found &f) { return f.message.id == sent[0].id; });
    ASSERT_NE(found, again.found.end());
    EXPECT_EQ(again.body_of(found->message), "Received: x\r\n" + bytes);
  }
  done(0);
  EXPECT_TRUE(recycled(large));
}

TEST_F(SpoolCompaction, DamagedMessageIsSetAsideWithItsBytesAndTheRestIsMoved) {
  begin();
  sparse();
  disk.flip(segment_file(sent[0].body.segment), sent[0].body.offset + 40);
  ASSERT_TRUE(rig->run_until([&] {
    rig->store->compact(*places);
    rig->loop.poll();
    return places->broken.contains(sent[0].id) && moved_all(sent[20].commit.segment);
  }));
  EXPECT_EQ(places->broken.size(), 1u);
  const auto kept = disk.content("/spool/corrupt/message-" + to_string(sent[0].id));
  EXPECT_NE(kept.find("message 0aaa"), std::string::npos);
  ASSERT_EQ(sent[10].commit.segment, sent[0].commit.segment);
  EXPECT_NE(places->where.at(sent[10].id).commit.segment, sent[0].commit.segment);
  places->where.erase(sent[0].id);
  expect_all();
}

// The copies may be on the disk or not; the messages are where they were, and the next attempt goes elsewhere.
TEST_F(SpoolCompaction, FailedSyncLeavesTheMessagesWhereTheyWere) {
  begin();
  sparse();
  bool failed = false;
  // The first sync of a segment from now on is that of the cold one's header, the second its first portion's.
  disk.fail(Op::Sync, "segments/", 2, Status::Internal);
  ASSERT_TRUE(rig->run_until([&] {
    rig->store->compact(*places);
    rig->loop.poll();
    failed = rig->sink.said("compaction failed") || rig->sink.said("no new spool segment") ||
             rig->sink.said("spool segment unusable");
    return failed || places->moves > 0;
  }));
  disk.heal();
  expect_all();
  EXPECT_TRUE(emptied(sent[0].commit.segment));
  expect_all();
  EXPECT_TRUE(recycled(sent[0].commit));
  ASSERT_TRUE(rig->finish_journal());
  const auto after = disk.power_cut(0);
  Rig again{*after};
  std::set<MessageId> there;
  for (const auto &f : again.found) there.insert(f.message.id);
  for (const auto &[id, at] : places->where) EXPECT_TRUE(there.contains(id));
}

TEST_F(SpoolCompaction, FullDiskDrainsButTheJournalKeepsItsRoom) {
  auto o = options();
  o.segment_size = 1 << 20;
  o.reserve_bytes = 4 << 20;
  o.journal_rotate_bytes = 64 << 20;  // nobody writes checkpoints here
  begin(o);
  for (std::size_t i = 0; i < 900; ++i) send(i);
  for (std::size_t i = 0; i < 900; ++i)
    if (i % 100 != 0) done(i);
  ASSERT_TRUE(rig->finish_journal());
  disk.set_free((2 << 20) + (1 << 20) - 1);  // what it leaves, and all but an octet of a segment
  ASSERT_TRUE(rig->run_until([&] { return rig->store->disk_full() && rig->store->usage().free_segments == 0; }));
  for (int i = 0; i < 5; ++i) {
    rig->store->compact(*places);
    ASSERT_TRUE(rig->finish_journal());
  }
  EXPECT_EQ(places->moves, 0);
  disk.set_free((2 << 20) + (1 << 20));
  ASSERT_TRUE(rig->run_until([&] {
    rig->store->compact(*places);
    rig->loop.poll();
    return places->moves > 0;
  }));
  EXPECT_TRUE(rig->store->disk_full());
}

// Another program fills the disk to the last octet.
class SpoolCompactionOnAFullDisk : public SpoolCompaction {
 protected:
  ~SpoolCompactionOnAFullDisk() override { rig.reset(); }

  static constexpr auto kColdFile = "/spool/segments/cold";
  static constexpr std::uint64_t kColdSize = 16 * 1024;  // a header and three messages

  static StoreOptions with_cold_file() {
    auto o = options();
    o.spare_segments = o.free_segments = 0;
    o.reserve_bytes = 512 * 1024;
    o.journal_rotate_bytes = 64 << 20;  // nobody writes checkpoints here
    o.cold_reserve = kColdSize;
    return o;
  }
  static bool kept(const FaultFiles &on, std::uint64_t size = kColdSize) {
    return !on.paths(kColdFile).empty() && on.size(kColdFile) == size;
  }
  // Some segments, in each of which one message waits, or two.
  void fill(StoreOptions o = with_cold_file()) {
    begin(o);
    if (o.cold_reserve > 0) {
      ASSERT_TRUE(rig->run_until([&] { return kept(disk); }));
    }
    for (std::size_t i = 0; i < 200; ++i) send(i);
    for (std::size_t i = 0; i < 200; ++i)
      if (i % 10 != 0) done(i);
    ASSERT_TRUE(rig->finish_journal());
    no_room();
  }
  void no_room() {
    disk.limit(disk.used());
    bool refused = false;
    rig->store->grant("test.1", 0, GrantFor::NewMail, [&](const Result<SegmentGrant> &given) { refused = !given; });
    ASSERT_TRUE(rig->run_until([&] { return refused; }));
    ASSERT_TRUE(rig->store->disk_full());
    ASSERT_EQ(rig->store->usage().free_segments, 0u);
    ASSERT_EQ(disk.space("/spool")->free, 0u);
  }
  // Mail for which there is no room is refused. What finds some in the segment that is open waits too.
  void refused() {
    for (int i = 0; i < 40; ++i) {
      auto r = rig->wait(rig->send("x"));
      if (!r) {
        EXPECT_EQ(to_string(r.error().enhanced), "4.3.1");
        return;
      }
      ASSERT_TRUE(rig->store->admit(*r));
    }
    FAIL() << "the disk is not full";
  }
  // Until there is room for new mail and more, or the power is off.
  bool compacted() {
    const auto o = with_cold_file();
    return rig->run_until([&] {
      rig->store->compact(*places);
      rig->loop.poll();
      return disk.dead() || rig->store->usage().disk_free >= o.reserve_bytes + 2 * o.segment_size;
    });
  }
  static std::uint64_t problems(FaultFiles &on) {
    const auto checked = inspect_spool(on, "/spool", [](const std::string &text) { ADD_FAILURE() << text; });
    return checked ? checked->problems : 1;
  }

  std::unique_ptr<FaultFiles> later;  // what a power cut left of the disk
};

TEST_F(SpoolCompactionOnAFullDisk, WhatIsPutAsideEmptiesSegmentsAndMailIsAcceptedAgain) {
  fill();
  refused();
  ASSERT_TRUE(compacted());
  const auto taken = std::count_if(rig->sink.lines.begin(), rig->sink.lines.end(), [](const std::string &line) {
    return line.find("compaction takes what is put aside for it") != std::string::npos;
  });
  EXPECT_GE(taken, 2);  // another was put aside of what the first gave back
  expect_all();
  EXPECT_TRUE(rig->run_until([&] { return kept(disk); }));
  EXPECT_TRUE(rig->wait(rig->send("y")).ok());
  EXPECT_EQ(problems(disk), 0u);
}

TEST_F(SpoolCompactionOnAFullDisk, NothingMovesWithoutIt) {
  auto o = with_cold_file();
  o.cold_reserve = 0;
  fill(o);
  for (int i = 0; i < 5; ++i) {
    rig->store->compact(*places);
    ASSERT_TRUE(rig->finish_journal());
  }
  EXPECT_EQ(places->moves, 0);
}

// Nor for bounces, which may spend the reserve.
TEST_F(SpoolCompactionOnAFullDisk, ItIsNotForMail) {
  fill();
  refused();
  rig->source.use = GrantFor::Bounces;
  EXPECT_FALSE(rig->wait(rig->send("x")).ok());
  EXPECT_TRUE(kept(disk));
}

// One emptied in part would give nothing back, and there would be no other.
TEST_F(SpoolCompactionOnAFullDisk, ItIsNotSpentOnWhatDoesNotFit) {
  auto o = with_cold_file();
  o.cold_reserve = 8 * 1024;  // a header and a message
  begin(o);
  ASSERT_TRUE(rig->run_until([&] { return kept(disk, 8 * 1024); }));
  for (std::size_t i = 0; i < 200; ++i) send(i);
  for (std::size_t i = 0; i < 200; ++i)
    if (i % 10 > 1) done(i);
  ASSERT_TRUE(rig->finish_journal());
  no_room();
  for (int i = 0; i < 5; ++i) {
    rig->store->compact(*places);
    ASSERT_TRUE(rig->finish_journal());
  }
  EXPECT_EQ(places->moves, 0);
  EXPECT_TRUE(kept(disk, 8 * 1024));
  disk.limit(0);  // it is a matter of room only
  EXPECT_TRUE(rig->run_until([&] {
    rig->store->compact(*places);
    rig->loop.poll();
    return places->moves > 0;
  }));
}

TEST_F(SpoolCompactionOnAFullDisk, HalfMadeFileIsFinishedAndOneOfAnotherSizeIsMended) {
  for (const auto found : {std::uint64_t{0}, std::uint64_t{5000}, kColdSize * 2}) {
    FaultFiles other;
    ASSERT_TRUE((*other.open(kColdFile, io::OpenMode::Create))->zero_fill(0, found).ok());
    Rig one{other, with_cold_file()};
    ASSERT_FALSE(one.error);
    EXPECT_TRUE(one.run_until([&] { return kept(other) && other.count(Op::Sync, kColdFile) > 0; }));
    EXPECT_EQ(problems(other), 0u);
  }
}

TEST_F(SpoolCompactionOnAFullDisk, WithoutRoomForAllOfItNoneOfItIsKept) {
  disk.most("/segments/cold", kColdSize - 1);
  begin(with_cold_file());
  EXPECT_TRUE(rig->run_until([&] { return disk.count(Op::Remove, kColdFile) > 0; }));
  disk.most("/segments/cold", 0);
  EXPECT_TRUE(rig->run_until([&] { return kept(disk); }));
}

TEST_F(SpoolCompactionOnAFullDisk, StartOnAFullDiskTakesWhatAnEarlierLifePutAside) {
  auto o = with_cold_file();
  o.journal_reserve = 32 * 1024;  // a start writes a new file of it
  begin(o);
  ASSERT_TRUE(rig->run_until([&] { return disk.count(Op::Sync, "/spool/reserve") > 0; }));
  fill(o);
  later = disk.power_cut(0);
  auto waiting = places->where;
  rig = std::make_unique<Rig>(*later, o);
  ASSERT_FALSE(rig->error) << rig->error->text;
  places = std::make_unique<Places>(*rig);
  for (const auto &f : rig->found) {
    ASSERT_TRUE(rig->store->admit(f.message));
    if (waiting.contains(f.message.id))
      places->where[f.message.id] = f.message;
    else
      rig->store->retire(f.message.commit, 0);
  }
  EXPECT_EQ(places->where.size(), waiting.size());
  ASSERT_TRUE(rig->run_until([&] {
    rig->store->compact(*places);
    rig->loop.poll();
    return places->moves > 7;  // more than it takes in
  }));
  EXPECT_TRUE(rig->sink.said("compaction takes what is put aside for it"));
  expect_all();
}

class SpoolCompactionCut : public SpoolCompactionOnAFullDisk, public ::testing::WithParamInterface<std::uint64_t> {};

// Each message is there, nothing is taken for damage, and what is put aside is made anew.
TEST_P(SpoolCompactionCut, AtAnyCallLosesNothing) {
  fill();
  disk.cut_after(GetParam());
  ASSERT_TRUE(compacted());
  for (std::uint64_t luck = 0; luck < 6; ++luck) {
    const auto after = disk.power_cut(luck);
    EXPECT_EQ(problems(*after), 0u);
    after->limit(after->used() + 128 * 1024);  // less than the reserve
    Rig again{*after, with_cold_file()};
    ASSERT_FALSE(again.error) << again.error->text;
    std::map<MessageId, std::string> found;
    for (const auto &f : again.found) found[f.message.id] = again.body_of(f.message);
    for (std::size_t i = 0; i < sent.size(); ++i) {
      if (!places->where.contains(sent[i].id)) continue;
      EXPECT_EQ(found[sent[i].id], whole(i)) << i;
    }
    EXPECT_TRUE(again.run_until([&] { return kept(*after); }));
    EXPECT_FALSE(again.sink.said("set aside"));
  }
}

INSTANTIATE_TEST_SUITE_P(Calls, SpoolCompactionCut, ::testing::Range(std::uint64_t{1}, std::uint64_t{21}));

TEST(SpoolCommits, CountBytesOfLiveOnesInWhateverOrderTheyBecomeKnown) {
  Commits c;
  c.set(800, CommitState::Live);
  EXPECT_EQ(c.live_bytes(), 800u);
  c.set(400, CommitState::Seen);
  EXPECT_EQ(c.live_bytes(), 400u);
  c.set(400, CommitState::Live);
  EXPECT_EQ(c.live_bytes(), 800u);
  c.set(1600, CommitState::Retired);
  c.set(1200, CommitState::Live);
  EXPECT_EQ(c.live_bytes(), 1200u);
  EXPECT_EQ(c.live_after(0, 2), (std::vector<std::uint64_t>{400, 800}));
  EXPECT_EQ(c.live_after(800, 9), (std::vector<std::uint64_t>{1200}));
  c.set(800, CommitState::Retiring);
  EXPECT_EQ(c.live_bytes(), 800u);
  EXPECT_EQ(c.live_after(400, 9), (std::vector<std::uint64_t>{1200}));
}

}  // namespace
}  // namespace mansio::spool
