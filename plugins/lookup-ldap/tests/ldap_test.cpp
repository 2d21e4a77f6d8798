// The plugin against a slapd of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "mansio/testing/fake_host.hpp"
#include "plugins/lookup-ldap/tests/slapd.hpp"
#include "plugins/testing/readme.hpp"

namespace {

using namespace mansio::lookup;
using mansio::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

struct LdapTable : testing::Test {
  static void SetUpTestSuite() { slapd = std::make_unique<rig::Slapd>(); }
  static void TearDownTestSuite() { slapd.reset(); }
  static FakeHost::Options options(FakeHost::Options more = {}) {
    more.merge(FakeHost::Options{{"server_host", slapd->tcp()},
                                 {"search_base", "dc=example,dc=com"},
                                 {"query_filter", "(mail=%s)"},
                                 {"timeout", "20s"},
                                 {"retry_interval", "0"}});
    return more;
  }
  static std::unique_ptr<rig::Slapd> slapd;
};
std::unique_ptr<rig::Slapd> LdapTable::slapd;

TEST_F(LdapTable, AnswersWithEveryValueOfTheResultAttributes) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  EXPECT_THAT(host.lookup("Alice@Example.com").values,
              UnorderedElementsAre("alice@store1.example.net", "alice@store2.example.net"));
  EXPECT_THAT(host.lookup("bob@example.com").values, ElementsAre("bob@store1.example.net"));
  EXPECT_EQ(host.lookup("nobody@example.com").status, MANSIO_NOT_FOUND);
  EXPECT_EQ(host.lookup("team@example.com").status, MANSIO_NOT_FOUND) << "an entry without the attribute";
  EXPECT_THAT(host.faults, ElementsAre());
  FakeHost two{mansio_plugin_entry_1(), options({{"result_attribute", "uid,cn"}})};
  EXPECT_THAT(two.lookup("bob@example.com").values, ElementsAre("bob", "Bob"));
}

TEST_F(LdapTable, TakesTheKeyForDataWhateverIsInIt) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  for (const auto *key : {"*", "*@example.com", "x)(mail=*", "bob@example.com)(|(mail=*)", "\\2a"})
    EXPECT_EQ(host.lookup(key).status, MANSIO_NOT_FOUND) << key;
  EXPECT_THAT(host.lookup("a*(b)\\c@example.com").values, ElementsAre("star@store1.example.net"));
  FakeHost base{
      mansio_plugin_entry_1(),
      options({{"search_base", "uid=%u,ou=people,dc=example,dc=com"}, {"scope", "base"}, {"query_filter", "(uid=*)"}})};
  EXPECT_THAT(base.lookup("bob@example.com").values, ElementsAre("bob@store1.example.net"));
  EXPECT_EQ(base.lookup("x,uid=bob@example.com").status, MANSIO_NOT_FOUND);
}

TEST_F(LdapTable, FormatsLimitsAndFilters) {
  FakeHost host{mansio_plugin_entry_1(), options({{"result_format", "smtp:[%d] %U"},
                                                  {"expansion_limit", "1"},
                                                  {"domain", "example.com"},
                                                  {"query_filter", "(&(mail=%s)(uid=%u))"}})};
  EXPECT_THAT(host.lookup("bob@example.com").values, ElementsAre("smtp:[store1.example.net] bob"));
  const auto many = host.lookup("alice@example.com");
  EXPECT_EQ(many.status, MANSIO_DEFER);
  EXPECT_THAT(many.text, HasSubstr("expansion_limit"));
  EXPECT_EQ(host.lookup("bob").status, MANSIO_NOT_FOUND);
  FakeHost size{mansio_plugin_entry_1(), options({{"size_limit", "1"}, {"query_filter", "(|(uid=%s)(uid=bob))"}})};
  EXPECT_EQ(size.lookup("bob").status, MANSIO_OK);
  const auto entries = size.lookup("alice");
  EXPECT_EQ(entries.status, MANSIO_DEFER);
  EXPECT_THAT(entries.text, HasSubstr("size_limit"));
}

