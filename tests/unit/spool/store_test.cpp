// The queue's side of the spool: locking, space, damaged files, and when a segment may be used again.
#include <algorithm>

#include "kernel/base/codec.hpp"
#include "kernel/spool/inspect.hpp"
#include "kernel/spool/journal.hpp"
#include "kernel/spool/scan.hpp"
#include "kernel/spool/segment.hpp"
#include "tests/unit/spool/spool_rig.hpp"

namespace mansio::spool {
namespace {

using test::FaultFiles;
using test::Op;

TEST(SpoolStore, SecondProcessIsRefusedAndToldWhoHoldsTheSpool) {
  FaultFiles disk;
  Rig rig{disk};
  Rig second{disk};
  ASSERT_TRUE(second.error);
  EXPECT_NE(second.error->text.find("pid "), std::string::npos) << second.error->text;
}

TEST(SpoolStore, OrderlyStopIsReportedAsSuch) {
  FaultFiles disk;
  {
    Rig rig{disk};
    rig.store->mark_active(true);
    ASSERT_TRUE(rig.store->close_clean().ok());
  }
  {
    const auto after = disk.power_cut(1);
    Rig rig{*after};
    EXPECT_TRUE(rig.recovered.clean_stop);
    EXPECT_FALSE(rig.store->was_active());
    EXPECT_FALSE(rig.store->damaged());
  }
}

TEST(SpoolStore, StopWithDeliveriesUnderWayIsRemembered) {
  FaultFiles disk;
  {
    Rig rig{disk};
    rig.store->mark_active(true);
    ASSERT_TRUE(rig.finish_journal());
  }
  const auto after = disk.power_cut(0);
  Rig rig{*after};
  EXPECT_FALSE(rig.recovered.clean_stop);
  EXPECT_TRUE(rig.store->was_active());
}

TEST(SpoolStore, DiskReserveRefusesNewSegmentsUntilThereIsSpaceAgain) {
  FaultFiles disk;
  Rig rig{disk};
  rig.open_writer();
  disk.set_free(1000);
  auto refused = rig.wait(rig.send("x"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().status, Status::Busy);
  EXPECT_EQ(to_string(refused.error().enhanced), "4.3.1");
  EXPECT_TRUE(rig.store->disk_full());
  disk.set_free(1ull << 40);
  EXPECT_TRUE(rig.wait(rig.send("y")).ok());
  EXPECT_FALSE(rig.store->disk_full());
}

TEST(SpoolStore, SegmentThatWouldTakeFromTheReserveIsNotMadeForNewMail) {
  FaultFiles disk;
  auto options = Rig::small();
  options.spare_segments = 0;
  Rig rig{disk, options};
  rig.open_writer();
  disk.set_free(options.reserve_bytes + options.segment_size - 1);
  auto refused = rig.wait(rig.send("x"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().status, Status::Busy);
  EXPECT_EQ(to_string(refused.error().enhanced), "4.3.1");
  disk.set_free(options.reserve_bytes + options.segment_size);
  EXPECT_TRUE(rig.wait(rig.send("y")).ok());
}

// Otherwise an empty queue on a small disk would refuse mail for ever.
TEST(SpoolStore, BelowTheReserveWhatWasKeptForUseAgainIsGivenBack) {
  FaultFiles disk;
  Rig rig{disk};
  ASSERT_TRUE(rig.run_until([&] { return rig.store->usage().free_segments > 0; }));
  rig.open_writer();
  auto r = rig.wait(rig.send("hello"));
  ASSERT_TRUE(r.ok());
  rig.store->admit(*r);
  disk.set_free(1000);
  ASSERT_TRUE(rig.run_until([&] { return rig.store->disk_full() && rig.store->usage().free_segments == 0; }));
  rig.done(*r);
  rig.writer->close();
  EXPECT_TRUE(rig.run_until([&] { return disk.paths("/spool/segments/").empty(); }));
}

TEST(SpoolStore, BouncesSpendTheReserveWhichNewMailMayNot) {
  FaultFiles disk;
  Rig rig{disk};
  ASSERT_TRUE(rig.run_until([&] { return rig.store->usage().free_segments > 0; }));
  disk.set_free(1000);
  const auto ask = [&](GrantFor use) {
    rig.source.use = use;
    return rig.wait(rig.source.next(0));
  };
  EXPECT_FALSE(ask(GrantFor::NewMail).ok());  // though one is prepared
  EXPECT_TRUE(ask(GrantFor::Bounces).ok());
  ASSERT_EQ(rig.store->usage().free_segments, 0u);
  EXPECT_TRUE(ask(GrantFor::Bounces).ok());  // made from the reserve
  EXPECT_FALSE(ask(GrantFor::NewMail).ok());
  EXPECT_TRUE(rig.store->disk_full());
  rig.open_writer();
  rig.source.use = GrantFor::Bounces;
  EXPECT_TRUE(rig.wait(rig.send("a bounce")).ok());
}

TEST(SpoolStore, FlippedBitSetsOneMessageAsideAndServesTheRest) {
  FaultFiles disk;
  std::vector<Committed> sent;
  {
    Rig rig{disk};
    rig.open_writer();
    for (const auto *body : {"first message", "second message", "third message"}) {
      auto r = rig.wait(rig.send(body));
      ASSERT_TRUE(r.ok());
      sent.push_back(*r);
    }
  }
  auto after = disk.power_cut(0);
  after->flip(segment_file(sent[1].body.segment), sent[1].body.offset + 15);
  std::uint64_t problems = 0;
  const auto checked = inspect_spool(*after, "/spool", [&](const std::string &) { ++problems; });
  ASSERT_TRUE(checked.ok());
  EXPECT_GT(checked->problems, 0u);
  EXPECT_EQ(checked->problems, problems);
  EXPECT_EQ(checked->messages, 2u);

  Rig rig{*after};
  ASSERT_FALSE(rig.error);
  EXPECT_EQ(rig.found.size(), 2u);
  EXPECT_GT(rig.recovered.corrupt_records, 0u);
  std::string kept;
  for (const auto &path : after->paths("/spool/corrupt/")) kept += after->content(path);
  EXPECT_NE(kept.find("ond message"), std::string::npos);
  EXPECT_TRUE(rig.store->damaged());
}

// Whichever of its records is damaged: the body lies in a segment of its own, and must not go with it.
TEST(SpoolStore, ADamagedEnvelopeOrCommitDoesNotCostALargeBody) {
  for (const bool commit : {false, true}) {
    SCOPED_TRACE(commit ? "commit" : "envelope");
    FaultFiles disk;
    std::optional<Committed> sent;
    {
      Rig rig{disk};
      WriterOptions o;
      o.large_body = 1000;
      rig.open_writer(o);
      const auto r = rig.wait(rig.send(std::string(5000, 'L') + "the end"));
      ASSERT_TRUE(r.ok());
      ASSERT_NE(r->body.segment, r->commit.segment);
      sent = *r;
      ASSERT_TRUE(rig.wait(rig.send("which vouches for it")).ok());
    }
    auto after = disk.power_cut(0);
    const auto &place = commit ? sent->commit : sent->envelope;
    after->flip(segment_file(place.segment), place.offset + 3);
    Rig rig{*after};
    ASSERT_FALSE(rig.error) << rig.error->text;
    EXPECT_EQ(rig.found.size(), 1u);
    EXPECT_TRUE(rig.run_until([&] { return after->paths(segment_file(sent->body.segment)).empty(); }));
    std::string kept;
    const auto cut = after->power_cut(0);
    for (const auto &path : cut->paths("/spool/corrupt/")) kept += cut->content(path);
    EXPECT_NE(kept.find("the end"), std::string::npos);
  }
}

TEST(SpoolStore, AnEpochIsNotGivenAgainWhenTheNewerSlotOfTheCounterIsDamaged) {
  for (const bool unreadable : {false, true}) {
    for (const std::uint64_t slots : {2, 3}) {
      SCOPED_TRACE(slots);
      FaultFiles disk;
      std::uint32_t last = 0;
      const auto next = [](Rig &rig) {
        auto grant = rig.wait(rig.source.next(0));
        const auto epoch = grant ? grant->epoch : 0;
        if (grant) rig.source.sealed(grant->segment, epoch, kFirstRecord);  // its segment is soon free again
        return epoch;
      };
      {
        Rig rig{disk};
        while (disk.count(Op::Write, "/epoch") < slots + 1) ASSERT_GT(last = next(rig), 0u);  // one made room for both
        ASSERT_TRUE(rig.run_until([&] { return rig.store->usage().free_segments == rig.store->usage().segments; }));
      }
      auto after = disk.power_cut(0);
      const auto newer = (slots & 1) * kPage;
      if (unreadable)
        after->spoil("/spool/epoch", newer);
      else
        after->flip("/spool/epoch", newer + 12);
      Rig rig{*after};
      ASSERT_FALSE(rig.error) << rig.error->text;
      EXPECT_GT(next(rig), last);
    }
  }
}

TEST(SpoolStore, AnUnreadableSectorInTheFirstPageCostsNoMail) {
  for (const std::uint64_t sector : {0, 2048, 1024}) {
    FaultFiles disk;
    Committed message;
    {
      Rig rig{disk};
      rig.open_writer();
      auto r = rig.wait(rig.send("hello"));
      ASSERT_TRUE(r.ok());
      message = *r;
      const auto last = rig.store->journal("an outcome");
      ASSERT_TRUE(rig.run_until([&] { return rig.store->synced_sequence() >= last; }));
    }
    auto after = disk.power_cut(0);
    after->spoil(segment_file(message.commit.segment), sector);
    after->spoil("/spool/journal/00000001", sector);
    Rig rig{*after};
    ASSERT_FALSE(rig.error) << rig.error->text;
    EXPECT_EQ(rig.found.size(), 1u);
    EXPECT_EQ(rig.entries.size(), 1u);
    EXPECT_EQ(rig.recovered.corrupt_records, 0u);
  }
}

TEST(SpoolStore, ASegmentThatCouldNotBeReadIsNotUsedAgain) {
  FaultFiles disk;
  std::vector<Committed> sent;
  {
    Rig rig{disk};
    rig.open_writer();
    for (const auto *body : {"first message", "second message", "third message"}) {
      auto r = rig.wait(rig.send(body));
      ASSERT_TRUE(r.ok());
      sent.push_back(*r);
    }
  }
  auto after = disk.power_cut(0);
  after->spoil(segment_file(sent[1].body.segment), sent[1].body.offset);
  {
    Rig rig{*after};
    ASSERT_FALSE(rig.error);
    EXPECT_EQ(rig.found.size(), 2u);
    EXPECT_GT(rig.recovered.corrupt_records, 0u);
    for (const auto &f : rig.found) {
      rig.store->admit(f.message);
      rig.done(f.message);
    }
    ASSERT_TRUE(rig.finish_journal());
    for (int i = 0; i < 20; ++i) rig.poll();
  }
  // The sector was only slow to answer: another start finds the message.
  after->heal();
  Rig rig{*after};
  bool there = false;
  for (const auto &f : rig.found) there |= f.message.id == sent[1].id;
  EXPECT_TRUE(there);
}

TEST(SpoolStore, ASegmentWhoseHeaderCouldNotBeReadIsThereWhenItCan) {
  FaultFiles disk;
  {
    Rig rig{disk};
    rig.open_writer();
    for (const std::size_t size : {std::size_t{20}, std::size_t{200'000}})
      ASSERT_TRUE(rig.wait(rig.send(std::string(size, 'x'))).ok());
  }
  auto after = disk.power_cut(0);
  after->fail(Op::Read, "segments/", 1, Status::Internal, true);
  {
    Rig rig{*after};
    ASSERT_FALSE(rig.error) << rig.error->text;
    EXPECT_TRUE(rig.found.empty());
    EXPECT_GT(rig.recovered.corrupt_records, 0u);
    for (int i = 0; i < 20; ++i) rig.poll();
  }
  after->heal();
  Rig rig{*after};
  EXPECT_EQ(rig.found.size(), 2u);
}

// The header is in the page cache only, as a process leaves it that is killed between write and sync; what was done in
// the segment nobody knows any more.
TEST(SpoolStore, WhatWasFreeButCouldNotBeSyncedBringsNoMailBack) {
  FaultFiles disk;
  std::string path;
  {
    Rig rig{disk};
    rig.open_writer();
    const auto r = rig.wait(rig.send("done"));
    ASSERT_TRUE(r.ok());
    path = segment_file(r->commit.segment);
  }
  {
    std::string page(kPage, '\0');
    auto file = disk.open(path, io::OpenMode::ReadWrite);
    ASSERT_TRUE((*file)->read_at(0, page.data(), page.size()).ok());
    auto header = parse_header(page);
    ASSERT_TRUE(header);
    header->epoch = 0;
    ASSERT_TRUE((*file)->write_at(0, encode_header(*header)).ok());
  }
  disk.fail(Op::Sync, path, 1, Status::Internal);
  {
    Rig rig{disk};
    EXPECT_TRUE(rig.found.empty());
    rig.store->begin_checkpoint();
    rig.store->end_checkpoint();
    ASSERT_TRUE(rig.finish_journal());
  }
  const auto after = disk.power_cut(0);
  Rig rig{*after};
  EXPECT_TRUE(rig.found.empty());
  rig.open_writer();
  ASSERT_TRUE(rig.wait(rig.send("more")).ok());
}

TEST(SpoolStore, ALargeMessageOutlivesThatPartOfItCouldNotBeRead) {
  enum class Part { Header, Body, Commit };
  for (const auto part : {Part::Header, Part::Body, Part::Commit})
    for (const auto durability : {Durability::Power, Durability::Process}) {
      SCOPED_TRACE(static_cast<int>(part));
      FaultFiles disk;
      Committed large;
      {
        Rig rig{disk};
        rig.open_writer();
        auto r = rig.wait(rig.send(std::string(3 << 20, 'x'), durability));
        ASSERT_TRUE(r.ok());
        large = *r;
        ASSERT_NE(large.body.segment, large.commit.segment);
        ASSERT_TRUE(rig.wait(rig.send("which vouches for it")).ok());
      }
      if (part == Part::Header) disk.fail(Op::Read, file_name(large.body.segment), 1, Status::Internal, true);
      if (part == Part::Body) disk.spoil(segment_file(large.body.segment), large.body.offset + (1 << 20));
      if (part == Part::Commit) disk.spoil(segment_file(large.commit.segment), large.commit.offset);
      {
        Rig rig{disk};
        ASSERT_FALSE(rig.error) << rig.error->text;
        EXPECT_EQ(rig.found.size(), 1u);
        for (int i = 0; i < 20; ++i) rig.poll();
      }
      disk.heal();
      Rig rig{disk};
      ASSERT_EQ(rig.found.size(), 2u);
      for (const auto &f : rig.found)
        if (f.message.id == large.id) {
          EXPECT_EQ(rig.body_of(f.message).size(), large.body.length);
        }
    }
}

// It is in corrupt/: no start finds it again as a message whose body is nowhere.
TEST(SpoolStore, ALargeMessageIsSetAsideWithItsBodyAndThatIsTheEndOfIt) {
  FaultFiles disk;
  Committed large;
  {
    Rig rig{disk};
    rig.open_writer();
    const auto r = rig.wait(rig.send(std::string(3 << 20, 'x')));
    ASSERT_TRUE(r.ok());
    large = *r;
    ASSERT_NE(large.body.segment, large.commit.segment);
    ASSERT_TRUE(rig.wait(rig.send("which vouches for it")).ok());
  }
  const auto body = segment_file(large.body.segment);
  auto after = disk.power_cut(0);
  after->wipe(body, large.body.offset + (1 << 20));
  for (const bool checkpoint : {false, true, false}) {
    SCOPED_TRACE(checkpoint);
    Rig rig{*after};
    ASSERT_FALSE(rig.error) << rig.error->text;
    EXPECT_EQ(rig.found.size(), 1u);
    for (const auto &f : rig.found) rig.store->admit(f.message);
    for (int i = 0; i < 20; ++i) rig.poll();
    if (!checkpoint) continue;
    EXPECT_EQ(after->paths(body).size(), 1u);
    rig.store->begin_checkpoint();
    rig.store->end_checkpoint();
    ASSERT_TRUE(rig.finish_journal());
    EXPECT_TRUE(rig.run_until([&] { return after->paths(body).empty(); }));
  }
  EXPECT_TRUE(after->paths(body).empty());
}

// What cannot be read of it may name the place that goes as the one that counts, and the other one as done.
TEST(SpoolStore, NoPlaceGoesByWhatADamagedJournalDoesNotSayBeforeThereIsACheckpoint) {
  for (const bool damaged : {false, true}) {
    SCOPED_TRACE(damaged);
    FaultFiles disk;
    std::optional<Committed> sent;
    {
      Rig rig{disk};
      rig.open_writer();
      const auto r = rig.wait(rig.send("moved here"));
      ASSERT_TRUE(r.ok());
      sent = *r;
      rig.store->journal("an outcome");
      ASSERT_TRUE(rig.finish_journal());
    }
    if (damaged) disk.spoil("/spool/journal/00000001", kFirstRecord);
    Rig rig{disk};
    ASSERT_EQ(rig.found.size(), 1u);
    rig.store->admit(rig.found[0].message);
    rig.store->retire(sent->commit, 0);
    const auto gone = [&] { return !rig.store->holds(sent->commit); };
    if (damaged) {
      for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(rig.finish_journal());
        rig.poll();
      }
      EXPECT_FALSE(gone());
      rig.store->begin_checkpoint();
      rig.store->end_checkpoint();
    }
    EXPECT_TRUE(rig.run_until(gone));
  }
}

TEST(SpoolStore, WhatIsJournaledWhileOlderFilesCannotBeReadIsNotForgotten) {
  FaultFiles disk;
  {
    Rig rig{disk};
    for (int i = 0; i < 50; ++i) rig.store->journal("before");
    ASSERT_TRUE(rig.finish_journal());
  }
  auto after = disk.power_cut(0);
  after->fail(Op::Read, "journal/", 1, Status::Internal, true);
  {
    Rig rig{*after};
    ASSERT_FALSE(rig.error) << rig.error->text;
    rig.store->journal("meanwhile");
    ASSERT_TRUE(rig.finish_journal());
  }
  after->heal();
  Rig rig{*after};
  EXPECT_EQ(std::count(rig.entries.begin(), rig.entries.end(), "meanwhile"), 1);
}

TEST(SpoolStore, ADamagedJournalCountsAsDeliveriesUnderWay) {
  FaultFiles disk;
  {
    Rig rig{disk};
    rig.store->mark_active(true);
    ASSERT_TRUE(rig.finish_journal());
    rig.store->journal("an outcome");
    ASSERT_TRUE(rig.finish_journal());
    rig.store->journal("another");
    ASSERT_TRUE(rig.finish_journal());
  }
  auto after = disk.power_cut(0);
  after->flip("/spool/journal/00000001", kFirstRecord + kRecordHeader);  // the mark
  Rig rig{*after};
  ASSERT_FALSE(rig.error);
  EXPECT_GT(rig.recovered.corrupt_records, 0u);
  EXPECT_TRUE(rig.store->was_active());
  EXPECT_TRUE(rig.store->damaged());
}

TEST(SpoolStore, AnOrderlyStopBeforeWhatIsDamagedSaysNothing) {
  FaultFiles disk;
  {
    Rig rig{disk};
    ASSERT_TRUE(rig.store->close_clean().ok());
  }
  {
    Rig rig{disk};
    ASSERT_TRUE(rig.recovered.clean_stop);
    rig.store->mark_active(true);
    ASSERT_TRUE(rig.finish_journal());
  }
  const auto after = disk.power_cut(0);
  const auto newest = after->paths("/spool/journal/0").back();
  for (const auto copy : {0, 2048}) after->flip(newest, copy);
  Rig rig{*after};
  ASSERT_FALSE(rig.error);
  EXPECT_FALSE(rig.recovered.clean_stop);
  EXPECT_TRUE(rig.store->was_active());
}

TEST(SpoolStore, AnUnreadableLastBatchOfTheJournalCountsAsDeliveriesUnderWay) {
  FaultFiles disk;
  {
    Rig rig{disk};
    rig.store->mark_active(true);
    ASSERT_TRUE(rig.finish_journal());
  }
  const auto after = disk.power_cut(0);
  const auto file = after->paths("/spool/journal/0").back();
  for (std::uint64_t at = kFirstRecord; at < after->size(file); at += 512) after->spoil(file, at);
  Rig rig{*after};
  ASSERT_FALSE(rig.error) << rig.error->text;
  EXPECT_GT(rig.recovered.corrupt_records, 0u);
  EXPECT_TRUE(rig.store->was_active());
}

// Its older files are gone: nothing else would show that there was anything in them.
TEST(SpoolStore, ADamagedCheckpointCountsAsDeliveriesUnderWay) {
  FaultFiles disk;
  {
    Rig rig{disk};
    rig.store->begin_checkpoint();
    rig.store->snapshot("a message");
    rig.store->end_checkpoint();
    ASSERT_TRUE(rig.finish_journal());
    ASSERT_TRUE(rig.run_until([&] { return disk.paths("/spool/journal/0").size() == 1; }));
  }
  const auto files = disk.paths("/spool/journal/0");
  ASSERT_EQ(files.size(), 1u);
  disk.flip(files[0], kFirstRecord + kRecordHeader);
  Rig rig{disk};
  ASSERT_FALSE(rig.error);
  EXPECT_GT(rig.recovered.corrupt_records, 0u);
  EXPECT_TRUE(rig.store->was_active());
}

TEST(SpoolStore, OneDamagedHeaderCopyCostsNothing) {
  FaultFiles disk;
  Committed message;
  {
    Rig rig{disk};
    rig.open_writer();
    auto r = rig.wait(rig.send("hello"));
    ASSERT_TRUE(r.ok());
    message = *r;
  }
  auto after = disk.power_cut(0);
  after->flip(segment_file(message.commit.segment), 20);
  Rig rig{*after};
  EXPECT_EQ(rig.found.size(), 1u);
}

// Both copies of the header are in the page that is lost.
void blank_header(FaultFiles &disk, std::uint32_t segment) {
  auto file = disk.open(segment_file(segment), io::OpenMode::ReadWrite);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->write_at(0, std::string(kPage, '\0')).ok());
  ASSERT_TRUE((*file)->data_sync().ok());
}

TEST(SpoolStore, SegmentWhoseHeaderPageIsZeroIsSetAsideIfItHoldsAnything) {
  FaultFiles disk;
  Committed message;
  {
    Rig rig{disk};
    rig.open_writer();
    auto r = rig.wait(rig.send("precious"));
    ASSERT_TRUE(r.ok());
    message = *r;
  }
  const auto after = disk.power_cut(0);
  blank_header(*after, message.commit.segment);
  Rig rig{*after};
  EXPECT_EQ(rig.recovered.corrupt_records, 1u);
  EXPECT_TRUE(rig.sink.said("segment header damaged"));
  const auto kept = "/spool/corrupt/segment-" + file_name(message.commit.segment);
  ASSERT_EQ(after->paths(kept).size(), 1u);
  EXPECT_NE(after->content(kept).find("precious"), std::string::npos);
}

TEST(SpoolStore, SegmentOfZerosIsSetAsideIfTheCheckpointKnowsIt) {
  FaultFiles disk;
  Committed message;
  {
    Rig rig{disk};
    rig.open_writer();
    auto r = rig.wait(rig.send("gone"));
    ASSERT_TRUE(r.ok());
    message = *r;
    rig.store->admit(message);
    rig.store->begin_checkpoint();
    rig.store->end_checkpoint();
    ASSERT_TRUE(rig.finish_journal());
  }
  const auto after = disk.power_cut(0);
  blank_header(*after, message.commit.segment);
  {
    auto file = after->open(segment_file(message.commit.segment), io::OpenMode::ReadWrite);
    ASSERT_TRUE((*file)->write_at(0, std::string(64 * 1024, '\0')).ok());
    ASSERT_TRUE((*file)->data_sync().ok());
  }
  Rig rig{*after};
  EXPECT_EQ(rig.recovered.corrupt_records, 1u);
  EXPECT_EQ(after->paths("/spool/corrupt/segment-").size(), 1u);
}

TEST(SpoolStore, FileOfZerosThatWasNeverGivenOutIsRemoved) {
  FaultFiles disk;
  {
    Rig rig{disk};
    ASSERT_TRUE(rig.finish_journal());
  }
  const auto after = disk.power_cut(0);
  {
    auto file = after->open(segment_file(77), io::OpenMode::Create);
    ASSERT_TRUE((*file)->write_at(0, std::string(64 * 1024, '\0')).ok());
  }
  Rig rig{*after};
  EXPECT_EQ(rig.recovered.corrupt_records, 0u);
  EXPECT_TRUE(after->paths(segment_file(77)).empty());
  EXPECT_TRUE(after->paths("/spool/corrupt/").empty());
}

TEST(SpoolStore, RetiredSegmentIsNotReusedWhileADescriptorOfItIsOpen) {
  FaultFiles disk;
  Rig rig{disk};
  rig.open_writer();
  auto r = rig.wait(rig.send("hello"));
  ASSERT_TRUE(r.ok());
  rig.store->admit(*r);
  auto reader = rig.store->open_for_reading(r->commit.segment, r->commit.epoch);
  ASSERT_TRUE(reader.ok());
  bool wanted = false;
  rig.store->on_wanted([&](std::uint32_t segment, std::uint32_t) { wanted = wanted || segment == r->commit.segment; });
  rig.done(*r);
  rig.writer->close();
  ASSERT_TRUE(rig.run_until([&] { return wanted; }));
  ASSERT_TRUE(rig.finish_journal());
  EXPECT_EQ(rig.body_of(*r), "Received: x\r\nhello");  // no pin was ever taken: the descriptor alone keeps it
  reader->reset();
  EXPECT_TRUE(rig.run_until([&] { return !rig.store->read(r->body, 0, 1).ok(); }));
}

// There are no descriptors left to ask with, or /proc cannot be had.
TEST(SpoolStore, ASegmentOfWhichNobodyKnowsWhetherItIsReadIsNotUsedAgain) {
  FaultFiles disk;
  Rig rig{disk};
  rig.open_writer();
  auto r = rig.wait(rig.send("hello"));
  ASSERT_TRUE(r.ok());
  rig.store->admit(*r);
  bool wanted = false;
  rig.store->on_wanted([&](std::uint32_t segment, std::uint32_t) { wanted = wanted || segment == r->commit.segment; });
  disk.fail(Op::Shared, segment_file(r->commit.segment), 1, Status::Internal, true);
  rig.done(*r);
  rig.writer->close();
  ASSERT_TRUE(rig.run_until([&] { return wanted; }));
  ASSERT_TRUE(rig.finish_journal());
  EXPECT_EQ(rig.body_of(*r), "Received: x\r\nhello");
  disk.heal();
  EXPECT_TRUE(rig.run_until([&] { return !rig.store->read(r->body, 0, 1).ok(); }));
}

TEST(SpoolStore, ASegmentOfWhichNobodyKnowsWhetherASocketHasItsPagesIsNotFilledAnew) {
  FaultFiles disk;
  auto options = Rig::small();
  options.spare_segments = 0;
  Rig rig{disk, options};
  rig.open_writer();
  const auto r = rig.wait(rig.send("hello"));
  ASSERT_TRUE(r.ok());
  rig.store->admit(*r);
  rig.done(*r);
  rig.writer->close();
  ASSERT_TRUE(rig.run_until([&] { return rig.store->usage().free_segments == rig.granted(); }));
  disk.fail(Op::Forget, segment_file(r->body.segment), 1, Status::Internal, true);
  rig.open_writer();
  const auto next = rig.wait(rig.send("other"));
  ASSERT_TRUE(next.ok());
  EXPECT_NE(next->body.segment, r->body.segment);
  EXPECT_TRUE(rig.sink.said("segment not filled anew"));
}

TEST(SpoolStore, ASegmentThatCannotBeHandedOverCostsNoMail) {
  FaultFiles disk;
  disk.fail(Op::Duplicate, "/segments/", 1, Status::Internal);
  std::size_t taken = 0;
  {
    Rig rig{disk};
    rig.open_writer();
    taken += rig.wait(rig.send("one")).ok();  // perhaps: it may have asked before
    ASSERT_TRUE(rig.wait(rig.send("two")).ok());
    ++taken;
    EXPECT_TRUE(rig.sink.said("spool segment unusable"));
  }
  const auto after = disk.power_cut(0);
  const Rig cut{*after};
  ASSERT_FALSE(cut.error);
  EXPECT_EQ(cut.found.size(), taken);
}

// After a sync that failed the page cache shows a free segment, a later sync has nothing to do, and the disk still has
// the mail.
TEST(SpoolStore, WhatWasDoneDoesNotComeBackThoughItsSegmentCouldNotBeFreedAtFirst) {
  FaultFiles disk;
  std::optional<Rig> rig{std::in_place, disk};
  rig->open_writer();
  const auto r = rig->wait(rig->send("hello"));
  ASSERT_TRUE(r.ok());
  rig->store->admit(*r);
  disk.fail(Op::Sync, segment_file(r->commit.segment), 1, Status::Internal);
  rig->done(*r);
  rig->writer->close();
  ASSERT_TRUE(rig->run_until([&] { return rig->sink.said("segment cannot be recycled"); }));
  disk.heal();
  rig.reset();
  {
    const auto after = disk.power_cut(0);
    const Rig cut{*after};
    ASSERT_EQ(cut.found.size(), 1u) << "the sync did its work: this test shows nothing";
  }
  rig.emplace(disk);
  EXPECT_TRUE(rig->found.empty());
  rig->store->begin_checkpoint();
  rig->store->end_checkpoint();
  ASSERT_TRUE(rig->finish_journal());
  const auto after = disk.power_cut(0);
  const Rig cut{*after};
  EXPECT_TRUE(cut.found.empty());
}

TEST(SpoolStore, PinnedSegmentIsNotReused) {
  FaultFiles disk;
  Rig rig{disk};
  rig.open_writer();
  auto r = rig.wait(rig.send("hello"));
  ASSERT_TRUE(r.ok());
  rig.store->admit(*r);
  rig.store->pin(r->body);
  rig.done(*r);
  rig.writer->close();
  ASSERT_TRUE(rig.finish_journal());
  rig.poll();
  EXPECT_EQ(rig.body_of(*r), "Received: x\r\nhello");
  rig.store->unpin(r->body);
  EXPECT_TRUE(rig.run_until([&] { return !rig.store->read(r->body, 0, 1).ok(); }));
}

TEST(SpoolStore, CommitWhoseNoticeWasLostKeepsItsSegmentAndIsFoundByScan) {
  FaultFiles disk;
  Rig rig{disk};
  rig.open_writer();
  auto known = rig.wait(rig.send("known"));
  auto lost = rig.wait(rig.send("lost"));
  ASSERT_TRUE(known.ok() && lost.ok());
  ASSERT_EQ(known->commit.segment, lost->commit.segment);
  rig.store->admit(*known);
  rig.done(*known);
  std::uint32_t unadmitted = 0;
  rig.store->on_unadmitted([&](std::uint32_t segment, std::uint32_t) { unadmitted = segment; });
  rig.writer->close();
  ASSERT_TRUE(rig.run_until([&] { return rig.sink.said("commit without a notice"); }));
  EXPECT_EQ(unadmitted, lost->commit.segment);
  EXPECT_EQ(rig.body_of(*lost), "Received: x\r\nlost");
  EXPECT_EQ(rig.scan(lost->commit), std::vector<MessageId>{lost->id});
}

TEST(SpoolStore, AScanPassesOverWhatIsAdmittedWhileItReads) {
  FaultFiles disk;
  Rig rig{disk};
  rig.open_writer();
  auto r = rig.wait(rig.send("hello"));
  ASSERT_TRUE(r.ok());
  int found = 0;
  bool ended = false;
  rig.store->scan(
      r->commit.segment, r->commit.epoch, false, [&](const Committed &, const Envelope &) { ++found; },
      [&](const Result<void> &) { ended = true; });
  EXPECT_FALSE(ended);
  EXPECT_TRUE(rig.store->admit(*r));  // its notice comes
  rig.done(*r);
  rig.writer->close();
  ASSERT_TRUE(rig.run_until([&] { return ended; }));
  EXPECT_EQ(found, 0);
  EXPECT_TRUE(rig.run_until([&] { return !rig.store->read(r->body, 0, 1).ok(); }));  // and is used again
}

TEST(SpoolStore, SaysOfEveryMessageThatItComesBeforeItIsHandedOver) {
  FaultFiles disk;
  auto options = Rig::small();
  options.segment_size = 256 * 1024;
  Rig rig{disk, options};
  rig.open_writer();
  auto first = rig.wait(rig.send("hello"));
  ASSERT_TRUE(first.ok());
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(rig.wait(rig.send("hello")).ok());
  std::vector<MessageId> coming;
  rig.store->on_coming([&](MessageId id) { coming.push_back(id); });
  std::vector<MessageId> found;
  bool ended = false;
  rig.store->scan(
      first->commit.segment, first->commit.epoch, false,
      [&](const Committed &message, const Envelope &) {
        found.push_back(message.id);
        ASSERT_GE(coming.size(), found.size());
        EXPECT_EQ(coming[found.size() - 1], message.id);
      },
      [&](const Result<void> &) { ended = true; });
  ASSERT_TRUE(rig.run_until([&] { return ended; }));
  EXPECT_GT(found.size(), 20u);
  EXPECT_EQ(coming, found);
}

// The large body of `draft` is in its segment, and its writer is dead.
TEST(SpoolStore, LargeBodyThatADeadWriterNeverCommittedIsFreed) {
  FaultFiles disk;
  Rig rig{disk};
  WriterOptions o;
  o.large_body = 1000;
  rig.open_writer(o);
  auto kept = rig.wait(rig.send(std::string(5000, 'k')));
  ASSERT_TRUE(kept.ok());
  auto draft = rig.writer->begin();
  ASSERT_TRUE(rig.wait(draft->append(std::string(5000, 'z'))).ok());
  const auto large = disk.paths("/spool/segments/").back();
  const auto number = *parse_file_name(large.substr(large.rfind('/') + 1));
  rig.writer.reset();
  draft.reset();
  const auto epoch = kept->body.epoch + 1;
  for (const Place &place : {kept->commit, kept->body, Place{number, epoch, 0, 0}}) rig.scan(place, true);
  for (const Place &place : {kept->commit, kept->body, Place{number, epoch, 0, 0}})
    rig.store->orphaned(place.segment, place.epoch);
  EXPECT_TRUE(rig.run_until([&] { return disk.paths(large).empty(); }));
  ASSERT_TRUE(rig.finish_journal());
  EXPECT_EQ(rig.body_of(*kept), "Received: x\r\n" + std::string(5000, 'k'));
}

// While the queue is away ingress may have only an ordinary segment for a large body.
TEST(SpoolStore, LargeBodyInAnOrdinarySegmentIsKeptUntilItsCommitIsKnown) {
  FaultFiles disk;
  Rig rig{disk};
  rig.source.ordinary = true;
  WriterOptions o;
  o.large_body = 1000;
  rig.open_writer(o);
  auto r = rig.wait(rig.send(std::string(5000, 'k')));
  ASSERT_TRUE(r.ok());
  ASSERT_NE(r->body.segment, r->commit.segment);
  const auto segment = r->body.segment;
  ASSERT_TRUE(rig.run_until([&] {
    return !rig.source.seals.empty() && rig.source.seals.back() == std::pair{segment, std::uint64_t{0}};
  }));
  EXPECT_TRUE(rig.scan(r->body).empty());  // the thread has been at it since
  ASSERT_TRUE(rig.finish_journal());
  EXPECT_EQ(rig.body_of(*r), "Received: x\r\n" + std::string(5000, 'k'));
  rig.store->admit(*r);
  rig.done(*r);
  EXPECT_TRUE(rig.run_until([&] { return !rig.store->read(r->body, 0, 1).ok(); }));
}

TEST(SpoolStore, JournalGoesOnInANewFileAfterAFailedSync) {
  FaultFiles disk;
  {
    Rig rig{disk};
    ASSERT_TRUE(rig.finish_journal());
    disk.fail(Op::Sync, "/journal/", 1, Status::Internal);
    rig.store->journal("precious");
    ASSERT_TRUE(rig.finish_journal());
  }
  const auto after = disk.power_cut(0);
  Rig rig{*after};
  EXPECT_EQ(std::count(rig.entries.begin(), rig.entries.end(), "precious"), 1);
}

// The name of the file that was to be next is on the disk and that it was removed is not; of the header there is a
// part.
TEST(SpoolStore, AJournalFileWhoseHeaderWasCutShortIsNoDamage) {
  for (const std::size_t there : {1, 6, 63, 64, 600, 2100, 4095}) {
    FaultFiles disk;
    {
      Rig rig{disk};
      rig.store->journal("precious");
      ASSERT_TRUE(rig.finish_journal());
    }
    FileHeader header;
    header.kind = FileKind::Journal;
    header.number = header.epoch = 2;
    ASSERT_TRUE((*disk.open("/spool/journal/00000002", io::OpenMode::Create))
                    ->write_at(0, encode_header(header).substr(0, there)));
    Rig rig{disk};
    ASSERT_FALSE(rig.error) << rig.error->text;
    EXPECT_EQ(rig.recovered.corrupt_records, 0u) << there;
    EXPECT_FALSE(rig.sink.said("journal damaged")) << there;
    EXPECT_EQ(std::count(rig.entries.begin(), rig.entries.end(), "precious"), 1);
  }
}

// Of a batch whose sync failed the disk may have the end without the beginning; the next file has all of it again.
TEST(SpoolStore, TheEndOfABatchThatWasNotSyncedDoesNotStandForItsRepetition) {
  FaultFiles disk;
  for (const auto *name : {"/spool", "/spool/segments", "/spool/journal", "/spool/corrupt"})
    ASSERT_TRUE(disk.make_directory(name).ok());
  const std::string precious(3000, 'p');
  for (const std::uint32_t number : {1u, 2u}) {
    FileHeader header;
    header.kind = FileKind::Journal;
    header.number = header.epoch = number;
    const RecordSeal seal{header};
    std::string entries, batch;
    Encoder{entries}.put(precious);
    append_record(batch, seal, RecordType::Entry, 1, entries);
    append_record(batch, seal, RecordType::Active, 2, "\1");
    append_record(batch, seal, RecordType::Seal, 0, encode_seal(kFirstRecord));
    if (number == 1) batch.replace(0, 512, 512, '\0');
    const auto file = disk.open("/spool/journal/" + file_name(number), io::OpenMode::Create);
    ASSERT_TRUE((*file)->write_at(0, encode_header(header) + batch).ok());
  }
  Rig rig{disk};
  ASSERT_FALSE(rig.error) << rig.error->text;
  EXPECT_EQ(rig.recovered.corrupt_records, 0u);
  EXPECT_EQ(std::count(rig.entries.begin(), rig.entries.end(), precious), 1);
}

// A journal without a spool around it. It syncs when it is told to: a batch, and so at least a page, for each flush.
struct LoneJournal {
  explicit LoneJournal(FaultFiles &disk) : journal(loop, log, disk, options()) {}
  static JournalOptions options() {
    JournalOptions o;
    o.directory = "/journal";
    o.rotate_bytes = 256 * 1024;
    o.sync_interval = 3600 * kSecond;
    return o;
  }
  asio::io_context loop;
  SystemClock clock;
  NoLog sink;
  Logger log{sink, clock, "test", LogLevel::Debug};
  Journal journal;
};

// A sync fails, and of its file the disk has only the beginning; then there is no room, and the checkpoint whose part
// stood between two entries is given up. What the next file has must not tell the first entry again.
TEST(SpoolStore, EntriesBetweenPartsOfACheckpointThatIsGivenUpAreReplayedOnce) {
  FaultFiles disk;
  ASSERT_TRUE(disk.make_directory("/journal").ok());
  const auto file = [](std::uint32_t number) { return "/journal/" + file_name(number); };
  const std::string first(1000, '1'), second(1000, '2');
  {
    LoneJournal lone{disk};
    auto &journal = lone.journal;
    ASSERT_TRUE(journal.start({}).ok());
    disk.fail(Op::Sync, file(2), 2, Status::Internal);  // behind that of its header
    disk.fail(Op::Write, file(3), 3, Status::Busy);     // behind its header and the zeros
    journal.begin_checkpoint({});
    journal.append(RecordType::Entry, first);
    journal.snapshot(std::string(1000, 's'));
    journal.append(RecordType::Entry, second);
    bool written = false;
    for (int i = 0; i < 10 && !written; ++i) written = journal.flush().ok();
    ASSERT_TRUE(written);
    ASSERT_EQ(disk.failures(), 2u);
    EXPECT_EQ(journal.unwritten(), 0u);
  }
  const auto cut = disk.content(file(2)).find(second) / 512 * 512;
  ASSERT_GT(cut, kFirstRecord);
  ASSERT_TRUE((*disk.open(file(2), io::OpenMode::ReadWrite))->write_at(cut, std::string(2048, '\0')).ok());
  std::vector<std::string> entries;
  const auto replayed = replay_journal(disk, "/journal", [&](RecordType type, std::string_view entry) {
    if (type == RecordType::Entry) entries.emplace_back(entry);
  });
  ASSERT_TRUE(replayed.ok());
  EXPECT_EQ(entries, (std::vector{first, second}));
}

TEST(SpoolStore, AFullDiskGivesTheJournalTheOldFileThatIsKeptForItsBlocks) {
  FaultFiles disk;
  ASSERT_TRUE(disk.make_directory("/journal").ok());
  LoneJournal lone{disk};
  auto &journal = lone.journal;
  ASSERT_TRUE(journal.start({}).ok());
  const auto written = [&] {
    journal.append(RecordType::Entry, "outcome");
    return journal.flush().ok() || journal.flush().ok();
  };
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(written());
  journal.begin_checkpoint({});
  journal.end_checkpoint();
  ASSERT_TRUE(journal.flush().ok());
  const auto kept = disk.size("/journal/spare"), current = disk.size("/journal/" + file_name(2));
  disk.limit(disk.used());
  for (std::uint64_t i = 0; i < (current + kept / 2) / kPage; ++i) ASSERT_TRUE(written()) << i;
}

// A record of that many octets.
std::string journal_entry(const RecordSeal &seal, std::uint64_t sequence, std::size_t octets, char c) {
  std::string payload, record;
  Encoder{payload}.put(std::string(octets - kRecordHeader - 2, c));  // whose length takes two
  append_record(record, seal, RecordType::Entry, sequence, payload);
  EXPECT_EQ(record.size(), octets);
  return record;
}

// The sectors that are missing hold one record up to the end of its page, and the next record begins with a page.
TEST(SpoolStore, ABatchThatBreaksOffAtAPageDoesNotStandForItsRepetition) {
  FaultFiles disk;
  for (const auto *name : {"/spool", "/spool/segments", "/spool/journal", "/spool/corrupt"})
    ASSERT_TRUE(disk.make_directory(name).ok());
  for (const std::uint32_t number : {1u, 2u}) {
    FileHeader header;
    header.kind = FileKind::Journal;
    header.number = header.epoch = number;
    const RecordSeal seal{header};
    std::string batch =
        journal_entry(seal, 1, 512, 'a') + journal_entry(seal, 2, kPage - 512, 'p') + journal_entry(seal, 3, 512, 'z');
    append_record(batch, seal, RecordType::Seal, 0, encode_seal(kFirstRecord));
    batch.append(2 * kPage - batch.size(), '\0');
    if (number == 1) batch.replace(512, kPage - 512, kPage - 512, '\0');
    const auto file = disk.open("/spool/journal/" + file_name(number), io::OpenMode::Create);
    ASSERT_TRUE((*file)->write_at(0, encode_header(header) + batch).ok());
  }
  Rig rig{disk};
  ASSERT_FALSE(rig.error) << rig.error->text;
  EXPECT_EQ(rig.recovered.corrupt_records, 0u);
  std::string seen;
  for (const auto &entry : rig.entries) seen += entry.at(0);
  EXPECT_EQ(seen, "apz");
}

// Behind a header that reads as zeros may lie records, and then it was there once.
TEST(SpoolStore, AJournalFileWhoseHeaderIsLostIsDamage) {
  for (const bool records : {true, false}) {
    FaultFiles disk;
    for (const auto *name : {"/spool", "/spool/segments", "/spool/journal", "/spool/corrupt"})
      ASSERT_TRUE(disk.make_directory(name).ok());
    FileHeader header;
    header.kind = FileKind::Journal;
    header.number = header.epoch = 1;
    auto batch = journal_entry(RecordSeal{header}, 1, 512, 'a');
    append_record(batch, RecordSeal{header}, RecordType::Seal, 0, encode_seal(kFirstRecord));
    if (!records) batch.assign(batch.size(), '\0');
    const auto file = disk.open("/spool/journal/" + file_name(1), io::OpenMode::Create);
    ASSERT_TRUE((*file)->write_at(0, std::string(kPage, '\0') + batch).ok());
    Rig rig{disk};
    ASSERT_FALSE(rig.error) << rig.error->text;
    EXPECT_EQ(rig.recovered.corrupt_records, records ? 1u : 0u);
  }
}

// A first start that is killed before its journal's name is stable, and a second one that ends in a power cut.
TEST(SpoolStore, AJournalWhoseFirstFileLostItsNameIsNoDamage) {
  FileHeader header;
  header.kind = FileKind::Journal;
  header.number = header.epoch = 1;
  for (std::uint64_t calls = 1; calls <= 16; ++calls) {
    FaultFiles disk;
    for (const auto *name : {"/spool", "/spool/segments", "/spool/journal", "/spool/corrupt"})
      ASSERT_TRUE(disk.make_directory(name).ok());
    ASSERT_TRUE(disk.sync_directory("/spool").ok());
    const auto file = disk.open("/spool/journal/00000001", io::OpenMode::Create);
    ASSERT_TRUE((*file)->write_at(0, encode_header(header)).ok());
    ASSERT_TRUE((*file)->data_sync().ok());
    disk.cut_after(calls);
    { Rig rig{disk}; }
    for (std::uint64_t luck = 1; luck <= 32; ++luck) {
      const auto after = disk.power_cut(luck);
      Rig rig{*after};
      ASSERT_FALSE(rig.sink.said("journal damaged")) << calls << " calls, luck " << luck;
    }
  }
}

// The first file was never finished, and there was no checkpoint yet: no later start may see that it is gone.
TEST(SpoolStore, AStartOnAFullDiskTakesNoJournalFileBeforeThereIsACheckpoint) {
  for (const std::size_t there : {0, 600}) {
    FaultFiles disk;
    for (const auto *name : {"/spool", "/spool/journal"}) ASSERT_TRUE(disk.make_directory(name).ok());
    const auto file = disk.open("/spool/journal/00000001", io::OpenMode::Create);
    ASSERT_TRUE((*file)->write_at(0, std::string(there, '\0')).ok());
    {
      Rig rig{disk};
      rig.store->journal("precious");
      ASSERT_TRUE(rig.finish_journal());
    }
    disk.limit(disk.used());
    {
      Rig full{disk};
      ASSERT_TRUE(full.error);
      EXPECT_EQ(full.error->status, Status::Busy);
    }
    disk.limit(0);
    Rig rig{disk};
    ASSERT_FALSE(rig.error) << rig.error->text;
    EXPECT_EQ(rig.recovered.corrupt_records, 0u) << there;
    EXPECT_FALSE(rig.sink.said("journal damaged")) << there;
    EXPECT_EQ(std::count(rig.entries.begin(), rig.entries.end(), "precious"), 1);
  }
}

// The name under which it was to be used again is in memory only: after a cut it has its old one.
TEST(SpoolStore, AStartOnAFullDiskTakesTheJournalFilesThatACheckpointReplaced) {
  FaultFiles disk;
  {
    Rig rig{disk};
    rig.store->journal("before");
    ASSERT_TRUE(rig.finish_journal());
    ASSERT_TRUE(disk.sync_directory("/spool").ok());
    rig.store->begin_checkpoint();
    rig.store->snapshot("state");
    rig.store->end_checkpoint();
    ASSERT_TRUE(rig.finish_journal());
  }
  const auto after = disk.power_cut(0);
  ASSERT_GT(after->size("/spool/journal/00000001"), 0u);
  after->limit(after->used());
  Rig rig{*after};
  ASSERT_FALSE(rig.error) << rig.error->text;
  EXPECT_FALSE(rig.sink.said("journal damaged"));
  EXPECT_EQ(std::count(rig.entries.begin(), rig.entries.end(), "state"), 1);
}

// As a process leaves them that is killed between write and sync.
TEST(SpoolStore, WhatAStartReadsFromTheJournalSurvivesAPowerCut) {
  FaultFiles disk;
  {
    Rig rig{disk};
    ASSERT_TRUE(rig.finish_journal());
    rig.store->journal("precious");
    ASSERT_TRUE(rig.finish_journal());
  }
  for (const auto &path : disk.paths("/spool/journal/")) {
    const auto bytes = disk.content(path);
    ASSERT_TRUE(disk.remove(path));
    ASSERT_TRUE((*disk.open(path, io::OpenMode::Create))->write_at(0, bytes));
  }
  {
    Rig rig{disk};
    ASSERT_EQ(std::count(rig.entries.begin(), rig.entries.end(), "precious"), 1);
  }
  const auto after = disk.power_cut(0);
  Rig rig{*after};
  EXPECT_EQ(std::count(rig.entries.begin(), rig.entries.end(), "precious"), 1);
}

TEST(SpoolStore, JournalTakesItsReserveWhenTheDiskIsFull) {
  FaultFiles disk;
  auto options = Rig::small();
  options.journal_reserve = 64 * 1024;
  Rig rig{disk, options};
  ASSERT_TRUE(rig.run_until(
      [&] { return !disk.paths("/spool/reserve").empty() && disk.count(Op::Sync, "/spool/reserve") > 0; }));
  disk.fail(Op::Write, "/journal/", 1, Status::Busy);
  ASSERT_TRUE(rig.finish_journal());
  EXPECT_TRUE(disk.paths("/spool/reserve").empty());
}

TEST(SpoolStore, ACheckpointThatFindsNoRoomDoesNotHoldUpWhatComesAfterIt) {
  FaultFiles disk;
  Rig rig{disk};
  rig.store->journal("before");
  ASSERT_TRUE(rig.finish_journal());
  disk.most("/journal/", 256 * 1024);
  rig.store->begin_checkpoint();
  const std::string part(8 * 1024, 'p');
  for (int i = 0; i < 200; ++i) rig.store->snapshot(part);
  rig.store->end_checkpoint();
  const auto sequence = rig.store->journal("outcome");
  ASSERT_TRUE(rig.run_until([&] { return rig.store->synced_sequence() >= sequence; }));
  // It is void: what stood before it counts, and another is wanted when there is room.
  EXPECT_TRUE(rig.run_until([&] { return rig.store->wants_checkpoint(); }));
  const auto after = disk.power_cut(0);
  Rig again{*after};
  EXPECT_EQ(std::count(again.entries.begin(), again.entries.end(), "before"), 1);
  EXPECT_EQ(std::count(again.entries.begin(), again.entries.end(), "outcome"), 1);
}

// A few octets at a time: each batch takes a page.
TEST(SpoolStore, ACheckpointIsWantedForWhatTheJournalTakesNotForWhatItSays) {
  FaultFiles disk;
  auto options = Rig::small();
  options.journal_rotate_bytes = 256 * 1024;
  Rig rig{disk, options};
  const auto written = [&] { return disk.count(Op::Write, "/journal/0"); };
  const auto before = written();
  for (int i = 0; i < 200 && written() < before + 100; ++i) ASSERT_TRUE(rig.finish_journal());
  EXPECT_TRUE(rig.store->wants_checkpoint());
  rig.store->begin_checkpoint();
  rig.store->end_checkpoint();
  ASSERT_TRUE(rig.finish_journal());
  EXPECT_FALSE(rig.store->wants_checkpoint());
}

// Nothing is finished, so nothing gives space back, and each attempt is written down.
TEST(SpoolStore, AttemptsOnAFullDiskDoNotUseUpWhatTheJournalHas) {
  FaultFiles disk;
  auto options = Rig::small();
  options.reserve_bytes = 8 << 20;  // what was put aside does not make it a disk with room
  options.journal_reserve = 4 << 20;
  options.journal_rotate_bytes = 16 << 20;
  Rig rig{disk, options};
  ASSERT_TRUE(rig.run_until([&] { return disk.count(Op::Sync, "/spool/reserve") > 0; }));
  disk.limit(disk.used() + 1000);
  ASSERT_TRUE(rig.run_until([&] { return rig.store->disk_full() && rig.store->usage().free_segments == 0; }));
  disk.limit(disk.used());
  int checkpoints = 0;
  for (int i = 0; i < 4000; ++i) {
    ASSERT_TRUE(rig.finish_journal()) << "no room for attempt " << i << ", after " << checkpoints << " checkpoints";
    if (!rig.store->wants_checkpoint()) continue;
    ++checkpoints;
    rig.store->begin_checkpoint();
    rig.store->snapshot("what waits");
    rig.store->end_checkpoint();
  }
  const auto after = disk.power_cut(0);
  Rig again{*after};
  ASSERT_FALSE(again.error) << again.error->text;
  EXPECT_EQ(std::count(again.entries.begin(), again.entries.end(), "what waits"), 1);
}

TEST(SpoolStore, LaterFormatIsRefusedAndLeftAlone) {
  FaultFiles disk;
  FileHeader header;
  header.number = 1;
  header.epoch = 1;
  header.least_reader = kFormatVersion + 1;
  auto file = disk.open(segment_file(1), io::OpenMode::Create);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->write_at(0, encode_header(header)).ok());
  // Nor is what an older version would have put in order before it came to that.
  ASSERT_TRUE((*disk.open(segment_file(0), io::OpenMode::Create))->zero_fill(0, 64 * 1024).ok());
  Rig rig{disk};
  ASSERT_TRUE(rig.error);
  EXPECT_EQ(rig.error->status, Status::Unsupported);
  EXPECT_EQ(disk.paths("/spool/segments/").size(), 2u);
}

TEST(SpoolSegment, RecordOfAnotherEpochOrAForgedOneIsNotFound) {
  FileHeader header;
  header.number = 3;
  header.epoch = 8;
  header.salt = 42;
  auto forged = header;
  forged.salt = 43;
  std::string bytes = encode_header(header);
  append_record(bytes, RecordSeal{forged}, RecordType::Envelope, 1, "forged");
  MemoryBytes memory{bytes};
  int found = 0;
  (void)scan_records(memory, header, kFirstRecord, [&](const Record &) { ++found; });
  header.epoch = 9;
  (void)scan_records(memory, header, kFirstRecord, [&](const Record &) { ++found; });
  EXPECT_EQ(found, 0);
}

}  // namespace
}  // namespace mansio::spool
