// The plugin on a fake host: options, outcomes, reload.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "mansio/testing/fake_host.hpp"
#include "plugins/lookup-common/tests/rig.hpp"
#include "plugins/testing/readme.hpp"

namespace {

using mansio::lookup::rig::Directory;
using mansio::lookup::rig::write_file;
using mansio::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct FileTables : testing::Test {
  // A new file in place of the old one, as editors and operators should do it.
  void replace(const std::string &text) {
    write_file(dir / "new", text);
    std::filesystem::rename(dir / "new", path);
  }
  std::string value(FakeHost &host, const std::string &key) {
    const auto reply = host.lookup(key);
    return reply.status == MANSIO_OK ? reply.values.at(0) : std::to_string(reply.status);
  }
  Directory dir;
  std::string path = dir / "table";
};

const std::string kNotFound = std::to_string(MANSIO_NOT_FOUND);

TEST_F(FileTables, LooksUpInAFile) {
  write_file(path, "alice bob\n");
  FakeHost host{mansio_plugin_entry_1(), {{"path", path}}};
  EXPECT_EQ(value(host, "Alice"), "bob");
  EXPECT_EQ(value(host, "carol"), kNotFound);
  EXPECT_THAT(host.faults, ElementsAre());
}

TEST_F(FileTables, LooksUpInTheConfigurationItself) {
  FakeHost host{mansio_plugin_entry_1(), {{"type", "cidr"}, {"inline", "192.0.2.0/24 OK\n2001:db8::/32 REJECT\n"}}};
  EXPECT_EQ(value(host, "192.0.2.7"), "OK");
  EXPECT_EQ(value(host, "2001:db8::7"), "REJECT");
  EXPECT_EQ(value(host, "198.51.100.7"), kNotFound);
}

TEST_F(FileTables, SeesAReplacedFileAtTheNextLookup) {
  write_file(path, "alice bob\n");
  FakeHost host{mansio_plugin_entry_1(), {{"path", path}}};
  EXPECT_EQ(value(host, "alice"), "bob");
  replace("alice carol\n");
  EXPECT_EQ(value(host, "alice"), "carol");
  EXPECT_THAT(host.log, HasSubstr("was read again"));
}

TEST_F(FileTables, SeesAFileWrittenInPlace) {
  write_file(path, "alice bob\n");
  FakeHost host{mansio_plugin_entry_1(), {{"path", path}}};
  write_file(path, "alice somebody\n");
  EXPECT_EQ(value(host, "alice"), "somebody");
}

TEST_F(FileTables, KeepsTheTableWhenTheNewOneIsWrongAndSaysSoOnce) {
  write_file(path, "alice bob\n");
  FakeHost host{mansio_plugin_entry_1(), {{"path", path}}};
  replace("alice carol\nlonely\n");
  EXPECT_EQ(value(host, "alice"), "bob");
  EXPECT_EQ(value(host, "alice"), "bob");
  EXPECT_THAT(host.log, HasSubstr("line 2 has no value"));
  EXPECT_EQ(host.log.find("line 2"), host.log.rfind("line 2"));
  replace("alice carol\n");
  EXPECT_EQ(value(host, "alice"), "carol");
}

TEST_F(FileTables, KeepsTheTableWhenTheFileIsGoneUntilItIsBack) {
  write_file(path, "alice bob\n");
  FakeHost host{mansio_plugin_entry_1(), {{"path", path}}};
  std::filesystem::remove(path);
  EXPECT_EQ(value(host, "alice"), "bob");
  EXPECT_THAT(host.log, HasSubstr("cannot be read"));
  write_file(path, "alice dora\n");
  EXPECT_EQ(value(host, "alice"), "dora");
}

TEST_F(FileTables, PassesAPatternThatRanIntoItsLimitsOnAsTryLater) {
  FakeHost host{mansio_plugin_entry_1(), {{"type", "pcre"}, {"inline", "/^(a+)+$/ x"}}};
  EXPECT_EQ(host.lookup(std::string(64, 'a') + "!").status, MANSIO_DEFER);
}

TEST_F(FileTables, RefusesOptionsAndTablesThatItCannotUse) {
  const auto check = [](const FakeHost::Options &o) { return FakeHost::check(mansio_plugin_entry_1(), o); };
  write_file(path, "alice bob\nlonely\n");
  EXPECT_THAT(check({{"path", path}}), HasSubstr("path names " + path + ", whose line 2 has no value"));
  EXPECT_THAT(check({{"path", dir / "missing"}}), HasSubstr("which is not there"));
  EXPECT_THAT(check({{"path", path}, {"inline", "a b"}}), HasSubstr("expected one of them"));
  EXPECT_THAT(check({}), HasSubstr("expected one of them"));
  EXPECT_THAT(check({{"inline", "a"}}), HasSubstr("inline has a line 1 that has no value"));
  EXPECT_THAT(check({{"type", "hash"}, {"inline", "a b"}}), HasSubstr("expected \"texthash\""));
  EXPECT_EQ(check({{"inline", "a b"}}), "");
  EXPECT_THROW(FakeHost(mansio_plugin_entry_1(), {{"path", path}}), std::runtime_error);
}

TEST_F(FileTables, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
