// mansio.redis against a redis-server of its own.
#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "plugins/lookup-common/tests/rig.hpp"
#include "plugins/lua/tests/scripted.hpp"
#include "plugins/lua/tests/server.hpp"

namespace mansio::lua::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace rig = mansio::lookup::rig;

// With `redis` in a handler of RCPT.
struct Asking : Scripted {
  Asking(const std::string &arguments, const std::string &body)
      : Scripted(
            "local redis = mansio.redis(" + arguments + ")\nmansio.on('rcpt', function(_, rcpt)\n" + body + "\nend)",
            {{"allow", "redis"}}) {}
};

struct Redis : ::testing::Test {
  Redis() { start(); }
  void start() {
    server = std::make_unique<rig::Program>(
        std::vector<std::string>{"redis-server", "--port", std::to_string(port), "--bind", "127.0.0.1", "--unixsocket",
                                 socket, "--dir", directory.path(), "--save", "", "--appendonly", "no", "--requirepass",
                                 "secret"},
        directory / "server.log");
    server->wait_until([this] { return rig::accepts(socket) && rig::accepts(port); });
  }
  void stop() {
    server->stop();
    std::filesystem::remove(socket);
  }
  std::string arguments(const std::string &more = "password = 'secret'") const {
    return "'127.0.0.1:" + std::to_string(port) + "', {timeout = '20s', " + more + "}";
  }

  rig::Directory directory;
  std::string socket = directory / "socket";
  std::uint16_t port = rig::free_port();
  std::unique_ptr<rig::Program> server;
};

