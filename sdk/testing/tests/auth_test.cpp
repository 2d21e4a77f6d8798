// The C++ wrapper for auth plugins and the fake host together: what a step brings, and both styles of answering.
#include "mansio/auth.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "mansio/testing/fake_host.hpp"

namespace mansio::plugin {
namespace {

using mansio::testing::FakeAuthStep;
using mansio::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class OneUser {
 public:
  static constexpr Info info{"auth-one", "1.0"};
  static constexpr mansio_option options[] = {{}};
  explicit OneUser(Host) {}
  std::string_view mechanisms(bool clear) const { return clear ? "" : "PLAIN"; }
  Reply step(const AuthStep &step) {
    if (!step.has_response) return challenge("who " + std::to_string(step.exchange));
    if (step.response == "throw") throw std::runtime_error{"oops"};
    const auto given = parse_plain(step.response);
    if (!given || given->password != "secret") return wrong_credentials("no");
    return authenticated(given->user, given->identity);
  }
};

class AnswersLater {
 public:
  static constexpr Info info{"auth-later", "1.0"};
  static constexpr mansio_option options[] = {{}};
  explicit AnswersLater(Host host) : host_(host) {}
  std::string_view mechanisms(bool) const { return "LATER"; }
  void step(AuthStep step, Token token) {
    if (step.response == "forget") return;
    kept_.emplace(std::move(token));
    host_.post([this] { kept_->complete(authenticated("later")); });
  }
  void forget(std::uint64_t exchange) { host_.info("forgotten " + std::to_string(exchange)); }

 private:
  Host host_;
  std::optional<Token> kept_;
};

template <class P>
const mansio_plugin *auth_entry() {
  return Glue<P, AuthKind>::entry();
}

// Of two kinds, and of this one by an option.
class Chooses : public OneUser {
 public:
  static constexpr mansio_option options[] = {{"auth", MANSIO_OPT_BOOLEAN, 0, "false", "Is it an auth?"}, {}};
  explicit Chooses(Host host) : OneUser(host), auth_(host.flag("auth")) {}
  Reply lookup(std::string_view, std::string_view) { return not_found(); }
  bool offers(std::string_view kind) const { return auth_ || kind != AuthKind<OneUser>::id; }

 private:
  bool auth_;
};

FakeAuthStep with(const std::string &response) {
  FakeAuthStep step;
  step.response = response;
  return step;
}

TEST(Auth, AnswersAtOnce) {
  FakeHost host{auth_entry<OneUser>()};
  EXPECT_EQ(host.mechanisms(true), "");
  EXPECT_EQ(host.mechanisms(false), "PLAIN");
  FakeAuthStep first;
  first.exchange = 7;
  const auto asked = host.authenticate(first);
  EXPECT_EQ(asked.status, MANSIO_SKIP);
  EXPECT_THAT(asked.values, ElementsAre("who 7"));
  EXPECT_THAT(host.authenticate(with(std::string{"\0alice\0secret", 13})).values, ElementsAre("alice"));
  EXPECT_THAT(host.authenticate(with(std::string{"bob\0alice\0secret", 16})).values, ElementsAre("alice", "bob"));
  EXPECT_EQ(host.authenticate(with("")).status, MANSIO_FAIL);
  EXPECT_EQ(host.authenticate(with("throw")).status, MANSIO_INTERNAL);
  EXPECT_THAT(host.faults, IsEmpty());
}

TEST(Auth, AnswersLater) {
  FakeHost host{auth_entry<AnswersLater>()};
  EXPECT_THAT(host.authenticate(with("x")).values, ElementsAre("later"));
  EXPECT_EQ(host.authenticate(with("forget")).status, MANSIO_INTERNAL);
  host.forget_exchange(3);
  EXPECT_NE(host.log.find("forgotten 3"), std::string::npos);
}

TEST(Auth, IsOfferedWhereThePluginSaysSo) {
  const auto *plugin = Glue<Chooses, LookupKind, AuthKind>::entry();
  FakeHost is{plugin, {{"auth", "true"}}};
  EXPECT_EQ(is.mechanisms(false), "PLAIN");
  EXPECT_EQ(is.lookup("x").status, MANSIO_NOT_FOUND);
  FakeHost is_not{plugin};
  EXPECT_EQ(is_not.mechanisms(false), "");
  EXPECT_EQ(is_not.lookup("x").status, MANSIO_NOT_FOUND);
}

TEST(Auth, IsADraft) { EXPECT_EQ(auth_entry<OneUser>()->draft_build, MANSIO_DRAFT_BUILD); }

TEST(PlainMessage, HasAUserAndAPassword) {
  const auto plain = parse_plain(std::string_view{"for\0user\0pass", 13});
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->identity, "for");
  EXPECT_EQ(plain->user, "user");
  EXPECT_EQ(plain->password, "pass");
  for (const auto &bad : std::vector<std::string>{"", "user", std::string("\0user", 5), std::string("\0\0pass", 6),
                                                  std::string("\0user\0", 6), std::string("\0user\0a\0b", 9)})
    EXPECT_FALSE(parse_plain(bad));
}

}  // namespace
}  // namespace mansio::plugin
