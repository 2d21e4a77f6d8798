// ETRN (RFC 1985), and what soft_bounce makes of replies.
#include "tests/unit/ingress/fixture.hpp"

namespace mansio::ingress {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Etrn : public testing::SmtpServerTest {
 protected:
  Etrn() {
    service.smtpd.etrn_clients = {*config::parse_network("[::]/0")};
    settings.relay_domains = {"relay.example", ".below.example"};
  }
};

TEST_F(Etrn, IsNamedByHelpWhereItIsOffered) {
  auto peer = greet();
  EXPECT_EQ(say(peer, "HELP\r\n"),
            "214 2.0.0 Commands: HELO EHLO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT BDAT ETRN\r\n");
  service.smtpd.etrn_clients.clear();
  service.smtpd.discard_ehlo_keywords = {"chunking"};
  EXPECT_EQ(say(peer, "HELP\r\n"), "214 2.0.0 Commands: HELO EHLO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT\r\n");
}

TEST_F(Etrn, StartsWhatWaitsForARelayedDomain) {
  auto peer = connect();
  EXPECT_THAT(say(peer, "EHLO client.test\r\n"), HasSubstr("250-ETRN\r\n"));
  intake.waiting = std::uint64_t{3};
  EXPECT_EQ(say(peer, "ETRN Relay.Example\r\n"), "253 2.0.0 OK, 3 pending messages for node relay.example started\r\n");
  ASSERT_EQ(intake.flushed.size(), 1u);
  EXPECT_EQ(intake.flushed[0].first, "relay.example");
  EXPECT_THAT(intake.flushed[0].second, StartsWith("client "));
  intake.waiting = std::uint64_t{0};
  EXPECT_EQ(say(peer, "ETRN @relay.example\r\n"), "251 2.0.0 OK, no messages waiting for node @relay.example\r\n");
  EXPECT_EQ(intake.flushed[1].first, "@relay.example");
  EXPECT_THAT(say(peer, "ETRN x.below.example\r\n"), StartsWith("251 "));
}

TEST_F(Etrn, SaysWhenTheQueueDoesNotTakeIt) {
  auto peer = greet();
  intake.waiting = Error{Status::Busy, "away"};
  EXPECT_EQ(say(peer, "ETRN relay.example\r\n"), "458 4.3.2 Unable to queue messages for node relay.example\r\n");
}

TEST_F(Etrn, IsForListedDomainsOnly) {
  auto peer = greet();
  EXPECT_EQ(say(peer, "ETRN other.example\r\n"), "459 4.7.1 <other.example>: ETRN not allowed\r\n");
  service.smtpd.fast_flush_domains = {"other.example"};
  EXPECT_THAT(say(peer, "ETRN other.example\r\n"), StartsWith("251 "));
  EXPECT_THAT(say(peer, "ETRN relay.example\r\n"), StartsWith("459 "));
  EXPECT_EQ(intake.flushed.size(), 1u);
}

TEST_F(Etrn, IsNeitherOfferedToOthersNorDoneForThem) {
  service.smtpd.etrn_clients = {*config::parse_network("192.0.2.0/24")};
  auto peer = connect();
  EXPECT_THAT(say(peer, "EHLO client.test\r\n"), Not(HasSubstr("ETRN")));
  EXPECT_THAT(say(peer, "ETRN relay.example\r\n"), StartsWith("459 4.7.1 "));
  EXPECT_TRUE(intake.flushed.empty());
}

TEST_F(Etrn, WantsADomainAndItsPlaceInTheSession) {
  auto peer = connect();
  EXPECT_THAT(say(peer, "ETRN relay.example\r\n"), StartsWith("503 5.5.1 "));
  say(peer, "EHLO client.test\r\n");
  EXPECT_THAT(say(peer, "ETRN\r\n"), StartsWith("501 5.5.4 "));
  EXPECT_THAT(say(peer, "ETRN a.example b.example\r\n"), StartsWith("501 5.5.4 "));
  EXPECT_THAT(say(peer, "ETRN #queue\r\n"), StartsWith("501 5.5.4 "));
  EXPECT_THAT(say(peer, "ETRN a..b\r\n"), StartsWith("501 5.5.4 "));
  say(peer, "MAIL FROM:<a@b.example>\r\n");
  EXPECT_THAT(say(peer, "ETRN relay.example\r\n"), StartsWith("503 5.5.1 "));
  EXPECT_TRUE(intake.flushed.empty());
}

TEST_F(Etrn, SoftBounceRefusesNothingForGood) {
  service.smtpd.soft_bounce = true;
  auto peer = greet();
  EXPECT_THAT(say(peer, "NONSENSE\r\n"), StartsWith("400 4.5.2 "));
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\n"), "250 2.1.0 Ok\r\n");
  EXPECT_THAT(say(peer, "RCPT TO:<nobody@d.example>\r\n"), StartsWith("450 4.1.1 "));
  EXPECT_EQ(say(peer, "RCPT TO:<c@d.example>\r\n"), "250 2.1.5 Ok\r\n");
}

}  // namespace
}  // namespace mansio::ingress
