// What DSPAM's daemon says, line by line: verdicts in both forms, replies, and what is neither.
#include "plugins/filter-dspam/answer.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

namespace {

using namespace mansio::dspam;

constexpr auto kSummary =
    "X-DSPAM-Result: bob@example.com; result=\"Spam\"; class=\"Blacklisted\"; probability=1.0000; confidence=0.97; "
    "signature=1,4f6a12ab3481523";

struct Told {
  Answer answer;
  Read last = Read::More;
};
Told tell(std::initializer_list<std::string> lines) {
  Told told;
  for (const auto &line : lines) {
    EXPECT_EQ(told.last, Read::More) << "before " << line;
    told.last = told.answer.take(line);
  }
  return told;
}
bool bad(std::initializer_list<std::string> lines) { return tell(lines).last == Read::Bad; }

TEST(DspamAnswer, ReadsASummary) {
  const auto told = tell({kSummary, "."});
  ASSERT_EQ(told.last, Read::Done);
  EXPECT_EQ(told.answer.kind(), Answer::Kind::Verdict);
  EXPECT_TRUE(told.answer.complete());
  const auto &verdict = told.answer.verdict();
  EXPECT_TRUE(verdict.spam);
  EXPECT_EQ(verdict.word, "Blacklisted");
  EXPECT_EQ(verdict.probability, "1.0000");
  EXPECT_EQ(verdict.confidence, "0.97");
  EXPECT_EQ(verdict.signature, "1,4f6a12ab3481523");
}

TEST(DspamAnswer, TakesNoUserForAVerdict) {
  const auto told =
      tell({"X-DSPAM-Result: a; result=\"Spam\"; class=\"Spam\"; result=\"Innocent\"; class=\"Whitelisted\"; "
            "probability=0.0000; confidence=1.00; signature=N/A",
            "."});
  ASSERT_EQ(told.last, Read::Done);
  EXPECT_FALSE(told.answer.verdict().spam);
  EXPECT_EQ(told.answer.verdict().word, "Whitelisted");
  EXPECT_EQ(told.answer.verdict().signature, "");
}

TEST(DspamAnswer, EndsWithTheSummaryWhereAMessageFollows) {
  const auto told = tell({kSummary, "X-Daemon-Classification: SPAM"});
  ASSERT_EQ(told.last, Read::Done);
  EXPECT_TRUE(told.answer.verdict().spam);
  EXPECT_FALSE(told.answer.complete());
}

TEST(DspamAnswer, ReadsTheFieldsOfAMessageThatComesBack) {
  const auto told = tell({"X-Daemon-Classification: INNOCENT", "X-DSPAM-Signature: forged", "Subject: x", " folded",
                          "X-DSPAM-Result: Whitelisted", "X-DSPAM-Processed: Thu Jan  1 00:00:00 1970",
                          "X-DSPAM-Confidence: 0.9997", "X-DSPAM-Probability: 0.0000",
                          "X-DSPAM-Signature: 4f6a12ab", ""});
  ASSERT_EQ(told.last, Read::Done);
  EXPECT_EQ(told.answer.kind(), Answer::Kind::Verdict);
  EXPECT_FALSE(told.answer.complete());
  EXPECT_FALSE(told.answer.verdict().spam);
  EXPECT_EQ(told.answer.verdict().word, "Whitelisted");
  EXPECT_EQ(told.answer.verdict().confidence, "0.9997");
  EXPECT_EQ(told.answer.verdict().probability, "0.0000");
  EXPECT_EQ(told.answer.verdict().signature, "4f6a12ab");
}

TEST(DspamAnswer, TakesNoFieldsOfTheSendersForDspams) {
  const auto told = tell({"X-Daemon-Classification: SPAM", "X-DSPAM-Result: Innocent", "X-DSPAM-Confidence: 0.9997",
                          "X-DSPAM-Processed: Thu Jan  1 00:00:00 1970", "X-DSPAM-Probability: 0.0000",
                          "X-DSPAM-Signature: forged", ""});
  ASSERT_EQ(told.last, Read::Done);
  const auto &verdict = told.answer.verdict();
  EXPECT_TRUE(verdict.spam);
  EXPECT_EQ(verdict.word, "Spam");
  EXPECT_EQ(verdict.confidence + verdict.probability + verdict.signature, "");
  // Nor beside DSPAM's, which come last.
  const auto both = tell({"X-Daemon-Classification: SPAM", "X-DSPAM-Result: Innocent", "X-DSPAM-Processed: x",
                          "X-DSPAM-Signature: forged", "X-DSPAM-Result: Spam", "X-DSPAM-Processed: x", ""});
  EXPECT_EQ(both.answer.verdict().word, "Spam");
  EXPECT_EQ(both.answer.verdict().signature, "");
}

TEST(DspamAnswer, KnowsSilenceDeliveryAndRefusal) {
  EXPECT_EQ(tell({"."}).answer.kind(), Answer::Kind::None);
  EXPECT_EQ(tell({"250 2.6.0 <bob> Message accepted for delivery: SPAM"}).answer.kind(), Answer::Kind::Taken);
  const auto refused = tell({"421 4.3.0 <bob> Error occured during delivery"});
  EXPECT_EQ(refused.answer.kind(), Answer::Kind::Refused);
  EXPECT_EQ(refused.answer.code(), 421);
  EXPECT_EQ(refused.answer.text(), "4.3.0 <bob> Error occured during delivery");
}

TEST(DspamAnswer, BelievesNothingElse) {
  EXPECT_TRUE(bad({""}));
  EXPECT_TRUE(bad({"hello"}));
  EXPECT_TRUE(bad({"354 go on"}));
  EXPECT_TRUE(bad({"X-Daemon-Classification: MAYBE"}));
  EXPECT_TRUE(bad({"X-DSPAM-Result: bob"}));
  EXPECT_TRUE(bad({kSummary, kSummary}));
  EXPECT_TRUE(bad({kSummary, "250 2.0.0 OK"}));
  std::string text{kSummary};
  for (const auto &[from, to] : {std::pair{"=\"Spam\"", "=\"Perhaps\""},
                                 {"=\"Blacklisted\"", "=\"\""},
                                 {"=1.0000", "=nan"},
                                 {"=0.97", "=0..97"},
                                 {"=1,4f6a12ab3481523", "=a b"}}) {
    auto other = text;
    other.replace(other.find(from), std::string{from}.size(), to);
    EXPECT_TRUE(bad({other})) << other;
  }
}

TEST(DspamReply, TakesSeveralLinesForOne) {
  CommandReply reply;
  EXPECT_EQ(reply.take("250-mx.example.com"), Read::More);
  EXPECT_EQ(reply.take("250-DSPAMPROCESSMODE"), Read::More);
  EXPECT_EQ(reply.take("250 SIZE"), Read::Done);
  EXPECT_EQ(reply.code(), 250);
  EXPECT_TRUE(reply.offers_process_mode());
  CommandReply plain;
  EXPECT_EQ(plain.take("503 5.1.0 Authentication\x01Required"), Read::Done);
  EXPECT_EQ(plain.text(), "5.1.0 Authentication?Required");
  EXPECT_FALSE(plain.offers_process_mode());
  CommandReply mixed;
  EXPECT_EQ(mixed.take("250-one"), Read::More);
  EXPECT_EQ(mixed.take("251 two"), Read::Bad);
  EXPECT_EQ(CommandReply{}.take("25"), Read::Bad);
  EXPECT_EQ(CommandReply{}.take("2500 x"), Read::Bad);
}

}  // namespace
