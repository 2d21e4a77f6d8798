// `include` and secrets from files: how tables merge, that a problem names the file it is in, and that no message shows
// a secret.
#include <gmock/gmock.h>

#include "tests/unit/config/memory_files.hpp"

namespace mansio::config {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Include, MergesTablesOfFilesInTheOrderOfTheirNames) {
  const auto parsed = parse({
      {"/etc/m.toml", "include = [\"conf.d/*.toml\"]\n[smtpd]\ntimeout = 5\n" + std::string{kRest}},
      {"/etc/conf.d/20.toml", "[smtpd]\nbanner = \"b\"\n[[route]]\ndomain = [\"b.example\"]\ntransport = \"smtp\"\n"},
      {"/etc/conf.d/10.toml",
       "[transport.x]\nplugin = \"transport-x\"\n[[route]]\ndomain = [\"a.example\"]\ntransport = \"x\"\n"},
      {"/etc/conf.d/ignored.txt", "[["},
  });
  ASSERT_THAT(all(parsed), IsEmpty());
  EXPECT_EQ(parsed.settings.smtpd.banner, "b");
  EXPECT_EQ(parsed.settings.smtpd.timeout, 5 * kSecond);
  ASSERT_EQ(parsed.settings.routes.size(), 3u);
  EXPECT_EQ(parsed.settings.routes[0].transport, "x");
  EXPECT_EQ(parsed.settings.routes[0].where, "/etc/conf.d/10.toml:3");
  EXPECT_THAT(parsed.settings.routes[1].domain, ::testing::ElementsAre("b.example"));
  EXPECT_THAT(parsed.settings.routes[2].domain, IsEmpty());  // the including file's default stays last
}

TEST(Include, PatternsAreRelativeToTheIncludingFile) {
  const auto parsed = parse({
      {"/etc/m.toml", "include = [\"sub/a.toml\"]\n" + std::string{kRest}},
      {"/etc/sub/a.toml", "include = [\"b.toml\"]\n"},
      {"/etc/sub/b.toml", "spool = \"s\"\n"},
  });
  ASSERT_THAT(all(parsed), IsEmpty());
  EXPECT_EQ(parsed.settings.spool, "/etc/sub/s");
}

TEST(Include, TheSameOptionInTwoFilesNamesBothPlaces) {
  const auto parsed = parse({
      {"/etc/m.toml", "include = [\"a.toml\"]\n\n[smtpd]\ntimeout = 5\nmynetworks = []\n" + std::string{kRest}},
      {"/etc/a.toml", "[smtpd]\ntimeout = 5\nmynetworks = []\n"},
  });
  EXPECT_THAT(all(parsed),
              HasSubstr("/etc/m.toml:4: smtpd.timeout is given already at /etc/a.toml:2, expected in one file only\n"));
  EXPECT_THAT(all(parsed), HasSubstr("/etc/m.toml:5: smtpd.mynetworks is given already at /etc/a.toml:3"));
}

TEST(Include, ProblemsNameTheFileTheyAreIn) {
  const auto parsed =
      parse({{"/etc/m.toml", "include = [\"a.toml\"]\n" + std::string{kRest}}, {"/etc/a.toml", "\n\nspool = 5\n"}});
  EXPECT_THAT(all(parsed), HasSubstr("/etc/a.toml:3: spool is 5, expected a path"));
}

TEST(Include, AFileThatIsMissingBrokenOrComesTwiceIsAProblem) {
  const auto with = [](const std::string &include, std::map<std::string, std::string> files = {}) {
    files.emplace("/etc/m.toml", include + std::string{kRest});
    return all(parse(std::move(files)));
  };
  EXPECT_THAT(with("include = [\"no.toml\"]\n"), HasSubstr("/etc/m.toml:1: include /etc/no.toml cannot be read"));
  EXPECT_THAT(with("include = [\"no*.toml\"]\n"), IsEmpty());
  EXPECT_THAT(with("include = \"a.toml\"\n"), HasSubstr("include is a text, expected a list"));
  EXPECT_THAT(with("include = [5]\n"), HasSubstr("include expected a list of file patterns"));
  EXPECT_THAT(with("include = [\"m.toml\"]\n"), HasSubstr("/etc/m.toml is included more than once"));
  EXPECT_THAT(with("include = [\"a.toml\"]\n", {{"/etc/a.toml", "x = \n"}}), HasSubstr("/etc/a.toml:1: is not TOML"));
}

TEST(Secrets, AreReadFromFilesWithoutTheLastLineEnd) {
  const auto parsed = parse({
      {"/etc/m.toml", "postmaster_file = \"pm\"\n" + std::string{kRest} +
                          "[transport.x]\nplugin = \"transport-x\"\npassword = { file = \"/run/pw\" }\n"},
      {"/etc/pm", "boss@example.com\n"},
      {"/run/pw", " s3cret \n"},
  });
  ASSERT_THAT(all(parsed), IsEmpty());
  EXPECT_EQ(parsed.settings.postmaster, "boss@example.com");
  EXPECT_EQ(parsed.settings.transport("x")->options.at("password"), " s3cret ");
}

TEST(Secrets, ProblemsDoNotShowThem) {
  const auto parsed =
      parse({{"/etc/m.toml", "postmaster_file = \"pm\"\nuser = { file = \"pm\" }\n" + std::string{kRest}},
             {"/etc/pm", "hunter2 <x>\n"}});
  EXPECT_THAT(all(parsed), HasSubstr("/etc/m.toml:1: postmaster_file names a file whose content is not as expected"));
  EXPECT_THAT(all(parsed), HasSubstr("/etc/m.toml:2: user names a file"));
  EXPECT_THAT(all(parsed), ::testing::Not(HasSubstr("hunter2")));
}

TEST(Secrets, MustBeReadableTextAndGivenOnce) {
  const auto with = [](const std::string &text) {
    return all(parse(
        {{"/etc/m.toml", text + std::string{kRest}}, {"/etc/bin", "\xff\xfe"}, {"/etc/nul", std::string("a\0b", 3)}}));
  };
  EXPECT_THAT(with("postmaster_file = \"no\"\n"), HasSubstr("postmaster_file /etc/no cannot be read"));
  EXPECT_THAT(with("postmaster_file = \"bin\"\n"), HasSubstr("/etc/bin is not UTF-8 text"));
  EXPECT_THAT(with("postmaster_file = \"nul\"\n"), HasSubstr("/etc/nul is not UTF-8 text"));
  EXPECT_THAT(with("postmaster_file = 5\n"), HasSubstr("postmaster_file is 5, expected the path of a file"));
  EXPECT_THAT(with("postmaster = \"a\"\npostmaster_file = \"bin\"\n"),
              HasSubstr("stands beside postmaster at /etc/m.toml:1"));
  EXPECT_THAT(with("spool_file = \"bin\"\n"), HasSubstr("spool_file is not an option"));
}

}  // namespace
}  // namespace mansio::config
