// Deliveries over SMTP against a scripted server: results per recipient, extensions, failures at every stage.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/transport-smtp/tests/fake_server.hpp"
#include "plugins/transport-smtp/tests/test_host.hpp"

namespace mansio::smtp::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Behaviour with(std::vector<std::string> extensions) {
  Behaviour b;
  b.extensions = std::move(extensions);
  return b;
}

TEST(SmtpDelivery, SendsOneMessageWithDataWhenThereIsNoChunking) {
  FakeServer server;
  TestHost host;
  const auto results = host.deliver(mail_to(server));
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].status, MANSIO_OK);
  EXPECT_EQ(results[0].smtp_code, 250);
  EXPECT_EQ(results[0].enhanced, "2.0.0");
  EXPECT_EQ(results[0].text, "taken as 1");
  EXPECT_EQ(results[0].relay, "127.0.0.1[127.0.0.1]:" + std::to_string(server.port));
  EXPECT_EQ(results[0].connection_use, 1u);
  ASSERT_EQ(server.transactions().size(), 1u);
  const auto sent = server.transactions()[0];
  EXPECT_EQ(sent.mail, "MAIL FROM:<from@example.net> SIZE=22");
  EXPECT_THAT(sent.rcpts, ElementsAre("RCPT TO:<to@example.com>"));
  EXPECT_EQ(sent.content, "Subject: hi\r\n\r\nHello\r\n");
  EXPECT_FALSE(sent.bdat);
  EXPECT_THAT(server.commands()[0], "EHLO client.example.net");
}

TEST(SmtpDelivery, UsesBdatWhenOffered) {
  FakeServer server{with({"PIPELINING", "CHUNKING"})};
  TestHost host;
  EXPECT_EQ(host.deliver(mail_to(server))[0].status, MANSIO_OK);
  EXPECT_TRUE(server.transactions().at(0).bdat);
  EXPECT_EQ(server.transactions().at(0).content, "Subject: hi\r\n\r\nHello\r\n");
}

TEST(SmtpDelivery, MayBeToldNotToUseBdat) {
  FakeServer server{with({"PIPELINING", "CHUNKING"})};
  TestHost host{kSmtp, {{"use_chunking", "false"}}};
  EXPECT_EQ(host.deliver(mail_to(server))[0].status, MANSIO_OK);
  EXPECT_FALSE(server.transactions().at(0).bdat);
}

TEST(SmtpDelivery, DiscardsExtensionsItIsToldToIgnore) {
  FakeServer server{with({"PIPELINING", "CHUNKING", "DSN"})};
  TestHost host{kSmtp, {{"smtp_discard_ehlo_keywords", "chunking"}}};
  EXPECT_EQ(host.deliver(mail_to(server))[0].flags, static_cast<std::uint32_t>(MANSIO_REPLY_DSN_RELAYED));
  EXPECT_FALSE(server.transactions().at(0).bdat);
}

TEST(SmtpDelivery, FallsBackToHelo) {
  FakeServer server{answering("EHLO", "502 5.5.1 what?", {"PIPELINING"})};
  TestHost host;
  EXPECT_EQ(host.deliver(mail_to(server))[0].status, MANSIO_OK);
  EXPECT_EQ(server.count("HELO client.example.net"), 1u);
  EXPECT_EQ(server.transactions().at(0).mail, "MAIL FROM:<from@example.net>");
}

Mail mail_of_a_client(const FakeServer &server) {
  auto mail = mail_to(server);
  mail.origin = {MANSIO_ORIGIN_REMOTE, 1234, "192.0.2.7", "spike.example", "spike", "ESMTP", "4ABC"};
  return mail;
}

TEST(SmtpDelivery, TellsAFilterWhoseMailItIsWhenToldTo) {
  for (const auto *pipelining : {"PIPELINING", "HELP"}) {
    FakeServer server{with({pipelining, "XFORWARD NAME ADDR HELO"})};
    TestHost host{kSmtp, {{"smtp_send_xforward_command", "true"}}};
    for (int i = 0; i < 2; ++i) EXPECT_EQ(host.deliver(mail_of_a_client(server))[0].status, MANSIO_OK);
    EXPECT_EQ(server.count("XFORWARD NAME=spike.example ADDR=192.0.2.7"), 2u) << "once a message";
    EXPECT_EQ(server.count("XFORWARD HELO=spike"), 2u);
    EXPECT_EQ(server.connections(), 1u);
    EXPECT_THAT(server.commands().at(1), StartsWith("XFORWARD NAME="));
    EXPECT_THAT(server.commands().at(3), StartsWith("MAIL FROM:"));
  }
}

