// What scripts can do wrong on purpose: each ends its own call, whatever it catches, and the next call is as good as
// any.
#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Sin {
  const char *name;
  const char *body;
  const char *says;
  const char *run_time = "200ms";
  const char *time_limit = "500ms";
};
void PrintTo(const Sin &sin, std::ostream *out) { *out << sin.name; }

constexpr Sin kSins[] = {
    {"EndlessLoop", "while true do end", "the call was ended"},
    {"CatchesItsEnd", "while true do pcall(function() while true do end end) end", "the call was ended"},
    {"EndlessHandlerOfErrors", "xpcall(function() while true do end end, function() while true do end end)",
     "the call was ended"},
    {"EndlessMetamethod", "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}); return t[1]",
     ""},
    // Memory is what ends these, however slowly a sanitizer lets them fill it.
    {"MemoryBomb", "local t = {} while true do t[#t + 1] = ('x'):rep(1000000) .. #t end", "not enough memory", "20s",
     "30s"},
    {"StringBomb", "local s = 'x' while true do s = s .. s end", "not enough memory", "20s", "30s"},
    {"CatchesMemoryBombs", "while true do pcall(function() local s = 'x' while true do s = s .. s end end) end", ""},
    {"CopiesForEver", "local s = ('x'):rep(1000000) while true do local t = s .. 'y' end", "the call was ended"},
    {"RepeatsNothing", "return (''):rep(1000000000000)", "string.rep of more than"},
    {"MovesNothing", "table.move({}, 1, 1000000000000, 2)", "table.move of more than"},
    {"RemovesFromNothing", "table.remove(setmetatable({}, {__len = function() return 1 << 60 end}), 1)",
     "table.remove takes no table with __len"},
    {"InsertsIntoWhatChanges",
     "local n = 0; table.insert(setmetatable({}, {__len = function() n = n + 1; return n == 1 and 0 or 1 << 40 end}), "
     "1, 1)",
     "table.insert takes no table with __len"},
    {"HidesItsLength",
     "local mt = {__len = function() return 1 << 40 end, __metatable = false}; table.concat(setmetatable({}, mt))",
     "table.concat takes no table with __len"},
    {"ConcatenatesFromFarBelow",
     "table.concat(setmetatable({}, {__index = function() return '' end}), '', math.mininteger, 10)",
     "table.concat of more than"},
    {"CatastrophicRegex", "mansio.re.compile('^(a+)+$'):test(('a'):rep(100) .. 'b')", ""},
    {"CatastrophicPattern", "return (('a'):rep(1000)):find(('.-'):rep(20) .. '[bc]')", ""},
    {"BeginsAgainEverywhere", "return ((' '):rep(200000) .. 'x'):gsub('%s+$', '')", "the call was ended"},
    {"BeginsAgainEverywhereInRegex", "mansio.re.compile('[ab]+$'):test(('a'):rep(200000) .. 'x')",
     "the call was ended"},
    {"MovesElementsForEver",
     "local t = {} for i = 1, 10000 do t[i] = i end while true do table.insert(t, 1, 0) table.remove(t, 1) end",
     "the call was ended"},
    {"RepeatsNothingForEver", "while true do pcall(string.rep, '', 1000000) end", "the call was ended"},
    {"SortsForEver", "local t = {} for i = 1, 10000 do t[i] = i end while true do pcall(table.sort, t) end",
     "the call was ended"},
    {"ConvertsForEver", "local s = (' '):rep(1000000) while true do pcall(tonumber, s) end", "the call was ended"},
    {"SearchesNetworksForEver",
     "local t = {} for i = 1, 1000 do t[i] = '192.0.2.1' end t = mansio.ip.set(t) while true do t:contains('::1') end",
     "the call was ended"},
    {"NamesMuch", "local t = {} for i = 1, 100 do t[('x'):rep(50000) .. i] = i end return mansio.json.encode(t)", ""},
    {"DeepRecursion", "local function f() return 1 + f() end return f()", ""},
    {"DeepNesting", "local t = {} for i = 1, 1000 do t = {t} end return mansio.json.encode(t)", "nested deeper"},
    {"DeepJson", "return assert(mansio.json.decode(('['):rep(100000)))", ""},
    {"FinalizerThatStays", "setmetatable({}, {__gc = function() while true do end end})", "__gc is not offered"},
    {"FinalizerOfArrays", "getmetatable(mansio.json.array({})).__gc = function() while true do end end",
     "attempt to index a boolean value"},
    {"FinalizerOfTexts", "getmetatable('').__gc = function() while true do end end",
     "attempt to index a boolean value"},
    {"ErrorThatIsNoText", "error(setmetatable({}, {__tostring = function() while true do end end}))", ""},
    {"LoadsNonsense", "while true do load(('('):rep(100000)) end", "the call was ended"},
    {"SleepsForEver", "mansio.sleep('365d')", "more than its time"},
    {"WaitsForEver", "while true do mansio.sleep(0) end", ""},
};

