// Commands for operators: the C++ wrapper and the fake host together.
#include "mansio/command.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "mansio/loop.hpp"
#include "mansio/testing/fake_host.hpp"

namespace mansio::plugin {
namespace {

using mansio::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::Pair;

class Told {
 public:
  static constexpr Info info{"lookup-told", "1.0"};
  static constexpr std::uint32_t draft_build = MANSIO_DRAFT_BUILD;
  static constexpr mansio_option options[] = {{"extra", MANSIO_OPT_TEXT, 0, "", "one more command"}, {}};
  explicit Told(Host host) : host_(host), commands_(host), extra_(host.option("extra")) {
    commands_.add<&Told::echo>("echo", "what it is told", this);
    commands_.add<&Told::wait>("wait", "", this);
    if (!extra_.empty()) commands_.add<&Told::echo>(extra_.c_str(), "", this);
  }
  Reply lookup(std::string_view, std::string_view) {
    try {
      commands_.add<&Told::echo>("late", "", this);
    } catch (const std::invalid_argument &) {
      return not_found();
    }
    return found("taken");
  }

 private:
  Reply echo(const std::vector<std::string> &arguments) {
    if (arguments.empty()) throw std::runtime_error{"nothing to echo"};
    if (arguments[0] == "no") return command_failed("not that");
    return command_done("said", arguments);
  }
  void wait(std::vector<std::string> arguments, Token token) { answer(std::move(token), later(std::move(arguments))); }
  Task<Reply> later(std::vector<std::string> arguments) {
    co_await Sleep{host_, 1'000'000};
    co_return command_done(arguments.empty() ? "waited" : arguments[0]);
  }

  Host host_;
  Commands commands_;
  std::string extra_;
};

const mansio_plugin *told() { return Glue<Told, LookupKind>::entry(); }

TEST(Command, GetsItsArgumentsAndAnswersInLines) {
  FakeHost host{told()};
  const auto said = host.command("echo", {"a b", ""});
  EXPECT_EQ(said.status, MANSIO_OK);
  EXPECT_EQ(said.text, "said");
  EXPECT_THAT(said.values, ElementsAre("a b", ""));
  EXPECT_THAT(host.commands(), ElementsAre(Pair("echo", "what it is told"), Pair("wait", "")));
}

TEST(Command, FailsWithAReasonAlsoWhenItThrows) {
  FakeHost host{told()};
  EXPECT_EQ(host.command("echo", {"no"}).status, MANSIO_FAIL);
  EXPECT_EQ(host.command("echo", {"no"}).text, "not that");
  EXPECT_EQ(host.command("echo").status, MANSIO_INTERNAL);
  EXPECT_EQ(host.command("echo").text, "nothing to echo");
}

TEST(Command, MayAnswerLater) {
  FakeHost host{told()};
  EXPECT_EQ(host.command("wait", {"so"}).text, "so");
}

TEST(Command, IsRefusedOnceTheInstanceIsThere) {
  FakeHost host{told()};
  EXPECT_EQ(host.lookup("x").status, MANSIO_NOT_FOUND);
}

TEST(Command, WithABadOrADoubledNameIsRefused) {
  for (const auto *name : {"echo", "Upper", "two words", "-x", "\xc3\xa4"})
    EXPECT_THROW((FakeHost{told(), {{"extra", name}}}), std::runtime_error) << name;
  EXPECT_NO_THROW((FakeHost{told(), {{"extra", "re_lease-2"}}}));
}

}  // namespace
}  // namespace mansio::plugin
