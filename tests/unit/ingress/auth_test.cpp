// AUTH with a plugin that the test plays: who is let in and what that changes, what the client hears otherwise, and
// that what it said is written down nowhere.
#include <gmock/gmock.h>

#include <deque>
#include <map>
#include <optional>

#include "kernel/ingress/filters.hpp"
#include "kernel/mail/base64.hpp"
#include "mansio/draft/filter.h"
#include "tests/unit/ingress/filter_fixture.hpp"

namespace mansio::ingress {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using wire::AuthOutcome;

// Knows alice, whose password is "secret", by PLAIN and LOGIN.
class FakeAuth final : public host::AuthInstance {
 public:
  std::string mechanisms(bool clear) const override { return clear ? offered : offered + " ONLY-TLS"; }
  std::uint64_t exchange() override { return ++exchanges; }
  void start(wire::AuthCall call, Done done) override {
    calls.push_back(call);
    if (waits) {
      kept.push_back(std::move(done));
      return;
    }
    done(answer(call));
  }
  void forget(std::uint64_t exchange) override { forgotten.push_back(exchange); }
  std::size_t in_flight() const override { return kept.size(); }
  std::uint64_t misbehaviours() const override { return 0; }
  void stats(const host::StatsSink &) const override {}

  static wire::AuthResult asks(std::string challenge) {
    wire::AuthResult r;
    r.outcome = AuthOutcome::Continue;
    r.challenge = std::move(challenge);
    return r;
  }
  wire::AuthResult verdict(bool good) const {
    wire::AuthResult r;
    r.outcome = good ? AuthOutcome::Ok : AuthOutcome::Fail;
    if (good) r.user = "alice";
    if (always) r.outcome = *always;
    if (r.outcome != AuthOutcome::Ok) r.user.clear();
    return r;
  }
  wire::AuthResult answer(const wire::AuthCall &call) {
    if (endless) return asks("more");
    if (call.mechanism == "PLAIN") {
      if (!call.has_response) return asks("");
      return verdict(call.response == std::string{"\0alice\0secret", 13});
    }
    if (call.step == 0 && !call.has_response) return asks("Username:");
    if (!call.response.starts_with("alice") && !names.contains(call.exchange)) return verdict(false);
    if (!names[call.exchange]++) return asks("Password:");
    return verdict(call.response == "secret");
  }

  std::string offered = "PLAIN LOGIN";
  std::optional<AuthOutcome> always;
  bool waits = false, endless = false;
  std::uint64_t exchanges = 0;
  std::map<std::uint64_t, int> names;
  std::vector<wire::AuthCall> calls;
  std::deque<Done> kept;
  std::vector<std::uint64_t> forgotten;
};

class AuthServer : public testing::SmtpServerTest {
 protected:
  using Peer = testing::Peer;

  AuthServer() {
    service.smtpd.sasl_auth_enable = true;
    service.smtpd.tls_auth_only = false;
    service.auth = {&plugin_, "users", 30 * kSecond};
  }
  void TearDown() override {
    server.reset();
    EXPECT_THAT(sink.text, Not(HasSubstr("secret")));
    EXPECT_THAT(sink.text, Not(HasSubstr("c2VjcmV0")));  // base64 of it
    EXPECT_THAT(sink.text, Not(HasSubstr("AGFsaWNl")));
  }
  static std::string plain(const std::string &password = "secret") {
    return base64_encode(std::string(1, '\0') + "alice" + std::string(1, '\0') + password);
  }
  Peer let_in() {
    auto peer = greet();
    EXPECT_EQ(say(peer, "AUTH PLAIN " + plain() + "\r\n"), "235 2.7.0 Authentication successful\r\n");
    return peer;
  }
  std::string mail(Peer &peer, const std::string &parameters = "") {
    return say(peer, "MAIL FROM:<a@b.example>" + parameters + "\r\n");
  }

