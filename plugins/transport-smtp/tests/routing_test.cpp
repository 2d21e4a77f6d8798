// Which servers a delivery tries, in what order, and when it goes on to the next.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>

#include "plugins/transport-smtp/tests/fake_server.hpp"
#include "plugins/transport-smtp/tests/test_host.hpp"

namespace mansio::smtp::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Two servers on the same port of 127.0.0.2 and 127.0.0.3, which are mx1 and mx2 of example.com.
struct TwoServers {
  FakeServer first, second;
  TestHost host;
  Mail mail;
  explicit TwoServers(Behaviour a = {}, Behaviour b = {}, std::map<std::string, std::string> options = {})
      : first(std::move(a), "127.0.0.2"),
        second(std::move(b), "127.0.0.3", first.port),
        host(kSmtp, std::move(options)) {
    host.answer("example.com", MANSIO_DNS_MX, {{"mx2.example.com", 20}, {"mx1.example.com", 10}});
    host.answer("mx1.example.com", MANSIO_DNS_A, {{"127.0.0.2", 0}});
    host.answer("mx2.example.com", MANSIO_DNS_A, {{"127.0.0.3", 0}});
    mail.nexthop = "example.com:" + std::to_string(first.port);
  }
};
Behaviour greeting(std::string text) {
  Behaviour b;
  b.greeting = std::move(text);
  return b;
}

TEST(SmtpRouting, PrefersTheBestMx) {
  TwoServers t;
  const auto r = t.host.deliver(t.mail);
  EXPECT_EQ(r[0].status, MANSIO_OK);
  EXPECT_EQ(r[0].remote_mta, "mx1.example.com");
  EXPECT_EQ(r[0].relay, "mx1.example.com[127.0.0.2]:" + std::to_string(t.first.port));
  EXPECT_EQ(t.second.connections(), 0u);
}

TEST(SmtpRouting, GoesOnToTheNextMxAfterAGreetingThatRefuses) {
  for (const char *text : {"421 4.3.2 busy", "554 5.7.1 go away", kDrop}) {
    TwoServers t{greeting(text)};
    EXPECT_EQ(t.host.deliver(t.mail)[0].status, MANSIO_OK) << text;
    EXPECT_EQ(t.second.transactions().size(), 1u) << text;
  }
}

TEST(SmtpRouting, GoesOnToTheNextMxAfterARefusedOrLostHello) {
  for (const char *text : {"421 4.3.2 busy", "450 4.3.2 later", kDrop}) {
    TwoServers t{answering("EHLO", text)};
    EXPECT_EQ(t.host.deliver(t.mail)[0].status, MANSIO_OK) << text;
  }
}

TEST(SmtpRouting, GivesTemporarilyRefusedRecipientsToTheNextMx) {
  TwoServers t{answering("RCPT TO:<later@", "450 4.2.1 greylisted")};
  t.mail.recipients = {{"now@example.com", "", "", 0}, {"later@example.com", "", "", 0}};
  const auto r = t.host.deliver(t.mail);
  EXPECT_EQ(r[0].remote_mta, "mx1.example.com");
  EXPECT_EQ(r[1].status, MANSIO_OK);
  EXPECT_EQ(r[1].remote_mta, "mx2.example.com");
}

TEST(SmtpRouting, TakesAPermanentRefusalFromTheFirstServerThatGivesOne) {
  TwoServers t{answering("RCPT", "550 5.1.1 no")};
  EXPECT_EQ(t.host.deliver(t.mail)[0].enhanced, "5.1.1");
  EXPECT_EQ(t.second.connections(), 0u);
}

TEST(SmtpRouting, GoesOnAfterAConnectionLostBeforeTheContent) {
  TwoServers t{answering("RCPT", kDrop)};
  EXPECT_EQ(t.host.deliver(t.mail)[0].remote_mta, "mx2.example.com");
}

TEST(SmtpRouting, DoesNotGoOnOnceTheMessageMayHaveBeenTaken) {
  Behaviour b;
  b.on_content = [](const auto &) { return kDrop; };
  TwoServers t{b};
  EXPECT_EQ(t.host.deliver(t.mail)[0].status, MANSIO_UNCERTAIN);
  EXPECT_EQ(t.second.connections(), 0u);
}

TEST(SmtpRouting, KeepsToTheSessionLimit) {
  TwoServers t{greeting("450 later"), {}, {{"smtp_mx_session_limit", "1"}}};
  const auto r = t.host.deliver(t.mail);
  EXPECT_EQ(r[0].status, MANSIO_DEFER);
  EXPECT_EQ(t.second.connections(), 0u);
}

