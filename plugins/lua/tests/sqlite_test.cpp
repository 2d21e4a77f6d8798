// mansio.sqlite on databases of the test's own.
#include <sqlite3.h>

#include "plugins/lookup-common/tests/rig.hpp"
#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace rig = mansio::lookup::rig;

struct Sqlite : ::testing::Test {
  Sqlite() {
    fill(path,
         "CREATE TABLE users (name TEXT PRIMARY KEY, quota INTEGER, share REAL, note TEXT);"
         "INSERT INTO users VALUES ('alice', 10, 0.5, NULL), ('bob', 20, 1.5, 'x');");
  }
  static void fill(const std::string &file, const char *sql) {
    sqlite3 *db = nullptr;
    ASSERT_EQ(::sqlite3_open(file.c_str(), &db), SQLITE_OK);
    EXPECT_EQ(::sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK) << ::sqlite3_errmsg(db);
    ::sqlite3_close(db);
  }
  // With `db` in a handler of RCPT.
  std::string script(const std::string &body, const std::string &options = "{}") const {
    return "local db = mansio.sqlite('" + path + "', " + options + ")\nmansio.on('rcpt', function(_, rcpt)\n" + body +
           "\nend)";
  }

  rig::Directory directory;
  std::string path = directory / "users.db";
  FakeHost::Options allow{{"allow", "sqlite"}};
};

TEST_F(Sqlite, AnswersWithRows) {
  Scripted s{script(R"(
    local rows = db:query("SELECT name, quota, share, note FROM users WHERE name = ?", rcpt.address)
    if #rows == 0 then return mansio.reject("5.1.1", "none") end
    local row = rows[1]
    assert(math.type(row.quota) == "integer" and math.type(row.share) == "float")
    return mansio.reject("5.7.1", ("%s %d %.1f %s"):format(row.name, row.quota, row.share, row.note))
  )"),
             allow};
  EXPECT_EQ(s.rcpt("alice").last->text, "alice 10 0.5 nil") << s.host.log;
  EXPECT_EQ(s.rcpt("bob").last->text, "bob 20 1.5 x");
  EXPECT_EQ(s.rcpt("' OR 1 = 1 --").last->text, "none");
  EXPECT_THAT(s.host.faults, IsEmpty());
}

