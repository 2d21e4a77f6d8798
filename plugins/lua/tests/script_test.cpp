// Scripts on the fake host: which events they see, what their results become, and what is wrong with them before they
// run.
#include <chrono>

#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(Script, SeesTheEventsThatItHasHandlersFor) {
  Scripted s{R"(
    mansio.on("rcpt", function() end)
    mansio.on("end-of-message", function() end)
  )"};
  EXPECT_TRUE(s.host.wants(MANSIO_STAGE_RCPT));
  EXPECT_TRUE(s.host.wants(MANSIO_STAGE_END_OF_MESSAGE));
  EXPECT_FALSE(s.host.wants(MANSIO_STAGE_CONNECT));
  EXPECT_FALSE(s.host.wants(MANSIO_STAGE_BODY));
  EXPECT_EQ(s.rcpt("a@example.com").last->status, MANSIO_OK);
  // Asked all the same, it has not agreed to anything.
  EXPECT_EQ(s.at(MANSIO_STAGE_CONNECT).last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("no handler for this event"));
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(Script, AnswersWithWhatItsHandlersReturn) {
  Scripted s{R"(
    mansio.on("rcpt", function(transaction, rcpt)
      if rcpt.localpart == "gone" then return mansio.reject("5.1.1", "no such user") end
      if rcpt.localpart == "code" then return mansio.reject(553, "5.1.3", "not so") end
      if rcpt.localpart == "busy" then return mansio.defer(450, "4.2.1", "busy\r\n250 fine") end
      if rcpt.localpart == "bare" then return mansio.reject() end
      if rcpt.localpart == "text" then return mansio.reject("go away") end
      if rcpt.localpart == "drop" then return mansio.discard("a test") end
      if rcpt.localpart == "keep" then return mansio.hold("a look") end
      if rcpt.localpart == "else" then return mansio.redirect("review@example.com") end
      if rcpt.localpart == "thrown" then error(mansio.reject("5.7.0", "thrown")) end
    end)
  )"};
  const auto gone = s.rcpt("gone@example.com");
  EXPECT_EQ(gone.last->status, MANSIO_FAIL);
  EXPECT_EQ(gone.last->enhanced, "5.1.1");
  EXPECT_EQ(gone.last->text, "no such user");
  EXPECT_EQ(gone.last->smtp_code, 0);
  EXPECT_EQ(s.rcpt("code@example.com").last->smtp_code, 553);
  const auto busy = s.rcpt("busy@example.com");
  EXPECT_EQ(busy.last->status, MANSIO_DEFER);
  EXPECT_EQ(busy.last->text, "busy  250 fine");
  EXPECT_EQ(s.rcpt("bare@example.com").last->enhanced, "5.7.1");
  EXPECT_EQ(s.rcpt("text@example.com").last->text, "go away");
  EXPECT_EQ(s.rcpt("thrown@example.com").last->text, "thrown");
  EXPECT_THAT(s.rcpt("drop@example.com").edits, ElementsAre("discard a test"));
  EXPECT_THAT(s.rcpt("keep@example.com").edits, ElementsAre("hold a look"));
  EXPECT_THAT(s.rcpt("else@example.com").edits, ElementsAre("redirect review@example.com"));
  EXPECT_EQ(s.rcpt("other@example.com").last->status, MANSIO_OK);
}

TEST(Script, AsksItsHandlersInTheirOrderUntilOneDecides) {
  Scripted s{R"(
    mansio.on("rcpt", function(_, rcpt) mansio.log.info("first") end)
    mansio.on("rcpt", function(_, rcpt) if rcpt.domain == "ok.example" then return mansio.accept() end end)
    mansio.on("rcpt", function(_, rcpt) return mansio.reject("5.7.1", "third") end)
  )"};
  EXPECT_EQ(s.rcpt("a@OK.example").last->status, MANSIO_OK);
  EXPECT_EQ(s.rcpt("a@no.example").last->text, "third");
  EXPECT_EQ(s.host.log, "first\nfirst\n");
}

