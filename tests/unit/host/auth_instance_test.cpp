// The host and auth plugins, in process and in a process of their own: tests/fixtures/auth-odd.c does as the response
// says. Whatever goes wrong lets nobody in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "kernel/host/auth.hpp"
#include "kernel/host/auth_service.hpp"
#include "kernel/host/remote_auth.hpp"
#include "tests/unit/host/host_rig.hpp"

namespace mansio::host {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using wire::AuthOutcome;

class AuthInstanceTest : public HostTest {
 protected:
  std::unique_ptr<AuthInstance> create(Limits limits = {}) {
    const auto plugin = load_plugin(MANSIO_FIXTURES "/auth-odd.so");
    EXPECT_TRUE(plugin.ok()) << plugin.error().text;
    auto made = AuthInstance::create({loop_, clock_, log_, dns_}, **plugin, {"odd", {}, {}, limits});
    EXPECT_TRUE(made.ok()) << made.error().text;
    return std::move(*made);
  }
  wire::AuthResult ask(AuthInstance &instance, wire::AuthCall call) {
    std::optional<wire::AuthResult> result;
    instance.start(std::move(call), [&](wire::AuthResult &&r) {
      EXPECT_FALSE(result) << "answered twice";
      result = std::move(r);
    });
    EXPECT_TRUE(until([&] { return result.has_value(); }));
    return result.value_or(wire::AuthResult{});
  }
  wire::AuthResult ask(AuthInstance &instance, const std::string &response, Nanos within = 60 * kSecond) {
    wire::AuthCall call;
    call.mechanism = "ODD";
    call.exchange = instance.exchange();
    call.has_response = true;
    call.response = response;
    call.time_limit = within;
    return ask(instance, std::move(call));
  }
};

TEST_F(AuthInstanceTest, OffersEachMechanismOnceAndInCapitals) {
  const auto instance = create();
  EXPECT_EQ(instance->mechanisms(true), "ODD");
  EXPECT_EQ(instance->mechanisms(false), "ODD PLAIN");
}

TEST_F(AuthInstanceTest, BringsWhatThePluginSays) {
  const auto instance = create();
  const auto user = ask(*instance, "user alice");
  EXPECT_EQ(user.outcome, AuthOutcome::Ok);
  EXPECT_EQ(user.user, "alice");
  EXPECT_EQ(user.login, "");
  const auto acts_for = ask(*instance, "master bob");
  EXPECT_EQ(acts_for.user, "bob");
  EXPECT_EQ(acts_for.login, "master");
  const auto wrong = ask(*instance, "wrong");
  EXPECT_EQ(wrong.outcome, AuthOutcome::Fail);
  EXPECT_EQ(wrong.text, "no such password");
  EXPECT_EQ(ask(*instance, "later").outcome, AuthOutcome::Defer);
}

TEST_F(AuthInstanceTest, AFirstStepMayHaveNoResponse) {
  const auto instance = create();
  wire::AuthCall call;
  call.mechanism = "ODD";
  call.exchange = 5;
  call.time_limit = kSecond;
  const auto asks = ask(*instance, std::move(call));
  EXPECT_EQ(asks.outcome, AuthOutcome::Continue);
  EXPECT_EQ(asks.challenge, "ODD step 0 of 5 without response");
}

TEST_F(AuthInstanceTest, WhatIsNoAnswerLetsNobodyIn) {
  const auto instance = create();
  for (const auto *what : {"nobody", "line", "strange", "user "}) {
    const auto result = ask(*instance, what);
    EXPECT_EQ(result.outcome, AuthOutcome::Failed) << what;
    EXPECT_EQ(result.user, "") << what;
  }
  EXPECT_EQ(ask(*instance, "silent", 20 * kMillisecond).outcome, AuthOutcome::Failed);
  EXPECT_EQ(ask(*instance, "user " + std::string(200, 'a')).outcome, AuthOutcome::Ok);
}

TEST_F(AuthInstanceTest, RefusesMoreThanItMayHaveUnderWay) {
  const auto instance = create({1, 0, 100});
  wire::AuthCall call;
  call.mechanism = "ODD";
  call.has_response = true;
  call.response = "silent";
  call.time_limit = 60 * kSecond;
  instance->start(std::move(call), [](wire::AuthResult &&) {});
  const auto refused = ask(*instance, "user alice");
  EXPECT_EQ(refused.outcome, AuthOutcome::Failed);
  EXPECT_EQ(refused.text, "it has too much to do");
}

TEST_F(AuthInstanceTest, OneThatKeepsFailingIsNotAskedForAWhile) {
  Limits limits;
  limits.breaker_failures = 2;
  limits.breaker_window = limits.breaker_time = 60 * kSecond;
  const auto instance = create(limits);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(ask(*instance, "strange").outcome, AuthOutcome::Failed);
  EXPECT_EQ(ask(*instance, "user alice").outcome, AuthOutcome::Failed);
  EXPECT_THAT(lines_.text, HasSubstr("breaker open"));
}

TEST_F(AuthInstanceTest, WrongCredentialsAreNoFailureOfThePlugin) {
  Limits limits;
  limits.breaker_failures = 2;
  limits.breaker_window = limits.breaker_time = 60 * kSecond;
  const auto instance = create(limits);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask(*instance, "wrong").outcome, AuthOutcome::Fail);
  EXPECT_EQ(ask(*instance, "user alice").outcome, AuthOutcome::Ok);
}

