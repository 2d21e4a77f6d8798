// Mail that a script submits, permits of the queue's limits that it takes, and its commands for operators.
#include <string>
#include <vector>

#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using mansio::testing::FakeGranted;
using mansio::testing::FakeMail;
using mansio::testing::FakePermits;
using mansio::testing::FakeSubmission;
using mansio::testing::FakeSubmitAnswer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The text of what a handler of "rcpt" with this body returns.
std::string at_rcpt(const std::string &body) {
  return "mansio.on('rcpt', function(transaction, rcpt)\n" + body + "\nend)";
}

TEST(LuaSubmit, PutsAMessageIntoTheQueue) {
  Scripted s{at_rcpt(R"(
    local id, why = mansio.submit{
      sender = "a@example.com", recipients = {"b@example.com", rcpt.address}, meta = {tenant = "gold", priority = -5},
      message = "Subject: hello\n\nbody\n",
    }
    assert(why == nil)
    return mansio.reject("5.7.1", id)
  )")};
  EXPECT_EQ(s.rcpt("c@example.com").last->text, "0123456789ABC") << s.host.log;
  ASSERT_EQ(s.host.submitted.size(), 1u);
  const auto &mail = s.host.submitted.front();
  EXPECT_EQ(mail.sender, "a@example.com");
  EXPECT_THAT(mail.recipients, ElementsAre("b@example.com", "c@example.com"));
  EXPECT_EQ(mail.content, "Subject: hello\r\n\r\nbody\r\n");
  EXPECT_EQ(mail.metadata.at("tenant"), "gold");
  EXPECT_EQ(mail.metadata.at("priority"), "-5");
  EXPECT_EQ(mail.flags, 0u);
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(LuaSubmit, SaysWhatOctetsThereAre) {
  Scripted s{at_rcpt(R"(
    local body = rcpt.address == "body" and "gr\xc3\xbcn" or "green"
    local subject = rcpt.address == "subject" and "gr\xc3\xbcn" or "green"
    local to = rcpt.address == "to" and "gr\xc3\xbcn@example.com" or "green@example.com"
    mansio.submit{recipients = to, message = "Subject: " .. subject .. "\n\n" .. body .. "\n"}
  )")};
  for (const auto *const where : {"none", "body", "subject", "to"}) s.rcpt(where);
  ASSERT_EQ(s.host.submitted.size(), 4u) << s.host.log;
  EXPECT_EQ(s.host.submitted[0].flags, 0u);
  EXPECT_EQ(s.host.submitted[1].flags, MANSIO_MSG_BODY_8BITMIME);
  EXPECT_EQ(s.host.submitted[2].flags, MANSIO_MSG_BODY_8BITMIME | MANSIO_MSG_SMTPUTF8);
  EXPECT_EQ(s.host.submitted[3].flags, MANSIO_MSG_SMTPUTF8);
}

TEST(LuaSubmit, TellsOfWhatIsRefusedAndDefersWhatCannotBeTakenNow) {
  Scripted s{at_rcpt(R"(
    local id, why = mansio.submit{recipients = "b@example.com", message = "\n"}
    return mansio.reject("5.7.1", tostring(id) .. ": " .. why)
  )")};
  s.host.submit_answer = [](const FakeSubmission &) { return FakeSubmitAnswer{MANSIO_FAIL, "no such way"}; };
  EXPECT_EQ(s.rcpt("a").last->text, "nil: no such way") << s.host.log;
  s.host.submit_answer = [](const FakeSubmission &) { return FakeSubmitAnswer{MANSIO_DEFER, "the disk is full"}; };
  EXPECT_EQ(s.rcpt("a").last->status, MANSIO_DEFER);
  EXPECT_THAT(s.host.log, HasSubstr("the disk is full"));
  EXPECT_THAT(s.host.submitted, IsEmpty());
}

TEST(LuaSubmit, IsHeldAgainstTheCallsMemory) {
  Scripted s{at_rcpt(R"(
    local message = ("x\n"):rep(1500000)
    local function go() return mansio.submit{recipients = "b@example.com", message = message} end
    local one, two = mansio.spawn(go), mansio.spawn(go)
    one:join()
    two:join()
  )"),
             {{"call_memory", "8M"}, {"run_time", "60s"}}};
  EXPECT_EQ(s.rcpt("a").last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("not enough memory for 3000000 octets"));
  EXPECT_EQ(s.host.submitted.size(), 1u);
}

TEST(LuaSubmit, MakesADeliveryThatIsEndedUncertain) {
  Scripted s{R"(
    mansio.provide("transport", "test", {
      deliver = function()
        mansio.submit{recipients = "b@example.com", message = "Subject: a\n\n"}
        mansio.sleep("1h")
      end,
    })
  )",
             {{"time_limit", "50ms"}}};
  FakeMail mail;
  mail.recipients = {{"a@example.com", "", "", 0}};
  const auto result = s.host.run(mail);
  EXPECT_EQ(result.last->status, MANSIO_UNCERTAIN) << s.host.log;
}

TEST(LuaSubmit, IsCheckedAtLoadAndWhenItIsCalled) {
  const std::vector<std::pair<std::string, std::string>> slips{
      {"mansio.submit()", "expected a table for the mail, got nothing"},
      {"mansio.submit{recipents = 'a@b', message = ''}",
       R"(mansio.submit has no option "recipents"; did you mean "recipients"?)"},
      {"mansio.submit{recipients = 'a@b'}", R"(mansio.submit needs "message")"},
      {"mansio.submit{sender = rcpt, recipients = 'a@b', message = ''}",
       "expected text for sender, got address; its text is .address"},
      {"mansio.submit{recipients = rcpt, message = ''}",
       "expected text for recipients, got address; its text is .address"},
      {"mansio.submit{recipients = {}, message = ''}", "the mail has no recipients"},
      {"mansio.submit{recipients = {1 < 2}, message = ''}", "expected text for a recipient, got boolean"},
      {"mansio.submit{recipients = 'a@b', message = '', meta = {1}}", "expected names as keys of meta"},
      {"mansio.submit{recipients = 'a@b', message = '', meta = 'gold'}", "expected a table for meta, got string"},
  };
  for (const auto &[body, expected] : slips) {
    const auto said = load_or([&] {
      Scripted s{at_rcpt(body)};
      s.rcpt("a@example.com");
      return s.host.log;
    });
    EXPECT_THAT(problem(at_rcpt(body)) + said, HasSubstr(expected)) << body;
  }
  EXPECT_THAT(problem(at_rcpt("mansio.submit{recipients = 'a@b'}")), HasSubstr(":2: mansio.submit needs"));
}

TEST(LuaPermits, AreThoseOfTheQueue) {
  Scripted s{at_rcpt(R"(
    local granted, wait = mansio.take_permits("tenant_rate_limit", "gold", 5)
    return mansio.reject("5.7.1", granted .. " " .. tostring(wait))
  )")};
  EXPECT_EQ(s.rcpt("a").last->text, "5 nil") << s.host.log;
  s.host.permits_answer = [](const FakePermits &) { return FakeGranted{2, 0}; };
  EXPECT_EQ(s.rcpt("a").last->text, "2 nil");
  s.host.permits_answer = [](const FakePermits &) { return FakeGranted{0, 1'500'000'000}; };
  EXPECT_EQ(s.rcpt("a").last->text, "0 1.5");
  ASSERT_EQ(s.host.permits_asked.size(), 3u);
  EXPECT_EQ(s.host.permits_asked[0].limit, "tenant_rate_limit");
  EXPECT_EQ(s.host.permits_asked[0].key, "gold");
  EXPECT_EQ(s.host.permits_asked[0].want, 5u);
}

TEST(LuaPermits, AreOfLimitsThatThereAre) {
  const std::string expected = R"(there is no limit "tennant_rate_limit" to take of, expected tenant_rate_limit)";
  EXPECT_THAT(problem(at_rcpt("mansio.take_permits('tennant_rate_limit', 'gold')")), HasSubstr(expected));
  Scripted s{at_rcpt("mansio.take_permits(('x'):rep(1), 'gold')")};
  s.rcpt("a");
  EXPECT_THAT(s.host.log, HasSubstr(R"(there is no limit "x" to take of)"));
}

TEST(LuaCommand, IsCalledByOperators) {
  Scripted s{R"(
    local kept = {a = "1"}
    mansio.command("forget", "NAME: forgets it", function(name, ...)
      if not name then return mansio.reject("whom?") end
      if select("#", ...) > 0 then return {name, ...} end
      kept[name] = nil
      mansio.sleep("1s")
      return "forgotten"
    end)
    mansio.command("oops", "fails", function() error("oops") end)
    mansio.command("look", "asks a table", function(key) return mansio.lookup("users", key) end)
    mansio.command("wrong", "says nonsense", function() return 1 < 2 end)
    mansio.on("connect", function() end)
  )",
             {{"state_uses", "1"}, {"states", "2"}}};
  EXPECT_EQ(s.host.commands().at("forget"), "NAME: forgets it");
  EXPECT_EQ(s.host.commands().size(), 4u);
  for (int i = 0; i < 3; ++i) {  // in states that are made anew
    const auto done = s.host.command("forget", {"a"});
    EXPECT_EQ(done.status, MANSIO_OK) << s.host.log;
    EXPECT_EQ(done.text, "forgotten");
  }
  EXPECT_THAT(s.host.command("forget", {"a", "b c", ""}).values, ElementsAre("a", "b c", ""));
  const auto failed = s.host.command("forget");
  EXPECT_EQ(failed.status, MANSIO_FAIL);
  EXPECT_EQ(failed.text, "whom?");
  EXPECT_THAT(s.host.command("oops").text, HasSubstr("oops"));
  EXPECT_NE(s.host.command("oops").status, MANSIO_OK);
  s.host.tables[{"users", "a"}] = {MANSIO_OK, {"1"}, ""};
  EXPECT_EQ(s.host.command("look", {"a"}).text, "1");
  EXPECT_EQ(s.host.command("look", {"b"}).text, "");
  s.host.tables[{"users", "c"}] = {MANSIO_DEFER, {}, "it is away"};
  EXPECT_THAT(s.host.command("look", {"c"}).text, HasSubstr("users"));
  EXPECT_THAT(s.host.command("wrong").text, HasSubstr("the command returned boolean"));
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(LuaCommand, TakesNoLongerThanTheOperatorWaits) {
  const ScriptFile file{
      "mansio.command('sleep', '', function() mansio.sleep('1h') end)\nmansio.on('connect', function() end)"};
  FakeHost host{mansio_plugin_entry_1(), file.options(), {{"virtual_clock", "1767225600000000000"}}};
  const auto reply = host.command("sleep");
  EXPECT_NE(reply.status, MANSIO_OK);
  EXPECT_THAT(reply.text, HasSubstr("it took more than its time"));
}

TEST(LuaCommand, IsCheckedWhenItIsLoaded) {
  const std::vector<std::pair<std::string, std::string>> slips{
      {"mansio.command('Forget', '', print)", "expected a name of 1 to 64 of a to z"},
      {"mansio.command('-a', '', print)", "expected a name of 1 to 64 of a to z"},
      {"mansio.command('a', '')", "expected a function for the handler, got nothing"},
      {"mansio.command('a', print)", "expected text for the help, got function"},
      {"mansio.command('a', '', print) mansio.command('a', '', print)", R"(the command "a" is there already)"},
      {"mansio.on('connect', function() mansio.command('a', '', print) end)",
       "mansio.command works while the script is loaded"},
  };
  for (const auto &[text, expected] : slips) {
    const auto said = load_or([&] {
      Scripted s{text + "\nmansio.on('connect', function() end)"};
      s.at(MANSIO_STAGE_CONNECT);
      return s.host.log;
    });
    EXPECT_THAT(problem(text + "\nmansio.on('connect', function() end)") + said, HasSubstr(expected)) << text;
  }
}

}  // namespace
}  // namespace mansio::lua::testing