TEST_F(LdapTable, SearchesAsFarAsItsScope) {
  const auto status = [](const char *scope, const char *base) {
    FakeHost host{mansio_plugin_entry_1(), options({{"scope", scope}, {"search_base", base}})};
    return host.lookup("bob@example.com").status;
  };
  EXPECT_EQ(status("sub", "dc=example,dc=com"), MANSIO_OK);
  EXPECT_EQ(status("one", "dc=example,dc=com"), MANSIO_NOT_FOUND);
  EXPECT_EQ(status("one", "ou=people,dc=example,dc=com"), MANSIO_OK);
  EXPECT_EQ(status("base", "uid=bob,ou=people,dc=example,dc=com"), MANSIO_OK);
  EXPECT_EQ(status("sub", "ou=nothing,dc=example,dc=com"), MANSIO_DEFER) << "the configuration is wrong";
  EXPECT_EQ(status("sub", "ou=%u,dc=example,dc=com"), MANSIO_NOT_FOUND);
}

TEST_F(LdapTable, FollowsSpecialAttributesEachOnce) {
  FakeHost host{mansio_plugin_entry_1(), options({{"special_result_attribute", "member,memberURL"}})};
  EXPECT_THAT(host.lookup("team@example.com").values,
              UnorderedElementsAre("alice@store1.example.net", "alice@store2.example.net", "bob@store1.example.net"));
  EXPECT_THAT(host.lookup("byurl@example.com").values, ElementsAre("bob@store1.example.net"));
  FakeHost shallow{mansio_plugin_entry_1(),
                   options({{"special_result_attribute", "member"}, {"recursion_limit", "1"}})};
  const auto deep = shallow.lookup("team@example.com");
  EXPECT_EQ(deep.status, MANSIO_DEFER);
  EXPECT_THAT(deep.text, HasSubstr("recursion_limit"));
}

TEST_F(LdapTable, TellsLeavesAndTerminalEntriesFromGroups) {
  FakeHost host{mansio_plugin_entry_1(), options({{"result_attribute", ""},
                                                  {"special_result_attribute", "member,memberURL"},
                                                  {"leaf_result_attribute", "mail"},
                                                  {"terminal_result_attribute", "maildrop"}})};
  EXPECT_THAT(host.lookup("fixed@example.com").values, ElementsAre("fixed@lists.example.net"));
  FakeHost leaves{mansio_plugin_entry_1(), options({{"result_attribute", ""},
                                                    {"special_result_attribute", "member,memberURL"},
                                                    {"leaf_result_attribute", "mail"}})};
  EXPECT_THAT(leaves.lookup("team@example.com").values, UnorderedElementsAre("alice@example.com", "bob@example.com"));
  EXPECT_THAT(leaves.lookup("byurl@example.com").values, ElementsAre("bob@example.com", "alice@example.com"));
}

TEST_F(LdapTable, BindsWithAPassword) {
  FakeHost anonymous{mansio_plugin_entry_1(), options()};
  EXPECT_EQ(anonymous.lookup("carol@example.com").status, MANSIO_NOT_FOUND);
  FakeHost::Options reader{{"bind_dn", "cn=reader,dc=example,dc=com"}, {"bind_pw", "secret"}};
  FakeHost bound{mansio_plugin_entry_1(), options(reader)};
  EXPECT_EQ(bound.lookup("carol@example.com").status, MANSIO_OK);
  reader["bind_pw"] = "wrong";
  FakeHost refused{mansio_plugin_entry_1(), options(reader)};
  const auto reply = refused.lookup("bob@example.com");
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_THAT(reply.text, HasSubstr("Invalid credentials"));
  FakeHost none{mansio_plugin_entry_1(), options({{"bind", "none"}})};
  EXPECT_EQ(none.lookup("bob@example.com").status, MANSIO_OK);
}

TEST_F(LdapTable, BindsWithSasl) {
  FakeHost external{mansio_plugin_entry_1(),
                    options({{"server_host", slapd->local()}, {"bind", "sasl"}, {"sasl_mechs", "EXTERNAL"}})};
  EXPECT_EQ(external.lookup("carol@example.com").status, MANSIO_OK);
  FakeHost::Options scram{
      {"bind", "sasl"}, {"sasl_mechs", "SCRAM-SHA-256"}, {"bind_dn", "reader"}, {"bind_pw", "secret"}};
  FakeHost password{mansio_plugin_entry_1(), options(scram)};
  const auto reply = password.lookup("carol@example.com");
  EXPECT_EQ(reply.status, MANSIO_OK) << reply.text;
  scram["bind_pw"] = "wrong";
  FakeHost refused{mansio_plugin_entry_1(), options(scram)};
  EXPECT_EQ(refused.lookup("carol@example.com").status, MANSIO_DEFER);
}

