// Transcripts for the postmaster: which sessions send one, how often, and that a message's content is never in one.
#include <gmock/gmock.h>

#include "tests/unit/ingress/fixture.hpp"

namespace mansio::ingress {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Notices : public testing::SmtpServerTest {
 protected:
  // The notice about the session that has ended.
  const testing::Stored &notice() {
    settle();
    EXPECT_FALSE(writer.stored_messages.empty());
    static const testing::Stored none;
    return writer.stored_messages.empty() ? none : writer.stored_messages.back();
  }
};

TEST_F(Notices, APolicyRefusalSendsThePostmasterTheTranscript) {
  settings.queue.notify_classes = {"policy"};
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<x@elsewhere.example>\r\n");
  EXPECT_TRUE(writer.stored_messages.empty());  // the session is not over
  say(peer, "QUIT\r\n");
  const auto &m = notice();
  EXPECT_THAT(m.body, HasSubstr("Subject: Mansio SMTP server: errors from unknown[unix]\r\n"));
  EXPECT_THAT(m.body, HasSubstr("\r\n\r\nTranscript of session follows.\r\n\r\n"
                                " Out: 220 mx.test ESMTP Mansio\r\n"
                                " In:  EHLO client.test\r\n"
                                " Out: 250-mx.test\r\n"));
  EXPECT_THAT(m.body, HasSubstr(" In:  MAIL FROM:<a@b.example>\r\n"
                                " Out: 250 2.1.0 Ok\r\n"
                                " In:  RCPT TO:<x@elsewhere.example>\r\n"
                                " Out: 554 5.7.1 Relay access denied\r\n"
                                " In:  QUIT\r\n"
                                " Out: 221 2.0.0 Bye\r\n"));
  EXPECT_EQ(m.envelope.sender, "double-bounce@mx.test");
  ASSERT_EQ(m.envelope.recipients.size(), 1u);
  EXPECT_EQ(m.envelope.recipients[0].address, "postmaster@mx.test");
  EXPECT_EQ(m.envelope.client_address, "");
  EXPECT_EQ(m.envelope.body.size, m.prefix.size() + m.body.size());
  EXPECT_EQ(intake.noticed, std::vector{m.id});
}

TEST_F(Notices, HaveASenderInItsOwnDomainIfItNamesOne) {
  settings.queue.notify_classes = {"policy"};
  settings.double_bounce_sender = "db@d.example";
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<x@elsewhere.example>\r\nQUIT\r\n");
  EXPECT_EQ(notice().envelope.sender, "db@d.example");
}

TEST_F(Notices, TheClassDecides) {
  settings.queue.notify_classes = {"protocol", "2bounce", "delay"};
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<x@elsewhere.example>\r\nRCPT TO:<nobody@d.example>\r\nQUIT\r\n");
  EXPECT_TRUE(writer.stored_messages.empty());

  peer = greet();
  say(peer, "NONSENSE \x01\r\nQUIT\r\n");
  EXPECT_THAT(notice().body, HasSubstr(" In:  NONSENSE ?\r\n Out: 5"));

  settings.queue.notify_classes = {"bounce"};
  peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<nobody@d.example>\r\nQUIT\r\n");
  EXPECT_THAT(notice().body, HasSubstr(" Out: 550 5.1.1 No such user here\r\n"));
  EXPECT_EQ(writer.stored_messages.size(), 2u);
}

TEST_F(Notices, NothingOfAGoodMessageIsKept) {
  settings.queue.notify_classes = {"protocol"};
  auto peer = ready_for_data();
  say(peer, "Subject: secret\r\n\r\nsecret words\r\n.\r\nHELP me\r\nEXPN list\r\nQUIT\r\n");
  const auto &m = notice();
  EXPECT_EQ(writer.stored_messages.size(), 2u);
  EXPECT_THAT(m.body, HasSubstr(" In:  EXPN list\r\n"));
  EXPECT_THAT(m.body, Not(HasSubstr("secret")));
  EXPECT_THAT(m.body, Not(HasSubstr("MAIL FROM")));
}

TEST_F(Notices, ScarceResourcesAreToldOnceAMinute) {
  ASSERT_EQ(settings.queue.notify_classes, (std::vector<std::string>{"resource", "software"}));
  intake.why = Reply{452, {4, 3, 1}, "Insufficient system storage"};
  for (int i = 0; i < 3; ++i) {
    auto peer = greet();
    say(peer, "MAIL FROM:<a@b.example>\r\nQUIT\r\n");
    settle();
  }
  EXPECT_EQ(writer.stored_messages.size(), 1u);
  EXPECT_THAT(notice().body, HasSubstr(" Out: 452 4.3.1 Insufficient system storage\r\n"));
  clock.advance(61 * kSecond);
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nQUIT\r\n");
  EXPECT_THAT(notice().body, HasSubstr("Notices left out since the last one of this kind: 2\r\n"));
  EXPECT_EQ(writer.stored_messages.size(), 2u);
}

TEST_F(Notices, OneThatCannotBeWrittenEndsWithTheSession) {
  settings.queue.notify_classes = {"policy"};
  for (auto *fails : {&writer.append_fails, &writer.reserve_fails, &writer.commit_fails}) {
    *fails = Error{Status::Busy, "disk full"};
    auto peer = greet();
    say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<x@elsewhere.example>\r\nQUIT\r\n");
    settle();
    EXPECT_EQ(server->sessions(), 0u);
    fails->reset();
  }
  EXPECT_TRUE(writer.stored_messages.empty());
  EXPECT_THAT(sink.text, HasSubstr("notice to the postmaster not written"));
}

TEST_F(Notices, ALongTranscriptIsCut) {
  settings.queue.notify_classes = {"protocol"};
  service.smtpd.hard_error_limit = 1000;
  auto peer = greet();
  for (int i = 0; i < 100; ++i) say(peer, "X" + std::string(1500, 'y') + "\r\n");
  say(peer, "QUIT\r\n");
  const auto &m = notice();
  EXPECT_LT(m.body.size(), 40000u);
  EXPECT_THAT(m.body, HasSubstr("\r\n ...\r\n"));
  for (std::size_t at = 0, end; (end = m.body.find("\r\n", at)) != std::string::npos; at = end + 2)
    EXPECT_LT(end - at, 998u);
}

}  // namespace
}  // namespace mansio::ingress
