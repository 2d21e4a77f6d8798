// The plugin against a PostgreSQL of its own, over a UNIX socket and over TCP with and without TLS.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <postgresql/libpq-fe.h>

#include <memory>

#include "mansio/testing/fake_host.hpp"
#include "plugins/lookup-common/tests/rig.hpp"
#include "plugins/testing/readme.hpp"

namespace {

using namespace mansio::lookup;
using mansio::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kPrograms = POSTGRESQL_BIN "/";

struct Database {
  Database() {
    rig::certificate(dir.path(), account);
    rig::write_file(dir / "pw", "superuser");
    rig::run({kPrograms + "initdb", "-D", dir / "data", "-U", "boss", "--pwfile=" + (dir / "pw"), "-A",
              "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"},
             dir / "initdb.log", account);
    start();
    run("CREATE ROLE reader LOGIN PASSWORD 'se''cret'");
    run("CREATE TABLE alias (address TEXT, goto TEXT, extra TEXT)");
    run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader");
    run("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader");
    run("INSERT INTO alias VALUES ('alice@example.com', 'bob@example.net', NULL), ('list@example.com', 'a@x', "
        "'b@y'), ('list@example.com', '', 'c@z'), ('o''brien@example.com', 'pat@x', NULL), ('num@example.com', 42, "
        "NULL), ('long@example.com', REPEAT('x', 100000), NULL)");
  }
  ~Database() {
    if (server) stop();
  }
  // Not SIGTERM, which waits for clients to go.
  void stop(int signal = SIGINT) const { server->stop(signal); }
  void start() {
    server = std::make_unique<rig::Program>(
        std::vector<std::string>{kPrograms + "postgres", "-D", dir / "data", "-k", dir.path(), "-p",
                                 std::to_string(port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c",
                                 "ssl=on", "-c", "ssl_cert_file=" + (dir / "cert.pem"), "-c",
                                 "ssl_key_file=" + (dir / "key.pem"), "-c", "shared_buffers=16MB"},
        dir / "server.log", account);
    server->wait_until([this] { return ::PQstatus(connect().get()) == CONNECTION_OK; });
  }
  struct Free {
    void operator()(PGconn *c) const { ::PQfinish(c); }
  };
  std::unique_ptr<PGconn, Free> connect() const {
    return std::unique_ptr<PGconn, Free>{::PQconnectdb(
        ("host=" + dir.path() + " port=" + std::to_string(port) + " user=boss password=superuser dbname=postgres")
            .c_str())};
  }
  void run(const std::string &sql) const {
    const auto c = connect();
    auto *r = ::PQexec(c.get(), sql.c_str());
    const bool good = ::PQresultStatus(r) == PGRES_COMMAND_OK;
    ::PQclear(r);
    if (!good) throw std::runtime_error{sql + ": " + ::PQerrorMessage(c.get())};
  }

  rig::Account account = rig::Account::of("nobody");
  rig::Directory dir{account};
  std::uint16_t port = rig::free_port();
  std::string socket = dir / (".s.PGSQL." + std::to_string(port));
  std::unique_ptr<rig::Program> server;
};

// One server for all tests: its files take a while to make.
struct PgsqlTable : testing::Test {
  static void SetUpTestSuite() { database = std::make_unique<Database>(); }
  static void TearDownTestSuite() { database.reset(); }
  static std::string local() { return "unix:" + database->socket; }
  static std::string tcp() { return "127.0.0.1:" + std::to_string(database->port); }
  static FakeHost::Options options(const std::string &hosts = local()) {
    return {{"hosts", hosts},
            {"user", "reader"},
            {"password", "se'cret"},
            {"dbname", "postgres"},
            {"query", "SELECT goto, extra FROM alias WHERE address = '%s'"},
            {"timeout", "20s"},
            {"retry_interval", "0"}};
  }
  static std::unique_ptr<Database> database;
};
std::unique_ptr<Database> PgsqlTable::database;

TEST_F(PgsqlTable, AnswersWithEveryColumnOfEveryRow) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  EXPECT_THAT(host.lookup("Alice@Example.com").values, ElementsAre("bob@example.net"));
  EXPECT_THAT(host.lookup("list@example.com").values, ElementsAre("a@x", "b@y", "c@z"));
  EXPECT_THAT(host.lookup("num@example.com").values, ElementsAre("42"));
  EXPECT_THAT(host.lookup("long@example.com").values, ElementsAre(std::string(100000, 'x')));
  EXPECT_EQ(host.lookup("carol@example.com").status, MANSIO_NOT_FOUND);
  EXPECT_THAT(host.faults, ElementsAre());
}

TEST_F(PgsqlTable, TakesTheKeyForDataWhateverIsInIt) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  EXPECT_THAT(host.lookup("o'brien@example.com").values, ElementsAre("pat@x"));
  for (const auto *key : {"' OR 1=1 -- ", "'; DROP TABLE alias; -- ", "\\' OR 1=1 -- ", "\" OR 1=1 -- "})
    EXPECT_EQ(host.lookup(key).status, MANSIO_NOT_FOUND) << key;
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
}

