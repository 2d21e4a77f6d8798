// The scripts of examples/lua have tests of their own, in Lua beside them. Here is what such tests cannot do: real
// servers, and several calls at once.
#include <cstdint>
#include <fstream>
#include <iterator>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "plugins/lookup-common/tests/rig.hpp"
#include "plugins/lua/tests/scripted.hpp"
#include "plugins/lua/tests/server.hpp"
#include "plugins/transport-http/tests/http_server.hpp"

namespace mansio::lua::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string example(const std::string &name) {
  std::ifstream in{std::string{MANSIO_SOURCE_DIR} + "/examples/lua/" + name};
  return {std::istreambuf_iterator<char>{in}, {}};
}

// One whose server is elsewhere.
std::string moved(const std::string &name, const std::string &from, const std::string &to) {
  auto text = example(name);
  const auto at = text.find(from);
  EXPECT_NE(at, text.npos);
  return at == text.npos ? text : text.replace(at, from.size(), to);
}

FakeStage rcpt(const std::string &address, std::vector<std::pair<std::string, std::string>> macros) {
  FakeStage stage;
  stage.stage = MANSIO_STAGE_RCPT;
  stage.arguments = {address};
  stage.macros = std::move(macros);
  return stage;
}

TEST(Examples, SpamdMarksAndRefusesWhatItCallsSpam) {
  std::mutex mutex;
  std::string answer, asked;
  const Server spamd{[&](int fd) {
    const auto command = Server::line(fd);
    std::size_t length = 0;
    for (auto line = Server::line(fd); !line.empty(); line = Server::line(fd))
      if (line.starts_with("Content-length: ")) length = std::stoul(line.substr(16));
    const auto content = Server::octets(fd, length);
    const std::lock_guard lock{mutex};
    asked = command + '|' + content;
    Server::say(fd, answer);
  }};
  const ScriptFile file{moved("spamd.lua", "127.0.0.1:783", spamd.address())};
  FakeHost host{mansio_plugin_entry_1(), file.options({{"allow", "connect"}})};
  const auto says = [&](const std::string &text) {
    {
      const std::lock_guard lock{mutex};
      answer = text;
    }
    FakeStage stage;
    stage.stage = MANSIO_STAGE_END_OF_MESSAGE;
    stage.content = "X-Spam-Flag: NO\r\nSubject: a\r\n\r\nbody\r\n";
    return host.run(stage);
  };
  const auto spam = says("SPAMD/1.1 0 EX_OK\r\nContent-length: 8\r\nSpam: True ; 7.3 / 5.0\r\n\r\nONE,TWO\n");
  EXPECT_THAT(spam.edits, ElementsAre("delete_header 1 X-Spam-Flag", "add_header X-Spam-Flag: YES",
                                      "add_header X-Spam-Status: Yes, score=7.3 required=5.0 tests=ONE,TWO"))
      << host.log;
  const auto heard = [&] {
    const std::lock_guard lock{mutex};
    return asked;
  };
  EXPECT_EQ(heard(), "SYMBOLS SPAMC/1.5|X-Spam-Flag: NO\r\nSubject: a\r\n\r\nbody\r\n");
  EXPECT_THAT(
      says("SPAMD/1.1 0 EX_OK\r\nSpam: False ; -0.1 / 5.0\r\n\r\n").edits,
      ElementsAre("delete_header 1 X-Spam-Flag", "add_header X-Spam-Status: No, score=-0.1 required=5.0 tests=none"));
  const auto much = says("SPAMD/1.1 0 EX_OK\r\nSpam: True ; 25.0 / 5.0\r\n\r\nONE\n");
  EXPECT_EQ(much.last->status, MANSIO_FAIL);
  EXPECT_EQ(host.metric("spamd_refused"), 1);
  EXPECT_EQ(says("SPAMD/1.0 76 Bad header line\r\n\r\n").last->status, MANSIO_DEFER);
  EXPECT_EQ(says("").last->status, MANSIO_DEFER);
  EXPECT_THAT(host.faults, IsEmpty());
}

