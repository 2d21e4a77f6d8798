// Stress: a listener with hardly any place left spends less time on each client, those included that hold the places,
// and is its old self when the time is over.
#include "kernel/ingress/stress.hpp"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/unit/ingress/fixture.hpp"

namespace mansio::ingress {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr const char *kLate = "421 4.4.2 mx.test Error: timeout exceeded\r\n";
constexpr const char *kBegins = "\"event\":\"listener under stress\"", *kEnds = "\"event\":\"listener no longer";

class StressedServer : public testing::SmtpServerTest {
 protected:
  StressedServer() { service.smtpd.connection_limit = 10; }

  std::vector<testing::Peer> clients(int n) {
    std::vector<testing::Peer> peers;
    for (int i = 0; i < n; ++i) peers.push_back(greet());
    return peers;
  }
  void pass(Nanos time) {
    clock.advance(time);
    server->sweep();
    settle();
  }
  // As another process would.
  void stress(Nanos time = 1000 * kSecond) {
    census.stress(service.name, clock.mono() + time);
    pass(0);
  }
  int lines(const std::string &mark) const {
    int n = 0;
    for (auto at = sink.text.find(mark); at != std::string::npos; at = sink.text.find(mark, at + 1)) ++n;
    return n;
  }
};

TEST_F(StressedServer, SendsIdleClientsAwayAfterTenSecondsWhenHardlyAnyPlaceIsLeft) {
  auto early = clients(8);
  pass(60 * kSecond);
  for (auto &peer : early) EXPECT_EQ(peer.received(), "");
  EXPECT_FALSE(service.stressed);

  auto ninth = greet();
  EXPECT_TRUE(service.stressed);
  EXPECT_EQ(service.counters.stresses, 1u);
  pass(9 * kSecond);
  for (auto &peer : early) {
    EXPECT_EQ(peer.received(), kLate) << "it had been idle for longer before";
    EXPECT_TRUE(peer.closed());
  }
  EXPECT_EQ(say(ninth, "MAIL FROM:<a@b.example>\r\n"), "250 2.1.0 Ok\r\n");
  pass(9 * kSecond);
  EXPECT_EQ(ninth.received(), "");
  pass(1 * kSecond);
  EXPECT_EQ(ninth.received(), kLate);
  EXPECT_THAT(sink.text, HasSubstr("\"connections\":9,\"connection_limit\":10"));
}

TEST_F(StressedServer, IsItsOldSelfAThousandSecondsAfterTheLastSign) {
  auto first = clients(9);
  pass(900 * kSecond);
  EXPECT_EQ(server->sessions(), 0u);
  auto second = clients(9);  // a new sign, and no new beginning
  EXPECT_EQ(lines(kBegins), 1);
  pass(999 * kSecond);
  EXPECT_TRUE(service.stressed);
  EXPECT_EQ(lines(kEnds), 0);
  pass(1 * kSecond);
  EXPECT_FALSE(service.stressed);
  EXPECT_EQ(lines(kEnds), 1);
  auto late = greet();
  pass(299 * kSecond);
  EXPECT_EQ(late.received(), "");
  EXPECT_EQ(lines(kEnds), 1);

  auto third = clients(8);
  EXPECT_EQ(lines(kBegins), 2);
  EXPECT_EQ(service.counters.stresses, 2u);
}

TEST_F(StressedServer, LearnsOfItFromOthers) {
  auto peer = greet();
  stress();
  EXPECT_TRUE(service.stressed);
  EXPECT_EQ(lines(kBegins), 0) << "it was not this process that found out";
  pass(10 * kSecond);
  EXPECT_EQ(peer.received(), kLate);
  EXPECT_THAT(sink.text, HasSubstr("\"stress\":true"));
}

TEST_F(StressedServer, IsLookedForBesideASweepWithoutTakingAnybodysLastWords) {
  auto peer = greet();
  census.stress(service.name, clock.mono() + 1000 * kSecond);
  clock.advance(10 * kSecond);
  server->sweep();
  server->look_for_stress();  // as in the same turn of the loop
  settle();
  EXPECT_EQ(peer.received(), kLate);
  clock.advance(990 * kSecond);
  server->look_for_stress();
  EXPECT_FALSE(service.stressed);
  EXPECT_EQ(lines(kEnds), 1);
}

TEST_F(StressedServer, EndsSessionsAtTheFirstError) {
  auto good = greet();
  auto wrong = greet();
  say(wrong, "EXPN x\r\n");
  stress();
  EXPECT_EQ(say(wrong, "RSET\r\n"), "250 2.0.0 Ok\r\n421 4.7.0 mx.test Error: too many errors\r\n");
  EXPECT_THAT(say(good, "MAIL FROM:<a@b.example>\r\nRCPT TO:<x@elsewhere.example>\r\n"),
              EndsWith("554 5.7.1 Relay access denied\r\n421 4.7.0 mx.test Error: too many errors\r\n"));
  EXPECT_TRUE(good.closed());
}

TEST_F(StressedServer, TakesAMessageAndThenTheNext) {
  stress();
  auto peer = greet();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(say(peer, "RSET\r\n"), "250 2.0.0 Ok\r\n");  // as a client may that uses a connection again
    EXPECT_THAT(say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"), HasSubstr("354 "));
    EXPECT_THAT(say(peer, "Subject: x\r\n\r\n.\r\n"), HasSubstr("Ok: queued as "));
  }
  EXPECT_EQ(writer.stored_messages.size(), 2u);
}

TEST_F(StressedServer, HasNoTimeForCommandsThatDoNothing) {
  auto peer = greet();
  stress();
  EXPECT_EQ(say(peer, "NOOP\r\n"), "250 2.0.0 Ok\r\n");
  EXPECT_EQ(say(peer, "NOOP\r\n"), "250 2.0.0 Ok\r\n421 4.7.0 mx.test Error: too many errors\r\n");
  auto again = greet();
  EXPECT_THAT(say(again, "EHLO client.test\r\n"), HasSubstr("250 CHUNKING\r\n")) << "the first is no junk, but this is";
  EXPECT_THAT(say(again, "EHLO client.test\r\n"), EndsWith("421 4.7.0 mx.test Error: too many errors\r\n"));
}

TEST_F(StressedServer, MakesNoLimitLargerThanItIs) {
  service.smtpd.timeout = 5 * kSecond;
  service.smtpd.stress_hard_error_limit = 1000;
  stress();
  auto peer = greet();
  pass(5 * kSecond);
  EXPECT_EQ(peer.received(), kLate);
  const auto limits = limits_of(service);
  EXPECT_EQ(limits.hard_error_limit, service.smtpd.hard_error_limit);
  EXPECT_EQ(limits.starttls_timeout, 10 * kSecond);
  EXPECT_TRUE(limits.per_request_deadline);
}

TEST_F(StressedServer, SeesThatClientsAreSentAway) {
  service.smtpd.connection_limit = 1;
  auto only = greet();
  EXPECT_FALSE(service.stressed) << "that is how it is meant to be";
  auto refused = dial();
  EXPECT_EQ(refused.received(), "421 4.3.2 mx.test Error: all server ports are busy\r\n");
  EXPECT_TRUE(service.stressed);
  pass(10 * kSecond);
  EXPECT_EQ(only.received(), kLate);
}

TEST_F(StressedServer, IsNotStressedByOneClientsLimit) {
  census.answer = process::Admission::ClientLimit;
  auto refused = dial();
  EXPECT_THAT(refused.received(), HasSubstr("too many connections from"));
  EXPECT_FALSE(service.stressed);
}

TEST_F(StressedServer, MayBeWithoutStress) {
  service.smtpd.stress_threshold = 0;
  auto peers = clients(10);
  auto refused = dial();
  stress();  // of its time before a reload
  EXPECT_FALSE(service.stressed);
  pass(299 * kSecond);
  for (auto &peer : peers) EXPECT_EQ(peer.received(), "");
  EXPECT_EQ(lines(kBegins), 0);
}

// ---- per_request_deadline ------------------------------------------------------------------------------------

class SlowContent : public StressedServer {
 protected:
  SlowContent() { service.smtpd.timeout = 20 * kSecond; }

