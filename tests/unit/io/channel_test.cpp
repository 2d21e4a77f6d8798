// Channels between processes: order, descriptors, backpressure, and peers that end or send nonsense.
#include "kernel/io/channel.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

namespace mansio::io {
namespace {

struct Number {
  static constexpr std::uint16_t kType = 7;
  std::uint32_t n = 0;
  std::string filler;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.n, s.filler);
  }
};

class ChannelTest : public ::testing::Test {
 protected:
  void connect(ChannelLimits limits = {}) {
    auto pair = channel_pair();
    ASSERT_TRUE(pair.ok());
    raw_b_ = pair->second.get();
    a_ = Channel::create(loop_, std::move(pair->first), limits);
    b_ = Channel::create(loop_, std::move(pair->second), limits);
    a_->start([](Message &) {}, [this](std::string_view why) { a_closed_ = why; });
    b_->start([this](Message &m) { receive(m); }, [this](std::string_view why) { b_closed_ = why; });
  }
  void receive(Message &m) {
    ++received_;
    if (const auto number = decode<Number>(m.payload)) numbers_.push_back(number->n);
    for (auto &fd : m.fds) fds_.push_back(std::move(fd));
  }
  void TearDown() override {
    if (a_) a_->close();
    if (b_) b_->close();
    loop_.poll();
  }
  // Everything that can happen now has happened afterwards; a time instead would be too short on a busy machine.
  void run() {
    for (int idle = 0; idle < 3;) {
      loop_.restart();
      idle = loop_.poll() == 0 ? idle + 1 : 0;
    }
  }

  asio::io_context loop_;
  std::shared_ptr<Channel> a_, b_;
  int raw_b_ = -1;
  std::vector<std::uint32_t> numbers_;
  std::vector<UniqueFd> fds_;
  std::size_t received_ = 0;
  std::string a_closed_, b_closed_;
};

TEST_F(ChannelTest, DeliversMessagesInOrder) {
  connect();
  for (std::uint32_t i = 0; i < 1000; ++i) ASSERT_TRUE(a_->send(Number{i, {}}));
  run();
  ASSERT_EQ(numbers_.size(), 1000u);
  for (std::uint32_t i = 0; i < 1000; ++i) EXPECT_EQ(numbers_[i], i);
}

TEST_F(ChannelTest, PassesDescriptorsWithTheirMessage) {
  connect();
  std::vector<UniqueFd> fds;
  fds.emplace_back(::dup(2));
  ASSERT_TRUE(a_->send(Number{1, {}}));
  ASSERT_TRUE(a_->send(Number{2, {}}, std::move(fds)));
  ASSERT_TRUE(a_->send(Number{3, {}}));
  run();
  EXPECT_EQ(numbers_, (std::vector<std::uint32_t>{1, 2, 3}));
  EXPECT_EQ(fds_.size(), 1u);
}

