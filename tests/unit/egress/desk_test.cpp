// The desk between a queue that the test plays and a transport that the test plays.
#include "kernel/egress/desk.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <set>

namespace mansio::egress {
namespace {

using wire::DeliveryStatus;

class NoLog final : public LogSink {
 public:
  void emit(LogLevel, std::string_view) override {}
};

class FakeTransport final : public host::TransportInstance {
 public:
  void start(const wire::Lease &lease, host::MessageSource message) override {
    started.push_back(lease);
    sources.push_back(std::move(message));
  }
  void cancel(std::uint64_t lease) override { cancelled.push_back(lease); }
  std::size_t in_flight() const override { return started.size(); }
  std::uint64_t misbehaviours() const override { return 0; }
  void stats(const host::StatsSink &) const override {}
  std::vector<wire::Lease> started;
  std::vector<host::MessageSource> sources;
  std::vector<std::uint64_t> cancelled;
};

wire::RecipientOutcome outcome(std::uint32_t index, DeliveryStatus status, std::string text = "") {
  wire::RecipientOutcome o;
  o.index = index;
  o.status = status;
  o.text = std::move(text);
  return o;
}

class DeskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    desk_.employ(&transport_);
    attach();
  }
  void TearDown() override {
    if (queue_) queue_->close();
    loop_.poll();
  }
  void attach() {
    auto pair = io::channel_pair();
    ASSERT_TRUE(pair.ok());
    queue_ = io::Channel::create(loop_, std::move(pair->first));
    queue_->start([this](io::Message &m) { receive(m); }, [](std::string_view) {});
    desk_.attach(io::Channel::create(loop_, std::move(pair->second)), [this] { ++lost_; });
    run();
  }
  void receive(io::Message &m) {
    if (m.type == wire::EgressHello::kType) hellos_.push_back(*decode<wire::EgressHello>(m.payload));
    if (m.type == wire::ForgetSegment::kType) missing_.push_back(*decode<wire::ForgetSegment>(m.payload));
    if (m.type == wire::Outcomes::kType) outcomes_.push_back(*decode<wire::Outcomes>(m.payload));
  }
  // Everything that can happen now has happened afterwards; a time instead would be too short on a busy machine.
  void run() {
    for (int idle = 0; idle < 3;) {
      loop_.restart();
      idle = loop_.poll() == 0 ? idle + 1 : 0;
    }
  }

