// Handlers of the queue's events: what they are shown of the mail, what they may say, and that it reaches the host.
#include <string>
#include <utility>
#include <vector>

#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

FakeResult decided(Scripted &s, std::uint32_t stage, std::vector<std::string> arguments,
                   std::vector<std::pair<std::string, std::string>> facts = {}) {
  FakeStage shown;
  shown.stage = stage;
  shown.arguments = std::move(arguments);
  shown.macros = std::move(facts);
  shown.session.clear();
  shown.message_meta = {{"x.list", "news"}};
  return s.host.run(shown);
}

TEST(LuaQueue, ShowsTheMailAndTheRecipientToRoute) {
  Scripted s{R"(
    mansio.on("route", function(mail, recipient)
      assert(mail.queue_id == "0123456789ABC" and mail.sender.domain == "example.org" and mail.attempts == 2)
      assert(mail.meta["x.list"] == "news" and mail.meta.other == nil and mail.tenant == nil and mail.priority == -3)
      assert(mail.transport == "smtp" and mail.nexthop == nil and #mail.recipients == 1 and mail.to == nil)
      assert(recipient.domain == "example.com" and tostring(mail.recipients[1]) == "Bob@Example.com")
      assert(mail.recipients[1].code == nil and mail.retry_after == nil and mail.arrival == 1700000000)
      return mansio.route{transport = "bulk", nexthop = "[192.0.2.7]:26", source_pool = "warm"}
    end)
  )"};
  EXPECT_TRUE(s.host.wants(MANSIO_STAGE_ROUTE));
  EXPECT_FALSE(s.host.wants(MANSIO_STAGE_RETRY));
  const auto result = decided(s, MANSIO_STAGE_ROUTE, {"Bob@Example.com"},
                              {{"sender", "a@Example.org"},
                               {"attempts", "2"},
                               {"priority", "-3"},
                               {"transport", "smtp"},
                               {"arrival", "1700000000"}});
  EXPECT_EQ(result.last->status, MANSIO_OK) << s.host.log;
  EXPECT_THAT(result.edits, ElementsAre("route bulk:[192.0.2.7]:26", "source_pool warm"));
}

TEST(LuaQueue, ShowsWhatWasSaidOfEachRecipient) {
  Scripted s{R"(
    mansio.on("retry", function(mail)
      local first, second = mail.recipients[1], mail.recipients[2]
      assert(first.code == 451 and first.status == "4.2.0" and first.text == "later" and mail.retry_after == 300)
      assert(second.domain == "b.test" and second.code == nil and second.status == nil and second.text == "no route")
      return mansio.retry("10m")
    end)
    mansio.on("bounce", function(mail)
      assert(mail.kind == "failure" and mail.to.address == "a@example.org" and mail.recipients[1].status == "5.1.1")
      return mansio.redirect("bounces@example.org")
    end)
  )"};
  const auto retry =
      decided(s, MANSIO_STAGE_RETRY, {"x@a.test", "451", "4.2.0", "later", "y@B.test", "", "", "no route"},
              {{"retry_after", "300"}});
  ASSERT_EQ(retry.last->status, MANSIO_DEFER) << s.host.log;
  EXPECT_EQ(retry.last->retry_ns, 600'000'000'000);
  const auto bounce = decided(s, MANSIO_STAGE_BOUNCE, {"x@a.test", "550", "5.1.1", "no"},
                              {{"kind", "failure"}, {"to", "a@example.org"}});
  EXPECT_EQ(bounce.last->status, MANSIO_OK) << s.host.log;
  EXPECT_THAT(bounce.edits, ElementsAre("redirect bounces@example.org"));
}

TEST(LuaQueue, SaysWhatTheStageAllows) {
  Scripted s{R"(
    local say = {
      hold = function() return mansio.hold("look at it") end,
      discard = function() return mansio.discard("not wanted") end,
      reject = function() return mansio.reject("5.7.9", "never") end,
      defer = function() return mansio.defer("4.7.9", "not yet", {retry = "1h"}) end,
      thrown = function() error(mansio.retry("2s", "soon")) end,
      pool = function() return mansio.route{source_pool = "cold"} end,
      accept = function() return mansio.accept() end,
      nothing = function() end,
    }
    local function handler(mail) return say[mail.recipients[1].localpart]() end
    mansio.on("predelivery", handler)
    mansio.on("bounce", handler)
  )"};
  const auto said = [&](const std::string &what) { return decided(s, MANSIO_STAGE_PRE_DELIVERY, {what + "@x.test"}); };
  EXPECT_THAT(said("hold").edits, ElementsAre("hold look at it"));
  EXPECT_THAT(said("discard").edits, ElementsAre("discard not wanted"));
  EXPECT_THAT(said("pool").edits, ElementsAre("source_pool cold"));
  const auto reject = said("reject");
  EXPECT_EQ(reject.last->status, MANSIO_FAIL);
  EXPECT_EQ(reject.last->text, "never");
  EXPECT_EQ(said("defer").last->retry_ns, 3'600'000'000'000);
  const auto thrown = said("thrown");
  EXPECT_EQ(thrown.last->status, MANSIO_DEFER);
  EXPECT_EQ(thrown.last->text, "soon");
  for (const auto *what : {"accept", "nothing"}) {
    const auto result = said(what);
    EXPECT_EQ(result.last->status, MANSIO_OK) << what;
    EXPECT_THAT(result.edits, IsEmpty()) << what;
  }
  // A notification can be discarded, and neither held nor refused nor sent another way.
  const auto told = [&](const std::string &what) {
    s.host.log.clear();
    return decided(s, MANSIO_STAGE_BOUNCE, {what + "@x.test", "", "", ""});
  };
  EXPECT_THAT(told("discard").edits, ElementsAre("discard not wanted"));
  EXPECT_EQ(told("defer").last->status, MANSIO_DEFER);
  for (const auto *what : {"hold", "reject", "pool"}) {
    EXPECT_EQ(told(what).last->status, MANSIO_INTERNAL) << what;
    EXPECT_THAT(s.host.log, HasSubstr("a result that it cannot have, expected mansio.discard()")) << what;
  }
}

TEST(LuaQueue, IsNotForSessionsNorTheOtherWayRound) {
  Scripted s{R"(
    mansio.on("rcpt", function(tx, rcpt)
      local way, later = mansio.route{transport = "smtp"}, mansio.retry("5m")
      return rcpt.localpart == "route" and way or later
    end)
    mansio.on("retry", function(mail) local sent = mansio.sent() return sent end)
    mansio.on("route", function(mail) mail.meta["x.new"] = "1" end)
  )"};
  EXPECT_EQ(s.rcpt("route@x.test").last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("returned a result of the queue's events"));
  EXPECT_EQ(s.rcpt("retry@x.test").last->status, MANSIO_INTERNAL);
  EXPECT_EQ(decided(s, MANSIO_STAGE_RETRY, {"a@x.test", "", "", ""}).last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("expected mansio.retry(), reject(), hold(), or nothing"));
  s.host.log.clear();
  EXPECT_EQ(decided(s, MANSIO_STAGE_ROUTE, {"a@x.test"}).last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("stay as they are once it is in the queue"));
}

TEST(LuaQueue, AFaultIsTheConfigurationsAffairUnlessTheHandlerSaysOtherwise) {
  Scripted s{R"(
    mansio.on("route", {on_error = "accept"}, function() error("as asked") end)
    mansio.on("route", function(mail, recipient)
      if recipient.localpart == "defer" then return mansio.retry("1m") end
      if recipient.localpart == "hold" then return mansio.hold("not sure") end
    end)
    local field = {"recipient"}
    mansio.on("bounce", function(mail) return mail[field[1]] end)
  )"};
  EXPECT_EQ(decided(s, MANSIO_STAGE_ROUTE, {"a@x.test"}).last->status, MANSIO_SKIP);
  EXPECT_EQ(decided(s, MANSIO_STAGE_ROUTE, {"defer@x.test"}).last->status, MANSIO_DEFER);
  // Nobody knows what holding it was to be bound to.
  EXPECT_EQ(decided(s, MANSIO_STAGE_ROUTE, {"hold@x.test"}).last->status, MANSIO_INTERNAL);
  EXPECT_EQ(decided(s, MANSIO_STAGE_BOUNCE, {"a@x.test", "", "", ""}).last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("mail has no field \"recipient\"; did you mean \"recipients\"?"));
}

TEST(LuaQueue, ChecksWhatARouteSays) {
  EXPECT_THAT(check("mansio.route{}"), HasSubstr("mansio.route says nothing"));
  EXPECT_THAT(check("mansio.route{transprot = 'x'}"), HasSubstr("did you mean \"transport\"?"));
  EXPECT_THAT(check("mansio.retry('soon')"), HasSubstr("the time"));
  EXPECT_EQ(check("assert(tostring(mansio.redirect('a@x.test')) == 'redirect: a@x.test')"), "");
  EXPECT_THAT(problem("mansio.on('reroute', function() end)"), HasSubstr("did you mean \"route\"?"));
}

}  // namespace
}  // namespace mansio::lua::testing
