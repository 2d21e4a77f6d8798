// The policies of the queue, as those who ask them see them: the test plays their processes.
#include "kernel/host/queue_policies.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "kernel/host/large.hpp"
#include "tests/unit/host/host_rig.hpp"

namespace mansio::host {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using wire::PolicyAction;
using wire::QueueStage;
using wire::StageOutcome;

// A policy's process: it answers each call as `says` does, or keeps it.
struct FarPolicy {
  std::shared_ptr<io::Channel> channel;
  std::vector<wire::StageCall> calls;
  std::function<void(const wire::StageCall &, wire::StageResult &)> says;

  FarPolicy(asio::io_context &loop, io::UniqueFd socket, std::uint64_t stages)
      : channel(io::Channel::create(loop, std::move(socket))) {
    channel->start(
        [this](io::Message &m) {
          const auto message = received(m);
          if (!message || message->type != wire::StageCall::kType) return;
          calls.push_back(*decode<wire::StageCall>(message->payload()));
          if (says) answer(calls.back());
        },
        [](std::string_view) {});
    channel->send(wire::StagesWanted{stages});
  }
  ~FarPolicy() { channel->close(); }
  void answer(const wire::StageCall &call) const {
    wire::StageResult result;
    result.number = call.number;
    result.outcome = StageOutcome::Ok;
    if (says) says(call, result);
    channel->send(result);
  }
};

class QueuePoliciesTest : public HostTest {
 protected:
  QueuePoliciesTest() {
    settings_.myhostname = "mx.example.net";
    settings_.transports.emplace_back().name = "smtp";
    for (const auto *name : {"first", "second"}) {
      auto &policy = settings_.policies.emplace_back();
      policy.name = name;
      policy.budget.isolation = config::Isolation::Process;
      settings_.queue.policies.push_back(name);
    }
  }
  void start() { policies_ = std::make_unique<QueuePolicies>(loop_, clock_, log_, settings_); }
  std::unique_ptr<FarPolicy> connect(const std::string &name, std::uint64_t stages = wire::kAllQueueStages) {
    auto pair = io::channel_pair();
    EXPECT_TRUE(pair.ok());
    auto far = std::make_unique<FarPolicy>(loop_, std::move(pair->first), stages);
    EXPECT_TRUE(policies_->attach("host.policy." + name, io::Channel::create(loop_, std::move(pair->second))));
    return far;
  }
  // Asks, and waits for what comes of it.
  wire::PolicyWord ask(QueueStage stage, const std::string &to = "b@example.com") {
    std::optional<wire::PolicyWord> word;
    policies_->ask(stage, call(stage, to), [&](wire::PolicyWord &&said) { word = std::move(said); });
    EXPECT_TRUE(until([&] { return word.has_value(); }));
    return word.value_or(wire::PolicyWord{});
  }
  static wire::StageCall call(QueueStage stage, const std::string &to) {
    wire::MailFacts facts;
    facts.tenant = "blue";
    facts.metadata = {{"x.list", "news"}};
    auto made = queue_call(stage, MessageId{7}, "a@example.org", facts, {"smtp", ""}, 2);
    made.arguments.push_back(to);
    return made;
  }
  static std::string macro(const wire::StageCall &call, const std::string &name) {
    for (const auto &[known, value] : call.macros)
      if (known == name) return value;
    return "(none)";
  }