TEST(SmtpDelivery, KeepsItToItselfOtherwise) {
  FakeServer offering{with({"PIPELINING", "XFORWARD NAME ADDR HELO"})}, other{with({"PIPELINING"})};
  TestHost silent, telling{kSmtp, {{"smtp_send_xforward_command", "true"}}};
  EXPECT_EQ(silent.deliver(mail_of_a_client(offering))[0].status, MANSIO_OK);
  EXPECT_EQ(telling.deliver(mail_of_a_client(other))[0].status, MANSIO_OK);
  EXPECT_EQ(offering.count("XFORWARD") + other.count("XFORWARD"), 0u);
}

TEST(SmtpDelivery, AFilterThatDoesNotWantToKnowGetsTheMailAllTheSame) {
  FakeServer server{answering("XFORWARD", "550 5.7.0 not from you", {"PIPELINING", "XFORWARD ADDR"})};
  TestHost host{kSmtp, {{"smtp_send_xforward_command", "true"}}};
  EXPECT_EQ(host.deliver(mail_of_a_client(server))[0].status, MANSIO_OK);
  EXPECT_EQ(server.transactions().size(), 1u);
  EXPECT_THAT(host.fake().log, HasSubstr("refuses XFORWARD: 550 not from you"));
}

class LargeContent : public ::testing::TestWithParam<std::vector<std::string>> {};
INSTANTIATE_TEST_SUITE_P(Extensions, LargeContent,
                         ::testing::Values(std::vector<std::string>{"PIPELINING"}, std::vector<std::string>{},
                                           std::vector<std::string>{"CHUNKING"},
                                           std::vector<std::string>{"PIPELINING", "CHUNKING"}));

TEST_P(LargeContent, ArrivesUnchangedWithAndWithoutDots) {
  for (const bool dots : {false, true}) {
    for (const std::size_t lines : {300u, 1000u, 20000u}) {
      FakeServer server{with(GetParam())};
      TestHost host;
      auto mail = mail_to(server);
      for (std::size_t i = 0; i < lines; ++i)
        mail.content += (dots && i % 3 == 0 ? "." : "") + std::to_string(i) + " a line of this large message\r\n";
      if (dots) mail.content += ".\r\n..\r\n";
      if (dots) mail.flags |= MANSIO_MSG_LEADING_DOTS;
      EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_OK);
      ASSERT_EQ(server.transactions().size(), 1u);
      EXPECT_TRUE(server.transactions()[0].content == mail.content);
    }
  }
}

TEST(SmtpDelivery, NeverSendsABareCrOrLf) {
  FakeServer server;
  TestHost host;
  auto mail = mail_to(server);
  mail.content = "Subject: x\r\n\r\none\n.\ntwo\r.\rthree";
  EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_OK);
  ASSERT_EQ(server.transactions().size(), 1u);
  EXPECT_EQ(server.transactions()[0].content, "Subject: x\r\n\r\none\r\n.\r\ntwo\r\n.\r\nthree\r\n");
}

TEST(SmtpDelivery, ReportsEachRecipientsOwnReply) {
  Behaviour b = with({"PIPELINING"});
  b.on_command = [](const std::string &line) -> std::string {
    if (line.starts_with("RCPT TO:<bad@")) return "550 5.1.1 no such user";
    if (line.starts_with("RCPT TO:<later@")) return "450 4.2.1 try later";
    return "";
  };
  FakeServer server{b};
  TestHost host;
  const auto r =
      host.deliver(mail_to(server, {"a@example.com", "bad@example.com", "later@example.com", "b@example.com"}));
  ASSERT_EQ(r.size(), 4u);
  EXPECT_EQ(r[0].status, MANSIO_OK);
  EXPECT_EQ(r[1].status, MANSIO_FAIL);
  EXPECT_EQ(r[1].enhanced, "5.1.1");
  EXPECT_EQ(r[1].smtp_code, 550);
  EXPECT_THAT(r[1].text, StartsWith("no such user"));
  EXPECT_EQ(r[1].remote_mta, "127.0.0.1");
  EXPECT_EQ(r[2].status, MANSIO_DEFER);
  EXPECT_EQ(r[2].enhanced, "4.2.1");
  EXPECT_EQ(r[3].status, MANSIO_OK);
  EXPECT_EQ(r[0].flags & MANSIO_REPLY_SITE_FAILURE, 0u);
  EXPECT_EQ(server.transactions().at(0).rcpts.size(), 2u);
}

