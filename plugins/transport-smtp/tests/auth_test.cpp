// AUTH towards servers, and TLS from the first byte on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <mutex>

#include "plugins/transport-smtp/tests/fake_server.hpp"
#include "plugins/transport-smtp/tests/sasl_side.hpp"
#include "plugins/transport-smtp/tests/test_ca.hpp"
#include "plugins/transport-smtp/tests/test_host.hpp"

namespace mansio::smtp::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

const std::string kPassword = "correct horse: battery";

using AuthOptions = std::map<std::string, std::string>;

AuthOptions with_auth(AuthOptions more = {}) {
  more.try_emplace("smtp_sasl_auth_enable", "true");
  more.try_emplace("smtp_sasl_password_maps", "passwords");
  return more;
}
AuthOptions in_clear(AuthOptions more = {}) {  // also those that show the password
  more.try_emplace("smtp_sasl_security_options", "noanonymous");
  return with_auth(std::move(more));
}

// A server that knows "user" by kPassword.
Behaviour offering(const std::string &mechanisms) {
  Behaviour b;
  if (!mechanisms.empty()) b.extensions.push_back("AUTH " + mechanisms);
  auto side = std::make_shared<SaslSide>("user", kPassword);
  b.on_command = [side](const std::string &line) { return side->answer(line); };
  return b;
}
// One that offers PLAIN and says this to it, and to whatever comes then.
Behaviour replying(std::vector<std::string> replies, const std::string &mechanism = "PLAIN") {
  struct Script {
    std::mutex mutex;
    std::vector<std::string> left;
  };
  auto script = std::make_shared<Script>();
  script->left = std::move(replies);
  Behaviour b;
  b.extensions.push_back("AUTH " + mechanism);
  b.on_command = [script, begun = std::make_shared<bool>(false)](const std::string &line) -> std::string {
    const std::lock_guard lock{script->mutex};
    *begun = *begun || line.starts_with("AUTH ");
    if (!*begun || script->left.empty()) return {};
    auto reply = script->left.front();
    script->left.erase(script->left.begin());
    return reply;
  };
  return b;
}

void knows(TestHost &host, const std::string &key, const std::string &value = "user:" + kPassword) {
  host.fake().tables[{"passwords", key}] = {MANSIO_OK, {value}, ""};
}
FakeReply send_one(TestHost &host, const FakeServer &server) { return host.deliver(mail_to(server)).at(0); }

class SmtpAuthMechanism : public ::testing::TestWithParam<const char *> {};
INSTANTIATE_TEST_SUITE_P(All, SmtpAuthMechanism,
                         ::testing::Values("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"));

TEST_P(SmtpAuthMechanism, IsSpokenBeforeMail) {
  FakeServer server{offering(GetParam())};
  TestHost host{kSmtp, in_clear()};
  knows(host, server.nexthop);
  EXPECT_EQ(send_one(host, server).status, MANSIO_OK);
  const auto commands = server.commands();
  ASSERT_GE(commands.size(), 3u);
  EXPECT_THAT(commands[1], StartsWith(std::string{"AUTH "} + GetParam()));
  EXPECT_EQ(server.count("EHLO"), 1u);  // no security layer: the offer stands
  EXPECT_EQ(server.count("AUTH"), 1u);
  EXPECT_EQ(server.transactions().size(), 1u);
}

TEST_P(SmtpAuthMechanism, RefusedLeavesTheMailInTheQueue) {
  FakeServer server{offering(GetParam())};
  TestHost host{kSmtp, in_clear()};
  knows(host, server.nexthop, "user:something else");
  const auto reply = send_one(host, server);
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_EQ(reply.enhanced, "4.7.8");
  EXPECT_EQ(reply.text, "AUTH was refused: 535 5.7.8 authentication failed");
  EXPECT_NE(reply.flags & MANSIO_REPLY_SITE_FAILURE, 0u);
  EXPECT_EQ(server.count("MAIL"), 0u);
}

