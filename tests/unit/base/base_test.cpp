// The lowest layer: checksums against published values, ids and statuses in their text forms, and log lines that stay
// one JSON object whatever is in them.
#include <gtest/gtest.h>

#include <vector>

#include "kernel/base/crc32c.hpp"
#include "kernel/base/id.hpp"
#include "kernel/base/log.hpp"
#include "kernel/base/status.hpp"

namespace mansio {
namespace {

class Lines final : public LogSink {
 public:
  void emit(LogLevel, std::string_view line) override { lines.emplace_back(line); }
  std::vector<std::string> lines;
};

TEST(Crc32c, AgreesWithThePublishedCheckValue) { EXPECT_EQ(crc32c("123456789"), 0xE3069283u); }

TEST(Crc32c, ChainsOverParts) { EXPECT_EQ(crc32c("6789", crc32c("12345")), crc32c("123456789")); }

TEST(MessageId, TextFormComesBack) {
  const auto id = MessageId::make(5, 77, 123456);
  EXPECT_EQ(id.node(), 5u);
  EXPECT_EQ(id.epoch(), 77u);
  EXPECT_EQ(id.sequence(), 123456u);
  EXPECT_EQ(parse_message_id(to_string(id)), id);
  EXPECT_EQ(to_string(id).size(), 13u);
}

TEST(MessageId, RefusesWhatItNeverPrints) {
  EXPECT_FALSE(parse_message_id("000000000000"));
  EXPECT_FALSE(parse_message_id("Z000000000000"));
  EXPECT_FALSE(parse_message_id("00000000000I0"));
}

TEST(Log, WritesOneJsonObjectALine) {
  Lines sink;
  VirtualClock clock{1'700'000'000 * kSecond};
  Logger log{sink, clock, "queue"};
  log.info("event", {{"qid", MessageId{1}}, {"text", "a\"b\n\xff"}, {"n", -1}, {"on", true}});
  ASSERT_EQ(sink.lines.size(), 1u);
  EXPECT_EQ(sink.lines[0], R"({"time":"2023-11-14T22:13:20.000Z","level":"info","process":"queue","event":"event",)"
                           R"("qid":"0000000000001","text":"a\"b\n\ufffd","n":-1,"on":true})"
                           "\n");
}

TEST(Log, LeavesOutWhatIsBelowItsLevel) {
  Lines sink;
  VirtualClock clock;
  Logger log{sink, clock, "queue", LogLevel::Warn};
  log.info("event");
  EXPECT_TRUE(sink.lines.empty());
}

TEST(EnhancedStatus, PrintsAsRfc3463Does) {
  EXPECT_EQ(to_string(EnhancedStatus{4, 3, 1}), "4.3.1");
  EXPECT_EQ(to_string(EnhancedStatus{}), "");
}

}  // namespace
}  // namespace mansio