  FakeAuth plugin_;
};

TEST_F(AuthServer, OffersWhatThePluginOffers) {
  auto peer = connect();
  EXPECT_THAT(say(peer, "EHLO client.test\r\n"), HasSubstr("250-AUTH PLAIN LOGIN\r\n"));
  EXPECT_THAT(say(peer, "HELP\r\n"), HasSubstr(" AUTH"));
  service.smtpd.discard_ehlo_keywords = {"auth"};
  EXPECT_THAT(say(peer, "EHLO client.test\r\n"), Not(HasSubstr("AUTH")));
  EXPECT_EQ(say(peer, "AUTH PLAIN\r\n"), "502 5.5.1 Error: command not implemented\r\n");
}

TEST_F(AuthServer, AsksNobodyAboutAClientOverItsRate) {
  service.smtpd.client_auth_rate_limit = 2;
  auto peer = greet();
  EXPECT_THAT(say(peer, "AUTH PLAIN " + plain("no") + "\r\n"), StartsWith("535 "));
  auto second = greet();
  EXPECT_THAT(say(second, "AUTH PLAIN " + plain("no") + "\r\n"), StartsWith("535 "));
  EXPECT_EQ(say(peer, "AUTH PLAIN " + plain() + "\r\n"), "450 4.7.1 Error: too many AUTH commands from unix\r\n");
  EXPECT_EQ(plugin_.calls.size(), 2u);
  EXPECT_EQ(service.counters.authentications_deferred, 1u);
  clock.advance(60 * kSecond);
  EXPECT_THAT(say(peer, "AUTH PLAIN " + plain() + "\r\n"), StartsWith("235 "));
}

TEST_F(AuthServer, IsNotThereForExceptions) {
  come_from("192.0.2.7");
  service.smtpd.client_name_lookup = false;
  service.smtpd.sasl_exceptions_networks = {*config::parse_network("192.0.2.0/24")};
  auto peer = connect();
  EXPECT_THAT(say(peer, "EHLO client.test\r\n"), Not(HasSubstr("AUTH")));
  EXPECT_EQ(say(peer, "AUTH PLAIN " + plain() + "\r\n"), "502 5.5.1 Error: command not implemented\r\n");
}

TEST_F(AuthServer, TakesNoPasswordInClearUnlessToldTo) {
  service.smtpd.tls_auth_only = true;
  auto peer = connect();
  EXPECT_THAT(say(peer, "EHLO client.test\r\n"), Not(HasSubstr("AUTH")));
  EXPECT_EQ(say(peer, "AUTH PLAIN " + plain() + "\r\n"),
            "538 5.7.11 Encryption required for requested authentication mechanism\r\n");
  service.smtpd.tls_security_level = config::TlsLevel::Encrypt;
  EXPECT_EQ(say(peer, "AUTH PLAIN " + plain() + "\r\n"), "530 5.7.0 Must issue a STARTTLS command first\r\n");
  EXPECT_THAT(plugin_.calls, IsEmpty());
}

TEST_F(AuthServer, LetsInByAnInitialResponse) {
  auto peer = let_in();
  ASSERT_EQ(plugin_.calls.size(), 1u);
  const auto &call = plugin_.calls.front();
  EXPECT_EQ(call.mechanism, "PLAIN");
  EXPECT_EQ(call.client_address, "unix");
  EXPECT_EQ(call.client_helo, "client.test");
  EXPECT_EQ(call.tls, "");
  EXPECT_EQ(call.time_limit, 30 * kSecond);
  EXPECT_THAT(sink.text, HasSubstr("\"event\":\"authenticated\""));
  EXPECT_THAT(sink.text, HasSubstr("\"sasl_username\":\"alice\""));
}

TEST_F(AuthServer, LetsInByChallengesAndResponses) {
  auto peer = greet();
  EXPECT_EQ(say(peer, "auth login\r\n"), "334 VXNlcm5hbWU6\r\n");
  EXPECT_EQ(say(peer, base64_encode("alice") + "\r\n"), "334 UGFzc3dvcmQ6\r\n");
  EXPECT_EQ(say(peer, base64_encode("secret") + "\r\n"), "235 2.7.0 Authentication successful\r\n");
  ASSERT_EQ(plugin_.calls.size(), 3u);
  EXPECT_EQ(plugin_.calls[2].step, 2u);
  EXPECT_EQ(plugin_.calls[2].exchange, plugin_.calls[0].exchange);
  EXPECT_FALSE(plugin_.calls[0].has_response);
}

TEST_F(AuthServer, AnEmptyChallengeIsALineAndAnEmptyResponseHasItsSign) {
  auto peer = greet();
  EXPECT_EQ(say(peer, "AUTH PLAIN\r\n"), "334 \r\n");
  EXPECT_THAT(say(peer, "\r\n"), StartsWith("535 "));
  EXPECT_TRUE(plugin_.calls[1].has_response);
  EXPECT_EQ(plugin_.calls[1].response, "");
  EXPECT_THAT(say(peer, "AUTH PLAIN =\r\n"), StartsWith("535 "));
  EXPECT_TRUE(plugin_.calls[2].has_response);
}

TEST_F(AuthServer, WrongCredentialsAreErrorsThatEndTheSessionIfThereAreMany) {
  service.smtpd.hard_error_limit = 3;
  auto peer = greet();
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(say(peer, "AUTH PLAIN " + plain("guess") + "\r\n"), "535 5.7.8 Error: authentication failed\r\n");
  EXPECT_THAT(say(peer, "AUTH PLAIN " + plain("guess") + "\r\n"),
              HasSubstr("421 4.7.0 mx.test Error: too many errors"));
  EXPECT_TRUE(peer.closed());
  EXPECT_EQ(service.counters.authentications_failed, 3u);
  EXPECT_THAT(sink.text, HasSubstr("authentication failed"));
}

TEST_F(AuthServer, APluginThatCannotSayIsTryLaterAndNeverYes) {
  auto peer = greet();
  for (const auto outcome : {AuthOutcome::Defer, AuthOutcome::Failed}) {
    plugin_.always = outcome;
    EXPECT_EQ(say(peer, "AUTH PLAIN " + plain() + "\r\n"), "454 4.7.0 Temporary authentication failure\r\n");
  }
  plugin_.always.reset();
  plugin_.offered = "";  // its process has never been there
  EXPECT_THAT(say(peer, "AUTH PLAIN " + plain() + "\r\n"), StartsWith("454 4.7.0 "));
  EXPECT_EQ(service.counters.authentications_deferred, 2u);
  EXPECT_EQ(service.counters.authentications, 0u);
}

TEST_F(AuthServer, WhatIsNoExchangeIsRefused) {
  auto peer = connect();
  EXPECT_EQ(say(peer, "AUTH PLAIN " + plain() + "\r\n"), "503 5.5.1 Error: send HELO/EHLO first\r\n");
  say(peer, "EHLO client.test\r\n");
  EXPECT_EQ(say(peer, "AUTH\r\n"), "501 5.5.4 Syntax: AUTH mechanism [initial-response]\r\n");
  EXPECT_EQ(say(peer, "AUTH PLAIN x y\r\n"), "501 5.5.4 Syntax: AUTH mechanism [initial-response]\r\n");
  EXPECT_EQ(say(peer, "AUTH CRAM-MD5\r\n"), "504 5.5.4 Unrecognized authentication type\r\n");
  EXPECT_EQ(say(peer, "AUTH ONLY-TLS\r\n"), "504 5.5.4 Unrecognized authentication type\r\n");
  EXPECT_EQ(say(peer, "AUTH PLAIN n@base64\r\n"), "501 5.5.2 Error: that is no base64\r\n");
  EXPECT_THAT(plugin_.calls, IsEmpty());
  EXPECT_EQ(say(peer, "AUTH LOGIN\r\n"), "334 VXNlcm5hbWU6\r\n");
  EXPECT_EQ(say(peer, "*\r\n"), "501 5.7.0 Authentication aborted\r\n");
  EXPECT_EQ(say(peer, "AUTH LOGIN\r\n"), "334 VXNlcm5hbWU6\r\n");
  EXPECT_EQ(say(peer, "n@base64\r\n"), "501 5.5.2 Error: that is no base64\r\n");
  EXPECT_THAT(plugin_.forgotten, ElementsAre(1u, 2u));
  EXPECT_EQ(mail(peer), "250 2.1.0 Ok\r\n");
  EXPECT_EQ(say(peer, "AUTH PLAIN " + plain() + "\r\n"), "503 5.5.1 Error: MAIL transaction in progress\r\n");
  EXPECT_EQ(say(peer, "RSET\r\n"), "250 2.0.0 Ok\r\n");
  EXPECT_THAT(say(peer, "AUTH PLAIN " + plain() + "\r\n"), StartsWith("235 "));
  EXPECT_EQ(say(peer, "AUTH PLAIN " + plain() + "\r\n"), "503 5.5.1 Error: already authenticated\r\n");
}

TEST_F(AuthServer, AResponseMayBeLongerThanACommandButNotEndless) {
  auto peer = greet();
  EXPECT_EQ(say(peer, "AUTH PLAIN\r\n"), "334 \r\n");
  EXPECT_THAT(say(peer, base64_encode(std::string(9210, 'x')) + "\r\n"), StartsWith("535 "));
  EXPECT_EQ(plugin_.calls.back().response.size(), 9210u);
  EXPECT_EQ(say(peer, "AUTH PLAIN\r\n"), "334 \r\n");
  EXPECT_EQ(say(peer, base64_encode(std::string(9300, 'x')) + "\r\n"),
            "500 5.5.6 Error: authentication exchange line is too long\r\n");
  EXPECT_EQ(say(peer, "NOOP\r\n"), "250 2.0.0 Ok\r\n");
  EXPECT_EQ(say(peer, "AUTH PLAIN " + base64_encode(std::string(3000, 'x')) + "\r\n"),
            "500 5.5.2 Error: line too long\r\n");
}

TEST_F(AuthServer, AnExchangeThatDoesNotEndIsEnded) {
  plugin_.endless = true;
  auto peer = greet();
  EXPECT_EQ(say(peer, "AUTH PLAIN\r\n"), "334 bW9yZQ==\r\n");
  std::string said;
  int steps = 0;
  while (steps++ < 100 && !said.starts_with("454 ")) said = say(peer, "\r\n");
  EXPECT_EQ(said, "454 4.7.0 Temporary authentication failure\r\n");
  EXPECT_THAT(plugin_.forgotten, ElementsAre(1u));
}

TEST_F(AuthServer, TheSessionWaitsForThePlugin) {
  plugin_.waits = true;
  auto peer = greet();
  EXPECT_EQ(say(peer, "AUTH PLAIN " + plain() + "\r\nNOOP\r\n"), "");
  ASSERT_EQ(plugin_.kept.size(), 1u);
  plugin_.kept.front()(plugin_.verdict(true));
  settle();
  EXPECT_EQ(peer.received(), "235 2.7.0 Authentication successful\r\n250 2.0.0 Ok\r\n");
}

TEST_F(AuthServer, AServerThatIsTakenDownMeanwhileLeavesThePluginAlone) {
  plugin_.waits = true;
  auto peer = greet();
  EXPECT_EQ(say(peer, "AUTH PLAIN " + plain() + "\r\n"), "");
  server.reset();
  ASSERT_EQ(plugin_.kept.size(), 1u);
  plugin_.kept.front()(plugin_.verdict(true));
  settle();
}

TEST_F(AuthServer, TheMessageSaysThatItsSenderWasKnown) {
  service.smtpd.sasl_authenticated_header = true;
  auto peer = let_in();
  EXPECT_THAT(say(peer, "MAIL FROM:<a@b.example> AUTH=a+40b.example\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"),
              EndsWith("354 End data with <CR><LF>.<CR><LF>\r\n"));
  EXPECT_THAT(say(peer, "Subject: x\r\n\r\nbody\r\n.\r\n"), StartsWith("250 "));
  ASSERT_EQ(writer.stored_messages.size(), 1u);
  const auto &stored = writer.stored_messages.front();
  EXPECT_EQ(stored.envelope.auth_user, "alice");
  EXPECT_EQ(stored.envelope.auth_method, "PLAIN");
  EXPECT_EQ(stored.envelope.auth_sender, "a@b.example");
  EXPECT_EQ(stored.envelope.protocol, "ESMTPA");
  EXPECT_THAT(stored.prefix, HasSubstr("\t(Authenticated sender: alice)\r\n"));
  EXPECT_THAT(stored.prefix, HasSubstr(" with ESMTPA id "));
  EXPECT_THAT(sink.text, HasSubstr("\"sasl_method\":\"PLAIN\""));
}

TEST_F(AuthServer, TheSubmitterThatAStrangerNamesIsNotBelieved) {
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example> AUTH=a@b.example\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
  EXPECT_THAT(say(peer, "Subject: x\r\n\r\nbody\r\n.\r\n"), StartsWith("250 "));
  ASSERT_EQ(writer.stored_messages.size(), 1u);
  const auto &envelope = writer.stored_messages.front().envelope;
  EXPECT_EQ(envelope.auth_sender, "");
  EXPECT_EQ(envelope.auth_method, "");
}

TEST_F(AuthServer, MailHasAnAuthParameterWhereAuthIsOffered) {
  auto peer = greet();
  EXPECT_EQ(mail(peer, " AUTH=<>"), "250 2.1.0 Ok\r\n");
  say(peer, "RSET\r\n");
  EXPECT_THAT(mail(peer, " AUTH=nobody"), StartsWith("501 5.5.4 "));
  EXPECT_THAT(mail(peer, " AUTH=a+4"), StartsWith("501 5.5.4 "));
  EXPECT_THAT(mail(peer, " AUTH=<> AUTH=<>"), StartsWith("501 5.5.4 "));
  service.auth.instance = nullptr;
  EXPECT_THAT(mail(peer, " AUTH=<>"), StartsWith("555 5.5.4 "));
}

TEST_F(AuthServer, MailMayBeForKnownClientsOnly) {
  service.smtpd.sasl_auth_required = true;
  auto peer = greet();
  EXPECT_EQ(mail(peer), "530 5.7.0 Authentication required\r\n");
  EXPECT_THAT(say(peer, "AUTH PLAIN " + plain() + "\r\n"), StartsWith("235 "));
  EXPECT_EQ(mail(peer), "250 2.1.0 Ok\r\n");
}

TEST_F(AuthServer, NoticesToThePostmasterHoldNoPassword) {
  settings.queue.notify_classes = {"policy", "protocol"};
  auto peer = greet();
  say(peer, "AUTH PLAIN " + plain("guess") + "\r\n");
  say(peer, "AUTH LOGIN\r\n");
  say(peer, base64_encode("alice") + "\r\n");
  say(peer, base64_encode("guess") + "\r\n");
  say(peer, base64_encode("guess") + "\r\n");  // to nobody's question
  say(peer, "QUIT\r\n");
  ASSERT_EQ(writer.stored_messages.size(), 1u);
  const auto &body = writer.stored_messages.front().body;
  EXPECT_THAT(body, HasSubstr(" In:  AUTH [...]\r\n Out: 535 5.7.8 "));
  EXPECT_THAT(body, Not(HasSubstr(base64_encode("guess"))));
  EXPECT_THAT(body, Not(HasSubstr(base64_encode("alice"))));
  EXPECT_THAT(body, Not(HasSubstr(plain("guess"))));
}

// What a filter makes of it.
class AuthFilter final : public host::FilterInstance {
 public:
  std::uint64_t stages() const override { return std::uint64_t{1} << MANSIO_STAGE_AUTH | 1u << MANSIO_STAGE_MAIL; }
  std::uint32_t incarnation() const override { return 1; }
  std::uint64_t start(wire::StageCall call, std::shared_ptr<const host::FilterContent>, Done done,
                      std::function<void()>) override {
    seen.push_back(call);
    wire::StageResult r;
    r.outcome = call.stage == MANSIO_STAGE_AUTH ? verdict : wire::StageOutcome::Ok;
    done(std::move(r));
    return 1;
  }
  void cancel(std::uint64_t) override {}
  void abort(const std::string &, MessageId) override {}
  std::size_t in_flight() const override { return 0; }
  std::uint64_t misbehaviours() const override { return 0; }
  void stats(const host::StatsSink &) const override {}
  std::vector<wire::StageCall> seen;
  wire::StageOutcome verdict = wire::StageOutcome::Ok;
};

TEST_F(AuthServer, FiltersSeeWhoWasLetInAndMayObject) {
  AuthFilter filter;
  service.filters = testing::chain_of({{&filter, "filter.f", config::OnFailure::Defer, kSecond, kSecond}});
  {
    auto peer = let_in();
    EXPECT_THAT(filter.seen.at(0).arguments, ElementsAre("PLAIN", "alice"));
    mail(peer);
    EXPECT_THAT(filter.seen.at(1).macros, ::testing::Contains(::testing::Pair("auth_user", "alice")));
  }
  filter.verdict = wire::StageOutcome::Fail;
  auto peer = greet();
  EXPECT_EQ(say(peer, "AUTH PLAIN " + plain() + "\r\n"), "535 5.7.1 Rejected by policy\r\n");
  mail(peer);
  EXPECT_THAT(filter.seen.back().macros, Not(::testing::Contains(::testing::Pair("auth_user", "alice"))));
  filter.verdict = wire::StageOutcome::Failed;
  say(peer, "RSET\r\n");
  EXPECT_THAT(say(peer, "AUTH PLAIN " + plain() + "\r\n"), StartsWith("454 4.3.0 "));
  server.reset();
}

}  // namespace
}  // namespace mansio::ingress