TEST(SmtpAuth, TakesTheStrongestThatMayBeUsed) {
  for (const auto &[options, expected] :
       {std::pair{with_auth(), "AUTH SCRAM-SHA-1 "},
        {with_auth({{"smtp_sasl_mechanism_filter", "!SCRAM-SHA-1, static:all"}}), "AUTH CRAM-MD5"},
        {in_clear({{"smtp_sasl_mechanism_filter", "login, plain"}}), "AUTH PLAIN "}}) {
    FakeServer server{offering("LOGIN PLAIN CRAM-MD5 SCRAM-SHA-1")};
    TestHost host{kSmtp, options};
    knows(host, server.nexthop);
    EXPECT_EQ(send_one(host, server).status, MANSIO_OK);
    EXPECT_THAT(server.commands().at(1), StartsWith(expected));
  }
}

TEST(SmtpAuth, MailWaitsWhereNoMechanismMayBeUsed) {
  FakeServer server{offering("PLAIN LOGIN")};
  TestHost host{kSmtp, with_auth()};
  knows(host, server.nexthop);
  const auto reply = send_one(host, server);
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_EQ(reply.enhanced, "4.7.0");
  EXPECT_THAT(reply.text, HasSubstr("offers AUTH PLAIN LOGIN, of which smtp_sasl_security_options and "
                                    "smtp_sasl_mechanism_filter allow none without TLS"));
  EXPECT_EQ(server.count("AUTH"), 0u);
  EXPECT_EQ(server.count("MAIL"), 0u);
}

TEST(SmtpAuth, MailWaitsWhereNothingIsOffered) {
  for (auto behaviour : {offering(""), answering("EHLO", "502 5.5.1 what?")}) {
    FakeServer server{std::move(behaviour)};
    TestHost host{kSmtp, with_auth()};
    knows(host, server.nexthop);
    const auto reply = send_one(host, server);
    EXPECT_EQ(reply.status, MANSIO_DEFER);
    EXPECT_EQ(reply.enhanced, "4.7.0");
    EXPECT_THAT(reply.text, HasSubstr("offers no AUTH without TLS"));
    EXPECT_EQ(server.count("MAIL"), 0u);
  }
}

TEST(SmtpAuth, UnderTlsItsOwnOptionsHold) {
  for (const bool allowed : {false, true}) {
    auto b = offering("PLAIN LOGIN");
    b.tls = true;
    FakeServer server{b};
    auto options = with_auth();
    if (allowed) options["smtp_sasl_tls_security_options"] = "noanonymous";
    TestHost host{kSmtp, options};
    knows(host, server.nexthop);
    const auto reply = send_one(host, server);
    EXPECT_EQ(reply.status, allowed ? MANSIO_OK : MANSIO_DEFER);
    if (!allowed) {
      EXPECT_THAT(reply.text, HasSubstr("smtp_sasl_tls_security_options"));
      continue;
    }
    EXPECT_THAT(reply.tls, StartsWith("TLSv1.3"));
    const auto commands = server.commands();
    ASSERT_GE(commands.size(), 5u);
    EXPECT_THAT(commands[0], StartsWith("EHLO"));
    EXPECT_EQ(commands[1], "STARTTLS");
    EXPECT_THAT(commands[2], StartsWith("EHLO"));
    EXPECT_THAT(commands[3], StartsWith("AUTH PLAIN "));
    EXPECT_THAT(commands[4], StartsWith("MAIL"));
  }
}

TEST(SmtpAuth, IsNotSpokenWhereNobodyGaveAPassword) {
  FakeServer server{offering("PLAIN")};
  TestHost host{kSmtp, in_clear()};
  knows(host, "[192.0.2.1]:25");
  EXPECT_EQ(send_one(host, server).status, MANSIO_OK);
  EXPECT_EQ(server.count("AUTH"), 0u);
  TestHost without{kSmtp};  // nor where it is not enabled, whatever a table has
  knows(without, server.nexthop);
  EXPECT_EQ(send_one(without, server).status, MANSIO_OK);
  EXPECT_EQ(server.count("AUTH"), 0u);
}

