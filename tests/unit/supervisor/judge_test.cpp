// The judgement that `mansio check`, every start and every reload share.
#include "kernel/supervisor/judge.hpp"

#include <gmock/gmock.h>

#include "tests/support/self_signed.hpp"
#include "tests/unit/config/memory_files.hpp"

namespace mansio::supervisor {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Line 1 is `first`; the transport's options begin in line 7.
std::string configuration(const std::string &first, const std::string &transport = "name = \"n\"") {
  return first + "\nplugin_dir = \"" MANSIO_FIXTURES "\"" + R"(
[listener.smtp]
listen = ["127.0.0.1:2525"]
[transport.odd]
plugin = "transport-odd"
)" + transport +
         R"(
[[route]]
transport = "odd"
)";
}

std::string problems(std::map<std::string, std::string> files, bool as_root = false) {
  config::MemoryFiles memory{std::move(files)};
  std::string out;
  for (const auto &problem : judge("/etc/m.toml", memory, as_root).problems) out += to_string(problem) + '\n';
  return out;
}
std::string problems(const std::string &text, bool as_root = false) {
  return problems(std::map<std::string, std::string>{{"/etc/m.toml", text}}, as_root);
}

TEST(Judge, LetsAConfigurationPassThatIsFine) {
  config::MemoryFiles files{{{"/etc/m.toml", configuration("myhostname = \"mx.example.com\"")}}};
  const auto judged = judge("/etc/m.toml", files, false);
  EXPECT_THAT(judged.problems, IsEmpty());
  EXPECT_EQ(judged.plugin_dir, MANSIO_FIXTURES);
  EXPECT_EQ(judged.needs.size(), 1u);
  EXPECT_EQ(judged.uid, -1);
}

TEST(Judge, ReportsWhatThePluginSaysOfValuesWithFileLineAndKey) {
  const auto text = problems(configuration("", "name = \"n\"\nmode = \"picky\"\nlimit = 5"));
  EXPECT_THAT(text, HasSubstr("/etc/m.toml:9: transport.odd.limit is 5, expected another\n"));
  EXPECT_THAT(text, HasSubstr("/etc/m.toml:5: transport.odd do not go together\n"));
}

TEST(Judge, ReportsUnknownAndMissingOptionsAndWrongTypesOfAPlugin) {
  const auto text = problems(configuration("", "limits = 5\nlimit = \"much\"\ncolour = \"red\""));
  EXPECT_THAT(text, HasSubstr(":7: transport.odd.limits is not an option of transport-odd; did you mean limit?\n"));
  EXPECT_THAT(text, HasSubstr(":8: transport.odd.limit is \"much\", expected a size"));
  EXPECT_THAT(text,
              HasSubstr(":9: transport.odd.colour is not an option of transport-odd, which has mode, limit, name"));
  EXPECT_THAT(text, HasSubstr(":5: transport.odd.name is missing; transport-odd demands it\n"));
}

TEST(Judge, ReportsAnOptionThatThePluginDoesNotGetAsMansioHasOneOfThatName) {
  const auto text = problems(configuration("", "name = \"n\"\nthreads = 5"));
  EXPECT_THAT(text, HasSubstr(":8: transport.odd.threads is an option of Mansio's wherever a plugin is named, so that "
                              "transport-odd does not get its own of that name; it has to call that otherwise\n"));
}

TEST(Judge, AsksFiltersAndPoliciesLikeTransports) {
  const auto text = problems(configuration("",
                                           "name = \"n\"\n[filter.f]\nplugin = \"filter-odd\"\nstages = \"x\"\n"
                                           "[policy.p]\nplugin = \"transport-odd\"\nname = \"n\""));
  EXPECT_THAT(text, HasSubstr("/etc/m.toml:10: filter.f.stages is \"x\", expected an integer"));
  EXPECT_THAT(text, HasSubstr(":12: policy.p.plugin is \"transport-odd\", which does not offer mansio.policy/1~draft"));
}

TEST(Judge, WhatKeepsStateHasToHaveAProcessOfItsOwn) {
  const std::string tables =
      "name = \"n\"\n[lookup.l]\nplugin = \"keeps-state\"\n[filter.f]\nplugin = \"keeps-state\"\n";
  const auto text = problems(configuration("", tables));
  for (const auto *where : {"/etc/m.toml:8: lookup.l", "/etc/m.toml:10: filter.f"})
    EXPECT_THAT(text, HasSubstr(std::string{where} + ".isolation is \"inproc\", but keeps-state writes files, starts "
                                                     "programs or keeps state, which the processes that would run it "
                                                     "may not; expected \"process\"\n"));
  auto alone = tables;
  for (const auto *name : {"[lookup.l]\n", "[filter.f]\n"})
    alone.insert(alone.find(name) + std::string_view{name}.size(), "isolation = \"process\"\n");
  EXPECT_THAT(problems(configuration("", alone)), IsEmpty());
}

TEST(Judge, AsksEventPluginsToo) {
  const auto text = problems(configuration("",
                                           "name = \"n\"\n[event.e]\nplugin = \"event-odd\"\nevents = \"x\"\n"
                                           "[event.t]\nplugin = \"transport-odd\"\nname = \"n\""));
  EXPECT_THAT(text, HasSubstr("/etc/m.toml:10: event.e.events is \"x\", expected an integer"));
  EXPECT_THAT(text, HasSubstr(":12: event.t.plugin is \"transport-odd\", which does not offer mansio.event/1~draft"));
}