TEST_F(Redis, AnswersInTheTypesOfLua) {
  Asking s{arguments(), R"(
    assert(redis:call("SET", "key", "value\r\nwith a line") == "OK")
    assert(redis:call("GET", "key") == "value\r\nwith a line")
    assert(redis:call("GET", "none") == nil)
    assert(redis:call("INCR", "n") == 1 and redis:call("incrby", "n", 5) == 6)
    local list = redis:call("MGET", "key", "none", "n")
    assert(#list == 3 and list[2] == false and list[3] == "6")
    assert(#redis:call("LRANGE", "none", 0, -1) == 0)
    local nested = redis:call("EVAL", "return {1, {ARGV[1], 2}}", 0, "x")
    assert(nested[2][1] == "x" and nested[2][2] == 2)
    return mansio.reject("5.7.1", "all")
  )"};
  EXPECT_EQ(s.rcpt("a").last->text, "all") << s.host.log;
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST_F(Redis, SpeaksOverUnixSocketsAndChoosesItsDatabase) {
  Asking first{"'unix:" + socket + "', {password = 'secret'}", R"(redis:call("SET", "key", "there"))"};
  EXPECT_EQ(first.rcpt("a").last->status, MANSIO_OK) << first.host.log;
  constexpr auto *kGet = R"(return mansio.reject("5.7.1", tostring(redis:call("GET", "key"))))";
  EXPECT_EQ(Asking(arguments(), kGet).rcpt("a").last->text, "there");
  EXPECT_EQ(Asking(arguments("password = 'secret', database = 1"), kGet).rcpt("a").last->text, "nil");
}

TEST_F(Redis, DefersWhatFails) {
  Asking wrong{arguments("password = 'wrong'"), R"(redis:call("GET", "key"))"};
  EXPECT_EQ(wrong.rcpt("a").last->status, MANSIO_DEFER);
  EXPECT_THAT(wrong.host.log, HasSubstr("WRONGPASS"));
  Asking typed{arguments(), R"(redis:call("SET", "key", "x"); redis:call("LPUSH", "key", "y"))"};
  EXPECT_EQ(typed.rcpt("a").last->status, MANSIO_DEFER);
  EXPECT_THAT(typed.host.log, HasSubstr("WRONGTYPE"));
  // The connection is as good as before.
  Asking again{arguments(), R"(
    if rcpt.address == "bad" then redis:call("LPUSH", "key", "y") end
    return mansio.reject("5.7.1", redis:call("GET", "key"))
  )"};
  EXPECT_EQ(again.rcpt("bad").last->status, MANSIO_DEFER);
  EXPECT_EQ(again.rcpt("good").last->text, "x");
}

TEST_F(Redis, OpensAnotherConnectionAfterARestart) {
  Asking s{arguments(), R"(return mansio.reject("5.7.1", redis:call("PING")))"};
  EXPECT_EQ(s.rcpt("a").last->text, "PONG") << s.host.log;
  stop();
  EXPECT_EQ(s.rcpt("a").last->status, MANSIO_DEFER);
  start();
  EXPECT_EQ(s.rcpt("a").last->text, "PONG") << s.host.log;
}

TEST_F(Redis, AnswersManyAtOnce) {
  Asking s{arguments(), R"(
    local tasks = {}
    for i = 1, 10 do tasks[i] = mansio.spawn(redis.call, redis, "INCR", "many") end
    local sum = 0
    for _, task in ipairs(tasks) do sum = sum + task:join() end
    return mansio.reject("5.7.1", sum)
  )"};
  EXPECT_EQ(s.rcpt("a").last->text, "55") << s.host.log;
}

TEST(RedisServer, HasItsCertificateChecked) {
  const rig::Directory directory;
  rig::certificate(directory.path());
  const auto port = rig::free_port();
  rig::Program server{{"redis-server", "--port", "0", "--tls-port", std::to_string(port), "--bind", "127.0.0.1",
                       "--tls-cert-file", directory / "cert.pem", "--tls-key-file", directory / "key.pem",
                       "--tls-auth-clients", "no", "--dir", directory.path(), "--save", "", "--appendonly", "no"},
                      directory / "server.log"};
  server.wait_until([&] { return rig::accepts(port); });
  const auto asking = [&](const std::string &options) {
    return Asking{"'127.0.0.1:" + std::to_string(port) + "', {timeout = '20s'" + options + "}",
                  R"(return mansio.reject("5.7.1", redis:call("PING")))"};
  };
  const auto trusted = ", tls = true, ca_file = '" + directory / "cert.pem" + "'";
  auto known = asking(trusted);
  EXPECT_EQ(known.rcpt("a").last->text, "PONG") << known.host.log;
  auto stranger = asking(", tls = true");
  EXPECT_EQ(stranger.rcpt("a").last->status, MANSIO_DEFER);
  EXPECT_THAT(stranger.host.log, HasSubstr("TLS: self-signed certificate"));
  auto other = asking(trusted + ", tls_name = 'other.example'");
  EXPECT_EQ(other.rcpt("a").last->status, MANSIO_DEFER);
  EXPECT_THAT(other.host.log, HasSubstr("the certificate is for none of: other.example"));
  auto clear = asking("");
  EXPECT_EQ(clear.rcpt("a").last->status, MANSIO_DEFER);
}

TEST(RedisServer, IsGivenUpWhenItHangsOrSpeaksNonsense) {
  const Server hangs{[](int fd) {
    while (!Server::octets(fd, 1).empty()) continue;
  }};
  Asking s{"'" + hangs.address() + "', {timeout = '50ms'}", R"(redis:call("PING"))"};
  EXPECT_EQ(s.rcpt("a").last->status, MANSIO_DEFER);
  EXPECT_THAT(s.host.log, HasSubstr("timed out"));
  const Server nonsense{[](int fd) {
    Server::line(fd);
    Server::say(fd, "HTTP/1.1 400 Bad Request\r\n\r\n");
  }};
  Asking t{"'" + nonsense.address() + "'", R"(redis:call("PING"))"};
  EXPECT_EQ(t.rcpt("a").last->status, MANSIO_DEFER);
  EXPECT_THAT(t.host.log, HasSubstr("not understood"));
  const Server lists{[](int fd) {
    Server::line(fd);
    Server::say(fd, "*2000000000\r\n");
    while (!Server::octets(fd, 1).empty()) continue;
  }};
  Asking u{"'" + lists.address() + "'", R"(redis:call("PING"))"};
  EXPECT_EQ(u.rcpt("a").last->status, MANSIO_DEFER);
  EXPECT_THAT(u.host.log, HasSubstr("not understood"));
  const Server closes{[](int) {}};
  Asking v{"'" + closes.address() + "'", R"(redis:call("PING"))"};
  EXPECT_EQ(v.rcpt("a").last->status, MANSIO_DEFER);
}

TEST(RedisServer, DoesNotTakeOneAnswerForAnother) {
  std::atomic<int> answered = 0;
  const Server server{[&](int fd) {
    while (!Server::line(fd).empty()) {  // of "*2", "$4", "ECHO", "$1", "a"
      for (int i = 0; i < 3; ++i) Server::line(fd);
      const auto word = Server::line(fd);
      if (word == "slow") {
        while (!Server::octets(fd, 1).empty()) continue;
        return;
      }
      Server::say(fd, "+" + word + "\r\n");
      Server::say(fd, "+more\r\n");
      ++answered;
    }
  }};
  Asking s{"'" + server.address() + "', {timeout = '20s'}",
           R"(return mansio.reject("5.7.1", redis:call("ECHO", rcpt.address)))"};
  FakeStage stage;
  stage.stage = MANSIO_STAGE_RCPT;
  stage.arguments = {"slow"};
  const auto op = s.host.show(stage);
  ASSERT_TRUE(s.host.run_until([&] { return server.connections() == 1; }));
  s.host.cancel(op);
  EXPECT_EQ(s.rcpt("a").last->text, "a") << s.host.log;
  EXPECT_TRUE(s.host.run_until([&] { return answered == 1; }));
  EXPECT_EQ(s.rcpt("b").last->text, "b") << s.host.log;
  EXPECT_EQ(server.connections(), 3);
}

// One that a handler names anew has the connections of the one before, and leaves none behind.
TEST(RedisServer, IsTheSameForTheSameSettings) {
  const Server server{[](int fd) {
    while (!Server::line(fd).empty()) {
      for (int i = 0; i < 2; ++i) Server::line(fd);
      Server::say(fd, "+PONG\r\n");
    }
  }};
  Scripted s{"mansio.on('rcpt', function() mansio.redis('" + server.address() + "'):call('PING') end)",
             {{"allow", "redis"}, {"states", "2"}}};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(s.rcpt("a").last->status, MANSIO_OK) << s.host.log;
  EXPECT_EQ(server.connections(), 1);
}

TEST(RedisServer, RefusesWhatCannotBe) {
  const auto says = [](const std::string &text) {
    return problem(text + "\nmansio.on('rcpt', function() end)", {{"allow", "redis"}});
  };
  EXPECT_EQ(says("mansio.redis('127.0.0.1')"), "");
  EXPECT_THAT(says("mansio.redis('a b')"), HasSubstr("the address is \"a b\""));
  EXPECT_THAT(says("mansio.redis('a', {pasword = 'x'})"), HasSubstr("did you mean \"password\"?"));
  EXPECT_THAT(says("mansio.redis('a'):call('GET', 'x')"), HasSubstr("works in handlers only"));
  EXPECT_THAT(problem("mansio.redis('a')"), HasSubstr("mansio.redis is off"));
  Asking s{"'127.0.0.1:1'", R"(redis:call("subscribe", "news"))"};
  EXPECT_EQ(s.rcpt("a").last->status, MANSIO_INTERNAL);
  EXPECT_THAT(s.host.log, HasSubstr("SUBSCRIBE is not offered"));
  Asking t{"'127.0.0.1:1'", R"(redis:call("Unsubscribe"))"};
  EXPECT_EQ(t.rcpt("a").last->status, MANSIO_INTERNAL);
  EXPECT_THAT(t.host.log, HasSubstr("UNSUBSCRIBE is not offered"));
}

}  // namespace
}  // namespace mansio::lua::testing
