// store-directory on the fake host: what it keeps, what it gives back, and what a crash may leave behind.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "mansio/testing/fake_host.hpp"
#include "plugins/store-directory/outcome_file.hpp"
#include "plugins/store-directory/shelf.hpp"
#include "plugins/testing/readme.hpp"

namespace {

namespace fs = std::filesystem;
using mansio::store_directory::folder_of;
using mansio::store_directory::is_id;
using mansio::store_directory::outcome_text;
using mansio::store_directory::parse_outcome;
using mansio::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class StoreDirectory : public ::testing::Test {
 protected:
  StoreDirectory() {
    auto pattern = (fs::temp_directory_path() / "mansio-store.XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~StoreDirectory() override {
    std::error_code ignored;
    for (fs::recursive_directory_iterator i{directory_, ignored}, end; !ignored && i != end; i.increment(ignored))
      fs::permissions(i->path(), fs::perms::owner_all, fs::perm_options::add, ignored);
    fs::remove_all(directory_, ignored);
  }
  FakeHost::Options options() const { return {{"directory", directory_}}; }
  std::string path(const std::string &id, const std::string &ending) const {
    return directory_ + '/' + folder_of(id) + '/' + id + ending;
  }
  // All files in it, without their folders.
  std::vector<std::string> files() const {
    std::vector<std::string> out;
    for (const auto &entry : fs::recursive_directory_iterator{directory_})
      if (entry.is_regular_file()) out.push_back(entry.path().filename().string());
    return out;
  }
  static void write(const std::string &file, const std::string &text) { std::ofstream{file} << text; }
  static void age(const std::string &file, int seconds) {
    const timespec times[2] = {{std::time(nullptr) - seconds, 0}, {std::time(nullptr) - seconds, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), times, 0), 0);
  }
  // All pages.
  static std::vector<std::string> ids(FakeHost &host, std::uint32_t most) {
    std::vector<std::string> all;
    std::string cursor;
    do {
      const auto page = host.scan({.cursor = cursor, .max = most});
      EXPECT_EQ(page.status, MANSIO_OK) << page.text;
      EXPECT_LE(page.values.size(), most + 1u);
      EXPECT_TRUE(page.values[0].empty() || page.values[0] != cursor);
      all.insert(all.end(), page.values.begin() + 1, page.values.end());
      cursor = page.values[0];
    } while (!cursor.empty());
    return all;
  }

  std::string directory_;
};

TEST_F(StoreDirectory, KeepsEachMessageInAFileOfItsOwn) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  const std::string large(300'000, 'x');
  EXPECT_EQ(host.commit("A-1", std::string{"envelope\0body\r\n", 15}).status, MANSIO_OK);
  EXPECT_EQ(host.commit("A-2", large).status, MANSIO_OK);
  EXPECT_EQ(host.commit("A-3", "").status, MANSIO_OK);
  EXPECT_THAT(files(), UnorderedElementsAre("A-1.mail", "A-2.mail", "A-3.mail"));
  std::ifstream in{path("A-1", ".mail"), std::ios::binary};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  EXPECT_EQ(text, (std::string{"envelope\0body\r\n", 15}));
  EXPECT_THAT(host.read({.id = "A-1", .offset = 9, .length = 4}).values, ElementsAre("body", ""));
  EXPECT_EQ(host.read({.id = "A-2"}).values.at(0), large);
  EXPECT_THAT(host.read({.id = "A-2", .offset = 299'999, .length = 10}).values, ElementsAre("x", ""));
  EXPECT_THAT(host.read({.id = "A-2", .offset = 300'000, .length = 10}).values, ElementsAre("", ""));
  EXPECT_EQ(host.read({.id = "A-4"}).status, MANSIO_NOT_FOUND);
  EXPECT_EQ(host.metric("kept"), 3);
  EXPECT_THAT(host.faults, IsEmpty());
}

TEST_F(StoreDirectory, KeepsTheNewestOutcomeAndForgetsAllWithTheLast) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  ASSERT_EQ(host.commit("A-1", "mail").status, MANSIO_OK);
  for (const auto &[sequence, record] : {std::pair{3u, "three"}, {2u, "two"}, {3u, "again"}})
    EXPECT_EQ(host.outcome({.id = "A-1", .sequence = sequence, .record = record}).status, MANSIO_OK);
  EXPECT_THAT(host.read({.id = "A-1"}).values, ElementsAre("mail", "three"));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(host.outcome({.id = "A-1", .last = true}).status, MANSIO_OK);
  EXPECT_EQ(host.read({.id = "A-1"}).status, MANSIO_NOT_FOUND);
  EXPECT_EQ(host.outcome({.id = "A-1", .sequence = 4, .record = "late"}).status, MANSIO_OK);
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(StoreDirectory, AMessageThatIsCommittedAgainHasNoOutcome) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  ASSERT_EQ(host.commit("A-1", "first").status, MANSIO_OK);
  ASSERT_EQ(host.outcome({.id = "A-1", .sequence = 3, .record = "three"}).status, MANSIO_OK);
  ASSERT_EQ(host.commit("A-1", "second").status, MANSIO_OK);
  EXPECT_THAT(host.read({.id = "A-1"}).values, ElementsAre("second", ""));
}

TEST_F(StoreDirectory, NamesAllThatItHasInPagesOfAnySizeAndGoesOnAfterARestart) {
  std::set<std::string> all;
  {
    FakeHost host{mansio_plugin_entry_1(), options()};
    EXPECT_THAT(host.scan().values, ElementsAre(""));
    for (int i = 0; i < 600; ++i) {
      const auto id = "SPOOL-" + std::to_string(i);
      ASSERT_EQ(host.commit(id, "x").status, MANSIO_OK);
      all.insert(id);
    }
    for (const std::uint32_t most : {1000u, 100u, 7u, 1u}) {
      const auto named = ids(host, most);
      EXPECT_EQ(named.size(), all.size()) << most;
      EXPECT_EQ(std::set(named.begin(), named.end()), all) << most;
    }
  }
  std::set<std::string> named;
  std::string cursor;
  do {
    FakeHost host{mansio_plugin_entry_1(), options()};
    const auto page = host.scan({.cursor = cursor, .max = 200});
    ASSERT_EQ(page.status, MANSIO_OK);
    named.insert(page.values.begin() + 1, page.values.end());
    cursor = page.values[0];
  } while (!cursor.empty());
  EXPECT_EQ(named, all);
}

TEST_F(StoreDirectory, WhatIsRemovedBetweenPagesHidesNothingElse) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  std::set<std::string> all;
  for (int i = 0; i < 300; ++i) {
    const auto id = "S-" + std::to_string(i);
    ASSERT_EQ(host.commit(id, "x").status, MANSIO_OK);
    all.insert(id);
  }
  std::set<std::string> named;
  std::string cursor;
  do {
    const auto page = host.scan({.cursor = cursor, .max = 10});
    for (std::size_t i = 1; i < page.values.size(); ++i) {
      EXPECT_TRUE(named.insert(page.values[i]).second);
      ASSERT_EQ(host.outcome({.id = page.values[i], .last = true}).status, MANSIO_OK);
    }
    cursor = page.values[0];
  } while (!cursor.empty());
  EXPECT_EQ(named, all);
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(StoreDirectory, ACursorThatNobodyGaveIsRefused) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  for (const auto *cursor : {"x", "zz/", "00", "00/../..", "100/a", "00/a b"})
    EXPECT_EQ(host.scan({.cursor = cursor}).status, MANSIO_DEFER) << cursor;
}

TEST_F(StoreDirectory, NoIdLeadsOutOfIt) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  for (const std::string id : {"", "../x", "a/b", ".", "a.mail", "a b"}) {
    EXPECT_FALSE(is_id(id));
    EXPECT_EQ(host.commit(id, "x").status, MANSIO_DEFER) << id;
    EXPECT_EQ(host.outcome({.id = id, .last = true}).status, MANSIO_DEFER) << id;
    EXPECT_EQ(host.read({.id = id}).status, MANSIO_DEFER) << id;
  }
  EXPECT_FALSE(is_id(std::string(65, 'a')));
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(StoreDirectory, RemovesWhatACrashLeftOnceItIsOldAndNothingElse) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  ASSERT_EQ(host.commit("A-1", "x").status, MANSIO_OK);
  ASSERT_EQ(host.outcome({.id = "A-1", .sequence = 1, .record = "r"}).status, MANSIO_OK);
  const auto folder = directory_ + "/" + folder_of("A-1") + "/";
  for (const auto *name : {".A-2.mail", ".A-2.done", "A-3.done", "notes.txt", ".hidden"}) write(folder + name, "x");
  for (const auto *name : {".A-2.mail", "A-3.done", "notes.txt", ".hidden", "A-1.done", "A-1.mail"})
    age(folder + name, 2 * 3600);
  EXPECT_THAT(ids(host, 1000), ElementsAre("A-1"));
  EXPECT_THAT(files(), UnorderedElementsAre("A-1.mail", "A-1.done", ".A-2.done", "notes.txt", ".hidden"));
}

TEST_F(StoreDirectory, AnOutcomeThatWasCutShortIsNone) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  ASSERT_EQ(host.commit("A-1", "mail").status, MANSIO_OK);
  write(path("A-1", ".done"), outcome_text(5, "record").substr(0, 14));
  EXPECT_THAT(host.read({.id = "A-1"}).values, ElementsAre("mail", ""));
  EXPECT_EQ(host.outcome({.id = "A-1", .sequence = 1, .record = "one"}).status, MANSIO_OK);
  EXPECT_THAT(host.read({.id = "A-1"}).values, ElementsAre("mail", "one"));
}

TEST_F(StoreDirectory, WhatCannotBeWrittenIsNotKeptAndLeavesNothing) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  const auto folder = directory_ + "/" + folder_of("A-1");
  fs::remove(folder);
  write(folder, "a file in its place");
  const auto reply = host.commit("A-1", "x");
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_THAT(reply.text, HasSubstr("Not a directory"));
  EXPECT_EQ(host.scan({.cursor = folder_of("A-1") + "/"}).status, MANSIO_DEFER);
  fs::remove(folder);
  fs::create_directory(folder);
  EXPECT_EQ(host.commit("A-1", "x").status, MANSIO_OK);
}

TEST_F(StoreDirectory, APipeInTheFilesPlaceHoldsUpNothing) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  for (const auto *name : {"/.A-1.mail", "/A-1.done"})
    ASSERT_EQ(::mkfifo((directory_ + "/" + folder_of("A-1") + name).c_str(), 0600), 0);
  EXPECT_EQ(host.commit("A-1", "x").status, MANSIO_DEFER);
  EXPECT_EQ(host.read({.id = "A-1"}).status, MANSIO_NOT_FOUND);
}

TEST_F(StoreDirectory, RefusesADirectoryThatCannotBeUsed) {
  EXPECT_THAT(FakeHost::check(mansio_plugin_entry_1(), {{"directory", "copies"}}), HasSubstr("expected an absolute"));
  EXPECT_THAT(FakeHost::check(mansio_plugin_entry_1(), {{"directory", "/a/b"}, {"mount_point", "/a/bc"}}),
              HasSubstr("mount_point is /a/bc, expected the directory or one that it lies in"));
  EXPECT_EQ(FakeHost::check(mansio_plugin_entry_1(), {{"directory", "/a/b"}, {"mount_point", "/a"}}), "");
  EXPECT_THROW((FakeHost{mansio_plugin_entry_1(), {{"directory", directory_ + "/none"}}}), std::runtime_error);
  EXPECT_THROW((FakeHost{mansio_plugin_entry_1(), {{"directory", directory_}, {"mount_point", directory_}}}),
               std::runtime_error);
  EXPECT_NO_THROW((FakeHost{mansio_plugin_entry_1(), {{"directory", directory_}, {"mount_point", "/"}}}));
}

TEST(OutcomeFile, ComesBackAndIsNotBelievedInPart) {
  const std::string record{"\0record\n", 8};
  const auto text = outcome_text(18446744073709551615ull, record);
  const auto read = parse_outcome(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->sequence, 18446744073709551615ull);
  EXPECT_EQ(read->record, record);
  for (std::size_t n = 0; n < text.size(); ++n) EXPECT_FALSE(parse_outcome(text.substr(0, n))) << n;
  for (const auto *other : {"", "outcome", "outcome 1\nx", "outcome 1 -1\n", "outcome  1 0\n", "outcome 1 1 \nx",
                            "outcome 18446744073709551616 0\n", "outcome 1 0\nx"})
    EXPECT_FALSE(parse_outcome(other)) << other;
  EXPECT_TRUE(parse_outcome("outcome 1 0\n"));
}

TEST(StoreDirectoryReadme, IsAsTheOptionsAre) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
