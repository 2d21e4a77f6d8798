// A lease on its way past the policies to the transport; the test plays the policy's process.
#include "kernel/egress/policy_gate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "kernel/host/large.hpp"

namespace mansio::egress {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using wire::PolicyAction;

class GateLog final : public LogSink {
 public:
  void emit(LogLevel, std::string_view) override {}
};

class BehindGate final : public host::TransportInstance {
 public:
  void start(const wire::Lease &lease, host::MessageSource) override { started.push_back(lease.lease); }
  void cancel(std::uint64_t lease) override { cancelled.push_back(lease); }
  std::size_t in_flight() const override { return started.size(); }
  std::uint64_t misbehaviours() const override { return 3; }
  void stats(const host::StatsSink &add) const override { add("inner", 1); }
  std::vector<std::uint64_t> started, cancelled;
};

class PolicyGateTest : public ::testing::Test {
 protected:
  PolicyGateTest() {
    settings_.transports.emplace_back().name = "smtp";
    settings_.transports.emplace_back().name = "bulk";
    auto &policy = settings_.policies.emplace_back();
    policy.name = "quota";
    policy.budget.isolation = config::Isolation::Process;
    settings_.queue.policies = {"quota"};
    auto inner = std::make_unique<BehindGate>();
    inner_ = inner.get();
    gate_ = std::make_unique<PolicyGate>(
        clock_, "smtp", std::make_unique<host::QueuePolicies>(loop_, clock_, log_, settings_), std::move(inner),
        [this](std::uint64_t lease, const wire::PolicyWord &word) { away_.emplace_back(lease, word); });
  }
  void TearDown() override {
    if (far_) far_->close();
    gate_.reset();
    loop_.restart();
    loop_.poll();
  }
  template <class P>
  bool until(P done) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (!done() && std::chrono::steady_clock::now() < limit) {
      loop_.restart();
      loop_.run_one_for(std::chrono::milliseconds{50});
    }
    return done();
  }
  void connect(std::uint64_t stages = wire::kAllQueueStages) {
    auto pair = io::channel_pair();
    ASSERT_TRUE(pair.ok());
    far_ = io::Channel::create(loop_, std::move(pair->first));
    far_->start(
        [this](io::Message &m) {
          const auto message = host::received(m);
          if (message && message->type == wire::StageCall::kType)
            calls_.push_back(*decode<wire::StageCall>(message->payload()));
        },
        [](std::string_view) {});
    far_->send(wire::StagesWanted{stages});
    ASSERT_TRUE(gate_->attach("host.policy.quota", io::Channel::create(loop_, std::move(pair->second))));
  }
  void give(std::uint64_t number, bool facts = true, Nanos deadline = 0) {
    wire::Lease lease;
    lease.lease = number;
    lease.id = MessageId{100 + number};
    lease.sender = "a@example.org";
    lease.nexthop = "[192.0.2.1]";
    lease.source_pool = "cold";
    lease.attempts = 2;
    lease.deadline = deadline;
    lease.recipients = {{0, "b@example.com", "", "", 0}, {1, "c@example.com", "", "", 0}};
    if (facts) {
      auto &told = lease.facts.emplace_back();
      told.tenant = "blue";
      told.source_pool = "group";
    }
    gate_->start(lease, {});
  }
  void answer(std::size_t which, wire::StageOutcome outcome, std::vector<Edit> edits = {}, Nanos retry = 0) {
    ASSERT_TRUE(until([&] { return calls_.size() > which; }));
    wire::StageResult result;
    result.number = calls_[which].number;
    result.outcome = outcome;
    result.edits = std::move(edits);
    result.retry = retry;
    far_->send(result);
  }

  asio::io_context loop_;
  SystemClock clock_;
  GateLog sink_;
  Logger log_{sink_, clock_, "test"};
  config::Settings settings_;
  BehindGate *inner_ = nullptr;
  std::unique_ptr<PolicyGate> gate_;
  std::shared_ptr<io::Channel> far_;
  std::vector<wire::StageCall> calls_;
  std::vector<std::pair<std::uint64_t, wire::PolicyWord>> away_;
};

TEST_F(PolicyGateTest, IsNoDetourForMailThatNobodyWantsToSee) {
  give(1, false);
  EXPECT_THAT(inner_->started, ElementsAre(1u));
  connect(wire::bit_of(wire::QueueStage::Route));
  std::uint64_t n = 1;
  ASSERT_TRUE(until([&] {  // once it has said what it wants
    give(++n);
    return inner_->started.size() > 1;
  }));
}