TEST(SmtpRouting, KeepsToTheAddressLimit) {
  TwoServers t{greeting("450 later"), {}, {{"smtp_mx_address_limit", "1"}}};
  EXPECT_EQ(t.host.deliver(t.mail)[0].status, MANSIO_DEFER);
}

TEST(SmtpRouting, UsesTheDomainItselfWithoutMx) {
  FakeServer server;
  TestHost host;
  host.answer("example.com", MANSIO_DNS_A, {{"127.0.0.1", 0}});
  Mail mail;
  mail.nexthop = "example.com:" + std::to_string(server.port);
  EXPECT_EQ(host.deliver(mail)[0].remote_mta, "example.com");
}

TEST(SmtpRouting, TakesTheRecipientsDomainWhenTheRouteNamesNone) {
  FakeServer server;
  TestHost host{kSmtp, {{"smtp_tcp_port", std::to_string(server.port)}}};
  host.answer("example.com", MANSIO_DNS_MX, {{"mx.example.com", 5}});
  host.answer("mx.example.com", MANSIO_DNS_A, {{"127.0.0.1", 0}});
  EXPECT_EQ(host.deliver(Mail{})[0].remote_mta, "mx.example.com");
  Mail literal;
  literal.recipients[0].address = "user@[127.0.0.1]";
  EXPECT_EQ(host.deliver(literal)[0].remote_mta, "127.0.0.1");
}

TEST(SmtpRouting, DoesNoMxLookupForAHostInBrackets) {
  FakeServer server;
  TestHost host;
  host.answer("relay.example.com", MANSIO_DNS_A, {{"127.0.0.1", 0}});
  Mail mail;
  mail.nexthop = "[relay.example.com]:" + std::to_string(server.port);
  EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_OK);
  EXPECT_FALSE(host.asked("relay.example.com", MANSIO_DNS_MX));
}

TEST(SmtpRouting, KeepsToOneFamilyOfAddressesWhenToldTo) {
  FakeServer server;  // of IPv4
  for (const bool four : {true, false}) {
    TestHost host{kSmtp, {{"inet_protocols", four ? "ipv4" : "ipv6"}}};
    host.answer("mx.example.com", MANSIO_DNS_AAAA, {{"::1", 0}});
    host.answer("mx.example.com", MANSIO_DNS_A, {{"127.0.0.1", 0}});
    Mail mail;
    mail.nexthop = "[mx.example.com]:" + std::to_string(server.port);
    EXPECT_EQ(host.deliver(mail).at(0).status, four ? MANSIO_OK : MANSIO_DEFER);
    EXPECT_EQ(host.asked("mx.example.com", MANSIO_DNS_A), four);
    EXPECT_EQ(host.asked("mx.example.com", MANSIO_DNS_AAAA), !four);
  }
  EXPECT_THAT(server.peers(), ElementsAre("127.0.0.1"));
}

TEST(SmtpRouting, BouncesForANullMx) {
  for (const char *root : {"", "."}) {
    TestHost host;
    host.answer("example.com", MANSIO_DNS_MX, {{root, 0}});
    const auto r = host.deliver(Mail{});
    EXPECT_EQ(r[0].status, MANSIO_FAIL);
    EXPECT_EQ(r[0].enhanced, "5.1.10");
  }
}

TEST(SmtpRouting, BouncesForADomainThatDoesNotExist) {
  TestHost host;
  const auto r = host.deliver(Mail{});
  EXPECT_EQ(r[0].status, MANSIO_FAIL);
  EXPECT_EQ(r[0].enhanced, "5.4.4");
  EXPECT_EQ(r[0].flags & MANSIO_REPLY_SITE_FAILURE, 0u);
}

TEST(SmtpRouting, DefersWhenDnsDoesNotAnswer) {
  TestHost host;
  host.answer("example.com", MANSIO_DNS_MX, MANSIO_DEFER);
  EXPECT_EQ(host.deliver(Mail{})[0].enhanced, "4.4.3");
  host.answer("example.com", MANSIO_DNS_MX, {{"mx.example.com", 5}});
  host.answer("mx.example.com", MANSIO_DNS_AAAA, MANSIO_DEFER);
  EXPECT_EQ(host.deliver(Mail{})[0].enhanced, "4.4.3");
}

TEST(SmtpRouting, BouncesWhenNoExchangerHasAnAddress) {
  TestHost host;
  host.answer("example.com", MANSIO_DNS_MX, {{"mx.example.com", 5}});
  EXPECT_EQ(host.deliver(Mail{})[0].enhanced, "5.4.4");
}

