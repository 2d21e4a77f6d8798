// The plugin against real files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lmdb.h>

#include <filesystem>
#include <map>

#include "mansio/testing/fake_host.hpp"
#include "plugins/lookup-common/tests/rig.hpp"
#include "plugins/testing/readme.hpp"

namespace {

using namespace mansio::lookup;
using mansio::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

void expect_ok(int result) {
  if (result != 0) throw std::runtime_error{::mdb_strerror(result)};
}

void build(const std::string &path, const std::map<std::string, std::string> &entries) {
  MDB_env *env = nullptr;
  MDB_txn *txn = nullptr;
  MDB_dbi dbi = 0;
  expect_ok(::mdb_env_create(&env));
  expect_ok(::mdb_env_open(env, path.c_str(), MDB_NOSUBDIR | MDB_NOLOCK, 0644));
  expect_ok(::mdb_txn_begin(env, nullptr, 0, &txn));
  expect_ok(::mdb_dbi_open(txn, nullptr, 0, &dbi));
  for (const auto &[k_text, v_text] : entries) {
    auto key = k_text, value = v_text;
    MDB_val k{key.size(), key.data()}, v{value.size(), value.data()};
    expect_ok(::mdb_put(txn, dbi, &k, &v, 0));
  }
  expect_ok(::mdb_txn_commit(txn));
  ::mdb_env_close(env);
}

struct LmdbTable : testing::Test {
  rig::Directory dir;
  std::string path = dir / "aliases.lmdb";
};

TEST_F(LmdbTable, FindsWhatIsThereAndNothingElse) {
  build(path, {{"alice", "bob"}, {std::string{"with-nul\0", 9}, std::string{"value\0", 6}}, {"empty", ""}});
  FakeHost host{mansio_plugin_entry_1(), {{"path", path}}};
  EXPECT_THAT(host.lookup("Alice").values, ElementsAre("bob"));
  EXPECT_THAT(host.lookup("with-nul").values, ElementsAre("value"));
  for (const auto &key : {std::string{"carol"}, std::string{}, std::string{"empty"}, std::string(600, 'a')})
    EXPECT_EQ(host.lookup(key).status, MANSIO_NOT_FOUND) << key;
  EXPECT_THAT(host.faults, ElementsAre());
}

TEST_F(LmdbTable, MayTellCaseApart) {
  build(path, {{"Alice", "bob"}});
  FakeHost host{mansio_plugin_entry_1(), {{"path", path}, {"fold_case", "false"}}};
  EXPECT_EQ(host.lookup("Alice").status, MANSIO_OK);
  EXPECT_EQ(host.lookup("alice").status, MANSIO_NOT_FOUND);
}

TEST_F(LmdbTable, SeesAFileThatTookThePlaceOfTheOldOne) {
  build(path, {{"alice", "bob"}});
  FakeHost host{mansio_plugin_entry_1(), {{"path", path}}};
  EXPECT_THAT(host.lookup("alice").values, ElementsAre("bob"));
  build(dir / "new", {{"alice", "carol"}});
  std::filesystem::rename(dir / "new", path);
  EXPECT_THAT(host.lookup("alice").values, ElementsAre("carol"));
}

TEST_F(LmdbTable, TriesLaterWhenTheFileIsGoneOrNoTable) {
  build(path, {{"alice", "bob"}});
  FakeHost host{mansio_plugin_entry_1(), {{"path", path}}};
  std::filesystem::rename(path, dir / "away");
  const auto gone = host.lookup("alice");
  EXPECT_EQ(gone.status, MANSIO_DEFER);
  EXPECT_THAT(gone.text, HasSubstr(path));
  rig::write_file(path, std::string(8192, 'x'));
  EXPECT_EQ(host.lookup("alice").status, MANSIO_DEFER);
  std::filesystem::rename(dir / "away", path);
  EXPECT_THAT(host.lookup("alice").values, ElementsAre("bob"));
}

TEST_F(LmdbTable, RefusesAFileThatItCannotUse) {
  EXPECT_THAT(FakeHost::check(mansio_plugin_entry_1(), {{"path", path}}), HasSubstr("which is not there"));
  rig::write_file(path, std::string(8192, 'x'));
  EXPECT_THAT(FakeHost::check(mansio_plugin_entry_1(), {{"path", path}}), HasSubstr("path cannot be used"));
  EXPECT_THROW(FakeHost(mansio_plugin_entry_1(), {{"path", path}}), std::runtime_error);
  std::filesystem::remove(path);
  build(path, {});
  EXPECT_EQ(FakeHost::check(mansio_plugin_entry_1(), {{"path", path}}), "");
}

TEST_F(LmdbTable, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
