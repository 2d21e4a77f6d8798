// Mail of plugins, looked at by the router: what a plugin's process says is not believed.
#include "kernel/router/submission.hpp"

#include <gmock/gmock.h>

#include <string>

#include "mansio/abi.h"

namespace mansio::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class SubmissionTest : public ::testing::Test {
 protected:
  SubmissionTest() {
    call_.sender = "a@example.com";
    call_.recipients = {"b@example.org"};
  }
  Result<Envelope> made() const { return submission_envelope(call_, settings_, 77); }
  void expect_refused(const std::string &why) const {
    const auto envelope = made();
    ASSERT_FALSE(envelope) << why;
    EXPECT_EQ(envelope.error().status, Status::Fail);
    EXPECT_THAT(envelope.error().text, HasSubstr(why));
  }
  Result<void> judged(const std::string &content, std::uint64_t longest_line = 10) const {
    ContentScanner scanner;
    scanner.feed(content);
    scanner.finish();
    return judge_submission(scanner, longest_line, settings_);
  }

  wire::SubmitCall call_;
  config::Settings settings_;
};

TEST_F(SubmissionTest, BecomesAnEnvelopeOfThisHost) {
  call_.recipients = {"b@EXAMPLE.org", "\"c d\"@example.org"};
  call_.flags = MANSIO_MSG_BODY_8BITMIME;
  const auto envelope = made();
  ASSERT_TRUE(envelope) << envelope.error().text;
  EXPECT_EQ(envelope->sender, "a@example.com");
  ASSERT_EQ(envelope->recipients.size(), 2u);
  EXPECT_EQ(envelope->recipients[0].address, "b@example.org");
  EXPECT_EQ(envelope->recipients[1].address, "\"c d\"@example.org");
  EXPECT_EQ(envelope->arrival, 77);
  EXPECT_EQ(envelope->client_address, "");
  EXPECT_EQ(envelope->body_type, BodyType::EightBitMime);
  EXPECT_EQ(envelope->hold_until, 0);
}

TEST_F(SubmissionTest, TheNullSenderIsASender) {
  call_.sender.clear();
  const auto envelope = made();
  ASSERT_TRUE(envelope);
  EXPECT_EQ(envelope->sender, "");
}

TEST_F(SubmissionTest, AddressesThatAreNoneAreRefused) {
  call_.sender = "a@b@";
  expect_refused("sender a@b@");
  call_.sender = "a@example.com";
  call_.recipients = {"b@example.org", "c@example.org>\r\nX: y"};
  expect_refused("recipient c@example.org");
  call_.recipients = {""};
  expect_refused("recipient");
  call_.recipients = {};
  expect_refused("no recipient");
}

TEST_F(SubmissionTest, Utf8AddressesNeedTheFlag) {
  call_.recipients = {"j\xc3\xb6rg@example.org"};
  expect_refused("recipient");
  call_.flags = MANSIO_MSG_SMTPUTF8;
  const auto envelope = made();
  ASSERT_TRUE(envelope) << envelope.error().text;
  EXPECT_TRUE(envelope->smtputf8);
}

TEST_F(SubmissionTest, MetadataThatMansioActsOnGoesWhereItActs) {
  call_.metadata = {{"tenant", "acme"},   {"campaign", "spring"}, {"source_pool", "warm"}, {"priority", "-4"},
                    {"seen.by", "first"}, {"empty", ""},          {"seen.by", "me"}};
  const auto envelope = made();
  ASSERT_TRUE(envelope) << envelope.error().text;
  EXPECT_EQ(envelope->tenant, "acme");
  EXPECT_EQ(envelope->campaign, "spring");
  EXPECT_EQ(envelope->source_pool, "warm");
  EXPECT_EQ(static_cast<std::int8_t>(envelope->priority), -4);
  EXPECT_THAT(envelope->metadata, ElementsAre(Pair("seen.by", "me")));
}

TEST_F(SubmissionTest, MetadataOfMansiosOwnAndWhatHasNoFormIsRefused) {
  for (const auto *name : {"mansio.hold_reason", "Upper", "", "sp ace"}) {
    call_.metadata = {{name, "x"}};
    expect_refused("metadata");
  }
  for (const auto *value : {"10", "-10", "1x", " 1"}) {
    call_.metadata = {{"priority", value}};
    expect_refused("priority");
  }
  call_.metadata = {{"x", std::string(5000, 'x')}};
  expect_refused("metadata x");
}

TEST_F(SubmissionTest, TheLimitsOfSmtpdCount) {
  settings_.smtpd.recipient_limit = 2;
  call_.recipients.assign(3, "b@example.org");
  expect_refused("more than 2 recipients");
  call_.recipients.resize(2);
  EXPECT_TRUE(made());
  call_.length = settings_.smtpd.message_size_limit + 1;
  expect_refused("larger than");
}

TEST_F(SubmissionTest, AMessageThatGoesRoundIsStopped) {
  settings_.smtpd.hopcount_limit = 3;
  std::string content = "Subject: x\r\n\r\nx\r\n";
  for (int hops = 0; hops < 3; ++hops) {
    EXPECT_TRUE(judged(content)) << hops;
    content = "Received: by a.example\r\n" + content;
  }
  const auto refused = judged(content);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, Status::Fail);
  EXPECT_EQ(refused.error().enhanced, (EnhancedStatus{5, 4, 6}));
}

TEST_F(SubmissionTest, ContentBeyondALimitIsRefused) {
  EXPECT_TRUE(judged("a: b\r\n\r\nc\r\n", settings_.smtpd.line_length_limit));
  EXPECT_FALSE(judged("a: b\r\n\r\nc\r\n", settings_.smtpd.line_length_limit + 1));
  settings_.smtpd.header_size_limit = 10;
  EXPECT_FALSE(judged("abcdefghijkl: b\r\n\r\nc\r\n"));
  settings_.smtpd.header_size_limit = 1000;
  settings_.smtpd.message_size_limit = 10;  // line ends may make it larger than it was said to be
  EXPECT_FALSE(judged("a: b\r\n\r\nabcdef\r\n"));
}

}  // namespace
}  // namespace mansio::router