TEST(Script, GivesHandlersTheFactsOfSessionAndTransaction) {
  Scripted s{R"(
    mansio.on("connect", function(session)
      assert(session.client_address == "192.0.2.1" and session.client_port == 2525 and session.trusted)
      assert(session.tls_version == nil and session.auth_user == nil and session.id == "test.1")
      assert(session.stress == true)
      session.meta.seen = "yes"
      assert(session.meta.seen == "yes")
    end)
    mansio.on("helo", function(session, name) assert(name == "mail.example" and session.stress == false) end)
    mansio.on("mail", function(transaction, sender)
      assert(sender.address == "A@B.example" and sender.localpart == "A" and sender.domain == "b.example")
      assert(#sender.parameters == 1 and sender.parameters[1] == "SIZE=100" and tostring(sender) == "A@B.example")
      assert(transaction.sender.domain == "b.example" and transaction.session.client_address == "192.0.2.1")
    end)
    mansio.on("data", function(transaction)
      assert(transaction.recipient_count == 2 and transaction.queue_id == "0123456789ABC")
      assert(transaction.sender.address == "" and transaction.sender.domain == "")
      assert(transaction.meta.old == "1" and transaction.session.meta.seen == "yes" and transaction.meta.none == nil)
      transaction.meta.tenant = "gold"
      transaction.meta.old = nil
    end)
    mansio.on("header", function(_, name, value) assert(name == "Subject" and value == " x") end)
    mansio.on("body", function(_, piece) assert(piece == "abc\r\n") end)
  )"};
  const auto ask = [&](FakeStage stage) {
    auto result = s.host.run(stage);
    EXPECT_EQ(result.last->status, MANSIO_OK) << stage.stage << s.host.log;
    return result;
  };
  const auto connected = ask(
      {.stage = MANSIO_STAGE_CONNECT,
       .arguments = {"192.0.2.1", "unknown", "2525"},
       .macros = {
           {"client_address", "192.0.2.1"}, {"client_port", "2525"}, {"client_trusted", "true"}, {"stress", "true"}}});
  EXPECT_EQ(connected.session_meta.at("seen"), "yes");
  ask({.stage = MANSIO_STAGE_HELO, .arguments = {"mail.example"}});
  ask({.stage = MANSIO_STAGE_MAIL,
       .arguments = {"A@B.example", "SIZE=100"},
       .macros = {{"client_address", "192.0.2.1"}}});
  const auto data = ask({.stage = MANSIO_STAGE_DATA,
                         .macros = {{"recipient_count", "2"}},
                         .session_meta = {{"seen", "yes"}},
                         .message_meta = {{"old", "1"}}});
  EXPECT_EQ(data.message_meta.at("tenant"), "gold");
  EXPECT_EQ(data.message_meta.at("old"), "");
  ask({.stage = MANSIO_STAGE_HEADER, .arguments = {"Subject", " x"}});
  ask({.stage = MANSIO_STAGE_BODY, .arguments = {"abc\r\n"}});
}

TEST(Script, SeesTheBeginningOfTlsTheEndOfTheHeaderAndThatOfTheSession) {
  Scripted s{R"(
    mansio.on("starttls", function(session, ...)
      assert(session.helo_name == "client.test" and session.tls_version == nil and select("#", ...) == 0)
      if session.client_address == "192.0.2.2" then return mansio.defer("4.7.0", "not now") end
    end)
    mansio.on("eoh", function(transaction, ...)
      assert(transaction.queue_id == "0123456789ABC" and select("#", ...) == 0)
      return mansio.reject("5.6.0", "no Date")
    end)
    mansio.on("disconnect", function(session, ...)
      assert(session.tls_version == "TLSv1.3" and session.meta.seen == "3" and select("#", ...) == 0)
      mansio.log.info("gone " .. session.id)
    end)
  )"};
  const auto starttls = [&](const std::string &address) {
    return s.host.run(FakeStage{.stage = MANSIO_STAGE_STARTTLS,
                                .macros = {{"client_address", address}, {"helo_name", "client.test"}}});
  };
  EXPECT_EQ(starttls("192.0.2.1").last->status, MANSIO_OK) << s.host.log;
  EXPECT_EQ(starttls("192.0.2.2").last->text, "not now");
  EXPECT_EQ(s.at(MANSIO_STAGE_END_OF_HEADERS).last->text, "no Date") << s.host.log;
  const auto over = s.host.run(FakeStage{
      .stage = MANSIO_STAGE_DISCONNECT, .macros = {{"tls_version", "TLSv1.3"}}, .session_meta = {{"seen", "3"}}});
  EXPECT_EQ(over.last->status, MANSIO_OK) << s.host.log;
  EXPECT_EQ(s.host.log, "gone test.1\n");
}

TEST(Script, SeesWhoAuthenticated) {
  Scripted s{R"(
    mansio.on("auth", function(session, mechanism, user)
      assert(session.auth_user == nil and mechanism == "PLAIN")
      if user == "mallory" then return mansio.reject("5.7.1", "not you") end
    end)
  )"};
  const auto status = [&](const std::string &user) {
    return s.host.run(FakeStage{.stage = MANSIO_STAGE_AUTH, .arguments = {"PLAIN", user}}).last->status;
  };
  EXPECT_EQ(status("alice"), MANSIO_OK) << s.host.log;
  EXPECT_EQ(status("mallory"), MANSIO_FAIL) << s.host.log;
}

TEST(Script, SaysHowLongAnAnswerIsGood) {
  Scripted s{R"(
    mansio.provide("lookup", "users", {lookup = function(key)
      if key == "alice" then return "1000", {ttl = "5m"} end
      if key == "nobody" then mansio.sleep("1ms") return nil, {ttl = 30} end
      if key == "once" then return "1", {ttl = 0} end
      if key == "wrong" then return "1", {tll = "5m"} end
      return key:gsub("x", "y")
    end})
  )"};
  const auto alice = s.host.lookup("alice", "users");
  EXPECT_THAT(alice.values, ElementsAre("1000")) << s.host.log;
  EXPECT_EQ(alice.ttl_ns, 300'000'000'000);
  const auto nobody = s.host.lookup("nobody", "users");
  EXPECT_EQ(nobody.status, MANSIO_NOT_FOUND);
  EXPECT_EQ(nobody.ttl_ns, 30'000'000'000);
  EXPECT_LT(s.host.lookup("once", "users").ttl_ns, 0);
  const auto replaced = s.host.lookup("xx", "users");
  EXPECT_THAT(replaced.values, ElementsAre("yy"));
  EXPECT_EQ(replaced.ttl_ns, 0);
  EXPECT_EQ(s.host.lookup("wrong", "users").status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr(R"(the answer has no option "tll"; did you mean "ttl"?)"));
}

TEST(Script, ProvidesLookups) {
  Scripted s{R"(
    mansio.provide("lookup", "users", {lookup = function(key, table)
      if key == "alice" then return "1000" end
      if key == "list" then return {"a", "b"} end
      if key == "later" then return mansio.defer("the directory is away") end
      if key == "wrong" then return key == "wrong" end
      return nil
    end})
  )"};
  EXPECT_THAT(s.host.lookup("alice", "users").values, ElementsAre("1000"));
  EXPECT_THAT(s.host.lookup("list", "users").values, ElementsAre("a", "b"));
  EXPECT_EQ(s.host.lookup("nobody", "users").status, MANSIO_NOT_FOUND);
  EXPECT_EQ(s.host.lookup("later", "users").status, MANSIO_DEFER);
  EXPECT_EQ(s.host.lookup("wrong", "users").status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("the lookup returned boolean"));
  const auto other = s.host.lookup("alice", "others");
  EXPECT_EQ(other.status, MANSIO_DEFER);
  EXPECT_THAT(other.text, HasSubstr("it has users"));
}

// Each is refused before anything runs, with its line and what was probably meant.
TEST(Script, IsRefusedForASlipWhenItIsLoaded) {
  const std::vector<std::pair<std::string, std::string>> slips{
      {"mansio.on('rctp', print)", R"(:1: there is no event "rctp"; did you mean "rcpt"?)"},
      {"\nmansio.on('rcpt', {time_out = 1}, print)",
       R"(:2: mansio.on has no option "time_out"; did you mean "timeout"?)"},
      {"mansio.on('rcpt', {timeout = '5x'}, print)", ":1: timeout is \"5x\", expected a time"},
      {"mansio.on('rcpt', {on_error = 'defr'}, print)", "did you mean \"defer\"?"},
      {"mansio.on('rcpt')", ":1: expected a function for the handler, got nothing"},
      {"mansio.on('rcpt', 5)", ":1: expected a function for the handler, got number"},
      {"mansio.on('rcpt', {timeout = 5})", ":1: expected a function for the handler, got nothing"},
      {"mansio.on('rcpt', print, {timeout = 5})",
       ":1: there is a table behind the handler, expected mansio.on(event, [options,] handler)"},
      {"mansio.on('rcpt', nil, print)", ":1: expected a table for the options, got nil"},
      {"mansio.on('recipients', print)", R"(:1: there is no event "recipients"; there is connect, helo, )"},
      {"mansio.on('rcpt', {}, 7)", ":1: expected a function for the handler, got number"},
      {"mansio.onn('rcpt', print)", R"(:1: mansio has no "onn"; did you mean "on"?)"},
      {"mansio.json.encod({})", R"(mansio.json has no "encod"; did you mean "encode"?)"},
      {"pirnt('x')", R"(:1: there is no global "pirnt"; did you mean "print"?)"},
      {"mansio.reject(450, 'x')", ":1: the code is 450, expected 500 to 599"},
      {"mansio.reject('4.1.1', 'x')", "expected one that begins with 5"},
      {"mansio.redirect('nobody')", R"(:1: expected an address such as "user@example.com", got "nobody")"},
      {"mansio.redirect()", ":1: expected text for the address, got nothing"},
      {"mansio.provide('lookop', 'x', {lookup = print})", R"(did you mean "lookup"?)"},
      {"mansio.provide('lookup', 'x', {lokup = print})",
       R"(mansio.provide has no option "lokup"; did you mean "lookup"?)"},
      {"mansio.lookup('x', 'y')", "works in handlers only"},
      {"os.execute('true')", R"(os has no "execute"; it is off, as it reaches the system: allow = ["os"])"},
      {"io.open('/etc/passwd')", R"(there is no global "io"; it is off, as it reaches the system: allow = ["io"])"},
      {"require('x')", R"(there is no global "require"; it is off, as it reaches the system: allow = ["package"])"},
      {"coroutine.yield()", R"(there is no global "coroutine"; scripts are not offered it)"},
      {"load(string.dump(print))", R"(string has no "dump")"},
      {"load('\\27Lua')()", ":1: attempt to call a nil value"},
      {"debug.getinfo(1)", R"(there is no global "debug")"},
      {"dofile('x')", R"(there is no global "dofile")"},
      {"coroutine.wrap(print)", R"(there is no global "coroutine")"},
      {"setmetatable({}, {__gc = print})", ":1: __gc is not offered"},
      {"for = 1", ":1: <name> expected"},
      {"local x = 1", "registers nothing"},
      {"error('no')", ":1: no"},
      {"while true do end", "more than"},
  };
  for (const auto &[text, expected] : slips) EXPECT_THAT(problem(text), HasSubstr(expected)) << text;
}

TEST(Script, IsRefusedWithItsOptions) {
  constexpr auto kGood = "mansio.on('rcpt', print)";
  EXPECT_EQ(problem(kGood), "");
  EXPECT_THAT(problem(kGood, {{"states", "0"}}), HasSubstr("states is 0, expected 1 to 1024"));
  EXPECT_THAT(problem(kGood, {{"allow", "oi"}}), HasSubstr("did you mean \"io\"?"));
  EXPECT_THAT(problem(kGood, {{"allow", "sqlite,redsi"}}), HasSubstr("did you mean \"redis\"?"));
  EXPECT_THAT(problem(kGood, {{"directory", "/nowhere"}}),
              HasSubstr("directory names /nowhere, which is no directory"));
  EXPECT_THAT(problem(kGood, {{"call_memory", "1K"}}), HasSubstr("call_memory is too small"));
  EXPECT_THAT(FakeHost::check(mansio_plugin_entry_1(), {{"script", "/nonexistent.lua"}}),
              HasSubstr("script names /nonexistent.lua, which is not there"));
  EXPECT_THAT(FakeHost::check(mansio_plugin_entry_1(), {{"script", "/"}}),
              HasSubstr("script names /, which is a directory"));
  const ScriptFile bad{"nonsense"};
  EXPECT_THROW(FakeHost(mansio_plugin_entry_1(), bad.options()), std::runtime_error);
}

TEST(Script, MayHaveAByteOrderMarkAndALineForTheSystem) {
  for (const std::string heading : {"\xEF\xBB\xBF", "#!/usr/bin/lua\n", "\xEF\xBB\xBF#!/usr/bin/lua\n"}) {
    EXPECT_EQ(problem(heading + "mansio.on('rcpt', print)"), "") << heading;
    EXPECT_THAT(problem(heading + "pirnt()"), HasSubstr(heading.ends_with('\n') ? ".lua:2: " : ".lua:1: ")) << heading;
  }
}

TEST(Script, MayReachTheSystemWhereItIsAllowed) {
  EXPECT_EQ(
      problem("assert(io.open and os.getenv and require); mansio.on('rcpt', print)", {{"allow", "io,os,package"}}), "");
  EXPECT_EQ(problem("assert(getmetatable(io.stdout) == false); mansio.on('rcpt', print)", {{"allow", "io"}}), "");
  EXPECT_EQ(problem("assert(os.time() > 0 and os.date('!%Y')); mansio.on('rcpt', print)"), "");
  EXPECT_THAT(problem("\nos.date('%Q')"), HasSubstr(".lua:2: bad argument #1"));
  EXPECT_THAT(problem("\nos.time('noon')"), HasSubstr(".lua:2: bad argument #1"));
}

// Slips that only running shows: the call fails, the log says where, and the next call is none the worse. What cannot
// be known when the script is loaded is reached by a way that its check does not follow.
TEST(Script, FailsInOneCallForASlipInAHandler) {
  Scripted s{R"(local kept, globals, way = nil, _G, {}
    globals = _G
    mansio.on("rcpt", function(transaction, rcpt)
      way.transaction, way.rcpt = transaction, rcpt
      if rcpt.localpart == "global" then return globals.undefinedd end
      if rcpt.localpart == "set" then globals.forgotten = 1 end
      if rcpt.localpart == "field" then return way.transaction.sesion end
      if rcpt.localpart == "part" then return way.rcpt.domian end
      if rcpt.localpart == "assign" then way.transaction.sender = "x" end
      if rcpt.localpart == "string" then return way.text or "rejected" end
      if rcpt.localpart == "on" then mansio.on("rcpt", print) end
      if rcpt.localpart == "kept" then if kept then return kept.queue_id end kept = transaction end
      if rcpt.localpart == "message" then mansio.lookup(way.rcpt, "x") end
      if rcpt.localpart == "type" then mansio.dns("example.com", way.type or "MXX") end
    end)
    mansio.on("connect", function() local early = mansio.hold("too early") return early end)
    mansio.on("helo", function() local early = mansio.redirect("early@example.com") return early end)
  )"};
  const std::vector<std::pair<std::string, std::string>> slips{
      {"global", R"(:5: there is no global "undefinedd")"},
      {"set", R"(:6: "forgotten" is no variable of this function)"},
      {"field", R"(:7: transaction has no field "sesion"; did you mean "session"?)"},
      {"part", R"(:8: address has no "domian"; did you mean "domain"?)"},
      {"assign", ":9: transaction cannot be changed"},
      {"string", ":3: the handler returned string, expected a result such as"},
      {"on", ":11: mansio.on works while the script is loaded"},
      {"message", ":13: expected text for the table's name, got address; its text is .address"},
      {"type", R"(:14: there is no type "MXX" of records here, expected A, AAAA, MX, TXT or PTR; did you mean "MX"?)"},
  };
  for (const auto &[name, expected] : slips) {
    s.host.log.clear();
    EXPECT_EQ(s.rcpt(name + "@example.com").last->status, MANSIO_INTERNAL) << name;
    EXPECT_THAT(s.host.log, AllOf(HasSubstr(expected), HasSubstr("stack traceback")));
    EXPECT_EQ(std::count(s.host.log.begin(), s.host.log.end(), '\n'), 1) << s.host.log;
    EXPECT_EQ(s.rcpt("fine@example.com").last->status, MANSIO_OK);
  }
  EXPECT_EQ(s.rcpt("kept@example.com").last->status, MANSIO_OK);
  EXPECT_EQ(s.rcpt("kept@example.com").last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("good in its handler only"));
  EXPECT_EQ(s.at(MANSIO_STAGE_CONNECT).last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("there is no message yet to hold"));
  EXPECT_EQ(s.at(MANSIO_STAGE_HELO, {"a"}).last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("there is no message yet to redirect"));
}

TEST(Script, TakesTheDeclaredWayOfAHandlerThatFails) {
  Scripted s{R"(
    mansio.on("rcpt", {on_error = "accept"}, function() error("one") end)
    mansio.on("mail", {on_error = "defer"}, function() error({}) end)
  )"};
  EXPECT_EQ(s.rcpt("a@example.com").last->status, MANSIO_SKIP);
  EXPECT_EQ(s.at(MANSIO_STAGE_MAIL, {"a@example.com"}).last->status, MANSIO_DEFER);
  EXPECT_THAT(s.host.log, HasSubstr(":2: one"));
}

// As if it were not there; the edits of the call cannot be told apart, and none is applied.
TEST(Script, AsksTheHandlersBehindOneWhoseFaultIsAccepted) {
  Scripted s{R"(
    mansio.on("rcpt", {on_error = "accept"}, function(_, rcpt) if rcpt.localpart ~= "fine" then error("one") end end)
    mansio.on("rcpt", {on_error = "accept"}, function(_, rcpt)
      if rcpt.localpart == "loop" then while true do end end
    end)
    mansio.on("rcpt", {on_error = "accept", timeout = "10ms"}, function(_, rcpt)
      if rcpt.localpart == "wait" then mansio.sleep("1h") end
    end)
    mansio.on("rcpt", function(_, rcpt)
      if rcpt.localpart == "pass" then return end
      if rcpt.localpart == "accept" then return mansio.accept() end
      if rcpt.localpart == "hold" then return mansio.hold("a look") end
      if rcpt.localpart == "else" then return mansio.redirect("review@example.com") end
      return mansio.reject("5.7.1", "no")
    end)
  )"};
  for (const auto *refused : {"fine@a", "a@a", "loop@a", "wait@a"})
    EXPECT_EQ(s.rcpt(refused).last->status, MANSIO_FAIL) << refused << s.host.log;
  EXPECT_EQ(s.rcpt("fine@a").last->status, MANSIO_FAIL) << "which ends the row, before the first handler rests";
  EXPECT_EQ(s.rcpt("pass@a").last->status, MANSIO_SKIP);
  EXPECT_EQ(s.rcpt("accept@a").last->status, MANSIO_SKIP);
  EXPECT_EQ(s.rcpt("hold@a").last->status, MANSIO_INTERNAL);
  EXPECT_EQ(s.rcpt("else@a").last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.faults, IsEmpty());
}

// The host does that for what fails without an on_error of its own. The states are made anew on the way.
TEST(Script, LeavesAHandlerThatKeepsFailingAloneForAMinute) {
  const ScriptFile file{R"(
    mansio.on("rcpt", {on_error = "accept"}, function(_, rcpt) if rcpt.localpart == "bad" then error("as asked") end end)
    mansio.on("rcpt", function(_, rcpt) if rcpt.domain == "hold.example" then return mansio.hold("a look") end end)
    mansio.on("mail", {on_error = "defer"}, function() error("as asked") end)
  )"};
  FakeHost host{mansio_plugin_entry_1(),
                file.options({{"state_uses", "2"}}),
                {{"instance", "test"}, {"virtual_clock", "1000000000000"}}};
  const auto at = [&](std::uint32_t number, const std::string &address) {
    FakeStage stage;
    stage.stage = number;
    stage.arguments = {address};
    return host.run(stage).last->status;
  };
  const auto rcpt = [&](const std::string &address) { return at(MANSIO_STAGE_RCPT, address); };
  const auto said = [&](std::string_view what) {
    std::size_t n = 0;
    for (auto i = host.log.find(what); i != std::string::npos; i = host.log.find(what, i + 1)) ++n;
    return n;
  };
  for (int i = 0; i < 4; ++i) EXPECT_EQ(rcpt("bad@a.example"), MANSIO_SKIP);
  EXPECT_EQ(rcpt("good@a.example"), MANSIO_OK) << "which ends the row";
  for (int i = 0; i < 5; ++i) EXPECT_EQ(rcpt("bad@a.example"), MANSIO_SKIP);
  EXPECT_EQ(said(":2: as asked"), 9u);
  EXPECT_EQ(said(":2: the handler failed 5 times in a row and is not called for a minute"), 1u);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(rcpt("bad@hold.example"), MANSIO_OK) << "nothing of that call has failed";
  EXPECT_EQ(said(":2: as asked"), 9u) << "it costs nothing any more";
  host.advance(std::chrono::minutes{1});
  for (int i = 0; i < 3; ++i) rcpt("bad@a.example");
  EXPECT_EQ(said(":2: as asked"), 10u) << "one call tries it";
  host.advance(std::chrono::minutes{1});
  EXPECT_EQ(rcpt("good@a.example"), MANSIO_OK);
  EXPECT_EQ(said(":2: the handler works again"), 1u);
  EXPECT_EQ(rcpt("bad@a.example"), MANSIO_SKIP);
  EXPECT_EQ(said(":2: as asked"), 11u);

  for (int i = 0; i < 10; ++i) EXPECT_EQ(at(MANSIO_STAGE_MAIL, "a@a.example"), MANSIO_DEFER);
  EXPECT_EQ(said(":4: as asked"), 5u);
  EXPECT_THAT(host.faults, IsEmpty());
}

TEST(Script, HasItsStatesTakeTurns) {
  Scripted s{R"(
    local n = 0
    mansio.on("rcpt", function() n = n + 1; mansio.log.info("%d %d", n, mansio.counter.add("all")) end)
  )",
             {{"states", "2"}}};
  for (int i = 0; i < 5; ++i) s.rcpt("a@example.com");
  EXPECT_EQ(s.host.log, "1 1\n1 2\n2 3\n2 4\n3 5\n");
}

TEST(Script, HasItsStatesMadeAnewAfterSoManyCalls) {
  Scripted s{R"(
    local n = 0
    mansio.on("rcpt", function() n = n + 1; mansio.log.info("%d %d", n, mansio.counter.add("all")) end)
  )",
             {{"state_uses", "2"}}};
  for (int i = 0; i < 3; ++i) s.rcpt("a@example.com");
  EXPECT_EQ(s.host.log, "1 1\n2 2\n1 3\n");
}

TEST(Script, HasItsStatesMadeAnewAfterAWhile) {
  const ScriptFile file{R"(
    local n = 0
    mansio.on("rcpt", function() n = n + 1; mansio.log.info("%d %d", n, mansio.counter.add("all")) end)
  )"};
  FakeHost host{mansio_plugin_entry_1(),
                file.options({{"state_age", "10m"}}),
                {{"instance", "test"}, {"virtual_clock", "1700000000000000000"}}};
  const auto ask = [&] {
    EXPECT_EQ(host.run(FakeStage{.stage = MANSIO_STAGE_RCPT, .arguments = {"a@example.com"}}).last->status, MANSIO_OK);
  };
  ask();
  host.advance(std::chrono::minutes{10});
  ask();
  host.advance(std::chrono::seconds{1});
  ask();
  host.advance(std::chrono::minutes{5});
  ask();
  EXPECT_EQ(host.log, "1 1\n2 2\n1 3\n2 4\n");
}

// A script under change is all of the old one until a reload, and all of the new one after it.
TEST(Script, ReadsItsModulesOnce) {
  const auto directory = ::testing::TempDir() + "modules-" + std::to_string(::getpid());
  std::filesystem::create_directories(directory);
  const auto write = [&](const std::string &text) { std::ofstream{directory + "/words.lua"} << text; };
  write("return {word = 'old'}");
  const ScriptFile file{"package.path = '" + directory + R"(/?.lua'
    local words = require("words")
    mansio.on("rcpt", function() return mansio.reject("5.7.1", words.word) end)
    mansio.on("mail", function() return mansio.reject("5.7.1", tostring(select(2, pcall(require, "missing")))) end)
  )"};
  const auto options = file.options({{"state_uses", "1"}, {"allow", "package"}});
  const auto word = [](FakeHost &host) {
    return host.run(FakeStage{.stage = MANSIO_STAGE_RCPT, .arguments = {"a@example.com"}}).last->text;
  };
  {
    FakeHost host{mansio_plugin_entry_1(), options, {{"instance", "test"}}};
    EXPECT_EQ(word(host), "old");
    write("return {word = 'new'}");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(word(host), "old");
    write("return {word = ");
    EXPECT_EQ(word(host), "old");
    EXPECT_THAT(host.run(FakeStage{.stage = MANSIO_STAGE_MAIL, .arguments = {"a@example.com"}}).last->text,
                HasSubstr("module 'missing' not found"));
    EXPECT_THAT(
        FakeHost::check(mansio_plugin_entry_1(), options),
        AllOf(HasSubstr(":2: "), HasSubstr("the module \"words\" cannot be loaded"), HasSubstr("words.lua:1:")));
    write("return {word = 'new'}");
  }
  FakeHost host{mansio_plugin_entry_1(), options, {{"instance", "test"}}};
  EXPECT_EQ(word(host), "new");
  std::filesystem::remove_all(directory);
}

TEST(Script, HasModulesWithAByteOrderMarkAndALineForTheSystem) {
  const auto directory = ::testing::TempDir() + "headings-" + std::to_string(::getpid());
  std::filesystem::create_directories(directory);
  const auto problem_of = [&](const std::string &module) {
    std::ofstream{directory + "/heading.lua"} << module;
    return problem(
        "package.path = '" + directory + "/?.lua'\nassert(require('heading') == 1)\nmansio.on('rcpt', print)",
        {{"allow", "package"}});
  };
  for (const std::string heading : {"\xEF\xBB\xBF", "#!/usr/bin/lua\n", "\xEF\xBB\xBF#!/usr/bin/lua\n"}) {
    EXPECT_EQ(problem_of(heading + "return 1"), "") << heading;
    EXPECT_THAT(problem_of(heading + "pirnt()"),
                HasSubstr(heading.ends_with('\n') ? "heading.lua:2: " : "heading.lua:1: "))
        << heading;
  }
  std::filesystem::remove_all(directory);
}

// The counter is the instance's, so that each load after the first one registers less.
TEST(Script, GoesOnInItsOldStateWhenANewOneRegistersLess) {
  Scripted s{R"(
    if mansio.counter.add("loads") == 1 then
      mansio.on("rcpt", function() return mansio.reject("5.7.1", "no") end)
    end
    mansio.on("mail", function() end)
  )",
             {{"state_uses", "1"}}};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(s.rcpt("a@example.com").last->status, MANSIO_FAIL);
  EXPECT_THAT(s.host.log, HasSubstr("registers other handlers, lookups or transports"));
}