class AllRefused : public ::testing::TestWithParam<std::vector<std::string>> {};
INSTANTIATE_TEST_SUITE_P(Extensions, AllRefused,
                         ::testing::Values(std::vector<std::string>{"PIPELINING"}, std::vector<std::string>{},
                                           std::vector<std::string>{"CHUNKING"},
                                           std::vector<std::string>{"PIPELINING", "CHUNKING"}));

TEST_P(AllRefused, LeavesTheConnectionFitForTheNextMessage) {
  auto b = answering("RCPT TO:<bad@", "550 no", GetParam());
  FakeServer server{b};
  TestHost host;
  EXPECT_EQ(host.deliver(mail_to(server, {"bad@example.com"}))[0].status, MANSIO_FAIL);
  EXPECT_EQ(host.deliver(mail_to(server))[0].status, MANSIO_OK);
  EXPECT_EQ(server.connections(), 1u);
  EXPECT_EQ(server.count("RSET"), 1u);
  EXPECT_EQ(server.transactions().size(), 1u);
}

TEST_P(AllRefused, EndsAnEmptyDataThatTheServerAllows) {
  Behaviour b = with(GetParam());
  b.on_command = [](const std::string &line) -> std::string {
    if (line.starts_with("RCPT TO:<bad@")) return "550 no";
    return line == "DATA" ? "354 go on" : "";
  };
  FakeServer server{b};
  TestHost host;
  EXPECT_EQ(host.deliver(mail_to(server, {"bad@example.com"}))[0].status, MANSIO_FAIL);
  EXPECT_EQ(host.deliver(mail_to(server))[0].status, MANSIO_OK);
  EXPECT_EQ(server.connections(), 1u);
}

TEST_P(AllRefused, TakesARefusedSenderForAllRecipients) {
  FakeServer server{answering("MAIL", "553 5.7.1 not you", GetParam())};
  TestHost host;
  const auto r = host.deliver(mail_to(server, {"a@example.com", "b@example.com"}));
  EXPECT_EQ(r[0].enhanced, "5.7.1");
  EXPECT_EQ(r[1].status, MANSIO_FAIL);
  EXPECT_TRUE(server.transactions().empty());
}

TEST_P(AllRefused, PutsSurplusRecipientsIntoTheNextTransaction) {
  Behaviour b = with(GetParam());
  int taken = 0;
  b.on_command = [&taken](const std::string &line) -> std::string {
    if (line.starts_with("MAIL")) taken = 0;
    if (line.starts_with("RCPT") && ++taken > 2) return "452 4.5.3 too many recipients";
    return "";
  };
  FakeServer server{b};
  TestHost host;
  const auto r = host.deliver(mail_to(server, {"a@x.org", "b@x.org", "c@x.org", "d@x.org", "e@x.org"}));
  for (const auto &result : r) EXPECT_EQ(result.status, MANSIO_OK);
  EXPECT_EQ(server.connections(), 1u);
  ASSERT_EQ(server.transactions().size(), 3u);
  EXPECT_THAT(server.transactions()[2].rcpts, ElementsAre("RCPT TO:<e@x.org>"));
}

TEST(SmtpDelivery, DefersARecipientThatIsOneTooManyByItself) {
  FakeServer server{answering("RCPT", "452 4.2.2 mailbox full", {"PIPELINING"})};
  TestHost host;
  const auto r = host.deliver(mail_to(server, {"a@x.org", "b@x.org"}));
  EXPECT_EQ(r[0].status, MANSIO_DEFER);
  EXPECT_EQ(r[1].enhanced, "4.2.2");
}

