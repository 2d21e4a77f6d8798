// The writer's side of the spool: `250` means that power cuts do not matter, with what that costs in syncs and what is
// left when it fails.
#include "kernel/base/crc32c.hpp"
#include "kernel/spool/segment.hpp"
#include "tests/unit/spool/spool_rig.hpp"

namespace mansio::spool {
namespace {

using test::FaultFiles;
using test::Op;

TEST(SpoolWriter, CommittedMessageSurvivesAPowerCutInWhichNothingUnsyncedDoes) {
  FaultFiles disk;
  Committed message;
  {
    Rig rig{disk};
    ASSERT_FALSE(rig.error);
    rig.open_writer();
    auto r = rig.wait(rig.send("Subject: x\r\n\r\nhello\r\n"));
    ASSERT_TRUE(r.ok()) << r.error().text;
    message = *r;
    EXPECT_EQ(message.id.node(), 7u);
  }
  const auto after = disk.power_cut(0);
  Rig rig{*after};
  ASSERT_FALSE(rig.error) << rig.error->text;
  ASSERT_EQ(rig.found.size(), 1u);
  EXPECT_EQ(rig.found[0].message.id, message.id);
  EXPECT_EQ(rig.found[0].message.body, message.body);
  EXPECT_EQ(rig.body_of(message), "Received: x\r\nSubject: x\r\n\r\nhello\r\n");
  EXPECT_EQ(rig.found[0].envelope.recipients.at(0).address, "user@example.net");
  EXPECT_FALSE(rig.recovered.clean_stop);
  EXPECT_EQ(rig.recovered.corrupt_records, 0u);
}

TEST(SpoolWriter, OneSyncServesManySessions) {
  FaultFiles disk;
  Rig rig{disk};
  rig.open_writer();
  ASSERT_TRUE(rig.wait(rig.send("warm up")).ok());
  const auto before = rig.writer->syncs();
  std::size_t done = 0, ok = 0;
  for (int i = 0; i < 50; ++i) {
    rig.spawn(rig.send(std::string(500, 'x')), [&](const Result<Committed> &r) {
      ++done;
      ok += r.ok();
    });
  }
  ASSERT_TRUE(rig.run_until([&] { return done == 50; }));
  EXPECT_EQ(ok, 50u);
  EXPECT_LT(rig.writer->syncs() - before, 10u);
}

TEST(SpoolWriter, LargeBodyLiesContiguouslyBehindItsTraceHeaders) {
  FaultFiles disk;
  const std::string body(300000, 'y');
  Committed message;
  {
    Rig rig{disk};
    WriterOptions o;
    o.large_body = 20000;
    rig.open_writer(o);
    auto r = rig.wait(rig.send(body));
    ASSERT_TRUE(r.ok()) << r.error().text;
    message = *r;
    EXPECT_NE(message.body.segment, message.commit.segment);
  }
  const auto after = disk.power_cut(0);
  Rig rig{*after};
  ASSERT_EQ(rig.found.size(), 1u);
  EXPECT_EQ(rig.body_of(rig.found[0].message), "Received: x\r\n" + body);
}

TEST(SpoolWriter, SegmentOfALargeBodyIsFreedOnceItsMessageIsDone) {
  FaultFiles disk;
  Rig rig{disk};
  WriterOptions o;
  o.large_body = 20000;
  rig.open_writer(o);
  auto r = rig.wait(rig.send(std::string(100000, 'y')));
  ASSERT_TRUE(r.ok());
  const auto name = segment_file(r->body.segment);
  ASSERT_EQ(disk.paths(name).size(), 1u);
  EXPECT_TRUE(rig.store->admit(*r));
  EXPECT_FALSE(rig.store->admit(*r));
  rig.done(*r);
  EXPECT_TRUE(rig.run_until([&] { return disk.paths(name).empty(); }));
}

TEST(SpoolWriter, DroppedLargeDraftLeavesNothing) {
  FaultFiles disk;
  Rig rig{disk};
  WriterOptions o;
  o.large_body = 1000;
  rig.open_writer(o);
  ASSERT_TRUE(rig.wait(rig.send("x")).ok());
  {
    auto draft = rig.writer->begin();
    const std::string bytes(5000, 'z');
    ASSERT_TRUE(rig.wait(draft->append(bytes)).ok());
  }
  const auto number = [&] { return rig.source.seals.empty() ? 0 : rig.source.seals.back().first; };
  ASSERT_TRUE(rig.run_until([&] { return number() != 0 && disk.paths(segment_file(number())).empty(); }));
}

TEST(SpoolWriter, CopyOfADraftIsAllThatWasAppendedWhereverItLies) {
  FaultFiles disk;
  Rig rig{disk};
  WriterOptions o;
  o.large_body = 300'000;
  o.memory = 400'000;
  rig.open_writer(o);
  ASSERT_TRUE(rig.wait(rig.send("x")).ok());
  const auto content = [](const DraftCopy &copy) {
    const auto sealed = copy.content.sealed();
    EXPECT_TRUE(sealed.ok());
    std::string bytes(copy.content.size() + 1, '\0');
    const auto n = ::pread(copy.content.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    return bytes;
  };
  auto draft = rig.writer->begin();
  std::string all;
  for (const auto *piece : {"a", "b", "c", "d"}) {
    const std::string bytes(140'000, *piece);
    ASSERT_TRUE(rig.wait(draft->append(bytes)).ok());
    all += bytes;
    const auto copy = rig.wait(draft->copy());
    ASSERT_TRUE(copy.ok()) << copy.error().text;
    EXPECT_EQ(content(*copy), all);
    EXPECT_LT(::write(copy->content.get(), "x", 1), 0) << "nobody can change what others see";
  }
  {
    const auto behind = rig.wait(draft->copy([&](std::uint32_t crc, std::uint64_t size) {
      EXPECT_EQ(crc, crc32c(all));
      EXPECT_EQ(size, all.size());
      return std::string{"a head\n"};
    }));
    ASSERT_TRUE(behind.ok()) << behind.error().text;
    EXPECT_EQ(content(*behind), "a head\n" + all);
  }
  const auto copy = rig.wait(draft->copy());
  ASSERT_TRUE(copy.ok());
  EXPECT_FALSE(rig.wait(draft->copy()).ok()) << "there is no memory for another";
}

TEST(SpoolWriter, LargeBodyWhoseCommitWasNeverWrittenLeavesNothing) {
  FaultFiles disk;
  Rig rig{disk};
  WriterOptions o;
  o.large_body = 1000;
  rig.open_writer(o);
  const auto id = rig.wait(rig.writer->reserve_id());
  ASSERT_TRUE(id.ok());
  auto draft = rig.writer->begin();
  ASSERT_TRUE(rig.wait(draft->append(std::string(5000, 'z'))).ok());
  const auto large = disk.paths("/spool/segments/").back();
  rig.writer->close();
  const auto r =
      rig.wait(rig.writer->commit(*id, "", std::move(draft), envelope_to("a@example.net"), Durability::Power));
  ASSERT_FALSE(r.ok());
  EXPECT_TRUE(rig.run_until([&] { return disk.paths(large).empty(); }));
}

TEST(SpoolWriter, BodiesGoToTheDiskEarlyWhenTheMemoryForThemIsUsedUp) {
  FaultFiles disk;
  Rig rig{disk};
  WriterOptions o;
  o.memory = 200'000;
  rig.open_writer(o);
  ASSERT_TRUE(rig.wait(rig.send("x")).ok());
  ASSERT_TRUE(rig.run_until([&] { return rig.granted() == 2; }));  // what it fills, and a spare
  EXPECT_EQ(rig.writer->memory(), 0u);
  const std::string much(150'000, 'm'), small(20'000, 's');
  auto first = rig.writer->begin();
  ASSERT_TRUE(rig.wait(first->append(much)).ok());
  EXPECT_EQ(rig.writer->memory(), much.size());
  const auto granted = rig.granted();
  auto second = rig.writer->begin();
  ASSERT_TRUE(rig.wait(second->append(much)).ok());
  EXPECT_EQ(rig.granted(), granted + 1);
  EXPECT_EQ(rig.writer->memory(), much.size());
  // Nothing to be had: more is refused, less is not.
  auto fill = rig.writer->begin();
  ASSERT_TRUE(rig.wait(fill->append(std::string(50'000, 'f'))).ok());
  auto *store = std::exchange(rig.source.store, nullptr);
  auto third = rig.writer->begin();
  ASSERT_TRUE(rig.wait(third->append(small)).ok());
  const auto refused = rig.wait(third->append(much));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().status, Status::Busy);
  EXPECT_EQ(to_string(refused.error().enhanced), "4.3.1");
  third.reset();
  fill.reset();
  EXPECT_EQ(rig.writer->memory(), much.size());
  rig.source.store = store;
  const auto commit = [&](std::unique_ptr<Draft> draft) {
    const auto id = rig.wait(rig.writer->reserve_id());
    return rig.wait(rig.writer->commit(*id, "", std::move(draft), envelope_to("a@example.net"), Durability::Power));
  };
  const auto one = commit(std::move(first)), two = commit(std::move(second));
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ(rig.body_of(*one), much);
  EXPECT_EQ(rig.body_of(*two), much);
  rig.poll();
  EXPECT_EQ(rig.writer->memory(), 0u);
}

TEST(SpoolWriter, MessageLargerThanASegmentGetsOneThatHoldsIt) {
  FaultFiles disk;
  Rig rig{disk};
  rig.open_writer();
  const std::string body(200000, 'b');  // segments have 64 KiB, large_body 1 MiB
  auto first = rig.wait(rig.send("first"));
  auto big = rig.wait(rig.send(body));
  auto last = rig.wait(rig.send("last"));
  ASSERT_TRUE(first.ok() && last.ok());
  ASSERT_TRUE(big.ok()) << big.error().text;
  EXPECT_EQ(rig.body_of(*big), "Received: x\r\n" + body);
}

// ---- messages that are committed together ----------------------------------------------------------------------

Task<Result<std::vector<Committed>>> send_together(Rig &rig, std::vector<std::string> bodies,
                                                   Durability durability = Durability::Power) {
  std::vector<NewMessage> messages;
  std::vector<Envelope> envelopes;
  envelopes.reserve(bodies.size());
  for (const auto &body : bodies) {
    const auto id = co_await rig.writer->reserve_id();
    if (!id) co_return id.error();
    auto draft = rig.writer->begin();
    const auto appended = co_await draft->append(body);
    if (!appended) co_return appended.error();
    envelopes.push_back(envelope_to(body.substr(0, 1) + "@example.net"));
    messages.push_back({*id, "Received: x\r\n", std::move(draft), &envelopes.back()});
  }
  auto committed = co_await rig.writer->commit(std::move(messages), durability);
  co_return committed;
}

TEST(SpoolWriter, MessagesThatGoTogetherCostOneSyncAndAreAllThere) {
  FaultFiles disk;
  std::vector<Committed> messages;
  const std::vector<std::string> bodies{"a message", std::string(40'000, 'b'), "c message"};
  {
    Rig rig{disk};
    WriterOptions o;
    o.large_body = 20'000;  // one of them lies in a segment of its own
    rig.open_writer(o);
    ASSERT_TRUE(rig.wait(rig.send("x")).ok());
    const auto before = rig.writer->syncs();
    const auto r = rig.wait(send_together(rig, bodies));
    ASSERT_TRUE(r.ok()) << r.error().text;
    messages = *r;
    EXPECT_EQ(rig.writer->syncs() - before, 2u);  // and that of the large body
  }
  ASSERT_EQ(messages.size(), 3u);
  const auto after = disk.power_cut(0);
  Rig rig{*after};
  ASSERT_FALSE(rig.error) << rig.error->text;
  std::map<MessageId, std::string> found;
  for (const auto &f : rig.found) found[f.message.id] = f.envelope.recipients.at(0).address;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ(found[messages[i].id], bodies[i].substr(0, 1) + "@example.net");
    EXPECT_EQ(rig.body_of(messages[i]), "Received: x\r\n" + bodies[i]);
  }
}

TEST(SpoolWriter, MessagesThatGoTogetherLieInOneSegment) {
  FaultFiles disk;
  Rig rig{disk};
  rig.open_writer();
  const auto first = rig.wait(rig.send(std::string(40'000, 'x')));  // a segment has 64 KiB
  ASSERT_TRUE(first.ok());
  for (const std::size_t size : {20'000u, 50'000u}) {  // an ordinary one; and one that holds more than those do
    const auto r = rig.wait(send_together(rig, {std::string(size, 'a'), std::string(size, 'b')}));
    ASSERT_TRUE(r.ok()) << r.error().text;
    EXPECT_EQ((*r)[0].commit.segment, (*r)[1].commit.segment);
    EXPECT_NE((*r)[0].commit.segment, first->commit.segment);
    EXPECT_EQ(rig.body_of((*r)[1]), "Received: x\r\n" + std::string(size, 'b'));
  }
}

TEST(SpoolWriter, OfMessagesThatGoTogetherAFailureLeavesNone) {
  for (const auto op : {Op::Write, Op::Sync}) {
    FaultFiles disk;
    std::optional<Committed> first;
    {
      Rig rig{disk};
      rig.open_writer();
      const auto sent = rig.wait(rig.send("one"));
      ASSERT_TRUE(sent.ok());
      first = *sent;
      disk.fail(op, "/segments/" + file_name(first->commit.segment), 1, Status::Internal);
      const auto r = rig.wait(send_together(rig, {std::string(20'000, 'a'), "b", "c"}));
      ASSERT_FALSE(r.ok());
      EXPECT_EQ(r.error().status, Status::Defer);
      ASSERT_TRUE(rig.finish_journal());
      EXPECT_TRUE(rig.wait(send_together(rig, {"d", "e"})).ok());
    }
    Rig again{disk};
    ASSERT_FALSE(again.error);
    std::set<std::string> to;
    for (const auto &f : again.found) to.insert(f.envelope.recipients.at(0).address);
    EXPECT_EQ(to, (std::set<std::string>{"user@example.net", "d@example.net", "e@example.net"}));
  }
}

TEST(SpoolWriter, MessagesThatGoTogetherFailTogetherWhereNoSegmentHoldsThem) {
  FaultFiles disk;
  Rig rig{disk};
  rig.source.ordinary = true;
  rig.open_writer();
  ASSERT_TRUE(rig.wait(rig.send("x")).ok());
  EXPECT_FALSE(rig.wait(send_together(rig, {std::string(50'000, 'a'), std::string(50'000, 'b')})).ok());
  EXPECT_TRUE(rig.wait(rig.send("y")).ok());
}

// Whenever the power goes, what was answered is there, all of it.
TEST(SpoolWriter, OfMessagesThatGoTogetherNoneIsAnsweredBeforeAllSurviveAPowerCut) {
  int answered = 0, cut_short = 0;
  for (std::uint64_t step = 1; step <= 60; ++step) {
    FaultFiles disk;
    std::vector<Committed> messages;
    {
      Rig rig{disk};
      WriterOptions o;
      o.large_body = 20'000;
      rig.open_writer(o);
      ASSERT_TRUE(rig.wait(rig.send("x")).ok());
      disk.cut_after(step);
      const auto r = rig.wait(send_together(rig, {"a", std::string(30'000, 'b'), "c"}));
      if (r.ok()) messages = *r;
      ++(r.ok() ? answered : cut_short);
    }
    const auto after = disk.power_cut(step);
    Rig again{*after};
    ASSERT_FALSE(again.error) << again.error->text;
    std::set<MessageId> found;
    for (const auto &f : again.found) found.insert(f.message.id);
    for (const auto &message : messages) EXPECT_TRUE(found.contains(message.id)) << "step " << step;
  }
  EXPECT_GT(answered, 0);
  EXPECT_GT(cut_short, 0);
}

TEST(SpoolWriter, FailedSyncDefersItsSessionsAndTheNextCommitUsesAFreshSegment) {
  FaultFiles disk;
  Rig rig{disk};
  rig.open_writer();
  auto first = rig.wait(rig.send("one"));
  ASSERT_TRUE(first.ok());
  disk.fail(Op::Sync, "/segments/" + file_name(first->commit.segment), 1, Status::Internal);
  auto second = rig.wait(rig.send("two"));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().status, Status::Defer);
  ASSERT_FALSE(rig.source.seals.empty());
  EXPECT_EQ(rig.source.seals.front().first, first->commit.segment);
  EXPECT_GT(rig.source.seals.front().second, first->commit.offset);
  auto third = rig.wait(rig.send("three"));
  ASSERT_TRUE(third.ok());
  EXPECT_NE(third->commit.segment, first->commit.segment);
  EXPECT_NE(third->id, first->id);
  const auto after = disk.power_cut(0);
  Rig again{*after};
  std::set<MessageId> ids;
  for (const auto &f : again.found) ids.insert(f.message.id);
  EXPECT_TRUE(ids.contains(first->id));
  EXPECT_TRUE(ids.contains(third->id));
}

TEST(SpoolWriter, FullDiskDuringAWriteIsSaidToBeInsufficientStorage) {
  FaultFiles disk;
  Rig rig{disk};
  rig.open_writer();
  auto first = rig.wait(rig.send("one"));
  ASSERT_TRUE(first.ok());
  disk.fail(Op::Write, "/segments/" + file_name(first->commit.segment), 1, Status::Busy);
  auto second = rig.wait(rig.send("two"));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().status, Status::Busy);
  EXPECT_EQ(to_string(second.error().enhanced), "4.3.1");
  EXPECT_TRUE(rig.wait(rig.send("three")).ok());
}

TEST(SpoolWriter, ProcessDurabilityAnswersBeforeTheSync) {
  FaultFiles disk;
  Rig rig{disk};
  WriterOptions o;
  o.process_sync_interval = kMillisecond;
  rig.open_writer(o);
  ASSERT_TRUE(rig.wait(rig.send("x")).ok());
  const auto before = disk.count(Op::Sync, "/segments/");
  disk.fail(Op::Sync, "/segments/", 1, Status::Internal, true);
  EXPECT_TRUE(rig.wait(rig.send("y", Durability::Process)).ok());
  disk.heal();
  EXPECT_TRUE(rig.run_until([&] { return disk.count(Op::Sync, "/segments/") > before; }));
}

// It has had its 250, and no power was cut: as long as the page cache shows it, it is there.
TEST(SpoolWriter, ProcessDurabilityOutlivesAFailedSyncAndTheEndOfAnyProcess) {
  for (const bool synced_before : {false, true}) {
    SCOPED_TRACE(synced_before);
    FaultFiles disk;
    std::optional<Committed> message;
    {
      Rig rig{disk};
      WriterOptions o;
      o.process_sync_interval = kMillisecond;
      rig.open_writer(o);
      ASSERT_TRUE(rig.wait(rig.writer->reserve_id()).ok());
      ASSERT_TRUE(rig.run_until([&] { return rig.granted() == 2 && rig.store->usage().free_segments > 0; }));
      if (synced_before) {
        ASSERT_TRUE(rig.wait(rig.send("first")).ok());
      }
      disk.fail(Op::Sync, "/segments/", 1, Status::Internal);
      const auto r = rig.wait(rig.send("second", Durability::Process));
      ASSERT_TRUE(r.ok());
      message = *r;
      ASSERT_TRUE(rig.run_until([&] { return !rig.source.seals.empty(); }));
      for (int i = 0; i < 20; ++i) ASSERT_TRUE(rig.finish_journal());
      EXPECT_TRUE(rig.store->admit(*message));  // its notice comes after the word that its segment is given up
      EXPECT_EQ(rig.body_of(*message), "Received: x\r\nsecond");
      ASSERT_TRUE(rig.store->close_clean().ok());
    }
    Rig rig{disk};
    ASSERT_FALSE(rig.error);
    bool there = false;
    for (const auto &f : rig.found) there |= f.message.id == message->id;
    EXPECT_TRUE(there);
  }
}

TEST(SpoolWriter, GoesOnWithItsSpareWhileTheQueueProcessIsAway) {
  FaultFiles disk;
  Rig rig{disk};
  rig.open_writer();
  ASSERT_TRUE(rig.wait(rig.send("x")).ok());
  ASSERT_TRUE(rig.run_until([&] { return rig.granted() == 2; }));
  rig.source.leave();
  // One segment is in hand and one is spare: more than one segment's worth of mail still commits.
  int ok = 0;
  while (rig.wait(rig.send(std::string(9000, 'm'))).ok()) ++ok;
  EXPECT_EQ(ok, 9);
}

TEST(SpoolWriter, CloseSealsWhatItHolds) {
  FaultFiles disk;
  Rig rig{disk};
  rig.open_writer();
  auto r = rig.wait(rig.send("x"));
  ASSERT_TRUE(r.ok());
  rig.writer->close();
  ASSERT_TRUE(rig.run_until([&] {
    for (const auto &[segment, bad_from] : rig.source.seals) {
      if (segment == r->commit.segment && bad_from == 0) return true;
    }
    return false;
  }));
  EXPECT_FALSE(rig.wait(rig.send("y")).ok());
}

}  // namespace
}  // namespace mansio::spool