TEST(SmtpAuth, ATableThatCannotSayDefersBeforeAnybodyIsSpokenTo) {
  FakeServer server{offering("PLAIN")};
  TestHost host{kSmtp, in_clear()};
  host.fake().tables[{"passwords", server.nexthop}] = {MANSIO_DEFER, {}, "no connection"};
  const auto reply = send_one(host, server);
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_EQ(reply.enhanced, "4.3.0");
  EXPECT_EQ(reply.text, "smtp_sasl_password_maps: Temporary lookup failure");
  EXPECT_THAT(host.fake().log,
              HasSubstr("table passwords was asked in vain for " + server.nexthop + ": no connection"));
  EXPECT_EQ(reply.flags & MANSIO_REPLY_SITE_FAILURE, 0u);  // the destination is not to blame
  EXPECT_EQ(server.connections(), 0u);
}

TEST(SmtpAuth, ATableThatCannotSayForTheServerDefersToo) {
  FakeServer server{offering("PLAIN")}, relay{offering("PLAIN"), "127.0.0.2"};
  TestHost host{kSmtp, in_clear({{"smtp_fallback_relay", relay.nexthop}})};
  host.answer("mx.example.com", MANSIO_DNS_A, {{"127.0.0.1", 0}});
  host.fake().tables[{"passwords", "mx.example.com"}] = {MANSIO_DEFER, {}, "away"};
  auto mail = mail_to(server);
  mail.nexthop = "[mx.example.com]:" + std::to_string(server.port);
  const auto reply = host.deliver(mail).at(0);
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_EQ(reply.enhanced, "4.3.0");
  EXPECT_EQ(server.connections(), 0u);
  EXPECT_EQ(relay.connections(), 0u);
}

TEST(SmtpAuth, AnEntryThatIsNoUserAndPasswordDefersAndIsNotShown) {
  FakeServer server{offering("PLAIN")};
  TestHost host{kSmtp, in_clear()};
  knows(host, server.nexthop, "just-a-secret");
  const auto reply = send_one(host, server);
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_EQ(reply.enhanced, "4.3.5");
  EXPECT_THAT(reply.text, Not(HasSubstr("just-a-secret")));
  EXPECT_THAT(host.fake().log, HasSubstr("something else than user:password"));
  EXPECT_THAT(host.fake().log, Not(HasSubstr("just-a-secret")));
  EXPECT_EQ(server.connections(), 0u);
}

TEST(SmtpAuth, TheNextHopIsAskedForBeforeTheServersName) {
  FakeServer server{offering("PLAIN")};
  TestHost host{kSmtp, in_clear({{"smtp_connection_cache_time_limit", "1h"}})};
  host.answer("example.com", MANSIO_DNS_MX, {{"mx.example.net", 10}});
  host.answer("mx.example.net", MANSIO_DNS_A, {{"127.0.0.1", 0}});
  auto mail = mail_to(server);
  mail.nexthop = "example.com:" + std::to_string(server.port);
  knows(host, "mx.example.net");
  EXPECT_EQ(host.deliver(mail).at(0).status, MANSIO_OK);
  knows(host, "example.com", "user:wrong");
  EXPECT_EQ(host.deliver(mail).at(0).enhanced, "4.7.8");
  knows(host, mail.nexthop);
  EXPECT_EQ(host.deliver(mail).at(0).status, MANSIO_OK);
  EXPECT_EQ(server.count("AUTH"), 2u);  // the first connection was of that identity
}