TEST_F(PgsqlTable, FormatsLimitsAndFilters) {
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

TEST_F(PgsqlTable, SpeaksTcpWithAndWithoutTls) {
  FakeHost clear{mansio_plugin_entry_1(), options(tcp())};
  EXPECT_EQ(clear.lookup("alice@example.com").status, MANSIO_OK);

  auto o = options(tcp());
  o["sslmode"] = "verify-full";
  o["tls_CAfile"] = database->dir / "cert.pem";
  o["query"] = "SELECT cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND '%s' = 'x'";
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

TEST_F(PgsqlTable, TriesLaterWhenTheServerRefusesOrTheQueryIsWrong) {
  auto o = options();
  o["password"] = "wrong";
  FakeHost refused{mansio_plugin_entry_1(), o};
  const auto reply = refused.lookup("alice@example.com");
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_THAT(reply.text, HasSubstr("password authentication failed"));

  o = options();
  o["query"] = "SELECT x FROM nothing WHERE y = '%s'";
  FakeHost wrong{mansio_plugin_entry_1(), o};
  for (int i = 0; i < 2; ++i) EXPECT_THAT(wrong.lookup("alice@example.com").text, HasSubstr("nothing"));
  database->run("CREATE TABLE nothing AS SELECT 'a' AS x, 'alice@example.com' AS y");
  EXPECT_THAT(wrong.lookup("alice@example.com").values, ElementsAre("a"));
  database->run("DROP TABLE nothing");
  EXPECT_EQ(wrong.lookup("alice@example.com").status, MANSIO_DEFER);
}

TEST_F(PgsqlTable, GoesOnToTheNextServer) {
  FakeHost host{mansio_plugin_entry_1(), options("127.0.0.1:" + std::to_string(rig::free_port()) + "," + local())};
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
}

TEST_F(PgsqlTable, TriesLaterWhileTheServerIsDownAndSurvivesItsRestart) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  std::vector<std::uint64_t> ops;
  for (int i = 0; i < 20; ++i) ops.push_back(host.look_up("alice@example.com"));
  for (const auto op : ops) EXPECT_EQ(host.finish(op).status, MANSIO_OK);
  database->stop();
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_DEFER);
  EXPECT_EQ(host.lookup("carol@example.com").status, MANSIO_DEFER) << "never not found";
  database->start();
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
  EXPECT_EQ(host.lookup("carol@example.com").status, MANSIO_NOT_FOUND);

  // Restarted between two lookups: the connections that were kept are dead.
  database->stop(SIGQUIT);
  database->start();
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
}

TEST_F(PgsqlTable, TriesLaterWhenTheServerHangs) {
  auto o = options();
  o["timeout"] = "500ms";
  o["query"] = "SELECT 'x' FROM (SELECT pg_sleep(CASE WHEN '%s' = 'slow' THEN 30 ELSE 0 END)) s";
  FakeHost host{mansio_plugin_entry_1(), o};
  // On a busy machine a connection or an answer may take longer than that.
  const auto answers = [&] { return host.lookup("fast").status == MANSIO_OK; };
  database->server->wait_until(answers);
  const auto slow = host.lookup("slow");
  EXPECT_EQ(slow.status, MANSIO_DEFER);
  EXPECT_THAT(slow.text, HasSubstr("no answer in time"));
  database->server->wait_until(answers);

  // The process that takes connections; the one of a connection that is there goes on.
  FakeHost fresh{mansio_plugin_entry_1(), o};
  database->server->freeze();
  const auto reply = fresh.lookup("fast");
  database->server->thaw();
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_THAT(reply.text, HasSubstr("no connection in time"));
  database->server->wait_until([&] { return fresh.lookup("fast").status == MANSIO_OK; });
}

TEST_F(PgsqlTable, HasNoTextWithANulByte) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  EXPECT_EQ(host.lookup(std::string{"alice@example.com\0", 18}).status, MANSIO_NOT_FOUND);
}

TEST_F(PgsqlTable, RefusesOptionsThatItCannotUse) {
  const auto check = [&](const std::string &option, const std::string &value) {
    auto o = options();
    o[option] = value;
    return FakeHost::check(mansio_plugin_entry_1(), o);
  };
  EXPECT_THAT(check("query", "SELECT %s"), HasSubstr("outside of single quotes"));
  EXPECT_THAT(check("hosts", "a:b"), HasSubstr("hosts has"));
  EXPECT_THAT(check("result_format", "%x"), HasSubstr("result_format is"));
  EXPECT_THAT(check("timeout", "0"), HasSubstr("timeout is 0"));
  EXPECT_THAT(check("sslmode", "on"), HasSubstr("sslmode is \"on\""));
  EXPECT_EQ(check("hosts", "db.example.com"), "");
}

TEST_F(PgsqlTable, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
