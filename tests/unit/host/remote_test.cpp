// A plugin in a process of its own, as its user sees it: the test plays that process at the other end of the channel.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <deque>
#include <map>
#include <optional>
#include <type_traits>

#include "kernel/host/large.hpp"
#include "kernel/host/remote.hpp"
#include "tests/unit/host/host_rig.hpp"

namespace mansio::host {
namespace {

using io::TableAnswer;
using Outcome = TableAnswer::Outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using wire::DeliveryStatus;

// The far end: keeps what arrives.
struct FarPlugin {
  std::shared_ptr<io::Channel> channel;
  std::deque<wire::LookupCall> calls;
  std::deque<wire::Lease> leases;
  std::deque<io::UniqueFd> fds;
  std::deque<std::uint64_t> cancelled;

  FarPlugin(asio::io_context &loop, io::UniqueFd socket) : channel(io::Channel::create(loop, std::move(socket))) {
    channel->start(
        [this](io::Message &m) {
          if (m.type == wire::LookupCall::kType) calls.push_back(*decode<wire::LookupCall>(m.payload));
          if (m.type == wire::DeliveryCancel::kType)
            cancelled.push_back(decode<wire::DeliveryCancel>(m.payload)->lease);
          if (m.type == wire::Lease::kType) {
            leases.push_back(*decode<wire::Lease>(m.payload));
            fds.push_back(std::move(m.fds.at(0)));
          }
        },
        [](std::string_view) {});
  }
  ~FarPlugin() { channel->close(); }
};

class RemoteTest : public HostTest {
 protected:
  std::int32_t pid_ = 500;  // of the latest far end

