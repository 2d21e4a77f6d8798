// The plugin against a server that the test plays itself, a line at a time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "mansio/testing/fake_host.hpp"
#include "plugins/testing/readme.hpp"

namespace {

using mansio::testing::FakeAuthStep;
using mansio::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class AuthDovecot : public ::testing::Test {
 protected:
  AuthDovecot() {
    char name[] = "/tmp/mansio-auth-XXXXXX";
    directory_ = ::mkdtemp(name);
    path_ = directory_ + "/auth";
  }
  ~AuthDovecot() override {
    host_.reset();
    hang_up();
    if (listener_ >= 0) ::close(listener_);
    std::filesystem::remove_all(directory_);
  }

  void listen() {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(listener_, reinterpret_cast<const sockaddr *>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener_, 4), 0);
  }
  void start() { host_.emplace(mansio_plugin_entry_1(), FakeHost::Options{{"path", path_}}); }

  // The client's connection, up to its number.
  void accept() {
    hang_up();
    client_ = ::accept(listener_, nullptr, nullptr);
    ASSERT_GE(client_, 0);
    EXPECT_EQ(line(), "VERSION\t1\t1");
    EXPECT_THAT(line(), StartsWith("CPID\t"));
  }
  void greet() {
    say("VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\tx\nDONE\n");
  }
  void hang_up() {
    if (client_ >= 0) ::close(std::exchange(client_, -1));
    read_.clear();
  }
  void say(const std::string &text) {
    ASSERT_EQ(::send(client_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // The next line of the client, which is given time to say it.
  std::string line() {
    const bool there = host_->run_until([&] {
      char bytes[4096];
      for (ssize_t n; (n = ::recv(client_, bytes, sizeof bytes, MSG_DONTWAIT)) > 0;)
        read_.append(bytes, static_cast<std::size_t>(n));
      return read_.find('\n') != read_.npos;
    });
    EXPECT_TRUE(there);
    const auto end = read_.find('\n');
    auto first = read_.substr(0, end);
    read_.erase(0, end == read_.npos ? end : end + 1);
    return first;
  }
  static FakeAuthStep plain(std::uint64_t exchange = 1) {
    FakeAuthStep step;
    step.response = std::string{"\0alice\0secret", 13};
    step.exchange = exchange;
    return step;
  }
  static FakeAuthStep later(std::uint64_t exchange, std::uint32_t number, const std::string &response) {
    FakeAuthStep step;
    step.mechanism = "LOGIN";
    step.exchange = exchange;
    step.step = number;
    step.response = response;
    return step;
  }

  std::string directory_, path_, read_;
  int listener_ = -1, client_ = -1;
  std::optional<FakeHost> host_;
};

TEST_F(AuthDovecot, AsksOnceItIsGreeted) {
  listen();
  start();
  EXPECT_EQ(host_->mechanisms(true), "PLAIN LOGIN");
  const auto op = host_->begin_step(plain());
  accept();
  greet();
  EXPECT_EQ(line(), "AUTH\t1\tPLAIN\tservice=smtp\tnologin\tsecured\trip=192.0.2.1\tresp=AGFsaWNlAHNlY3JldA==");
  say("OK\t1\tuser=alice\n");
  const auto answer = host_->finish(op);
  EXPECT_EQ(answer.status, MANSIO_OK);
  EXPECT_THAT(answer.values, ElementsAre("alice"));
  EXPECT_THAT(host_->faults, IsEmpty());
}

TEST_F(AuthDovecot, RelaysChallengesAndResponses) {
  listen();
  start();
  auto first = later(5, 0, "");
  first.response.reset();
  auto op = host_->begin_step(first);
  accept();
  greet();
  EXPECT_EQ(line(), "AUTH\t1\tLOGIN\tservice=smtp\tnologin\tsecured\trip=192.0.2.1");
  say("CONT\t1\tVXNlcm5hbWU6\n");
  EXPECT_EQ(host_->finish(op).status, MANSIO_SKIP);
  EXPECT_THAT(host_->result(op).last->values, ElementsAre("Username:"));
  op = host_->begin_step(later(5, 1, "alice"));
  EXPECT_EQ(line(), "CONT\t1\tYWxpY2U=");
  say("FAIL\t1\tuser=alice\treason=no such luck\n");
  EXPECT_EQ(host_->finish(op).status, MANSIO_FAIL);
  EXPECT_EQ(host_->result(op).last->text, "no such luck");
}

TEST_F(AuthDovecot, WhatComesWithSuccessIsShownToTheClientFirst) {
  listen();
  start();
  auto op = host_->begin_step(plain());
  accept();
  greet();
  line();
  say("OK\t1\tuser=alice\tresp=dj0x\n");
  EXPECT_EQ(host_->finish(op).status, MANSIO_SKIP);
  EXPECT_THAT(host_->result(op).last->values, ElementsAre("v=1"));
  const auto over = host_->authenticate(later(1, 1, ""));
  EXPECT_EQ(over.status, MANSIO_OK);
  EXPECT_THAT(over.values, ElementsAre("alice"));
}

TEST_F(AuthDovecot, AnswersFindTheirExchange) {
  listen();
  start();
  const auto one = host_->begin_step(plain(1)), two = host_->begin_step(plain(2)), three = host_->begin_step(plain(3));
  accept();
  greet();
  for (int i = 0; i < 3; ++i) line();
  say("OK\t9\tuser=nobody\nFAIL\t3\tuser=alice\nOK\t2\tuser=bob\nFAIL\t1\tuser=alice\ttemp\n");
  EXPECT_EQ(host_->finish(one).status, MANSIO_DEFER);
  EXPECT_THAT(host_->finish(two).values, ElementsAre("bob"));
  EXPECT_EQ(host_->finish(three).status, MANSIO_FAIL);
}

TEST_F(AuthDovecot, ALostServerLetsNobodyInAndIsFoundAgain) {
  start();
  EXPECT_EQ(host_->authenticate(plain()).status, MANSIO_DEFER);  // no socket
  listen();
  auto op = host_->begin_step(plain());
  accept();
  greet();
  line();
  hang_up();
  EXPECT_EQ(host_->finish(op).status, MANSIO_DEFER);
  EXPECT_EQ(host_->authenticate(later(1, 1, "x")).status, MANSIO_DEFER);  // its exchange went with it
  op = host_->begin_step(plain(2));
  accept();
  greet();
  EXPECT_THAT(line(), StartsWith("AUTH\t2\t"));
  say("OK\t2\tuser=alice\n");
  EXPECT_EQ(host_->finish(op).status, MANSIO_OK);
}

TEST_F(AuthDovecot, DoesNotBelieveWhatIsNoAnswer) {
  for (const auto *nonsense : {"HTTP/1.0 400\nOK\t1\n", "OK\t1\tuser=\n", "VERSION\t2\t0\n"}) {
    if (listener_ < 0) listen();
    start();
    const auto op = host_->begin_step(plain());
    accept();
    greet();
    line();
    say(nonsense);
    EXPECT_EQ(host_->finish(op).status, MANSIO_DEFER) << nonsense;
    host_.reset();
  }
}

TEST_F(AuthDovecot, BelievesNoAnswerToWhatItHasNotAsked) {
  listen();
  start();
  const auto op = host_->begin_step(plain());
  accept();
  say("VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nOK\t1\tuser=mallory\nDONE\n");
  EXPECT_THAT(line(), StartsWith("AUTH\t1\tPLAIN\t"));
  say("FAIL\t1\tuser=alice\n");
  EXPECT_EQ(host_->finish(op).status, MANSIO_FAIL);
}

TEST_F(AuthDovecot, DoesNotAskForAMechanismThatDovecotLacks) {
  listen();
  start();
  auto step = plain(1);
  step.mechanism = "SCRAM-SHA-256";
  const auto early = host_->begin_step(step), fine = host_->begin_step(plain(2));
  accept();
  greet();
  EXPECT_THAT(line(), StartsWith("AUTH\t2\tPLAIN"));
  say("OK\t2\tuser=alice\n");
  EXPECT_EQ(host_->finish(fine).status, MANSIO_OK);
  EXPECT_EQ(host_->finish(early).status, MANSIO_DEFER);
  step.exchange = 3;
  const auto late = host_->authenticate(step);
  EXPECT_EQ(late.status, MANSIO_DEFER);
  EXPECT_EQ(late.text, "Dovecot does not have SCRAM-SHA-256: see its auth_mechanisms");
}

TEST_F(AuthDovecot, TellsDovecotOfWhatIsGivenUp) {
  listen();
  start();
  const auto op = host_->begin_step(plain());
  accept();
  greet();
  line();
  host_->cancel(op);
  EXPECT_EQ(line(), "CANCEL\t1");
  EXPECT_EQ(host_->finish(op).status, MANSIO_DEFER);
  const auto next = host_->begin_step(plain(2));
  line();
  say("CONT\t2\t\n");
  EXPECT_EQ(host_->finish(next).status, MANSIO_SKIP);
  host_->forget_exchange(2);
  EXPECT_EQ(line(), "CANCEL\t2");
}

TEST_F(AuthDovecot, RefusesOptionsThatItCannotUse) {
  const auto problems = [](const FakeHost::Options &options) {
    return FakeHost::check(mansio_plugin_entry_1(), options);
  };
  EXPECT_EQ(problems({}), "");
  EXPECT_THAT(problems({{"path", "auth"}}), HasSubstr("path is \"auth\", expected the path of a UNIX socket"));
  EXPECT_THAT(problems({{"mechanisms", "ANONYMOUS"}}), HasSubstr("everybody may relay"));
  EXPECT_THAT(problems({{"mechanisms", "plain"}}), HasSubstr("mechanisms has \"plain\""));
  EXPECT_THAT(problems({{"mechanisms", ""}}), HasSubstr("mechanisms has none"));
  EXPECT_THAT(problems({{"service", "a b"}}), HasSubstr("service is \"a b\""));
}

TEST_F(AuthDovecot, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
