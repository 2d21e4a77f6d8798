// The ingress's side of its channel to the queue: segments ahead of need, notices that are numbered, and life while the
// queue is away.
#include "kernel/ingress/queue_link.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <vector>

namespace mansio::ingress {
namespace {

class QueueLinkTest : public ::testing::Test {
 protected:
  struct Sink final : LogSink {
    void emit(LogLevel, std::string_view) override {}
  };
  void settle() {
    for (int idle = 0; idle < 3;) {
      loop.restart();
      idle = loop.poll() == 0 ? idle + 1 : 0;
    }
  }
  void attach() {
    auto pair = io::channel_pair();
    ASSERT_TRUE(pair.ok());
    queue = io::Channel::create(loop, std::move(pair->second));
    queue->start(
        [this](io::Message &m) {
          if (m.type == wire::SegmentRequest::kType) requests.push_back(*decode<wire::SegmentRequest>(m.payload));
          if (m.type == wire::WriterHello::kType) hellos.push_back(*decode<wire::WriterHello>(m.payload));
          if (m.type == wire::SegmentSealed::kType) seals.push_back(*decode<wire::SegmentSealed>(m.payload));
          if (m.type == wire::Notice::kType) notices.push_back(*decode<wire::Notice>(m.payload));
        },
        [](std::string_view) {});
    link.attach(io::Channel::create(loop, std::move(pair->first)));
    settle();
  }
  void grant(std::uint32_t segment) {
    ASSERT_FALSE(requests.empty());
    wire::SegmentReply reply;
    reply.request = requests.back().request;
    requests.pop_back();
    reply.segment = segment;
    reply.epoch = 100 + segment;
    reply.size = 1 << 20;
    std::vector<io::UniqueFd> fds;
    fds.emplace_back(::open("/dev/null", O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(queue->send(reply, std::move(fds)));
    settle();
  }
  void ask(std::uint64_t least = 0) {
    asio::co_spawn(loop, take(least), asio::detached);
    settle();
  }
  Task<void> take(std::uint64_t least) {
    const auto grant = co_await link.next(least);
    if (grant)
      granted.push_back(grant->segment);
    else
      errors.push_back(grant.error().text);
  }
  void TearDown() override {
    queue.reset();
    settle();
  }

  asio::io_context loop{1};
  SystemClock clock;
  Sink sink;
  Logger log{sink, clock, "ingress.0"};
  QueueLink link{loop, log};
  std::shared_ptr<io::Channel> queue;
  std::vector<wire::SegmentRequest> requests;
  std::vector<wire::WriterHello> hellos;
  std::vector<wire::SegmentSealed> seals;
  std::vector<wire::Notice> notices;
  std::vector<std::uint32_t> granted;
  std::vector<std::string> errors;
};

TEST_F(QueueLinkTest, FetchesASpareAheadOfNeedAndAnotherWhenItIsTaken) {
  attach();
  ASSERT_EQ(requests.size(), 1u);
  grant(1);
  EXPECT_TRUE(link.spare());
  ask();
  EXPECT_EQ(granted, std::vector<std::uint32_t>{1});
  ASSERT_EQ(requests.size(), 1u);
  grant(2);
  EXPECT_TRUE(link.spare());
}

TEST_F(QueueLinkTest, GivesTheSpareWhileTheQueueIsAway) {
  attach();
  grant(1);
  queue->close();
  settle();
  EXPECT_FALSE(link.attached());
  ask();
  EXPECT_EQ(granted, std::vector<std::uint32_t>{1});
}

TEST_F(QueueLinkTest, ALargeBodyTakesTheSpareOnlyWhileTheQueueIsAway) {
  attach();
  grant(1);
  ask(5000);
  EXPECT_TRUE(granted.empty());
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].least, 5000u);
  grant(2);
  EXPECT_EQ(granted, std::vector<std::uint32_t>{2});
  queue->close();
  settle();
  ask(5000);
  EXPECT_EQ(granted, (std::vector<std::uint32_t>{2, 1}));
}

TEST_F(QueueLinkTest, WaitsForTheQueuesReturnWhenThereIsNoSpare) {
  ask();
  EXPECT_TRUE(granted.empty());
  EXPECT_TRUE(errors.empty());
  attach();
  ASSERT_EQ(requests.size(), 2u);  // the waiting one, and a spare
  grant(1);
  grant(2);
  EXPECT_EQ(granted.size(), 1u);
  EXPECT_TRUE(link.spare());
}

TEST_F(QueueLinkTest, NamesItsSegmentsWhenItAttachesAgain) {
  attach();
  grant(1);
  ask();
  grant(2);
  queue->close();
  settle();
  link.sealed(1, 101, 0);
  attach();
  ASSERT_EQ(hellos.size(), 2u);
  EXPECT_TRUE(hellos[0].segments.empty());
  EXPECT_EQ(hellos[1].segments.size(), 2u);  // the spare, and the one sealed meanwhile
  ASSERT_EQ(seals.size(), 1u);
  EXPECT_EQ(seals[0].segment, 1u);
}

TEST_F(QueueLinkTest, TheEndOfAChannelThatWasReplacedIsNotThatOfTheNewOne) {
  attach();
  const auto old = queue;
  attach();
  old->close();
  settle();
  EXPECT_FALSE(link.refusal());
}

TEST_F(QueueLinkTest, SaysFromWhereASegmentSealedWhileTheQueueWasAwayIsBad) {
  attach();
  grant(1);
  ask();
  queue->close();
  settle();
  link.sealed(1, 101, 8192);
  attach();
  ASSERT_EQ(seals.size(), 1u);
  EXPECT_EQ(seals[0].segment, 1u);
  EXPECT_EQ(seals[0].bad_from, 8192u);
  // Whoever was told may have been killed since.
  queue->close();
  settle();
  attach();
  ASSERT_EQ(hellos.size(), 3u);
  ASSERT_EQ(hellos[2].given_up.size(), 1u);
  EXPECT_EQ(hellos[2].given_up[0].bad_from, 8192u);
}

TEST_F(QueueLinkTest, NumbersItsNotices) {
  attach();
  link.committed(spool::Committed{MessageId{1}, {}, {}, {}}, Envelope{});
  link.committed(spool::Committed{MessageId{2}, {}, {}, {}}, Envelope{});
  settle();
  ASSERT_EQ(notices.size(), 2u);
  EXPECT_EQ(notices[0].sequence, 1u);
  EXPECT_EQ(notices[1].sequence, 2u);
  EXPECT_FALSE(notices[0].envelope_bytes.empty());
}

TEST_F(QueueLinkTest, SlowsDownTheClientsThatTheQueueNamesAndThenAll) {
  Client heavy, other;
  heavy.network = "[2001:db8::]/84";
  other.network = "192.0.2.1/32";
  wire::Pressure pressure;
  pressure.brake = 1;
  pressure.heavy = {"198.51.100.0/24", "[2001:db8::]/84"};
  attach();
  ASSERT_TRUE(queue->send(pressure));
  settle();
  EXPECT_TRUE(link.slows(heavy));
  EXPECT_FALSE(link.slows(other));
  pressure.brake = 2;
  ASSERT_TRUE(queue->send(pressure));
  settle();
  EXPECT_TRUE(link.slows(other));
}

TEST_F(QueueLinkTest, RefusesNewMailUnderPressureOrWithoutAQueue) {
  ASSERT_TRUE(link.refusal());
  EXPECT_EQ(link.refusal()->code, 451);
  attach();
  EXPECT_FALSE(link.refusal());
  ASSERT_TRUE(queue->send(wire::Pressure{false, true, 452, {4, 3, 1}, "no space"}));
  settle();
  ASSERT_TRUE(link.refusal());
  EXPECT_EQ(to_string(*link.refusal()), "452 4.3.1 no space");
  EXPECT_TRUE(link.disk_full());
  ASSERT_TRUE(queue->send(wire::Pressure{}));
  settle();
  EXPECT_FALSE(link.refusal());
}

TEST_F(QueueLinkTest, HandsAnUnusedSpareBackWhenItCloses) {
  attach();
  grant(7);
  link.close();
  settle();
  ASSERT_EQ(seals.size(), 1u);
  EXPECT_EQ(seals[0].segment, 7u);
}

// Only once the queue has it on disk does it say so; a message is not given to a store before.
TEST_F(QueueLinkTest, KnowsTheSpoolsNameOnceTheQueueSaysIt) {
  attach();
  EXPECT_EQ(link.spool(), 0u);
  ASSERT_TRUE(queue->send(wire::SpoolName{77}));
  settle();
  EXPECT_EQ(link.spool(), 77u);
}

}  // namespace
}  // namespace mansio::ingress