TEST(SmtpDelivery, TakesARefusedContentForEveryAcceptedRecipient) {
  Behaviour b;
  b.on_content = [](const auto &) { return "554 5.7.1 spam"; };
  FakeServer server{b};
  TestHost host;
  const auto r = host.deliver(mail_to(server, {"a@x.org", "b@x.org"}));
  EXPECT_EQ(r[0].enhanced, "5.7.1");
  EXPECT_EQ(r[1].status, MANSIO_FAIL);
}

class LostConnection : public ::testing::TestWithParam<std::vector<std::string>> {};
INSTANTIATE_TEST_SUITE_P(Extensions, LostConnection,
                         ::testing::Values(std::vector<std::string>{"PIPELINING"}, std::vector<std::string>{},
                                           std::vector<std::string>{"PIPELINING", "CHUNKING"}));

TEST_P(LostConnection, AfterTheContentLeavesUnansweredRecipientsUncertain) {
  Behaviour b = with(GetParam());
  b.on_command = [](const std::string &line) -> std::string {
    return line.find("bad@") == std::string::npos ? "" : "550 no";
  };
  b.on_content = [](const auto &) { return kDrop; };
  FakeServer server{b};
  TestHost host;
  const auto r = host.deliver(mail_to(server, {"a@x.org", "bad@x.org", "b@x.org"}));
  EXPECT_EQ(r[0].status, MANSIO_UNCERTAIN);
  EXPECT_EQ(r[1].status, MANSIO_FAIL);
  EXPECT_EQ(r[2].status, MANSIO_UNCERTAIN);
}

TEST_P(LostConnection, AfterTheContentByTimeOutIsUncertainToo) {
  Behaviour b = with(GetParam());
  b.on_content = [](const auto &) { return kStall; };
  FakeServer server{b};
  TestHost host{kSmtp, {{"smtp_data_done_timeout", "50ms"}}};
  const auto r = host.deliver(mail_to(server));
  EXPECT_EQ(r[0].status, MANSIO_UNCERTAIN);
  EXPECT_THAT(r[0].text, HasSubstr("timed out"));
}

TEST(SmtpDelivery, DefersWhenTheConnectionIsLostBeforeTheContent) {
  for (const char *command : {"MAIL", "RCPT", "DATA"}) {
    FakeServer server{answering(command, kDrop, {"PIPELINING"})};
    TestHost host;
    const auto r = host.deliver(mail_to(server));
    EXPECT_EQ(r[0].status, MANSIO_DEFER) << command;
    EXPECT_EQ(r[0].enhanced, "4.4.2") << command;
  }
}

TEST(SmtpDelivery, TimesOutOnAServerThatStalls) {
  const std::pair<const char *, const char *> stages[] = {{"EHLO", "smtp_helo_timeout"},
                                                          {"MAIL", "smtp_mail_timeout"},
                                                          {"RCPT", "smtp_rcpt_timeout"},
                                                          {"DATA", "smtp_data_init_timeout"}};
  for (const auto &[command, option] : stages) {
    FakeServer server{answering(command, kStall, {"PIPELINING"})};
    TestHost host{kSmtp, {{option, "50ms"}}};
    const auto r = host.deliver(mail_to(server));
    EXPECT_EQ(r[0].status, MANSIO_DEFER) << command;
    EXPECT_THAT(r[0].text, HasSubstr("timed out")) << command;
  }
}

// RSET goes with the next message, which fails by it; the one after that has a connection of its own.
TEST(SmtpDelivery, TimesOutOnAServerThatStallsAtTheReset) {
  for (const auto *pipelining : {"PIPELINING", "HELP"}) {
    auto b = with({pipelining});
    b.on_command = [](const std::string &line) -> std::string {
      if (line.starts_with("RCPT TO:<bad@")) return "550 no";
      return line == "RSET" ? kStall : "";
    };
    FakeServer server{b};
    TestHost host{kSmtp, {{"smtp_rset_timeout", "50ms"}}};
    EXPECT_EQ(host.deliver(mail_to(server, {"bad@example.com"})).at(0).status, MANSIO_FAIL);
    const auto began = host.fake().now();
    const auto r = host.deliver(mail_to(server));
    ASSERT_EQ(r.size(), 1u) << pipelining;
    EXPECT_EQ(r[0].status, MANSIO_DEFER) << pipelining;
    EXPECT_THAT(r[0].text, AllOf(HasSubstr("timed out"), HasSubstr("RSET"))) << pipelining;
    EXPECT_LT(host.fake().now() - began, 15 * kSecond);  // the default is 20 s
    EXPECT_EQ(host.deliver(mail_to(server)).at(0).connection_use, 1u);
    EXPECT_EQ(server.connections(), 2u);
    EXPECT_EQ(server.transactions().size(), 1u);
  }
}

