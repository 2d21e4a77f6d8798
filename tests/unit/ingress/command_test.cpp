// Commands and their parameters, line by line: what RFC 5321 allows, what is tolerated, and what is refused.
#include "kernel/ingress/command.hpp"

#include <gtest/gtest.h>

#include <string>

#include "kernel/ingress/params.hpp"

namespace mansio::ingress {
namespace {

bool everything(std::string_view) { return true; }

TEST(SmtpCommand, KnowsVerbsInAnyCase) {
  EXPECT_EQ(parse_command("EHLO x").verb, Verb::Ehlo);
  EXPECT_EQ(parse_command("ehlo x").verb, Verb::Ehlo);
  EXPECT_EQ(parse_command("StartTLS").verb, Verb::StartTls);
  EXPECT_EQ(parse_command("XYZZY").verb, Verb::Unknown);
  EXPECT_EQ(parse_command("").verb, Verb::Unknown);
  EXPECT_EQ(parse_command("EXPN list").verb, Verb::Unimplemented);
  EXPECT_EQ(parse_command("GET / HTTP/1.1").verb, Verb::NotSmtp);
  EXPECT_EQ(parse_command("\x16\x03\x01").verb, Verb::NotSmtp);
}

TEST(SmtpCommand, WantsArgumentsWhereTheyBelong) {
  EXPECT_EQ(parse_command("HELO").syntax, Syntax::MissingArgument);
  EXPECT_EQ(parse_command("DATA now").syntax, Syntax::ExtraArgument);
  EXPECT_EQ(parse_command("QUIT now").syntax, Syntax::ExtraArgument);
  EXPECT_EQ(parse_command("DATA  ").syntax, Syntax::Ok);
  EXPECT_EQ(parse_command("NOOP whatever").syntax, Syntax::Ok);
}

TEST(SmtpCommand, SeparatesPathAndParameters) {
  const auto c = parse_command("MAIL FROM:<a@b.example> SIZE=100 SMTPUTF8 BODY=8BITMIME");
  ASSERT_EQ(c.syntax, Syntax::Ok);
  EXPECT_EQ(c.path, "<a@b.example>");
  ASSERT_EQ(c.parameter_count, 3u);
  EXPECT_EQ(c.parameters[0].keyword, "SIZE");
  EXPECT_EQ(c.parameters[0].value, "100");
  EXPECT_FALSE(c.parameters[1].has_value);
}

TEST(SmtpCommand, FindsTheEndOfAPathWithQuotedBrackets) {
  EXPECT_EQ(parse_command("RCPT TO:<\"a> \\\"b\"@c> NOTIFY=NEVER").path, "<\"a> \\\"b\"@c>");
  EXPECT_EQ(parse_command("MAIL FROM:<\"a@b>").syntax, Syntax::BadPath);
}

TEST(SmtpCommand, ToleratesBlanksAndMissingBrackets) {
  EXPECT_EQ(parse_command("MAIL FROM: <a@b> ").path, "<a@b>");
  EXPECT_EQ(parse_command("mail from :<a@b>").path, "<a@b>");
  EXPECT_EQ(parse_command("RCPT TO:a@b NOTIFY=NEVER").path, "a@b");
  EXPECT_EQ(parse_command("MAIL FROM:<>").path, "<>");
}

TEST(SmtpCommand, RefusesMalformedPathsAndParameters) {
  EXPECT_EQ(parse_command("MAIL <a@b>").syntax, Syntax::BadPath);
  EXPECT_EQ(parse_command("MAIL TO:<a@b>").syntax, Syntax::BadPath);
  EXPECT_EQ(parse_command("MAIL FROM:<a@b").syntax, Syntax::BadPath);
  EXPECT_EQ(parse_command("MAIL FROM:<a@b>SIZE=1").syntax, Syntax::BadPath);
  EXPECT_EQ(parse_command("MAIL FROM:<a@b> SIZE=").syntax, Syntax::BadParameter);
  EXPECT_EQ(parse_command("MAIL FROM:<a@b> =1").syntax, Syntax::BadParameter);
  EXPECT_EQ(parse_command("MAIL FROM:<a@b> X_Y=1").syntax, Syntax::BadParameter);
  std::string many = "MAIL FROM:<a@b>";
  for (int i = 0; i < 17; ++i) many += " X" + std::to_string(i);
  EXPECT_EQ(parse_command(many).syntax, Syntax::TooManyParameters);
}

TEST(SmtpCommand, ReadsChunkSizes) {
  EXPECT_EQ(parse_command("BDAT 10").chunk_size, 10u);
  EXPECT_TRUE(parse_command("BDAT 0 last").last);
  EXPECT_EQ(parse_command("BDAT").syntax, Syntax::MissingArgument);
  EXPECT_EQ(parse_command("BDAT -1").syntax, Syntax::BadNumber);
  EXPECT_EQ(parse_command("BDAT 1x").syntax, Syntax::BadNumber);
  EXPECT_EQ(parse_command("BDAT 99999999999999999999").syntax, Syntax::BadNumber);
  EXPECT_EQ(parse_command("BDAT 1 FIRST").syntax, Syntax::ExtraArgument);
}

TEST(SmtpCommand, ReadsAuth) {
  const auto plain = parse_command("auth PLAIN AGE= ");
  EXPECT_EQ(plain.verb, Verb::Auth);
  EXPECT_EQ(plain.syntax, Syntax::Ok);
  EXPECT_EQ(plain.mechanism, "PLAIN");
  EXPECT_EQ(plain.initial_response, "AGE=");
  EXPECT_EQ(parse_command("AUTH LOGIN").initial_response, "");
  EXPECT_EQ(parse_command("AUTH").syntax, Syntax::MissingArgument);
  EXPECT_EQ(parse_command("AUTH PLAIN a b").syntax, Syntax::ExtraArgument);
}

TEST(SmtpParameters, AreTypedForMail) {
  MailParameters p;
  const auto c = parse_command("MAIL FROM:<a@b> size=123 body=8bitmime RET=hdrs ENVID=a+2Bb SMTPUTF8");
  EXPECT_FALSE(read_parameters(c, everything, p));
  EXPECT_EQ(p.size, 123u);
  EXPECT_EQ(p.body, BodyType::EightBitMime);
  EXPECT_EQ(p.ret, Ret::Hdrs);
  EXPECT_EQ(p.envid, "a+b");
  EXPECT_TRUE(p.smtputf8);
}

TEST(SmtpParameters, AreTypedForRcpt) {
  RcptParameters p;
  const auto c = parse_command("RCPT TO:<a@b> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x+40y");
  EXPECT_FALSE(read_parameters(c, everything, false, p));
  EXPECT_EQ(p.notify, kNotifySuccess | kNotifyFailure);
  EXPECT_EQ(p.orcpt, "rfc822;x@y");
}

TEST(SmtpParameters, RefusesUnknownRepeatedAndMalformedOnes) {
  const auto code = [](std::string_view line) -> int {
    MailParameters p;
    const auto r = read_parameters(parse_command(line), everything, p);
    return r ? r->code : 250;
  };
  EXPECT_EQ(code("MAIL FROM:<a@b> NOTIFY=NEVER"), 555);
  EXPECT_EQ(code("MAIL FROM:<a@b> AUTH=<>"), 250);
  EXPECT_EQ(code("MAIL FROM:<a@b> AUTH=e+3Dmc2@example.com"), 250);
  EXPECT_EQ(code("MAIL FROM:<a@b> AUTH=x"), 501);
  EXPECT_EQ(code("MAIL FROM:<a@b> AUTH=a@b AUTH=a@b"), 501);
  EXPECT_EQ(code("MAIL FROM:<a@b> SIZE=1 SIZE=1"), 501);
  EXPECT_EQ(code("MAIL FROM:<a@b> SIZE=x"), 501);
  EXPECT_EQ(code("MAIL FROM:<a@b> SIZE"), 501);
  EXPECT_EQ(code("MAIL FROM:<a@b> BODY=BINARYMIME"), 501);
  EXPECT_EQ(code("MAIL FROM:<a@b> SMTPUTF8=1"), 501);
  EXPECT_EQ(code("MAIL FROM:<a@b> RET=SOME"), 501);
  EXPECT_EQ(code("MAIL FROM:<a@b> SIZE=99999999999999999999"), 250);
}

TEST(SmtpParameters, HoldAPriority) {
  const auto priority = [](const std::string &value) -> int {
    MailParameters p;
    const auto r = read_parameters(parse_command("MAIL FROM:<a@b> MT-PRIORITY=" + value), everything, p);
    return r ? r->code : p.priority.value_or(-99);
  };
  EXPECT_EQ(priority("0"), 0);
  EXPECT_EQ(priority("9"), 9);
  EXPECT_EQ(priority("-9"), -9);
  for (const auto *bad : {"10", "-10", "+4", "-0", "04", "-", "x", "4x", "--4"}) EXPECT_EQ(priority(bad), 501) << bad;
  EXPECT_EQ(priority("1 MT-PRIORITY=1"), 501);
  MailParameters p;
  EXPECT_TRUE(read_parameters(parse_command("MAIL FROM:<a@b> MT-PRIORITY"), everything, p));
}

TEST(SmtpParameters, RefusesWhatIsNotOffered) {
  MailParameters p;
  const auto r = read_parameters(
      parse_command("MAIL FROM:<a@b> RET=FULL"), [](auto k) { return k != "DSN"; }, p);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->code, 555);
}

}  // namespace
}  // namespace mansio::ingress
