// The runner of `mansio lua test`: what it finds, what passes and fails, and how it says so.
#include "plugins/lua/tool/test_run.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

namespace mansio::lua::tool {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

// A directory with files, which goes with its owner.
class Files {
 public:
  Files() {
    static int number = 0;
    path_ = ::testing::TempDir() + "runner-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
    std::filesystem::create_directories(path_);
  }
  ~Files() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Files(const Files &) = delete;
  Files &operator=(const Files &) = delete;
  void write(const std::string &name, const std::string &text) const {
    std::filesystem::create_directories(std::filesystem::path{path_ + "/" + name}.parent_path());
    std::ofstream{path_ + "/" + name} << text;
  }
  std::string read(const std::string &name) const {
    std::ifstream in{path_ + "/" + name};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
  const std::string &path() const { return path_; }

 private:
  std::string path_;
};

struct Outcome {
  int status;
  std::string text;
};
Outcome run(TestOrder order) {
  char *text = nullptr;
  std::size_t n = 0;
  auto *out = ::open_memstream(&text, &n);
  const int status = run_tests(order, out);
  std::fclose(out);
  Outcome outcome{status, {text, n}};
  std::free(text);
  return outcome;
}
Outcome run(const Files &files) { return run(TestOrder{{files.path()}, "", false}); }

constexpr auto kScript = R"(
  mansio.on("mail", function(transaction, sender)
    mansio.log.info("seen %s", sender.address)
    if sender.domain == "bad.example" then return mansio.reject("5.7.1", "no") end
    if sender.domain == "fault.example" then error("oops") end
    if sender.domain == "hold.example" then return mansio.hold("a look") end
    if sender.domain == "table.example" then return mansio.reject(mansio.lookup("users", sender.address) or "nobody") end
    transaction.meta.tenant = sender.domain
  end)
)";

// The cases of one test file, beside kScript as "script.lua".
Outcome of(const std::string &cases) {
  const Files files;
  files.write("script.lua", kScript);
  files.write("a_test.lua", cases);
  return run(files);
}
// One case, with a script and a client of it.
Outcome with(const std::string &body) {
  return of("test.case('it', function()\nlocal script = test.script('script.lua')\nlocal client = script:client()\n" +
            body + "\nend)");
}
void passes(const std::string &body) {
  const auto outcome = with(body);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

TEST(Runner, CountsWhatPassedAndFailed) {
  const auto outcome = of(R"(
    test.case("good", function() test.equal(1, 1) end)
    test.case("bad", function() test.equal(1, 2) end)
  )");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.text, MatchesRegex("(.|\n)*/a_test\\.lua\n  ok    good\n  FAIL  bad\n        (.|\n)*"));
  EXPECT_THAT(outcome.text, HasSubstr("a_test.lua:3: not equal (- expected, + got)\n        - 2\n        + 1\n"));
  EXPECT_THAT(outcome.text,
              MatchesRegex("(.|\n)*\nfailed: [^\n]*a_test\\.lua: bad\n\n1 passed, 1 failed, 1 file, [0-9.]+ s\n"));
}

TEST(Runner, FindsFilesAtAnyDepthAndTakesOnesThatAreNamed) {
  const Files files;
  files.write("b/c_test.lua", "test.case('deep', function() end)");
  files.write("a_test.lua", "test.case('first', function() end)");
  files.write("other.lua", "test.case('named', function() end)");
  const auto found = run(files);
  EXPECT_EQ(found.status, 0) << found.text;
  EXPECT_THAT(found.text,
              AllOf(HasSubstr("ok    deep"), HasSubstr("2 passed, 0 failed, 2 files"), Not(HasSubstr("named"))));
  EXPECT_LT(found.text.find("first"), found.text.find("deep"));
  EXPECT_THAT(run({{files.path() + "/other.lua"}, "", false}).text, HasSubstr("ok    named"));
  EXPECT_THAT(run({{files.path()}, "dee", false}).text, AllOf(HasSubstr("ok    deep"), Not(HasSubstr("first"))));
}

TEST(Runner, FailsWhenThereIsNothingToRun) {
  const Files files;
  EXPECT_THAT(run(files).text, HasSubstr("no file is called *_test.lua"));
  EXPECT_EQ(run(files).status, 1);
  EXPECT_THAT(run({{files.path() + "/gone"}, "", false}).text, HasSubstr("gone is not there"));
  files.write("a_test.lua", "local x = 1");
  EXPECT_THAT(run(files).text, HasSubstr("has no test.case()"));
  files.write("a_test.lua", "test.case('a', function() end)");
  EXPECT_EQ(run({{files.path()}, "b", false}).status, 1);
  files.write("a_test.lua", "test.case(");
  const auto broken = run(files);
  EXPECT_EQ(broken.status, 1);
  EXPECT_THAT(broken.text, AllOf(HasSubstr("  ERROR "), HasSubstr("a_test.lua:1:"),
                                 HasSubstr("0 passed, 0 failed, 1 error, 1 file")));
}

TEST(Runner, TellsOfSlipsInTheTest) {
  EXPECT_THAT(of("test.cas('a', function() end)").text, HasSubstr("test has no \"cas\"; did you mean \"case\"?"));
  EXPECT_THAT(with("nothing()").text, HasSubstr("a_test.lua:4: there is no global \"nothing\""));
  EXPECT_THAT(with("script:client{adress = 'x'}").text, HasSubstr("a client has no \"adress\""));
  EXPECT_THAT(with("script:clint()").text,
              HasSubstr("a_test.lua:4: a script has no \"clint\"; did you mean \"client\"?"));
  EXPECT_THAT(with("script:redsi{}").text, HasSubstr("a script has no \"redsi\"; did you mean \"redis\"?"));
  EXPECT_THAT(with("client:rpct('a@example.com')").text,
              HasSubstr("a_test.lua:4: a client has no \"rpct\"; did you mean \"rcpt\"?"));
  EXPECT_THAT(with("test.script('script.lua', {table = {}})").text,
              HasSubstr("test.script has no \"table\"; did you mean \"tables\"?"));
  EXPECT_THAT(with("test.script('gone.lua')").text, HasSubstr("gone.lua, which is not there"));
  EXPECT_THAT(with("client:rcpt('a@example.com')").text, HasSubstr("a_test.lua:4: there is no sender yet"));
  EXPECT_THAT(with("test.script('script.lua', {clock = 'noon'})").text, HasSubstr("the clock is \"noon\", expected"));
  EXPECT_THAT(of("test.case('a', print)\ntest.case('a', print)").text, HasSubstr("there are two cases \"a\""));
}

TEST(Runner, SaysWhatAnEventBrought) {
  passes(
      "test.equal(client:mail('a@example.com'), 'accept')\ntest.equal(client.message_meta, {tenant = 'example.com'})");
  passes("test.equal(client:mail('a@bad.example'), '550 5.7.1 no')");
  passes("test.equal(client:mail('a@hold.example'), 'hold: a look')");
  passes("test.equal(client:helo('x').action, 'accept')");
  passes("client:mail('a@example.com')\ntest.contains(script:log(), 'seen a@example.com')");
}

TEST(Runner, TakesAFaultOfTheScriptForAFailureAndShowsItsLog) {
  const auto outcome = with("client:mail('a@fault.example')");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.text, AllOf(HasSubstr("a_test.lua:4: the script failed: "), HasSubstr("script.lua:5: oops"),
                                  HasSubstr("the log of its scripts:"), HasSubstr("seen a@fault.example")));
  passes("test.fails(function() client:mail('a@fault.example') end, 'oops')");
  EXPECT_THAT(with("error('', 0)").text, HasSubstr("FAIL  it\n        an error without a text\n"));
}

TEST(Runner, HasTablesThatTheTestFillsAndNoOthers) {
  passes(
      "script:table('users', {['a@table.example'] = 'known'})\n"
      "test.contains(client:mail('a@table.example'), 'known')\n"
      "test.contains(client:mail('b@table.example'), 'nobody')\n"
      "script:table('users', {['c@table.example'] = test.down('away')})\n"
      "test.equal(client:mail('c@table.example').action, 'defer')");
  const auto unknown = with("test.equal(client:mail('a@table.example'), 'accept')");
  EXPECT_THAT(unknown.text, HasSubstr("the test has no table \"users\""));
}

TEST(Runner, ComparesValuesDeeplyAndLineByLine) {
  passes("test.equal({1, {a = 'x'}}, {1, {a = 'x'}})\ntest.differs({1}, {2})\ntest.matches('abc', '^a.c$')");
  EXPECT_THAT(with("test.equal({1, b = 2}, {1, b = 3}, 'the list')").text,
              HasSubstr("the list: not equal (- expected, + got)\n          {\n            1,\n        -   b = 3,\n"
                        "        +   b = 2,\n          }\n"));
  EXPECT_THAT(with("test.equal('a\\nb\\n', 'a\\nc\\n')").text, HasSubstr("          a\n        - c\n        + b\n"));
  EXPECT_THAT(with("test.contains('abc', 'x')").text, HasSubstr("expected the text \"x\""));
  EXPECT_THAT(with("test.fails(function() end)").text, HasSubstr("expected an error, there was none"));
}

TEST(Runner, AppliesEditsToTheMessage) {
  const Files files;
  files.write("script.lua", R"(
    mansio.on("header", function(_, name, value) mansio.log.info("%s=%s", name, value) end)
    mansio.on("end-of-message", function(_, message)
      message:set_header("Subject", "new")
      message:insert_header(1, "X-First", "1")
      message:remove_header("X-Gone")
      message:replace_body("other\r\n")
      message:set_sender("s@example.com")
      message:add_recipient("c@example.com")
      message:remove_recipient("b@example.com")
    end)
  )");
  files.write("a_test.lua", R"(
    test.case("edits", function()
      local script = test.script("script.lua")
      local client = script:client()
      client:mail("a@example.com")
      client:rcpt("b@example.com")
      local result = client:message{"Subject: old\n folded", "X-Gone: 1", body = "text\n"}
      test.equal(result.message.sender, "s@example.com")
      test.equal(result.message.recipients, {"c@example.com"})
      test.equal(result.message:header("subject"), "new")
      test.equal(result.message.body, "other\r\n")
      test.equal(script:log(), "Subject= old\r\n folded\nX-Gone= 1\n")
      test.golden("edited.eml", result)
    end)
  )");
  EXPECT_THAT(run(files).text, HasSubstr("golden/edited.eml; `mansio lua test --update` writes it"));
  EXPECT_EQ(run({{files.path()}, "", true}).status, 0);
  EXPECT_EQ(files.read("golden/edited.eml"),
            "accept\nMAIL FROM:<s@example.com>\nRCPT TO:<c@example.com>\n\nX-First: 1\nSubject: new\n\nother\n");
  EXPECT_EQ(run(files).status, 0) << run(files).text;
  files.write("golden/edited.eml", "accept\nMAIL FROM:<z@example.com>\n");
  EXPECT_THAT(run(files).text, HasSubstr("        - MAIL FROM:<z@example.com>\n        + MAIL FROM:<s@example.com>\n"));
}

TEST(Runner, ShowsVersionsOfAMessage) {
  const Files files;
  files.write("script.lua", R"(
    mansio.on("end-of-message", function(_, message)
      message:add_header("X-For", "all")
      local bobs = message:version{"bob@example.com"}
      bobs:set_header("X-For", "bob")
      bobs:replace_body("for bob\r\n")
      message:replace_body("for the rest\r\n")
      message:set_sender("s@example.com")
    end)
  )");
  files.write("a_test.lua", R"(
    test.case("versions", function()
      local client = test.script("script.lua"):client()
      client:mail("a@example.com")
      client:rcpt("alice@example.com")
      client:rcpt("bob@example.com")
      local result = client:message{"Subject: x", body = "text\n"}
      test.equal(result.message.recipients, {"alice@example.com"})
      test.equal(result.message:header("X-For"), "all")
      test.equal(result.message.body, "for the rest\r\n")
      test.equal(#result.versions, 1)
      local bobs = result.versions[1]
      test.equal(bobs.sender, "s@example.com")
      test.equal(bobs.recipients, {"bob@example.com"})
      test.equal(bobs:header("X-For"), "bob")
      test.equal(bobs.body, "for bob\r\n")
    end)
  )");
  const auto outcome = run(files);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

TEST(Runner, ShowsTheMessagesParts) {
  const Files files;
  files.write("script.lua", R"(
    mansio.on("end-of-message", function(_, message)
      for part in message:parts() do
        if part.filename then return mansio.reject("5.7.1", part.filename .. ": " .. part:text()) end
      end
    end)
  )");
  files.write("a_test.lua", R"(
    test.case("parts", function()
      local client = test.script("script.lua"):client()
      client:mail("a@example.com")
      client:rcpt("b@example.com")
      local result = client:message{"Content-Type: multipart/mixed; boundary=b", body = [[
--b

text
--b
Content-Disposition: attachment; filename*=utf-8''a%20b
Content-Transfer-Encoding: base64

aGVsbG8=
--b--
]]}
      test.equal(result, "550 5.7.1 a b: hello")
    end)
  )");
  const auto outcome = run(files);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

TEST(Runner, SendsAMessageToSomebodyElse) {
  const Files files;
  files.write("script.lua", R"(
    mansio.on("rcpt", function(_, rcpt)
      if rcpt.localpart == "trap" then return mansio.redirect("review@example.com") end
    end)
    mansio.on("end-of-message", function(transaction, message)
      message:add_recipient("archive@example.com")
      mansio.log.info("%d recipients", transaction.recipient_count)
      if message:header("X-Review") then return mansio.redirect(message:header("X-Review")) end
    end)
  )");
  files.write("a_test.lua", R"(
    test.case("it", function()
      local script = test.script("script.lua")
      local client = script:client()
      client:mail("a@example.com")
      test.equal(client:rcpt("trap@example.com"), "redirect: review@example.com")
      client:rcpt("b@example.com")
      test.equal(client:message("Subject: x\n\nbody").message.recipients, {"review@example.com", "archive@example.com"})
      test.contains(script:log(), "1 recipients")
      client:mail("a@example.com")
      client:rcpt("b@example.com")
      local result = client:message("X-Review: c@example.com\n\nbody")
      test.equal(result, "redirect: c@example.com")
      test.equal(result.message.recipients, {"c@example.com"})
    end)
  )");
  const auto outcome = run(files);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

TEST(Runner, HasAClockThatTheTestMoves) {
  const Files files;
  files.write("script.lua", R"(
    local seen = mansio.window("seen", "1m")
    mansio.on("mail", function()
      mansio.sleep("1h")
      return mansio.reject("5.7.1", mansio.time.iso() .. " " .. os.date("!%H") .. " " .. seen:add("a"))
    end)
  )");
  files.write("a_test.lua", R"(
    test.case("clock", function()
      local script = test.script("script.lua", {clock = "2026-02-28T22:30:00Z"})
      test.equal(script:client():mail("a"), "550 5.7.1 2026-02-28T23:30:00Z 23 1.0")
      script:advance("30m")
      test.equal(script:client():mail("a"), "550 5.7.1 2026-03-01T01:00:00Z 01 1.0")
      test.equal(script:now(), 1772326800.0)
    end)
  )");
  const auto outcome = run(files);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

TEST(Runner, AsksWhoAClientOfAuthIs) {
  const Files files;
  files.write("auth.lua", R"(
    mansio.provide("auth", "users", {check = function(user, password, step)
      if user == "fault" then error("as asked") end
      if step.tls_version == nil then return mansio.reject("in clear, from " .. step.client_address) end
      if user == "boss" then return mansio.authenticated("boss@example.com", "alice") end
      return mansio.lookup("passwords", user) == password
    end})
  )");
  files.write("steps.lua", R"(
    mansio.provide("auth", "users", {mechanisms = {"TWICE"}, step = function(step)
      if step.number == 1 then step.meta.said = step.response or "-" return mansio.challenge("again") end
      return step.response == step.meta.said and mansio.authenticated("echo") or mansio.reject("no echo")
    end})
  )");
  files.write("a_test.lua", R"(
    test.case("check", function()
      local script = test.script("auth.lua", {name = "users", tables = {passwords = {alice = "secret"}}})
      local known = script:login("alice", "secret")
      test.equal(known, "accept")
      test.equal(known.user, "alice")
      test.equal(script:login("alice", "wrong"), "535 5.7.8 the script says no")
      test.equal(script:login("alice", "secret", {tls_version = false, client_address = "192.0.2.9"}),
                 "535 5.7.8 in clear, from 192.0.2.9")
      test.equal(script:login("boss", "x").identity, "alice")
      script:table("passwords", {bob = test.down("away")})
      test.equal(script:login("bob", "x").code, 454)
      test.fails(function() script:login("fault", "x") end, "the script failed")
      test.contains(script:log(), "as asked")
      local login = script:auth("LOGIN")
      test.equal(login:step(), "challenge: Username:")
      test.equal(login:step("alice"), "challenge: Password:")
      test.equal(login:step("secret").user, "alice")
      test.fails(function() script:auth("TWICE"):step() end, "but PLAIN LOGIN")
    end)
    test.case("steps", function()
      local script = test.script("steps.lua", {name = "users"})
      local one, other = script:auth("TWICE"), script:auth("TWICE")
      test.equal(one:step("a"), "challenge: again")
      test.equal(other:step(), "challenge: again")
      test.equal(other:step("a"), "535 5.7.8 no echo")
      test.equal(one:step("a").user, "echo")
      test.fails(function() test.script("steps.lua"):login("a", "b") end, "the script provides no auth of this name")
    end)
  )");
  const auto outcome = run(files);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

TEST(Runner, TakesAFilterByItsName) {
  const Files files;
  files.write("filters.lua", R"(
    mansio.provide("filter", "one", {mail = function() return mansio.reject("5.7.1", "one") end})
    mansio.provide("filter", "two", {rcpt = function() return mansio.reject("5.7.1", "two") end})
  )");
  files.write("a_test.lua", R"(
    test.case("it", function()
      test.equal(test.script("filters.lua", {name = "one"}):client():mail("a@example.com"), "550 5.7.1 one")
      local client = test.script("filters.lua", {name = "two"}):client()
      test.equal(client:mail("a@example.com"), "accept")
      test.equal(client:rcpt("b@example.com"), "550 5.7.1 two")
      local other = test.script("filters.lua"):client()
      test.fails(function() other:mail("a@example.com") end, "the script provides no filter of this name")
    end)
  )");
  const auto outcome = run(files);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

TEST(Runner, AsksWhatTheQueueAsks) {
  const Files files;
  files.write("queue.lua", R"(
    mansio.on("route", function(mail, recipient)
      if mail.meta["x.list"] then return mansio.route{transport = "bulk", source_pool = "lists"} end
      if recipient.domain == "full.test" then return mansio.retry("1h", "full") end
      if mail.listener == nil then return mansio.reject("5.7.1", "from nowhere") end
    end)
    mansio.on("predelivery", function(mail)
      if #mail.recipients > 1 then return mansio.hold("many") end
    end)
    mansio.on("retry", function(mail)
      if mail.recipients[1].code == 421 then return mansio.retry(60) end
      if mail.attempts > 3 then return mansio.reject("given up") end
    end)
    mansio.on("bounce", function(mail)
      if mail.kind == "delay" then return mansio.discard("nobody reads these") end
      if mail.to.domain == "old.test" then return mansio.redirect("hostmaster@new.test") end
    end)
  )");
  files.write("a_test.lua", R"(
    test.case("all", function()
      local script = test.script("queue.lua")
      local way = script:route("a@b.test", {meta = {["x.list"] = "news"}})
      test.equal(way, "route: bulk:")
      test.equal(way.transport .. "/" .. way.nexthop .. "/" .. way.source_pool, "bulk//lists")
      local later = script:route("a@full.test")
      test.equal(later, "451 4.7.1 full")
      test.equal(later.retry, 3600.0)
      test.equal(script:route("a@b.test"), "accept")
      test.equal(script:route("a@b.test", {listener = false}), "550 5.7.1 from nowhere")
      test.equal(script:predelivery(), "accept")
      test.equal(script:predelivery{recipients = {"a@b.test", "c@b.test"}}, "hold: many")
      test.equal(script:retry(), "accept")
      test.equal(script:retry{recipients = {{address = "a@b.test", code = 421}}}.retry, 60.0)
      test.equal(script:retry{attempts = 4}.text, "given up")
      test.equal(script:bounce{kind = "delay"}, "discard: nobody reads these")
      test.equal(script:bounce{to = "a@old.test"}.address, "hostmaster@new.test")
      test.equal(script:bounce(), "accept")
      test.fails(function() script:retry{atempts = 1} end, 'did you mean "attempts"?')
      test.fails(function() script:bounce{recipients = {{adress = "a@b.test"}}} end, 'did you mean "address"?')
    end)
    test.case("no handler", function()
      test.equal(test.script("queue.lua"):retry(), "accept")
    end)
  )");
  const auto outcome = run(files);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

TEST(Runner, AsksForLeasesAndTellsOfEvents) {
  const Files files;
  files.write("rate.lua", R"(
    local limit = mansio.rate("all", "10/m")
    mansio.provide("rate", "shared", {
      lease = function(request)
        if request.key == "away" then return mansio.defer("the counter is away") end
        local given = math.min(request.want, limit:free(request.key))
        limit:take(request.key, given)
        return mansio.permits(given, {ttl = "5s", retry = given == 0 and "1s" or nil})
      end,
      give_back = function(limit, key, unused) mansio.log.info("%d of %s %s", unused, limit, key) end,
    })
    mansio.on("bounced", function(event)
      mansio.log.info("%s %s %s", event.recipient.address, event.fields.dsn, mansio.lookup("names", event.queue_id) or "-")
    end)
  )");
  files.write("a_test.lua", R"(
    test.case("lease", function()
      local script = test.script("rate.lua", {name = "shared"})
      local lease = script:lease{key = "acme", want = 8, per_second = 0.5, burst = 3}
      test.equal(lease, "permits: 8")
      test.equal(lease.permits, 8)
      test.equal({lease.ttl, lease.retry}, {5.0, 0.0})
      test.equal(script:lease{key = "acme", want = 8}.permits, 2)
      test.equal(script:lease{key = "acme"}.retry, 1.0)
      script:advance("1m")
      test.equal(script:lease{key = "acme", want = 20}.permits, 10)
      test.equal(script:lease{key = "away"}, "451 4.3.0 the counter is away")
      script:give_back("tenant_rate_limit", "acme", 3)
      test.contains(script:log(), "3 of tenant_rate_limit acme")
      test.fails(function() script:lease{ky = "a"} end, 'did you mean "key"?')
      test.fails(function() test.script("rate.lua"):lease() end, "the script provides no rate of this name")
    end)
    test.case("events", function()
      local script = test.script("rate.lua", {name = "shared", tables = {names = {["4711"] = "first"}}})
      test.truthy(script:tell("bounced", {recipient = "b@example.com", queue_id = "4711", fields = {dsn = "5.1.1"}}))
      test.contains(script:log(), "b@example.com 5.1.1 first")
      test.equal(script:tell("delivered"), false)
      test.fails(function() script:tell("bounce") end, 'did you mean "bounced"?')
    end)
  )");
  const auto outcome = run(files);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

TEST(Runner, AnswersForWebServers) {
  const Files files;
  files.write("script.lua", R"(
    mansio.on("mail", function(_, sender)
      local answer = mansio.http.post("https://api.example.com/" .. sender.localpart, sender.address,
                                      {headers = {["X-From"] = "me"}, limit = 100})
      return mansio.reject("5.7.1", ("%d %s %s"):format(answer.status, answer.body, answer.headers["x-more"] or "-"))
    end)
    mansio.on("rcpt", function() mansio.http.get("http://other.example/") end)
  )");
  files.write("a_test.lua", R"(
    local function mail(answer, name)
      local script = test.script("script.lua", {options = {allow = "http"},
                                                http = {["POST https://api.example.com/" .. (name or "a")] = answer}})
      return script:client():mail("a@example.com"), script
    end
    test.case("answers", function()
      test.equal(mail(204), "550 5.7.1 204  -")
      test.equal(mail("text"), "550 5.7.1 200 text -")
      test.equal(mail{status = 404, body = "none", headers = {["X-More"] = 1}}, "550 5.7.1 404 none 1")
      local result, script = mail(function(request)
        return request.method .. request.url .. request.body .. request.headers["X-From"]
      end)
      test.equal(result, "550 5.7.1 200 POSThttps://api.example.com/aa@example.comme -")
      test.equal(#script:http_requests(), 1)
      test.equal(script:http_requests()[1].body, "a@example.com")
      script:http{["*"] = 500}
      test.equal(script:client():mail("x@example.com"), "550 5.7.1 500  -")
    end)
    test.case("none", function()
      for why, answer in pairs{["it burns"] = test.down("it burns"), ["it rains"] = test.lost("it rains"),
                               ["the response is larger than 100 octets"] = ("x"):rep(101)} do
        local result, script = mail(answer)
        test.equal(result.action, "defer")
        test.contains(script:log(), "cannot answer: api.example.com:443: " .. why)
      end
      local result, script = mail(200, "other")
      test.equal(result.action, "defer")
      test.contains(script:log(), "the test has no answer to POST https://api.example.com/a")
    end)
    test.case("slips", function()
      test.fails(function() mail(function(request) error("oops") end) end, "oops")
      test.fails(function() mail(function(request) return true end) end, "the answer to POST https://api.example.com/a is a boolean")
      test.fails(function() mail{stats = 200} end, 'did you mean "status"?')
      test.fails(function() mail(999) end, "the status is 999")
      test.fails(function() test.script("script.lua", {options = {allow = "http"}, http = {["https://x"] = 200}}) end,
                 "is no request")
      local script = test.script("script.lua", {options = {allow = "http"}})
      script:http{["*"] = function() return script:client():mail("again@example.com").text end}
      test.fails(function() script:client():mail("a@example.com") end, "cannot be asked meanwhile")
      test.fails(function() test.script("script.lua", {http = {}}) end, "mansio.http.post is off")
    end)
  )");
  const auto outcome = run(files);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

TEST(Runner, PlaysServersOfAnyProtocol) {
  const Files files;
  files.write("script.lua", R"(
    local redis = mansio.redis("127.0.0.1", {password = "secret", database = 2})
    mansio.on("mail", function(_, sender)
      local c = mansio.connect("judge.example:1", {tls = true})
      c:write("sender ", sender.address, "\n")
      local line = c:read_line()
      c:write("more\n")
      return mansio.reject("5.7.1", ("%s %s %s"):format(line, c:read(3), c:read_line()))
    end)
    mansio.on("rcpt", function(_, rcpt)
      local list = redis:call("GET", rcpt.address)
      if type(list) == "table" then list = ("%s %s %s"):format(list[1], list[2], list[3][1]) end
      return mansio.reject("5.7.1", tostring(list))
    end)
  )");
  files.write("a_test.lua", R"(
    local function script(settings)
      settings.options = {allow = "connect,redis"}
      return test.script("script.lua", settings)
    end
    test.case("a conversation", function()
      local heard = {}
      local client = script{servers = {["judge.example:1"] = function(peer)
        heard[1] = peer:read_line()
        peer:write("good\r\n")
        heard[2] = peer:read(5)
        peer:write("abcd", "e\r\n")
      end}}:client()
      test.equal(client:mail("a@example.com"), "550 5.7.1 good abc de")
      test.equal(heard, {"sender a@example.com", "more\n"})
    end)
    test.case("what it says at once", function()
      test.equal(script{servers = {["judge.example:1"] = "a\nbcd"}}:client():mail("a@example.com"), "550 5.7.1 a bcd nil")
    end)
    test.case("none", function()
      for why, servers in pairs{["it burns"] = {["judge.example:1"] = test.down("it burns")},
                                ["the test has no server judge.example:1"] = {["other.example:1"] = "x"},
                                ["timed out"] = {["judge.example:1"] = function(peer) peer:read(1000) end}} do
        local s = script{servers = servers}
        test.equal(s:client():mail("a@example.com").action, "defer", why)
        test.contains(s:log(), why)
      end
      test.fails(function()
        script{servers = {["judge.example:1"] = function() error("oops") end}}:client():mail("a@example.com")
      end, "oops")
      test.fails(function() script{servers = {["judge.example:1"] = 1}} end, "the server judge.example:1 is a number")
    end)
    test.case("replies of Redis", function()
      local values = {["a@b"] = "text", ["n@b"] = 7, ["l@b"] = {"x", false, {5}}, ["e@b"] = test.down("WRONGTYPE no"),
                      ["s@b"] = test.lost()}
      local asked = {}
      local s = script{redis = {["127.0.0.1"] = function(command, key)
        asked[#asked + 1] = command .. " " .. key
        return values[key]
      end}}
      local function says(address) return s:client():event("rcpt", {address}) end
      test.equal(says("a@b"), "550 5.7.1 text")
      test.equal(says("n@b"), "550 5.7.1 7")
      test.equal(says("l@b"), "550 5.7.1 x false 5")
      test.equal(says("none@b"), "550 5.7.1 nil")
      test.equal(says("e@b").action, "defer")
      test.contains(s:log(), "WRONGTYPE no")
      test.equal(says("s@b").action, "defer")
      test.equal(asked, {"GET a@b", "GET n@b", "GET l@b", "GET none@b", "GET e@b", "GET s@b"})
    end)
  )");
  const auto outcome = run(files);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

TEST(Runner, DeliversByTheTransport) {
  const Files files;
  files.write("script.lua", R"(
    mansio.provide("transport", "hook", {
      deliver = function(delivery)
        if delivery.message:header("X-Fault") then error("oops") end
        assert(delivery.sender.address == "s@example.org" and delivery.nexthop == "next.example")
        assert(delivery.attempts == 2 and delivery.meta.tenant == "gold" and delivery.source_pool == "p")
        assert(delivery.arrival == 1767225600 and delivery.envid == "id")
        for _, recipient in ipairs(delivery.recipients) do
          if recipient.localpart == "bounce" then delivery:bounce(recipient, "5.1.1", "no") end
          if recipient.localpart == "later" then
            assert(recipient.original == "l@example.com" and recipient.orcpt == "rfc822;l@example.com")
            assert(table.concat(recipient.notify, ",") == "failure,delay")
            delivery:defer(recipient, 450, "4.2.1", "busy", {retry = "30s", nexthop_failed = true, relay = "there"})
          end
          if recipient.localpart == "perhaps" then delivery:uncertain(recipient, "4.4.2", "gone") end
        end
        return mansio.sent(delivery.message:text())
      end,
    })
  )");
  files.write("a_test.lua", R"(
    test.case("it", function()
      local script = test.script("script.lua", {name = "hook"})
      local later = {address = "later@b.example", original = "l@example.com", orcpt = "rfc822;l@example.com",
                     notify = {"failure", "delay"}}
      local mail = {sender = "s@example.org", recipients = {"a@b.example", "bounce@b.example", later, "perhaps@b.example"},
                    message = {"Subject: x", body = "stored"}, nexthop = "next.example", meta = {tenant = "gold"},
                    attempts = 2, envid = "id", source_pool = "p"}
      local results = script:deliver(mail)
      test.equal(results["a@b.example"], "sent 2.0.0 stored  ")
      test.equal(results["bounce@b.example"], "bounce 5.1.1 no")
      local deferred = results["later@b.example"]
      test.equal(deferred, "defer 4.2.1 busy")
      test.equal({deferred.code, deferred.retry, deferred.nexthop_failed, deferred.relay}, {450, 30.0, true, "there"})
      test.equal(results["perhaps@b.example"], "uncertain 4.4.2 gone")
      test.fails(function() script:deliver{message = {"X-Fault: 1"}} end, "the transport's script failed")
      test.fails(function() script:deliver{recipient = {}} end, 'did you mean "recipients"?')
      test.fails(function() script:deliver{recipients = {}} end, "a delivery has a recipient")
      test.fails(function() script:deliver{recipients = {{address = "a@b", notify = {"often"}}}} end, "expected never")
      test.fails(function() test.script("script.lua"):deliver() end, 'the script provides no transport "test"')
    end)
  )");
  const auto outcome = run(files);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

TEST(Runner, HasAQueueAndAnOperator) {
  const Files files;
  files.write("script.lua", R"(
    mansio.on("rcpt", function(_, rcpt)
      local granted, wait = mansio.take_permits("tenant_rate_limit", "gold", 2)
      if granted == 0 then return mansio.defer("4.7.1", "in " .. wait) end
      local id, why = mansio.submit{sender = "a@b", recipients = rcpt.address, message = "Subject: x\n\n", meta = {tenant = "gold"}}
      return mansio.reject("5.7.1", granted .. " " .. (id or why))
    end)
    mansio.command("echo", "says it again", function(...) return {...} end)
    mansio.command("fail", "", function() return mansio.reject("no") end)
  )");
  files.write("a_test.lua", R"(
    test.case("mail and permits", function()
      local script = test.script("script.lua")
      local client = script:client()
      local function says() return client:event("rcpt", {"b@example.com"}) end
      test.equal(says(), "550 5.7.1 2 0123456789ABC")
      test.equal(script:submitted(), {{sender = "a@b", recipients = {"b@example.com"}, message = "Subject: x\r\n\r\n",
                                       meta = {tenant = "gold"}}})
      script:submit("no way to it")
      test.equal(says(), "550 5.7.1 2 no way to it")
      script:submit(test.down("the disk is full"))
      test.equal(says().action, "defer")
      test.contains(script:log(), "the disk is full")
      script:submit()
      script:permits{["tenant_rate_limit gold"] = 3}
      test.equal(says(), "550 5.7.1 2 0123456789ABC")
      test.equal(says(), "550 5.7.1 1 0123456789ABC")
      test.equal(says(), "451 4.7.1 in 1.0")
      test.equal(#script:submitted(), 3)
      test.fails(function() script:permits{gold = 1} end, "is no limit with a key")
    end)
    test.case("commands", function()
      local script = test.script("script.lua")
      local said = script:call("echo", "a", "b c")
      test.equal(said.lines, {"a", "b c"})
      test.equal(said.action, "done")
      test.equal(script:call("fail"), "failed: no")
      test.fails(function() script:call("ecko") end, 'the script has no command "ecko"; it has echo, fail')
    end)
  )");
  const auto outcome = run(files);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

TEST(Runner, TellsOfMessagesThatComeToNothing) {
  const Files files;
  files.write("a.lua", R"(
    mansio.on("mail", function(_, sender)
      if sender.localpart == "bad" then return mansio.reject("5.7.1", "no") end
    end)
    mansio.on("end-of-message", function(_, message)
      if message:header("Subject") == "bad" then return mansio.reject("5.7.1", "no") end
    end)
    mansio.on("abort", function(session, id) mansio.log.info("abort %s %s", session, id) end)
  )");
  files.write("a_test.lua", R"(
    local function aborts(script) return select(2, script:log():gsub("abort test%.1 0123456789ABC\n", "")) end
    test.case("what becomes of messages", function()
      local script = test.script("a.lua")
      local client = script:client()
      client:helo("x")
      client:reset()
      test.equal(aborts(script), 0, "there was none")
      client:mail("a@example.com")
      client:rcpt("b@example.com")
      client:message("Subject: good\n\nbody\n")
      test.equal(aborts(script), 0, "it is taken")
      client:mail("a@example.com")
      client:reset()
      test.equal(aborts(script), 1, "RSET")
      client:mail("bad@example.com")
      test.equal(aborts(script), 1, "it has refused MAIL itself")
      client:mail("a@example.com")
      client:rcpt("b@example.com")
      client:message("Subject: bad\n\nbody\n")
      test.equal(aborts(script), 1, "it has refused the message itself")
      client:mail("a@example.com")
      client:disconnect()
      test.equal(aborts(script), 2, "the client leaves")
    end)
  )");
  TestOrder order;
  order.paths = {files.path()};
  const auto outcome = run(order);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

TEST(Runner, GivesScriptsTheirSettings) {
  const Files files;
  files.write("a.lua", R"(
    local days = mansio.option("days", {type = "integer", required = true})
    local names = mansio.option("names", {type = "list"})
    mansio.on("helo", function(_, name) return mansio.reject("5.7.1", days .. " " .. table.concat(names, ";")) end)
  )");
  files.write("a_test.lua", R"(
    test.case("settings", function()
      local client = test.script("a.lua", {settings = {days = 3, names = {"a,b", "c"}}}):client()
      test.equal(client:helo("x"), "550 5.7.1 3 a,b;c")
      local plain = test.script("a.lua", {options = {settings = "days=4"}}):client()
      test.equal(plain:helo("x"), "550 5.7.1 4 ")
      test.fails(function() test.script("a.lua") end, 'the setting "days" is not given')
      test.fails(function() test.script("a.lua", {settings = {dayz = 3, days = 3}}) end, 'did you mean "days"?')
      test.fails(function() test.script("a.lua", {settings = {days = "3\n4"}}) end, "more than one line")
    end)
  )");
  TestOrder order;
  order.paths = {files.path()};
  const auto outcome = run(order);
  EXPECT_EQ(outcome.status, 0) << outcome.text;
}

// The names of a table of the runner's, against those that sdk/lua/mansio_test.d.lua declares as "function
// PREFIX(name)(".
TEST(Runner, HasWhatTheStubsSay) {
  std::ifstream in{std::string{MANSIO_SOURCE_DIR} + "/sdk/lua/mansio_test.d.lua"};
  const std::string stubs{std::istreambuf_iterator<char>{in}, {}};
  const auto declared = [&](const std::string &prefix) {
    const std::regex regex{"function " + prefix + "(\\w+)\\("};
    std::string names;
    for (std::sregex_iterator i{stubs.begin(), stubs.end(), regex}, end; i != end; ++i)
      names += (*i)[1].str() + " = true, ";
    return names;
  };
  passes(
      "local function names(t)\n"
      "  local all = {}\n"
      "  for name in pairs(t) do if not name:find('^__') then all[name] = true end end\n"
      "  return all\n"
      "end\n"
      "test.equal(names(test), {" +
      declared("test\\.") +
      "})\n"
      "test.equal(names(getmetatable(script)), {" +
      declared("script:") +
      "})\n"
      "test.equal(names(getmetatable(client)), {" +
      declared("client:") +
      "})\n"
      "test.equal(names(getmetatable(script:auth('PLAIN'))), {" +
      declared("exchange:") + "})");
}

}  // namespace
}  // namespace mansio::lua::tool
