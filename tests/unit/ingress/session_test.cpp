// SMTP sessions over a socket pair, dialogue by dialogue: replies, their order, limits, and `250` after the commit
// only.
#include <gmock/gmock.h>
#include <netinet/in.h>

#include "tests/unit/ingress/fixture.hpp"

namespace mansio::ingress {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

class SmtpServer : public testing::SmtpServerTest {
 protected:
  testing::Peer connect_from_mynetworks() {  // past the greeting
    service.smtpd.mynetworks = {*config::parse_network("127.0.0.0/8")};
    service.smtpd.client_name_lookup = false;
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    sockaddr_storage address{};
    auto &in = reinterpret_cast<sockaddr_in &>(address);
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->serve(service, io::UniqueFd{ends[0]}, address);
    testing::Peer peer{ends[1]};
    settle();
    peer.received();
    return peer;
  }
};

TEST_F(SmtpServer, OffersItsExtensions) {
  auto peer = connect();
  EXPECT_EQ(say(peer, "EHLO client.test\r\n"),
            "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n"
            "250-DSN\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n");
  EXPECT_EQ(say(peer, "HELO client.test\r\n"), "250 mx.test\r\n");
}

TEST_F(SmtpServer, HidesDiscardedKeywordsAndRefusesTheirParameters) {
  service.smtpd.discard_ehlo_keywords = {"dsn", "CHUNKING"};
  auto peer = connect();
  EXPECT_THAT(say(peer, "EHLO client.test\r\n"), Not(HasSubstr("DSN")));
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example> RET=FULL\r\n"), "555 5.5.4 Unsupported option: RET\r\n");
  EXPECT_EQ(say(peer, "BDAT 3 LAST\r\nabc"), "502 5.5.1 Error: command not implemented\r\n");
}

TEST_F(SmtpServer, TakesPrioritiesWhereTheyAreOffered) {
  auto plain = greet();
  EXPECT_EQ(say(plain, "MAIL FROM:<a@b.example> MT-PRIORITY=1\r\n"), "555 5.5.4 Unsupported option: MT-PRIORITY\r\n");
  service.smtpd.mt_priority = true;
  auto peer = connect_from_mynetworks();
  EXPECT_THAT(say(peer, "EHLO client.test\r\n"), HasSubstr("250-MT-PRIORITY\r\n"));
  for (const auto *value : {"6", "-3", "0"}) {
    EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example> MT-PRIORITY=" + std::string{value} + "\r\n"), "250 2.1.0 Ok\r\n");
    say(peer, "RCPT TO:<c@d.example>\r\nDATA\r\n");
    say(peer, "x\r\n.\r\n");
    EXPECT_EQ(static_cast<std::int8_t>(writer.stored_messages.back().envelope.priority), std::stoi(value));
  }
}

TEST_F(SmtpServer, LowersThePriorityThatAStrangerAsksForAndSaysSo) {
  service.smtpd.mt_priority = true;
  auto peer = greet();
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example> MT-PRIORITY=6\r\n"), "250 2.3.6 0 is the priority of this message\r\n");
  say(peer, "RCPT TO:<c@d.example>\r\nDATA\r\n");
  say(peer, "x\r\n.\r\n");
  EXPECT_EQ(writer.stored_messages.at(0).envelope.priority, 0);
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example> MT-PRIORITY=-6\r\n"), "250 2.1.0 Ok\r\n");
  say(peer, "RCPT TO:<c@d.example>\r\nDATA\r\n");
  say(peer, "x\r\n.\r\n");
  EXPECT_EQ(static_cast<std::int8_t>(writer.stored_messages.at(1).envelope.priority), -6);
}

TEST_F(SmtpServer, SaysWhoseTheMailOfAListenerIs) {
  service.smtpd.tenant = "acme";
  auto peer = ready_for_data();
  say(peer, "x\r\n.\r\n");
  EXPECT_EQ(writer.stored_messages.at(0).envelope.tenant, "acme");
}

TEST_F(SmtpServer, TakesACampaignFromAHeaderFieldOfClientsThatItKnows) {
  service.smtpd.campaign_header = "X-Campaign";
  auto peer = connect_from_mynetworks();
  say(peer, "EHLO client.test\r\n");
  const auto campaign_of = [&](const std::string &content, std::size_t pieces = 1) {
    say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
    const auto text = content + ".\r\n";
    for (std::size_t i = 0; i < pieces; ++i)
      say(peer, std::string_view{text}.substr(text.size() * i / pieces,
                                              text.size() * (i + 1) / pieces - text.size() * i / pieces));
    return writer.stored_messages.back().envelope.campaign;
  };
  EXPECT_EQ(campaign_of("Subject: x\r\nx-campaign:  spring\r\n sale \r\nX-Campaign: other\r\n\r\nbody\r\n"),
            "spring sale");
  EXPECT_EQ(campaign_of("Subject: x\r\nX-Campaign: in pieces\r\n\r\nbody\r\n", 50), "in pieces");
  EXPECT_EQ(campaign_of("X-Campaign: no body\r\n"), "no body");
  EXPECT_EQ(campaign_of("Subject: x\r\n\r\nX-Campaign: in the body\r\n"), "");
  EXPECT_EQ(campaign_of("Subject: x\r\nX-Campaign: " + std::string(300, 'x') + "\r\n\r\n"), "");
  EXPECT_EQ(campaign_of("X-Campaign: a\x01"
                        "b\r\n\r\n"),
            "");
}

TEST_F(SmtpServer, TakesNoCampaignFromStrangers) {
  service.smtpd.campaign_header = "X-Campaign";
  auto peer = ready_for_data();
  say(peer, "X-Campaign: mine\r\n\r\nx\r\n.\r\n");
  EXPECT_EQ(writer.stored_messages.at(0).envelope.campaign, "");
}

TEST_F(SmtpServer, TakesAPriorityFromAHeaderFieldOfClientsThatItKnows) {
  service.smtpd.mt_priority = true;
  service.smtpd.priority_header = "MT-Priority";
  auto peer = connect_from_mynetworks();
  say(peer, "EHLO client.test\r\n");
  const auto priority_of = [&](const std::string &content, const std::string &parameter = {}) {
    say(peer, "MAIL FROM:<a@b.example>" + parameter + "\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
    say(peer, content + ".\r\n");
    return int{static_cast<std::int8_t>(writer.stored_messages.back().envelope.priority)};
  };
  EXPECT_EQ(priority_of("Subject: x\r\nmt-priority:\r\n 6\r\nMT-Priority: 1\r\n\r\nbody\r\n"), 6);
  EXPECT_THAT(writer.stored_messages.back().prefix, HasSubstr(" PRIORITY 6;"));
  EXPECT_EQ(priority_of("MT-Priority: -9\r\n"), -9);
  EXPECT_EQ(priority_of("Subject: x\r\n\r\nMT-Priority: 6\r\n"), 0);
  EXPECT_EQ(priority_of("MT-Priority: 10\r\n\r\n"), 0);
  EXPECT_EQ(priority_of("MT-Priority: 6\r\n\r\n", " MT-PRIORITY=2"), 2);  // what was said to MAIL counts
  EXPECT_EQ(priority_of("MT-Priority: 6\r\n\r\n", " MT-PRIORITY=0"), 0);
  EXPECT_EQ(priority_of("Subject: none\r\n\r\n", " MT-PRIORITY=2"), 2);
  service.smtpd.priority_header.clear();
  EXPECT_EQ(priority_of("MT-Priority: 6\r\n\r\n"), 0);
}

TEST_F(SmtpServer, AStrangersHeaderFieldLowersAPriorityOnly) {
  service.smtpd.priority_header = "X-Priority";
  for (const auto &[value, priority] : {std::pair{"1 (Highest)", 0}, {"3", 0}, {"5 (Lowest)", -4}}) {
    auto peer = ready_for_data();
    say(peer, std::string{"X-Priority: "} + value + "\r\n\r\nx\r\n.\r\n");
    EXPECT_EQ(static_cast<std::int8_t>(writer.stored_messages.back().envelope.priority), priority) << value;
  }
}

TEST_F(SmtpServer, PutsAnEmptyLineBeforeContentThatBeginsWithItsBody) {
  const auto trace_of = [this](std::string_view content) {
    auto peer = ready_for_data();
    say(peer, std::string{content} + ".\r\n");
    const auto &m = writer.stored_messages.back();
    EXPECT_EQ(m.body, content);
    EXPECT_EQ(m.envelope.body.size, m.prefix.size() + m.body.size());
    return m.prefix;
  };
  for (const auto *body : {"not a header\r\n", " continues nothing\r\n", "not a header\r\nSubject: x\r\n"})
    EXPECT_THAT(trace_of(body), EndsWith("\r\n\r\n")) << body;
  for (const auto *whole : {"\r\nbody\r\n", "Subject: x\r\n", "Subject: x\r\n\r\nbody\r\n", "Subject: x\r\nbody\r\n",
                            ""})
    EXPECT_THAT(trace_of(whole), Not(EndsWith("\r\n\r\n"))) << whole;
  EXPECT_THAT(trace_of("From joe Mon Jan  1\r\nSubject: x\r\n\r\nbody\r\n"), EndsWith("\r\nX-Mailbox-Line: "));
}

TEST_F(SmtpServer, TakesAMessage) {
  auto peer = ready_for_data();
  const auto reply = say(peer, "Subject: hi\r\n\r\n..dot\r\n.\r\n");
  ASSERT_EQ(writer.stored_messages.size(), 1u);
  const auto &m = writer.stored_messages[0];
  EXPECT_EQ(reply, "250 2.0.0 Ok: queued as " + to_string(m.id) + "\r\n");
  EXPECT_EQ(m.body, "Subject: hi\r\n\r\n.dot\r\n");
  EXPECT_THAT(m.prefix, StartsWith("Received: from client.test"));
  EXPECT_THAT(m.prefix, HasSubstr(to_string(m.id)));
  EXPECT_EQ(m.envelope.sender, "a@b.example");
  ASSERT_EQ(m.envelope.recipients.size(), 1u);
  EXPECT_EQ(m.envelope.recipients[0].address, "c@d.example");
  EXPECT_EQ(m.envelope.recipients[0].original, "");
  EXPECT_EQ(m.envelope.protocol, "ESMTP");
  EXPECT_EQ(m.envelope.helo, "client.test");
  EXPECT_EQ(m.envelope.listener, "smtp");
  EXPECT_EQ(m.envelope.config_epoch, 7u);
  EXPECT_EQ(m.envelope.arrival, clock.wall());
  EXPECT_EQ(m.envelope.body.size, m.prefix.size() + m.body.size());
  EXPECT_EQ(m.envelope.body.hops, 1);
  EXPECT_TRUE(m.envelope.body.leading_dots);
  EXPECT_EQ(intake.noticed, std::vector{m.id});
  EXPECT_THAT(sink.text, HasSubstr("accepted"));
}

TEST_F(SmtpServer, AnswersTheEndOfContentOnlyAfterTheCommit) {
  auto peer = ready_for_data();
  writer.hold = true;
  EXPECT_EQ(say(peer, "x\r\n.\r\n"), "");
  EXPECT_TRUE(intake.noticed.empty());
  writer.release();
  settle();
  EXPECT_THAT(peer.received(), StartsWith("250 2.0.0 Ok: queued as "));
  EXPECT_EQ(intake.noticed.size(), 1u);
}

TEST_F(SmtpServer, CommitsEvenIfTheClientHasGone) {
  auto peer = ready_for_data();
  writer.hold = true;
  say(peer, "x\r\n.\r\n");
  peer.hang_up();
  settle();
  writer.release();
  settle();
  EXPECT_EQ(writer.stored_messages.size(), 1u);
  EXPECT_EQ(server->sessions(), 0u);
}

TEST_F(SmtpServer, DropsAMessageCutOffBeforeItsEnd) {
  auto peer = ready_for_data();
  say(peer, "half a line");
  peer.hang_up();
  settle();
  EXPECT_TRUE(writer.stored_messages.empty());
  EXPECT_EQ(server->sessions(), 0u);
  EXPECT_EQ(census.now, 0);
}

TEST_F(SmtpServer, BatchesRepliesToPipelinedCommands) {
  auto peer = greet();
  peer.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<nobody@d.example>\r\nRSET\r\nQUIT\r\n");
  settle();
  EXPECT_EQ(peer.received(),
            "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n550 5.1.1 No such user here\r\n250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n");
  EXPECT_TRUE(peer.closed());
}

TEST_F(SmtpServer, TakesSeveralMessagesInOneSession) {
  auto peer = ready_for_data();
  const std::string again = "MAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n";
  EXPECT_THAT(say(peer, "one\r\n.\r\n" + again), EndsWith("354 End data with <CR><LF>.<CR><LF>\r\n"));
  EXPECT_THAT(say(peer, "two\r\n.\r\nQUIT\r\n"), EndsWith("221 2.0.0 Bye\r\n"));
  ASSERT_EQ(writer.stored_messages.size(), 2u);
  EXPECT_EQ(writer.stored_messages[1].envelope.sender, "");
}

TEST_F(SmtpServer, KeepsTheOrderOfCommands) {
  auto peer = greet();
  EXPECT_EQ(say(peer, "RCPT TO:<c@d.example>\r\n"), "503 5.5.1 Error: need MAIL command\r\n");
  EXPECT_EQ(say(peer, "DATA\r\n"), "503 5.5.1 Error: need MAIL command\r\n");
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\n"), "250 2.1.0 Ok\r\n");
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\n"), "503 5.5.1 Error: nested MAIL command\r\n");
  EXPECT_EQ(say(peer, "DATA\r\n"), "503 5.5.1 Error: need RCPT command\r\n");
  EXPECT_EQ(say(peer, "RCPT TO:<nobody@d.example>\r\n"), "550 5.1.1 No such user here\r\n");
  EXPECT_EQ(say(peer, "DATA\r\n"), "554 5.5.1 Error: no valid recipients\r\n");
}

TEST_F(SmtpServer, WantsHeloWhereItIsRequired) {
  service.smtpd.helo_required = true;
  auto peer = connect();
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\n"), "503 5.5.1 Error: send HELO/EHLO first\r\n");
}

TEST_F(SmtpServer, AnswersTheSmallCommands) {
  auto peer = greet();
  EXPECT_EQ(say(peer, "NOOP\r\n"), "250 2.0.0 Ok\r\n");
  EXPECT_THAT(say(peer, "VRFY someone\r\n"), StartsWith("252 2.0.0 "));
  EXPECT_THAT(say(peer, "HELP\r\n"), StartsWith("214 2.0.0 "));
  EXPECT_EQ(say(peer, "RSET\r\n"), "250 2.0.0 Ok\r\n");
  EXPECT_EQ(say(peer, "EXPN list\r\n"), "502 5.5.1 Error: command not implemented\r\n");
  EXPECT_EQ(say(peer, "AUTH PLAIN\r\n"), "502 5.5.1 Error: command not implemented\r\n");
  EXPECT_EQ(say(peer, "STARTTLS\r\n"), "502 5.5.1 Error: command not implemented\r\n");
  EXPECT_EQ(say(peer, "XYZZY\r\n"), "500 5.5.2 Error: command not recognized\r\n");
  EXPECT_EQ(say(peer, "HELO\r\n"), "501 5.5.4 Syntax: HELO hostname\r\n");
  EXPECT_EQ(say(peer, "RSET x\r\n"), "501 5.5.4 Syntax: RSET\r\n");
  EXPECT_EQ(say(peer, "QUIT\r\n"), "221 2.0.0 Bye\r\n");
}

TEST_F(SmtpServer, SendsOtherProtocolsAway) {
  auto peer = connect();
  EXPECT_THAT(say(peer, "GET / HTTP/1.0\r\n"), StartsWith("221 2.7.0 "));
  EXPECT_TRUE(peer.closed());
}

TEST_F(SmtpServer, RefusesBadAddresses) {
  auto peer = greet();
  EXPECT_EQ(say(peer, "MAIL FROM\r\n"), "501 5.5.4 Syntax: MAIL FROM:<address>\r\n");
  EXPECT_THAT(say(peer, "MAIL FROM:<a@@b>\r\n"), StartsWith("501 5.1.7 "));
  EXPECT_THAT(say(peer, "MAIL FROM:<\xc3\xbc@b.example>\r\n"), StartsWith("553 5.6.7 "));
  EXPECT_EQ(say(peer, "MAIL FROM:<\xc3\xbc@b.example> SMTPUTF8\r\n"), "250 2.1.0 Ok\r\n");
  EXPECT_THAT(say(peer, "RCPT TO:<>\r\n"), StartsWith("501 5.1.3 "));
  EXPECT_EQ(say(peer, "RCPT TO:<\xc3\xbc@d.example>\r\n"), "250 2.1.5 Ok\r\n");
}

TEST_F(SmtpServer, TakesASenderWithALongLocalPart) {
  auto peer = greet();
  const std::string verp = "bounces-4711-20261128-a.rather.long.name=a.subdomain.of.a.customer.example";
  EXPECT_EQ(say(peer, "MAIL FROM:<" + verp + "@b.example>\r\n"), "250 2.1.0 Ok\r\n");
}

TEST_F(SmtpServer, AcceptsPostmasterWithoutDomain) {
  auto peer = greet();
  say(peer, "MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\n");
  say(peer, "DATA\r\n");
  say(peer, "x\r\n.\r\n");
  ASSERT_EQ(writer.stored_messages.size(), 1u);
}

TEST_F(SmtpServer, RefusesRelaying) {
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\n");
  EXPECT_EQ(say(peer, "RCPT TO:<x@elsewhere.example>\r\n"), "554 5.7.1 Relay access denied\r\n");
  EXPECT_EQ(service.counters.rejected_recipients, 1u);
  EXPECT_THAT(sink.text, HasSubstr("Relay access denied"));
}

TEST_F(SmtpServer, KeepsDsnParametersAndRoutesInTheEnvelope) {
  auto peer = greet();
  EXPECT_EQ(say(peer,
                "MAIL FROM:<a@b.example> RET=HDRS ENVID=x+2By BODY=8BITMIME\r\n"
                "RCPT TO:<c@d.example> NOTIFY=NEVER\r\nRCPT TO:<c@d.two> ORCPT=rfc822;o+40p\r\n"
                "RCPT TO:<e@d.example>\r\n"),
            "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n");
  say(peer, "DATA\r\n");
  say(peer, "x\r\n.\r\n");
  ASSERT_EQ(writer.stored_messages.size(), 1u);
  const auto &e = writer.stored_messages[0].envelope;
  EXPECT_EQ(e.ret, Ret::Hdrs);
  EXPECT_EQ(e.envid, "x+y");
  EXPECT_EQ(e.body_type, BodyType::EightBitMime);
  EXPECT_EQ(e.recipients[0].notify, kNotifyNever);
  EXPECT_EQ(e.recipients[1].orcpt, "rfc822;o@p");
  ASSERT_EQ(e.routes.size(), 2u);
  EXPECT_EQ(e.routes[e.recipients[1].route].transport, "two");
  EXPECT_EQ(e.recipients[0].route, e.recipients[2].route);
}

// ---- content ---------------------------------------------------------------------------------------------

TEST_F(SmtpServer, RefusesAMessageOverTheSizeLimitEitherWay) {
  service.smtpd.message_size_limit = 100;
  auto peer = greet();
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example> SIZE=101\r\n"), "552 5.3.4 Message size exceeds fixed limit\r\n");
  say(peer, "MAIL FROM:<a@b.example> SIZE=10\r\nRCPT TO:<c@d.example>\r\n");
  say(peer, "DATA\r\n");
  EXPECT_EQ(say(peer, std::string(50, 'x') + "\r\n" + std::string(50, 'x') + "\r\n.\r\n"),
            "552 5.3.4 Error: message too large\r\n");
  EXPECT_TRUE(writer.stored_messages.empty());
  EXPECT_EQ(say(peer, "NOOP\r\n"), "250 2.0.0 Ok\r\n");
}

TEST_F(SmtpServer, RefusesALongLineAndFoldsNone) {
  service.smtpd.line_length_limit = 100;
  auto peer = ready_for_data();
  EXPECT_EQ(say(peer, std::string(101, 'x') + "\r\n.\r\n"), "552 5.6.0 Error: line longer than 100 octets\r\n");
  EXPECT_TRUE(writer.stored_messages.empty());
}

TEST_F(SmtpServer, RefusesALargeHeaderSection) {
  service.smtpd.header_size_limit = 100;
  auto peer = ready_for_data();
  std::string header;
  for (int i = 0; i < 20; ++i) header += "X-Filler: y\r\n";
  EXPECT_EQ(say(peer, header + "\r\nbody\r\n.\r\n"), "552 5.6.0 Error: header section too large\r\n");
}

TEST_F(SmtpServer, RefusesTooManyHops) {
  service.smtpd.hopcount_limit = 3;
  const std::string hop = "Received: from x by y; Sun, 22 Nov 2026 05:46:21 +0000\r\n";
  auto peer = ready_for_data();
  EXPECT_EQ(say(peer, hop + hop + hop + "\r\nx\r\n.\r\n"), "554 5.4.6 Error: too many hops\r\n");
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  say(peer, "DATA\r\n");
  EXPECT_THAT(say(peer, hop + hop + "\r\nx\r\n.\r\n"), StartsWith("250 "));
}

TEST_F(SmtpServer, NormalizesBareLineFeedsByDefault) {
  auto peer = ready_for_data();
  EXPECT_THAT(say(peer, "a\nb\n.\nMAIL FROM:<evil@x>\nc\rd\r\n.\r\n"), StartsWith("250 2.0.0 "));
  ASSERT_EQ(writer.stored_messages.size(), 1u);
  EXPECT_EQ(writer.stored_messages[0].body, "a\r\nb\r\n\r\nMAIL FROM:<evil@x>\r\nc d\r\n");
}

TEST_F(SmtpServer, RefusesBareLineFeedsIfToldSo) {
  service.smtpd.forbid_bare_newline = config::BareNewline::Reject;
  auto peer = ready_for_data();
  EXPECT_EQ(say(peer, "a\n.\r\nb\r\n.\r\n"), "550 5.5.2 Error: bare <LF> received\r\n");
  EXPECT_TRUE(writer.stored_messages.empty());
  EXPECT_EQ(say(peer, "NOOP\n"), "550 5.5.2 Error: bare <LF> received\r\n");
  EXPECT_TRUE(peer.closed());
}

TEST_F(SmtpServer, MakesOneMessageOfEverySmugglingAttempt) {
  const std::vector<std::string> breaks = {"\r\n", "\n", "\r", "\r\r\n", "\n\r", ""};
  std::size_t expected = 0;
  for (const auto &before : breaks)
    for (const auto &after : breaks) {
      if ((before + "." + after).find("\r\n.\r\n") != std::string::npos) continue;  // the real end
      auto peer = ready_for_data();
      const auto smuggled =
          "x" + before + "." + after + "MAIL FROM:<evil@b.example>\r\nRCPT TO:<v@d.example>\r\nDATA\r\n";
      EXPECT_THAT(say(peer, smuggled + "y\r\n.\r\n"), MatchesRegex("250 2.0.0 Ok: queued as [0-9A-Z]+\r\n"));
      ASSERT_EQ(writer.stored_messages.size(), ++expected);
      EXPECT_THAT(writer.stored_messages.back().body, HasSubstr("MAIL FROM:<evil@b.example>\r\n"));

      auto chunks = greet();
      const auto content = smuggled + "y\r\n.\r\n";
      EXPECT_THAT(say(chunks, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT " +
                                  std::to_string(content.size()) + " LAST\r\n" + content),
                  MatchesRegex("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Ok: queued as [0-9A-Z]+\r\n"));
      ASSERT_EQ(writer.stored_messages.size(), ++expected);
    }
}

// ---- BDAT --------------------------------------------------------------------------------------------------

TEST_F(SmtpServer, TakesChunks) {
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  EXPECT_EQ(say(peer, "BDAT 6\r\nab\r\nc\r"), "250 2.0.0 Ok: 6 bytes\r\n");
  EXPECT_EQ(say(peer, "BDAT 4\r\n\n.\r\n"), "250 2.0.0 Ok: 4 bytes\r\n");
  EXPECT_EQ(say(peer, "DATA\r\n"), "503 5.5.1 Error: DATA after BDAT\r\n");
  EXPECT_EQ(say(peer, "RCPT TO:<e@d.example>\r\n"), "503 5.5.1 Error: RCPT after BDAT\r\n");
  EXPECT_THAT(say(peer, "BDAT 0 LAST\r\n"), StartsWith("250 2.0.0 Ok: queued as "));
  ASSERT_EQ(writer.stored_messages.size(), 1u);
  EXPECT_EQ(writer.stored_messages[0].body, "ab\r\nc\r\n.\r\n");
}

TEST_F(SmtpServer, SkipsAChunkItRefuses) {
  auto peer = greet();
  EXPECT_EQ(say(peer, "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"), "503 5.5.1 Error: need MAIL command\r\n250 2.0.0 Ok\r\n");
}

TEST_F(SmtpServer, HangsUpOnAChunkOfUnknownSize) {
  auto peer = greet();
  EXPECT_EQ(say(peer, "BDAT many\r\nQUIT\r\n"), "521 5.5.4 Syntax: BDAT count [LAST]\r\n");
  EXPECT_TRUE(peer.closed());
}

TEST_F(SmtpServer, AnswersEveryChunkAfterARefusalWithIt) {
  service.smtpd.message_size_limit = 10;
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  EXPECT_EQ(say(peer, "BDAT 12\r\n0123456789\r\nBDAT 3 LAST\r\nx\r\n"),
            "552 5.3.4 Error: message too large\r\n552 5.3.4 Error: message too large\r\n");
  EXPECT_TRUE(writer.stored_messages.empty());
}

// ---- the commit path -------------------------------------------------------------------------------------

TEST_F(SmtpServer, AsksTheClientToComeBackWhenTheSpoolFails) {
  auto peer = ready_for_data();
  writer.commit_fails = Error{Status::Defer, "EIO"};
  EXPECT_THAT(say(peer, "x\r\n.\r\n"), StartsWith("451 4.3.0 "));
  writer.commit_fails = Error{Status::Busy, "ENOSPC"};
  const std::string again = "MAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n";
  say(peer, again);
  EXPECT_THAT(say(peer, "x\r\n.\r\n"), StartsWith("452 4.3.1 "));
  writer.commit_fails.reset();
  writer.reserve_fails = Error{Status::Busy, "no segment"};
  say(peer, again);
  EXPECT_THAT(say(peer, "x\r\n.\r\n"), StartsWith("452 4.3.1 "));
  writer.reserve_fails.reset();
  writer.append_fails = Error{Status::Defer, "EIO"};
  say(peer, again);
  EXPECT_THAT(say(peer, "x\r\n.\r\n"), StartsWith("451 4.3.0 "));
  EXPECT_TRUE(intake.noticed.empty());
}

TEST_F(SmtpServer, RefusesNewMailUnderPressureButFinishesWhatHasBegun) {
  auto peer = ready_for_data();
  intake.why = Reply{451, {4, 3, 2}, "Queue service is unavailable, try again later"};
  EXPECT_THAT(say(peer, "x\r\n.\r\n"), StartsWith("250 2.0.0 "));
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\n"), "451 4.3.2 Queue service is unavailable, try again later\r\n");
}

// ---- limits ------------------------------------------------------------------------------------------------

TEST_F(SmtpServer, LimitsRecipients) {
  service.smtpd.recipient_limit = 2;
  auto peer = greet();
  EXPECT_EQ(say(peer,
                "MAIL FROM:<a@b.example>\r\nRCPT TO:<1@d.example>\r\nRCPT TO:<2@d.example>\r\n"
                "RCPT TO:<3@d.example>\r\n"),
            "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n452 4.5.3 Error: too many recipients\r\n");
}

TEST_F(SmtpServer, RefusesALongCommandLine) {
  service.smtpd.command_length_limit = 100;
  auto peer = greet();
  EXPECT_EQ(say(peer, "NOOP " + std::string(100, 'x') + "\r\nNOOP\r\n"),
            "500 5.5.2 Error: line too long\r\n250 2.0.0 Ok\r\n");
  EXPECT_EQ(say(peer, "NOOP " + std::string(60'000, 'x')), "");
  EXPECT_EQ(say(peer, std::string(60'000, 'x') + "\r\n"), "500 5.5.2 Error: line too long\r\n");
  EXPECT_EQ(say(peer, "NOOP\r\n"), "250 2.0.0 Ok\r\n");
}

TEST_F(SmtpServer, LimitsLongCommandLinesAsItDoesOtherCommands) {
  const std::string too_long(service.smtpd.command_length_limit + 2, 'x');
  const std::string refusal = "500 5.5.2 Error: line too long\r\n";
  service.smtpd.hard_error_limit = 2;
  auto wrong = greet();
  EXPECT_EQ(say(wrong, too_long + "\r\n" + too_long + "\r\n"),
            refusal + refusal + "421 4.7.0 mx.test Error: too many errors\r\n");
  EXPECT_TRUE(wrong.closed());

  service.smtpd.command_limit = 2;  // EHLO is the first
  service.smtpd.hard_error_limit = 20;
  auto many = greet();
  EXPECT_EQ(say(many, too_long + "\r\n" + too_long + "\r\n"),
            refusal + "421 4.7.0 mx.test Error: too many commands\r\n");
  EXPECT_TRUE(many.closed());
}

TEST_F(SmtpServer, AnswersLongCommandLinesLateAfterManyErrors) {
  service.smtpd.command_length_limit = 100;
  service.smtpd.soft_error_limit = 1;
  service.smtpd.error_sleep_time = 3600 * kSecond;
  auto peer = greet();
  const auto too_long = std::string(102, 'x') + "\r\n";
  EXPECT_EQ(say(peer, too_long), "500 5.5.2 Error: line too long\r\n");
  EXPECT_EQ(say(peer, too_long), "");
}

TEST_F(SmtpServer, AnswersWhatIsRightLateAfterManyErrorsToo) {
  service.smtpd.soft_error_limit = 2;
  service.smtpd.error_sleep_time = 3600 * kSecond;
  const std::string wrong = "502 5.5.1 Error: command not implemented\r\n";
  for (const auto *right : {"NOOP\r\n", "MAIL FROM:<a@b.example>\r\n", "QUIT\r\n"}) {
    auto peer = greet();
    EXPECT_EQ(say(peer, "EXPN x\r\n"), wrong);
    EXPECT_EQ(say(peer, "RSET\r\n"), "250 2.0.0 Ok\r\n") << "one error is not many";
    EXPECT_EQ(say(peer, "EXPN x\r\n"), wrong) << "which it is that makes them many";
    EXPECT_EQ(say(peer, right), "") << right;
    EXPECT_FALSE(peer.closed());
  }
}

TEST_F(SmtpServer, LetsEachReplyOfAGroupWaitForItselfAfterManyErrors) {
  constexpr auto kSleep = std::chrono::milliseconds{30};
  service.smtpd.soft_error_limit = 1;
  service.smtpd.error_sleep_time = std::chrono::nanoseconds{kSleep}.count();
  auto peer = greet();
  const auto begin = std::chrono::steady_clock::now();
  // What comes before the many leaves at once, and does not wait with them.
  peer.send(
      "RSET\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@elsewhere.example>\r\nRCPT TO:<c@d.example>\r\n"
      "RSET\r\n");
  std::vector<std::string> heard;
  for (std::string now; heard.size() < 3 && !peer.closed();) {
    loop.restart();
    loop.run_one_for(std::chrono::milliseconds{20});
    if (now = peer.received(); !now.empty()) heard.push_back(now);
  }
  EXPECT_THAT(heard, ::testing::ElementsAre("250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n554 5.7.1 Relay access denied\r\n",
                                            "250 2.1.5 Ok\r\n", "250 2.0.0 Ok\r\n"));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 2 * kSleep);
}

TEST_F(SmtpServer, AnswersAtOnceAgainWhenAMessageWasTaken) {
  service.smtpd.soft_error_limit = 1;
  auto peer = greet();
  say(peer, "EXPN x\r\n");
  EXPECT_THAT(say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"), HasSubstr("354 "));
  service.smtpd.error_sleep_time = 3600 * kSecond;
  EXPECT_THAT(say(peer, "Subject: x\r\n\r\n.\r\n"), StartsWith("250 2.0.0 Ok: queued as "));
  EXPECT_EQ(say(peer, "NOOP\r\n"), "250 2.0.0 Ok\r\n");
}

TEST_F(SmtpServer, RefusesContentLateAfterManyErrors) {
  service.smtpd.soft_error_limit = 1;
  auto peer = greet();
  say(peer, "EXPN x\r\n");
  EXPECT_THAT(say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"), HasSubstr("354 "));
  service.smtpd.error_sleep_time = 3600 * kSecond;
  writer.append_fails = Error{Status::Internal, "broken"};
  EXPECT_EQ(say(peer, "Subject: x\r\n\r\n.\r\n"), "");
}

TEST_F(SmtpServer, EndsSessionsWhoseLongCommandLineDoesNotEnd) {
  service.smtpd.command_length_limit = 100;
  auto peer = greet();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(say(peer, std::string(1000, 'x')), "");
    clock.advance(100 * kSecond);
  }
  server->sweep();
  settle();
  EXPECT_EQ(peer.received(), "421 4.4.2 mx.test Error: timeout exceeded\r\n");
  EXPECT_TRUE(peer.closed());
}

TEST_F(SmtpServer, TakesACommandLineAsLongAsTheLimitMayBe) {
  service.smtpd.command_length_limit = 31 * 1024;
  auto peer = greet();
  EXPECT_EQ(say(peer, "NOOP " + std::string(31 * 1024 - 5, 'x') + "\r\n"), "250 2.0.0 Ok\r\n");
  EXPECT_EQ(say(peer, "NOOP " + std::string(31 * 1024 - 4, 'x') + "\r\n"), "500 5.5.2 Error: line too long\r\n");
}

TEST_F(SmtpServer, LimitsCommands) {
  service.smtpd.command_limit = 3;
  auto peer = greet();
  EXPECT_EQ(say(peer, "RSET\r\nRSET\r\nRSET\r\n"),
            "250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n421 4.7.0 mx.test Error: too many commands\r\n");
  EXPECT_TRUE(peer.closed());
}

TEST_F(SmtpServer, CountsCommandsFromTheLastMessageOn) {
  service.smtpd.command_limit = 4;
  auto peer = greet();
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(say(peer, "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"), HasSubstr("354 "));
    EXPECT_THAT(say(peer, "Subject: x\r\n\r\n.\r\n"), StartsWith("250 2.0.0 Ok: queued as "));
  }
  EXPECT_THAT(say(peer, "RSET\r\nRSET\r\nRSET\r\nRSET\r\nRSET\r\n"), EndsWith("421 4.7.0 mx.test Error: too many commands\r\n"));
}

TEST_F(SmtpServer, HangsUpAfterTooManyErrors) {
  service.smtpd.hard_error_limit = 3;
  auto peer = greet();
  EXPECT_THAT(say(peer, "X\r\nX\r\nX\r\nX\r\n"), EndsWith("421 4.7.0 mx.test Error: too many errors\r\n"));
  EXPECT_TRUE(peer.closed());
}

TEST_F(SmtpServer, CountsJunkCommandsAsErrors) {
  service.smtpd.junk_command_limit = 2;
  service.smtpd.hard_error_limit = 2;
  auto peer = greet();
  EXPECT_THAT(say(peer, "RSET\r\nRSET\r\nRSET\r\nRSET\r\n"), EndsWith("421 4.7.0 mx.test Error: too many errors\r\n"));
}

TEST_F(SmtpServer, LimitsConnections) {
  census.answer = process::Admission::ClientLimit;
  auto one = dial();
  EXPECT_THAT(one.received(), StartsWith("421 4.7.0 mx.test Error: too many connections from "));
  census.answer = process::Admission::TotalLimit;
  auto two = dial();
  EXPECT_EQ(two.received(), "421 4.3.2 mx.test Error: all server ports are busy\r\n");
  EXPECT_EQ(server->sessions(), 0u);
  EXPECT_EQ(service.counters.refused_connections, 2u);
}

TEST_F(SmtpServer, CountsConnectionsOfItsListenerAgainstItsLimit) {
  service.smtpd.connection_limit = 30;
  settings.listeners.resize(2);
  settings.listeners[1].smtpd.connection_limit = 70;
  auto peer = dial();
  EXPECT_EQ(census.limits.at("smtp").listener, 30u);
  EXPECT_EQ(census.limits.at("smtp").total, std::max(70u, settings.listeners[0].smtpd.connection_limit));
}

TEST_F(SmtpServer, EndsIdleSessions) {
  auto peer = greet();
  clock.advance(299 * kSecond);
  server->sweep();
  settle();
  EXPECT_EQ(peer.received(), "");
  peer.send("NOO");  // a trickle does not count
  settle();
  clock.advance(2 * kSecond);
  server->sweep();
  settle();
  EXPECT_EQ(peer.received(), "421 4.4.2 mx.test Error: timeout exceeded\r\n");
  EXPECT_TRUE(peer.closed());
  EXPECT_EQ(service.counters.timeouts, 1u);
}

TEST_F(SmtpServer, EndsTransactionsThatTakeTooLong) {
  service.smtpd.transaction_timeout = 10 * kSecond;
  service.smtpd.min_data_rate = 0;
  auto peer = ready_for_data();
  for (int i = 0; i < 9; ++i) {
    clock.advance(1 * kSecond);
    EXPECT_EQ(say(peer, "x\r\n"), "");
    server->sweep();
  }
  clock.advance(1 * kSecond);
  server->sweep();
  settle();
  EXPECT_EQ(peer.received(), "421 4.4.2 mx.test Error: timeout exceeded\r\n");
}

TEST_F(SmtpServer, EndsContentThatComesTooSlowly) {
  auto peer = ready_for_data();
  for (int i = 0; i < 31; ++i) {
    clock.advance(1 * kSecond);
    EXPECT_EQ(say(peer, "x\r\n"), "");
    server->sweep();
    settle();
    if (i == 30) break;
    ASSERT_EQ(peer.received(), "") << i;
  }
  EXPECT_EQ(peer.received(), "421 4.4.2 mx.test Error: data rate too low\r\n");
}

TEST_F(SmtpServer, DoesNotTimeOutACommit) {
  auto peer = ready_for_data();
  writer.hold = true;
  say(peer, "x\r\n.\r\n");
  clock.advance(7200 * kSecond);
  server->sweep();
  writer.release();
  settle();
  EXPECT_THAT(peer.received(), StartsWith("250 2.0.0 "));
}

// ---- synchronisation -----------------------------------------------------------------------------------------

TEST_F(SmtpServer, RefusesAClientThatTalksFirst) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  testing::Peer peer{ends[1]};
  peer.send("EHLO x\r\n");
  sockaddr_storage address{};
    address.ss_family = AF_UNIX;
    server->serve(service, io::UniqueFd{ends[0]}, address);
  settle();
  EXPECT_EQ(peer.received(), "554 5.5.0 Error: SMTP protocol synchronization\r\n");
  EXPECT_TRUE(peer.closed());
}

TEST_F(SmtpServer, RefusesPipelinedCommandsAfterData) {
  auto peer = greet();
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nSubject: x\r\n\r\n.\r\n"),
            "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n554 5.5.0 Error: SMTP protocol synchronization\r\n");
  EXPECT_TRUE(peer.closed());
  EXPECT_EQ(service.counters.protocol_errors, 1u);
}

TEST_F(SmtpServer, RefusesPipeliningAfterEhloAndWithoutIt) {
  auto one = connect();
  EXPECT_EQ(say(one, "EHLO x\r\nMAIL FROM:<a@b.example>\r\n"), "554 5.5.0 Error: SMTP protocol synchronization\r\n");
  auto two = connect();
  say(two, "HELO x\r\n");
  EXPECT_EQ(say(two, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"),
            "554 5.5.0 Error: SMTP protocol synchronization\r\n");
}

TEST_F(SmtpServer, ToleratesPipeliningIfToldSo) {
  service.smtpd.forbid_unauth_pipelining = false;
  auto peer = greet();
  EXPECT_THAT(say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"),
              EndsWith("221 2.0.0 Bye\r\n"));
  EXPECT_EQ(writer.stored_messages.size(), 1u);
}

// ---- drain ---------------------------------------------------------------------------------------------------

TEST_F(SmtpServer, DrainsIdleSessionsAtOnceAndContentWhenItIsDone) {
  auto idle = greet();
  auto busy = ready_for_data();
  bool drained = false;
  server->drain([&] { drained = true; });
  settle();
  EXPECT_EQ(idle.received(), "421 4.3.2 mx.test Service shutting down\r\n");
  EXPECT_TRUE(idle.closed());
  EXPECT_FALSE(drained);
  const auto last = say(busy, "x\r\n.\r\n");
  EXPECT_THAT(last, StartsWith("250 2.0.0 Ok: queued as "));
  EXPECT_THAT(last, EndsWith("421 4.3.2 mx.test Service shutting down\r\n"));
  EXPECT_TRUE(drained);
  EXPECT_EQ(census.now, 0);
}

TEST_F(SmtpServer, BeginsNoTransactionWhileItDrainsThoughItIsAskedAlready) {
  auto busy = ready_for_data();
  bool drained = false;
  server->drain([&] { drained = true; });
  settle();
  EXPECT_THAT(say(busy, "x\r\n.\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"),
              EndsWith("\r\n421 4.3.2 mx.test Service shutting down\r\n"));
  EXPECT_EQ(writer.stored_messages.size(), 1u);
  EXPECT_TRUE(drained);
}

TEST_F(SmtpServer, TellsWhoIsInTheMiddleOfContentBeforeItIsCutOff) {
  auto data = ready_for_data(), chunks = greet();
  data.send("half a li");
  say(chunks, "EHLO x\r\n");
  say(chunks, "MAIL FROM:<a@b.example>\r\n");
  say(chunks, "RCPT TO:<c@d.example>\r\n");
  EXPECT_THAT(say(chunks, "BDAT 3\r\nx\r\n"), StartsWith("250 "));
  bool drained = false;
  server->drain([&] { drained = true; });
  settle();
  EXPECT_EQ(data.received(), "");
  EXPECT_EQ(chunks.received(), "");
  EXPECT_FALSE(drained);
  server->cut();
  settle();
  for (auto *peer : {&data, &chunks}) {
    EXPECT_EQ(peer->received(), "421 4.3.2 mx.test Service shutting down\r\n");
    EXPECT_TRUE(peer->closed());
  }
  EXPECT_TRUE(drained);
  EXPECT_TRUE(writer.stored_messages.empty());
  EXPECT_EQ(service.counters.deferred_messages, 2u);
}

TEST_F(SmtpServer, SessionsThatOutliveAReloadBringAsManyMessagesAsTheyLike) {
  auto idle = greet(), peer = greet();
  bool drained = false;
  server->retire([&] { drained = true; });
  settle();
  EXPECT_EQ(idle.received(), "");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"),
              "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
    EXPECT_THAT(say(peer, "x\r\n.\r\n"), StartsWith("250 2.0.0 Ok: queued as "));
  }
  EXPECT_EQ(say(peer, "QUIT\r\n"), "221 2.0.0 Bye\r\n");
  EXPECT_FALSE(drained);
  EXPECT_EQ(say(idle, "QUIT\r\n"), "221 2.0.0 Bye\r\n");
  EXPECT_TRUE(drained);
  EXPECT_EQ(writer.stored_messages.size(), 2u);
}

TEST_F(SmtpServer, SessionsThatOutlivedAReloadEndLikeAllOthersWhenTheirTimeIsOver) {
  auto idle = greet(), busy = ready_for_data();
  int drained = 0;
  server->retire([&] { drained += 10; });
  server->drain([&] { ++drained; });
  settle();
  EXPECT_EQ(idle.received(), "421 4.3.2 mx.test Service shutting down\r\n");
  EXPECT_TRUE(idle.closed());
  EXPECT_EQ(drained, 0);
  const auto last = say(busy, "x\r\n.\r\n");
  EXPECT_THAT(last, StartsWith("250 2.0.0 Ok: queued as "));
  EXPECT_THAT(last, EndsWith("421 4.3.2 mx.test Service shutting down\r\n"));
  EXPECT_EQ(drained, 1);
}

TEST_F(SmtpServer, RetiresAtOnceWithoutSessions) {
  bool drained = false;
  server->retire([&] { drained = true; });
  settle();
  EXPECT_TRUE(drained);
}

TEST_F(SmtpServer, DrainsAtOnceWithoutSessions) {
  bool drained = false;
  server->drain([&] { drained = true; });
  settle();
  EXPECT_TRUE(drained);
}

}  // namespace
}  // namespace mansio::ingress