TEST(SmtpRouting, BouncesMailThatLoopsBack) {
  TestHost host;
  host.facts["self_addresses"] = "192.0.2.7,2001:db8::7";
  host.answer("example.com", MANSIO_DNS_MX, {{"me.example.com", 10}, {"backup.example.com", 20}});
  host.answer("me.example.com", MANSIO_DNS_AAAA, {{"2001:DB8:0::7", 0}});
  host.answer("backup.example.com", MANSIO_DNS_A, {{"127.0.0.1", 0}});
  const auto r = host.deliver(Mail{});
  EXPECT_EQ(r[0].status, MANSIO_FAIL);
  EXPECT_EQ(r[0].enhanced, "5.4.6");
  EXPECT_THAT(r[0].text, HasSubstr("loops back to myself"));
}

TEST(SmtpRouting, KeepsMailAsABackupWhileTheBetterServersHaveNoAddress) {
  for (const auto status : {MANSIO_DEFER, MANSIO_NOT_FOUND}) {
    TestHost host;
    host.facts["self_addresses"] = "192.0.2.7";
    host.answer("example.com", MANSIO_DNS_MX, {{"mx.example.com", 10}, {"me.example.com", 20}});
    host.answer("mx.example.com", MANSIO_DNS_A, status);
    host.answer("me.example.com", MANSIO_DNS_A, {{"192.0.2.7", 0}});
    const auto r = host.deliver(Mail{});
    EXPECT_EQ(r[0].status, MANSIO_DEFER) << status;
    EXPECT_EQ(r[0].enhanced, "4.4.4") << status;
  }
}

TEST(SmtpRouting, DefersForABadNextHopOfTheRoute) {
  TestHost host;
  Mail mail;
  mail.nexthop = "[half";
  EXPECT_EQ(host.deliver(mail)[0].enhanced, "4.3.5");
}

// ---- connection reuse ----

TEST(SmtpReuse, SendsTheNextMessageOverTheSameConnectionWithoutLookups) {
  TwoServers t;
  t.host.deliver(t.mail);
  const auto asked = t.host.fake().dns_queries.size();
  const auto r = t.host.deliver(t.mail);
  EXPECT_EQ(r[0].connection_use, 2u);
  EXPECT_EQ(t.host.fake().dns_queries.size(), asked);
  EXPECT_EQ(t.first.connections(), 1u);
  EXPECT_EQ(t.first.count("RSET"), 0u);
}

TEST(SmtpReuse, SharesAServerBetweenNextHopsByItsAddress) {
  TwoServers t;
  t.host.deliver(t.mail);
  t.host.answer("other.example", MANSIO_DNS_MX, {{"mx1.example.com", 10}});
  t.mail.nexthop = "other.example:" + std::to_string(t.first.port);
  EXPECT_EQ(t.host.deliver(t.mail)[0].connection_use, 2u);
}

TEST(SmtpReuse, ReplacesADeadConnectionWithoutFailingTheMail) {
  const std::vector<std::string> none, some{"PIPELINING"}, all{"PIPELINING", "CHUNKING"};
  for (const auto &extensions : {none, some, all}) {
    Behaviour b;
    b.extensions = extensions;
    int mails = 0;
    b.on_command = [&mails](const std::string &line) -> std::string {
      return line.starts_with("MAIL") && ++mails == 2 ? kDrop : "";
    };
    FakeServer server{b};
    TestHost host;
    Mail mail;
    mail.nexthop = server.nexthop;
    host.deliver(mail);
    const auto r = host.deliver(mail);
    if (extensions == all) {  // the content went out with MAIL: who knows what became of it
      EXPECT_EQ(r[0].status, MANSIO_UNCERTAIN);
      continue;
    }
    EXPECT_EQ(r[0].status, MANSIO_OK);
    EXPECT_EQ(r[0].connection_use, 1u);
    EXPECT_EQ(server.connections(), 2u);
  }
}

TEST(SmtpReuse, FindsOutBeforehandThatTheServerHasClosedAnIdleConnection) {
  Behaviour b;
  b.extensions = {"PIPELINING", "CHUNKING"};
  b.on_content = [](const auto &) { return std::string{"250 2.0.0 ok\r\n"} + kDrop; };
  FakeServer server{b};
  TestHost host;
  Mail mail;
  mail.nexthop = server.nexthop;
  EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_OK);
  server.wait_until_all_are_closed();
  const auto r = host.deliver(mail);
  EXPECT_EQ(r[0].status, MANSIO_OK);
  EXPECT_EQ(r[0].connection_use, 1u);
  EXPECT_EQ(server.connections(), 2u);
}

