// SASL without a network: which mechanism is taken, and exchanges with GNU SASL's servers.
#include "plugins/transport-smtp/client/sasl.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/transport-smtp/client/login.hpp"
#include "plugins/transport-smtp/tests/sasl_side.hpp"

namespace mansio::smtp::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string base64(const std::string &text) {
  char *out = nullptr;
  std::size_t n = 0;
  if (gsasl_base64_to(text.data(), text.size(), &out, &n) != GSASL_OK) return {};
  std::string encoded{out, n};
  gsasl_free(out);
  return encoded;
}
std::string plain_text(const std::string &encoded) {
  char *out = nullptr;
  std::size_t n = 0;
  if (gsasl_base64_from(encoded.data(), encoded.size(), &out, &n) != GSASL_OK) return {};
  std::string text{out, n};
  gsasl_free(out);
  return text;
}

std::string chosen(const std::vector<std::string> &filter, SecurityOptions options,
                   const std::vector<std::string> &offered) {
  const auto *mechanism = strongest(allowed_mechanisms(filter, options), offered);
  return mechanism ? mechanism->name : "";
}
const Mechanism &mechanism(std::string_view name) {
  for (const auto &one : kMechanisms)
    if (one.name == name) return one;
  throw std::invalid_argument{"no such mechanism"};
}

TEST(SaslMechanisms, TheStrongestThatIsOfferedIsTaken) {
  EXPECT_EQ(chosen({}, {}, {"LOGIN", "plain", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "GSSAPI"}), "SCRAM-SHA-256");
  EXPECT_EQ(chosen({}, {}, {"PLAIN", "SCRAM-SHA-1", "CRAM-MD5"}), "SCRAM-SHA-1");
  EXPECT_EQ(chosen({}, {}, {"LOGIN", "PLAIN"}), "PLAIN");
  EXPECT_EQ(chosen({}, {}, {"login"}), "LOGIN");
  EXPECT_EQ(chosen({}, {}, {"GSSAPI", "ANONYMOUS", "EXTERNAL"}), "");
  EXPECT_EQ(chosen({}, {}, {}), "");
}

TEST(SaslMechanisms, SecurityOptionsLeaveSomeOut) {
  EXPECT_EQ(chosen({}, {.noplaintext = true}, {"PLAIN", "LOGIN"}), "");
  EXPECT_EQ(chosen({}, {.noplaintext = true}, {"PLAIN", "CRAM-MD5"}), "CRAM-MD5");
  EXPECT_EQ(chosen({}, {.mutual_auth = true}, {"PLAIN", "CRAM-MD5"}), "");
  EXPECT_EQ(chosen({}, {.mutual_auth = true}, {"PLAIN", "SCRAM-SHA-1"}), "SCRAM-SHA-1");
}

TEST(SaslMechanisms, AFilterNamesThoseThatMayBeUsedOrMayNot) {
  EXPECT_EQ(chosen({"plain", "login"}, {}, {"SCRAM-SHA-256", "PLAIN"}), "PLAIN");
  EXPECT_EQ(chosen({"!SCRAM-SHA-256", "static:all"}, {}, {"SCRAM-SHA-256", "SCRAM-SHA-1"}), "SCRAM-SHA-1");
  EXPECT_EQ(chosen({"static:all", "!PLAIN"}, {}, {"PLAIN"}), "PLAIN");  // the first that fits counts
  EXPECT_EQ(chosen({"!LOGIN"}, {}, {"PLAIN"}), "");                     // what none fits is left out
  for (const char *good : {"PLAIN", "!scram-sha-1", "static:all", "!static:all"}) EXPECT_TRUE(is_filter_entry(good));
  for (const char *bad : {"", "!", "/etc/mechanisms", "hash:x", "PLA IN", "A-NAME-LONGER-THAN-20"})
    EXPECT_FALSE(is_filter_entry(bad)) << bad;
}

TEST(SaslExchange, EachMechanismSatisfiesARealServer) {
  const auto library = make_sasl();
  for (const auto &one : kMechanisms) {
    SaslSide server{"user@example.com", "s3cret pass:word"};
    SaslExchange client{library.get(), one, {"user@example.com", "s3cret pass:word"}};
    std::string line = std::string{"AUTH "} + one.name;
    if (one.client_first) line += ' ' + client.begin().value();
    auto reply = server.answer(line);
    for (int i = 0; i < 4 && reply.starts_with("334 "); ++i) {
      const auto next = client.respond(reply.substr(4));
      ASSERT_TRUE(next) << one.name << ": " << client.why();
      reply = server.answer(*next);
    }
    EXPECT_EQ(reply, "235 2.7.0 welcome") << one.name;
    EXPECT_TRUE(client.complete()) << one.name;
  }
}

