// The plugin against a redis-server of its own, over TCP and a UNIX socket.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <filesystem>
#include <memory>

#include "mansio/testing/fake_host.hpp"
#include "plugins/lookup-common/tests/rig.hpp"
#include "plugins/testing/readme.hpp"

namespace {

using namespace mansio::lookup;
using mansio::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

struct RedisTable : testing::Test {
  RedisTable() {
    start();
    for (const auto *c : {"SET alias:alice@example.com bob@example.net", "SADD list:team@example.com a@x b@y c@z",
                          "HSET users:example.com alice /home/alice", "SET empty:k x", "SET number:k 1"})
      run(c);
  }
  void start() {
    server = std::make_unique<rig::Program>(
        std::vector<std::string>{"redis-server", "--port", std::to_string(port), "--bind", "127.0.0.1", "--unixsocket",
                                 socket, "--dir", dir.path(), "--save", "", "--appendonly", "yes", "--requirepass",
                                 "secret"},
        dir / "server.log");
    server->wait_until([this] { return std::filesystem::exists(socket) && run("PING"); });
  }
  void stop(int signal = SIGTERM) {
    server->stop(signal);
    std::filesystem::remove(socket);
  }
  bool run(const std::string &command) const {
    auto *c = ::redisConnectUnix(socket.c_str());
    bool good = false;
    if (c && c->err == 0) {
      for (const auto *text : {"AUTH secret", command.c_str()}) {
        auto *r = static_cast<redisReply *>(::redisCommand(c, text));
        good = r && r->type != REDIS_REPLY_ERROR;
        if (r) ::freeReplyObject(r);
      }
    }
    if (c) ::redisFree(c);
    return good;
  }
  FakeHost::Options options(const std::string &query = "GET alias:%s") {
    return {{"hosts", "127.0.0.1:" + std::to_string(port)},
            {"password", "secret"},
            {"query", query},
            {"timeout", "20s"},
            {"retry_interval", "0"}};
  }

  rig::Directory dir;
  std::string socket = dir / "socket";
  std::uint16_t port = rig::free_port();
  std::unique_ptr<rig::Program> server;
};

TEST_F(RedisTable, AnswersWithEveryElement) {
  FakeHost one{mansio_plugin_entry_1(), options()};
  EXPECT_THAT(one.lookup("Alice@Example.com").values, ElementsAre("bob@example.net"));
  EXPECT_EQ(one.lookup("carol@example.com").status, MANSIO_NOT_FOUND);
  FakeHost set{mansio_plugin_entry_1(), options("SMEMBERS list:%s")};
  EXPECT_THAT(set.lookup("team@example.com").values, UnorderedElementsAre("a@x", "b@y", "c@z"));
  EXPECT_EQ(set.lookup("nobody@example.com").status, MANSIO_NOT_FOUND);
  FakeHost hash{mansio_plugin_entry_1(), options("HGET users:%d %u")};
  EXPECT_THAT(hash.lookup("alice@example.com").values, ElementsAre("/home/alice"));
  EXPECT_EQ(hash.lookup("alice").status, MANSIO_NOT_FOUND);
  EXPECT_THAT(hash.faults, ElementsAre());
}

TEST_F(RedisTable, TakesTheKeyForDataWhateverIsInIt) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  for (const auto &key : {std::string{"a b"}, std::string{"a\r\nFLUSHALL"}, std::string{"a\0b", 3}, std::string{"%s"}})
    EXPECT_EQ(host.lookup(key).status, MANSIO_NOT_FOUND) << key;
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
}

TEST_F(RedisTable, FormatsLimitsAndFilters) {
  auto o = options("SMEMBERS list:%s");
  o["result_format"] = "<%s>";
  o["expansion_limit"] = "2";
  o["domain"] = "example.com";
  FakeHost host{mansio_plugin_entry_1(), o};
  EXPECT_EQ(host.lookup("team@example.com").status, MANSIO_DEFER);
  EXPECT_EQ(host.lookup("team").status, MANSIO_NOT_FOUND);
  run("SREM list:team@example.com c@z");
  EXPECT_THAT(host.lookup("team@example.com").values, UnorderedElementsAre("<a@x>", "<b@y>"));
}

TEST_F(RedisTable, SpeaksOverUnixSocketsAndChoosesItsDatabase) {
  auto o = options();
  o["hosts"] = "unix:" + socket;
  FakeHost first{mansio_plugin_entry_1(), o};
  EXPECT_EQ(first.lookup("alice@example.com").status, MANSIO_OK);
  o["dbname"] = "1";
  FakeHost second{mansio_plugin_entry_1(), o};
  EXPECT_EQ(second.lookup("alice@example.com").status, MANSIO_NOT_FOUND);
}

TEST_F(RedisTable, TriesLaterWhenTheServerRefusesOrTheCommandIsWrong) {
  auto o = options();
  o["password"] = "wrong";
  FakeHost refused{mansio_plugin_entry_1(), o};
  EXPECT_THAT(refused.lookup("alice@example.com").text, HasSubstr("WRONGPASS"));
  o["password"] = "";
  FakeHost silent{mansio_plugin_entry_1(), o};
  EXPECT_EQ(silent.lookup("alice@example.com").status, MANSIO_DEFER);
  FakeHost wrong{mansio_plugin_entry_1(), options("HGETALL alias:%s")};
  const auto reply = wrong.lookup("alice@example.com");
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_THAT(reply.text, HasSubstr("WRONGTYPE"));
}

TEST_F(RedisTable, GoesOnToTheNextServer) {
  auto o = options();
  o["hosts"] = "127.0.0.1:" + std::to_string(rig::free_port()) + ",unix:" + socket;
  FakeHost host{mansio_plugin_entry_1(), o};
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
}

TEST_F(RedisTable, TriesLaterWhileTheServerIsDownAndSurvivesItsRestart) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  std::vector<std::uint64_t> ops;
  for (int i = 0; i < 20; ++i) ops.push_back(host.look_up("alice@example.com"));
  for (const auto op : ops) EXPECT_EQ(host.finish(op).status, MANSIO_OK);
  stop();
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_DEFER);
  EXPECT_EQ(host.lookup("carol@example.com").status, MANSIO_DEFER) << "never not found";
  start();
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
  // Restarted between two lookups: the connections that were kept are dead.
  stop(SIGKILL);
  start();
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
}

TEST_F(RedisTable, TriesLaterWhenTheServerHangs) {
  auto o = options();
  o["timeout"] = "500ms";
  FakeHost host{mansio_plugin_entry_1(), o};
  // On a busy machine an answer may take longer than that.
  const auto answers = [&] { return host.lookup("alice@example.com").status == MANSIO_OK; };
  server->wait_until(answers);
  server->freeze();
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_DEFER);
  server->thaw();
  server->wait_until(answers);
}

TEST_F(RedisTable, RefusesOptionsThatItCannotUse) {
  const auto check = [&](const std::string &option, const std::string &value) {
    auto o = options();
    o[option] = value;
    return FakeHost::check(mansio_plugin_entry_1(), o);
  };
  for (const auto *query : {"GET", "%s %s", " ", "GET %x"}) EXPECT_THAT(check("query", query), HasSubstr("query is"));
  EXPECT_THAT(check("hosts", "a:b"), HasSubstr("hosts has"));
  EXPECT_THAT(check("dbname", "-1"), HasSubstr("dbname is -1"));
  EXPECT_EQ(check("hosts", "redis.example.com"), "");
}

TEST_F(RedisTable, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
