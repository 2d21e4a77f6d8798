// The plugin against a MariaDB of its own, over a UNIX socket and over TCP with and without TLS.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mariadb/mysql.h>

#include <memory>

#include "mansio/testing/fake_host.hpp"
#include "plugins/lookup-common/tests/rig.hpp"
#include "plugins/testing/readme.hpp"

namespace {

using namespace mansio::lookup;
using mansio::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Database {
  Database() {
    rig::certificate(dir.path(), account);
    rig::run({"mariadb-install-db", "--no-defaults", "--datadir=" + (dir / "data"),
              "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"},
             dir / "install.log", account);
    start();
    run("CREATE DATABASE mail");
    run("CREATE USER reader IDENTIFIED BY 'se''cret'");
    run("GRANT SELECT, EXECUTE ON mail.* TO reader");
    run("CREATE TABLE mail.alias (address VARCHAR(200), goto MEDIUMTEXT, extra VARCHAR(200))");
    run("INSERT INTO mail.alias VALUES ('alice@example.com', 'bob@example.net', NULL), ('list@example.com', 'a@x', "
        "'b@y'), ('list@example.com', '', 'c@z'), ('o''brien@example.com', 'pat@x', NULL), ('num@example.com', 42, "
        "NULL), ('long@example.com', REPEAT('x', 100000), NULL)");
    run("CREATE PROCEDURE mail.find(k VARCHAR(200)) BEGIN SELECT goto FROM mail.alias WHERE address = k; SELECT 'not "
        "this'; END");
    run("CREATE PROCEDURE mail.find_some(k VARCHAR(200)) BEGIN IF k LIKE '%@example.com' THEN SELECT goto FROM "
        "mail.alias WHERE address = k; END IF; END");
  }
  void start() {
    server = std::make_unique<rig::Program>(
        std::vector<std::string>{"/usr/sbin/mariadbd", "--no-defaults", "--datadir=" + (dir / "data"),
                                 "--socket=" + socket, "--port=" + std::to_string(port), "--bind-address=127.0.0.1",
                                 "--pid-file=" + (dir / "pid"), "--skip-name-resolve", "--innodb-flush-method=nosync",
                                 "--innodb-buffer-pool-size=16M", "--ssl-cert=" + (dir / "cert.pem"),
                                 "--ssl-key=" + (dir / "key.pem")},
        dir / "server.log", account);
    server->wait_until([this] { return connect() != nullptr; });
  }
  struct Close {
    void operator()(MYSQL *c) const { ::mysql_close(c); }
  };
  std::unique_ptr<MYSQL, Close> connect() const {
    std::unique_ptr<MYSQL, Close> c{::mysql_init(nullptr)};
    return ::mysql_real_connect(c.get(), nullptr, "root", nullptr, nullptr, 0, socket.c_str(), 0) ? std::move(c)
                                                                                                  : nullptr;
  }
  void run(const std::string &sql) const {
    const auto c = connect();
    if (::mysql_query(c.get(), sql.c_str()) != 0) throw std::runtime_error{sql + ": " + ::mysql_error(c.get())};
  }

  rig::Account account = rig::Account::of("nobody");
  rig::Directory dir{account};
  std::string socket = dir / "socket";
  std::uint16_t port = rig::free_port();
  std::unique_ptr<rig::Program> server;
};

// One server for all tests: its files take a while to make.
struct MysqlTable : testing::Test {
  static void SetUpTestSuite() { database = std::make_unique<Database>(); }
  static void TearDownTestSuite() { database.reset(); }
  static std::string local() { return "unix:" + database->socket; }
  static std::string tcp() { return "127.0.0.1:" + std::to_string(database->port); }
  static FakeHost::Options options(const std::string &hosts = local()) {
    return {{"hosts", hosts},
            {"user", "reader"},
            {"password", "se'cret"},
            {"dbname", "mail"},
            {"query", "SELECT goto, extra FROM alias WHERE address = '%s'"},
            {"timeout", "20s"},
            {"retry_interval", "0"}};
  }
  static std::unique_ptr<Database> database;
};
std::unique_ptr<Database> MysqlTable::database;

TEST_F(MysqlTable, AnswersWithEveryColumnOfEveryRow) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  EXPECT_THAT(host.lookup("Alice@Example.com").values, ElementsAre("bob@example.net"));
  EXPECT_THAT(host.lookup("list@example.com").values, ElementsAre("a@x", "b@y", "c@z"));
  EXPECT_THAT(host.lookup("num@example.com").values, ElementsAre("42"));
  EXPECT_THAT(host.lookup("long@example.com").values, ElementsAre(std::string(100000, 'x')));
  EXPECT_EQ(host.lookup("carol@example.com").status, MANSIO_NOT_FOUND);
  EXPECT_THAT(host.faults, ElementsAre());
}

TEST_F(MysqlTable, TakesTheKeyForDataWhateverIsInIt) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  EXPECT_THAT(host.lookup("o'brien@example.com").values, ElementsAre("pat@x"));
  for (const auto *key : {"' OR 1=1 -- ", "'; DROP TABLE alias; -- ", "\\' OR 1=1 -- ", "\" OR 1=1 -- "})
    EXPECT_EQ(host.lookup(key).status, MANSIO_NOT_FOUND) << key;
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
}

TEST_F(MysqlTable, FormatsLimitsAndFilters) {
  auto o = options();
  o["result_format"] = "%s (%U)";
  o["expansion_limit"] = "2";
  o["domain"] = "example.com";
  FakeHost host{mansio_plugin_entry_1(), o};
  EXPECT_THAT(host.lookup("alice@example.com").values, ElementsAre("bob@example.net (alice)"));
  EXPECT_EQ(host.lookup("list@example.com").status, MANSIO_DEFER);
  EXPECT_EQ(host.lookup("alice").status, MANSIO_NOT_FOUND);
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
}

