// Notifications as RFC 3464, 3461 and 6533 want them, and that nothing a remote server says can forge a part of one.
#include "kernel/mail/dsn.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/mail/headers.hpp"
#include "kernel/mail/trace.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::dsn {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kOriginal =
    "From: a@sender.example\r\nMessage-ID: <1@sender.example>\r\nSubject: s\r\n\r\nThe secret text\r\n";

Input failure() {
  Input in;
  in.reporting_mta = "mx.example.com";
  in.to = in.sender = "a@sender.example";
  in.parent = {MessageId{77}, 1};
  in.arrival = 1'700'000'000 * kSecond;
  in.now = in.arrival + 7200 * kSecond;
  in.original = kOriginal;
  in.original_size = kOriginal.size();
  Recipient r;
  r.address = "user@example.net";
  r.status = {5, 1, 1};
  r.smtp_code = 550;
  r.text = "No such user";
  r.remote_mta = "mx.example.net";
  r.last_attempt = in.now;
  in.recipients = {r};
  return in;
}

std::string text(const Input &in) { return compose(in, default_templates()).text; }

// The parts between the boundaries, headers included; also checks that the structure is sound.
std::vector<std::string> parts(const std::string &message) {
  const auto type = find_header(header_section(message), "Content-Type").value();
  const auto at = type.find("boundary=\"") + 10;
  const auto boundary = "\r\n--" + type.substr(at, type.find('"', at) - at);
  std::vector<std::string> found;
  auto from = message.find(boundary + "\r\n");
  while (from != std::string::npos) {
    const auto begin = from + boundary.size() + 2;
    const auto end = message.find(boundary, begin);
    EXPECT_NE(end, std::string::npos);
    found.push_back(message.substr(begin, end - begin));
    from = message.find(boundary + "\r\n", end);
  }
  EXPECT_TRUE(message.ends_with(boundary + "--\r\n"));
  return found;
}

TEST(Dsn, FailureIsAMultipartReport) {
  const auto message = text(failure());
  const auto header = header_section(message);
  EXPECT_EQ(find_header(header, "To"), "<a@sender.example>");
  EXPECT_EQ(find_header(header, "From"), "MAILER-DAEMON@mx.example.com (Mail Delivery System)");
  EXPECT_EQ(find_header(header, "Auto-Submitted"), "auto-replied");
  EXPECT_EQ(find_header(header, "References"), "<1@sender.example>");
  EXPECT_THAT(*find_header(header, "Content-Type"), HasSubstr("multipart/report; report-type=delivery-status"));
  const auto p = parts(message);
  ASSERT_EQ(p.size(), 3u);
  EXPECT_THAT(p[0], HasSubstr("<user@example.net>: host mx.example.net said: 550 5.1.1 No such user"));
  EXPECT_THAT(p[1], HasSubstr("Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.com\r\n"));
  EXPECT_THAT(p[1], HasSubstr("X-Mansio-Queue-ID: " + to_string(MessageId{77})));
  EXPECT_THAT(p[1], HasSubstr("\r\n\r\nFinal-Recipient: rfc822; user@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n"
                              "Remote-MTA: dns; mx.example.net\r\nDiagnostic-Code: smtp; 550 5.1.1 No such user\r\n"
                              "Last-Attempt-Date: "));
  EXPECT_THAT(p[2], HasSubstr("Content-Type: message/rfc822\r\n\r\n" + std::string{kOriginal}));
}

TEST(Dsn, SameInputGivesTheSameOctets) { EXPECT_EQ(text(failure()), text(failure())); }

TEST(Dsn, EveryLineEndsInCrlf) {
  const auto message = text(failure());
  for (std::size_t i = 0; i < message.size(); ++i) {
    if (message[i] == '\n') {
      EXPECT_TRUE(i > 0 && message[i - 1] == '\r');
    }
    if (message[i] == '\r') {
      EXPECT_TRUE(i + 1 < message.size() && message[i + 1] == '\n');
    }
  }
}

