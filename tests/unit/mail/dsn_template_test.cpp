// Templates of notifications: what a file replaces, and that its mistakes are named by line.
#include "kernel/mail/dsn_template.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/mail/dsn.hpp"

namespace mansio::dsn {
namespace {

using testing::HasSubstr;

std::string error(std::string_view text) {
  const auto t = parse_templates(text, "bounce.cf");
  return t ? "" : t.error().text;
}

TEST(DsnTemplate, ReplacesTheSectionsItFinds) {
  const auto t = parse_templates(
      "# ours\n\nfailure_template = <<EOF\nCharset: utf-8\nFrom: Postbote <post@$mydomain>\nSubject: Unzustellbar: "
      "$queue_id\n"
      "Postmaster-Subject: Kopie\n\nGrüße von ${myhostname}, das kostet 5$$.\n\n$reasons\nEnde\nEOF\n",
      "bounce.cf");
  ASSERT_TRUE(t.ok()) << t.error().text;
  EXPECT_EQ(t->failure.charset, "utf-8");
  EXPECT_EQ(t->delay.subject, default_templates().delay.subject);

  Input in;
  in.reporting_mta = "mx.example.com";
  in.to = in.sender = "a@b.example";
  in.parent = {MessageId{1}, 1};
  in.recipients.resize(1);
  in.recipients[0].address = "c@d.example";
  in.recipients[0].text = "because";
  const auto n = compose(in, *t);
  EXPECT_THAT(n.text, HasSubstr("From: Postbote <post@example.com>\r\n"));
  EXPECT_THAT(n.text, HasSubstr("Subject: Unzustellbar: 0000000000001\r\n"));
  EXPECT_THAT(
      n.text,
      HasSubstr(
          "charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße von mx.example.com, das kostet 5$.\r\n"));
  EXPECT_THAT(n.text, HasSubstr("\r\n<c@d.example>: because\r\n\r\nEnde\r\n"));
  EXPECT_EQ(n.body_type, BodyType::EightBitMime);
  EXPECT_FALSE(n.smtputf8);
}

TEST(DsnTemplate, ErrorsNameFileLineAndCause) {
  EXPECT_THAT(error("\nbounce_template = <<EOF\n"), HasSubstr("bounce.cf:2: expected failure_template"));
  EXPECT_THAT(error("delay_template = x\n"), HasSubstr("bounce.cf:1: expected \"delay_template = <<EOF\""));
  EXPECT_THAT(error("delay_template = <<EOF\nSubject: x\n\ntext\n"),
              HasSubstr("bounce.cf:1: delay_template does not end"));
  EXPECT_THAT(error("delay_template = <<EOF\n\ntext\nEOF\n"),
              HasSubstr("bounce.cf:1: delay_template has no Subject line"));
  EXPECT_THAT(error("delay_template = <<EOF\nSubject: x\n\nEOF\n"), HasSubstr("has no text"));
  EXPECT_THAT(error("delay_template = <<EOF\nSubject: x\nReply-To: y\n\ntext\nEOF\n"),
              HasSubstr("bounce.cf:3: expected Charset"));
  EXPECT_THAT(error("delay_template = <<EOF\nCharset: latin1\nSubject: x\n\nt\nEOF\n"),
              HasSubstr("bounce.cf:2: Charset is"));
  EXPECT_THAT(error("delay_template = <<EOF\nSubject: x\n\na\n$nonsense\nEOF\n"),
              HasSubstr("bounce.cf:5: unknown variable $nonsense"));
  EXPECT_THAT(error("delay_template = <<EOF\nSubject: x\n\n5$\nEOF\n"),
              HasSubstr("bounce.cf:4: '$' begins no variable"));
  EXPECT_THAT(error("delay_template = <<EOF\nSubject: x\n\nGrüße\nEOF\n"), HasSubstr("needs \"Charset: utf-8\""));
  EXPECT_THAT(error("delay_template = <<EOF\nSubject: Grüße\n\nx\nEOF\n"),
              HasSubstr("bounce.cf:2: Subject must be printable ASCII"));
}

TEST(DsnTemplate, AcceptsAFileWithCrlfAndAVerifyTemplate) {
  EXPECT_EQ(error("verify_template = <<END\r\nSubject: x\r\n\r\ntext\r\nEND\r\n"), "");
  EXPECT_EQ(error(""), "");
}

}  // namespace
}  // namespace mansio::dsn
