// The plugin against real databases.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>

#include "mansio/testing/fake_host.hpp"
#include "plugins/lookup-common/tests/rig.hpp"
#include "plugins/testing/readme.hpp"

namespace {

using namespace mansio::lookup;
using mansio::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A writer of its own.
class Database {
 public:
  explicit Database(const std::string &path) { ::sqlite3_open(path.c_str(), &db_); }
  ~Database() { ::sqlite3_close(db_); }
  Database(const Database &) = delete;
  Database &operator=(const Database &) = delete;
  void run(const std::string &sql) {
    char *error = nullptr;
    ::sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, &error);
    if (error) throw std::runtime_error{error};
  }

 private:
  sqlite3 *db_ = nullptr;
};

struct SqliteTable : testing::Test {
  SqliteTable() {
    Database db{path};
    db.run(kSchema);
    db.run(
        "INSERT INTO alias VALUES ('alice@example.com', 'bob@example.net', NULL), ('list@example.com', 'a@x', 'b@y'), "
        "('list@example.com', '', 'c@z'), ('o''brien@example.com', 'pat@x', NULL), ('num@example.com', 42, NULL)");
  }
  FakeHost::Options options() {
    return {{"dbpath", path}, {"query", "SELECT goto, extra FROM alias WHERE address = '%s'"}};
  }
  static constexpr const char *kSchema = "CREATE TABLE alias (address, goto, extra)";
  rig::Directory dir;
  std::string path = dir / "mail.db";
};

TEST_F(SqliteTable, AnswersWithEveryColumnOfEveryRow) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  EXPECT_THAT(host.lookup("Alice@Example.com").values, ElementsAre("bob@example.net"));
  EXPECT_THAT(host.lookup("list@example.com").values, ElementsAre("a@x", "b@y", "c@z"));
  EXPECT_THAT(host.lookup("num@example.com").values, ElementsAre("42"));
  EXPECT_EQ(host.lookup("carol@example.com").status, MANSIO_NOT_FOUND);
  EXPECT_THAT(host.faults, ElementsAre());
}

TEST_F(SqliteTable, TakesTheKeyForDataWhateverIsInIt) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  EXPECT_THAT(host.lookup("o'brien@example.com").values, ElementsAre("pat@x"));
  for (const auto *key : {"' OR 1=1 --", "'; DROP TABLE alias; --", "\"", "\\' OR 1=1 --"})
    EXPECT_EQ(host.lookup(key).status, MANSIO_NOT_FOUND) << key;
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
}

TEST_F(SqliteTable, FormatsLimitsAndFilters) {
  auto o = options();
  o["result_format"] = "%s (%U)";
  o["expansion_limit"] = "2";
  o["domain"] = "example.com";
  FakeHost host{mansio_plugin_entry_1(), o};
  EXPECT_THAT(host.lookup("alice@example.com").values, ElementsAre("bob@example.net (alice)"));
  EXPECT_EQ(host.lookup("list@example.com").status, MANSIO_DEFER);
  EXPECT_EQ(host.lookup("alice").status, MANSIO_NOT_FOUND);
}

TEST_F(SqliteTable, SeesWhatIsWrittenMeanwhile) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  EXPECT_EQ(host.lookup("new@example.com").status, MANSIO_NOT_FOUND);
  Database{path}.run("INSERT INTO alias VALUES ('new@example.com', 'x@y', NULL)");
  EXPECT_THAT(host.lookup("new@example.com").values, ElementsAre("x@y"));
}

TEST_F(SqliteTable, SeesAFileThatTookThePlaceOfTheOldOne) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);
  {
    Database other{dir / "other"};
    other.run(kSchema);
    other.run("INSERT INTO alias VALUES ('alice@example.com', 'dora@x', NULL)");
  }
  std::filesystem::rename(dir / "other", path);
  EXPECT_THAT(host.lookup("alice@example.com").values, ElementsAre("dora@x"));
}

TEST_F(SqliteTable, TriesLaterWhileTheDatabaseCannotBeRead) {
  auto o = options();
  o["timeout"] = "20ms";
  FakeHost host{mansio_plugin_entry_1(), o};
  Database writer{path};
  writer.run("BEGIN EXCLUSIVE");
  const auto locked = host.lookup("alice@example.com");
  EXPECT_EQ(locked.status, MANSIO_DEFER);
  EXPECT_THAT(locked.text, HasSubstr("locked"));
  writer.run("ROLLBACK");
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);

  std::filesystem::rename(path, dir / "away");
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_DEFER);
  std::filesystem::rename(dir / "away", path);
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_OK);

  Database{path}.run("DROP TABLE alias");
  EXPECT_EQ(host.lookup("alice@example.com").status, MANSIO_DEFER);
}

TEST_F(SqliteTable, AnswersSeveralLookupsAtOnce) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  std::vector<std::uint64_t> ops;
  for (int i = 0; i < 100; ++i) ops.push_back(host.look_up(i % 2 ? "alice@example.com" : "carol@example.com"));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(host.finish(ops[i]).status, i % 2 ? MANSIO_OK : MANSIO_NOT_FOUND);
}

TEST_F(SqliteTable, RefusesOptionsThatItCannotUse) {
  const auto check = [&](const std::string &option, const std::string &value) {
    auto o = options();
    o[option] = value;
    return FakeHost::check(mansio_plugin_entry_1(), o);
  };
  EXPECT_THAT(check("dbpath", dir / "missing"), HasSubstr("dbpath names"));
  EXPECT_THAT(check("query", "SELECT a FROM nothing WHERE b = '%s'"), HasSubstr("query is refused"));
  EXPECT_THAT(check("query", "SELECT %s"), HasSubstr("outside of single quotes"));
  EXPECT_THAT(check("result_format", "%x"), HasSubstr("result_format is"));
  EXPECT_EQ(check("expansion_limit", "1"), "");
  rig::write_file(dir / "text", std::string(1000, 'x'));
  EXPECT_THAT(check("dbpath", dir / "text"), HasSubstr("not a database"));
}

TEST_F(SqliteTable, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
