// The levels of TLS that authenticate the server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/transport-smtp/tests/fake_server.hpp"
#include "plugins/transport-smtp/tests/test_ca.hpp"
#include "plugins/transport-smtp/tests/test_host.hpp"

namespace mansio::smtp::test {
namespace {

using ::testing::HasSubstr;

using OptionTexts = std::map<std::string, std::string>;

class SmtpCertificates : public ::testing::Test {
 protected:
  static Behaviour with(std::function<void(SSL_CTX *)> identity) {
    Behaviour b;
    b.tls = true;
    b.identity = std::move(identity);
    return b;
  }
  OptionTexts trusting(std::string level) const {
    return {{"tls_security_level", std::move(level)}, {"tls_CAfile", ca_.file()}};
  }
  // One message for example.com, whose exchanger is mx.example.net.
  FakeReply send(const FakeServer &server, const OptionTexts &options) {
    TestHost host{kSmtp, options};
    host.answer("example.com", MANSIO_DNS_MX, {{"mx.example.net", 10}});
    host.answer("mx.example.net", MANSIO_DNS_A, {{"127.0.0.1", 0}});
    Mail mail;
    mail.nexthop = "example.com:" + std::to_string(server.port);
    mail.tls_policy = asked_;
    return host.deliver(mail).at(0);
  }
  void refused(const FakeServer &server, const OptionTexts &options, const std::string &why) {
    const auto reply = send(server, options);
    EXPECT_EQ(reply.status, MANSIO_DEFER);
    EXPECT_EQ(reply.enhanced, "4.7.5");
    EXPECT_THAT(reply.text, HasSubstr("Server certificate not trusted: " + why));
    EXPECT_EQ(server.count("MAIL"), 0u);
  }