TEST(SmtpAuth, TablesAreAskedInTheirOrder) {
  FakeServer server{offering("PLAIN")};
  TestHost host{kSmtp, in_clear({{"smtp_sasl_password_maps", "first, passwords"}})};
  knows(host, server.nexthop);
  EXPECT_EQ(send_one(host, server).status, MANSIO_OK);
  host.fake().tables[{"first", server.nexthop}] = {MANSIO_OK, {"user:wrong"}, ""};
  EXPECT_EQ(send_one(host, server).enhanced, "4.7.8");
}

TEST(SmtpAuth, AConnectionOfOneIdentityIsNotUsedForAnother) {
  FakeServer server{offering("PLAIN")};
  TestHost host{kSmtp, in_clear({{"smtp_connection_cache_time_limit", "1h"}})};
  host.answer("mx.example.com", MANSIO_DNS_A, {{"127.0.0.1", 0}});
  host.answer("mx.example.net", MANSIO_DNS_A, {{"127.0.0.1", 0}});
  const auto port = std::to_string(server.port);
  const auto use = [&](const std::string &name) {
    auto mail = mail_to(server);
    mail.nexthop = '[' + name + "]:" + port;
    const auto reply = host.deliver(mail).at(0);
    EXPECT_EQ(reply.status, MANSIO_OK);
    return reply.connection_use;
  };
  knows(host, "[mx.example.com]");
  EXPECT_EQ(use("mx.example.com"), 1u);
  EXPECT_EQ(use("mx.example.com"), 2u);
  EXPECT_EQ(use("mx.example.net"), 1u);  // as nobody
  EXPECT_EQ(use("mx.example.net"), 2u);
  knows(host, "mx.example.net");  // by the server's name: what is kept for the next hop is of nobody
  EXPECT_EQ(server.connections(), 2u);
  EXPECT_EQ(use("mx.example.net"), 3u);  // but that of mx.example.com has the right identity
  EXPECT_EQ(server.connections(), 2u);
  EXPECT_EQ(server.count("AUTH"), 1u);
}

TEST(SmtpAuth, AConnectionThatTheServerClosesWhileTablesAreAskedIsNotUsed) {
  Behaviour b;
  b.extensions = {"PIPELINING", "CHUNKING"};  // content would go out with MAIL, and count as perhaps delivered
  FakeServer server{b};
  TestHost host{kSmtp, with_auth({{"smtp_connection_cache_time_limit", "1h"}})};
  int asked = 0;
  host.fake().other_tables = [&](const std::string &, const std::string &key) {
    if (key == "127.0.0.1" && ++asked == 2) server.hang_up();
    return mansio::testing::FakeTableAnswer{MANSIO_NOT_FOUND, {}, ""};
  };
  EXPECT_EQ(send_one(host, server).status, MANSIO_OK);
  const auto reply = send_one(host, server);
  EXPECT_EQ(reply.status, MANSIO_OK);
  EXPECT_EQ(reply.connection_use, 1u);
  EXPECT_EQ(server.connections(), 2u);
}

TEST(SmtpAuth, ARefusalForGoodBouncesWhereSoToldAndATemporaryOneDoesNot) {
  for (const auto &[said, soft, status, enhanced] : {std::tuple{"535 5.7.8 no", "true", MANSIO_DEFER, "4.7.8"},
                                                     {"535 5.7.8 no", "false", MANSIO_FAIL, "5.7.8"},
                                                     {"535 no", "false", MANSIO_FAIL, "5.7.0"},
                                                     {"454 4.7.0 later", "false", MANSIO_DEFER, "4.7.0"},
                                                     {"421 4.3.2 going down", "true", MANSIO_DEFER, "4.3.2"}}) {
    FakeServer server{replying({said})};
    TestHost host{kSmtp, in_clear({{"smtp_sasl_auth_soft_bounce", soft}})};
    knows(host, server.nexthop);
    const auto reply = send_one(host, server);
    EXPECT_EQ(reply.status, status) << said;
    EXPECT_EQ(reply.enhanced, enhanced) << said;
    EXPECT_EQ(server.count("MAIL"), 0u);
  }
}

