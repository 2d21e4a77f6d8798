// mansio.spawn: what runs beside, and how it ends.
#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Spawn, WaitsForSeveralThingsAtOnce) {
  const ScriptFile file{R"(
    mansio.on("rcpt", function()
      local order = {}
      local slow = mansio.spawn(function() mansio.sleep("2s") order[#order + 1] = "slow" end)
      local fast = mansio.spawn(function(a, b)
        mansio.sleep("1s")
        order[#order + 1] = a .. b
        return 1, nil, "three"
      end, "fa", "st")
      order[#order + 1] = "begun"
      slow:join()
      local one, two, three = fast:join()
      return mansio.reject("5.7.1", table.concat(order, " ") .. " " .. one .. tostring(two) .. three)
    end)
  )"};
  constexpr std::int64_t kBegin = 1'000'000'000'000'000'000;
  FakeHost host{mansio_plugin_entry_1(), file.options(), {{"virtual_clock", std::to_string(kBegin)}}};
  FakeStage stage;
  stage.stage = MANSIO_STAGE_RCPT;
  stage.arguments = {"a"};
  EXPECT_EQ(host.run(stage).last->text, "begun fast slow 1nilthree") << host.log;
  EXPECT_EQ(host.now(), kBegin + 2'000'000'000);
  EXPECT_THAT(host.faults, IsEmpty());
}

TEST(Spawn, TakesAFunctionOfTheEngine) {
  Scripted s{R"(
    mansio.on("rcpt", function(_, rcpt)
      local one, two = mansio.spawn(mansio.lookup, "users", rcpt.address), mansio.spawn(mansio.lookup, "users", "b")
      return mansio.reject("5.7.1", tostring(one:join()) .. tostring(two:join()))
    end)
  )"};
  s.host.tables[{"users", "a"}] = {MANSIO_OK, {"x"}, ""};
  EXPECT_EQ(s.rcpt("a").last->text, "xnil") << s.host.log;
}

TEST(Spawn, HandsItsErrorToTheOneThatJoins) {
  Scripted s{R"(
    mansio.on("rcpt", function(_, rcpt)
      local task = mansio.spawn(function()
        if rcpt.address == "table" then return mansio.lookup("users", "slow") end
        error("as asked")
      end)
      if rcpt.address == "caught" then return mansio.reject("5.7.1", select(2, pcall(task.join, task))) end
      task:join()
    end)
  )"};
  s.host.tables[{"users", "slow"}] = {MANSIO_DEFER, {}, "away"};
  EXPECT_THAT(s.rcpt("caught").last->text, HasSubstr("as asked"));
  EXPECT_EQ(s.rcpt("table").last->status, MANSIO_DEFER);
  EXPECT_EQ(s.rcpt("fault").last->status, MANSIO_INTERNAL);
}

TEST(Spawn, EndsWithItsHandler) {
  Scripted s{R"(
    mansio.on("rcpt", function()
      mansio.spawn(function() mansio.sleep("1h") end)
      mansio.spawn(function() error("nobody hears") end)
      mansio.sleep("1ms")
    end)
    mansio.on("rcpt", function() return mansio.reject("5.7.1", "second") end)
  )"};
  EXPECT_EQ(s.rcpt("a").last->text, "second");
  EXPECT_THAT(s.host.log, HasSubstr("a task failed, and nobody joined it: "));
  EXPECT_THAT(s.host.log, HasSubstr("nobody hears"));
}

TEST(Spawn, EndsWithItsCall) {
  Scripted s{R"(
    mansio.on("rcpt", {timeout = "20ms", on_error = "accept"}, function()
      local task = mansio.spawn(function() mansio.sleep("1h") end)
      task:join()
    end)
    mansio.on("rcpt", function() return mansio.reject("5.7.1", "second") end)
    mansio.on("mail", function() mansio.spawn(mansio.sleep, "1h"):join() end)
  )"};
  EXPECT_EQ(s.rcpt("a").last->text, "second");
  EXPECT_THAT(s.host.log, HasSubstr("waiting for a task"));
  FakeStage stage;
  stage.stage = MANSIO_STAGE_MAIL;
  stage.arguments = {"a"};
  const auto op = s.host.show(stage);
  s.host.cancel(op);
  EXPECT_EQ(s.host.finish(op).status, MANSIO_CANCELLED);
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(Spawn, SharesTheBudgetsOfItsCall) {
  Scripted s{R"(
    mansio.on("rcpt", function(_, rcpt)
      if rcpt.address == "loop" then
        mansio.spawn(function() while true do end end)
        while true do mansio.sleep("1ms") end
      elseif rcpt.address == "many" then
        while true do mansio.spawn(mansio.sleep, "1h") end
      end
    end)
  )",
             {{"instructions_limit", "1000000"}, {"time_limit", "10s"}}};
  EXPECT_EQ(s.rcpt("loop").last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("the call was ended"));
  EXPECT_EQ(s.rcpt("many").last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("more than 100 tasks at once"));
  EXPECT_EQ(s.rcpt("fine").last->status, MANSIO_OK);
}

TEST(Spawn, IsJoinedOnceAndByAnotherOne) {
  Scripted s{R"(
    mansio.on("rcpt", function()
      local task = mansio.spawn(function() end)
      task:join()
      local again = select(2, pcall(task.join, task))
      local itself
      itself = mansio.spawn(function() return select(2, pcall(itself.join, itself)) end)
      return mansio.reject("5.7.1", again .. "; " .. itself:join())
    end)
  )"};
  const auto text = s.rcpt("a").last->text;
  EXPECT_THAT(text, HasSubstr("the task has been joined before; "));
  EXPECT_THAT(text, HasSubstr("a task cannot join itself"));
}

}  // namespace
}  // namespace mansio::lua::testing