  TestCa ca_, stranger_;
  std::string asked_;  // by the message
};

TEST_F(SmtpCertificates, AnyWillDoForEncrypt) {
  FakeServer server{with({})};
  EXPECT_EQ(send(server, trusting("encrypt")).status, MANSIO_OK);
  EXPECT_EQ(send(server, trusting("may")).status, MANSIO_OK);
}

TEST_F(SmtpCertificates, AMessageMayAskForMoreThanTheOptionsAndNotForLess) {
  FakeServer any{with({})};
  asked_ = "encrypt";
  EXPECT_EQ(send(any, trusting("none")).tls.substr(0, 3), "TLS");
  asked_ = "secure";
  FakeServer self_signed{with({})};
  refused(self_signed, trusting("may"), "");
  FakeServer named{with(ca_.identity("DNS:mx.example.org"))};
  refused(named, trusting("may"), "the certificate is for none of: example.com, .example.com");
  asked_ = "secure:mx.example.org";
  EXPECT_EQ(send(named, trusting("may")).status, MANSIO_OK);
  asked_ = "none";
  FakeServer clear;
  const auto reply = send(clear, trusting("encrypt"));
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_EQ(reply.enhanced, "4.7.4");
  EXPECT_EQ(clear.count("MAIL"), 0u);
}

TEST_F(SmtpCertificates, MailWaitsWhereAMessageAsksForWhatIsNone) {
  FakeServer server{with({})};
  asked_ = "always";
  const auto reply = send(server, trusting("may"));
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_EQ(reply.enhanced, "4.3.5");
  EXPECT_THAT(reply.text, HasSubstr("tls_policy holds level \"always\""));
  EXPECT_EQ(server.connections(), 0u);
}

TEST_F(SmtpCertificates, VerifyRefusesOneThatNobodyVouchesFor) {
  FakeServer self_signed{with({})};
  refused(self_signed, trusting("verify"), "");
  FakeServer unknown{with(stranger_.identity("DNS:mx.example.net"))};
  refused(unknown, trusting("verify"), "unable to get local issuer certificate");
  FakeServer expired{with(ca_.identity("DNS:mx.example.net", -60))};
  refused(expired, trusting("verify"), "certificate has expired");
}

TEST_F(SmtpCertificates, VerifyWantsTheServersName) {
  FakeServer right{with(ca_.identity("DNS:other.example,DNS:mx.example.net"))};
  const auto reply = send(right, trusting("verify"));
  EXPECT_EQ(reply.status, MANSIO_OK);
  EXPECT_THAT(reply.tls, HasSubstr("TLSv1.3"));
  FakeServer wildcard{with(ca_.identity("DNS:*.example.net"))};
  EXPECT_EQ(send(wildcard, trusting("verify")).status, MANSIO_OK);
  FakeServer wrong{with(ca_.identity("DNS:example.com,DNS:mx.example.net.evil.example"))};
  refused(wrong, trusting("verify"), "the certificate is for none of: mx.example.net");
}

TEST_F(SmtpCertificates, SecureWantsTheNextHopsNameWhateverDnsSays) {
  FakeServer hijacked{with(ca_.identity("DNS:mx.example.net"))};
  refused(hijacked, trusting("secure"), "the certificate is for none of: example.com, .example.com");
  FakeServer domain{with(ca_.identity("DNS:example.com"))};
  EXPECT_EQ(send(domain, trusting("secure")).status, MANSIO_OK);
  FakeServer below{with(ca_.identity("DNS:mx1.example.com"))};
  EXPECT_EQ(send(below, trusting("secure")).status, MANSIO_OK);
}

TEST_F(SmtpCertificates, APolicyMayNameWhatToMatch) {
  FakeServer server{with(ca_.identity("DNS:mx.example.net"))};
  auto options = trusting("none");
  options["tls_policy"] = "example.com=secure:mail.example.org:.example.net";
  EXPECT_EQ(send(server, options).status, MANSIO_OK);
  options["tls_policy"] = "example.com=secure:mail.example.org";
  FakeServer other{with(ca_.identity("DNS:mx.example.net"))};
  refused(other, options, "the certificate is for none of: mail.example.org");
  options = trusting("secure");
  options["tls_secure_cert_match"] = "hostname";
  EXPECT_EQ(send(server, options).status, MANSIO_OK);
}

TEST_F(SmtpCertificates, AnAddressIsMatchedAsAnAddress) {
  for (const auto &[name, good] :
       {std::pair{"IP:127.0.0.1", true}, {"DNS:127.0.0.1", false}, {"IP:127.0.0.2", false}}) {
    FakeServer server{with(ca_.identity(name))};
    TestHost host{kSmtp, trusting("verify")};
    Mail mail;
    mail.nexthop = server.nexthop;
    EXPECT_EQ(host.deliver(mail).at(0).status == MANSIO_OK, good) << name;
  }
}

TEST_F(SmtpCertificates, AServerWithoutTlsIsRefused) {
  FakeServer server;
  for (const auto *level : {"verify", "secure"}) {
    const auto reply = send(server, trusting(level));
    EXPECT_EQ(reply.status, MANSIO_DEFER);
    EXPECT_EQ(reply.enhanced, "4.7.4");
  }
  EXPECT_EQ(server.count("MAIL"), 0u);
}

TEST_F(SmtpCertificates, AConnectionThatWasNotVerifiedIsNotUsedAgainWhereItMustBe) {
  FakeServer server{with(stranger_.identity("DNS:mx.example.net"))};
  auto options = trusting("may");
  options["tls_policy"] = "mx.example.net=verify";
  TestHost host{kSmtp, options};
  host.answer("example.com", MANSIO_DNS_MX, {{"mx.example.net", 10}});
  host.answer("mx.example.net", MANSIO_DNS_A, {{"127.0.0.1", 0}});
  Mail mail;
  mail.nexthop = "example.com:" + std::to_string(server.port);
  EXPECT_EQ(host.deliver(mail).at(0).status, MANSIO_OK);
  mail.nexthop = "[mx.example.net]:" + std::to_string(server.port);
  EXPECT_EQ(host.deliver(mail).at(0).enhanced, "4.7.5");
}

TEST_F(SmtpCertificates, AVerifiedConnectionIsUsedAgainForTheSameNextHop) {
  FakeServer server{with(ca_.identity("DNS:mx.example.net"))};
  TestHost host{kSmtp, trusting("verify")};
  host.answer("mx.example.net", MANSIO_DNS_A, {{"127.0.0.1", 0}});
  Mail mail;
  mail.nexthop = "[mx.example.net]:" + std::to_string(server.port);
  EXPECT_EQ(host.deliver(mail).at(0).connection_use, 1u);
  EXPECT_EQ(host.deliver(mail).at(0).connection_use, 2u);
}

TEST_F(SmtpCertificates, AConfigurationThatCannotWorkIsRefused) {
  const auto starts = [](const OptionTexts &options) {
    TestHost host{kSmtp, options};
    host.fake();
  };
  EXPECT_THROW(starts({{"tls_security_level", "dane"}}), std::runtime_error);
  EXPECT_THROW(starts({{"tls_security_level", "sure"}}), std::runtime_error);
  EXPECT_THROW(starts({{"tls_policy", "example.com=encrypt:mx.example.com"}}), std::runtime_error);
  EXPECT_THROW(starts({{"tls_policy", "example.com=secure:"}}), std::runtime_error);
  EXPECT_THROW(starts({{"tls_CAfile", "/nowhere/ca.pem"}}), std::runtime_error);
  EXPECT_NO_THROW(starts({{"tls_security_level", "secure"}}));  // with the system's authorities
}

TEST_F(SmtpCertificates, ACheckSaysOfEveryBadValueWhatWasExpected) {
  const auto check = [](const OptionTexts &options) {
    return FakeHost::check(plugin::Glue<SmtpTransport, plugin::TransportKind>::entry(), options);
  };
  EXPECT_EQ(check({}), "");
  EXPECT_EQ(check({{"smtp_tcp_port", "99999"},
                   {"tls_policy", "x,example.com=dane"},
                   {"inet_protocols", "ipv5"},
                   {"bind_address", "::1"},
                   {"smtp_helo_timeout", "0"}}),
            "smtp_tcp_port is 99999, expected an integer from 1 to 65535\n"
            "tls_policy holds \"x\", expected DOMAIN=LEVEL such as \"example.com=encrypt\"\n"
            "tls_policy holds level \"dane\", which is not supported, expected none, may, encrypt, verify or secure\n"
            "inet_protocols is \"ipv5\", expected all, ipv4 or ipv6\n"
            "bind_address is \"::1\", expected an IPv4 address\n"
            "smtp_helo_timeout is 0 or less, expected a time above 0\n");
  EXPECT_TRUE(
      check({{"tls_CAfile", "/nowhere/ca.pem"}}).starts_with("tls_CAfile names /nowhere/ca.pem, expected a file"));
  EXPECT_TRUE(check({{"tls_CAfile", "/etc/passwd"}}).starts_with("tls_CAfile names /etc/passwd, expected a file"));
  EXPECT_TRUE(check({{"tls_CApath", "/nowhere"}}).starts_with("tls_CApath names /nowhere, expected a directory"));
}

}  // namespace
}  // namespace mansio::smtp::test