TEST(Judge, AsksThePluginsAlsoWhenTheKernelHasComplaintsOfItsOwn) {
  const auto text = problems(configuration("nosuch = 1", "name = 1.5\nmode = \"picky\"\n[smtpd]\ntimeout = \"xx\""));
  EXPECT_THAT(text, HasSubstr(":1: nosuch is not an option"));
  EXPECT_THAT(text, HasSubstr(":10: smtpd.timeout"));
  EXPECT_THAT(text, HasSubstr("transport.odd do not go together"));
}

TEST(Judge, SaysOnceWhatCouldNotBeRead) {
  const auto text = problems(configuration("", "name = { file = \"/gone\" }"));
  EXPECT_THAT(text, HasSubstr("/gone cannot be read"));
  EXPECT_THAT(text, Not(HasSubstr("is missing")));
}

TEST(Judge, NamesThePluginsThatThereAre) {
  const auto text = problems(configuration("", "name = \"n\"\n[transport.two]\nplugin = \"transport-nope\""));
  EXPECT_THAT(text, AllOf(HasSubstr(":9: transport.two.plugin is \"transport-nope\""), HasSubstr("transport-odd")));
}

TEST(Judge, ATemplateThatCannotBeUsedIsRefusedWithBothPlaces) {
  const auto text = configuration("", "name = \"n\"\n[queue]\nbounce_template_file = \"/etc/bounce.cf\"");
  EXPECT_THAT(problems({{"/etc/m.toml", text}, {"/etc/bounce.cf", "# ours\nnonsense\n"}}),
              AllOf(HasSubstr("/etc/m.toml:9: queue.bounce_template_file names a file that cannot be used: "
                              "/etc/bounce.cf:2: expected failure_template"),
                    Not(HasSubstr("postmaster"))));
  EXPECT_THAT(problems(text),
              HasSubstr(":9: queue.bounce_template_file names /etc/bounce.cf, which cannot be read: No"));
}

TEST(Judge, TheUserMustExistWhereProcessesWillDropToIt) {
  const auto text = configuration("user = \"no-such-user\"");
  EXPECT_THAT(problems(text, true),
              HasSubstr("/etc/m.toml:1: user is \"no-such-user\", but there is no such system user"));
  EXPECT_THAT(problems(text, false), IsEmpty());
  config::MemoryFiles files{{{"/etc/m.toml", configuration("user = \"root\"")}}};
  EXPECT_EQ(judge("/etc/m.toml", files, true).uid, 0);
}

TEST(Judge, AFileThatIsNoTomlIsOneProblem) {
  const auto text = problems("spool = \n[", true);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
}

class JudgeCertificate : public ::testing::Test {
 protected:
  std::string with(const std::string &certificate, const std::string &key, const std::string &tables) {
    return problems({{"/etc/m.toml", configuration("", "name = \"n\"\n" + tables)},
                     {"/etc/cert.pem", certificate},
                     {"/etc/key.pem", key}});
  }
  const std::string server_ = "[smtpd]\ntls_cert_file = \"/etc/cert.pem\"\ntls_key_file = \"/etc/key.pem\"\n";
  const mansio::testing::CertificateAndKey pair_ = mansio::testing::self_signed();
};

TEST_F(JudgeCertificate, APairThatBelongsTogetherPasses) {
  EXPECT_THAT(with(pair_.certificate, pair_.key, server_), IsEmpty());
}

TEST_F(JudgeCertificate, JunkIsRefusedAtTheSettingThatNamesIt) {
  EXPECT_THAT(with("junk", pair_.key, server_),
              HasSubstr("/etc/m.toml:9: smtpd.tls_cert_file names /etc/cert.pem, which cannot be used"));
  EXPECT_THAT(with(pair_.certificate, "junk", server_),
              HasSubstr("/etc/m.toml:10: smtpd.tls_key_file names /etc/key.pem, which cannot be used"));
}

TEST_F(JudgeCertificate, AKeyOfAnotherCertificateIsRefused) {
  const auto other = mansio::testing::self_signed();
  EXPECT_THAT(with(pair_.certificate, other.key, server_),
              HasSubstr("/etc/m.toml:10: smtpd.tls_key_file names /etc/key.pem, which is not the key of the first "
                        "certificate in /etc/cert.pem; expected a pair"));
}

TEST_F(JudgeCertificate, AListenersOwnPairIsJudgedAtItsPlace) {
  const auto text = with(pair_.certificate, pair_.key,
                         "[listener.two]\nlisten = [\"127.0.0.1:2526\"]\ntls_cert_file = \"/etc/cert.pem\"\n"
                         "tls_key_file = \"/etc/gone.pem\"\n");
  EXPECT_THAT(text, HasSubstr("/etc/m.toml:11: listener.two.tls_key_file names /etc/gone.pem, which cannot be read: No "
                              "such file or directory; expected a private key in PEM\n"));
}

}  // namespace
}  // namespace mansio::supervisor
