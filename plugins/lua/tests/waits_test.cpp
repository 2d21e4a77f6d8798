// What waits: tables, the DNS and time, on threads that go on where they stood; and calls that wait too long.
#include <algorithm>
#include <string>

#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kRecipients = R"(
  mansio.on("rcpt", function(_, rcpt)
    if not mansio.lookup("users", rcpt.address) then return mansio.reject("5.1.1", "no such user") end
  end)
)";

TEST(Waits, AsksATable) {
  Scripted s{kRecipients};
  s.host.tables[{"users", "alice@example.com"}] = {MANSIO_OK, {"1"}, ""};
  s.host.tables[{"users", "slow@example.com"}] = {MANSIO_DEFER, {}, "the server is away"};
  EXPECT_EQ(s.rcpt("alice@example.com").last->status, MANSIO_OK);
  EXPECT_EQ(s.rcpt("bob@example.com").last->text, "no such user");
  // A table that is down never refuses, without a line of the script.
  const auto slow = s.rcpt("slow@example.com");
  EXPECT_EQ(slow.last->status, MANSIO_DEFER);
  EXPECT_EQ(slow.last->enhanced, "4.3.0");
  EXPECT_EQ(slow.last->text, "table \"users\" cannot answer now");
  EXPECT_THAT(s.host.log, HasSubstr("the server is away"));
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(Waits, LetsAScriptCatchWhatFails) {
  Scripted s{R"(
    mansio.on("rcpt", function(_, rcpt)
      local answered, value = pcall(mansio.lookup, "users", rcpt.address)
      if not answered then return mansio.reject("5.7.1", "caught " .. tostring(value)) end
      local all = mansio.lookup_all("users", rcpt.address)
      return mansio.reject("5.7.1", table.concat(all, "+"))
    end)
  )"};
  s.host.tables[{"users", "a"}] = {MANSIO_OK, {"1", "2"}, ""};
  s.host.tables[{"users", "b"}] = {MANSIO_DEFER, {}, "away"};
  EXPECT_EQ(s.rcpt("a").last->text, "1+2");
  EXPECT_EQ(s.rcpt("b").last->text, "caught defer: table \"users\" cannot answer now");
}

TEST(Waits, AsksTheDns) {
  Scripted s{R"(
    mansio.on("connect", function(session)
      local zone = mansio.ip.reverse(session.client_address) .. ".list.example"
      for _, record in ipairs(mansio.dns(zone, "A")) do
        return mansio.reject("5.7.1", "listed as " .. record.data)
      end
    end)
    mansio.on("helo", function(_, name)
      local mx = mansio.dns(name, "MX")
      return mansio.reject(("5.7.1"), ("%d %s"):format(mx[1].preference, mx[1].data))
    end)
  )"};
  s.host.dns[{"2.0.0.127.list.example", MANSIO_DNS_A}] = {MANSIO_OK, {{"127.0.0.4", 0}}, ""};
  s.host.dns[{"9.0.0.127.list.example", MANSIO_DNS_A}] = {MANSIO_DEFER, {}, "SERVFAIL"};
  s.host.dns[{"a.example", MANSIO_DNS_MX}] = {MANSIO_OK, {{"mx.a.example", 10}}, ""};
  const auto from = [&](const std::string &address) {
    return s.host.run({.stage = MANSIO_STAGE_CONNECT, .macros = {{"client_address", address}}});
  };
  EXPECT_EQ(from("127.0.0.2").last->text, "listed as 127.0.0.4");
  EXPECT_EQ(from("127.0.0.3").last->status, MANSIO_OK);
  EXPECT_EQ(from("127.0.0.9").last->status, MANSIO_DEFER);
  EXPECT_EQ(s.at(MANSIO_STAGE_HELO, {"a.example"}).last->text, "10 mx.a.example");
}

// By a way that the check at load does not follow.
TEST(Waits, GetsRecordsWithTheirFieldsAndNoOthers) {
  Scripted s{R"(
    mansio.on("helo", function(_, name)
      local way = {mx = mansio.dns(name, "MX")[1]}
      local names = {}
      for field in pairs(way.mx) do names[#names + 1] = field end
      table.sort(names)
      assert(table.concat(names, " ") == "data preference")
      assert(mansio.json.encode(way.mx) == '{"data":"mx.a.example","preference":10}')
      local _, why = pcall(function() return way.mx.prefrence end)
      local _, new = pcall(function() way.mx.note = "x" end)
      return mansio.reject("5.7.1", why:match(': (.*)') .. "; " .. new:match(': (.*)'))
    end)
  )"};
  s.host.dns[{"a.example", MANSIO_DNS_MX}] = {MANSIO_OK, {{"mx.a.example", 10}}, ""};
  EXPECT_EQ(s.at(MANSIO_STAGE_HELO, {"a.example"}).last->text,
            R"(record has no "prefrence"; did you mean "preference"?; record takes no new field, such as "note")")
      << s.host.log;
}

TEST(Waits, HasManyCallsUnderWayInOneState) {
  Scripted s{R"(
    local inside, most = 0, 0
    mansio.on("rcpt", function(_, rcpt)
      inside = inside + 1
      most = math.max(most, inside)
      mansio.sleep("1ms")
      inside = inside - 1
      return mansio.reject("5.7.1", rcpt.address .. " " .. most)
    end)
  )"};
  std::vector<std::uint64_t> ops;
  for (int i = 0; i < 100; ++i) {
    FakeStage stage;
    stage.stage = MANSIO_STAGE_RCPT;
    stage.arguments = {std::to_string(i)};
    ops.push_back(s.host.show(stage));
  }
  for (std::size_t i = 0; i < ops.size(); ++i) EXPECT_EQ(s.host.finish(ops[i]).text, std::to_string(i) + " 100");
}

TEST(Waits, GoesOnToTheNextHandlerAfterAWait) {
  Scripted s{R"(
    mansio.on("rcpt", function() mansio.sleep(0.001) end)
    mansio.on("rcpt", function() mansio.sleep(0.001); return mansio.reject("5.7.1", "second") end)
  )"};
  EXPECT_EQ(s.rcpt("a@example.com").last->text, "second");
}

TEST(Waits, CannotStandInAFunctionThatALibraryCalls) {
  Scripted s{R"(
    mansio.on("rcpt", function() table.sort({3, 2, 1}, function(a, b) mansio.sleep(1); return a < b end) end)
  )"};
  EXPECT_EQ(s.rcpt("a@example.com").last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("mansio.sleep cannot wait here"));
}

TEST(Waits, EndsAtTheTimeOfTheHandlerOrOfTheInstance) {
  Scripted s{R"(
    mansio.on("rcpt", {timeout = "20ms"}, function() mansio.sleep("1h") end)
    mansio.on("mail", {timeout = "20ms", on_error = "defer"}, function() mansio.sleep("1h") end)
  )"};
  const auto ended = s.rcpt("a@example.com");
  EXPECT_EQ(ended.last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("it took more than its time, waiting for a time; stack traceback"));
  EXPECT_EQ(s.at(MANSIO_STAGE_MAIL, {"a@example.com"}).last->status, MANSIO_DEFER);
  Scripted t{"mansio.on('rcpt', function() mansio.sleep('1h') end)", {{"time_limit", "20ms"}}};
  EXPECT_EQ(t.rcpt("a@example.com").last->status, MANSIO_INTERNAL);
  EXPECT_THAT(t.host.faults, IsEmpty());
}

// The deadline that a call began with says who ended it, until the call asked for more time.
TEST(Waits, TellsTheEndOfItsTimeFromAClientThatLeft) {
  Scripted s{R"(
    mansio.on("end-of-message", function(_, message)
      if message:header("X-Long") then message:progress() end
      mansio.sleep("1h")
    end)
  )"};
  FakeStage stage;
  stage.stage = MANSIO_STAGE_END_OF_MESSAGE;
  stage.time_limit = std::chrono::seconds{0};
  stage.content = "A: b\r\n\r\n";
  const auto late = s.host.show(stage);
  s.host.cancel(late);
  EXPECT_EQ(s.host.finish(late).status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("no answer in time"));
  stage.content = "X-Long: b\r\n\r\n";
  const auto left = s.host.show(stage);
  s.host.cancel(left);
  EXPECT_EQ(s.host.finish(left).status, MANSIO_CANCELLED);
}

TEST(Waits, EndsWhenNobodyWantsTheAnswer) {
  Scripted s{kRecipients};
  FakeStage stage;
  stage.stage = MANSIO_STAGE_RCPT;
  stage.arguments = {"a@example.com"};
  const auto op = s.host.show(stage);
  s.host.cancel(op);
  EXPECT_EQ(s.host.finish(op).status, MANSIO_CANCELLED);
  // The table's answer finds nobody.
  EXPECT_EQ(s.rcpt("b@example.com").last->text, "no such user");
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(Waits, KeepsAStateUntilItsLastCallHasEnded) {
  Scripted s{R"(
    local n = 0
    mansio.on("rcpt", function(_, rcpt)
      n = n + 1
      if rcpt.address == "slow" then mansio.sleep("20ms") end
      return mansio.reject("5.7.1", tostring(n))
    end)
  )",
             {{"state_uses", "2"}}};
  FakeStage stage;
  stage.stage = MANSIO_STAGE_RCPT;
  stage.arguments = {"slow"};
  const auto slow = s.host.show(stage);
  EXPECT_EQ(s.rcpt("a").last->text, "2");
  EXPECT_EQ(s.rcpt("a").last->text, "1");
  EXPECT_EQ(s.host.finish(slow).text, "2");
}

TEST(Waits, AreAnsweredInARecordingAsTheScriptWasTold) {
  Scripted s{R"(
    mansio.on("rcpt", function(_, rcpt)
      mansio.lookup("users", rcpt.address)
      mansio.dns("example.com", "MX")
      pcall(mansio.lookup_all, "down", "a")
      return mansio.reject("5.7.1", mansio.lookup("users", "a\tb\\") and "no" or "yes")
    end)
  )"};
  s.host.tables[{"users", "a@example.com"}] = {MANSIO_OK, {"1", "two\tthree"}, ""};
  s.host.tables[{"down", "a"}] = {MANSIO_DEFER, {}, "away"};
  s.host.dns[{"example.com", MANSIO_DNS_MX}] = {MANSIO_OK, {{"mx.example.com", 10}}, ""};
  FakeStage stage;
  stage.stage = MANSIO_STAGE_RCPT;
  stage.arguments = {"a@example.com"};
  EXPECT_THAT(s.host.run(stage).last->values, IsEmpty());  // it is not recorded
  stage.macros = {{"recorded", "true"}};
  EXPECT_THAT(
      s.host.run(stage).last->values,
      ElementsAre("lookup\tusers\ta@example.com\tok\t1\ttwo\\tthree", "dns\texample.com\tMX\tok\t10 mx.example.com",
                  "lookup\tdown\ta\tdefer\taway", "lookup\tusers\ta\\tb\\\\\tnot found"));
}

TEST(Waits, CachesWhatWasLookedUp) {
  Scripted s{R"(
    local asked = 0
    local user = mansio.memoize(function(key)
      asked = asked + 1
      return mansio.lookup("users", key), asked
    end, {ttl = "1h", size = 2})
    mansio.on("rcpt", function(_, rcpt)
      local value, n = user(rcpt.address)
      return mansio.reject("5.7.1", tostring(value) .. " " .. n)
    end)
  )"};
  s.host.tables[{"users", "a"}] = {MANSIO_OK, {"x"}, ""};
  EXPECT_EQ(s.rcpt("a").last->text, "x 1");
  EXPECT_EQ(s.rcpt("a").last->text, "x 1");
  EXPECT_EQ(s.rcpt("b").last->text, "nil 2");
  EXPECT_EQ(s.rcpt("b").last->text, "nil 2");
}

TEST(Waits, CachesNoMoreThanItWasToldTo) {
  Scripted s{R"(
    local asked = 0
    local number = mansio.memoize(function(key) asked = asked + 1 return asked end, {ttl = "1h", size = 2})
    mansio.on("rcpt", function(_, rcpt) return mansio.reject("5.7.1", tostring(number(rcpt.address))) end)
  )"};
  const auto number = [&](const std::string &key) { return s.rcpt(key).last->text; };
  EXPECT_EQ(number("a"), "1");
  EXPECT_EQ(number("b"), "2");
  EXPECT_EQ(number("c"), "3");
  EXPECT_EQ(number("b"), "2");  // among the last two
  EXPECT_EQ(number("d"), "4");
  EXPECT_EQ(number("e"), "5");
  EXPECT_EQ(number("a"), "6");  // five keys are more than twice two
  // Nor are there more of those that are asked for again and again.
  const std::string keys = "klmnopqrst";
  for (const char fresh : keys)
    for (char key = 'k'; key <= fresh; ++key) number(std::string{key});
  const auto before = std::stoi(number("u"));
  EXPECT_LE(
      std::count_if(keys.rbegin(), keys.rend(), [&](char key) { return std::stoi(number(std::string{key})) < before; }),
      4);
}

}  // namespace
}  // namespace mansio::lua::testing
