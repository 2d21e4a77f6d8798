// mansio.http against a web server of the test's own, and one with TLS.
#include "plugins/lookup-common/tests/rig.hpp"
#include "plugins/lua/tests/scripted.hpp"
#include "plugins/transport-http/tests/http_server.hpp"

namespace mansio::lua::testing {
namespace {

using mansio::http::test::HttpServer;
using mansio::http::test::Received;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace rig = mansio::lookup::rig;

// With URL for the server's address, in a handler of RCPT.
struct Fetching : Scripted {
  Fetching(const std::string &url, const std::string &body, FakeHost::Options options = {})
      : Scripted("local URL = '" + url + "'\nmansio.on('rcpt', function(_, rcpt)\n" + body + "\nend)",
                 allowing(std::move(options))) {}

 private:
  static FakeHost::Options allowing(FakeHost::Options options) {
    options["allow"] = "http";
    return options;
  }
};

TEST(Http, GetsAndPosts) {
  const HttpServer server{[](const Received &request) {
    return HttpServer::response(request.head.starts_with("POST") ? 201 : 200, request.body + "!",
                                "X-Seen: " + request.field("X-Asked") + "\r\nX-Two: a\r\nX-Two: b\r\n");
  }};
  Fetching s{server.url(), R"(
    local got = mansio.http.get(URL, {headers = {["X-Asked"] = rcpt.address}})
    local posted = mansio.http.post(URL, "body")
    local put = mansio.http.request("PUT", URL, "more")
    return mansio.reject("5.7.1", ("%d %s %s %s; %d %s; %s"):format(got.status, got.body, got.headers["x-seen"],
      got.headers["x-two"], posted.status, posted.body, put.body))
  )"};
  EXPECT_EQ(s.rcpt("me").last->text, "200 ! me a, b; 201 body!; more!") << s.host.log;
  EXPECT_EQ(server.connections(), 1);
  ASSERT_EQ(server.received().size(), 3u);
  EXPECT_THAT(server.received().at(2).head, ::testing::StartsWith("PUT /hook HTTP/1.1\r\n"));
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(Http, TakesAnErrorOfTheServerForAnAnswer) {
  const HttpServer server{[](const Received &) { return HttpServer::response(503, "away"); }};
  Fetching s{server.url(), R"(
    local answer = mansio.http.get(URL)
    return mansio.reject("5.7.1", answer.status .. answer.body)
  )"};
  EXPECT_EQ(s.rcpt("a").last->text, "503away");
}

TEST(Http, GivesAnAnswerWithItsFieldsAndNoOthers) {
  const HttpServer server{[](const Received &) { return HttpServer::response(200, "fine"); }};
  Fetching s{server.url(), R"(
    local way = {answer = mansio.http.get(URL)}
    assert(way.answer.headers["x-none"] == nil)
    local _, why = pcall(function() return way.answer.staus end)
    return mansio.reject("5.7.1", why:match(': (.*)'))
  )"};
  EXPECT_EQ(s.rcpt("a").last->text, R"(response has no "staus"; did you mean "status"?)") << s.host.log;
}

TEST(Http, AsksTheDnsOfTheHost) {
  const HttpServer server{[](const Received &request) { return HttpServer::response(200, request.field("Host")); }};
  const auto port = server.url("").substr(server.url("").rfind(':'));
  Fetching s{"http://api.example" + port + "/", "return mansio.reject('5.7.1', mansio.http.get(URL).body)"};
  EXPECT_EQ(s.rcpt("a").last->status, MANSIO_DEFER);
  s.host.dns[{"api.example", MANSIO_DNS_A}] = {MANSIO_OK, {{"127.0.0.1", 0}}, ""};
  EXPECT_EQ(s.rcpt("a").last->text, "api.example" + port) << s.host.log;
}

TEST(Http, DefersWithoutAnAnswer) {
  std::string url;
  {
    const HttpServer server{[](const Received &) { return std::string{}; }};
    url = server.url();
    Fetching s{url, "mansio.http.get(URL)"};
    EXPECT_EQ(s.rcpt("a").last->status, MANSIO_DEFER);
  }
  Fetching s{url, "mansio.http.get(URL)"};
  const auto refused = s.rcpt("a");
  EXPECT_EQ(refused.last->status, MANSIO_DEFER);
  EXPECT_EQ(refused.last->text, "a service that was asked cannot answer now");
}

TEST(Http, HasLimitsOfTimeAndSize) {
  std::atomic<bool> over = false;
  const HttpServer server{[&](const Received &request) {
    while (request.head.starts_with("GET /slow") && !over) std::this_thread::yield();
    return HttpServer::response(200, std::string(100'000, 'x'));
  }};
  Fetching large{server.url(), "mansio.http.get(URL, {limit = 99999})"};
  EXPECT_EQ(large.rcpt("a").last->status, MANSIO_DEFER);
  EXPECT_THAT(large.host.log, HasSubstr("the response is larger than 99999 octets"));
  Fetching fits{server.url(), "return mansio.reject('5.7.1', #mansio.http.get(URL, {limit = 100000}).body)"};
  EXPECT_EQ(fits.rcpt("a").last->text, "100000") << fits.host.log;
  Fetching slow{server.url("/slow"), "mansio.http.get(URL, {timeout = '50ms'})"};
  EXPECT_EQ(slow.rcpt("a").last->status, MANSIO_DEFER);
  over = true;
}

TEST(Http, EndsWithItsCall) {
  std::atomic<bool> asked = false, over = false;
  const HttpServer server{[&](const Received &) {
    asked = true;
    while (!over) std::this_thread::yield();
    return std::string{};
  }};
  Fetching s{server.url(), "mansio.http.get(URL)"};
  FakeStage stage;
  stage.stage = MANSIO_STAGE_RCPT;
  stage.arguments = {"a"};
  const auto op = s.host.show(stage);
  EXPECT_TRUE(s.host.run_until([&] { return asked.load(); }));
  s.host.cancel(op);
  EXPECT_EQ(s.host.finish(op).status, MANSIO_CANCELLED);
  over = true;
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST(Http, AsksSeveralServersAtOnce) {
  const auto always = [](const std::string &text) {
    return [text](const Received &) { return HttpServer::response(200, text); };
  };
  const HttpServer one{always("one")}, two{always("two")};
  Fetching s{one.url(), R"(
    local a, b = mansio.spawn(mansio.http.get, URL), mansio.spawn(mansio.http.get, ')" +
                            two.url() + R"(')
    return mansio.reject("5.7.1", a:join().body .. b:join().body)
  )"};
  EXPECT_EQ(s.rcpt("a").last->text, "onetwo") << s.host.log;
}

TEST(Http, RefusesWhatCannotBeAsked) {
  const auto says = [](const std::string &body) {
    return load_or([&] {
      Fetching s{"", body};
      EXPECT_EQ(s.rcpt("a").last->status, MANSIO_INTERNAL) << body;
      return s.host.log;
    });
  };
  EXPECT_THAT(says("mansio.http.get('ftp://example.com/')"), HasSubstr("has the scheme \"ftp\""));
  EXPECT_THAT(says("mansio.http.get('http://u:p@example.com/')"), HasSubstr("names a user"));
  EXPECT_THAT(says("mansio.http.get('http://')"), HasSubstr("expected one such as"));
  EXPECT_THAT(says("mansio.http.get('http://127.0.0.1/', {header = {}})"), HasSubstr("did you mean \"headers\"?"));
  EXPECT_THAT(says("mansio.http.get('http://127.0.0.1/', {headers = {a = 'b\\r\\nc: d'}})"),
              HasSubstr("control character"));
  EXPECT_THAT(says("mansio.http.request('G T', 'http://127.0.0.1/')"), HasSubstr("the method is \"G T\""));
  EXPECT_THAT(says("mansio.http.request('HEAD', 'http://127.0.0.1/', 'x')"), HasSubstr("a HEAD request has no body"));
  Scripted off{"local way = {get = mansio.http.get}\nmansio.on('rcpt', function() way.get('http://127.0.0.1/') end)"};
  off.rcpt("a");
  EXPECT_THAT(off.host.log, HasSubstr("mansio.http.get is off; allow = [\"http\"]"));
}

TEST(Http, ChecksTheCertificate) {
  const rig::Directory directory;
  rig::certificate(directory.path());
  const auto port = rig::free_port();
  rig::Program server{{"openssl", "s_server", "-accept", "127.0.0.1:" + std::to_string(port), "-cert",
                       directory / "cert.pem", "-key", directory / "key.pem", "-www", "-quiet"},
                      directory / "server.log"};
  server.wait_until([&] { return rig::accepts(port); });
  const auto url = "https://127.0.0.1:" + std::to_string(port) + "/";
  Fetching known{
      url, "return mansio.reject('5.7.1', mansio.http.get(URL, {ca_file = '" + directory / "cert.pem" + "'}).status)"};
  EXPECT_EQ(known.rcpt("a").last->text, "200") << known.host.log;
  Fetching stranger{url, "mansio.http.get(URL)"};
  EXPECT_EQ(stranger.rcpt("a").last->status, MANSIO_DEFER);
  EXPECT_THAT(stranger.host.log, HasSubstr("certificate"));
}

}  // namespace
}  // namespace mansio::lua::testing
