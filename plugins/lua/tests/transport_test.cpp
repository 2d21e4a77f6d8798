// Transports as scripts: what a delivery shows, what its results become, and what becomes of mail when it goes wrong.
#include <atomic>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "plugins/lua/tests/scripted.hpp"
#include "plugins/lua/tests/server.hpp"
#include "plugins/transport-http/tests/http_server.hpp"

namespace mansio::lua::testing {
namespace {

using mansio::testing::FakeMail;
using mansio::testing::FakeReply;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A script whose transport has this body; the fake host calls its instance "test".
struct Transporting : Scripted {
  explicit Transporting(const std::string &body, const FakeHost::Options &options = {})
      : Scripted("mansio.provide('transport', 'test', {deliver = function(delivery)\n" + body + "\nend})", options) {}

  static FakeMail mail(std::vector<std::string> to = {"b@example.com"}) {
    FakeMail made;
    made.sender = "a@example.org";
    for (auto &address : to) made.recipients.push_back({std::move(address), "", "", 0});
    made.content = "Subject: one\r\nTo: b\r\n\r\nfirst\r\nsecond\r\n";
    return made;
  }
  // The result of the only recipient.
  FakeReply deliver() { return host.run(mail()).recipients.at(0); }
};

std::size_t times(const std::string &text, const std::string &what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + what.size())) ++n;
  return n;
}

