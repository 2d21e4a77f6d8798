// AUTH as scripts: names and passwords, mechanisms of a script's own, and that nobody is let in by mistake.
#include <optional>
#include <string>
#include <vector>

#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using mansio::testing::FakeAuthStep;
using mansio::testing::FakeReply;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

FakeAuthStep auth_step(const std::string &mechanism, std::optional<std::string> response, std::uint32_t number = 0,
                       std::uint64_t exchange = 1) {
  FakeAuthStep step;
  step.mechanism = mechanism;
  step.response = std::move(response);
  step.step = number;
  step.exchange = exchange;
  return step;
}

std::string plain_message(const std::string &user, const std::string &password, const std::string &identity = {}) {
  return identity + '\0' + user + '\0' + password;
}

// A script that judges names and passwords by this body; the fake host calls its instance "test".
struct Checking : Scripted {
  explicit Checking(const std::string &body, const FakeHost::Options &options = {})
      : Scripted("mansio.provide('auth', 'test', {check = function(user, password, step)\n" + body + "\nend})",
                 options) {}

  FakeReply plain(const std::string &user, const std::string &password) {
    return host.authenticate(auth_step("PLAIN", plain_message(user, password)));
  }
};

TEST(LuaAuth, JudgesTheNameAndPasswordOfPlain) {
  Checking s{R"(
    assert(step.mechanism == "PLAIN" and step.client_address == "192.0.2.1" and step.tls_version == "TLSv1.3")
    assert(step.helo_name == "client.example.test" and step.number == 1)
    return user == "alice" and password == "secret"
  )"};
  EXPECT_EQ(s.host.mechanisms(false), "PLAIN LOGIN");
  EXPECT_EQ(s.host.mechanisms(true), "PLAIN LOGIN");
  const auto asked = s.host.authenticate(auth_step("PLAIN", std::nullopt));
  EXPECT_EQ(asked.status, MANSIO_SKIP);
  EXPECT_THAT(asked.values, ElementsAre(""));
  const auto known = s.host.authenticate(auth_step("PLAIN", plain_message("alice", "secret"), 0, 2));
  EXPECT_EQ(known.status, MANSIO_OK) << s.host.log;
  EXPECT_THAT(known.values, ElementsAre("alice"));
  EXPECT_EQ(s.plain("alice", "wrong").status, MANSIO_FAIL);
  EXPECT_THAT(s.host.log, IsEmpty());
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(LuaAuth, RemembersTheNameOfLoginForItsExchangeAlone) {
  Checking s{"return user .. ':' .. password == 'alice:secret'"};
  EXPECT_THAT(s.host.authenticate(auth_step("LOGIN", std::nullopt)).values, ElementsAre("Username:"));
  EXPECT_THAT(s.host.authenticate(auth_step("LOGIN", "alice", 1)).values, ElementsAre("Password:"));
  EXPECT_THAT(s.host.authenticate(auth_step("LOGIN", "bob", 0, 2)).values, ElementsAre("Password:"));
  EXPECT_THAT(s.host.authenticate(auth_step("LOGIN", "secret", 2)).values, ElementsAre("alice"));
  EXPECT_EQ(s.host.authenticate(auth_step("LOGIN", "secret", 1, 2)).status, MANSIO_FAIL);
  // One that was given up is forgotten.
  s.host.authenticate(auth_step("LOGIN", "alice", 0, 3));
  s.host.forget_exchange(3);
  EXPECT_THAT(s.host.authenticate(auth_step("LOGIN", "secret", 1, 3)).values, ElementsAre("Password:"));
}

TEST(LuaAuth, IsNotAskedForWhatIsNoNameOrPassword) {
  Checking s{"mansio.log.info('asked') return true"};
  for (const auto &message : {std::string{}, std::string{"alice"}, plain_message("", "secret"),
                              plain_message("alice", ""), plain_message("a\nb", "secret"),
                              plain_message(std::string(256, 'a'), "secret"), plain_message("alice", "secret", "bob")})
    EXPECT_EQ(s.host.authenticate(auth_step("PLAIN", message)).status, MANSIO_FAIL);
  s.host.authenticate(auth_step("LOGIN", "", 0, 2));
  EXPECT_EQ(s.host.authenticate(auth_step("LOGIN", "secret", 1, 2)).status, MANSIO_FAIL);
  EXPECT_EQ(s.host.authenticate(auth_step("CRAM-MD5", "x")).status, MANSIO_FAIL);
  EXPECT_THAT(s.host.log, IsEmpty());
  EXPECT_THAT(s.host.authenticate(auth_step("PLAIN", plain_message("alice", "secret", "alice"))).values,
              ElementsAre("alice"));
}

TEST(LuaAuth, SaysWhoACheckedUserIs) {
  Checking s{R"(
    if password == "other" then return mansio.authenticated(user .. "@example.com", "postmaster") end
    if password == "no" then return mansio.reject("the account is closed") end
    if password == "later" then return mansio.defer("the directory is away") end
    if password == "thrown" then error(mansio.reject("5.7.8", "thrown")) end
  )"};
  EXPECT_THAT(s.plain("alice", "other").values, ElementsAre("alice@example.com", "postmaster"));
  const auto no = s.plain("alice", "no");
  EXPECT_EQ(no.status, MANSIO_FAIL);
  EXPECT_EQ(no.text, "the account is closed");
  EXPECT_EQ(s.plain("alice", "later").status, MANSIO_DEFER);
  EXPECT_EQ(s.plain("alice", "thrown").text, "thrown");
  EXPECT_EQ(s.plain("alice", "nothing").status, MANSIO_FAIL);
  EXPECT_THAT(s.host.log, IsEmpty());
}

TEST(LuaAuth, WaitsForTablesAndDefersWhileTheyAreDown) {
  Checking s{"return mansio.lookup('passwords', user) == password"};
  s.host.tables[{"passwords", "alice"}] = {MANSIO_OK, {"secret"}, ""};
  s.host.tables[{"passwords", "slow"}] = {MANSIO_DEFER, {}, "the server is away"};
  EXPECT_EQ(s.plain("alice", "secret").status, MANSIO_OK);
  EXPECT_EQ(s.plain("nobody", "secret").status, MANSIO_FAIL);
  const auto slow = s.plain("slow", "secret");
  EXPECT_EQ(slow.status, MANSIO_DEFER);
  EXPECT_EQ(slow.text, "table \"passwords\" cannot answer now");
  Checking sleeps{"mansio.sleep('1h') return true", {{"time_limit", "50ms"}}};
  EXPECT_EQ(sleeps.plain("alice", "secret").status, MANSIO_INTERNAL);
  EXPECT_THAT(sleeps.host.log, HasSubstr("it took more than its time"));
}

TEST(LuaAuth, LetsNobodyInByAMistake) {
  const auto says = [](const std::string &body, const FakeHost::Options &options = {}) {
    return load_or([&] {
      Checking s{body, options};
      const auto reply = s.plain("alice", "s3cret-password");
      EXPECT_EQ(reply.status, MANSIO_INTERNAL) << body;
      EXPECT_EQ(reply.text, "the script failed");
      EXPECT_THAT(s.host.log, Not(HasSubstr("s3cret"))) << body;
      EXPECT_THAT(s.host.faults, IsEmpty());
      return s.host.log;
    });
  };
  EXPECT_THAT(says("return password"), HasSubstr("the check of AUTH returned string, expected true, false"));
  EXPECT_THAT(says("local said = {user} return said"), HasSubstr("the check of AUTH returned table"));
  EXPECT_THAT(says("local said = mansio.accept() return said"), HasSubstr("a result that is for handlers"));
  EXPECT_THAT(says("local said = mansio.sent() return said"), HasSubstr("a result that is for transports"));
  EXPECT_THAT(says("local said = mansio.permits(1) return said"), HasSubstr("a result that is for rates"));
  EXPECT_THAT(says("local said = mansio.challenge('x') return said"), HasSubstr("returned a challenge"));
  EXPECT_THAT(says("return mansio.authenticated('')"), HasSubstr("the user is no name"));
  EXPECT_THAT(says("return mansio.authenticated('a', 'b\\n')"), HasSubstr("the identity is no name"));
  EXPECT_THAT(says("error(mansio.authenticated('alice'))"), HasSubstr("an error that is a verdict"));
  EXPECT_THAT(says("error('as asked')"), HasSubstr("as asked"));
  EXPECT_THAT(says("return step.mechansim"), HasSubstr("did you mean \"mechanism\"?"));
  EXPECT_THAT(says("step.number = 2"), HasSubstr("auth step cannot be changed"));
  EXPECT_THAT(says("while true do end", {{"instructions_limit", "100000"}}), HasSubstr("instructions_limit"));
}

constexpr auto kAskTwice = R"(
  mansio.provide("auth", "test", {
    mechanisms = {"TWICE", "X-ONCE"},
    step = function(step)
      if step.mechanism == "X-ONCE" then return mansio.authenticated(step.response) end
      if step.number == 1 then
        assert(step.response == nil and step.meta.asked == nil)
        step.meta.asked = "who?"
        return mansio.challenge(step.meta.asked)
      end
      if step.response == step.meta.asked .. " me" then return mansio.authenticated("me") end
      if step.response == "more" then return mansio.challenge() end
      return mansio.reject("not me")
    end,
  })
)";

