// A writer that outlives the queue process goes on while the next one looks at what it fills, and may end before it has
// said a word.
#include <memory>
#include <utility>

#include "kernel/spool/segment.hpp"
#include "tests/unit/spool/spool_rig.hpp"

namespace mansio::spool {
namespace {

using test::FaultFiles;
using test::Op;

class LivingWriter : public ::testing::Test {
 protected:
  void begin(StoreOptions options = Rig::small()) {
    old_ = std::make_unique<Rig>(disk_, options);
    ASSERT_FALSE(old_->error);
    WriterOptions o;
    o.large_body = 100'000;
    old_->open_writer(o);
  }
  void end_queue() {
    old_->source.leave();
    old_->poll();
    old_->store.reset();
  }
  void kill_writer() {
    draft_.reset();
    old_->writer.reset();
    old_->poll();
  }
  // All of its body is in its segment, but for the trace headers.
  void write_large() {
    const auto id = old_->wait(old_->writer->reserve_id());
    ASSERT_TRUE(id.ok());
    id_ = *id;
    draft_ = old_->writer->begin();
    ASSERT_TRUE(old_->wait(draft_->append(std::string(400'000, 'L'))).ok());
    for (const auto &path : disk_.paths("/spool/segments/")) {
      const auto header = parse_header(disk_.content(path));
      if (header && header->kind == FileKind::LargeBody) large_ = path;
    }
  }
  void commit_large() {
    const auto envelope = envelope_to("a@example.net");
    auto task = old_->writer->commit(id_, "X: y\r\n", std::move(draft_), envelope, Durability::Power);
    const auto r = old_->wait(std::move(task));
    ASSERT_TRUE(r.ok()) << r.error().text;
    message_ = *r;
    for (int i = 0; i < 10; ++i) old_->poll();
  }
  std::vector<MessageId> look_again(Rig &rig, const Store::Named &named) {
    std::vector<MessageId> ids;
    bool over = false;
    rig.store->look_again(
        named,
        [&](const Committed &message, const Envelope &) {
          rig.store->admit(message);
          ids.push_back(message.id);
        },
        [&] { over = true; });
    EXPECT_TRUE(rig.run_until([&] { return over; }));
    return ids;
  }
  const std::string body_ = "X: y\r\n" + std::string(400'000, 'L');

  FaultFiles disk_;
  std::unique_ptr<Rig> old_;
  std::unique_ptr<Draft> draft_;
  MessageId id_;
  std::string large_;  // file of the large body
  std::optional<Committed> message_;
};

// Its COMMIT is written when that segment was looked at, and its body's was not.
TEST_F(LivingWriter, CommitsALargeBodyWhileMailIsBeingFound) {
  begin();
  const auto small = old_->wait(old_->send("small"));
  ASSERT_TRUE(small.ok());
  write_large();
  end_queue();
  disk_.before_read(large_, kFirstRecord, [this] { commit_large(); });
  Rig rig{disk_};
  ASSERT_FALSE(rig.error);
  ASSERT_TRUE(message_);
  ASSERT_EQ(rig.found.size(), 1u);  // the small one
  rig.store->admit(rig.found[0].message);
  EXPECT_EQ(rig.scan(message_->commit, true), std::vector{id_});  // the writer attaches
  EXPECT_EQ(rig.body_of(*message_), body_);
}

TEST_F(LivingWriter, LeavesItsMailToASecondLookIfItDiesBeforeItHasSaidAWord) {
  begin();
  write_large();
  end_queue();
  disk_.before_read(large_, kFirstRecord, [this] { commit_large(); });
  Rig rig{disk_};
  ASSERT_FALSE(rig.error);
  ASSERT_TRUE(message_);
  EXPECT_TRUE(rig.found.empty());
  kill_writer();
  EXPECT_EQ(look_again(rig, {}), std::vector{id_});
  ASSERT_TRUE(rig.finish_journal());
  EXPECT_EQ(rig.body_of(*message_), body_);
  rig.done(*message_);
  EXPECT_TRUE(rig.run_until([&] { return disk_.paths(large_).empty(); }));
}

TEST_F(LivingWriter, KeepsALargeBodyThatItMayYetCommitAndADeadOneDoesNot) {
  for (const bool lives : {true, false}) {
    begin();
    write_large();
    end_queue();
    const auto header = parse_header(disk_.content(large_));
    ASSERT_TRUE(header.ok());
    {
      Rig rig{disk_};
      ASSERT_FALSE(rig.error);
      if (!lives) kill_writer();
      Store::Named named;
      if (lives) named.insert({header->number, header->epoch});
      EXPECT_TRUE(look_again(rig, named).empty());
      if (lives) {
        ASSERT_TRUE(rig.finish_journal());
        EXPECT_EQ(disk_.paths(large_).size(), 1u);
      } else {
        EXPECT_TRUE(rig.run_until([&] { return disk_.paths(large_).empty(); }));
      }
      if (lives) kill_writer();
    }
    old_.reset();
  }
}

// What was found beside it may be in the page cache only, as it had an error of sync, and died before it said so.
TEST_F(LivingWriter, LeavesWhatIsKnownAlreadyToBeMadeStableWhenItIsDead) {
  begin();
  ASSERT_TRUE(old_->wait(old_->send("stable")).ok());
  end_queue();
  disk_.fail(Op::Sync, "segments/", 1, Status::Internal);
  ASSERT_FALSE(old_->wait(old_->send("in the page cache")).ok());
  {
    Rig rig{disk_};
    ASSERT_EQ(rig.found.size(), 2u);
    for (const auto &f : rig.found) rig.store->admit(f.message);
    kill_writer();
    bool over = false;
    rig.store->scan(
        rig.found[0].message.commit.segment, rig.found[0].message.commit.epoch, true,
        [](const Committed &, const Envelope &) {}, [&](const Result<void> &) { over = true; });
    ASSERT_TRUE(rig.run_until([&] { return over; }));
  }
  old_.reset();
  const auto after = disk_.power_cut(0);
  Rig rig{*after};
  EXPECT_EQ(rig.found.size(), 2u);
}

// It goes on in a segment of which the queue process can read nothing, and dies.
TEST_F(LivingWriter, LeavesALargeBodyThatIsCommittedWhereNobodyCanLook) {
  begin();
  const auto small = old_->wait(old_->send("small"));
  ASSERT_TRUE(small.ok());
  write_large();
  end_queue();
  const auto header = parse_header(disk_.content(large_));
  ASSERT_TRUE(header.ok());
  disk_.fail(Op::Read, segment_file(small->commit.segment), 1, Status::Internal, true);
  {
    Rig rig{disk_};
    ASSERT_FALSE(rig.error);
    EXPECT_TRUE(rig.found.empty());
    commit_large();
    kill_writer();
    rig.store->orphaned(header->number, header->epoch);
    ASSERT_TRUE(rig.finish_journal());
    for (int i = 0; i < 20; ++i) rig.poll();
    EXPECT_EQ(disk_.paths(large_).size(), 1u);
  }
  old_.reset();
  disk_.heal();
  Rig rig{disk_};
  ASSERT_EQ(rig.found.size(), 2u);
  EXPECT_EQ(rig.body_of(*message_), body_);
}

TEST_F(LivingWriter, IsNotTakenForDamageWhileItWrites) {
  auto options = Rig::small();
  options.segment_size = 4 << 20;
  begin(options);
  const auto first = old_->wait(old_->send(std::string(20'000, 'x')));
  ASSERT_TRUE(first.ok());
  end_queue();
  // When what was written last was read, and what comes after it is read anew.
  disk_.before_read(segment_file(first->commit.segment), kFirstRecord + kPage, [this] {
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(old_->wait(old_->send(std::string(20'000, 'y'))).ok());
  });
  Rig rig{disk_, options};
  ASSERT_FALSE(rig.error);
  EXPECT_EQ(rig.recovered.corrupt_records, 0u);
  EXPECT_FALSE(rig.sink.said("damaged"));
  EXPECT_TRUE(disk_.paths("/spool/corrupt/").empty());
  for (const auto &f : rig.found) rig.store->admit(f.message);
  EXPECT_EQ(rig.found.size() + rig.scan(first->commit).size(), 3u);
}

}  // namespace
}  // namespace mansio::spool
