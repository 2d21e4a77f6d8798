// smtp_fallback_relay: when mail goes to it, and when it must not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/transport-smtp/tests/fake_server.hpp"
#include "plugins/transport-smtp/tests/test_host.hpp"

namespace mansio::smtp::test {
namespace {

using ::testing::HasSubstr;

struct WithRelay {
  FakeServer server, relay;
  TestHost host;
  Mail mail;
  explicit WithRelay(Behaviour b = {}, Behaviour of_relay = {}, std::map<std::string, std::string> options = {})
      : server(std::move(b), "127.0.0.2"), relay(std::move(of_relay), "127.0.0.3"), host(kSmtp, [&] {
          options["smtp_fallback_relay"] = relay.nexthop;
          return options;
        }()) {
    mail.recipients = {{"one@example.com", "", "", 0}, {"two@example.com", "", "", 0}};
    mail.nexthop = server.nexthop;
  }
};

TEST(SmtpFallback, IsNotUsedWhileTheDestinationTakesMail) {
  WithRelay t;
  EXPECT_EQ(t.host.deliver(t.mail)[0].status, MANSIO_OK);
  EXPECT_EQ(t.relay.connections(), 0u);
}

TEST(SmtpFallback, TakesWhatTheDestinationPutsOff) {
  for (const auto &[command, reply] :
       {std::pair{"MAIL", "451 4.3.0 later"}, {"RCPT", "450 4.2.0 later"}, {"EHLO", kDrop}}) {
    WithRelay t{answering(command, reply)};
    const auto r = t.host.deliver(t.mail);
    ASSERT_EQ(r.size(), 2u);
    EXPECT_EQ(r[0].status, MANSIO_OK) << command;
    EXPECT_THAT(r[0].relay, HasSubstr("127.0.0.3")) << command;
    EXPECT_EQ(t.relay.transactions().size(), 1u);
  }
}

// What hangs is remembered, and passed by where there is another address; a next hop that has no other is tried each
// time. The "slow" transport of Postfix's qshape document, for versions before 2.5, rests on it.
TEST(SmtpFallback, AHostThatDoesNotAnswerIsWaitedForInEachDelivery) {
  Behaviour silent;
  silent.greeting = kStall;
  WithRelay t{silent, {}, {{"smtp_helo_timeout", "500ms"}, {"smtp_connection_cache_on_demand", "false"}}};
  for (int i = 0; i < 2; ++i) EXPECT_EQ(t.host.deliver(t.mail)[0].status, MANSIO_OK);
  EXPECT_EQ(t.server.connections(), 2u);
  EXPECT_EQ(t.relay.transactions().size(), 2u);
}

TEST(SmtpFallback, TakesOnlyTheRecipientsThatAreLeft) {
  WithRelay t{answering("RCPT TO:<one", "450 4.2.0 later")};
  const auto r = t.host.deliver(t.mail);
  EXPECT_THAT(r[0].relay, HasSubstr("127.0.0.3"));
  EXPECT_THAT(r[1].relay, HasSubstr("127.0.0.2"));
  EXPECT_EQ(t.relay.transactions().at(0).rcpts.size(), 1u);
}

TEST(SmtpFallback, GetsNothingThatWasRefusedForGood) {
  WithRelay t{answering("RCPT", "550 5.1.1 nobody")};
  EXPECT_EQ(t.host.deliver(t.mail)[0].status, MANSIO_FAIL);
  EXPECT_EQ(t.relay.connections(), 0u);
}

TEST(SmtpFallback, TakesMailForADestinationThatIsNotFound) {
  for (const auto status : {MANSIO_NOT_FOUND, MANSIO_DEFER}) {
    WithRelay t;
    t.mail.nexthop = "example.com";
    t.host.answer("example.com", MANSIO_DNS_MX, status);
    t.host.answer("example.com", MANSIO_DNS_A, status);
    t.host.answer("example.com", MANSIO_DNS_AAAA, status);
    EXPECT_EQ(t.host.deliver(t.mail)[0].status, MANSIO_OK) << status;
    EXPECT_EQ(t.relay.transactions().size(), 1u);
  }
}

TEST(SmtpFallback, GetsNothingForADomainThatTakesNoMail) {
  WithRelay t;
  t.mail.nexthop = "example.com";
  t.host.answer("example.com", MANSIO_DNS_MX, {{"", 0}});
  EXPECT_EQ(t.host.deliver(t.mail)[0].enhanced, "5.1.10");
  EXPECT_EQ(t.relay.connections(), 0u);
}

TEST(SmtpFallback, GetsNothingOfWhatWeAreAnExchangerFor) {
  FakeServer relay{{}, "127.0.0.3"};
  TestHost host{kSmtp, {{"smtp_fallback_relay", relay.nexthop}, {"smtp_connect_timeout", "50ms"}}};
  host.facts["self_addresses"] = "192.0.2.7";
  host.answer("example.com", MANSIO_DNS_MX, {{"better.example.com", 5}, {"us.example.com", 10}});
  host.answer("better.example.com", MANSIO_DNS_A, {{"127.0.0.9", 0}});
  host.answer("us.example.com", MANSIO_DNS_A, {{"192.0.2.7", 0}});
  Mail mail;
  EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_DEFER);
  EXPECT_EQ(relay.connections(), 0u);
}

TEST(SmtpFallback, TheNextRelayHelpsWhenOneDoesNot) {
  FakeServer first{answering("MAIL", "451 4.3.0 later")}, second{{}, "127.0.0.3"},
      server{answering("MAIL", "451 4.3.0 later")};
  TestHost host{kSmtp, {{"smtp_fallback_relay", "nowhere.example, " + first.nexthop + ", " + second.nexthop}}};
  Mail mail;
  mail.nexthop = server.nexthop;
  EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_OK);
  EXPECT_EQ(second.transactions().size(), 1u);
}

TEST(SmtpFallback, ARelayThatIsNotFoundBouncesNothing) {
  FakeServer server{answering("MAIL", kDrop)};
  TestHost host{kSmtp, {{"smtp_fallback_relay", "nowhere.example"}}};
  Mail mail;
  mail.nexthop = server.nexthop;
  EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_DEFER);
}

TEST(SmtpFallback, AKeptConnectionToItServesOnlyIt) {
  WithRelay t{
      answering("MAIL", "451 4.3.0 later"), {}, {{"smtp_connection_cache_destinations", "127.0.0.2, 127.0.0.3"}}};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(t.host.deliver(t.mail)[0].status, MANSIO_OK);
  EXPECT_EQ(t.relay.connections(), 1u);
  EXPECT_EQ(t.server.connections(), 1u);
  EXPECT_EQ(t.server.count("MAIL"), 3u);
}

}  // namespace
}  // namespace mansio::smtp::test
