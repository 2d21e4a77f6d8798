// Limits that scripts own (mansio.provide("rate", ...)), and limits that they keep for themselves (mansio.rate).
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using mansio::testing::FakeReply;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A script whose lease has this body; the fake host calls its instance "test".
struct Leasing : Scripted {
  explicit Leasing(const std::string &body, const std::string &more = "", const FakeHost::Options &options = {})
      : Scripted("mansio.provide('rate', 'test', {lease = function(request)\n" + body + "\nend, " + more + "})",
                 options) {}
};

TEST(LuaRate, SaysHowManyMayGoForHowLong) {
  Leasing s{R"(
    assert(request.limit == "destination_rate_limit" and request.key == "smtp:example.com")
    assert(request.want == 9 and request.per_second == 2.5 and request.burst == 20)
    return mansio.permits(4, {ttl = "5s", retry = 0.5})
  )"};
  const auto lease = s.host.lease(
      {.limit = "destination_rate_limit", .key = "smtp:example.com", .want = 9, .per_second = 2.5, .burst = 20});
  EXPECT_EQ(lease.status, MANSIO_OK) << s.host.log;
  EXPECT_THAT(lease.values, ElementsAre("4"));
  EXPECT_EQ(lease.ttl_ns, 5'000'000'000);
  EXPECT_EQ(lease.retry_ns, 500'000'000);
  Leasing none{"return mansio.permits(0)"};
  EXPECT_THAT(none.host.lease({}).values, ElementsAre("0"));
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(LuaRate, GetsBackWhatWasNotUsed) {
  Leasing s{R"(
    local left = 10 - mansio.counter.get(request.key)
    local given = math.min(left, request.want)
    mansio.counter.add(request.key, given)
    return mansio.permits(given)
  )",
            R"(give_back = function(limit, key, unused)
    assert(limit == "tenant_rate_limit")
    mansio.sleep("1ms")
    mansio.counter.add(key, -unused)
    mansio.log.info("got %d of %s", unused, key)
  end)"};
  EXPECT_THAT(s.host.lease({.key = "acme", .want = 8}).values, ElementsAre("8"));
  EXPECT_THAT(s.host.lease({.key = "acme", .want = 8}).values, ElementsAre("2"));
  s.host.give_back("tenant_rate_limit", "acme", 5);
  EXPECT_TRUE(s.host.run_until([&] { return !s.host.log.empty(); }));
  EXPECT_EQ(s.host.log, "got 5 of acme\n");
  EXPECT_THAT(s.host.lease({.key = "acme", .want = 8}).values, ElementsAre("5"));
  Leasing deaf{"return mansio.permits(1)"};
  deaf.host.give_back("tenant_rate_limit", "acme", 1);
  EXPECT_THAT(deaf.host.log, IsEmpty());
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(LuaRate, WaitsAndSaysSoWhenItCannotTell) {
  Leasing s{"return mansio.permits(tonumber(mansio.lookup('rates', request.key) or 0))"};
  s.host.tables[{"rates", "acme"}] = {MANSIO_OK, {"7"}, ""};
  s.host.tables[{"rates", "slow"}] = {MANSIO_DEFER, {}, "the server is away"};
  EXPECT_THAT(s.host.lease({.key = "acme", .want = 8}).values, ElementsAre("7"));
  const auto slow = s.host.lease({.key = "slow"});
  EXPECT_EQ(slow.status, MANSIO_DEFER);
  EXPECT_EQ(slow.text, "table \"rates\" cannot answer now");
  Leasing defers{"return mansio.defer('the counter is away')"};
  EXPECT_EQ(defers.host.lease({}).text, "the counter is away");
  Leasing sleeps{"mansio.sleep('1h')", "", {{"time_limit", "50ms"}}};
  EXPECT_EQ(sleeps.host.lease({}).status, MANSIO_INTERNAL);
}

TEST(LuaRate, FailsWithOneLineForWhatIsNoResult) {
  const auto says = [](const std::string &body) {
    return load_or([&] {
      Leasing s{body};
      EXPECT_EQ(s.host.lease({}).status, MANSIO_INTERNAL) << body;
      EXPECT_THAT(s.host.faults, IsEmpty());
      return s.host.log;
    });
  };
  EXPECT_THAT(says("local said = 5 return said"), HasSubstr("the lease returned number, expected mansio.permits(n)"));
  EXPECT_THAT(says(""), HasSubstr("the lease returned nil"));
  EXPECT_THAT(says("local said = mansio.accept() return said"), HasSubstr("a result that is for handlers"));
  EXPECT_THAT(says("return mansio.defer('x', {retry = 1})"), HasSubstr("a result that is for transports"));
  EXPECT_THAT(says("return mansio.permits(-1)"), HasSubstr("the number of permits is -1"));
  EXPECT_THAT(says("return mansio.permits(1.5)"), HasSubstr("expected an integer for the number of permits"));
  EXPECT_THAT(says("return mansio.permits(1, {tll = 1})"), HasSubstr("did you mean \"ttl\"?"));
  EXPECT_THAT(says("return request.per_secnd"), HasSubstr("did you mean \"per_second\"?"));
  EXPECT_THAT(says("request.want = 1 request.other = 2"), HasSubstr("lease request takes no new field"));
}

TEST(LuaRate, IsFoundByTheNameOfItsInstance) {
  const ScriptFile file{"mansio.provide('rate', 'shared', {lease = function() return mansio.permits(1) end})"};
  FakeHost other{mansio_plugin_entry_1(), file.options(), {{"kind", "rate"}, {"instance", "test"}}};
  EXPECT_THAT(other.log, HasSubstr("it provides the rate \"shared\", and the configuration asks for \"test\""));
  EXPECT_THROW(other.ask({}), std::logic_error);  // it is no rate
}

TEST(LuaRate, IsCheckedWhenItIsLoaded) {
  const auto rate = [](const std::string &object) { return problem("mansio.provide('rate', 'a', " + object + ")"); };
  EXPECT_EQ(rate("{lease = function() end}"), "");
  EXPECT_EQ(rate("{lease = function() end, give_back = function() end}"), "");
  EXPECT_THAT(rate("{}"), HasSubstr("expected a function for its field lease, got nil"));
  EXPECT_THAT(rate("{lease = print, give_back = 1}"), HasSubstr("expected a function for its field give_back"));
  EXPECT_THAT(rate("{lese = print}"), HasSubstr("did you mean \"lease\"?"));
  EXPECT_THAT(problem("local r = {lease = print}\nmansio.provide('rate', 'a', r)\nmansio.provide('rate', 'a', r)"),
              HasSubstr("the rate \"a\" is provided twice"));
}

TEST(LuaRate, AScriptKeepsRatesOfItsOwn) {
  const ScriptFile file{R"(
    local slow = mansio.rate("slow", "2/m")
    local quick = mansio.rate("quick", "60/m", {burst = 5})
    mansio.on("rcpt", function(_, rcpt)
      local limit = rcpt.domain == "slow.test" and slow or quick
      local granted, wait = limit:take(rcpt.localpart)
      if not granted then return mansio.defer("4.7.1", ("%d, %.1f s"):format(limit:free(rcpt.localpart), wait)) end
      return mansio.reject("5.7.1", tostring(limit:free(rcpt.localpart)))
    end)
  )"};
  FakeHost host{mansio_plugin_entry_1(), file.options({{"states", "2"}}), {{"virtual_clock", "1700000000000000000"}}};
  const auto said = [&](const std::string &to) {
    return host.run({.stage = MANSIO_STAGE_RCPT, .arguments = {to}}).last->text;
  };
  EXPECT_EQ(said("a@slow.test"), "1") << host.log;
  EXPECT_EQ(said("a@slow.test"), "0");
  EXPECT_EQ(said("a@slow.test"), "0, 30.0 s");  // whichever state is asked
  EXPECT_EQ(said("b@slow.test"), "1");
  host.advance(std::chrono::seconds{30});
  EXPECT_EQ(said("a@slow.test"), "0");
  for (int left = 4; left >= 0; --left) EXPECT_EQ(said("a@quick.test"), std::to_string(left));
  EXPECT_EQ(said("a@quick.test"), "0, 1.0 s");
  host.advance(std::chrono::seconds{3});
  EXPECT_EQ(said("a@quick.test"), "2");
}

TEST(LuaRate, ARateOfAScriptIsChecked) {
  EXPECT_EQ(check(R"lua(
    local limit = mansio.rate("a", "500/15m")
    assert(limit:free("x") == 500 and limit:take("x", 500))
    assert(limit:take("x", 0) and limit:take(("long"):rep(1000)))
    mansio.rate("a", "500/15m", {burst = 500})
    assert(not pcall(limit.take, limit, "x", 501))
  )lua"),
            "");
  EXPECT_THAT(check("mansio.rate('a', '1/m') mansio.rate('a', '2/m')"), HasSubstr("\"a\" is another one elsewhere"));
  EXPECT_THAT(check("mansio.rate('a', '1/m', {bust = 1})"), HasSubstr("did you mean \"burst\"?"));
  for (const auto *bad : {"", "1", "/m", "0/m", "1/", "1/0s", "1/x", "-1/m", "1.5/s", "1/m "})
    EXPECT_THAT(check("mansio.rate('a', '" + std::string{bad} + "')"), HasSubstr("expected one such as \"100/m\""));
  EXPECT_THAT(check("mansio.rate('a', '1/365d', {burst = 1000})"), HasSubstr("cannot be kept"));
  EXPECT_THAT(check("mansio.rate('a', '1/m'):tkae('x')"), HasSubstr("rate has no \"tkae\"; did you mean \"take\"?"));
}

TEST(LuaRate, NothingIsCountedWhileAScriptIsChecked) {
  EXPECT_EQ(check(R"lua(
    local limit, window = mansio.rate("a", "1/m"), mansio.window("a", "1m")
    assert(limit:take("x") and limit:take("x") and limit:free("x") == 1)
    assert(window:add("x") == 1 and window:add("x", 3) == 3 and window:count("x") == 0)
    assert(mansio.counter.add("x", 5) == 5 and mansio.counter.get("x") == 0)
  )lua"),
            "");
}

// What another process of the instance counts is seen: the host counts, and the script has nothing of its own.
TEST(LuaRate, WhatIsCountedIsTheHosts) {
  Scripted s{R"(
    local limit, window = mansio.rate("limit", "4/m"), mansio.window("window", "1000d")
    mansio.on("rcpt", function(_, rcpt)
      return mansio.reject("5.7.1", ("%s %d %d"):format(limit:take(rcpt.localpart), window:add(rcpt.localpart),
        mansio.counter.add("counter")))
    end)
  )"};
  const auto *const numbers =
      static_cast<const mansio_host_numbers *>(s.host.raw()->get(s.host.raw(), "mansio.host.numbers/1~draft"));
  ASSERT_TRUE(numbers);
  std::int64_t value = 0;
  double count = 0;
  const auto key = plugin::str("a");
  EXPECT_EQ(s.rcpt("a@example.com").last->text, "true 1 1") << s.host.log;
  EXPECT_EQ(numbers->take(s.host.raw(), plugin::str("limit"), 15'000'000'000, 4, key, 3, &value), MANSIO_OK);
  EXPECT_EQ(numbers->window_add(s.host.raw(), plugin::str("window"), 86'400'000'000'000'000, key, 9, &count),
            MANSIO_OK);
  EXPECT_EQ(numbers->add(s.host.raw(), plugin::str("counter"), 40, &value), MANSIO_OK);
  EXPECT_EQ(s.rcpt("a@example.com").last->text, "false 11 42") << s.host.log;
}

}  // namespace
}  // namespace mansio::lua::testing