TEST(LuaAuth, HasMechanismsOfItsOwnWithNotesFromStepToStep) {
  Scripted s{kAskTwice};
  EXPECT_EQ(s.host.mechanisms(false), "TWICE X-ONCE");
  const auto asked = s.host.authenticate(auth_step("TWICE", std::nullopt));
  EXPECT_EQ(asked.status, MANSIO_SKIP) << s.host.log;
  EXPECT_THAT(asked.values, ElementsAre("who?"));
  EXPECT_THAT(s.host.authenticate(auth_step("TWICE", "more", 1)).values, ElementsAre(""));
  EXPECT_THAT(s.host.authenticate(auth_step("TWICE", "who? me", 2)).values, ElementsAre("me"));
  EXPECT_THAT(s.host.authenticate(auth_step("X-ONCE", "bob", 0, 2)).values, ElementsAre("bob"));
  // Of an exchange that has ended, or was given up, nothing is left.
  s.host.authenticate(auth_step("TWICE", std::nullopt, 0, 3));
  s.host.forget_exchange(3);
  EXPECT_EQ(s.host.authenticate(auth_step("TWICE", "who? me", 1, 3)).status, MANSIO_INTERNAL);
  EXPECT_EQ(s.host.authenticate(auth_step("TWICE", "who? me", 1, 1)).status, MANSIO_INTERNAL);
}

