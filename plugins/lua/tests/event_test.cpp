// Handlers of what became of messages: what they are told, and that nobody waits for them.
#include <chrono>
#include <string>

#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using mansio::testing::FakeEvent;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST(LuaEvents, TellHandlersWhatBecameOfAMessage) {
  Scripted s{R"(
    mansio.on("bounced", function(event)
      assert(event.name == "bounced" and event.queue_id == "0123456789ABC" and event.time == 1700000000)
      assert(event.recipient.domain == "example.com" and event.fields.unknown == nil and event.fields.empty == nil)
      mansio.log.info("%s: %s", event.recipient.address, event.fields.dsn)
    end)
    mansio.on("bounced", function(event) mansio.log.info("the second too") end)
    mansio.on("removed", function(event) assert(event.recipient == nil) mansio.log.info("removed") end)
  )"};
  EXPECT_TRUE(s.host.tell(
      {.event = MANSIO_EVENT_BOUNCED, .recipient = "b@Example.com", .fields = {{"dsn", "5.1.1"}, {"empty", ""}}}));
  EXPECT_TRUE(s.host.tell({.event = MANSIO_EVENT_REMOVED}));
  EXPECT_FALSE(s.host.tell({.event = MANSIO_EVENT_DELIVERED}));  // nobody wants to hear of it
  EXPECT_EQ(s.host.log, "0123456789ABC: b@Example.com: 5.1.1\n0123456789ABC: the second too\n0123456789ABC: removed\n");
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(LuaEvents, TellLinesOfTheLogAsText) {
  Scripted s{R"(
    local rejects = 0
    mansio.on("log", function(line)
      if line:find('"event":"reject"', 1, true) then rejects = rejects + 1 end
      mansio.log.info("%d %s", rejects, mansio.json.decode(line).event)
    end)
  )"};
  EXPECT_TRUE(s.host.tell({.event = MANSIO_EVENT_LOG, .queue_id = "", .fields = {{"line", R"({"event":"ready"})"}}}));
  EXPECT_TRUE(s.host.tell({.event = MANSIO_EVENT_LOG, .queue_id = "", .fields = {{"line", R"({"event":"reject"})"}}}));
  EXPECT_FALSE(s.host.tell({.event = MANSIO_EVENT_REMOVED}));
  EXPECT_EQ(s.host.log, "0 ready\n1 reject\n");
}

TEST(LuaEvents, MayWaitBesideEachOther) {
  Scripted s{R"(
    mansio.on("delivered", function(event)
      local name = mansio.lookup("names", event.recipient.address)
      mansio.log.info("%s", name)
    end)
  )"};
  s.host.tables[{"names", "a@x.test"}] = {MANSIO_OK, {"first"}, ""};
  s.host.tables[{"names", "b@x.test"}] = {MANSIO_OK, {"second"}, ""};
  s.host.tell({.recipient = "a@x.test"});
  s.host.tell({.recipient = "b@x.test"});
  EXPECT_THAT(s.host.log, IsEmpty());
  EXPECT_TRUE(s.host.run_until([&] { return s.host.log == "0123456789ABC: first\n0123456789ABC: second\n"; }))
      << s.host.log;
}

