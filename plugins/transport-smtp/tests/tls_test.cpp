// STARTTLS: opportunistic, required, failing; REQUIRETLS.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/transport-smtp/tests/fake_server.hpp"
#include "plugins/transport-smtp/tests/test_ca.hpp"
#include "plugins/transport-smtp/tests/test_host.hpp"

namespace mansio::smtp::test {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Behaviour tls() {
  Behaviour b;
  b.tls = true;
  return b;
}
Mail by_name(TestHost &host, const FakeServer &server) {
  host.answer("mx.example.com", MANSIO_DNS_A, {{"127.0.0.1", 0}});
  Mail mail;
  mail.nexthop = "[mx.example.com]:" + std::to_string(server.port);
  return mail;
}

TEST(SmtpTls, IsUsedWhenOffered) {
  FakeServer server{tls()};
  TestHost host;
  auto mail = by_name(host, server);
  mail.content.append(300000, 'x');
  mail.content += "\r\n";
  const auto r = host.deliver(mail);
  EXPECT_EQ(r[0].status, MANSIO_OK);
  EXPECT_THAT(r[0].tls, StartsWith("TLSv1.3 "));
  EXPECT_THAT(server.names(), ElementsAre("mx.example.com"));
  EXPECT_EQ(server.count("EHLO"), 2u);
  EXPECT_TRUE(server.transactions().at(0).content == mail.content);
  EXPECT_EQ(host.deliver(mail)[0].connection_use, 2u);
}

TEST(SmtpTls, CarriesLargeChunksAndStuffedDots) {
  for (const bool chunking : {false, true}) {
    auto b = tls();
    if (chunking) b.extensions.push_back("CHUNKING");
    FakeServer server{b};
    TestHost host;
    auto mail = by_name(host, server);
    mail.flags = MANSIO_MSG_LEADING_DOTS;
    for (int i = 0; i < 20000; ++i) mail.content += ". a line with a dot\r\n";
    EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_OK);
    EXPECT_TRUE(server.transactions().at(0).content == mail.content);
  }
}

TEST(SmtpTls, IsLeftAloneWhenToldSo) {
  FakeServer server{tls()};
  TestHost host{kSmtp, {{"tls_security_level", "none"}}};
  EXPECT_EQ(host.deliver(by_name(host, server))[0].tls, "");
}

TEST(SmtpTls, FallsBackToClearOnANewConnectionWhenTheHandshakeFails) {
  auto b = tls();
  b.tls_broken = true;
  FakeServer server{b};
  TestHost host;
  const auto r = host.deliver(by_name(host, server));
  EXPECT_EQ(r[0].status, MANSIO_OK);
  EXPECT_EQ(r[0].tls, "");
  EXPECT_EQ(server.connections(), 2u);
}

TEST(SmtpTls, StaysInClearWhenStarttlsIsRefused) {
  auto b = tls();
  b.on_command = [](const std::string &line) { return std::string{line == "STARTTLS" ? "454 4.7.0 not now" : ""}; };
  FakeServer server{b};
  TestHost host;
  EXPECT_EQ(host.deliver(by_name(host, server))[0].status, MANSIO_OK);
  EXPECT_EQ(server.connections(), 1u);
}

TEST(SmtpTls, DefersWhenItIsRequiredAndFails) {
  auto b = tls();
  b.tls_broken = true;
  FakeServer server{b};
  TestHost host{kSmtp, {{"tls_security_level", "encrypt"}}};
  const auto r = host.deliver(by_name(host, server));
  EXPECT_EQ(r[0].status, MANSIO_DEFER);
  EXPECT_EQ(r[0].enhanced, "4.7.5");
  EXPECT_EQ(server.count("MAIL"), 0u);
}

TEST(SmtpTls, DefersWhenItIsRequiredAndTheServerKnowsOnlyOlderVersions) {
  const TestCa ca;
  auto b = tls();
  b.identity = [own = ca.identity("DNS:mx.example.com")](SSL_CTX *ctx) {
    own(ctx);
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
    SSL_CTX_set_security_level(ctx, 0);  // at which OpenSSL still speaks them
  };
  FakeServer server{b};
  TestHost host{kSmtp, {{"tls_security_level", "encrypt"}}};
  const auto r = host.deliver(by_name(host, server));
  EXPECT_EQ(r[0].status, MANSIO_DEFER);
  EXPECT_EQ(r[0].enhanced, "4.7.5");
  EXPECT_THAT(r[0].text, HasSubstr("protocol version"));  // and nothing else is wrong
  EXPECT_EQ(server.count("MAIL"), 0u);
}

TEST(SmtpTls, DefersWhenItIsRequiredByPolicyAndNotOffered) {
  FakeServer server;
  TestHost host{kSmtp, {{"tls_policy", "other.example=none,.example.com=encrypt"}}};
  const auto r = host.deliver(by_name(host, server));
  EXPECT_EQ(r[0].enhanced, "4.7.4");
  EXPECT_EQ(server.count("MAIL"), 0u);
}

TEST(SmtpTls, EndsTheSessionWhenClearTextFollowsTheStarttlsReply) {
  auto b = tls();
  b.inject_clear = true;
  FakeServer server{b};
  TestHost host;
  const auto r = host.deliver(by_name(host, server));
  EXPECT_EQ(r[0].status, MANSIO_DEFER);
  EXPECT_EQ(server.count("MAIL"), 0u);
}

TEST(SmtpTls, TimesOutInAHandshakeThatStalls) {
  auto b = tls();
  b.on_command = [](const std::string &line) { return std::string{line == "STARTTLS" ? "220 but then nothing" : ""}; };
  FakeServer server{b};
  TestHost host{kSmtp, {{"smtp_starttls_timeout", "50ms"}, {"tls_security_level", "encrypt"}}};
  EXPECT_EQ(host.deliver(by_name(host, server))[0].status, MANSIO_DEFER);
}

TEST(SmtpTls, RequireTlsGoesOnlyToServersThatSupportIt) {
  const TestCa ca;
  auto known = tls();
  known.identity = ca.identity("DNS:mx.example.com");
  auto b = known;
  b.extensions.push_back("REQUIRETLS");
  FakeServer able{b};
  TestHost host{kSmtp, {{"tls_CAfile", ca.file()}}};
  auto mail = by_name(host, able);
  mail.flags = MANSIO_MSG_REQUIRETLS;
  EXPECT_EQ(host.deliver(mail)[0].status, MANSIO_OK);
  EXPECT_THAT(able.transactions().at(0).mail, EndsWith(" REQUIRETLS"));

  b.identity = ca.identity("DNS:mx.example.net");
  FakeServer impostor{b};
  mail = by_name(host, impostor);
  mail.flags = MANSIO_MSG_REQUIRETLS;
  EXPECT_EQ(host.deliver(mail)[0].enhanced, "4.7.5");
  EXPECT_EQ(impostor.count("MAIL"), 0u);

  for (const bool with_tls : {false, true}) {
    FakeServer unable{with_tls ? known : Behaviour{}};
    mail = by_name(host, unable);
    mail.flags = MANSIO_MSG_REQUIRETLS;
    const auto r = host.deliver(mail);
    EXPECT_EQ(r[0].status, MANSIO_FAIL);
    EXPECT_EQ(r[0].enhanced, "5.7.30");
    EXPECT_EQ(unable.count("MAIL"), 0u);
  }
}

}  // namespace
}  // namespace mansio::smtp::test