TEST(Examples, QuotaRedisCountsInRedis) {
  namespace rig = mansio::lookup::rig;
  const rig::Directory directory;
  const auto port = rig::free_port();
  rig::Program redis{{"redis-server", "--port", std::to_string(port), "--bind", "127.0.0.1", "--dir", directory.path(),
                      "--save", "", "--appendonly", "no"},
                     directory / "server.log"};
  redis.wait_until([&] { return rig::accepts(port); });
  auto text = moved("quota-redis.lua", "127.0.0.1:6379", "127.0.0.1:" + std::to_string(port));
  text.replace(text.find("LIMIT = 200"), 11, "LIMIT = 3");
  const ScriptFile file{text};
  FakeHost host{mansio_plugin_entry_1(), file.options({{"allow", "redis"}})};
  const auto mail = rcpt("b@example.com", {{"client_address", "192.0.2.1"}, {"auth_user", "alice"}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(host.run(mail).last->status, MANSIO_OK) << host.log;
  // As many again and one more: an hour may have begun meanwhile.
  bool deferred = false;
  for (int i = 0; i < 4; ++i) deferred = host.run(mail).last->status == MANSIO_DEFER || deferred;
  EXPECT_TRUE(deferred) << host.log;
  EXPECT_EQ(host.run(rcpt("b@example.com", {{"auth_user", "bob"}})).last->status, MANSIO_OK);
  redis.stop();
  EXPECT_EQ(host.run(mail).last->status, MANSIO_OK);
  EXPECT_EQ(host.metric("quota_uncounted"), 1);
}

TEST(Examples, WebhookPostsAndTakesTheServicesAnswers) {
  using mansio::http::test::HttpServer;
  using mansio::http::test::Received;
  const HttpServer server{[](const Received &request) {
    const auto said = [&](const char *user) { return request.body.find(user) != std::string::npos; };
    if (said("later@")) return HttpServer::response(429, "", "Retry-After: 30\r\n");
    if (said("never@")) return HttpServer::response(422);
    if (said("silent@")) return std::string{};
    if (said("odd@")) return HttpServer::response(200, "\"stored\"");
    return HttpServer::response(200, R"({"refused": {"gone@example.com": "no such user"}})");
  }};
  const ScriptFile file{moved("webhook.lua", "https://hook.example.com/mail", server.url())};
  FakeHost host{mansio_plugin_entry_1(), file.options({{"allow", "http"}}), {{"instance", "webhook"}}};
  const auto deliver = [&](std::vector<std::string> to) {
    mansio::testing::FakeMail mail;
    mail.sender = "a@example.org";
    for (auto &address : to) mail.recipients.push_back({std::move(address), "", "", 0});
    mail.content = "Subject: a\r\n\r\nbody\r\n";
    return host.run(mail).recipients;
  };
  const auto both = deliver({"b@example.com", "gone@example.com"});
  EXPECT_EQ(both.at(0).status, MANSIO_OK) << host.log;
  EXPECT_EQ(both.at(0).text, "HTTP 200");
  EXPECT_EQ(both.at(0).relay, server.url());
  EXPECT_EQ(both.at(1).status, MANSIO_FAIL);
  EXPECT_EQ(both.at(1).text, "no such user");
  ASSERT_EQ(server.received().size(), 1u);
  EXPECT_EQ(server.received().front().body,
            R"({"message":"U3ViamVjdDogYQ0KDQpib2R5DQo=","queue_id":"0123456789ABC",)"
            R"("recipients":["b@example.com","gone@example.com"],"sender":"a@example.org"})");
  const auto later = deliver({"later@example.com"}).at(0);
  EXPECT_EQ(later.status, MANSIO_DEFER);
  EXPECT_EQ(later.retry_ns, 30'000'000'000);
  EXPECT_EQ(deliver({"never@example.com"}).at(0).status, MANSIO_FAIL);
  EXPECT_EQ(deliver({"odd@example.com"}).at(0).status, MANSIO_OK) << host.log;
  const auto silent = deliver({"silent@example.com"}).at(0);
  EXPECT_EQ(silent.status, MANSIO_DEFER);
  EXPECT_EQ(silent.flags, MANSIO_REPLY_SITE_FAILURE);
  EXPECT_EQ(host.metric("webhook_posted"), 2);
  EXPECT_THAT(host.faults, IsEmpty());
}

// Each of them asks the table before any of them is judged.
TEST(Examples, PasswordsCountsGuessesThatComeAtOnce) {
  using namespace std::string_literals;
  const ScriptFile file{example("passwords.lua")};
  FakeHost host{mansio_plugin_entry_1(), file.options(), {{"instance", "users"}}};
  host.tables[{"passwords", "alice"}] = {MANSIO_OK, {"salt:00"}, ""};
  std::vector<std::uint64_t> guesses;
  for (std::uint64_t i = 1; i <= 15; ++i) {
    mansio::testing::FakeAuthStep step;
    step.response = "\0alice\0guess"s;
    step.exchange = i;
    guesses.push_back(host.begin_step(step));
  }
  int judged = 0, deferred = 0;
  for (const auto op : guesses) {
    const auto status = host.finish(op).status;
    judged += status == MANSIO_FAIL;
    deferred += status == MANSIO_DEFER;
  }
  EXPECT_EQ(judged, 10) << host.log;
  EXPECT_EQ(deferred, 5);
  EXPECT_THAT(host.faults, IsEmpty());
}

}  // namespace
}  // namespace mansio::lua::testing