  void segment(std::uint32_t number, std::uint32_t epoch, std::string_view bytes) {
    io::UniqueFd fd{::memfd_create("segment", MFD_CLOEXEC)};
    ASSERT_EQ(::write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    std::vector<io::UniqueFd> fds;
    fds.push_back(std::move(fd));
    queue_->send(wire::SegmentFd{number, epoch}, std::move(fds));
  }
  static wire::Lease lease(std::uint64_t number, std::size_t n_recipients = 1) {
    wire::Lease l;
    l.lease = number;
    l.id = MessageId{100 + number};
    for (std::uint32_t i = 0; i < n_recipients; ++i) l.recipients.push_back({10 + i, "r@example.com", "", "", 0});
    return l;
  }
  void give(const wire::Lease &l) {
    queue_->send(l);
    run();
  }

  asio::io_context loop_;
  SystemClock clock_;
  NoLog sink_;
  Logger log_{sink_, clock_, "test"};
  Desk desk_{loop_, log_, "smtp", 2};
  host::TransportInstance::Events transport_says_ = desk_.events();
  FakeTransport transport_;
  std::shared_ptr<io::Channel> queue_;
  std::vector<wire::EgressHello> hellos_;
  std::vector<wire::Outcomes> outcomes_;
  std::vector<wire::ForgetSegment> missing_;
  int lost_ = 0;
};

TEST_F(DeskTest, SaysWhatItIsFirst) {
  ASSERT_EQ(hellos_.size(), 1u);
  EXPECT_EQ(hellos_[0].transport, "smtp");
  EXPECT_EQ(hellos_[0].capacity, 2u);
  EXPECT_TRUE(hellos_[0].leases.empty());
}

TEST_F(DeskTest, GivesTheTransportTheMessagesBytes) {
  segment(3, 7, "0123456789");
  auto l = lease(1);
  l.slices = {{3, 7, 2, 4}};
  give(l);
  ASSERT_EQ(transport_.started.size(), 1u);
  queue_->send(wire::ForgetSegment{3, 7});
  run();
  const auto &slice = transport_.sources[0].slices.at(0);  // readable still: the delivery holds the descriptor
  char bytes[4];
  ASSERT_EQ(::pread(slice.fd, bytes, sizeof bytes, static_cast<off_t>(slice.offset)), 4);
  EXPECT_EQ(std::string_view(bytes, 4), "2345");
}

TEST_F(DeskTest, SaysWhichDescriptorDidNotArrive) {
  queue_->send(wire::SegmentFd{3, 7});  // as it looks when there was no room for it
  auto l = lease(1);
  l.slices = {{3, 7, 2, 4}};
  give(l);
  ASSERT_EQ(missing_.size(), 1u);
  EXPECT_EQ((std::pair{missing_[0].segment, missing_[0].epoch}), (std::pair{3u, 7u}));
  EXPECT_TRUE(transport_.started.empty());
  ASSERT_EQ(outcomes_.size(), 1u);
  EXPECT_TRUE(outcomes_[0].done);
}

TEST_F(DeskTest, ReportsEachRecipientAsItsReplyArrives) {
  give(lease(1, 3));
  transport_says_.recipient(1, outcome(1, DeliveryStatus::Sent));
  run();
  ASSERT_EQ(outcomes_.size(), 1u);
  EXPECT_FALSE(outcomes_[0].done);
  EXPECT_EQ(outcomes_[0].recipients, std::vector<std::uint32_t>{11});
  transport_says_.complete(1, outcome(0, DeliveryStatus::Deferred, "gone"), true, "");
  run();
  ASSERT_EQ(outcomes_.size(), 2u);
  EXPECT_TRUE(outcomes_[1].done);
  EXPECT_TRUE(outcomes_[1].site_failure);
  EXPECT_EQ(outcomes_[1].reason, "gone");
  EXPECT_EQ(outcomes_[1].recipients, (std::vector<std::uint32_t>{10, 12}));
  EXPECT_EQ(outcomes_[1].outcomes.at(1).index, 2u);
}

TEST_F(DeskTest, SaysOfWhatTheTransportWasNeverAskedThatItMeansNothing) {
  give(lease(1, 2));
  desk_.defer(1, outcome(0, DeliveryStatus::Deferred, "no table"));
  run();
  ASSERT_EQ(outcomes_.size(), 1u);
  EXPECT_TRUE(outcomes_[0].done);
  EXPECT_TRUE(outcomes_[0].no_feedback);
  EXPECT_FALSE(outcomes_[0].site_failure);
  EXPECT_EQ(outcomes_[0].outcomes.size(), 2u);
  EXPECT_EQ(desk_.running(), 0u);
}

TEST_F(DeskTest, SaysWhatAPolicyDecidedInThePlaceOfADelivery) {
  const auto decided = [&](wire::PolicyAction action) {
    outcomes_.clear();
    give(lease(1, 2));
    wire::PolicyWord word;
    word.action = action;
    word.policy = "policy.quota";
    word.retry = 5 * kSecond;
    word.text = "no";
    desk_.turn_away(1, word);
    desk_.turn_away(1, word);  // once is enough
    run();
    EXPECT_EQ(outcomes_.size(), 1u);
    queue_->send(wire::OutcomesAck{{1}});
    run();
    EXPECT_EQ(desk_.held(), 0u);
    EXPECT_EQ(desk_.running(), 0u);
    return outcomes_.empty() ? wire::Outcomes{} : outcomes_[0];
  };
  using wire::PolicyAction;
  const auto deferred = decided(PolicyAction::Defer);
  ASSERT_EQ(deferred.outcomes.size(), 2u);
  EXPECT_EQ(deferred.outcomes[1].status, DeliveryStatus::Deferred);
  EXPECT_EQ(deferred.outcomes[1].text, "no");
  EXPECT_TRUE(deferred.done && deferred.no_feedback);
  ASSERT_EQ(deferred.word.size(), 1u);
  EXPECT_EQ(deferred.word[0].retry, 5 * kSecond);
  EXPECT_EQ(decided(PolicyAction::Fail).outcomes.at(0).status, DeliveryStatus::Bounced);
  const auto discarded = decided(PolicyAction::Discard);
  EXPECT_EQ(discarded.outcomes.at(0).status, DeliveryStatus::Sent);
  EXPECT_EQ(discarded.outcomes.at(0).text, "discarded by policy.quota: no");
  EXPECT_TRUE(discarded.outcomes.at(0).relayed_dsn);
  for (const auto action : {PolicyAction::Hold, PolicyAction::Route}) {
    const auto o = decided(action);
    EXPECT_TRUE(o.done);
    EXPECT_TRUE(o.outcomes.empty());
    EXPECT_EQ(o.word.at(0).action, action);
  }
}

TEST_F(DeskTest, SaysWithItsLastWordWhereAConnectionStaysOpen) {
  give(lease(1, 2));
  transport_says_.recipient(1, outcome(0, DeliveryStatus::Sent));
  run();
  transport_says_.complete(1, outcome(0, DeliveryStatus::Sent), false, "example.com");
  run();
  ASSERT_EQ(outcomes_.size(), 2u);
  EXPECT_EQ(outcomes_[0].destination, "");
  EXPECT_TRUE(outcomes_[1].done);
  EXPECT_EQ(outcomes_[1].destination, "example.com");
}

TEST_F(DeskTest, SaysWithItsLastWordWithWhichProcessADeliveryEnded) {
  give(lease(1));
  give(lease(2));
  transport_says_.ended_with(1, 700);
  transport_says_.complete(1, outcome(0, DeliveryStatus::Uncertain), false, "");
  transport_says_.complete(2, outcome(0, DeliveryStatus::Sent), false, "");
  run();
  ASSERT_EQ(outcomes_.size(), 2u);
  EXPECT_EQ(outcomes_[0].ended_with, 700);
  EXPECT_EQ(outcomes_[1].ended_with, 0);
}

TEST_F(DeskTest, SaysInOneMessageWhatComesInOneTurn) {
  give(lease(1, 2));
  transport_says_.recipient(1, outcome(0, DeliveryStatus::Sent));
  transport_says_.recipient(1, outcome(1, DeliveryStatus::Bounced));
  transport_says_.complete(1, outcome(0, DeliveryStatus::Sent), false, "");
  run();
  ASSERT_EQ(outcomes_.size(), 1u);
  EXPECT_EQ(outcomes_[0].outcomes.size(), 2u);
  EXPECT_TRUE(outcomes_[0].done);
  EXPECT_EQ(desk_.counters().sent, 1u);
  EXPECT_EQ(desk_.counters().bounced, 1u);
}

TEST_F(DeskTest, SplitsOutcomesThatWouldNotFitAMessage) {
  give(lease(1, 200));
  transport_says_.complete(1, outcome(0, DeliveryStatus::Bounced, std::string(2000, 'x')), false, "");
  run();
  ASSERT_GT(outcomes_.size(), 1u);
  std::size_t n = 0;
  for (std::size_t i = 0; i < outcomes_.size(); ++i) {
    n += outcomes_[i].outcomes.size();
    EXPECT_EQ(outcomes_[i].done, i + 1 == outcomes_.size());
  }
  EXPECT_EQ(n, 200u);
}

TEST_F(DeskTest, PresentsLeasesAndOutcomesAgainUntilTheyAreAcknowledged) {
  give(lease(1));
  give(lease(2));
  transport_says_.complete(1, outcome(0, DeliveryStatus::Sent), false, "");
  run();
  ASSERT_EQ(outcomes_.size(), 1u);
  queue_->close();
  run();
  EXPECT_EQ(lost_, 1);
  EXPECT_FALSE(desk_.attached());
  transport_says_.complete(2, outcome(0, DeliveryStatus::Bounced), false, "");  // while there is no queue
  run();
  attach();
  ASSERT_EQ(hellos_.size(), 2u);
  EXPECT_THAT(hellos_[1].leases, ::testing::UnorderedElementsAre(1u, 2u));
  EXPECT_THAT(hellos_[1].messages, ::testing::UnorderedElementsAre(MessageId{101}, MessageId{102}));
  ASSERT_EQ(outcomes_.size(), 3u);
  EXPECT_TRUE(outcomes_[1].done);
  EXPECT_TRUE(outcomes_[2].done);
  queue_->send(wire::OutcomesAck{{1, 2, 99}});
  run();
  EXPECT_EQ(desk_.held(), 0u);
  attach();
  EXPECT_TRUE(hellos_[2].leases.empty());
  EXPECT_EQ(outcomes_.size(), 3u);
}

TEST_F(DeskTest, NamesEveryLeaseItHoldsInAsManyPartsAsThatTakes) {
  constexpr std::uint64_t kLeases = 8000;  // refused most of them, and so held until they are acknowledged
  for (std::uint64_t n = 1; n <= kLeases; ++n) ASSERT_TRUE(queue_->send(lease(n)));
  run();
  ASSERT_EQ(desk_.held(), kLeases);
  hellos_.clear();
  attach();
  ASSERT_GT(hellos_.size(), 1u);
  std::set<std::uint64_t> named;
  for (const auto &part : hellos_) {
    EXPECT_EQ(part.more, &part != &hellos_.back());
    EXPECT_EQ(part.leases.size(), part.messages.size());
    named.insert(part.leases.begin(), part.leases.end());
  }
  EXPECT_EQ(named.size(), kLeases);
}

TEST_F(DeskTest, RefusesLeasesBeyondItsCapacity) {
  for (std::uint64_t n : {1, 2, 3}) give(lease(n));
  EXPECT_EQ(transport_.started.size(), 2u);
  ASSERT_EQ(outcomes_.size(), 1u);
  EXPECT_EQ(outcomes_[0].lease, 3u);
  EXPECT_TRUE(outcomes_[0].done);
  EXPECT_TRUE(outcomes_[0].refused);
  EXPECT_TRUE(outcomes_[0].outcomes.empty());
  EXPECT_NE(outcomes_[0].reason, "");
}

TEST_F(DeskTest, DefersLeasesItCannotReadAndRefusesThoseWhoseDescriptorIsLost) {
  auto bytes = encode(lease(5));
  bytes.resize(bytes.size() - 3);
  queue_->send_raw(wire::Lease::kType, bytes);
  queue_->send_raw(wire::Lease::kType, "x");
  run();
  ASSERT_EQ(outcomes_.size(), 1u);
  EXPECT_EQ(outcomes_[0].lease, 5u);
  EXPECT_EQ(outcomes_[0].id, MessageId{105});
  EXPECT_FALSE(outcomes_[0].refused);  // it would come again at once, and be no better
  auto l = lease(6);
  l.slices = {{1, 1, 0, 1}};
  give(l);
  ASSERT_EQ(outcomes_.size(), 2u);
  EXPECT_EQ(outcomes_[1].lease, 6u);
  EXPECT_TRUE(outcomes_[1].refused);
  EXPECT_TRUE(transport_.started.empty());
}

TEST_F(DeskTest, PassesCancellationOn) {
  give(lease(1));
  queue_->send(wire::CancelLease{1});
  run();
  EXPECT_EQ(transport_.cancelled, std::vector<std::uint64_t>{1});
}

TEST_F(DeskTest, SaysThatWhatItGaveUpItselfWasNoAttempt) {
  give(lease(1, 2));
  give(lease(2));
  transport_says_.recipient(1, outcome(0, DeliveryStatus::Deferred, "lost connection"));
  run();
  ASSERT_EQ(outcomes_.size(), 1u);
  EXPECT_FALSE(outcomes_[0].interrupted);
  desk_.cancel_all();
  EXPECT_EQ(transport_.cancelled, (std::vector<std::uint64_t>{1, 2}));
  transport_says_.complete(1, outcome(0, DeliveryStatus::Uncertain, "cancelled"), false, "");
  transport_says_.complete(2, outcome(0, DeliveryStatus::Deferred, "cancelled"), false, "");
  run();
  ASSERT_EQ(outcomes_.size(), 3u);
  EXPECT_TRUE(outcomes_[1].interrupted);
  EXPECT_TRUE(outcomes_[2].interrupted);
}

TEST_F(DeskTest, WhatTheOtherEndSaysWhenItGivesUpIsAnAnswer) {
  give(lease(1));
  give(lease(2));
  desk_.cancel_all();
  auto busy = outcome(0, DeliveryStatus::Deferred, "busy");
  busy.smtp_code = 450;
  transport_says_.complete(1, busy, false, "");
  transport_says_.complete(2, outcome(0, DeliveryStatus::Sent), false, "");
  run();
  ASSERT_EQ(outcomes_.size(), 2u);
  EXPECT_FALSE(outcomes_[0].interrupted);
  EXPECT_FALSE(outcomes_[1].interrupted);
}

TEST_F(DeskTest, WhatTheQueueCancelsIsAnAttempt) {
  give(lease(1));
  queue_->send(wire::CancelLease{1});
  run();
  transport_says_.complete(1, outcome(0, DeliveryStatus::Deferred, "cancelled"), false, "");
  run();
  ASSERT_EQ(outcomes_.size(), 1u);
  EXPECT_FALSE(outcomes_[0].interrupted);
}

TEST_F(DeskTest, TakesNothingMoreOnceItGivesUp) {
  desk_.cancel_all();
  give(lease(1));
  EXPECT_TRUE(transport_.started.empty());
  ASSERT_EQ(outcomes_.size(), 1u);
  EXPECT_TRUE(outcomes_[0].refused);
}

TEST_F(DeskTest, IsDrainedWhenEveryOutcomeIsAcknowledged) {
  give(lease(1));
  bool idle = false;
  desk_.drain([&] { idle = true; });
  run();
  EXPECT_FALSE(idle);
  desk_.cancel_all();
  EXPECT_EQ(transport_.cancelled, std::vector<std::uint64_t>{1});
  transport_says_.complete(1, outcome(0, DeliveryStatus::Deferred), false, "");
  run();
  EXPECT_FALSE(idle);
  queue_->send(wire::OutcomesAck{{1}});
  run();
  EXPECT_TRUE(idle);
}

}  // namespace
}  // namespace mansio::egress