TEST(SmtpAuth, AServerThatRepeatsASecretIsNotQuoted) {
  const std::string plain = "AHVzZXIAY29ycmVjdCBob3JzZTogYmF0dGVyeQ==";
  for (const auto &echo : {"5.7.8 wrong password " + kPassword, "5.5.2 not understood: auth plain " + plain,
                           "5.5.2 not understood: AUTH PLAIN " + plain.substr(0, 24)}) {
    for (const auto *soft : {"true", "false"}) {
      FakeServer server{replying({"535 " + echo})};
      TestHost host{kSmtp, in_clear({{"smtp_sasl_auth_soft_bounce", soft}})};
      knows(host, server.nexthop);
      const auto reply = send_one(host, server);
      for (const auto &secret : {kPassword, plain.substr(0, 24)}) {
        EXPECT_THAT(reply.text, Not(HasSubstr(secret)));
        EXPECT_THAT(host.fake().log, Not(HasSubstr(secret)));
      }
      EXPECT_THAT(reply.text, HasSubstr("is left out here"));
    }
  }
}

TEST(SmtpAuth, ASecretThatIsNoUtf8IsKnownAgainInAReply) {
  const std::string password = "gr\xfc\xdf\x65-the-rest";
  FakeServer server{replying({"535 5.7.8 wrong password " + password})};
  TestHost host{kSmtp, in_clear()};
  knows(host, server.nexthop, "user:" + password);
  const auto reply = send_one(host, server);
  EXPECT_THAT(reply.text, Not(HasSubstr("the-rest")));
  EXPECT_THAT(reply.text, HasSubstr("is left out here"));
  EXPECT_THAT(host.fake().log, Not(HasSubstr("the-rest")));
}

TEST(SmtpAuth, AFirstResponseThatIsTooLongForTheCommandFollowsIt) {
  FakeServer server{replying({"334 ", "235 2.7.0 ok"})};
  TestHost host{kSmtp, in_clear()};
  knows(host, server.nexthop, "user:" + std::string(400, 'x'));
  EXPECT_EQ(send_one(host, server).status, MANSIO_OK);
  const auto commands = server.commands();
  EXPECT_EQ(commands.at(1), "AUTH PLAIN");
  EXPECT_EQ(commands.at(2).size(), 544u);  // 406 octets in base64
}

TEST(SmtpAuth, AnExchangeThatCannotGoOnIsCancelled) {
  for (const auto &[mechanism, replies] :
       {std::pair{"CRAM-MD5", std::vector<std::string>{"334 !!", "501 5.7.0 cancelled"}},
        {"PLAIN", {"334 bW9yZT8=", "501 5.7.0 cancelled"}},
        {"SCRAM-SHA-256", {"334 cj1h", "501 5.7.0 cancelled"}},
        {"CRAM-MD5", {"334 ", "334 ", "334 ", "334 ", "334 ", "334 ", "334 ", "501 5.7.0 cancelled"}}}) {
    FakeServer server{replying(replies, mechanism)};
    TestHost host{kSmtp, in_clear()};
    knows(host, server.nexthop);
    const auto reply = send_one(host, server);
    EXPECT_EQ(reply.status, MANSIO_DEFER);
    EXPECT_EQ(reply.enhanced, "4.7.0");
    EXPECT_THAT(reply.text, StartsWith("SASL authentication failed: "));
    EXPECT_EQ(server.count("*"), 1u);
    EXPECT_EQ(server.count("MAIL"), 0u);
  }
}

