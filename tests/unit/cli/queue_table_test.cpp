// The table of `mansio queue list`: postqueue's form, and nothing that a sender chose reaches the terminal as a control
// character.
#include "kernel/cli/queue_table.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace mansio::cli {
namespace {

class QueueTableTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
};

TEST_F(QueueTableTest, SaysThatTheQueueIsEmpty) { EXPECT_EQ(QueueTable{}.trailer(), "Mail queue is empty\n"); }

TEST_F(QueueTableTest, PrintsAMessageAsPostqueueDoes) {
  QueueTable t;
  EXPECT_EQ(t.row(R"({"queue_name":"deferred","queue_id":"4F2D71C0F2","arrival_time":1700000000,"message_size":1234,)"
                  R"("forced_expire":false,"sender":"a@example.com","recipients":[)"
                  R"({"address":"b@example.org","delay_reason":"connection refused"},)"
                  R"({"address":"c@example.org","delay_reason":"connection refused"}]})"),
            "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n"
            "4F2D71C0F2     1234 Tue Nov 14 22:13:20  a@example.com\n"
            "                                                        (connection refused)\n"
            "                                         b@example.org\n"
            "                                         c@example.org\n");
  EXPECT_EQ(t.trailer(), "\n-- 1 Kbytes in 1 Request.\n");
}

TEST_F(QueueTableTest, MarksStatesAndSeparatesMessages) {
  QueueTable t;
  const auto first =
      t.row(R"({"queue_name":"active","queue_id":"ABC","arrival_time":0,"message_size":5,"sender":"x@y"})");
  EXPECT_NE(first.find("\nABC*"), std::string::npos);
  const auto second = t.row(R"({"queue_name":"hold","queue_id":"DEF","arrival_time":0,"message_size":5,"sender":"",)"
                            R"("hold_reason":"by hand","forced_expire":true})");
  EXPECT_TRUE(second.starts_with("\nDEF!#"));
  EXPECT_NE(second.find("MAILER-DAEMON"), std::string::npos);
  EXPECT_NE(second.find("(by hand)"), std::string::npos);
  EXPECT_EQ(t.trailer(), "\n-- 0 Kbytes in 2 Requests.\n");
}

TEST_F(QueueTableTest, KeepsControlCharactersFromTheTerminal) {
  QueueTable t;
  const auto row = t.row(R"({"queue_name":"deferred","queue_id":"A","sender":"\u001b[2Jx@y"})");
  EXPECT_EQ(row.find('\x1b'), std::string::npos);
}

TEST_F(QueueTableTest, IgnoresWhatIsNoMessage) {
  QueueTable t;
  EXPECT_EQ(t.row("{"), "");
  EXPECT_EQ(t.row("[1,2]"), "");
  EXPECT_EQ(t.row("{}"), "");
}

}  // namespace
}  // namespace mansio::cli
