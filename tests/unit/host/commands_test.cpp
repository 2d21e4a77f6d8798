// Commands of plugins (tests/fixtures/commands.c, as a lookup), as the process calls them that has the instance.
#include <gmock/gmock.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernel/host/commands.hpp"
#include "kernel/host/lookup.hpp"
#include "tests/unit/host/host_rig.hpp"

namespace mansio::host {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using wire::CalledStatus;

class CommandsTest : public HostTest {
 protected:
  void create() {
    const auto plugin = load_plugin(MANSIO_FIXTURES "/commands.so");
    ASSERT_TRUE(plugin.ok()) << plugin.error().text;
    auto made = LookupInstance::create({loop_, clock_, log_, dns_, nullptr, nullptr, nullptr, &desk_}, **plugin,
                                       {"odd", {}, {}, {}});
    ASSERT_TRUE(made.ok()) << made.error().text;
    instance_ = std::move(*made);
  }
  wire::PluginCalled call(std::string command, std::vector<std::string> arguments = {},
                          std::string instance = "lookup.odd", Nanos within = 60 * kSecond) {
    std::optional<wire::PluginCalled> said;
    desk_.call({1, std::move(instance), std::move(command), std::move(arguments), within},
               [&](wire::PluginCalled &&called) { said = std::move(called); });
    EXPECT_TRUE(until([&] { return said.has_value(); }));
    return said.value_or(wire::PluginCalled{});
  }

  Commands desk_;
  std::unique_ptr<LookupInstance> instance_;
};

TEST_F(CommandsTest, ACommandGetsItsArgumentsAndAnswers) {
  create();
  const auto said = call("echo", {"a b", ""});
  EXPECT_EQ(said.status, CalledStatus::Ok);
  EXPECT_EQ(said.text, "said");
  EXPECT_THAT(said.values, ElementsAre("a b", ""));
  EXPECT_EQ(call("fail").status, CalledStatus::Failed);
  EXPECT_EQ(call("fail").text, "not that");
}

TEST_F(CommandsTest, OneThatIsNotThereIsToldFromAnInstanceThatIsNot) {
  create();
  const auto said = call("nonsense");
  EXPECT_EQ(said.status, CalledStatus::NoCommand);
  EXPECT_THAT(said.values, Contains("echo: ARGUMENT...: says it again"));
  EXPECT_EQ(said.values.size(), 4u);  // the bad names are not there
  EXPECT_EQ(call("echo", {}, "filter.odd").status, CalledStatus::NotHere);
  EXPECT_EQ(call("echo", {}, "odd").status, CalledStatus::NotHere);
}

TEST_F(CommandsTest, NoneIsTakenAfterCreate) {
  create();
  EXPECT_EQ(call("late").text, "refused");
  EXPECT_EQ(call("another").status, CalledStatus::NoCommand);
}

TEST_F(CommandsTest, OneThatSaysNothingEndsAtItsTimeLimitAndTheInstanceGoesOn) {
  create();
  const auto said = call("silent", {}, "lookup.odd", 20 * kMillisecond);
  EXPECT_EQ(said.status, CalledStatus::Failed);
  EXPECT_THAT(said.text, HasSubstr("time limit"));
  EXPECT_EQ(call("echo").status, CalledStatus::Ok);
}

TEST_F(CommandsTest, MoreThanAMessageHoldsIsCutOff) {
  create();
  const auto said = call("echo", std::vector<std::string>(100, std::string(1000, 'x')));
  EXPECT_LT(said.values.size(), 30u);
  EXPECT_EQ(said.values.back(), "...");
}

TEST_F(CommandsTest, AnInstanceThatHasGoneIsNotHere) {
  create();
  instance_.reset();
  EXPECT_EQ(call("echo").status, CalledStatus::NotHere);
}

}  // namespace
}  // namespace mansio::host