TEST(SmtpAuth, AServerThatSaysYesBeforeItHasProvenItselfIsNotBelieved) {
  FakeServer server{replying({"235 2.7.0 come in"}, "SCRAM-SHA-256")};
  TestHost host{kSmtp, in_clear()};
  knows(host, server.nexthop);
  const auto reply = send_one(host, server);
  EXPECT_EQ(reply.enhanced, "4.7.0");
  EXPECT_EQ(reply.text, "SASL authentication failed: the server ended SCRAM-SHA-256 before its time");
  EXPECT_EQ(server.count("MAIL"), 0u);
}

TEST(SmtpAuth, AServerThatGoesAwayOrFallsSilentDefers) {
  for (const auto *reply : {kDrop, kStall}) {
    FakeServer server{replying({reply})};
    TestHost host{kSmtp, in_clear({{"smtp_helo_timeout", "2s"}})};
    knows(host, server.nexthop);
    const auto said = send_one(host, server);
    EXPECT_EQ(said.status, MANSIO_DEFER);
    EXPECT_EQ(said.enhanced, "4.4.2");
    EXPECT_THAT(said.text, HasSubstr("while authenticating"));
  }
}

TEST(SmtpAuth, AnotherServerMayTakeTheMail) {
  FakeServer refusing{replying({"454 4.7.0 not now"})};
  FakeServer willing{offering("PLAIN"), "127.0.0.2", refusing.port};
  TestHost host{kSmtp, in_clear()};
  host.answer("example.com", MANSIO_DNS_MX, {{"mx1.example.com", 10}, {"mx2.example.com", 20}});
  host.answer("mx1.example.com", MANSIO_DNS_A, {{"127.0.0.1", 0}});
  host.answer("mx2.example.com", MANSIO_DNS_A, {{"127.0.0.2", 0}});
  knows(host, "example.com");
  auto mail = mail_to(willing);
  mail.nexthop = "example.com:" + std::to_string(willing.port);
  EXPECT_EQ(host.deliver(mail).at(0).status, MANSIO_OK);
  EXPECT_EQ(refusing.count("AUTH"), 1u);
}

TEST(SmtpAuth, LmtpHasItToo) {
  auto b = offering("PLAIN");
  b.lmtp = true;
  FakeServer server{b};
  TestHost host{kLmtp,
                {{"lmtp_sasl_auth_enable", "true"},
                 {"lmtp_sasl_password_maps", "passwords"},
                 {"lmtp_sasl_security_options", "noanonymous"}}};
  knows(host, server.nexthop);
  EXPECT_EQ(send_one(host, server).status, MANSIO_OK);
  EXPECT_THAT(server.commands().at(0), StartsWith("LHLO"));
  EXPECT_THAT(server.commands().at(1), StartsWith("AUTH PLAIN "));
}

// ---- TLS from the first byte on ----

TEST(SmtpWrappermode, SpeaksTlsBeforeTheGreeting) {
  const TestCa ca;
  auto b = offering("PLAIN");
  b.wrapped = true;
  b.identity = ca.identity("DNS:smtp.provider.example");
  FakeServer server{b};
  TestHost host{kSmtp, with_auth({{"smtp_tls_wrappermode", "true"},
                                  {"tls_security_level", "secure"},
                                  {"tls_CAfile", ca.file()},
                                  {"smtp_sasl_tls_security_options", "noanonymous"}})};
  host.answer("smtp.provider.example", MANSIO_DNS_A, {{"127.0.0.1", 0}});
  auto mail = mail_to(server);
  mail.nexthop = "[smtp.provider.example]:" + std::to_string(server.port);
  knows(host, mail.nexthop);
  const auto reply = host.deliver(mail).at(0);
  EXPECT_EQ(reply.status, MANSIO_OK);
  EXPECT_THAT(reply.tls, StartsWith("TLSv1.3"));
  EXPECT_THAT(server.names(), ElementsAre("smtp.provider.example"));
  EXPECT_EQ(server.count("EHLO"), 1u);
  EXPECT_EQ(server.count("STARTTLS"), 0u);
  EXPECT_THAT(server.commands().at(1), StartsWith("AUTH PLAIN "));
}