TEST(SmtpDelivery, TimesOutOnAServerThatDoesNotGreet) {
  Behaviour b;
  b.greeting = kStall;
  FakeServer server{b};
  TestHost host{kSmtp, {{"smtp_helo_timeout", "50ms"}}};
  const auto r = host.deliver(mail_to(server));
  EXPECT_EQ(r[0].status, MANSIO_DEFER);
  EXPECT_NE(r[0].flags & MANSIO_REPLY_SITE_FAILURE, 0u);
}

TEST(SmtpDelivery, TimesOutOnAServerThatDoesNotReadTheContent) {
  for (const auto *command : {"DATA", "BDAT"}) {
    auto b = with({"PIPELINING", *command == 'B' ? "CHUNKING" : "HELP"});
    b.deaf = true;
    FakeServer server{b};
    TestHost host{kSmtp, {{"smtp_data_xfer_timeout", "50ms"}}};
    auto mail = mail_to(server);
    mail.content.append(1 << 22, 'x');
    mail.content += "\r\n";
    const auto r = host.deliver(mail);
    ASSERT_EQ(r.size(), 1u) << command;
    EXPECT_EQ(r[0].status, MANSIO_DEFER) << command;  // not uncertain: it was not all sent
    EXPECT_EQ(r[0].enhanced, "4.4.2") << command;
    EXPECT_THAT(r[0].text, HasSubstr("timed out")) << command;
    EXPECT_EQ(server.count("DATA"), *command == 'D' ? 1u : 0u);
  }
}

TEST(SmtpDelivery, DefersOnRepliesThatAreNone) {
  FakeServer server{answering("MAIL", "what do you want", {"PIPELINING"})};
  TestHost host;
  const auto r = host.deliver(mail_to(server));
  EXPECT_EQ(r[0].status, MANSIO_DEFER);
  EXPECT_THAT(r[0].text, HasSubstr("unintelligible"));
}

TEST(SmtpDelivery, FlagsASiteFailureWhenNothingListens) {
  std::string nexthop;
  {
    FakeServer server;
    nexthop = server.nexthop;
  }
  TestHost host;
  Mail mail;
  mail.nexthop = nexthop;
  const auto r = host.deliver(mail);
  EXPECT_EQ(r[0].status, MANSIO_DEFER);
  EXPECT_EQ(r[0].enhanced, "4.4.1");
  EXPECT_NE(r[0].flags & MANSIO_REPLY_SITE_FAILURE, 0u);
  EXPECT_NE(host.fake().result(1).last->flags & MANSIO_REPLY_SITE_FAILURE, 0u);
}

TEST(SmtpDelivery, RefusesInAdvanceWhatExceedsTheServersSize) {
  FakeServer server{with({"PIPELINING", "SIZE 20"})};
  TestHost host;
  const auto r = host.deliver(mail_to(server));
  EXPECT_EQ(r[0].status, MANSIO_FAIL);
  EXPECT_EQ(r[0].enhanced, "5.3.4");
  EXPECT_EQ(server.count("MAIL"), 0u);
}

TEST(SmtpDelivery, PassesDsnParametersOnAndSaysSo) {
  FakeServer server{with({"PIPELINING", "DSN"})};
  TestHost host;
  auto mail = mail_to(server);
  mail.ret = MANSIO_RET_HDRS;
  mail.envid = "id+1 =x";
  mail.recipients = {{"a@x.org", "", "rfc822;first+tag@x.org", MANSIO_NOTIFY_SUCCESS | MANSIO_NOTIFY_DELAY},
                     {"b@x.org", "alias@x.org", "", MANSIO_NOTIFY_NEVER}};
  const auto r = host.deliver(mail);
  EXPECT_NE(r[0].flags & MANSIO_REPLY_DSN_RELAYED, 0u);
  const auto sent = server.transactions().at(0);
  EXPECT_EQ(sent.mail, "MAIL FROM:<from@example.net> RET=HDRS ENVID=id+2B1+20+3Dx");
  EXPECT_THAT(sent.rcpts, ElementsAre("RCPT TO:<a@x.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;first+2Btag@x.org",
                                      "RCPT TO:<b@x.org> NOTIFY=NEVER ORCPT=rfc822;alias@x.org"));
}