TEST(Dsn, RetGovernsFailuresOnly) {
  auto in = failure();
  in.ret = Ret::Hdrs;
  EXPECT_THAT(text(in), Not(HasSubstr("secret")));
  EXPECT_THAT(text(in), HasSubstr("Content-Type: text/rfc822-headers\r\n\r\nFrom: a@sender.example\r\n"));
  in.ret = Ret::Full;
  EXPECT_THAT(text(in), HasSubstr("secret"));
  for (const auto kind : {Kind::Delay, Kind::Success, Kind::PostmasterCopy}) {
    in.kind = kind;
    EXPECT_THAT(text(in), Not(HasSubstr("secret")));
  }
}

TEST(Dsn, ALargeOriginalComesBackAsItsHeaders) {
  auto in = failure();
  in.size_limit = kOriginal.size() - 1;
  EXPECT_FALSE(returns_full_message(in));
  EXPECT_THAT(text(in), Not(HasSubstr("secret")));
  in.size_limit = kOriginal.size();
  EXPECT_EQ(bytes_wanted(in), kOriginal.size());
  EXPECT_THAT(text(in), HasSubstr("secret"));
}

TEST(Dsn, HonoursEnvidAndOrcpt) {
  auto in = failure();
  in.envid = "QQ 314159";
  in.recipients[0].orcpt = "rfc822;Old.Name@example.com";
  EXPECT_THAT(text(in), HasSubstr("\r\nOriginal-Envelope-Id: QQ 314159\r\n"));
  EXPECT_THAT(text(in), HasSubstr("\r\nOriginal-Recipient: rfc822; Old.Name@example.com\r\n"));
}

TEST(Dsn, HasNoOriginalRecipientWithoutOrcpt) {
  auto in = failure();
  in.recipients[0].original = "postmaster";
  EXPECT_THAT(text(in), Not(HasSubstr("Original-Recipient")));
  EXPECT_THAT(text(in), HasSubstr("(for <postmaster>)"));
}

TEST(Dsn, DelaySaysUntilWhenAttemptsGoOn) {
  auto in = failure();
  in.kind = Kind::Delay;
  in.recipients[0].action = Action::Delayed;
  in.recipients[0].status = {4, 4, 1};
  in.recipients[0].smtp_code = 0;
  in.recipients[0].text = "connection refused";
  in.recipients[0].will_retry_until = in.now + 86400 * kSecond;
  const auto message = text(in);
  EXPECT_THAT(message, HasSubstr("Action: delayed\r\nStatus: 4.4.1\r\n"));
  EXPECT_THAT(message, HasSubstr("Will-Retry-Until: " + rfc5322_date(in.recipients[0].will_retry_until)));
  EXPECT_THAT(message, HasSubstr("Diagnostic-Code: X-Mansio; connection refused\r\n"));
  EXPECT_THAT(message, HasSubstr("below for 2 hours."));
}

TEST(Dsn, SuccessHasAStatusOfItsClass) {
  auto in = failure();
  in.kind = Kind::Success;
  in.recipients[0].action = Action::Relayed;
  in.recipients[0].status = {};
  EXPECT_THAT(text(in), HasSubstr("Action: relayed\r\nStatus: 2.0.0\r\n"));
}

TEST(Dsn, PostmasterCopyIsMarkedAndHasNoBody) {
  auto in = failure();
  in.kind = Kind::PostmasterCopy;
  in.to = "postmaster@example.com";
  const auto header = std::string{header_section(text(in))};
  EXPECT_THAT(*find_header(header, "Subject"), HasSubstr("Postmaster copy"));
  EXPECT_EQ(find_header(header, "Auto-Submitted"), "auto-generated");
}