TEST(LuaAuth, KeepsItsNotesThoughTheStateIsMadeAnew) {
  Scripted s{kAskTwice, {{"state_uses", "1"}, {"states", "2"}}};
  s.host.authenticate(auth_step("TWICE", std::nullopt));
  EXPECT_THAT(s.host.authenticate(auth_step("TWICE", "who? me", 1)).values, ElementsAre("me"));
}

TEST(LuaAuth, HasRoomForAFewNotes) {
  Scripted s{R"(
    mansio.provide("auth", "test", {mechanisms = {"NOTES"}, step = function(step)
      local meta = step.meta
      assert(not pcall(function() meta.long = ("x"):rep(4097) end))
      for i = 1, 16 do meta["n" .. i] = tostring(i) end
      assert(not pcall(function() meta.more = "17" end))
      meta.n1 = nil
      meta.more = "17"
      return mansio.authenticated(meta.more .. meta.n16)
    end})
  )"};
  EXPECT_THAT(s.host.authenticate(auth_step("NOTES", "x")).values, ElementsAre("1716")) << s.host.log;
}

TEST(LuaAuth, CanBeGivenUpWhileItWaits) {
  Checking s{"mansio.sleep('1h') return true"};
  const auto op = s.host.begin_step(auth_step("PLAIN", plain_message("alice", "secret")));
  s.host.cancel(op);
  EXPECT_NE(s.host.finish(op).status, MANSIO_OK);
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(LuaAuth, IsOfferedByTheInstanceThatIsCalledSo) {
  const ScriptFile file{"mansio.provide('auth', 'users', {check = function() return true end})"};
  FakeHost other{mansio_plugin_entry_1(), file.options(), {{"kind", "auth"}, {"instance", "test"}}};
  EXPECT_EQ(other.mechanisms(false), "");
  EXPECT_THAT(other.log, HasSubstr("it provides the auth \"users\", and the configuration asks for \"test\""));
  Scripted none{"mansio.on('rcpt', function() end)"};
  EXPECT_EQ(none.host.mechanisms(false), "");
  EXPECT_THAT(none.host.log, IsEmpty());
}

TEST(LuaAuth, IsCheckedWhenItIsLoaded) {
  const auto auth = [](const std::string &object) { return problem("mansio.provide('auth', 'a', " + object + ")"); };
  EXPECT_EQ(auth("{check = function() end}"), "");
  EXPECT_EQ(auth("{check = function() end, mechanisms = {'PLAIN'}}"), "");
  EXPECT_EQ(auth("{step = function() end, mechanisms = {'CRAM-MD5', 'XOAUTH2'}}"), "");
  EXPECT_THAT(auth("{chek = function() end}"), HasSubstr("did you mean \"check\"?"));
  EXPECT_THAT(auth("{}"), HasSubstr("the object has neither"));
  EXPECT_THAT(auth("{check = print, step = print}"), HasSubstr("the object has both"));
  EXPECT_THAT(auth("{check = 1}"), HasSubstr("expected a function for its field check, got number"));
  EXPECT_THAT(auth("{step = function() end}"), HasSubstr("has to say its mechanisms"));
  EXPECT_THAT(auth("{step = function() end, mechanisms = 'PLAIN'}"), HasSubstr("expected a table for its field mech"));
  EXPECT_THAT(auth("{step = function() end, mechanisms = {}}"), HasSubstr("has 0 names, expected 1 to 16"));
  EXPECT_THAT(auth("{step = function() end, mechanisms = {'plain'}}"), HasSubstr("\"plain\" is no mechanism"));
  EXPECT_THAT(auth("{check = function() end, mechanisms = {'PLIAN'}}"), HasSubstr("did you mean \"PLAIN\"?"));
  EXPECT_THAT(auth("{check = function() end, mechanisms = {'CRAM-MD5'}}"), HasSubstr("needs a function step"));
  EXPECT_THAT(problem("mansio.provide('auht', 'a', {})"), HasSubstr("did you mean \"auth\"?"));
  EXPECT_THAT(problem("\nmansio.provide('auth', 'a', {})"), HasSubstr(".lua:2: "));
}

}  // namespace
}  // namespace mansio::lua::testing