TEST(SmtpDelivery, PassesAPriorityOnWhereThatIsOffered) {
  FakeServer offers{with({"PIPELINING", "MT-PRIORITY MIXER"})}, other{with({"PIPELINING"})};
  const auto said = [](FakeServer &server, const std::string &priority) {
    TestHost host;
    auto mail = mail_to(server);
    mail.metadata.emplace_back("priority", priority);
    EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_OK);
    return server.transactions().back().mail;
  };
  EXPECT_EQ(said(offers, "-4"), "MAIL FROM:<from@example.net> MT-PRIORITY=-4");
  EXPECT_EQ(said(offers, "9"), "MAIL FROM:<from@example.net> MT-PRIORITY=9");
  for (const auto *none : {"0", "10", "-0", "high", "-", ""})
    EXPECT_EQ(said(offers, none), "MAIL FROM:<from@example.net>") << none;
  EXPECT_EQ(said(other, "4"), "MAIL FROM:<from@example.net>");
}

TEST(SmtpDelivery, KeepsDsnParametersFromServersThatDoNotOfferDsn) {
  FakeServer server;
  TestHost host;
  auto mail = mail_to(server);
  mail.ret = MANSIO_RET_FULL;
  mail.recipients[0].notify = MANSIO_NOTIFY_SUCCESS;
  const auto r = host.deliver(mail);
  EXPECT_EQ(r[0].flags & MANSIO_REPLY_DSN_RELAYED, 0u);
  EXPECT_THAT(server.transactions().at(0).rcpts, ElementsAre("RCPT TO:<to@example.com>"));
}

TEST(SmtpDelivery, DeclaresEightBitContentWhereThatIsOffered) {
  FakeServer server;
  TestHost host;
  auto mail = mail_to(server);
  mail.content =
      "Subject: x\r\n\r\ngr\xc3\xbc\xc3\x9f"
      "e\r\n";
  mail.flags = MANSIO_MSG_EIGHT_BIT;
  EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_OK);
  EXPECT_THAT(server.transactions().at(0).mail, EndsWith(" BODY=8BITMIME"));
  EXPECT_EQ(server.transactions().at(0).content, mail.content);
}

TEST(SmtpDelivery, ConvertsEightBitContentForAServerWithoutEightBitMime) {
  FakeServer server{with({"PIPELINING", "SIZE"})};
  TestHost host;
  auto mail = mail_to(server);
  mail.content =
      "Subject: x\r\n\r\ngr\xc3\xbc\xc3\x9f"
      "e\r\n";
  mail.flags = MANSIO_MSG_EIGHT_BIT;
  EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_OK);
  const auto sent = server.transactions().at(0);
  EXPECT_THAT(sent.content,
              AllOf(HasSubstr("Content-Transfer-Encoding: quoted-printable\r\n"), HasSubstr("gr=C3=BC=C3=9Fe\r\n")));
  EXPECT_EQ(sent.mail, "MAIL FROM:<from@example.net> SIZE=" + std::to_string(sent.content.size()));
}

TEST(SmtpDelivery, BouncesEightBitContentThatCannotBeConverted) {
  FakeServer server{with({"PIPELINING"})};
  TestHost host;
  auto mail = mail_to(server);
  mail.content =
      "Content-Type: message/partial; id=1; number=1\r\n\r\ngr\xc3\xbc\xc3\x9f"
      "e\r\n";
  mail.flags = MANSIO_MSG_EIGHT_BIT;
  const auto r = host.deliver(mail);
  EXPECT_EQ(r[0].status, MANSIO_FAIL);
  EXPECT_EQ(r[0].enhanced, "5.6.3");
  EXPECT_EQ(server.count("MAIL"), 0u);
}