TEST_F(LdapTable, SpeaksTlsToServersThatItCanTell) {
  const auto ask = [](FakeHost::Options o) {
    FakeHost host{mansio_plugin_entry_1(), options(std::move(o))};
    return host.lookup("bob@example.com");
  };
  const auto ca = slapd->dir / "cert.pem";
  EXPECT_EQ(ask({{"server_host", slapd->tls()}, {"tls_ca_cert_file", ca}}).status, MANSIO_OK);
  EXPECT_EQ(ask({{"start_tls", "true"}, {"tls_ca_cert_file", ca}}).status, MANSIO_OK);
  rig::Directory other;
  rig::certificate(other.path());
  for (const auto &server : {slapd->tls(), slapd->tcp()}) {
    const FakeHost::Options wrong{
        {"server_host", server}, {"start_tls", "true"}, {"tls_ca_cert_file", other / "cert.pem"}};
    EXPECT_EQ(ask(wrong).status, MANSIO_DEFER);
    auto lax = wrong;
    lax["tls_require_cert"] = "false";
    EXPECT_EQ(ask(lax).status, MANSIO_OK);
  }
}

TEST_F(LdapTable, GoesOnToTheNextServer) {
  FakeHost host{mansio_plugin_entry_1(),
                options({{"server_host", "127.0.0.1:" + std::to_string(rig::free_port()) + "," + slapd->tcp()}})};
  EXPECT_EQ(host.lookup("bob@example.com").status, MANSIO_OK);
}

TEST_F(LdapTable, TriesLaterWhileTheServerIsDownAndSurvivesItsRestart) {
  for (const auto *bind : {"simple", "none"}) {
    FakeHost host{mansio_plugin_entry_1(), options({{"bind", bind}})};
    std::vector<std::uint64_t> ops;
    for (int i = 0; i < 20; ++i) ops.push_back(host.look_up("bob@example.com"));
    for (const auto op : ops) EXPECT_EQ(host.finish(op).status, MANSIO_OK);
    slapd->server->stop();
    EXPECT_EQ(host.lookup("bob@example.com").status, MANSIO_DEFER);
    EXPECT_EQ(host.lookup("nobody@example.com").status, MANSIO_DEFER) << "never not found";
    slapd->start();
    EXPECT_EQ(host.lookup("bob@example.com").status, MANSIO_OK);
    EXPECT_EQ(host.lookup("nobody@example.com").status, MANSIO_NOT_FOUND);
    // Restarted between two lookups: the connections that were kept are dead.
    slapd->server->stop(SIGKILL);
    slapd->start();
    EXPECT_EQ(host.lookup("bob@example.com").status, MANSIO_OK);
  }
}

TEST_F(LdapTable, TriesLaterWhenTheServerHangs) {
  FakeHost host{mansio_plugin_entry_1(), options({{"timeout", "500ms"}})};
  // On a busy machine an answer may take longer than that.
  const auto answers = [&] { return host.lookup("bob@example.com").status == MANSIO_OK; };
  slapd->server->wait_until(answers);
  slapd->server->freeze();
  EXPECT_EQ(host.lookup("bob@example.com").status, MANSIO_DEFER);
  slapd->server->thaw();
  slapd->server->wait_until(answers);
}

TEST_F(LdapTable, RefusesOptionsThatItCannotUse) {
  const auto check = [&](const std::string &option, const std::string &value) {
    return FakeHost::check(mansio_plugin_entry_1(), options({{option, value}}));
  };
  EXPECT_THAT(check("server_host", "http://x"), HasSubstr("server_host has"));
  EXPECT_THAT(check("server_port", "0"), HasSubstr("server_port is 0"));
  EXPECT_THAT(check("search_base", "example.com"), HasSubstr("search_base is"));
  EXPECT_THAT(check("query_filter", "(mail=%s"), HasSubstr("query_filter is"));
  EXPECT_THAT(check("query_filter", "%x"), HasSubstr("query_filter is"));
  EXPECT_THAT(check("result_attribute", ""), HasSubstr("result_attribute is empty"));
  EXPECT_THAT(check("scope", "all"), HasSubstr("scope is"));
  EXPECT_THAT(check("bind", "maybe"), HasSubstr("bind is"));
  EXPECT_THAT(check("bind_dn", "cn=a"), HasSubstr("bind_pw is not given"));
  EXPECT_THAT(check("recursion_limit", "0"), HasSubstr("recursion_limit is 0"));
  EXPECT_THAT(check("timeout", "0"), HasSubstr("timeout is 0"));
  EXPECT_THAT(check("result_format", "%x"), HasSubstr("result_format is"));
  EXPECT_EQ(check("search_base", "ou=%2,dc=%1"), "");
}

TEST_F(LdapTable, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
