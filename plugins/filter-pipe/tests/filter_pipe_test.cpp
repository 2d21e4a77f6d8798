// filter-pipe on the fake host: what a program says by its exit status and its output, and that one that hangs, floods
// or dies is a failure and no verdict.
#include <gmock/gmock.h>
#include <pwd.h>
#include <unistd.h>

#include <stdexcept>

#include "mansio/testing/fake_host.hpp"
#include "plugins/testing/readme.hpp"

namespace {

using mansio::testing::FakeHost;
using mansio::testing::FakeResult;
using mansio::testing::FakeStage;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kMessage = "From: a@example.com\r\nSubject: one\r\n two\r\nX-A: 1\r\nx-a: 2\r\n\r\nbody\r\n";

// A test as root has its programs run as nobody.
FakeHost::Options with_user(FakeHost::Options options) {
  if (::geteuid() == 0) options.try_emplace("user", "nobody");
  return options;
}

FakeResult run(const std::string &script, FakeHost::Options options = {}, FakeStage stage = {}) {
  options = with_user(std::move(options));
  options.emplace("command", "/bin/sh,-c," + script);
  FakeHost host{mansio_plugin_entry_1(), options};
  stage.stage = MANSIO_STAGE_END_OF_MESSAGE;
  if (stage.content.empty()) stage.content = kMessage;
  auto result = host.run(stage);
  EXPECT_THAT(host.faults, IsEmpty());
  return result;
}

TEST(FilterPipe, TakesAMessageAsItIsFromAProgramThatGivesItBack) {
  for (const auto *script : {"cat", "cat >/dev/null", "exit 0", "tr -d '\\r'"}) {
    const auto result = run(script);
    EXPECT_EQ(result.last->status, MANSIO_OK) << script;
    EXPECT_THAT(result.edits, IsEmpty()) << script;
  }
}

TEST(FilterPipe, HasTheExitStatusForItsVerdict) {
  for (const int status : {65, 69, 77, 100}) {
    const auto result = run("echo no thanks >&2; exit " + std::to_string(status));
    EXPECT_EQ(result.last->status, MANSIO_FAIL) << status;
    EXPECT_EQ(result.last->text, "no thanks");
  }
  EXPECT_EQ(run("echo later; exit 75").last->status, MANSIO_DEFER);
  EXPECT_EQ(run("echo later; exit 75").last->text, "later");
  EXPECT_THAT(run("echo junk >&2; exit 99").edits, ElementsAre("discard junk"));
  EXPECT_THAT(run("echo odd >&2; exit 98").edits, ElementsAre("hold odd"));
}

TEST(FilterPipe, FailsWhereTheProgramSaysNothingThatItKnows) {
  for (const auto *script : {"exit 1", "kill -9 $$", "exit 127"})
    EXPECT_EQ(run(script).last->status, MANSIO_INTERNAL) << script;
  FakeHost host{mansio_plugin_entry_1(), with_user({{"command", "/nonexistent/program"}})};
  const auto result = host.run(FakeStage{.stage = MANSIO_STAGE_END_OF_MESSAGE, .content = kMessage});
  EXPECT_EQ(result.last->status, MANSIO_INTERNAL);
  EXPECT_THAT(result.last->text, HasSubstr("No such file"));
}

TEST(FilterPipe, EndsAProgramAtItsTimeAndOneThatFloods) {
  FakeStage stage;
  stage.time_limit = std::chrono::milliseconds{50};
  EXPECT_THAT(run("sleep 1000", {}, stage).last->text, HasSubstr("after its time"));
  EXPECT_THAT(run("yes", {{"output_limit", "1M"}}).last->text, HasSubstr("output_limit"));
}

TEST(FilterPipe, EditsTheFieldsAndTheBodyThatTheProgramChanged) {
  EXPECT_THAT(run("sed 's/^Subject: one/Subject: new/'").edits,
              ElementsAre("delete_header 1 Subject", "insert_header 1 Subject:  new\r\n two"));
  EXPECT_THAT(run("echo 'X-Spam: yes'; cat").edits, ElementsAre("insert_header 0 X-Spam:  yes"));
  EXPECT_THAT(run("grep -v '^x-a'").edits, ElementsAre("delete_header 2 x-a"));
  EXPECT_THAT(run("sed 's/^body/new/'").edits, ElementsAre("replace_body ", "replace_body new\r\n"));
  EXPECT_THAT(run("sed 's/^body/new/'", {{"rewrite", "false"}}).edits, IsEmpty());
}

TEST(FilterPipe, TakesNoLineForPeopleForAMessage) {
  for (const auto *script :
       {"echo OK", "echo; cat", "echo 'From a Mon Jan 1'; cat", "echo usage: filter FILE; echo try"})
    EXPECT_THAT(run(script).last->text, HasSubstr("no message")) << script;
  EXPECT_EQ(run("echo OK", {{"rewrite", "false"}}).last->status, MANSIO_OK);
}

TEST(FilterPipe, TakesNoMessageThatSomebodyStillWrites) {
  EXPECT_THAT(run("cat; sleep 1000 &").last->text, HasSubstr("still writes"));
  EXPECT_EQ(run("cat; sleep 1000 >/dev/null 2>&1 &").last->status, MANSIO_OK);
}

TEST(FilterPipe, TellsTheProgramOfTheSessionInItsEnvironment) {
  FakeStage stage;
  stage.macros = {{"sender", "a@example.com"}, {"client_address", "192.0.2.1"}, {"helo_name", "evil\nname"}};
  EXPECT_EQ(run("echo \"$SENDER $CLIENT_ADDRESS $HELO_NAME $QUEUE_ID\" >&2; exit 69", {}, stage).last->text,
            "a@example.com 192.0.2.1 evil?name 0123456789ABC");
}

TEST(FilterPipe, GivesTheProgramTheEnvironmentAndTheDirectoryThatItIsToHave) {
  ::setenv("OURS_THAT_IS_NAMED", "passed on", 1);
  ::setenv("MANSIO_TEST_SECRET", "x", 1);
  EXPECT_EQ(run("echo \"[$PATH|$LC_ALL|$MANSIO_TEST_SECRET]\" >&2; exit 69").last->text,
            "[/usr/local/bin:/usr/bin:/bin|C|]");
  FakeStage stage;
  stage.macros = {{"sender", "a@example.com"}};
  EXPECT_EQ(run("echo \"$PATH $HOME $OURS_THAT_IS_NAMED $SENDER $PWD\" >&2; exit 69",
                {{"environment", "HOME=/nowhere,OURS_THAT_IS_NAMED"}, {"directory", "/usr"}}, stage)
                .last->text,
            "/usr/bin:/bin /nowhere passed on a@example.com /usr");
}

TEST(FilterPipe, TheUserIsHonouredOrRefused) {
  const auto *const script = "echo \"$(id -u) $(id -G)\" >&2; exit 69";
  const auto refusal = [&](const std::string &user) -> std::string {
    try {
      FakeHost{mansio_plugin_entry_1(), {{"command", "/bin/true"}, {"user", user}}};
    } catch (const std::runtime_error &e) {
      return e.what();
    }
    return {};
  };
  if (::geteuid() == 0) {
    const auto uid = std::to_string(::getpwnam("nobody")->pw_uid);
    EXPECT_EQ(run(script, {{"user", "nobody:65534"}}).last->text, uid + " 65534");
    EXPECT_THAT(refusal(""), HasSubstr("this process is root, as whom no command is run"));
  } else {
    const auto ours = std::to_string(::geteuid()) + ':' + std::to_string(::getegid());
    EXPECT_EQ(run("exit 69", {{"user", ours}}).last->status, MANSIO_FAIL);
    EXPECT_THAT(refusal(std::to_string(::geteuid() + 1)), HasSubstr("cannot change that"));
  }
}

TEST(FilterPipe, MayUseTheNetworkAsProgramsDo) { EXPECT_NE(mansio_plugin_entry_1()->needs & MANSIO_NEEDS_NETWORK, 0u); }

TEST(FilterPipe, FeedsLargeMessagesToProgramsThatReadThemOrDoNot) {
  FakeStage stage;
  stage.content = "Subject: x\r\n\r\n";
  for (int i = 0; i < 40'000; ++i) stage.content += std::string(76, 'x') + "\r\n";
  EXPECT_EQ(run("cat", {}, stage).last->status, MANSIO_OK);
  EXPECT_EQ(run("exit 69", {}, stage).last->status, MANSIO_FAIL);
}

TEST(FilterPipe, RefusesOptionsThatItCannotUse) {
  const auto problems = [](FakeHost::Options options) {
    options.try_emplace("command", "/bin/true");
    return FakeHost::check(mansio_plugin_entry_1(), options);
  };
  EXPECT_EQ(problems({}), "");
  EXPECT_THAT(problems({{"command", "spamc,-E"}}), HasSubstr("absolute path"));
  EXPECT_THAT(problems({{"user", "no-such-user"}}), HasSubstr("user names the user no-such-user, which is not there"));
  EXPECT_THAT(problems({{"user", "root"}}), HasSubstr("expected another user than root"));
  EXPECT_THAT(problems({{"user", "65534:root"}}), HasSubstr("expected another group than root's"));
  EXPECT_THAT(problems({{"directory", "/nonexistent/directory"}}), HasSubstr("which is not there"));
  EXPECT_THAT(problems({{"environment", "=x"}}), HasSubstr("environment holds \"=x\", expected NAME=VALUE"));
  EXPECT_THAT(problems({{"environment", "SENDER=x"}}),
              HasSubstr("environment holds \"SENDER\", expected another name"));
  EXPECT_THAT(problems({{"environment", "QUEUE_ID=x"}}), HasSubstr("environment holds \"QUEUE_ID\""));
  EXPECT_THAT(problems({{"output_limit", "0"}}), HasSubstr("output_limit is 0"));
}

TEST(FilterPipe, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