class Sins : public ::testing::TestWithParam<Sin> {};

TEST_P(Sins, EndsItsOwnCallOnly) {
  const auto &sin = GetParam();
  Scripted s{std::string{"mansio.on('rcpt', function(_, rcpt) if rcpt.address ~= 'sin' then return end\n"} + sin.body +
                 "\nend)",
             {{"instructions_limit", "1000000"},
              {"run_time", sin.run_time},
              {"time_limit", sin.time_limit},
              {"call_memory", "8M"}}};
  for (int i = 0; i < 2; ++i) {
    const auto result = s.rcpt("sin");
    EXPECT_EQ(result.last->status, MANSIO_INTERNAL) << s.host.log;
    EXPECT_THAT(s.host.log, HasSubstr(sin.says));
    EXPECT_EQ(s.rcpt("fine").last->status, MANSIO_OK);
  }
  EXPECT_THAT(s.host.faults, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Lua, Sins, ::testing::ValuesIn(kSins),
                         [](const auto &test) { return std::string{test.param.name}; });

// Given up for what they do, long before their time.
TEST(SinsOfExpressions, AreGivenUp) {
  Scripted s{R"(
    mansio.on("rcpt", function() mansio.re.compile("^(a+)+$"):test(("a"):rep(100) .. "b") end)
    mansio.on("mail", function() return (("a"):rep(1000)):find((".-"):rep(20) .. "[bc]") end)
  )",
             {{"run_time", "60s"}}};
  EXPECT_EQ(s.rcpt("a@example.com").last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("the match was given up"));
  s.host.log.clear();
  EXPECT_EQ(s.at(MANSIO_STAGE_MAIL, {"a@example.com"}).last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("the match was given up"));
}