TEST_F(PolicyGateTest, ADeliveryBeginsOnceThePolicyHasNoObjection) {
  connect();
  give(1);
  EXPECT_THAT(inner_->started, IsEmpty());
  EXPECT_EQ(gate_->in_flight(), 1u);
  answer(0, wire::StageOutcome::Ok);
  ASSERT_TRUE(until([&] { return inner_->started.size() == 1; }));
  EXPECT_THAT(away_, IsEmpty());
  EXPECT_EQ(calls_[0].id, MessageId{101});
  EXPECT_THAT(calls_[0].arguments, ElementsAre("b@example.com", "c@example.com"));
  std::map<std::string, std::string> facts{calls_[0].macros.begin(), calls_[0].macros.end()};
  EXPECT_EQ(facts["transport"], "smtp");
  EXPECT_EQ(facts["nexthop"], "[192.0.2.1]");
  EXPECT_EQ(facts["tenant"], "blue");
  EXPECT_EQ(facts["attempts"], "2");
}

TEST_F(PolicyGateTest, WhatThePolicyDecidesIsTheLastWordOnTheLease) {
  connect();
  for (std::uint64_t n = 1; n <= 4; ++n) give(n);
  answer(0, wire::StageOutcome::Defer, {}, 90 * kSecond);
  answer(1, wire::StageOutcome::Fail);
  answer(2, wire::StageOutcome::Ok, {{EditKind::Hold, 0, "", "look"}});
  answer(3, wire::StageOutcome::Ok, {{EditKind::Route, 0, "bulk", ""}});
  ASSERT_TRUE(until([&] { return away_.size() == 4; }));
  EXPECT_THAT(inner_->started, IsEmpty());
  EXPECT_EQ(away_[0].second.action, PolicyAction::Defer);
  EXPECT_EQ(away_[0].second.retry, 90 * kSecond);
  EXPECT_EQ(away_[1].second.action, PolicyAction::Fail);
  EXPECT_EQ(away_[2].second.action, PolicyAction::Hold);
  EXPECT_EQ(away_[3].second.action, PolicyAction::Route);
  EXPECT_EQ(away_[3].second.route.transport, "bulk");
}

TEST_F(PolicyGateTest, TheWayThatItHasIsNoOther) {
  connect();
  give(1);
  give(2);
  answer(0, wire::StageOutcome::Ok,
         {{EditKind::Route, 0, "smtp", "[192.0.2.1]"}, {EditKind::SourcePool, 0, "", "cold"}});
  answer(1, wire::StageOutcome::Ok, {{EditKind::SourcePool, 0, "", "warm"}});
  ASSERT_TRUE(until([&] { return inner_->started.size() + away_.size() == 2; }));
  EXPECT_THAT(inner_->started, ElementsAre(1u));
  ASSERT_THAT(away_, SizeIs(1));
  EXPECT_EQ(away_[0].second.source_pool, "warm");
}

// The pool of the lease is one of that group's; another one may be chosen next time.
TEST_F(PolicyGateTest, TheSourceGroupThatItsPoolIsOfIsNoOtherWay) {
  connect();
  give(1);
  answer(0, wire::StageOutcome::Ok, {{EditKind::SourcePool, 0, "", "group"}});
  ASSERT_TRUE(until([&] { return !inner_->started.empty() || !away_.empty(); }));
  EXPECT_THAT(inner_->started, ElementsAre(1u));
}

TEST_F(PolicyGateTest, ALeaseThatIsCancelledMeanwhileDidNotBegin) {
  connect();
  give(1);
  gate_->cancel(1);
  ASSERT_THAT(away_, SizeIs(1));
  EXPECT_EQ(away_[0].second.action, PolicyAction::Defer);
  answer(0, wire::StageOutcome::Ok);
  for (int i = 0; i < 3; ++i) {
    loop_.restart();
    loop_.run_one_for(std::chrono::milliseconds{50});
  }
  EXPECT_THAT(inner_->started, IsEmpty());
  gate_->cancel(7);
  EXPECT_THAT(inner_->cancelled, ElementsAre(7u));
}

TEST_F(PolicyGateTest, APolicyThatIsNotThereFailsAsOnFailureSays) {
  give(1);
  ASSERT_THAT(away_, SizeIs(1));
  EXPECT_EQ(away_[0].second.action, PolicyAction::Defer);
  EXPECT_TRUE(away_[0].second.failed);
  settings_.policies[0].budget.on_failure = config::OnFailure::Skip;
  give(2);
  EXPECT_THAT(inner_->started, ElementsAre(2u));
}

TEST_F(PolicyGateTest, NoDeliveryBeginsBehindItsTime) {
  connect();
  give(1, true, clock_.mono() + 1);
  answer(0, wire::StageOutcome::Ok);
  ASSERT_TRUE(until([&] { return away_.size() == 1; }));
  EXPECT_THAT(inner_->started, IsEmpty());
}

}  // namespace
}  // namespace mansio::egress