TEST(Dsn, SpeaksToThePostmasterOfWhatSomebodyElseSent) {
  auto in = failure();
  in.to = "postmaster@example.com";
  for (const auto kind : {Kind::PostmasterCopy, Kind::PostmasterDelay}) {
    in.kind = kind;
    const auto p = parts(text(in));
    EXPECT_THAT(p[0], Not(HasSubstr("you sent")));
    EXPECT_THAT(p[0], HasSubstr("A message from\r\n<a@sender.example>,\r\n"));
    EXPECT_THAT(p[0], HasSubstr("<user@example.net>: "));
  }
  const auto own = parse_templates("failure_template = <<EOF\nSubject: s\n\nMine.\nEOF\n", "t").value();
  in.kind = Kind::PostmasterCopy;
  EXPECT_THAT(compose(in, own).text, HasSubstr("Mine.\r\n"));
}

TEST(Dsn, UsesTheGlobalTypesForSmtputf8) {
  auto in = failure();
  in.smtputf8 = true;
  in.recipients[0].address = "用户@example.net";
  const auto n = compose(in, default_templates());
  EXPECT_THAT(n.text, HasSubstr("report-type=global-delivery-status"));
  EXPECT_THAT(n.text, HasSubstr("Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n"));
  EXPECT_THAT(n.text, HasSubstr("Final-Recipient: utf-8; 用户@example.net"));
  EXPECT_THAT(n.text, HasSubstr("Content-Type: message/global\r\n"));
  EXPECT_TRUE(n.smtputf8 && n.body.eight_bit);
  EXPECT_EQ(n.body_type, BodyType::EightBitMime);
  in.ret = Ret::Hdrs;
  EXPECT_THAT(text(in), HasSubstr("Content-Type: message/global-headers\r\n"));
}

TEST(Dsn, WithoutSmtputf8TheReportIsAscii) {
  auto in = failure();
  in.recipients[0].text = "Benutzer \xfcnbekannt \xe7";
  const auto n = compose(in, default_templates());
  EXPECT_TRUE(is_ascii(n.text));
  EXPECT_FALSE(n.smtputf8);
  EXPECT_EQ(n.body_type, BodyType::SevenBit);
}

TEST(Dsn, NoReplyOfAPeerCanAddAField) {
  auto in = failure();
  in.recipients[0].text = "first\r\n\r\nFinal-Recipient: rfc822; forged@example.com\n.\n--x";
  in.recipients[0].remote_mta = "mx\r\nAction: delivered";
  const auto message = text(in);
  EXPECT_THAT(message, Not(HasSubstr("\r\nFinal-Recipient: rfc822; forged")));
  EXPECT_THAT(message, Not(HasSubstr("\r\nAction: delivered")));
  EXPECT_FALSE(compose(in, default_templates()).body.leading_dots);
}

TEST(Dsn, LongDiagnosticsAreFoldedAndCut) {
  auto in = failure();
  for (int i = 0; i < 1000; ++i) in.recipients[0].text += " word";
  in.recipients[0].text += std::string(3000, 'x');
  std::string_view message;
  const auto whole = text(in);
  message = whole;
  while (!message.empty()) {
    const auto newline = message.find('\n');
    EXPECT_LE(newline, 998u);
    message.remove_prefix(newline + 1);
  }
}

TEST(Dsn, TheBuiltInTextsStayWithinRfc5322sAdvisedWidth) {
  for (const auto kind : {Kind::Failure, Kind::Delay, Kind::Success, Kind::PostmasterCopy, Kind::PostmasterDelay}) {
    auto in = failure();
    in.kind = kind;
    in.recipients[0].will_retry_until = in.now + 5 * 86400 * kSecond;
    const auto message = text(in);
    const auto first = parts(message).at(0);
    std::string_view rest = first;
    while (!rest.empty()) {
      const auto line = rest.substr(0, rest.find("\r\n"));
      EXPECT_LE(line.size(), 78u) << line;
      rest.remove_prefix(std::min(rest.size(), line.size() + 2));
    }
  }
}

TEST(Dsn, TheBoundaryOccursInNoPart) {
  auto in = failure();
  const auto first = text(in);
  // The message returned is itself a notification of the same event: everything it says is in the way.
  in.original = first;
  in.original_size = first.size();
  EXPECT_EQ(parts(text(in)).size(), 3u);
}

}  // namespace
}  // namespace mansio::dsn
