// QMQP sessions: what is taken and how it is answered, and whom the listener talks to at all.
#include <gmock/gmock.h>

#include "kernel/mail/netstring.hpp"
#include "tests/unit/ingress/fixture.hpp"

namespace mansio::ingress {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class QmqpServer : public testing::SmtpServerTest {
 protected:
  void SetUp() override {
    service.name = "qmqp";
    service.qmqpd.emplace();
    service.qmqpd->authorized_clients = {config::Network{}};  // clients over a UNIX socket
    service.qmqpd->error_delay = 0;
    service.smtpd.tenant = "acme";
    service.smtpd.campaign_header = "X-Campaign";
    SmtpServerTest::SetUp();
  }
  static std::string net(std::string_view bytes) {
    std::string out;
    append_netstring(out, bytes);
    return out;
  }
  static std::string request(std::string_view message, const std::vector<std::string> &addresses) {
    std::string inner = net(message);
    for (const auto &address : addresses) inner += net(address);
    return net(inner);
  }
  // The reply's text; "" while there is none.
  std::string ask(std::string_view text) {
    auto peer = dial();
    return said(say(peer, text));
  }
  static std::string said(const std::string &bytes) {
    const auto reply = take_netstring(bytes, 1000);
    EXPECT_TRUE(bytes.empty() || reply.length == bytes.size()) << bytes;
    return std::string{reply.bytes};
  }
};

TEST_F(QmqpServer, TakesAMessageWithItsLinesMadeCanonical) {
  auto peer = dial();
  EXPECT_THAT(said(say(peer, request("Subject: x\n\n.one\r\ntwo\n", {"A@B.example", "c@d.example", "e@f.two"}))),
              StartsWith("KOk: queued as "));
  EXPECT_TRUE(peer.closed());
  ASSERT_EQ(writer.stored_messages.size(), 1u);
  const auto &m = writer.stored_messages[0];
  EXPECT_EQ(m.body, "Subject: x\r\n\r\n.one\r\ntwo\r\n");
  EXPECT_THAT(m.prefix, HasSubstr("with QMQP id "));
  EXPECT_EQ(m.envelope.sender, "A@b.example");
  ASSERT_EQ(m.envelope.recipients.size(), 2u);
  EXPECT_EQ(m.envelope.recipients[0].address, "c@d.example");
  EXPECT_EQ(m.envelope.routes[m.envelope.recipients[1].route].transport, "two");
  EXPECT_TRUE(m.envelope.body.leading_dots);
  EXPECT_EQ(m.envelope.body.hops, 1);
  EXPECT_EQ(m.envelope.listener, "qmqp");
  EXPECT_EQ(m.envelope.tenant, "acme");
  EXPECT_EQ(m.envelope.campaign, "");
  EXPECT_EQ(intake.noticed.size(), 1u);
  EXPECT_EQ(service.counters.messages, 1u);
  EXPECT_EQ(census.now, 0);
}

TEST_F(QmqpServer, TakesTheCampaignFromTheHeader) {
  EXPECT_THAT(ask(request("Subject: x\nX-Campaign: spring\n\nx\n", {"a@b.example", "c@d.example"})), StartsWith("K"));
  EXPECT_EQ(writer.stored_messages.at(0).envelope.campaign, "spring");
}

TEST_F(QmqpServer, TakesThePriorityFromTheHeader) {
  service.smtpd.priority_header = "MT-Priority";
  EXPECT_THAT(ask(request("MT-Priority: 5\nX-Campaign: spring\n\nx\n", {"a@b.example", "c@d.example"})),
              StartsWith("K"));
  EXPECT_EQ(writer.stored_messages.at(0).envelope.priority, 5);
  EXPECT_EQ(writer.stored_messages.at(0).envelope.campaign, "spring");
}

TEST_F(QmqpServer, AnswersOnlyWhenTheMessageIsOnStableStorage) {
  writer.hold = true;
  auto peer = dial();
  const auto text = request("x\n", {"", "c@d.example"});
  for (const char c : text) EXPECT_EQ(say(peer, std::string_view{&c, 1}), "");
  writer.release();
  settle();
  EXPECT_THAT(said(peer.received()), StartsWith("K"));
  EXPECT_EQ(writer.stored_messages.at(0).envelope.sender, "");
}

TEST_F(QmqpServer, QuotesLocalPartsAndNoticesUtf8) {
  EXPECT_THAT(ask(request("x\n", {"", "john smith@d.example", "j\xc3\xb6rg@d.example"})), StartsWith("K"));
  const auto &e = writer.stored_messages.at(0).envelope;
  EXPECT_EQ(e.recipients[0].address, "\"john smith\"@d.example");
  EXPECT_TRUE(e.smtputf8);
}

TEST_F(QmqpServer, ServesAuthorizedClientsOnly) {
  service.qmqpd->authorized_clients = {*config::parse_network("192.0.2.0/24")};
  auto peer = dial();
  settle();
  EXPECT_EQ(said(peer.received()), "D5.7.1 Error: unix is not authorized to use this service");
  EXPECT_TRUE(peer.closed());
}

TEST_F(QmqpServer, ARefusedRecipientRefusesTheMessage) {
  EXPECT_EQ(ask(request("x\n", {"", "c@d.example", "nobody@d.example"})),
            "D5.1.1 <nobody@d.example>: No such user here");
  EXPECT_THAT(ask(request("x\n", {"", "d.example"})), StartsWith("D5.1.3 "));
  EXPECT_THAT(ask(request("x\n", {"a b", "c@d.example"})), StartsWith("D5.1.7 "));
  EXPECT_THAT(ask(request("x\n", {"list-@host-@[]", "c@d.example"})), HasSubstr("VERP"));
  EXPECT_EQ(ask(request("x\n", {""})), "D5.5.1 Error: no recipients specified");
  service.smtpd.recipient_limit = 1;
  EXPECT_EQ(ask(request("x\n", {"", "c@d.example", "e@d.example"})), "D5.5.3 Error: too many recipients");
  EXPECT_TRUE(writer.stored_messages.empty());
  EXPECT_EQ(service.counters.rejected_messages, 6u);
}

TEST_F(QmqpServer, RefusesContentThatSmtpWouldRefuse) {
  service.smtpd.message_size_limit = 2000;
  service.smtpd.line_length_limit = 1000;
  EXPECT_EQ(ask("3100:3000:"), "D5.3.4 Error: message too large");  // before it comes
  EXPECT_EQ(ask(request(std::string(1001, 'x'), {"", "c@d.example"})), "D5.6.0 Error: line longer than 1000 octets");
  std::string lines;
  for (int i = 0; i < 900; ++i) lines += "x\n";  // 1800 octets, 2700 with canonical line ends
  EXPECT_EQ(ask(request(lines, {"", "c@d.example"})), "D5.3.4 Error: message too large");
  std::string hops;
  for (std::uint32_t i = 0; i < service.smtpd.hopcount_limit; ++i) hops += "Received: x\n";
  EXPECT_EQ(ask(request(hops + "\n", {"", "c@d.example"})), "D5.4.6 Error: too many hops");
  service.smtpd.content_filter = "dspam";
  EXPECT_EQ(ask(request(std::string_view{"a\0b\n", 4}, {"", "c@d.example"})), "D5.6.0 Error: NUL in the message");
  EXPECT_TRUE(writer.stored_messages.empty());
}

TEST_F(QmqpServer, RefusesWhatIsNoRequest) {
  EXPECT_EQ(ask("EHLO x\r\n"), "D5.5.2 Error: malformed netstring");
  EXPECT_EQ(ask("5:1:x,,"), "D5.5.2 Error: malformed netstring");
  EXPECT_EQ(service.counters.protocol_errors, 2u);
}

TEST_F(QmqpServer, OurTroubleIsForLater) {
  intake.why = Reply{452, {4, 3, 1}, "Insufficient system storage"};
  EXPECT_EQ(ask(""), "Z4.3.1 Insufficient system storage");
  intake.why.reset();
  writer.commit_fails = Error{Status::Busy, "full", {}};
  EXPECT_EQ(ask(request("x\n", {"", "c@d.example"})), "Z4.3.1 Insufficient system storage");
  writer.commit_fails.reset();
  writer.append_fails = Error{Status::Fail, "EIO", {}};
  EXPECT_EQ(ask(request("x\n", {"", "c@d.example"})), "Z4.3.0 Error: queue file write error");
  census.answer = process::Admission::TotalLimit;
  EXPECT_EQ(ask(""), "Z4.3.2 mx.test Error: all server ports are busy");
}

TEST_F(QmqpServer, AClientThatGoesAwayLeavesNothing) {
  auto peer = dial();
  const auto text = request("x\n", {"", "c@d.example"});
  peer.send(text.substr(0, text.size() - 1));  // all but the last comma
  settle();
  peer.hang_up();
  settle();
  EXPECT_TRUE(writer.stored_messages.empty());
  EXPECT_EQ(server->sessions(), 0u);
}

TEST_F(QmqpServer, WaitsForQmqpdTimeoutAtMost) {
  service.qmqpd->timeout = 10 * kSecond;
  auto peer = dial();
  EXPECT_EQ(say(peer, "10:"), "");
  clock.advance(9 * kSecond);
  server->sweep();
  settle();
  EXPECT_FALSE(peer.closed());
  clock.advance(2 * kSecond);
  server->sweep();
  settle();
  EXPECT_EQ(said(peer.received()), "Z4.4.2 Error: timeout exceeded");
  EXPECT_EQ(service.counters.timeouts, 1u);
}

TEST_F(QmqpServer, ADrainLetsAMessageThatHasBegunEnd) {
  auto idle = dial(), busy = dial();
  const auto text = request("x\n", {"", "c@d.example"});
  busy.send(text.substr(0, 5));
  settle();
  bool done = false;
  server->drain([&] { done = true; });
  settle();
  EXPECT_EQ(said(idle.received()), "Z4.3.2 Service shutting down");
  EXPECT_FALSE(done);
  EXPECT_THAT(said(say(busy, text.substr(5))), StartsWith("K"));
  EXPECT_TRUE(done);
}

TEST_F(QmqpServer, AClientThatWasThereBeforeAReloadMayBeginItsMessage) {
  auto peer = dial();
  bool done = false;
  server->retire([&] { done = true; });
  settle();
  EXPECT_FALSE(done);
  EXPECT_THAT(said(say(peer, request("x\n", {"", "c@d.example"}))), StartsWith("K"));
  EXPECT_TRUE(done);
}

TEST_F(QmqpServer, TellsWhoIsInTheMiddleOfAMessageBeforeItIsCutOff) {
  auto busy = dial();
  busy.send(request("x\n", {"", "c@d.example"}).substr(0, 5));
  settle();
  bool done = false;
  server->drain([&] { done = true; });
  settle();
  EXPECT_FALSE(done);
  server->cut();
  settle();
  EXPECT_EQ(said(busy.received()), "Z4.3.2 Service shutting down");
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace mansio::ingress