  // After much that came fast, an octet a second. After how many of them the session was over; -1: it was not.
  int trickle(testing::Peer &peer, int seconds) {
    EXPECT_EQ(say(peer, std::string(20'000, 'x').replace(1000, 2, "\r\n") + "\r\n"), "");
    for (int i = 0; i < seconds; ++i) {
      pass(1 * kSecond);
      if (const auto heard = peer.received(); !heard.empty()) {
        EXPECT_EQ(heard, kLate);
        return i + 1;
      }
      say(peer, "x");
    }
    return -1;
  }
};

TEST_F(SlowContent, MayTrickleForAWhileAfterItCameFast) {
  auto peer = ready_for_data();
  EXPECT_EQ(trickle(peer, 30), -1) << "20,000 octets are 40 seconds";
}

TEST_F(SlowContent, HasOneDeadlineForTheWhole) {
  service.smtpd.per_request_deadline = true;
  auto peer = ready_for_data();
  EXPECT_EQ(trickle(peer, 30), 21) << "what came fast earns nothing beyond `timeout`; what trickles, 40 ms";
}

TEST_F(SlowContent, HasOneDeadlineUnderStress) {
  auto peer = ready_for_data();
  stress();
  EXPECT_EQ(trickle(peer, 30), 11);
}

TEST_F(SlowContent, MayTakeLongIfItComesFastEnough) {
  service.smtpd.per_request_deadline = true;
  auto peer = ready_for_data();
  for (int i = 0; i < 100; ++i) {
    pass(1 * kSecond);
    ASSERT_EQ(say(peer, std::string(600, 'x') + "\r\n"), "") << i;
  }
  EXPECT_THAT(say(peer, ".\r\n"), HasSubstr("Ok: queued as "));
}

TEST_F(SlowContent, OfAChunkHasItsOwnDeadline) {
  service.smtpd.per_request_deadline = true;
  service.smtpd.min_data_rate = 1;
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  for (int i = 0; i < 3; ++i) {
    pass(19 * kSecond);
    EXPECT_EQ(say(peer, "BDAT 4\r\n"), "");
    pass(2 * kSecond);  // too late for the command, and no longer than the grace of `min_data_rate`
    EXPECT_EQ(say(peer, "ab\r\n"), "250 2.0.0 Ok: 4 bytes\r\n") << i;
  }
  say(peer, "BDAT 100 LAST\r\n");
  pass(20 * kSecond);
  EXPECT_EQ(peer.received(), kLate);
}

}  // namespace
}  // namespace mansio::ingress