TEST(SmtpWrappermode, TellsNothingToAServerWithoutTheRightCertificate) {
  const TestCa ca, stranger;
  auto b = offering("PLAIN");
  b.wrapped = true;
  b.identity = stranger.identity("IP:127.0.0.1");
  FakeServer server{b};
  TestHost host{kSmtp, with_auth({{"smtp_tls_wrappermode", "true"},
                                  {"tls_security_level", "verify"},
                                  {"tls_CAfile", ca.file()},
                                  {"smtp_sasl_tls_security_options", "noanonymous"}})};
  knows(host, server.nexthop);
  const auto reply = send_one(host, server);
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_EQ(reply.enhanced, "4.7.5");
  EXPECT_THAT(server.commands(), IsEmpty());
}

TEST(SmtpWrappermode, NeverFallsBackToClear) {
  Behaviour b;
  b.greeting = kStall;  // a server on the wrong port waits, or greets in clear
  for (const auto &behaviour : {b, Behaviour{}}) {
    FakeServer server{behaviour};
    TestHost host{
        kSmtp,
        {{"smtp_tls_wrappermode", "true"}, {"tls_security_level", "encrypt"}, {"smtp_starttls_timeout", "100ms"}}};
    const auto reply = send_one(host, server);
    EXPECT_EQ(reply.status, MANSIO_DEFER);
    EXPECT_EQ(reply.enhanced, "4.7.5");
    EXPECT_EQ(server.count("EHLO"), 0u);
    EXPECT_EQ(server.connections(), 1u);
  }
}

// ---- configuration ----

TEST(SmtpAuth, AConfigurationThatCannotWorkIsRefused) {
  const auto check = [](const AuthOptions &options) {
    return FakeHost::check(plugin::Glue<SmtpTransport, plugin::TransportKind>::entry(), options);
  };
  EXPECT_EQ(check(with_auth()), "");
  EXPECT_EQ(check({{"smtp_sasl_auth_enable", "true"}}),
            "smtp_sasl_password_maps is empty, expected the table that has the passwords, as smtp_sasl_auth_enable is "
            "true\n");
  EXPECT_EQ(check(with_auth({{"smtp_sasl_password_maps", "hash:/etc/postfix/sasl_passwd"}})),
            "smtp_sasl_password_maps holds \"hash:/etc/postfix/sasl_passwd\", expected the NAME of a [lookup.NAME]\n");
  EXPECT_EQ(check(with_auth({{"smtp_sasl_mechanism_filter", "/etc/filter"},
                             {"smtp_sasl_security_options", "nodictionary"},
                             {"smtp_sasl_tls_security_options", "noplain"}})),
            "smtp_sasl_mechanism_filter holds \"/etc/filter\", expected mechanisms such as PLAIN or !LOGIN, or "
            "static:all\n"
            "smtp_sasl_security_options holds \"nodictionary\", which is not supported, expected noplaintext, "
            "noanonymous or mutual_auth\n"
            "smtp_sasl_tls_security_options holds \"noplain\", expected noplaintext, noanonymous or mutual_auth\n");
  EXPECT_THAT(check(with_auth({{"smtp_sasl_mechanism_filter", "PLAIN"}})),
              StartsWith("smtp_sasl_mechanism_filter leaves no mechanism that the security options allow"));
  EXPECT_EQ(check({{"smtp_tls_wrappermode", "true"}}),
            "tls_security_level is \"may\", expected encrypt, verify or secure, as smtp_tls_wrappermode is true\n");
  EXPECT_EQ(check({{"smtp_tls_wrappermode", "true"},
                   {"tls_security_level", "encrypt"},
                   {"tls_policy", "example.com=may,example.net=secure"}}),
            "tls_policy holds \"example.com=may\", expected encrypt, verify or secure, as smtp_tls_wrappermode is "
            "true\n");
}

}  // namespace
}  // namespace mansio::smtp::test
