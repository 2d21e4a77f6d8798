// What the configuration sets for a script of its own: mansio.config, and mansio.option() that declares it.
#include <string>
#include <utility>
#include <vector>

#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// As check(), for assertions about these settings.
std::string check_with(const FakeHost::Options &options, const std::string &text) {
  return problem(text + "\nmansio.on('connect', function() end)\n", options);
}

TEST(Config, IsWhatTheConfigurationSets) {
  EXPECT_EQ(check_with({{"settings", "domain=srs.example.com, days = 21"}, {"secrets", "# of the hashes\n\nkey = a,b=c \n"}},
                       R"(
    assert(mansio.config.domain == "srs.example.com")
    assert(mansio.config.days == "21")
    assert(mansio.config.key == "a,b=c")
  )"),
            "");
  Scripted s{"mansio.on('rcpt', function() return mansio.reject('5.7.1', mansio.config.why) end)",
             {{"settings", "why=not today"}}};
  EXPECT_EQ(s.rcpt("a@example.com").last->text, "not today");
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(Config, HasNoNameThatIsNotSetAndIsNotWritten) {
  const FakeHost::Options settings{{"settings", "domain=srs.example.com"}};
  EXPECT_THAT(check_with(settings, "local x = mansio.config.domian"),
              HasSubstr(R"(:1: mansio.config has no "domian"; did you mean "domain"?)"));
  EXPECT_THAT(problem("mansio.on('rcpt', function()\nreturn mansio.hold(mansio.config.domian) end)", settings),
              HasSubstr(R"(:2: mansio.config has no "domian"; did you mean "domain"?)"));
  for (const auto *const write : {"mansio.config.domain = 'x'", "mansio.config.new = 'x'"})
    EXPECT_THAT(check_with(settings, write), HasSubstr(":1: mansio.config cannot be changed: \"")) << write;
}

TEST(Config, IsDeclaredWithTypes) {
  EXPECT_EQ(check_with({{"settings", "days=21,share=0.5,strict=true,wait=5m,ours=a.example,ours=b.example,name=x"}}, R"(
    assert(mansio.option("days", {type = "integer"}) == 21)
    assert(mansio.option("share", {type = "number"}) == 0.5)
    assert(mansio.option("strict", {type = "boolean"}) == true)
    assert(mansio.option("wait", {type = "time"}) == 300)
    assert(table.concat(mansio.option("ours", {type = "list"}), " ") == "a.example b.example")
    assert(mansio.option("name") == "x" and mansio.option("other", {description = "another"}) == false)
    assert(mansio.config.days == 21 and mansio.config.ours[2] == "b.example" and mansio.config.other == false)
    assert(#mansio.option("none", {type = "list"}) == 0)
    assert(mansio.option("most", {type = "integer", default = 3}) == 3 and mansio.config.most == 3)
    assert(mansio.option("pause", {type = "time", default = "1m"}) == 60)
    assert(mansio.option("on", {type = "boolean", default = true}) == true)
  )"),
            "");
}

TEST(Config, SaysWhatIsWrongWithADeclaration) {
  const std::vector<std::pair<std::string, std::string>> slips{
      {"mansio.option('key', {required = true, description = 'of the hashes'})",
       R"(:1: the setting "key" (of the hashes) is not given, and the script needs it: settings or secrets of the)"},
      {"mansio.option('key', {requird = true})", R"(mansio.option has no option "requird"; did you mean "required"?)"},
      {"mansio.option('key', {type = 'int'})", R"(there is no type "int" of options; )"},
      {"mansio.option('key', {type = 'integer', default = '1'})", "expected an integer for default, got string"},
      {"mansio.option('key', {type = 'time', default = 'soon'})", R"(default is "soon", expected a time)"},
      {"mansio.option('key', {required = 1})", "expected true or false for required, got number"},
      {"mansio.option('key', {required = true, default = 'x'})", R"(what is required has no default: "key")"},
      {"mansio.option('a b')", R"("a b" is no name of a setting)"},
      {"mansio.option('a')\nmansio.option('a')", R"(:2: the option "a" is declared twice)"},
  };
  for (const auto &[text, expected] : slips) EXPECT_THAT(check_with({}, text), HasSubstr(expected)) << text;
  Scripted late{"mansio.on('connect', function() mansio.option('key') end)"};
  late.at(MANSIO_STAGE_CONNECT);
  EXPECT_THAT(late.host.log, HasSubstr("mansio.option works while the script is loaded"));
}

TEST(Config, SaysWhatIsWrongWithWhatIsSet) {
  const auto told = [](const std::string &settings, const std::string &text) {
    return check_with({{"settings", settings}}, text);
  };
  EXPECT_THAT(told("days=many", "mansio.option('days', {type = 'integer'})"),
              HasSubstr(R"(:1: the setting "days" is "many", expected an integer)"));
  EXPECT_THAT(told("wait=soon", "mansio.option('wait', {type = 'time'})"), HasSubstr("expected a time such as \"5s\""));
  EXPECT_THAT(told("on=1", "mansio.option('on', {type = 'boolean'})"), HasSubstr("expected true or false"));
  EXPECT_THAT(told("a=1,a=2", "mansio.option('a')"), HasSubstr(R"(the setting "a" is given 2 times, expected once)"));
  EXPECT_THAT(told("a=1,a=2", ""), HasSubstr(R"(the setting "a" is given more than once)"));
  EXPECT_THAT(told("secrt=x", "mansio.option('secret')"),
              HasSubstr(R"(the setting "secrt", which the script does not declare; did you mean "secret"?)"));
  EXPECT_THAT(told("nothing", ""), HasSubstr(R"(settings has "nothing", expected NAME=VALUE)"));
  EXPECT_THAT(told("1a=x", ""), HasSubstr(R"(settings has "1a=x", expected NAME=VALUE)"));
}

TEST(Config, ShowsNoSecret) {
  const auto told = [](const std::string &secrets, const std::string &text) {
    auto said = check_with({{"settings", "a=1"}, {"secrets", secrets}}, text);
    EXPECT_THAT(said, Not(HasSubstr("hush")));
    return said;
  };
  EXPECT_THAT(told("b=1\nhush", ""), HasSubstr("secrets has in line 2 no NAME=VALUE"));
  EXPECT_THAT(told("a=hush", ""), HasSubstr(R"(secrets has in line 1 "a", which settings has, too)"));
  EXPECT_THAT(told("b=hush", "mansio.option('a') mansio.option('b', {type = 'integer'})"),
              HasSubstr(R"(the setting "b" of secrets is not as it should be, expected an integer)"));
}

}  // namespace
}  // namespace mansio::lua::testing
