// Limits of what one client may do in a unit of time: which event is the first that is refused, how, and until when;
// who is one client; whom they leave alone; and that the log does not grow with what is refused.
#include "kernel/ingress/client_rates.hpp"

#include <gmock/gmock.h>

#include "kernel/mail/netstring.hpp"
#include "tests/unit/ingress/fixture.hpp"

namespace mansio::ingress {
namespace {

using process::ClientEvent;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ClientRates : public testing::SmtpServerTest {
 protected:
  ClientRates() {
    service.smtpd.client_name_lookup = false;
    service.smtpd.hard_error_limit = 100;
    come_from("192.0.2.1");
  }
  bool admitted() {
    auto peer = dial();
    settle();
    return peer.received().starts_with("220 ");
  }
  std::size_t lines(std::string_view event) const {
    std::size_t n = 0;
    for (auto at = sink.text.find(event); at != std::string::npos; at = sink.text.find(event, at + 1)) ++n;
    return n;
  }
  std::uint64_t refused(ClientEvent event) const {
    return service.counters.rate_limited[static_cast<std::size_t>(event)];
  }
};

TEST_F(ClientRates, RefuseConnectionsUntilTheUnitIsOver) {
  service.smtpd.client_connection_rate_limit = 2;
  EXPECT_TRUE(admitted());
  clock.advance(30 * kSecond);
  EXPECT_TRUE(admitted());
  clock.advance(29 * kSecond);
  auto refused_peer = dial();
  settle();
  EXPECT_EQ(refused_peer.received(), "421 4.7.0 mx.test Error: too many new connections from 192.0.2.1\r\n");
  EXPECT_TRUE(refused_peer.closed());
  EXPECT_EQ(service.counters.connections, 2u);
  EXPECT_EQ(service.counters.refused_connections, 1u);
  EXPECT_EQ(refused(ClientEvent::Connection), 1u);
  come_from("192.0.2.2");
  EXPECT_TRUE(admitted());
  come_from("192.0.2.1");
  clock.advance(1 * kSecond);
  EXPECT_TRUE(admitted());
  settle();
  EXPECT_EQ(census.now, 0);
}

TEST_F(ClientRates, CountNothingByDefault) {
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(admitted());
  EXPECT_EQ(census.events().counted_events("smtp", census.came, ClientEvent::Connection, {60 * kSecond, 0}), 0u);
}

TEST_F(ClientRates, CountWithTheOtherProcesses) {
  service.smtpd.client_connection_rate_limit = 3;
  EXPECT_TRUE(admitted());
  const process::RateTime now{60 * kSecond, clock.mono()};
  EXPECT_EQ(census.events().count_event(1, "smtp", census.came, ClientEvent::Connection, now), 2u);
  EXPECT_TRUE(admitted());
  EXPECT_FALSE(admitted());
  EXPECT_EQ(census.events().count_event(1, "other", census.came, ClientEvent::Connection, now), 1u);
}

TEST_F(ClientRates, RefuseMail) {
  service.smtpd.client_message_rate_limit = 2;
  auto peer = greet();
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\nRSET\r\n"), "250 2.1.0 Ok\r\n250 2.0.0 Ok\r\n");
  EXPECT_THAT(say(peer, "MAIL\r\n"), StartsWith("501 "));  // that is no MAIL command
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\nRSET\r\n"), "250 2.1.0 Ok\r\n250 2.0.0 Ok\r\n");
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\n"), "450 4.7.1 Error: too much mail from 192.0.2.1\r\n");
  EXPECT_THAT(say(peer, "RCPT TO:<c@d.example>\r\n"), StartsWith("503 5.5.1 "));
  auto second = greet();
  EXPECT_THAT(say(second, "MAIL FROM:<a@b.example>\r\n"), StartsWith("450 4.7.1 "));
  clock.advance(60 * kSecond);
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\n"), "250 2.1.0 Ok\r\n");
  EXPECT_EQ(refused(ClientEvent::Message), 2u);
  EXPECT_EQ(service.counters.deferred_messages, 2u);
}

TEST_F(ClientRates, RefuseRecipientsWhateverBecomesOfThem) {
  service.smtpd.client_recipient_rate_limit = 3;
  service.smtpd.anvil_rate_time_unit = 10 * kSecond;
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\n");
  EXPECT_EQ(say(peer, "RCPT TO:<c@d.example>\r\n"), "250 2.1.5 Ok\r\n");
  EXPECT_THAT(say(peer, "RCPT TO:<nobody@d.example>\r\n"), StartsWith("550 "));
  EXPECT_EQ(say(peer, "RCPT TO:<e@d.example>\r\nRCPT TO:<f@d.example>\r\n"),
            "250 2.1.5 Ok\r\n450 4.7.1 Error: too many recipients from 192.0.2.1\r\n");
  EXPECT_THAT(say(peer, "DATA\r\n"), StartsWith("354 "));
  EXPECT_THAT(say(peer, "x\r\n.\r\n"), StartsWith("250 "));
  EXPECT_EQ(writer.stored_messages.at(0).envelope.recipients.size(), 2u);
  clock.advance(10 * kSecond);
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<f@d.example>\r\n"), "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n");
  EXPECT_EQ(refused(ClientEvent::Recipient), 1u);
  EXPECT_EQ(service.counters.rejected_recipients, 2u);
}

TEST_F(ClientRates, EndASessionThatGoesOnRegardless) {
  service.smtpd.client_message_rate_limit = 1;
  service.smtpd.hard_error_limit = 3;
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRSET\r\n");
  EXPECT_THAT(say(peer, "MAIL FROM:<>\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\n"),
              ::testing::EndsWith("421 4.7.0 mx.test Error: too many errors\r\n"));
}

TEST_F(ClientRates, LeaveExceptionsAlone) {
  service.smtpd.client_connection_rate_limit = 1;
  service.smtpd.client_message_rate_limit = 1;
  service.smtpd.client_event_limit_exceptions = {*config::parse_network("192.0.2.0/28")};
  service.smtpd.client_event_limit_exceptions_given = true;
  for (int i = 0; i < 3; ++i) {
    auto peer = greet();
    EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\n"), "250 2.1.0 Ok\r\n");
  }
  come_from("192.0.2.16");
  EXPECT_TRUE(admitted());
  EXPECT_FALSE(admitted());
}

TEST_F(ClientRates, TakeANetworkForOneClient) {
  service.smtpd.client_connection_rate_limit = 1;
  service.smtpd.client_ipv4_prefix_length = 24;
  EXPECT_TRUE(admitted());
  come_from("192.0.2.200");
  EXPECT_FALSE(admitted());
  EXPECT_THAT(sink.text, HasSubstr("\"counted_as\":\"192.0.2.0/24\""));
  come_from("192.0.3.1");
  EXPECT_TRUE(admitted());
  come_from("2001:db8::1");
  EXPECT_TRUE(admitted());
  come_from("2001:db8:0:0:0:fff::1");  // the first 84 bits are the same
  EXPECT_FALSE(admitted());
  come_from("2001:db8:0:0:0:1000::1");
  EXPECT_TRUE(admitted());
  service.smtpd.client_ipv6_prefix_length = 128;
  come_from("2001:db8:0:0:0:fff::2");
  EXPECT_TRUE(admitted());
}

TEST_F(ClientRates, ConnectionsAtOnceAreCountedByTheSameNetwork) {
  come_from("2001:db8::1:2:3");
  auto peer = connect();
  EXPECT_EQ(census.came, *config::parse_ip("2001:db8::"));
  service.smtpd.client_ipv6_prefix_length = 64;  // a session leaves as it came
  peer.hang_up();
  settle();
  EXPECT_EQ(census.left, census.came);
  come_from("192.0.2.77");
  EXPECT_TRUE(admitted());
  EXPECT_EQ(census.came, *config::parse_ip("192.0.2.77"));
}

TEST_F(ClientRates, OneLogLineSpeaksOfAllThatIsRefusedInAUnit) {
  service.smtpd.client_message_rate_limit = 1;
  service.smtpd.client_connection_rate_limit = 50;
  const std::string_view event = "client over its rate";
  for (int i = 0; i < 20; ++i) {
    auto peer = greet();
    for (int j = 0; j < 4; ++j) say(peer, "MAIL FROM:<a@b.example>\r\nRSET\r\n");
  }
  EXPECT_EQ(lines(event), 1u);
  EXPECT_EQ(lines("\"event\":\"reject\""), 0u);
  EXPECT_THAT(sink.text, HasSubstr("\"option\":\"client_message_rate_limit\",\"limit\":1,\"unit_seconds\":60"));
  EXPECT_THAT(sink.text, HasSubstr("client_event_limit_exceptions"));
  EXPECT_EQ(refused(ClientEvent::Message), 79u);
  clock.advance(60 * kSecond);
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRSET\r\nMAIL FROM:<a@b.example>\r\nMAIL FROM:<a@b.example>\r\n");
  EXPECT_EQ(lines(event), 2u);
  const auto before = sink.text.size();
  for (int i = 0; i < 200; ++i) dial();
  settle();
  EXPECT_EQ(lines(event), 3u);  // of connections
  EXPECT_THAT(sink.text.substr(before), Not(HasSubstr("connection refused")));
}

class QmqpRates : public ClientRates {
 protected:
  void SetUp() override {
    service.qmqpd.emplace();
    service.qmqpd->authorized_clients = {*config::parse_network("192.0.2.0/24")};
    service.qmqpd->error_delay = 0;
    ClientRates::SetUp();
  }
  std::string ask(const std::vector<std::string> &addresses) {
    std::string inner, request;
    append_netstring(inner, "Subject: x\n\nx\n");
    append_netstring(inner, "a@b.example");
    for (const auto &address : addresses) append_netstring(inner, address);
    append_netstring(request, inner);
    auto peer = dial();
    const auto reply = say(peer, request);
    return std::string{take_netstring(reply, 1000).bytes};
  }
};

TEST_F(QmqpRates, RefuseConnections) {
  service.smtpd.client_connection_rate_limit = 1;
  EXPECT_THAT(ask({"c@d.example"}), StartsWith("K"));
  EXPECT_EQ(ask({"c@d.example"}), "Z4.7.0 mx.test Error: too many new connections from 192.0.2.1");
}

TEST_F(QmqpRates, RefuseMessages) {
  service.smtpd.client_message_rate_limit = 1;
  EXPECT_THAT(ask({"c@d.example"}), StartsWith("K"));
  EXPECT_EQ(ask({"c@d.example"}), "Z4.7.1 Error: too much mail from 192.0.2.1");
  EXPECT_EQ(writer.stored_messages.size(), 1u);
  clock.advance(60 * kSecond);
  EXPECT_THAT(ask({"c@d.example"}), StartsWith("K"));
}

TEST_F(QmqpRates, RefuseAMessageWhoseRecipientsAreTooMany) {
  service.smtpd.client_recipient_rate_limit = 2;
  EXPECT_EQ(ask({"c@d.example", "d@d.example", "e@d.example"}), "Z4.7.1 Error: too many recipients from 192.0.2.1");
  EXPECT_TRUE(writer.stored_messages.empty());
  clock.advance(60 * kSecond);
  EXPECT_THAT(ask({"c@d.example", "d@d.example"}), StartsWith("K"));
}

}  // namespace
}  // namespace mansio::ingress
