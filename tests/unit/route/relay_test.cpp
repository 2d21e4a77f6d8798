// Who may send to whom. No spelling of an address makes this server an open relay.
#include "kernel/route/relay.hpp"

#include <gtest/gtest.h>

namespace mansio::route {
namespace {

class RelayTest : public ::testing::Test {
 protected:
  RelayTest() {
    settings_.myhostname = "mail.example.org";
    settings_.mydestination = {"example.org", "own.example"};
    settings_.relay_domains = {"relayed.example", ".sub.example"};
    settings_.listeners.emplace_back().listen = {"192.0.2.1:25", "[2001:db8::1]:25", "*:26"};
  }
  RelayDecision decide(std::string_view recipient, bool trusted = false) const {
    const std::vector<std::string> own{"198.51.100.9"};
    return RelayPolicy{settings_, own}.decide(trusted, recipient);
  }
  RelayVerdict verdict(std::string_view recipient, bool trusted = false) const {
    return decide(recipient, trusted).verdict;
  }

  config::Settings settings_;
};

constexpr auto kAccept = RelayVerdict::Accept;
constexpr auto kDenied = RelayVerdict::RelayDenied;
constexpr auto kUnknown = RelayVerdict::UnknownUser;

TEST_F(RelayTest, AStrangerReachesOwnAndRelayedDomainsOnly) {
  EXPECT_EQ(verdict("u@example.org"), kAccept);
  EXPECT_EQ(verdict("u@EXAMPLE.org"), kAccept);
  EXPECT_EQ(verdict("u@own.example."), kAccept);
  EXPECT_EQ(verdict("u@relayed.example"), kAccept);
  EXPECT_EQ(verdict("u@a.sub.example"), kAccept);
  EXPECT_EQ(verdict("u@sub.example"), kDenied);
  EXPECT_EQ(verdict("u@a.example.org"), kDenied);
  EXPECT_EQ(verdict("u@a.relayed.example"), kDenied);
  EXPECT_EQ(verdict("u@elsewhere.example"), kDenied);
  EXPECT_EQ(verdict("u@notexample.org"), kDenied);
}

TEST_F(RelayTest, DenialIs554AndEnhanced571) {
  const auto decision = decide("u@elsewhere.example");
  EXPECT_EQ(decision.code, 554);
  EXPECT_EQ(decision.enhanced, (EnhancedStatus{5, 7, 1}));
}

TEST_F(RelayTest, TrustedClientsReachEveryone) {
  EXPECT_EQ(verdict("u@elsewhere.example", true), kAccept);
  EXPECT_EQ(verdict("u%v@elsewhere.example", true), kAccept);
  EXPECT_EQ(decide("U.ser@Elsewhere.example", true).address, "U.ser@Elsewhere.example");
}

TEST_F(RelayTest, TrustComesFromMynetworksOrAuthentication) {
  const RelayPolicy policy{settings_};
  config::Smtpd smtpd;
  smtpd.mynetworks = {*config::parse_network("192.0.2.0/24")};
  EXPECT_EQ(policy.decide(smtpd, "192.0.2.9", false, "u@elsewhere.example").verdict, kAccept);
  EXPECT_EQ(policy.decide(smtpd, "::ffff:192.0.2.9", false, "u@elsewhere.example").verdict, kAccept);
  EXPECT_EQ(policy.decide(smtpd, "192.0.3.9", false, "u@elsewhere.example").verdict, kDenied);
  EXPECT_EQ(policy.decide(smtpd, "192.0.3.9", true, "u@elsewhere.example").verdict, kAccept);
  EXPECT_EQ(policy.decide(config::Smtpd{}, "127.0.0.1", false, "u@elsewhere.example").verdict, kDenied);
}

TEST_F(RelayTest, NoSpellingTurnsAnOwnDomainIntoARelay) {
  for (const auto *trick : {
           "u%elsewhere.example@example.org",
           "elsewhere.example!u@example.org",
           "\"u@elsewhere.example\"@example.org",
           "u@elsewhere.example@example.org",
           "@example.org:u@elsewhere.example",
           "@example.org,@x.example:u@elsewhere.example",
           "u%elsewhere.example@relayed.example",
           "elsewhere.example!u@a.sub.example",
           "u%elsewhere.example@[192.0.2.1]",
           "u%elsewhere.example@mail.example.org",
           "u@elsewhere.example@[192.0.2.1]",
           "u@example.org@elsewhere.example",
           "u@elsewhere.example,example.org",
           "u@elsewhere.example\n@example.org",
           "u@elsewhere.example%example.org",
       }) {
    EXPECT_EQ(verdict(trick), kDenied) << trick;
  }
  EXPECT_NE(verdict("u%elsewhere.example"), kAccept);
  EXPECT_NE(verdict("elsewhere.example!u"), kAccept);
}

TEST_F(RelayTest, OwnAddressLiteralsAreThisHost) {
  settings_.mydestination.push_back("mail.example.org");
  EXPECT_EQ(decide("u@[192.0.2.1]").address, "u@mail.example.org");
  EXPECT_EQ(decide("u@[IPv6:2001:DB8::1]").address, "u@mail.example.org");
  EXPECT_EQ(decide("u@[198.51.100.9]").address, "u@mail.example.org");
  EXPECT_EQ(verdict("u@[203.0.113.1]"), kDenied);
  EXPECT_EQ(verdict("u@[0.0.0.0]"), kDenied);
  EXPECT_EQ(verdict("u@[]"), kDenied);
}

TEST_F(RelayTest, TheHostNameIsAMailDomainOnlyIfConfigured) {
  EXPECT_EQ(verdict("u@mail.example.org"), kDenied);
  EXPECT_EQ(verdict("u@[192.0.2.1]"), kDenied);
  EXPECT_EQ(verdict("u@mail.example.org", true), kAccept);
}

TEST_F(RelayTest, PostmasterIsAlwaysAccepted) {
  settings_.local_recipients = {"alice"};
  for (const auto *address : {"postmaster", "PostMaster", "postmaster@example.org", "POSTMASTER@own.example",
                              "postmaster@mail.example.org", "postmaster@[192.0.2.1]", "\"postmaster\"@example.org"}) {
    EXPECT_EQ(verdict(address), kAccept) << address;
    EXPECT_EQ(decide(address).address, "postmaster@mail.example.org") << address;
  }
  EXPECT_EQ(verdict("postmaster@elsewhere.example"), kDenied);
  settings_.postmaster = "alice@example.org";
  EXPECT_EQ(decide("postmaster").address, "alice@example.org");
  settings_.local_recipients.push_back("postmaster");
  EXPECT_EQ(decide("postmaster@own.example").address, "postmaster@own.example");
}

TEST_F(RelayTest, UnknownLocalUsersAreRefusedIfTheListSaysSo) {
  settings_.local_recipients = {"alice", "Bob@own.example"};
  EXPECT_EQ(verdict("ALICE@example.org"), kAccept);
  EXPECT_EQ(verdict("alice@own.example"), kAccept);
  EXPECT_EQ(verdict("bob@own.example"), kAccept);
  EXPECT_EQ(verdict("bob@example.org"), kUnknown);
  EXPECT_EQ(verdict("bob@example.org", true), kUnknown);
  EXPECT_EQ(verdict("anyone@relayed.example"), kAccept);
  const auto decision = decide("carol@example.org");
  EXPECT_EQ(decision.code, 550);
  EXPECT_EQ(decision.enhanced, (EnhancedStatus{5, 1, 1}));
  settings_.local_recipients = {"@own.example"};
  EXPECT_EQ(verdict("anyone@own.example"), kAccept);
  EXPECT_EQ(verdict("anyone@example.org"), kUnknown);
}

TEST_F(RelayTest, UsersNeedNotExistAfterAContentFilter) {
  settings_.local_recipients = {"alice"};
  const RelayPolicy policy{settings_};
  EXPECT_EQ(policy.decide(false, "carol@example.org").verdict, kUnknown);
  EXPECT_EQ(policy.decide(false, "carol@example.org", false).verdict, kAccept);
  EXPECT_EQ(policy.decide(false, "carol@elsewhere.example", false).verdict, kDenied);
}

TEST_F(RelayTest, NothingIsOwnByDefault) {
  const RelayPolicy policy{config::Settings{}};
  for (const auto *address : {"u@", "u@.", "@", "", "u", "u@localhost", "u@[127.0.0.1]", "u@[::1]"}) {
    EXPECT_NE(policy.decide(false, address).verdict, kAccept) << address;
  }
  EXPECT_EQ(policy.decide(false, "postmaster").verdict, kAccept);
}

}  // namespace
}  // namespace mansio::route