TEST(Script, IsRefusedWhenItsStatesDiffer) {
  const ScriptFile file{R"(
    mansio.provide("lookup", "users" .. mansio.counter.add("loads"), {lookup = function() end})
  )"};
  EXPECT_THROW(FakeHost(mansio_plugin_entry_1(), file.options({{"states", "2"}})), std::runtime_error);
}

// A call that waits keeps the old state, and not the others in it.
TEST(Script, HasAFullStateMadeAnewThoughACallWaitsInIt) {
  Scripted s{R"(
    local kept = {}
    mansio.on("mail", function() mansio.sleep("1h") end)
    mansio.on("rcpt", function() for i = 1, 100 do kept[#kept + 1] = ("x"):rep(1000) .. #kept end end)
  )",
             {{"state_memory", "2M"}, {"run_time", "60s"}}};
  FakeStage mail;
  mail.stage = MANSIO_STAGE_MAIL;
  mail.arguments = {"a@example.com"};
  const auto waits = s.host.show(mail);
  const auto becomes = [&](bool good) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{30};
    while (std::chrono::steady_clock::now() < until)
      if ((s.rcpt("a@example.com").last->status == MANSIO_OK) == good) return true;
    return false;
  };
  EXPECT_TRUE(becomes(false));
  EXPECT_TRUE(becomes(true)) << s.host.log;
  s.host.cancel(waits);
}

TEST(Script, KeepsItsMetricsOverStates) {
  Scripted s{R"(
    local refused = mansio.metric.counter("refused", "Recipients that were refused.")
    local depth = mansio.metric.gauge("depth", "A depth.")
    mansio.on("rcpt", function() refused:add(); refused:add(2); depth:set(7) end)
  )",
             {{"state_uses", "1"}}};
  s.rcpt("a@example.com");
  s.rcpt("b@example.com");
  EXPECT_EQ(s.host.metric("refused"), 6);
  EXPECT_EQ(s.host.metric("depth"), 7);
  EXPECT_THAT(s.host.faults, IsEmpty());
  EXPECT_THAT(s.host.log, Not(HasSubstr("new")));
}

}  // namespace
}  // namespace mansio::lua::testing