// What they take is counted with the call's own, and what nobody holds any more is not.
TEST(SinsOfExpressions, HoldNoMoreThanACallMay) {
  Scripted s{R"(
    mansio.on("rcpt", function(_, rcpt)
      if rcpt.address == "keeps" then
        local kept = {}
        while true do
          kept[#kept + 1] = mansio.re.compile(("a"):rep(5000) .. #kept)
          mansio.counter.add("kept")
        end
      elseif rcpt.address == "catches" then
        local kept = {}
        while pcall(function() kept[#kept + 1] = mansio.re.compile(("b"):rep(5000) .. #kept) end) do end
        return mansio.reject("5.7.1", "caught")
      elseif rcpt.address == "drops" then
        for i = 1, 1000 do mansio.re.compile(("c"):rep(5000) .. i) end
        for i = 1, 1000 do ("x"):find(("d"):rep(3000) .. "%a" .. i) end
        return mansio.reject("5.7.1", "done")
      elseif rcpt.address == "searches" then
        for i = 1, 20 do ("x"):find(("e"):rep(3000) .. "%a" .. i) end
        return mansio.reject("5.7.1", "found")
      end
      return mansio.reject("5.7.1", tostring(mansio.counter.get("kept")))
    end)
  )",
             {{"call_memory", "8M"}, {"instructions_limit", "1000000000"}, {"run_time", "60s"}}};
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(s.rcpt("keeps").last->status, MANSIO_INTERNAL);
    EXPECT_THAT(s.host.log, HasSubstr("not enough memory"));
    EXPECT_EQ(s.rcpt("catches").last->text, "caught") << s.host.log;
    EXPECT_EQ(s.rcpt("drops").last->text, "done") << s.host.log;
    EXPECT_EQ(s.rcpt("searches").last->text, "found") << s.host.log;
  }
  const auto kept = std::stoul(s.rcpt("asks").last->text);
  EXPECT_GT(kept, 40u);
  EXPECT_LT(kept, 2 * (std::size_t{8} << 20) / 10'000);
  EXPECT_THAT(s.host.faults, IsEmpty());
}

// What a text becomes is many times as large as the text.
TEST(SinsOfJson, HoldNoMoreThanACallMay) {
  Scripted s{R"(
    mansio.on("rcpt", function(_, rcpt)
      if rcpt.address == "large" then return #mansio.json.decode("[" .. ("{},"):rep(700000) .. "1]") end
      if rcpt.address == "deep" then return #mansio.json.decode(("[1,"):rep(60) .. ("[1],"):rep(500000)) end
      for i = 1, 20 do
        local list = mansio.json.decode("[" .. ("{},"):rep(20000) .. "1]")
        if #list ~= 20001 then error(#list) end
      end
      return mansio.reject("5.7.1", "done")
    end)
  )",
             {{"call_memory", "8M"}, {"instructions_limit", "1000000000"}, {"run_time", "60s"}}};
  for (int i = 0; i < 2; ++i) {
    for (const auto *sin : {"large", "deep"}) {
      s.host.log.clear();
      EXPECT_EQ(s.rcpt(sin).last->status, MANSIO_INTERNAL);
      EXPECT_THAT(s.host.log, HasSubstr("not enough memory for what the JSON text becomes")) << sin;
    }
    EXPECT_EQ(s.rcpt("fine").last->text, "done") << s.host.log;
  }
}

// A call that holds much while it waits takes nothing from the others.
TEST(SinsOfMany, LeaveTheOthersTheirMemory) {
  Scripted s{R"(
    mansio.on("rcpt", function(_, rcpt)
      local t = {}
      for i = 1, 200 do t[i] = ("x"):rep(10000) .. i end
      mansio.sleep("10ms")
      return mansio.reject("5.7.1", tostring(#t))
    end)
  )",
             {{"call_memory", "4M"}, {"state_memory", "64M"}}};
  std::vector<std::uint64_t> ops;
  for (int i = 0; i < 10; ++i) {
    FakeStage stage;
    stage.stage = MANSIO_STAGE_RCPT;
    stage.arguments = {"a"};
    ops.push_back(s.host.show(stage));
  }
  for (const auto op : ops) EXPECT_EQ(s.host.finish(op).text, "200") << s.host.log;
}

// What a call leaves behind is often collected while another one runs; neither is to pay for that.
TEST(SinsOfMany, AreForgivenWithTheirGarbage) {
  Scripted s{R"(
    mansio.on("rcpt", function()
      for i = 1, 200 do
        local garbage = ("x"):rep(100000) .. i
        mansio.sleep("1ms")
      end
      return mansio.reject("5.7.1", "done")
    end)
  )",
             {{"call_memory", "8M"}, {"state_memory", "64M"}, {"run_time", "60s"}}};
  std::vector<std::uint64_t> ops;
  for (int i = 0; i < 4; ++i) {
    FakeStage stage;
    stage.stage = MANSIO_STAGE_RCPT;
    stage.arguments = {"a"};
    ops.push_back(s.host.show(stage));
  }
  for (const auto op : ops) EXPECT_EQ(s.host.finish(op).text, "done") << s.host.log;
}

}  // namespace
}  // namespace mansio::lua::testing