TEST(LuaEvents, AFaultHasOneLineAndStopsNobody) {
  Scripted s{R"(
    local slip = {"recipent"}
    mansio.on("deferred", {timeout = "20ms"}, function(event)
      if event.recipient.localpart == "slow" then mansio.sleep("1h") end
      if event.recipient.localpart == "verdict" then local late = mansio.reject("5.7.1", "too late") return late end
      if event.recipient.localpart == "slip" then return event[slip[1]] end
      error("as asked")
    end)
    mansio.on("deferred", function() mansio.log.info("heard") end)
  )"};
  const auto about = [&](const std::string &localpart) {
    s.host.log.clear();
    s.host.tell({.event = MANSIO_EVENT_DEFERRED, .recipient = localpart + "@x.test"});
    return s.host.log;
  };
  EXPECT_THAT(about("fault"), AllOf(StartsWith("0123456789ABC: "), HasSubstr("as asked; stack traceback")));
  EXPECT_THAT(about("verdict"), HasSubstr("\"deferred\" has happened, and nobody waits for an answer"));
  EXPECT_THAT(about("slip"), HasSubstr("did you mean \"recipient\"?"));
  EXPECT_THAT(s.host.log, HasSubstr("heard"));
  about("slow");
  EXPECT_TRUE(s.host.run_until([&] { return s.host.log.find("it took more than its time") != std::string::npos; }));
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(LuaEvents, AreDroppedWhenTooManyHandlersWait) {
  Scripted s{"mansio.on('inserted', function() mansio.sleep('1h') end)"};
  for (int i = 0; i < 1001; ++i) s.host.tell({.event = MANSIO_EVENT_INSERTED});
  EXPECT_THAT(s.host.log, HasSubstr("more than 1000 calls wait"));
}

TEST(LuaEvents, AreWantedByScriptsThatHandleThem) {
  Scripted none{"mansio.on('rcpt', function() end)"};
  EXPECT_THROW(none.host.tell({}), std::logic_error);
  Scripted both{"mansio.on('rcpt', function() return mansio.reject('5.7.1', 'no') end) mansio.on('routed', print)"};
  EXPECT_EQ(both.rcpt("a@x.test").last->status, MANSIO_FAIL);
  EXPECT_FALSE(both.host.wants(MANSIO_STAGE_CONNECT));
}

TEST(LuaEvents, AreCheckedWhenTheScriptIsLoaded) {
  EXPECT_EQ(problem("mansio.on('routed', {timeout = '5s'}, function() end)"), "");
  EXPECT_THAT(problem("mansio.on('delivred', function() end)"), HasSubstr("did you mean \"delivered\"?"));
  EXPECT_THAT(problem("mansio.on('removed', {on_error = 'defer'}, function() end)"),
              HasSubstr("on_error is for events that wait for an answer: \"removed\" has happened already"));
}

TEST(LuaAbort, TellsOfMessagesThatComeToNothing) {
  Scripted s{R"(
    mansio.on("mail", function() end)
    mansio.on("abort", function(session, id) mansio.log.info("%s of %s", id, session) end)
    mansio.on("abort", {timeout = "1s"}, function(session) mansio.log.info("%s once more", mansio.lookup("names", session)) end)
  )"};
  s.host.tables[{"names", "session.1"}] = {MANSIO_OK, {"the first"}, ""};
  s.host.abort("session.1", "0123456789ABC");
  EXPECT_TRUE(s.host.run_until([&] {
    return s.host.log == "0123456789ABC: 0123456789ABC of session.1\n0123456789ABC: the first once more\n";
  })) << s.host.log;
  EXPECT_FALSE(s.host.wants(MANSIO_STAGE_CONNECT));
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(LuaAbort, IsToldToTheFilterOfThatNameAndToNobodyWhoDoesNotAsk) {
  Scripted named{R"(
    mansio.provide("filter", "test", {rcpt = function() end, abort = function(_, id) mansio.log.info("mine " .. id) end})
    mansio.provide("filter", "other", {rcpt = function() end, abort = function() mansio.log.info("not mine") end})
  )"};
  named.host.abort("session.1", "0123456789ABC");
  EXPECT_EQ(named.host.log, "0123456789ABC: mine 0123456789ABC\n");
  Scripted none{"mansio.on('rcpt', function() end)"};
  none.host.abort("session.1", "0123456789ABC");
  EXPECT_EQ(none.host.log, "");
}

TEST(LuaAbort, FaultsAreOfTheHandlerAlone) {
  Scripted s{R"(
    local wrong = {"not a result"}
    mansio.on("rcpt", function() return mansio.reject("5.7.1", "as ever") end)
    mansio.on("abort", function() error("as asked") end)
    mansio.on("abort", function() return wrong[1] end)
  )"};
  s.host.abort("session.1", "0123456789ABC");
  EXPECT_THAT(s.host.log, AllOf(StartsWith("0123456789ABC: "), HasSubstr("as asked; stack traceback")));
  EXPECT_THAT(s.host.log, HasSubstr("expected nothing: \"abort\" has happened"));
  EXPECT_EQ(s.rcpt("a@x.test").last->text, "as ever");
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(LuaAbort, IsCheckedWhenTheScriptIsLoaded) {
  const std::string mail = "mansio.on('mail', function() end)\n";
  EXPECT_EQ(problem(mail + "mansio.on('abort', function(session, id) return session:lower() and nil end)"), "");
  EXPECT_THAT(problem(mail + "mansio.on('abrot', function() end)"), HasSubstr("did you mean \"abort\"?"));
  EXPECT_THAT(problem(mail + "mansio.on('abort', {on_error = 'defer'}, function() end)"),
              HasSubstr("on_error is for events that wait for an answer: \"abort\" has happened already"));
  EXPECT_THAT(problem(mail + "mansio.on('abort', function() return 'x' end)"),
              HasSubstr(":2: the handler returns a text, expected nothing"));
  EXPECT_THAT(problem(mail + "mansio.on('abort', function(session) return session.id end)"),
              HasSubstr("string has no \"id\""));
  for (const auto *const other : {"", "mansio.on('connect', function() end)\n"})
    EXPECT_THAT(problem(other + std::string{"mansio.on('abort', function() end)"}),
                HasSubstr("told of messages that the script has seen something of: it needs another one of mail"))
        << other;
}

}  // namespace
}  // namespace mansio::lua::testing
