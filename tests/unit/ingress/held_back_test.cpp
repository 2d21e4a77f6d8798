// Clients that bring mail faster than it goes out are answered late.
#include <gmock/gmock.h>

#include "tests/unit/ingress/fixture.hpp"

namespace mansio::ingress {
namespace {

using ::testing::HasSubstr;

class HeldBack : public testing::SmtpServerTest {
 protected:
  HeldBack() {
    settings.queue.in_flow_delay = kSecond / 2;  // in which what comes at once has come
    intake.slow = true;
  }
  std::string wait_for_reply(testing::Peer &peer) {
    std::string text;
    while (!text.ends_with('\n') && !text.ends_with(',') && !peer.closed()) {
      loop.restart();
      loop.run_one_for(std::chrono::milliseconds{20});
      text += peer.received();
    }
    return text;
  }
};

TEST_F(HeldBack, MailIsAnsweredLateAndWhatCameBeforeItAtOnce) {
  auto peer = greet();
  EXPECT_EQ(say(peer, "RSET\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"), "250 2.0.0 Ok\r\n");
  EXPECT_EQ(wait_for_reply(peer), "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n");
  EXPECT_EQ(service.counters.braked_messages, 1u);
  intake.slow = false;
  EXPECT_EQ(say(peer, "RSET\r\nMAIL FROM:<a@b.example>\r\n"), "250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n");
  EXPECT_EQ(service.counters.braked_messages, 1u);
}

TEST_F(HeldBack, QmqpIsAnsweredLate) {
  service.qmqpd.emplace();
  service.qmqpd->authorized_clients = {config::Network{}};
  auto peer = dial();
  EXPECT_EQ(say(peer, "23:2:x\n,0:,11:c@d.example,,"), "");
  EXPECT_THAT(wait_for_reply(peer), HasSubstr("KOk: queued as"));
}

TEST_F(HeldBack, NobodyIsWhereTheDelayIsNone) {
  settings.queue.in_flow_delay = 0;
  auto peer = greet();
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\n"), "250 2.1.0 Ok\r\n");
}

}  // namespace
}  // namespace mansio::ingress