TEST_F(Sqlite, WritesInTheDirectoryOfTheScript) {
  const std::string text = R"lua(
    local db = mansio.sqlite(mansio.state_directory() .. "/seen.db", {write = true})
    mansio.on("rcpt", function(_, rcpt)
      db:execute("CREATE TABLE IF NOT EXISTS seen (name TEXT)")
      db:execute("INSERT INTO seen VALUES (?)", rcpt.address)
      return mansio.reject("5.7.1", tostring(#db:query("SELECT * FROM seen")))
    end)
  )lua";
  Scripted s{text, allow};
  EXPECT_EQ(s.rcpt("alice").last->text, "1") << s.host.log;
  EXPECT_EQ(s.rcpt("bob").last->text, "2");
  const ScriptFile file{text};
  const auto without = load_or([&] {
    const FakeHost host{mansio_plugin_entry_1(), file.options(allow), {{"state_directory", ""}}};
    return host.log;
  });
  EXPECT_THAT(without, HasSubstr(":2: there is no directory for this script's state"));
  EXPECT_THAT(without, HasSubstr("isolation = \"process\""));
  EXPECT_THAT(without, HasSubstr("`mansio lookup`"));  // which runs it by itself, whatever its table says
}

TEST_F(Sqlite, WritesWhereItIsAskedTo) {
  Scripted s{script(R"lua(
    local n = db:execute("INSERT INTO users VALUES (?, ?, ?, ?)", rcpt.address, 1, true, nil)
    return mansio.reject("5.7.1", n .. " " .. #db:query("SELECT * FROM users"))
  )lua",
                    "{write = true}"),
             allow};
  EXPECT_EQ(s.rcpt("carol").last->text, "1 3") << s.host.log;
  Scripted refused{script(R"(db:execute("DELETE FROM users"))"), allow};
  EXPECT_EQ(refused.rcpt("a").last->status, MANSIO_INTERNAL);
  EXPECT_THAT(refused.host.log, HasSubstr("open for reading alone"));
  Scripted hidden{script(R"(db:query("DELETE FROM users"))"), allow};
  EXPECT_EQ(hidden.rcpt("a").last->status, MANSIO_DEFER);
  EXPECT_THAT(hidden.host.log, HasSubstr("readonly"));
  EXPECT_EQ(s.rcpt("dave").last->text, "1 4");
}

TEST_F(Sqlite, DefersWhatFails) {
  const std::pair<const char *, const char *> kFaults[] = {
      {"SELECT * FROM missing", "no such table"},
      {"SELECT 1; SELECT 2", "more than one statement"},
      {" ", "no statement"},
      {"SELECT ?", "1 parameters, and 0 were given"},
      {"ATTACH '/etc/passwd' AS other", "not authorized"},
      {"BEGIN", "not authorized"},
      {"SAVEPOINT here", "not authorized"},
      {"SELECT hex(randomblob(600000))", "too big"},
      {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n", "the rows are larger than"},
  };
  for (const auto &[sql, says] : kFaults) {
    Scripted s{script(std::string{"db:query([["} + sql + "]])"), allow};
    EXPECT_EQ(s.rcpt("a").last->status, MANSIO_DEFER) << sql;
    EXPECT_THAT(s.host.log, HasSubstr(says)) << sql;
  }
  path = directory / "nowhere.db";
  Scripted s{script("db:query('SELECT 1')"), allow};
  EXPECT_EQ(s.rcpt("a").last->status, MANSIO_DEFER);
  EXPECT_THAT(s.host.log, HasSubstr("No such file"));
}

TEST_F(Sqlite, EndsWithItsCall) {
  Scripted s{script(R"(
    if rcpt.address == "long" then
      db:query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n")
    end
    return mansio.reject("5.7.1", #db:query("SELECT * FROM users"))
  )",
                    "{timeout = '1h'}"),
             allow};
  FakeStage stage;
  stage.stage = MANSIO_STAGE_RCPT;
  stage.arguments = {"long"};
  const auto op = s.host.show(stage);
  s.host.cancel(op);
  EXPECT_EQ(s.host.finish(op).status, MANSIO_CANCELLED);
  // Its statement was stopped: the thread is free for the next one.
  EXPECT_EQ(s.rcpt("a").last->text, "2");
  // And ends with the instance.
  s.host.show(stage);
  s.host.stop();
}

TEST_F(Sqlite, WaitsNoLongerThanItsTime) {
  constexpr auto *kForEver = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n";
  Scripted alone{script(std::string{"db:query('"} + kForEver + "')", "{timeout = '50ms'}"), allow};
  EXPECT_EQ(alone.rcpt("a").last->status, MANSIO_DEFER);
  EXPECT_THAT(alone.host.log, HasSubstr("it took more than its time"));
  // Nor for the statements of others.
  Scripted behind{
      script("local hasty = mansio.sqlite('" + path + "', {timeout = '50ms'})\n" +
                 "if rcpt.address == 'first' then db:query('" + kForEver + "') end\n" + "hasty:query('SELECT 1')",
             "{timeout = '1h'}"),
      allow};
  FakeStage stage;
  stage.stage = MANSIO_STAGE_RCPT;
  stage.arguments = {"first"};
  const auto op = behind.host.show(stage);
  EXPECT_EQ(behind.rcpt("a").last->status, MANSIO_DEFER);
  EXPECT_THAT(behind.host.log, HasSubstr("it took more than its time"));
  behind.host.cancel(op);
}

TEST_F(Sqlite, ReadsTextInEveryEncoding) {
  path = directory / "wide.db";
  fill(path,
       "PRAGMA encoding = 'UTF-16'; CREATE TABLE t (x TEXT, y BLOB); INSERT INTO t VALUES ('al\u00efce', x'00ff');");
  Scripted s{script(R"(
    local row = db:query("SELECT x, y FROM t")[1]
    assert(row.x == "al\xc3\xafce" and row.y == "\0\xff")
  )"),
             allow};
  EXPECT_EQ(s.rcpt("a").last->status, MANSIO_OK) << s.host.log;
}

TEST_F(Sqlite, OpensTheFileThatHasTakenThePlaceOfAnother) {
  Scripted s{script(R"(return mansio.reject("5.7.1", #db:query("SELECT * FROM users")))"), allow};
  EXPECT_EQ(s.rcpt("a").last->text, "2");
  fill(directory / "new.db", "CREATE TABLE users (name TEXT); INSERT INTO users VALUES ('only');");
  std::filesystem::rename(directory / "new.db", path);
  EXPECT_EQ(s.rcpt("a").last->text, "1");
}

TEST_F(Sqlite, IsOffUnlessAllowed) {
  EXPECT_THAT(problem(script("")), HasSubstr("mansio.sqlite is off; allow = [\"sqlite\"]"));
  EXPECT_EQ(problem(script(""), allow), "");
  EXPECT_THAT(problem("mansio.sqlite('users.db') mansio.on('rcpt', print)", allow),
              HasSubstr("expected one from the root"));
  EXPECT_THAT(problem(script("", "{wirte = true}"), allow), HasSubstr("did you mean \"write\"?"));
}

}  // namespace
}  // namespace mansio::lua::testing