TEST(SaslExchange, PlainIsUserAndPasswordWithoutAnotherIdentity) {
  const auto library = make_sasl();
  SaslExchange client{library.get(), mechanism("PLAIN"), {"user", "pass"}};
  EXPECT_EQ(plain_text(client.begin().value()), std::string("\0user\0pass", 10));
  EXPECT_TRUE(client.complete());
  EXPECT_FALSE(client.respond(""));
  EXPECT_EQ(client.why(), "the server asks for more than PLAIN has");
}

TEST(SaslExchange, AServerThatCannotProveThatItKnowsThePasswordIsNotBelieved) {
  const auto library = make_sasl();
  SaslExchange client{library.get(), mechanism("SCRAM-SHA-256"), {"user", "pass"}};
  SaslSide server{"user", "pass"};
  const auto challenge = server.answer("AUTH SCRAM-SHA-256 " + client.begin().value());
  ASSERT_TRUE(client.respond(challenge.substr(4)));
  EXPECT_FALSE(client.complete());
  EXPECT_FALSE(client.respond(base64("v=" + base64(std::string(32, 'x')))));
  EXPECT_FALSE(client.complete());
  EXPECT_FALSE(client.why().empty());
}

TEST(SaslExchange, ChallengesThatMakeNoSenseEndIt) {
  const auto library = make_sasl();
  for (const std::string challenge : {"!", "=", "AAAA", "", "cj1h"}) {
    for (const auto *name : {"SCRAM-SHA-1", "SCRAM-SHA-256"}) {
      SaslExchange client{library.get(), mechanism(name), {"user", "pass"}};
      ASSERT_TRUE(client.begin());
      EXPECT_FALSE(client.respond(challenge)) << name << ' ' << challenge;
      EXPECT_FALSE(client.respond(challenge)) << "and once it has failed it stays so";
      EXPECT_FALSE(client.why().empty());
    }
  }
}

TEST(SaslExchange, AServerMayNotHaveUsHashForEver) {
  const auto library = make_sasl();
  for (const auto *rounds : {"100001", "4294967295", "99999999999999999999"}) {
    SaslExchange client{library.get(), mechanism("SCRAM-SHA-256"), {"user", "pass"}};
    const auto first = plain_text(client.begin().value());
    const auto nonce = first.substr(first.find("r="));
    EXPECT_FALSE(client.respond(base64(nonce + "more,s=c2FsdHNhbHQ=,i=" + rounds)));
    EXPECT_THAT(client.why(), HasSubstr("rounds of hashing"));
  }
}

TEST(SaslLogin, IsAUserAndAPassword) {
  EXPECT_EQ(parse_login("user@example.com:a:b c"), (Login{"user@example.com", "a:b c"}));
  for (const char *bad : {"", "user", "user:", ":pass", "us\ner:pass", "user:pa\x7fss"})
    EXPECT_FALSE(parse_login(bad)) << bad;
  EXPECT_FALSE(parse_login(std::string_view{"us\0er:pass", 10}));
}

TEST(SaslLogin, TablesAreAskedForTheNextHopInItsForms) {
  const auto keys = [](std::string_view nexthop) { return login_keys(parse_nexthop(nexthop, 25).value()); };
  EXPECT_THAT(keys("[Smtp.Provider.example]:587"),
              ElementsAre("[smtp.provider.example]:587", "[smtp.provider.example]"));
  EXPECT_THAT(keys("example.com"), ElementsAre("example.com:25", "example.com"));
  EXPECT_THAT(keys("[192.0.2.1]"), ElementsAre("[192.0.2.1]:25", "[192.0.2.1]"));
  EXPECT_THAT(keys("unix:/run/lmtp"), ElementsAre("unix:/run/lmtp"));
  EXPECT_THAT(login_keys(Target{"mx.example.com", "192.0.2.1", 25, 0, false}), ElementsAre("mx.example.com"));
  EXPECT_THAT(login_keys(Target{"mail.example.com", "/run/lmtp", 0, 0, true}), IsEmpty());
}

}  // namespace
}  // namespace mansio::smtp::test