  config::Settings settings_;
  std::unique_ptr<QueuePolicies> policies_;
};

TEST_F(QueuePoliciesTest, AreToldOfTheMail) {
  start();
  const auto first = connect("first");
  const auto second = connect("second");
  first->says = second->says = [](const auto &, auto &) {};
  EXPECT_EQ(ask(QueueStage::Route).action, PolicyAction::None);
  ASSERT_EQ(first->calls.size(), 1u);
  const auto &told = first->calls[0];
  EXPECT_EQ(told.stage, 12u);
  EXPECT_EQ(told.id, MessageId{7});
  EXPECT_THAT(told.arguments, ElementsAre("b@example.com"));
  EXPECT_EQ(macro(told, "sender"), "a@example.org");
  EXPECT_EQ(macro(told, "tenant"), "blue");
  EXPECT_EQ(macro(told, "transport"), "smtp");
  EXPECT_EQ(macro(told, "attempts"), "2");
  EXPECT_EQ(macro(told, "myhostname"), "mx.example.net");
  EXPECT_EQ(macro(told, "campaign"), "(none)");
  EXPECT_EQ(told.message_meta.at(0).second, "news");
  EXPECT_EQ(second->calls.size(), 1u);
}

TEST_F(QueuePoliciesTest, AreAskedUntilOneDecides) {
  start();
  const auto first = connect("first");
  const auto second = connect("second");
  first->says = [](const auto &call, auto &result) {
    result.outcome = call.arguments.at(0) == "skip" ? StageOutcome::Skip : StageOutcome::Defer;
    result.text = "not\r\nyet";
    result.retry = 90 * kSecond;
  };
  second->says = [](const auto &, auto &result) {
    result.edits = {{EditKind::Route, 0, "smtp", "[192.0.2.7]:26"}, {EditKind::SourcePool, 0, "", "warm"}};
  };
  const auto deferred = ask(QueueStage::Route, "later");
  EXPECT_EQ(deferred.action, PolicyAction::Defer);
  EXPECT_EQ(deferred.policy, "policy.first");
  EXPECT_EQ(deferred.retry, 90 * kSecond);
  EXPECT_THAT(deferred.text, Not(HasSubstr("\n")));
  EXPECT_EQ(second->calls.size(), 0u);
  EXPECT_THAT(lines_.text, HasSubstr("decided by a policy"));
  const auto routed = ask(QueueStage::Route, "skip");
  EXPECT_EQ(routed.action, PolicyAction::Route);
  EXPECT_EQ(routed.policy, "policy.second");
  EXPECT_EQ(routed.route, (Route{"smtp", "[192.0.2.7]:26"}));
  EXPECT_EQ(routed.source_pool, "warm");
  EXPECT_FALSE(routed.failed);
}

TEST_F(QueuePoliciesTest, AHoldIsStrongerThanADiscardAndThatThanAWay) {
  start();
  const auto first = connect("first");
  first->says = [](const auto &, auto &result) {
    result.edits = {
        {EditKind::Discard, 0, "", "of no use"}, {EditKind::Hold, 0, "", "look"}, {EditKind::Route, 0, "smtp", ""}};
  };
  const auto word = ask(QueueStage::Route);
  EXPECT_EQ(word.action, PolicyAction::Hold);
  EXPECT_EQ(word.text, "look");
}

TEST_F(QueuePoliciesTest, OnesThatWantNothingOfAStageAreNotAsked) {
  start();
  EXPECT_EQ(policies_->stages(), wire::kAllQueueStages);
  int told = 0;
  policies_->on_stages([&] { ++told; });
  const auto first = connect("first", wire::bit_of(QueueStage::Retry));
  const auto second = connect("second", 32);  // RCPT, of sessions
  ASSERT_TRUE(until([&] { return told == 2; }));
  EXPECT_EQ(policies_->stages(), wire::bit_of(QueueStage::Retry));
  EXPECT_FALSE(policies_->wants(QueueStage::Route));
  EXPECT_THAT(lines_.text, HasSubstr("handles no event of the queue"));
  EXPECT_EQ(ask(QueueStage::Route).action, PolicyAction::None);
  EXPECT_TRUE(first->calls.empty());
}

TEST_F(QueuePoliciesTest, OneThatIsNotThereFailsAsOnFailureSays) {
  settings_.policies[0].budget.on_failure = config::OnFailure::Skip;
  settings_.policies[1].budget.on_failure = config::OnFailure::Defer;
  start();
  auto word = ask(QueueStage::PreDelivery);
  EXPECT_EQ(word.action, PolicyAction::Defer);
  EXPECT_EQ(word.enhanced, (EnhancedStatus{4, 3, 0}));
  EXPECT_EQ(word.policy, "policy.second");
  EXPECT_TRUE(word.failed);
  EXPECT_EQ(ask(QueueStage::Retry).action, PolicyAction::None);  // the back-off stands
  EXPECT_EQ(ask(QueueStage::Bounce).action, PolicyAction::Defer);
  settings_.policies[1].budget.on_failure = config::OnFailure::Hold;
  word = ask(QueueStage::Route);
  EXPECT_EQ(word.action, PolicyAction::Hold);
  EXPECT_THAT(word.text, HasSubstr("failed: its process is not there"));
  EXPECT_EQ(ask(QueueStage::Retry).action, PolicyAction::Hold);
  EXPECT_EQ(ask(QueueStage::Bounce).action, PolicyAction::Defer);  // there is nothing to hold
}

TEST_F(QueuePoliciesTest, AnAnswerThatMakesNoSenseIsAFailure) {
  settings_.queue.policies = {"first"};
  settings_.policies[0].budget.breaker_deaths = 0;
  settings_.policies[0].budget.on_failure = config::OnFailure::Hold;
  start();
  const auto first = connect("first");
  const auto fails = [&](QueueStage stage, auto says, const std::string &why) {
    lines_.text.clear();
    first->says = says;
    EXPECT_TRUE(ask(stage).failed) << why;
    EXPECT_THAT(lines_.text, HasSubstr(why));
  };
  fails(
      QueueStage::Route,
      [](const auto &, auto &r) {
        r.edits = {{EditKind::Route, 0, "nowhere", ""}};
      },
      "a transport that is not configured: nowhere");
  fails(
      QueueStage::Route,
      [](const auto &, auto &r) {
        r.edits = {{EditKind::Route, 0, "", "[192.0.2.1"}};
      },
      "a next hop that is none");
  fails(
      QueueStage::Route,
      [](const auto &, auto &r) {
        r.edits = {{EditKind::Redirect, 0, "", "a@b.example"}};
      },
      "breaks the rules");
  fails(
      QueueStage::Retry,
      [](const auto &, auto &r) {
        r.edits = {{EditKind::Discard, 0, "", ""}};
      },
      "breaks the rules");
  fails(
      QueueStage::Bounce, [](const auto &, auto &r) { r.outcome = StageOutcome::Fail; }, "refused a notification");
  fails(
      QueueStage::Retry, [](const auto &, auto &r) { r.retry = -1; }, "breaks the rules");
}

TEST_F(QueuePoliciesTest, OneThatKeepsFailingIsNotAskedForAWhile) {
  settings_.queue.policies = {"first"};
  settings_.policies[0].budget.breaker_deaths = 3;
  start();
  const auto first = connect("first");
  first->says = [](const auto &, auto &r) { r.outcome = StageOutcome::Failed, r.text = "oops"; };
  for (int i = 0; i < 6; ++i) EXPECT_EQ(ask(QueueStage::Route).action, PolicyAction::Defer);
  EXPECT_EQ(first->calls.size(), 3u);
  EXPECT_THAT(lines_.text, HasSubstr("breaker open"));
  ask(QueueStage::Retry);
  EXPECT_EQ(first->calls.size(), 4u) << "at another stage it is";
}

TEST_F(QueuePoliciesTest, ASlowOneHasItsTimeAndNoMore) {
  settings_.queue.policies = {"first"};
  settings_.policies[0].command_timeout = 50 * kMillisecond;
  start();
  const auto first = connect("first");
  const auto word = ask(QueueStage::Route);
  EXPECT_TRUE(word.failed);
  EXPECT_THAT(lines_.text, HasSubstr("time limit exceeded"));
}

TEST_F(QueuePoliciesTest, WhatIsTooMuchAtOnceWaitsForItsTurn) {
  settings_.queue.policies = {"first"};
  settings_.policies[0].budget.in_flight_limit = 2;
  start();
  const auto first = connect("first");
  int done = 0;
  for (int i = 0; i < 5; ++i)
    policies_->ask(QueueStage::Route, call(QueueStage::Route, std::to_string(i)), [&](wire::PolicyWord &&word) {
      EXPECT_EQ(word.action, PolicyAction::None);
      ++done;
    });
  ASSERT_TRUE(until([&] { return first->calls.size() == 2; }));
  for (std::size_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(until([&] { return first->calls.size() > i; }));
    first->answer(first->calls[i]);
  }
  EXPECT_TRUE(until([&] { return done == 5; }));
}

TEST_F(QueuePoliciesTest, WhoWaitsForTheirTurnAreNotForgottenWhenTheBreakerOpens) {
  settings_.queue.policies = {"first"};
  settings_.policies[0].budget.in_flight_limit = 1;
  settings_.policies[0].budget.breaker_deaths = 1;
  start();
  const auto first = connect("first");
  int failed = 0;
  for (int i = 0; i < 4; ++i)
    policies_->ask(QueueStage::Route, call(QueueStage::Route, std::to_string(i)),
                   [&](wire::PolicyWord &&word) { failed += word.failed; });
  ASSERT_TRUE(until([&] { return first->calls.size() == 1; }));
  first->says = [](const auto &, auto &r) { r.outcome = StageOutcome::Failed; };
  first->answer(first->calls[0]);
  EXPECT_TRUE(until([&] { return failed == 4; }));
  EXPECT_EQ(first->calls.size(), 1u);
}

}  // namespace
}  // namespace mansio::host