TEST(SmtpReuse, ReplacesAConnectionThatTheServerIsTiredOf) {
  Behaviour b;
  int mails = 0;
  b.on_command = [&mails](const std::string &line) -> std::string {
    return line.starts_with("MAIL") && ++mails == 2 ? "421 4.4.2 bye" : "";
  };
  FakeServer server{b};
  TestHost host{kSmtp, {{"smtp_mx_session_limit", "1"}}};
  Mail mail;
  mail.nexthop = server.nexthop;
  host.deliver(mail);
  EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_OK);
}

TEST(SmtpReuse, EndsWithTheAgeOfAConnectionOrItsUses) {
  for (const auto &[option, value] :
       {std::pair{"smtp_connection_reuse_time_limit", "0"}, std::pair{"smtp_connection_cache_time_limit", "0"},
        std::pair{"smtp_connection_reuse_count_limit", "1"}}) {
    FakeServer server;
    TestHost host{kSmtp, {{option, value}}};
    Mail mail;
    mail.nexthop = server.nexthop;
    host.deliver(mail);
    host.deliver(mail);
    EXPECT_EQ(server.connections(), 2u) << option;
  }
}

TEST(SmtpReuse, TheAgeOfAConnectionCountsFromItsOpeningAndNotFromItsLastUse) {
  FakeServer server;
  TestHost host{kSmtp, {{"smtp_connection_reuse_time_limit", "10h"}, {"smtp_connection_cache_time_limit", "24h"}}};
  host.facts["virtual_clock"] = "1000000000";
  std::vector<std::uint32_t> uses;
  for (const int later : {0, 5, 4, 2}) {  // the last eleven hours after the opening, two after the use before it
    host.fake().advance(std::chrono::hours{later});
    uses.push_back(host.deliver(mail_to(server))[0].connection_use);
  }
  EXPECT_THAT(uses, ElementsAre(1, 2, 3, 1));
  EXPECT_EQ(server.connections(), 2u);
}

TEST(SmtpReuse, KeepsConnectionsOnDemandOnceMailFollowsClosely) {
  FakeServer server;
  TestHost host{kSmtp, {{"smtp_connection_cache_destinations", ""}, {"smtp_connection_cache_time_limit", "1h"}}};
  Mail mail;
  mail.nexthop = server.nexthop;
  host.deliver(mail);  // nothing says that more will come
  for (int i = 0; i < 4; ++i) host.deliver(mail);
  EXPECT_EQ(server.connections(), 2u);
}

TEST(SmtpReuse, KeepsConnectionsOnDemandWhereDeliveriesRunBesideEachOther) {
  FakeServer server;
  TestHost host{kSmtp, {{"smtp_connection_cache_destinations", ""}, {"smtp_connection_cache_time_limit", "1h"}}};
  Mail mail;
  mail.nexthop = server.nexthop;
  const auto one = host.fake().deliver(mail), two = host.fake().deliver(mail);
  ASSERT_TRUE(host.fake().run_until([&] { return host.fake().completed(one) && host.fake().completed(two); }));
  host.deliver(mail);
  EXPECT_EQ(server.connections(), 2u);
}

TEST(SmtpReuse, KeepsNoneWithoutDemandAndList) {
  FakeServer server;
  TestHost host{kSmtp,
                {{"smtp_connection_cache_destinations", "example.org"}, {"smtp_connection_cache_on_demand", "false"}}};
  Mail mail;
  mail.nexthop = server.nexthop;
  for (int i = 0; i < 3; ++i) host.deliver(mail);
  EXPECT_EQ(server.connections(), 3u);
}

TEST(SmtpReuse, DemandIsOverASecondAfterTheLastDelivery) {
  Demand demand;
  demand.begin("a", 0);
  EXPECT_FALSE(demand.high("a"));
  demand.end("a", 5);
  demand.begin("a", 5 + kSecond);
  EXPECT_TRUE(demand.high("a"));
  demand.end("a", 2 * kSecond);
  demand.begin("a", 3 * kSecond + 1);
  EXPECT_FALSE(demand.high("a"));
  demand.begin("a", 4 * kSecond);
  EXPECT_TRUE(demand.high("a"));
  EXPECT_FALSE(demand.high("b"));
}

TEST(SmtpReuse, SaysQuitToAConnectionIdleForTooLong) {
  FakeServer server;
  TestHost host{kSmtp, {{"smtp_connection_cache_time_limit", "1ms"}, {"smtp_skip_quit_response", "false"}}};
  Mail mail;
  mail.nexthop = server.nexthop;
  host.deliver(mail);
  EXPECT_TRUE(host.fake().run_until([&] { return server.count("QUIT") == 1; }));
}

}  // namespace
}  // namespace mansio::smtp::test