TEST(LuaTransport, ShowsTheDelivery) {
  Transporting s{R"(
    assert(delivery.sender.address == "a@example.org" and delivery.sender.domain == "example.org")
    assert(delivery.queue_id == "0123456789ABC" and delivery.nexthop == "hook.example" and delivery.envid == "e1")
    assert(delivery.ret == "hdrs" and delivery.require_tls and not delivery.smtputf8 and delivery.possible_duplicate)
    assert(delivery.attempts == 3 and delivery.tls_policy == "encrypt" and delivery.client_address == "192.0.2.1")
    assert(delivery.client_name == "client.example" and delivery.helo_name == "helo.example")
    assert(delivery.eight_bit and delivery.body_8bitmime and not delivery.eight_bit_header)
    local origin = delivery.origin
    assert(origin.source == "remote" and origin.address == "198.51.100.1" and origin.port == 25 and origin.name == nil)
    assert(origin.helo_name == "far.example" and origin.protocol == "ESMTP" and origin.ident == "ABC")
    local way = {origin = origin}
    local _, why = pcall(function() return way.origin.adress end)
    assert(why:find('origin has no "adress"; did you mean "address"?', 1, true), why)
    assert(delivery.auth_user == "alice" and delivery.auth_method == "PLAIN" and delivery.auth_sender == nil)
    assert(delivery.meta.tenant == "gold" and delivery.meta.none == nil and delivery.source_pool == nil)
    assert(math.abs(delivery.arrival - mansio.time.now()) < 3600)
    local first, second = table.unpack(delivery.recipients)
    assert(#delivery.recipients == 2 and first.address == "B@Example.com" and first.localpart == "B")
    assert(first.domain == "example.com" and first.original == "old@example.com" and tostring(first) == first.address)
    assert(first.orcpt == "rfc822;old@example.com" and table.concat(first.notify, " ") == "success failure")
    assert(second.original == "c@example.com" and second.orcpt == nil and second.notify == nil)
    return mansio.sent("250 fine")
  )"};
  auto mail = s.mail({});
  mail.recipients = {
      {"B@Example.com", "old@example.com", "rfc822;old@example.com", MANSIO_NOTIFY_SUCCESS | MANSIO_NOTIFY_FAILURE},
      {"c@example.com", "", "", 0}};
  mail.nexthop = "hook.example";
  mail.attempts = 3;
  mail.sasl = {"PLAIN", "alice", ""};
  mail.envid = "e1";
  mail.ret = MANSIO_RET_HDRS;
  mail.flags = MANSIO_MSG_REQUIRETLS | MANSIO_MSG_POSSIBLE_DUPLICATE | MANSIO_MSG_EIGHT_BIT | MANSIO_MSG_BODY_8BITMIME;
  mail.tls_policy = "encrypt";
  mail.client_address = "192.0.2.1";
  mail.client_name = "client.example";
  mail.client_helo = "helo.example";
  mail.origin.source = MANSIO_ORIGIN_REMOTE;
  mail.origin.address = "198.51.100.1";
  mail.origin.port = 25;
  mail.origin.helo = "far.example";
  mail.origin.protocol = "ESMTP";
  mail.origin.ident = "ABC";
  mail.metadata = {{"tenant", "gold"}};
  const auto result = s.host.run(mail);
  EXPECT_EQ(result.recipients.at(0).status, MANSIO_OK) << s.host.log;
  EXPECT_EQ(result.recipients.at(0).text, "250 fine");
  EXPECT_EQ(result.recipients.at(0).enhanced, "2.0.0");
  EXPECT_EQ(result.recipients.at(1).status, MANSIO_OK);
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(LuaTransport, ReadsTheMessageInPieces) {
  Transporting s{R"(
    local message, pieces = delivery.message, {}
    assert(message:header("subject") == "one" and #message:headers() == 2)
    for piece in message:raw(7) do assert(#piece <= 7) pieces[#pieces + 1] = piece end
    assert(#table.concat(pieces) == message.size)
    local body = ""
    for piece in message:body() do body = body .. piece end
    mansio.sleep("1ms")
    assert(body == message:text())
    return mansio.sent(body)
  )"};
  EXPECT_EQ(s.deliver().text, "first  second  ") << s.host.log;
}

TEST(LuaTransport, CannotChangeTheMessage) {
  Transporting s{"delivery.message:set_header('Subject', 'two')"};
  EXPECT_EQ(s.deliver().status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("set_header is for filters"));
}

TEST(LuaTransport, SaysAResultForEachRecipientAsItIsKnown) {
  Transporting s{R"(
    local r = delivery.recipients
    delivery:sent(r[1], 250, "2.1.5", "stored", {relay = "hook"})
    delivery:bounce(r[2], "5.1.1", "no such user")
    mansio.sleep("1ms")
    delivery:defer(r[3], 450, "4.2.1", "busy", {retry = "30s", nexthop_failed = true})
    delivery:uncertain(r[4])
  )"};
  const auto op = s.host.deliver(s.mail({"a@x.test", "b@x.test", "c@x.test", "d@x.test", "e@x.test"}));
  EXPECT_EQ(s.host.result(op).recipients.size(), 2u);  // before the transport has ended
  s.host.finish(op);
  const auto all = s.host.result(op).recipients;
  EXPECT_EQ(all.at(0).status, MANSIO_OK) << s.host.log;
  EXPECT_EQ(all.at(0).smtp_code, 250);
  EXPECT_EQ(all.at(0).enhanced, "2.1.5");
  EXPECT_EQ(all.at(0).relay, "hook");
  EXPECT_EQ(all.at(1).status, MANSIO_FAIL);
  EXPECT_EQ(all.at(1).text, "no such user");
  EXPECT_EQ(all.at(2).status, MANSIO_DEFER);
  EXPECT_EQ(all.at(2).retry_ns, 30'000'000'000);
  EXPECT_EQ(all.at(2).flags, MANSIO_REPLY_SITE_FAILURE);
  EXPECT_EQ(all.at(3).status, MANSIO_UNCERTAIN);
  EXPECT_EQ(all.at(4).status, MANSIO_DEFER);
  EXPECT_EQ(all.at(4).text, "the transport's script gave no result");
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(LuaTransport, ReturnsOneResultForTheOthers) {
  Transporting s{R"(
    delivery:sent(delivery.recipients[1])
    return mansio.reject("5.7.1", "not you")
  )"};
  const auto all = s.host.run(s.mail({"a@x.test", "b@x.test", "c@x.test"})).recipients;
  EXPECT_EQ(all.at(0).status, MANSIO_OK) << s.host.log;
  EXPECT_EQ(all.at(1).status, MANSIO_FAIL);
  EXPECT_EQ(all.at(2).text, "not you");
  Transporting thrown{"error(mansio.defer('4.4.1', 'away', {nexthop_failed = true}))"};
  const auto away = thrown.deliver();
  EXPECT_EQ(away.status, MANSIO_DEFER);
  EXPECT_EQ(away.enhanced, "4.4.1");
  EXPECT_EQ(away.flags, MANSIO_REPLY_SITE_FAILURE);
  EXPECT_THAT(thrown.host.log, IsEmpty());
}

TEST(LuaTransport, DefersWithOneTracebackWhenItFails) {
  Transporting s{R"(
    delivery:sent(delivery.recipients[1])
    mansio.sleep("1ms")
    local function post() error("as asked") end
    post()
  )"};
  const auto all = s.host.run(s.mail({"a@x.test", "b@x.test"})).recipients;
  EXPECT_EQ(all.at(0).status, MANSIO_OK);
  EXPECT_EQ(all.at(1).status, MANSIO_INTERNAL);
  EXPECT_EQ(all.at(1).enhanced, "4.3.0");
  EXPECT_EQ(all.at(1).text, "the transport's script failed");
  EXPECT_EQ(times(s.host.log, "as asked"), 1u) << s.host.log;
  EXPECT_THAT(s.host.log, HasSubstr("stack traceback"));
  Transporting endless{"while true do end", {{"instructions_limit", "100000"}}};
  EXPECT_EQ(endless.deliver().enhanced, "4.3.0");
  EXPECT_THAT(endless.host.log, HasSubstr("instructions_limit"));
}

TEST(LuaTransport, IsUncertainWhenItIsEndedAfterAServerWasAsked) {
  std::atomic<bool> asked = false;
  const Server server{[&](int fd) {
    asked = Server::line(fd) == "mail";
    Server::line(fd);  // until the script has gone
  }};
  const auto talk = "local c = mansio.connect('" + server.address() + "')\nc:write('mail\\n')\nc:read_line()";
  Transporting s{"delivery:sent(delivery.recipients[1])\n" + talk, {{"allow", "connect"}}};
  const auto op = s.host.deliver(s.mail({"a@x.test", "b@x.test"}));
  EXPECT_TRUE(s.host.run_until([&] { return asked.load(); }));
  s.host.cancel(op);
  s.host.finish(op);
  EXPECT_EQ(s.host.result(op).recipients.at(0).status, MANSIO_OK);
  EXPECT_EQ(s.host.result(op).recipients.at(1).status, MANSIO_UNCERTAIN);
  Transporting late{talk, {{"allow", "connect"}, {"time_limit", "50ms"}}};
  EXPECT_EQ(late.deliver().status, MANSIO_UNCERTAIN);
  EXPECT_THAT(late.host.log, HasSubstr("it took more than its time"));
  Transporting nothing_sent{"mansio.sleep('1h')", {{"time_limit", "50ms"}}};
  const auto deferred = nothing_sent.deliver();
  EXPECT_EQ(deferred.status, MANSIO_DEFER);
  EXPECT_EQ(deferred.enhanced, "4.4.7");
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(LuaTransport, IsUncertainWhenAServerDoesNotAnswerWhatItMayHaveDone) {
  using mansio::http::test::HttpServer;
  using mansio::http::test::Received;
  std::string url;
  const auto post = [&url] {
    Transporting s{"mansio.http.post('" + url + "', 'mail')", {{"allow", "http"}}};
    return s.deliver();
  };
  {
    const HttpServer silent{[](const Received &) { return std::string{}; }};
    url = silent.url();
    const auto asked = post();
    EXPECT_FALSE(silent.received().empty());
    EXPECT_EQ(asked.status, MANSIO_UNCERTAIN);
    EXPECT_EQ(asked.enhanced, "4.4.2");
    EXPECT_EQ(asked.text, "a service that was asked did not answer, and may have done it");
  }
  const auto refused = post();  // nobody listens there any more
  EXPECT_EQ(refused.status, MANSIO_DEFER);
  EXPECT_EQ(refused.enhanced, "4.3.0");

  const Server hangs{[](int fd) {
    while (!Server::octets(fd, 1).empty()) continue;
  }};
  const auto talk = [&hangs](const std::string &said) {
    Transporting s{"local c = mansio.connect('" + hangs.address() + "', {timeout = '50ms'})\n" + said + "c:read_line()",
                   {{"allow", "connect"}}};
    return s.deliver().status;
  };
  EXPECT_EQ(talk("c:write('mail')\n"), MANSIO_UNCERTAIN);
  EXPECT_EQ(talk(""), MANSIO_DEFER);
  Transporting redis{"mansio.redis('" + hangs.address() + "', {timeout = '50ms'}):call('RPUSH', 'mail', 'x')",
                     {{"allow", "redis"}}};
  EXPECT_EQ(redis.deliver().status, MANSIO_UNCERTAIN);
  EXPECT_THAT(redis.host.faults, IsEmpty());
}

TEST(LuaTransport, RefusesResultsThatAreNone) {
  const auto says = [](const std::string &body) {
    return load_or([&] {
      Transporting s{body};
      EXPECT_EQ(s.deliver().status, MANSIO_INTERNAL) << body;
      EXPECT_THAT(s.host.faults, IsEmpty());
      return s.host.log;
    });
  };
  EXPECT_THAT(says("local said = 'sent' return said"),
              HasSubstr("the transport returned string, expected mansio.sent()"));
  EXPECT_THAT(says("local said = mansio.accept() return said"), HasSubstr("a result that is for handlers"));
  EXPECT_THAT(says("local said = mansio.hold('x') return said"), HasSubstr("a result that is for handlers"));
  EXPECT_THAT(says("return mansio.sent('5.1.1', 'x')"), HasSubstr("expected one that begins with 2"));
  EXPECT_THAT(says("return mansio.reject('5.1.1', 'x', {retry = 1})"), HasSubstr("retry is for a result that defers"));
  EXPECT_THAT(says("return mansio.defer('x', {nexthop_faild = true})"), HasSubstr("did you mean \"nexthop_failed\"?"));
  EXPECT_THAT(says("return mansio.defer('x', {nexthop_failed = 1})"), HasSubstr("expected true or false"));
  EXPECT_THAT(says("delivery:sent('b@example.com')"), HasSubstr("expected a recipient, got string"));
  EXPECT_THAT(says("return delivery.recipiens"), HasSubstr("did you mean \"recipients\"?"));
  EXPECT_THAT(says("return delivery.recipients[1].adress"), HasSubstr("did you mean \"address\"?"));
  EXPECT_THAT(says("delivery.sender = 'x'"), HasSubstr("delivery cannot be changed"));
  Transporting twice{"local r = delivery.recipients[1]\ndelivery:sent(r)\ndelivery:defer(r, 'x')"};
  EXPECT_EQ(twice.deliver().status, MANSIO_OK);
  EXPECT_THAT(twice.host.log, HasSubstr("b@example.com has its result already"));
  EXPECT_THAT(twice.host.faults, IsEmpty());
}

TEST(LuaTransport, ItsResultsAreForNobodyElse) {
  Scripted s{R"(
    mansio.on("rcpt", function(_, rcpt)
      if rcpt.localpart == "sent" then local sent = mansio.sent() return sent end
      if rcpt.localpart == "thrown" then error(mansio.uncertain()) end
      return mansio.defer("4.7.1", "later", {retry = "1m"})
    end)
  )"};
  EXPECT_EQ(s.rcpt("sent@x.test").last->status, MANSIO_INTERNAL);
  EXPECT_EQ(s.rcpt("thrown@x.test").last->status, MANSIO_INTERNAL);
  EXPECT_EQ(s.rcpt("other@x.test").last->status, MANSIO_INTERNAL);
  EXPECT_EQ(times(s.host.log, "returned a result of transports"), 2u) << s.host.log;
}

TEST(LuaTransport, DeliversManyAtOnce) {
  Transporting s{"mansio.sleep('1ms')\nreturn mansio.sent(delivery.recipients[1].address)"};
  std::vector<std::uint64_t> ops;
  for (int i = 0; i < 50; ++i) ops.push_back(s.host.deliver(s.mail({std::to_string(i) + "@x.test"})));
  for (std::size_t i = 0; i < ops.size(); ++i) EXPECT_EQ(s.host.finish(ops[i]).text, std::to_string(i) + "@x.test");
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(LuaTransport, IsFoundByTheNameOfItsInstance) {
  Scripted s{"mansio.provide('transport', 'other', {deliver = function() return mansio.sent() end})"};
  const auto result = s.host.run(Transporting::mail()).recipients.at(0);
  EXPECT_EQ(result.status, MANSIO_INTERNAL);
  EXPECT_EQ(result.text, "the script provides no transport \"test\"; it has other");
}

TEST(LuaTransport, IsCheckedWhenItIsLoaded) {
  EXPECT_THAT(problem("mansio.provide('transprt', 'a', {})"), HasSubstr("did you mean \"transport\"?"));
  EXPECT_THAT(problem("mansio.provide('transport', 'a', {delivr = print})"), HasSubstr("did you mean \"deliver\"?"));
  EXPECT_THAT(problem("mansio.provide('transport', 'a', {})"), HasSubstr("expected a function for its field deliver"));
  EXPECT_THAT(problem("local t = {deliver = function() end}\nmansio.provide('transport', 'a', t)\n"
                      "mansio.provide('transport', 'a', t)"),
              HasSubstr("the transport \"a\" is provided twice"));
  EXPECT_EQ(problem("mansio.provide('transport', 'a', {deliver = function() end})"), "");
}

}  // namespace
}  // namespace mansio::lua::testing
