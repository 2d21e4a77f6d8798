// Programs that run, and what stands around them, judged.
#include "plugins/pipe-common/process.hpp"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "mansio/config.hpp"
#include "plugins/pipe-common/account.hpp"
#include "plugins/pipe-common/surroundings.hpp"

namespace {

using namespace mansio::pipe;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string all_of(const Fd &fd) {
  std::string out;
  for (;;) {
    pollfd wait{fd.get(), POLLIN, 0};
    ::poll(&wait, 1, -1);
    char block[4096];
    const auto n = ::read(fd.get(), block, sizeof block);
    if (n <= 0) return out;
    out.append(block, static_cast<std::size_t>(n));
  }
}

// A test as root has its programs run as nobody.
Program shell(const std::string &script) {
  Program program;
  program.argv = {"/bin/sh", "-c", script};
  program.environment = read_environment({});
  program.directory = "/";
  program.account = account_to_become(::geteuid() == 0 ? "65534:65534" : "");
  return program;
}

void end(Process &process) {
  process.input.close();
  ::waitpid(process.pid, nullptr, 0);
}

std::string refusal(const std::vector<std::string> &environment) {
  try {
    read_environment(environment);
  } catch (const mansio::plugin::BadConfig &bad) {
    return bad.option + ' ' + bad.text;
  }
  return {};
}

TEST(Process, ErrorsComeWithTheOutputOrApart) {
  auto program = shell("echo one; echo two >&2");
  std::string why;
  auto together = start(program, why);
  ASSERT_TRUE(together) << why;
  EXPECT_EQ(all_of(together->output), "one\ntwo\n");
  EXPECT_FALSE(together->errors);
  end(*together);

  program.errors_apart = true;
  auto apart = start(program, why);
  ASSERT_TRUE(apart) << why;
  EXPECT_EQ(all_of(apart->output), "one\n");
  EXPECT_EQ(all_of(apart->errors), "two\n");
  end(*apart);
}

TEST(Process, SaysWhyAProgramCannotRun) {
  auto program = shell("");
  program.argv = {"/nonexistent/program"};
  std::string why;
  EXPECT_FALSE(start(program, why));
  EXPECT_EQ(why, "cannot run /nonexistent/program: No such file or directory");
  program = shell("");
  program.directory = "/nonexistent";
  EXPECT_FALSE(start(program, why));
  EXPECT_EQ(why, "cannot enter /nonexistent: No such file or directory");
}

TEST(Surroundings, AnEnvironmentHasValuesNamesOfOursAndAPath) {
  ::setenv("OURS_THAT_IS_NAMED", "passed on", 1);
  ::unsetenv("OURS_THAT_IS_NOT_THERE");
  EXPECT_THAT(read_environment({"A=b", "OURS_THAT_IS_NAMED", "OURS_THAT_IS_NOT_THERE"}),
              ElementsAre("A=b", "OURS_THAT_IS_NAMED=passed on", "PATH=/usr/bin:/bin"));
  EXPECT_THAT(read_environment({"PATH=/bin", "A="}), ElementsAre("PATH=/bin", "A="));
  EXPECT_THAT(refusal({"=x"}), HasSubstr("environment holds \"=x\""));
  EXPECT_THAT(refusal({""}), HasSubstr("environment holds \"\""));
}

}  // namespace