// A process that ends closes its sockets, read or not; what it had sent counts (outcomes, for one).
TEST_F(ChannelTest, HearsWhatAPeerSaidBeforeItEndedEvenWhenItHadNotReadEverything) {
  auto pair = channel_pair();
  ASSERT_TRUE(pair.ok());
  a_ = Channel::create(loop_, std::move(pair->first));
  a_->start([](Message &) {}, [](std::string_view) {});
  b_ = Channel::create(loop_, std::move(pair->second));
  ASSERT_TRUE(a_->send(Number{1, {}}));
  loop_.poll();
  b_->start([this](Message &m) { receive(m); }, [this](std::string_view why) { b_closed_ = why; });
  b_->flush_now();  // lies unread at a: the kernel answers our next call with ECONNRESET
  a_->close();
  ASSERT_TRUE(b_->send(Number{2, {}}));  // and a write fails before we come to read
  b_->flush_now();
  run();
  EXPECT_EQ(numbers_, (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(b_closed_, "closed by peer");
}

TEST_F(ChannelTest, ReadsAllThatIsThereBeforeAnythingElseHasItsTurn) {
  connect();
  for (std::uint32_t i = 0; i < 8; ++i) {  // a frame each
    ASSERT_TRUE(a_->send(Number{i, {}}));
    a_->flush_now();
  }
  a_->close();
  while (numbers_.empty() && loop_.poll_one() != 0) continue;
  EXPECT_EQ(numbers_.size(), 8u);
}

TEST_F(ChannelTest, ReadsOneSmallFrameATurnWhereTheyComeOneByOne) {
  connect();
  b_->expect_one_by_one();
  for (std::uint32_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(a_->send(Number{i, {}}));
    a_->flush_now();
  }
  while (numbers_.empty() && loop_.poll_one() != 0) continue;
  EXPECT_EQ(numbers_.size(), 1u);
  run();
  EXPECT_EQ(numbers_.size(), 3u) << "none is forgotten";
}

TEST_F(ChannelTest, AnswersLeaveOnceTheFrameThatAskedIsDoneWith) {
  auto pair = channel_pair();
  ASSERT_TRUE(pair.ok());
  a_ = Channel::create(loop_, std::move(pair->first));
  b_ = Channel::create(loop_, std::move(pair->second));
  a_->start([this](Message &m) { receive(m); }, [](std::string_view) {});
  b_->start([this](Message &) { b_->send(Number{1, {}}); }, [](std::string_view) {});
  a_->send(Number{0, {}});
  a_->send(Number{0, {}});
  a_->flush_now();
  const auto waiting = [this] { return b_->queued_bytes(); };
  while (waiting() == 0 && numbers_.empty() && loop_.poll_one() != 0) continue;
  EXPECT_EQ(waiting(), 0u) << "both are on their way";
  run();
  EXPECT_EQ(numbers_.size(), 2u);
}

TEST_F(ChannelTest, SaysFalseWhenThePeerDoesNotRead) {
  connect({.queue_bytes = 256 * 1024, .window = 1024 * 1024});
  b_->pause();
  std::uint32_t sent = 0;
  for (int round = 0; round < 100; ++round) {
    while (a_->send(Number{sent, std::string(1000, 'x')})) ++sent;
    loop_.restart();
    loop_.poll();
  }
  EXPECT_LT(sent, 3000u);  // window + queue, not everything
  EXPECT_FALSE(a_->send(Number{sent, std::string(1000, 'x')}));
  b_->resume();
  run();
  EXPECT_EQ(numbers_.size(), sent);  // nothing accepted was lost
  EXPECT_TRUE(a_->send(Number{sent, {}}));
}

TEST_F(ChannelTest, RefusesAMessageLargerThanAFrame) {
  connect();
  EXPECT_FALSE(a_->send(Number{1, std::string(kMaxFrame, 'x')}));
  EXPECT_TRUE(a_->open());
}

TEST_F(ChannelTest, ClosesOnAMalformedFrame) {
  connect();
  run();
  ASSERT_EQ(::send(raw_b_, "garbage!", 8, 0), 8);
  run();
  EXPECT_NE(a_closed_, "");
  EXPECT_FALSE(a_->open());
}

TEST_F(ChannelTest, TellsWhenThePeerIsGone) {
  connect();
  run();
  a_->close();
  run();
  EXPECT_EQ(b_closed_, "closed by peer");
}

// A channel and whoever handles its messages hold each other, until it is closed: also if its loop ends right then.
TEST(Channel, WhatItsHandlersHoldIsFreedWithTheLoop) {
  std::weak_ptr<Channel> seen;
  {
    asio::io_context loop{1};
    auto pair = channel_pair();
    ASSERT_TRUE(pair.ok());
    auto channel = Channel::create(loop, std::move(pair->first));
    channel->start([channel](Message &) {}, [channel](std::string_view) {});
    seen = channel;
    channel->close();
  }
  EXPECT_TRUE(seen.expired());
}

TEST(ParseFrame, RefusesAnotherProtocolVersion) {
  FrameHeader header{};
  std::string frame;
  Encoder{frame}(std::uint8_t{0xA5}, std::uint8_t{kProtocolVersion + 1}, std::uint16_t{0}, std::uint32_t{0});
  EXPECT_FALSE(parse_frame(frame, header, [](auto, auto, auto) {}));
}

}  // namespace
}  // namespace mansio::io
