// Filters that a script provides by name, beside what it does for all that use it.
#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kTwoFilters = R"(
  mansio.on("rcpt", function(_, rcpt) if rcpt.localpart == "all" then return mansio.reject("5.7.1", "all") end end)
  mansio.provide("filter", "strict", {
    on_error = "defer",
    rcpt = function(_, rcpt)
      if rcpt.localpart == "fault" then error("a fault") end
      return mansio.reject("5.7.1", "strict " .. rcpt.localpart)
    end,
    helo = function(session, name) return mansio.reject("5.7.1", name) end,
  })
  mansio.provide("filter", "tags", {
    ["end-of-message"] = function(_, message) message:add_header("X-Tag", "yes") end,
  })
)";

struct Named {
  Named(const std::string &text, const std::string &name)
      : file(text), host(mansio_plugin_entry_1(), file.options(), {{"kind", "filter"}, {"instance", name}}) {}
  FakeResult at(std::uint32_t stage, std::vector<std::string> arguments = {}) {
    FakeStage s;
    s.stage = stage;
    s.arguments = std::move(arguments);
    return host.run(s);
  }
  ScriptFile file;
  FakeHost host;
};

TEST(LuaFilter, IsFoundByTheNameOfItsInstance) {
  Named strict{kTwoFilters, "strict"};
  EXPECT_TRUE(strict.host.wants(MANSIO_STAGE_HELO));
  EXPECT_FALSE(strict.host.wants(MANSIO_STAGE_END_OF_MESSAGE));
  EXPECT_EQ(strict.at(MANSIO_STAGE_RCPT, {"a@example.com"}).last->text, "strict a");
  EXPECT_EQ(strict.at(MANSIO_STAGE_HELO, {"client.example"}).last->text, "client.example");

  Named tags{kTwoFilters, "tags"};
  EXPECT_FALSE(tags.host.wants(MANSIO_STAGE_HELO));
  EXPECT_EQ(tags.at(MANSIO_STAGE_RCPT, {"a@example.com"}).last->status, MANSIO_OK);
  FakeStage end;
  end.stage = MANSIO_STAGE_END_OF_MESSAGE;
  end.content = "Subject: x\r\n\r\nbody\r\n";
  EXPECT_THAT(tags.host.run(end).edits, ::testing::ElementsAre("add_header X-Tag: yes"));

  // Under a name that it does not have, it is no filter, and the instance does not start.
  Named other{kTwoFilters, "stirct"};
  EXPECT_FALSE(other.host.watches_sessions());
  EXPECT_THAT(other.host.log, HasSubstr("; did you mean \"stirct\"?"));
  EXPECT_THAT(strict.host.log + tags.host.log, IsEmpty());
}

TEST(LuaFilter, IsAskedBehindTheHandlersOfAll) {
  Named strict{kTwoFilters, "strict"}, tags{kTwoFilters, "tags"};
  EXPECT_EQ(strict.at(MANSIO_STAGE_RCPT, {"all@example.com"}).last->text, "all");
  EXPECT_EQ(tags.at(MANSIO_STAGE_RCPT, {"all@example.com"}).last->text, "all");
}

TEST(LuaFilter, TakesTheOptionsOfHandlers) {
  Named strict{kTwoFilters, "strict"};
  EXPECT_EQ(strict.at(MANSIO_STAGE_RCPT, {"fault@example.com"}).last->status, MANSIO_DEFER);
  EXPECT_THAT(strict.host.log, AllOf(HasSubstr("a fault"), HasSubstr("stack traceback")));
  Named slow{R"(
    mansio.provide("filter", "slow", {timeout = "10ms", on_error = "accept", rcpt = function() mansio.sleep("1h") end})
  )",
             "slow"};
  EXPECT_EQ(slow.at(MANSIO_STAGE_RCPT, {"a@example.com"}).last->status, MANSIO_SKIP);
}

TEST(LuaFilter, IsTheSameInEveryState) {
  const ScriptFile file{R"(
    local n = 0
    mansio.provide("filter", "counts", {rcpt = function() n = n + 1; mansio.log.info("%d", n) end})
  )"};
  FakeHost host{mansio_plugin_entry_1(), file.options({{"state_uses", "2"}}), {{"instance", "counts"}}};
  FakeStage rcpt;
  rcpt.stage = MANSIO_STAGE_RCPT;
  rcpt.arguments = {"a@example.com"};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(host.run(rcpt).last->status, MANSIO_OK);
  EXPECT_EQ(host.log, "1\n2\n1\n");
}

TEST(LuaFilter, IsCheckedWhenItIsLoaded) {
  const auto filter = [](const std::string &object) {
    return problem("mansio.provide('filter', 'a', " + object + ")");
  };
  EXPECT_EQ(filter("{rcpt = function() end, timeout = '5s'}"), "");
  EXPECT_THAT(filter("{rctp = print}"), HasSubstr(R"(:1: mansio.provide has no option "rctp"; did you mean "rcpt"?)"));
  EXPECT_THAT(filter("{bounced = print}"), HasSubstr(R"(mansio.provide has no option "bounced")"));
  EXPECT_THAT(filter("{rcpt = 1}"), HasSubstr("expected a function for its field rcpt, got number"));
  EXPECT_THAT(filter("{timeout = '5s'}"), HasSubstr("expected a function for one event or more"));
  EXPECT_THAT(filter("{rcpt = print, on_error = 'defr'}"), HasSubstr("did you mean \"defer\"?"));
  EXPECT_THAT(filter("{rcpt = print, timeout = 'x'}"), HasSubstr("timeout is \"x\", expected a time"));
  EXPECT_THAT(problem("local f = {rcpt = print}\nmansio.provide('filter', 'a', f)\nmansio.provide('filter', 'a', f)"),
              HasSubstr(":3: the filter \"a\" is provided twice"));
}

}  // namespace
}  // namespace mansio::lua::testing
