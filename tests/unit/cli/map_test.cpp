#include "kernel/cli/map.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace mansio::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;

struct Map : testing::Test {
  Map() { ::mkdtemp(directory.data()); }
  ~Map() override { std::filesystem::remove_all(directory); }
  std::string directory = (std::filesystem::temp_directory_path() / "mansio-map-XXXXXX").string();
  std::string path() const { return directory + "/table.lmdb"; }
};

TEST_F(Map, AnswersWithWhatItWasBuiltFrom) {
  const auto built = build_map("# c\nAlice bob,\n  carol\nexample.com smtp:[mx]\n", "table", path(), true);
  ASSERT_TRUE(built) << built.error().text;
  EXPECT_EQ(*built, 2u);
  const auto values = query_map(path(), {"ALICE", "example.com", "nobody", "", std::string(600, 'a')}, true);
  ASSERT_TRUE(values) << values.error().text;
  EXPECT_THAT(*values, ElementsAre(Optional(std::string{"bob,  carol"}), Optional(std::string{"smtp:[mx]"}),
                                   std::nullopt, std::nullopt, std::nullopt));
}

TEST_F(Map, MayTellCaseApart) {
  ASSERT_TRUE(build_map("Alice a\nalice b\n", "table", path(), false));
  EXPECT_THAT(query_map(path(), {"Alice", "alice", "ALICE"}, false).value(),
              ElementsAre(Optional(std::string{"a"}), Optional(std::string{"b"}), std::nullopt));
}

TEST_F(Map, HoldsAsManyEntriesAsThereAre) {
  std::string text;
  for (int i = 0; i < 50000; ++i) text += "user" + std::to_string(i) + "@example.com " + std::string(100, 'x') + "\n";
  const auto built = build_map(text, "table", path(), true);
  ASSERT_TRUE(built) << built.error().text;
  EXPECT_EQ(*built, 50000u);
  EXPECT_TRUE(query_map(path(), {"user49999@example.com"}, true)->at(0));
  // One value larger than a page, and many that just do not fit into one.
  ASSERT_TRUE(build_map("big " + std::string(3'000'000, 'y'), "table", path(), true));
  EXPECT_EQ(query_map(path(), {"big"}, true)->at(0)->size(), 3'000'000u);
}

TEST_F(Map, IsReplacedAsAWholeOrNotAtAll) {
  ASSERT_TRUE(build_map("a 1\n", "table", path(), true));
  const auto bad = build_map("a 2\nlonely\na 3\n" + std::string(600, 'k') + " 4\n", "/etc/table", path(), true);
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().text, HasSubstr("/etc/table:2: has no value"));
  EXPECT_THAT(bad.error().text, HasSubstr("/etc/table:3: has the key \"a\" once more"));
  EXPECT_THAT(bad.error().text, HasSubstr("/etc/table:4: has a key of 600 bytes"));
  EXPECT_THAT(query_map(path(), {"a"}, true).value(), ElementsAre(Optional(std::string{"1"})));
  ASSERT_TRUE(build_map("a 2\n", "table", path(), true));
  EXPECT_THAT(query_map(path(), {"a"}, true).value(), ElementsAre(Optional(std::string{"2"})));
  std::size_t files = 0;
  for ([[maybe_unused]] const auto &entry : std::filesystem::directory_iterator{directory}) ++files;
  EXPECT_EQ(files, 1u) << "nothing is left beside it";
}

TEST_F(Map, SaysWhatIsWrongWithAFileOrFolder) {
  EXPECT_FALSE(query_map(path(), {"a"}, true));
  EXPECT_FALSE(build_map("a 1\n", "table", directory + "/missing/table.lmdb", true));
}

}  // namespace
}  // namespace mansio::cli