TEST(SmtpDelivery, AnnouncesSmtputf8OnlyWhereItIsNeeded) {
  FakeServer server{with({"PIPELINING", "8BITMIME", "SMTPUTF8"})};
  TestHost host;
  auto mail = mail_to(server, {"j\xc3\xb6rg@example.com"});
  mail.flags = MANSIO_MSG_SMTPUTF8;
  EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_OK);
  mail.recipients[0].address = "joerg@example.com";
  EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_OK);
  EXPECT_THAT(server.transactions().at(0).mail, HasSubstr(" SMTPUTF8"));
  EXPECT_THAT(server.transactions().at(1).mail, Not(HasSubstr("SMTPUTF8")));
}

TEST(SmtpDelivery, SendsALabelsWhereThatSufficesAndBouncesTheRest) {
  FakeServer server{with({"PIPELINING", "8BITMIME"})};
  TestHost host;
  auto mail = mail_to(server, {"joerg@b\xc3\xbc"
                               "cher.example",
                               "j\xc3\xb6rg@example.com"});
  mail.flags = MANSIO_MSG_SMTPUTF8;
  const auto r = host.deliver(mail);
  EXPECT_EQ(r[0].status, MANSIO_OK);
  EXPECT_EQ(r[1].status, MANSIO_FAIL);
  EXPECT_EQ(r[1].enhanced, "5.6.7");
  EXPECT_THAT(server.transactions().at(0).rcpts, ElementsAre("RCPT TO:<joerg@xn--bcher-kva.example>"));

  mail.flags = MANSIO_MSG_SMTPUTF8 | MANSIO_MSG_EIGHT_BIT | MANSIO_MSG_EIGHT_BIT_HEADER;
  mail.recipients = {{"a@example.com", "", "", 0}};
  EXPECT_EQ(host.deliver(mail)[0].enhanced, "5.6.7");
}

TEST(SmtpDelivery, RefusesAddressesThatWouldBreakOutOfTheirCommand) {
  FakeServer server;
  TestHost host;
  const auto r = host.deliver(mail_to(server, {"a@x.org>\r\nRSET\r\n", "we ird@x.org"}));
  EXPECT_EQ(r[0].status, MANSIO_FAIL);
  EXPECT_EQ(r[0].enhanced, "5.1.3");
  EXPECT_EQ(r[1].status, MANSIO_OK);
  EXPECT_THAT(server.transactions().at(0).rcpts, ElementsAre("RCPT TO:<\"we ird\"@x.org>"));
}

TEST(SmtpDelivery, StopsWhenItIsCancelled) {
  FakeServer server{answering("MAIL", kStall, {"PIPELINING"})};
  TestHost host;
  const auto op = host.fake().deliver(mail_to(server));
  ASSERT_TRUE(host.fake().run_until([&] { return server.count("MAIL") == 1; }));
  host.fake().cancel(op);
  ASSERT_TRUE(host.fake().completed(op));
  EXPECT_EQ(host.results(op)[0].status, MANSIO_DEFER);
}

TEST(SmtpDelivery, EndsWithItsInstance) {
  FakeServer server{answering("MAIL", kStall, {"PIPELINING"})};
  TestHost host;
  host.fake().deliver(mail_to(server));
  ASSERT_TRUE(host.fake().run_until([&] { return server.count("MAIL") == 1; }));
  host.fake().stop();
}

TEST(SmtpDelivery, SaysWhereAConnectionStaysOpen) {
  FakeServer server;
  TestHost host;
  host.answer("example.com", MANSIO_DNS_A, {{"127.0.0.1", 0}});
  Mail mail;
  mail.nexthop = "Example.com:" + std::to_string(server.port);
  const auto last = [&] {
    const auto op = host.fake().deliver(mail);
    EXPECT_TRUE(host.fake().run_until([&] { return host.fake().completed(op); }));
    return host.fake().result(op).last->destination;
  };
  EXPECT_EQ(last(), "example.com:" + std::to_string(server.port));
  mail.nexthop = "[127.0.0.99]:1";
  EXPECT_EQ(last(), "");
  TestHost without{kSmtp, {{"smtp_connection_cache_time_limit", "0"}}};
  mail.nexthop = server.nexthop;
  const auto op = without.fake().deliver(mail);
  EXPECT_TRUE(without.fake().run_until([&] { return without.fake().completed(op); }));
  EXPECT_EQ(without.fake().result(op).last->destination, "");
}

}  // namespace
}  // namespace mansio::smtp::test