class RemoteAuthTest : public AuthInstanceTest {
 protected:
  // A host process's side, with the plugin.
  void connect() {
    auto pair = io::channel_pair();
    ASSERT_TRUE(pair.ok());
    far_ = io::Channel::create(loop_, std::move(pair->first));
    service_ = std::make_unique<AuthService>(create());
    far_->start([this](io::Message &m) { EXPECT_TRUE(service_->receive(far_, m)); },
                [this](std::string_view) {
                  if (service_ && far_) service_->gone(far_.get());
                });
    service_->greet(*far_);
    near_.attach(io::Channel::create(loop_, std::move(pair->second)));
    ASSERT_TRUE(until([&] { return !near_.mechanisms(false).empty(); }));
  }
  void TearDown() override {
    if (far_) far_->close();
  }

  RemoteAuth near_{loop_, clock_, "odd", 3};
  std::shared_ptr<io::Channel> far_;
  std::unique_ptr<AuthService> service_;
};

TEST_F(RemoteAuthTest, RelaysStepsAndAnswers) {
  connect();
  EXPECT_EQ(near_.mechanisms(true), "ODD");
  EXPECT_EQ(near_.mechanisms(false), "ODD PLAIN");
  EXPECT_EQ(ask(near_, "user alice").user, "alice");
  EXPECT_EQ(ask(near_, "wrong").outcome, AuthOutcome::Fail);
  EXPECT_EQ(ask(near_, "line").outcome, AuthOutcome::Failed);
}

TEST_F(RemoteAuthTest, AnExchangeKeepsItsNumberAndIsForgotten) {
  connect();
  wire::AuthCall call;
  call.mechanism = "ODD";
  call.exchange = 77;
  call.time_limit = 60 * kSecond;
  const auto first = ask(near_, call);
  EXPECT_EQ(first.challenge, "ODD step 0 of 1 without response");  // the plugin's number
  call.step = 1;
  call.has_response = true;
  EXPECT_EQ(ask(near_, call).challenge, "ODD step 1 of 1");
  near_.forget(77);
  EXPECT_TRUE(until([&] { return lines_.text.find("forgets 1") != std::string::npos; })) << lines_.text;
  call.step = 2;
  EXPECT_EQ(ask(near_, call).outcome, AuthOutcome::Failed);
}

TEST_F(RemoteAuthTest, WithoutItsProcessNobodyIsLetIn) {
  EXPECT_EQ(near_.mechanisms(false), "");
  EXPECT_EQ(ask(near_, "user alice").outcome, AuthOutcome::Failed);
  connect();
  std::optional<wire::AuthResult> result;
  wire::AuthCall call;
  call.mechanism = "ODD";
  call.has_response = true;
  call.response = "silent";
  call.time_limit = 60 * kSecond;
  near_.start(std::move(call), [&](wire::AuthResult &&r) { result = std::move(r); });
  far_->close();
  EXPECT_TRUE(until([&] { return result.has_value(); }));
  EXPECT_EQ(result->outcome, AuthOutcome::Failed);
  EXPECT_EQ(near_.mechanisms(false), "ODD PLAIN");  // AUTH does not come and go
}

TEST_F(RemoteAuthTest, AnExchangeWithoutAnswerInTimeIsForgotten) {
  auto pair = io::channel_pair();
  ASSERT_TRUE(pair.ok());
  std::optional<wire::AuthForget> forgotten;
  far_ = io::Channel::create(loop_, std::move(pair->first));
  far_->start(
      [&](io::Message &m) {
        if (m.type == wire::AuthForget::kType) forgotten = decode<wire::AuthForget>(m.payload);
      },
      [](std::string_view) {});
  near_.attach(io::Channel::create(loop_, std::move(pair->second)));
  wire::AuthCall call;
  call.mechanism = "ODD";
  call.exchange = 5;
  call.time_limit = kMillisecond;
  EXPECT_EQ(ask(near_, call).outcome, AuthOutcome::Failed);
  EXPECT_TRUE(until([&] { return forgotten.has_value(); }));
  EXPECT_EQ(forgotten.value_or(wire::AuthForget{}).exchange, 5u);
}

TEST_F(RemoteAuthTest, BelievesNoAnswerThatBreaksTheRules) {
  auto pair = io::channel_pair();
  ASSERT_TRUE(pair.ok());
  far_ = io::Channel::create(loop_, std::move(pair->first));
  far_->start(
      [this](io::Message &m) {
        const auto call = decode<wire::AuthCall>(m.payload);
        ASSERT_TRUE(call);
        wire::AuthResult lie;
        lie.number = call->number;
        lie.outcome = AuthOutcome::Ok;
        lie.user = "alice\r\nBcc: x";
        far_->send(lie);
      },
      [](std::string_view) {});
  near_.attach(io::Channel::create(loop_, std::move(pair->second)));
  const auto result = ask(near_, "user alice");
  EXPECT_EQ(result.outcome, AuthOutcome::Failed);
  EXPECT_THAT(result.user, Not(HasSubstr("alice")));
}

}  // namespace
}  // namespace mansio::host
