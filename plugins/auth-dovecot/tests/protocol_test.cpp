#include "plugins/auth-dovecot/protocol.hpp"

#include <gtest/gtest.h>

namespace mansio::dovecot {
namespace {

TEST(DovecotProtocol, QuestionsHaveTheResponseLast) {
  Question q{.id = 7, .mechanism = "PLAIN", .service = "smtp", .address = "192.0.2.1", .secure = true, .response = {}};
  EXPECT_EQ(auth_line(q), "AUTH\t7\tPLAIN\tservice=smtp\tnologin\tsecured\trip=192.0.2.1\n");
  q.response = std::string{"\0alice\0secret", 13};
  EXPECT_EQ(auth_line(q), "AUTH\t7\tPLAIN\tservice=smtp\tnologin\tsecured\trip=192.0.2.1\tresp=AGFsaWNlAHNlY3JldA==\n");
  q = {.id = 8, .mechanism = "LOGIN", .service = "smtp", .address = "", .secure = false, .response = ""};
  EXPECT_EQ(auth_line(q), "AUTH\t8\tLOGIN\tservice=smtp\tnologin\tresp=\n");
  EXPECT_EQ(cont_line(8, "alice"), "CONT\t8\tYWxpY2U=\n");
  EXPECT_EQ(cont_line(8, ""), "CONT\t8\t\n");
  EXPECT_EQ(cancel_line(8), "CANCEL\t8\n");
}

TEST(DovecotProtocol, AnswersAreReadByTheirKind) {
  EXPECT_EQ(parse_answer("VERSION\t1\t2").kind, Answer::Kind::Version);
  EXPECT_EQ(parse_answer("VERSION\t1\t2").id, 1u);
  for (const auto *line : {"SPID\t1", "CUID\t2", "COOKIE\tabc", "X"})
    EXPECT_EQ(parse_answer(line).kind, Answer::Kind::Other) << line;
  EXPECT_EQ(parse_answer("MECH\tPLAIN\tplaintext").kind, Answer::Kind::Mechanism);
  EXPECT_EQ(parse_answer("MECH\tPLAIN\tplaintext").text, "PLAIN");
  EXPECT_EQ(parse_answer("MECH").kind, Answer::Kind::Bad);
  EXPECT_EQ(parse_answer("DONE").kind, Answer::Kind::Done);
  const auto asks = parse_answer("CONT\t3\tVXNlcm5hbWU6");
  EXPECT_EQ(asks.kind, Answer::Kind::Continue);
  EXPECT_EQ(asks.id, 3u);
  EXPECT_EQ(asks.data, "Username:");
  EXPECT_EQ(parse_answer("CONT\t3\t").data, "");
  EXPECT_EQ(parse_answer("CONT\t3").data, "");
  const auto ok = parse_answer("OK\t4\tuser=alice\ttoken=x");
  EXPECT_EQ(ok.kind, Answer::Kind::Ok);
  EXPECT_EQ(ok.user, "alice");
  EXPECT_FALSE(ok.data);
  EXPECT_EQ(parse_answer("OK\t4\tuser=a\tresp=eA==").data, "x");
}

TEST(DovecotProtocol, AFailureIsWrongCredentialsUnlessItIsTemporary) {
  const auto no = parse_answer("FAIL\t4\tuser=alice\treason=not\001tnow\001n");
  EXPECT_EQ(no.kind, Answer::Kind::Fail);
  EXPECT_FALSE(no.temporary);
  EXPECT_EQ(no.text, "not?now?");
  EXPECT_TRUE(parse_answer("FAIL\t4\tuser=alice\ttemp").temporary);
  EXPECT_TRUE(parse_answer("FAIL\t4\tuser=alice\tcode=temp_fail").temporary);
}

TEST(DovecotProtocol, WhatIsNoAnswerIsBad) {
  for (const auto *line : {"", "OK", "OK\tx\tuser=a", "OK\t4", "OK\t4\tuser=", "OK\t4\tuser=a\tresp=?", "CONT\t4\t%",
                           "CONT\t4\tabc", "FAIL\t-1", "OK\t4294967296\tuser=a", "VERSION\tone", "\tOK"})
    EXPECT_EQ(parse_answer(line).kind, Answer::Kind::Bad) << line;
}

}  // namespace
}  // namespace mansio::dovecot