TEST_F(MysqlTable, CallsProcedures) {
  auto o = options();
  o["query"] = "CALL find('%s')";
  FakeHost host{mansio_plugin_entry_1(), o};
  for (int i = 0; i < 2; ++i) EXPECT_THAT(host.lookup("alice@example.com").values, ElementsAre("bob@example.net"));
  EXPECT_EQ(host.lookup("carol@example.com").status, MANSIO_NOT_FOUND);
}

TEST_F(MysqlTable, TakesNoLackOfAResultSetForNotFoundUnlessToldTo) {
  auto o = options();
  o["query"] = "CALL find_some('%s')";
  FakeHost strict{mansio_plugin_entry_1(), o};
  EXPECT_THAT(strict.lookup("alice@example.com").values, ElementsAre("bob@example.net"));
  EXPECT_EQ(strict.lookup("carol@example.com").status, MANSIO_NOT_FOUND);
  const auto none = strict.lookup("carol@example.org");
  EXPECT_EQ(none.status, MANSIO_DEFER);
  EXPECT_THAT(none.text, HasSubstr("the query has no result set"));
  o["require_result_set"] = "false";
  FakeHost lenient{mansio_plugin_entry_1(), o};
  EXPECT_EQ(lenient.lookup("carol@example.org").status, MANSIO_NOT_FOUND);
}

TEST_F(MysqlTable, SpeaksTcpWithAndWithoutTls) {
  FakeHost clear{mansio_plugin_entry_1(), options(tcp())};
  EXPECT_EQ(clear.lookup("alice@example.com").status, MANSIO_OK);

  auto o = options(tcp());
  o["tls_CAfile"] = database->dir / "cert.pem";
  o["query"] =
      "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'ssl_cipher' AND '%s' = 'x'";
  FakeHost tls{mansio_plugin_entry_1(), o};
  EXPECT_EQ(tls.lookup("x").status, MANSIO_OK) << "a cipher";

  // Another authority than the one that the server's certificate is from.
  rig::Directory other;
  rig::certificate(other.path());
  o["tls_CAfile"] = other / "cert.pem";
  FakeHost wrong{mansio_plugin_entry_1(), o};
  const auto reply = wrong.lookup("x");
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_THAT(reply.text, HasSubstr("certificate"));
}

TEST_F(MysqlTable, TriesLaterWhenTheServerRefusesOrTheQueryIsWrong) {
  auto o = options();
  o["password"] = "wrong";
  FakeHost refused{mansio_plugin_entry_1(), o};
  const auto reply = refused.lookup("alice@example.com");
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_THAT(reply.text, HasSubstr("Access denied"));

  o = options();
  o["query"] = "SELECT x FROM nothing WHERE y = '%s'";
  FakeHost wrong{mansio_plugin_entry_1(), o};
  for (int i = 0; i < 2; ++i) EXPECT_THAT(wrong.lookup("alice@example.com").text, HasSubstr("nothing"));
  database->run("CREATE TABLE mail.nothing AS SELECT 'a' AS x, 'alice@example.com' AS y");
  EXPECT_THAT(wrong.lookup("alice@example.com").values, ElementsAre("a"));
  database->run("DROP TABLE mail.nothing");
  EXPECT_EQ(wrong.lookup("alice@example.com").status, MANSIO_DEFER);
}

TEST_F(MysqlTable, GoesOnToTheNextServer) {
  FakeHost host{mansio_plugin_entry_1(), options("127.0.0.1:" + std::to_string(rig::free_port()) + "," + local())};
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
}

TEST_F(MysqlTable, TriesLaterWhileTheServerIsDownAndSurvivesItsRestart) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  std::vector<std::uint64_t> ops;
  for (int i = 0; i < 20; ++i) ops.push_back(host.look_up("alice@example.com"));
  for (const auto op : ops) EXPECT_EQ(host.finish(op).status, MANSIO_OK);
  database->server->stop();
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_DEFER);
  EXPECT_EQ(host.lookup("carol@example.com").status, MANSIO_DEFER) << "never not found";
  database->start();
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
  EXPECT_EQ(host.lookup("carol@example.com").status, MANSIO_NOT_FOUND);

  // Restarted between two lookups: the connections that were kept are dead.
  database->server->stop(SIGKILL);
  database->start();
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
}

TEST_F(MysqlTable, TriesLaterWhenTheServerHangs) {
  auto o = options();
  o["timeout"] = "1s";
  FakeHost host{mansio_plugin_entry_1(), o};
  // On a busy machine an answer may take longer than that.
  const auto answers = [&] { return host.lookup("alice@example.com").status == MANSIO_OK; };
  database->server->wait_until(answers);
  database->server->freeze();
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_DEFER);
  database->server->thaw();
  database->server->wait_until(answers);
}

TEST_F(MysqlTable, RefusesOptionsThatItCannotUse) {
  const auto check = [&](const std::string &option, const std::string &value) {
    auto o = options();
    o[option] = value;
    return FakeHost::check(mansio_plugin_entry_1(), o);
  };
  EXPECT_THAT(check("query", "SELECT %s"), HasSubstr("outside of single quotes"));
  EXPECT_THAT(check("hosts", "a:b"), HasSubstr("hosts has"));
  EXPECT_THAT(check("result_format", "%x"), HasSubstr("result_format is"));
  EXPECT_THAT(check("timeout", "0"), HasSubstr("timeout is 0"));
  EXPECT_EQ(check("hosts", "db.example.com"), "");
}

TEST_F(MysqlTable, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