  template <class Remote>
  std::unique_ptr<FarPlugin> connect(Remote &remote) {
    auto pair = io::channel_pair();
    EXPECT_TRUE(pair.ok());
    auto far = std::make_unique<FarPlugin>(loop_, std::move(pair->first));
    auto near = io::Channel::create(loop_, std::move(pair->second));
    if constexpr (std::is_same_v<Remote, RemoteTransport>)
      remote.attach(std::move(near), ++pid_);
    else
      remote.attach(std::move(near));
    return far;
  }
};

class RemoteLookupTest : public RemoteTest {
 protected:
  void ask(const std::string &key, Nanos within = 60 * kSecond) {
    remote_.lookup(key, within, [this, key](const TableAnswer &a) { answers_[key] = a; });
  }
  RemoteLookup remote_{loop_, clock_, "users", 3};
  std::map<std::string, TableAnswer> answers_;
};

TEST_F(RemoteLookupTest, BringsTheAnswerOfTheOtherProcess) {
  const auto far = connect(remote_);
  ask("a");
  ask("b");
  ASSERT_TRUE(until([&] { return far->calls.size() == 2; }));
  EXPECT_EQ(far->calls[0].key, "a");
  far->channel->send(wire::LookupResult{far->calls[1].number, 1, {}, "", false, 0});
  far->channel->send(wire::LookupResult{far->calls[0].number, 0, {"v"}, "", false, 7});
  far->channel->send(wire::LookupResult{far->calls[0].number, 0, {"again"}, "", false, 7});
  ASSERT_TRUE(until([&] { return answers_.size() == 2; }));
  EXPECT_THAT(answers_["a"].values, ElementsAre("v"));
  EXPECT_EQ(answers_["a"].ttl, 7);
  EXPECT_EQ(answers_["b"].outcome, Outcome::NotFound);
}

TEST_F(RemoteLookupTest, BringsAnAnswerThatIsLargerThanAFrame) {
  const auto far = connect(remote_);
  ask("many");
  ASSERT_TRUE(until([&] { return far->calls.size() == 1; }));
  const std::vector<std::string> members(3000, "somebody.with.a.long.name@somewhere.example");
  EXPECT_TRUE(send_any(*far->channel, wire::LookupResult{far->calls[0].number, 0, members, "", false, 0}));
  ASSERT_TRUE(until([&] { return answers_.size() == 1; }));
  EXPECT_EQ(answers_["many"].values, members);
}

TEST_F(RemoteLookupTest, TakesNoMoreThanAnAnswerMayHave) {
  const auto far = connect(remote_);
  ask("many");
  ASSERT_TRUE(until([&] { return far->calls.size() == 1; }));
  const std::vector<std::string> much(20'000, "x");
  EXPECT_TRUE(send_any(*far->channel, wire::LookupResult{far->calls[0].number, 0, much, "", false, 0}));
  ASSERT_TRUE(until([&] { return answers_.size() == 1; }));
  EXPECT_EQ(answers_["many"].outcome, Outcome::TryLater);
  EXPECT_TRUE(answers_["many"].values.empty());
}

TEST_F(RemoteLookupTest, MakesAReasonOneLineThatIsNotTooLong) {
  const auto far = connect(remote_);
  ask("a");
  ASSERT_TRUE(until([&] { return far->calls.size() == 1; }));
  const auto odd = "no server\r\nX-Field: " + std::string(100'000, 'x');
  EXPECT_TRUE(send_any(*far->channel, wire::LookupResult{far->calls[0].number, 2, {}, odd, true, 0}));
  ASSERT_TRUE(until([&] { return answers_.size() == 1; }));
  EXPECT_THAT(answers_["a"].text, ::testing::StartsWith("no server  X-Field: xx"));
  EXPECT_EQ(answers_["a"].text.size(), 2048u);
}

TEST_F(RemoteLookupTest, FailsAtOnceWithoutAProcessAndWhenItEnds) {
  ask("before");
  EXPECT_EQ(answers_["before"].outcome, Outcome::TryLater);
  EXPECT_TRUE(answers_["before"].failed);
  auto far = connect(remote_);
  ask("during");
  ASSERT_TRUE(until([&] { return far->calls.size() == 1; }));
  far.reset();
  ASSERT_TRUE(until([&] { return answers_.contains("during"); }));
  EXPECT_THAT(answers_["during"].text, HasSubstr("process ended"));
  far = connect(remote_);
  ask("after");
  ASSERT_TRUE(until([&] { return far->calls.size() == 1; }));
}

TEST_F(RemoteLookupTest, EndsAtItsDeadlineWhateverTheOtherProcessDoes) {
  const auto far = connect(remote_);
  ask("k", kMillisecond);
  ASSERT_TRUE(until([&] { return answers_.contains("k"); }));
  EXPECT_EQ(answers_["k"].text, "time limit exceeded");
}

TEST_F(RemoteLookupTest, RefusesMoreThanMayBeUnderWay) {
  const auto far = connect(remote_);
  for (const auto *key : {"1", "2", "3", "4"}) ask(key);
  EXPECT_EQ(answers_.size(), 1u);
  EXPECT_THAT(answers_["4"].text, HasSubstr("too much to do"));
}

class RemoteTransportTest : public RemoteTest {
 protected:
  RemoteTransportTest() {
    TransportInstance::Events events;
    events.recipient = [this](std::uint64_t, const wire::RecipientOutcome &o) { recipients_.push_back(o.index); };
    events.complete = [this](std::uint64_t lease, const wire::RecipientOutcome &last, bool, const std::string &) {
      EXPECT_TRUE(done_.emplace(lease, last).second) << "completed twice";
    };
    events.ended_with = [this](std::uint64_t lease, std::int32_t pid) {
      EXPECT_FALSE(done_.contains(lease)) << "told too late";
      ended_with_[lease] = pid;
    };
    remote_.emplace(loop_, clock_, log_, "smtp", std::move(events));
    source_ = ::memfd_create("spool", MFD_CLOEXEC);
    EXPECT_EQ(::write(source_, "other mail|Subject: x\r\n\r\nbody\r\n|more", 36), 36);
  }
  ~RemoteTransportTest() override { ::close(source_); }
  void start(std::uint64_t number, Nanos within = 60 * kSecond) {
    wire::Lease lease;
    lease.lease = number;
    lease.id = MessageId{1000 + number};
    lease.deadline = clock_.mono() + within;
    lease.recipients.push_back({0, "a@example.com", "", "", 0});
    lease.recipients.push_back({1, "b@example.com", "", "", 0});
    remote_->start(lease, {{{sizeof(mansio_slice), source_, 11, 12}, {sizeof(mansio_slice), source_, 23, 8}}, nullptr});
  }
  int source_ = -1;
  std::vector<std::uint32_t> recipients_;
  std::map<std::uint64_t, wire::RecipientOutcome> done_;
  std::map<std::uint64_t, std::int32_t> ended_with_;
  std::optional<RemoteTransport> remote_;
};

TEST_F(RemoteTransportTest, GivesTheOtherProcessOneMessageThatNobodyCanChange) {
  const auto far = connect(*remote_);
  start(1);
  ASSERT_TRUE(until([&] { return far->fds.size() == 1; }));
  char bytes[64];
  const int fd = far->fds[0].get();
  const auto n = ::pread(fd, bytes, sizeof bytes, 0);
  EXPECT_EQ((std::string{bytes, static_cast<std::size_t>(n)}), "Subject: x\r\n\r\nbody\r\n");
  EXPECT_EQ(::fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  EXPECT_LT(::pwrite(fd, "X", 1, 0), 0);
}

TEST_F(RemoteTransportTest, PassesOutcomesOnEachOnce) {
  const auto far = connect(*remote_);
  start(1);
  ASSERT_TRUE(until([&] { return far->leases.size() == 1; }));
  wire::RecipientOutcome sent;
  sent.status = DeliveryStatus::Sent;
  far->channel->send(wire::DeliveryRecipient{1, sent});
  far->channel->send(wire::DeliveryRecipient{1, sent});
  auto bad = sent;
  bad.index = 9;
  far->channel->send(wire::DeliveryRecipient{1, bad});
  far->channel->send(wire::DeliveryDone{1, sent, false, ""});
  far->channel->send(wire::DeliveryDone{1, sent, false, ""});
  ASSERT_TRUE(until([&] { return done_.contains(1); }));
  EXPECT_THAT(recipients_, ElementsAre(0u));
  EXPECT_EQ(done_[1].status, DeliveryStatus::Sent);
}

TEST_F(RemoteTransportTest, MakesAnOutcomeThatBreaksTheRulesOneThatDoesNot) {
  const auto far = connect(*remote_);
  start(1);
  start(2);
  ASSERT_TRUE(until([&] { return far->leases.size() == 2; }));
  wire::RecipientOutcome odd;
  odd.status = static_cast<DeliveryStatus>(77);
  far->channel->send(wire::DeliveryDone{1, odd, false, ""});
  odd.status = DeliveryStatus::Bounced;
  odd.smtp_code = 7;
  odd.enhanced = {2, 1, 4000};
  odd.text = "no such user\r\nX-Field: " + std::string(30'000, 'x');
  odd.relay = std::string(10'000, 'y');
  odd.connect_ns = odd.retry_ns = -1;
  far->channel->send(wire::DeliveryDone{2, odd, false, ""});
  ASSERT_TRUE(until([&] { return done_.size() == 2; }));
  EXPECT_EQ(done_[1].status, DeliveryStatus::Uncertain);
  EXPECT_TRUE(done_[1].plugin_failed);
  const auto &made = done_[2];
  EXPECT_EQ(made.status, DeliveryStatus::Bounced);
  EXPECT_EQ(made.smtp_code, 0);
  EXPECT_EQ(to_string(made.enhanced), "5.0.0");
  EXPECT_THAT(made.text, ::testing::StartsWith("no such user  X-Field: xx"));
  EXPECT_EQ(made.text.size(), 2048u);
  EXPECT_EQ(made.relay.size(), 512u);
  EXPECT_EQ(made.connect_ns, 0);
  EXPECT_EQ(made.retry_ns, 0);
}

TEST_F(RemoteTransportTest, IsUncertainOfWhatWasUnderWayWhenTheProcessEnded) {
  auto far = connect(*remote_);
  start(1);
  ASSERT_TRUE(until([&] { return far->leases.size() == 1; }));
  far.reset();
  ASSERT_TRUE(until([&] { return done_.contains(1); }));
  EXPECT_EQ(done_[1].status, DeliveryStatus::Uncertain);
  EXPECT_TRUE(done_[1].plugin_failed);
  EXPECT_EQ(ended_with_[1], 501);
  far = connect(*remote_);
  start(2);
  ASSERT_TRUE(until([&] { return far->leases.size() == 1; }));
  const auto next = connect(*remote_);  // which says that the one before is gone
  EXPECT_EQ(ended_with_[2], 502);
  start(3);
  ASSERT_TRUE(until([&] { return next->leases.size() == 1; }));
  wire::RecipientOutcome sent;
  sent.status = DeliveryStatus::Sent;
  next->channel->send(wire::DeliveryDone{3, sent, false, ""});
  ASSERT_TRUE(until([&] { return done_.contains(3); }));
  EXPECT_FALSE(ended_with_.contains(3));
}

TEST_F(RemoteTransportTest, WaitsForAProcessForAMoment) {
  start(1);
  const auto far = connect(*remote_);
  ASSERT_TRUE(until([&] { return far->leases.size() == 1; }));
  EXPECT_TRUE(done_.empty());
}

TEST_F(RemoteTransportTest, DefersWhenNoProcessComes) {
  start(1);
  ASSERT_TRUE(until([&] { return done_.contains(1); }));
  EXPECT_EQ(done_[1].status, DeliveryStatus::Deferred);
}

TEST_F(RemoteTransportTest, CancelsThereOrWhatStillWaitsHere) {
  start(1);
  remote_->cancel(1);
  EXPECT_EQ(done_[1].status, DeliveryStatus::Deferred);
  const auto far = connect(*remote_);
  start(2);
  ASSERT_TRUE(until([&] { return far->leases.size() == 1; }));
  remote_->cancel(2);
  ASSERT_TRUE(until([&] { return far->cancelled.size() == 1; }));
  EXPECT_FALSE(done_.contains(2)) << "the plugin has the last word";
}

}  // namespace
}  // namespace mansio::host
