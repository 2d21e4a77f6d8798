// Loading a plugin: one of another ABI, without the entry, or that others may write is refused with the reason; so are
// options its table does not have.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "kernel/host/option_check.hpp"
#include "kernel/host/plugin.hpp"
#include "mansio/draft/build.h"

namespace mansio::host {
namespace {

using ::testing::HasSubstr;

std::string reason(const std::string &path) {
  const auto plugin = load_plugin(path);
  return plugin ? "loaded" : plugin.error().text;
}

TEST(LoadPlugin, TakesAPluginOfThisBuild) {
  const auto plugin = load_plugin(MANSIO_FIXTURES "/transport-odd.so");
  ASSERT_TRUE(plugin.ok()) << plugin.error().text;
  EXPECT_STREQ((*plugin)->name, "transport-odd");
}

TEST(LoadPlugin, RefusesOneThatNeedsALaterAbi) {
  EXPECT_THAT(reason(MANSIO_FIXTURES "/transport-foreign.so"), HasSubstr("needs ABI 1.1004, this Mansio has 1.4"));
}

TEST(LoadPlugin, TakesADraftOfThisBuildOnly) {
  const auto draft = load_plugin(MANSIO_FIXTURES "/filter-odd.so");
  ASSERT_TRUE(draft.ok()) << draft.error().text;
  EXPECT_TRUE(offers(**draft, kFilterKind));
  auto other = **draft;
  other.draft_build = MANSIO_DRAFT_BUILD + 1;
  EXPECT_THAT(check_entry("x.so", &other).error().text, HasSubstr("uses drafts of build"));
  other.draft_build = 0;
  EXPECT_THAT(check_entry("x.so", &other).error().text, HasSubstr("a draft, without a build"));
}

TEST(LoadPlugin, RefusesAFileWithoutTheEntry) {
  EXPECT_THAT(reason(MANSIO_FIXTURES "/no-entry.so"), HasSubstr("no symbol mansio_plugin_entry_1"));
}

TEST(LoadPlugin, RefusesWhatIsNoSharedObject) {
  EXPECT_THAT(reason("/etc/passwd"), HasSubstr("cannot be loaded"));
  EXPECT_THAT(reason("/nowhere/at/all.so"), HasSubstr("No such file"));
  EXPECT_THAT(reason("/tmp"), HasSubstr("not a regular file"));
}

TEST(LoadPlugin, RefusesAFileThatOthersMayWrite) {
  const auto copy = ::testing::TempDir() + "writable." + std::to_string(::getpid()) + ".so";
  std::filesystem::copy_file(MANSIO_FIXTURES "/transport-odd.so", copy,
                             std::filesystem::copy_options::overwrite_existing);
  ASSERT_EQ(::chmod(copy.c_str(), 0775), 0);
  EXPECT_THAT(reason(copy), HasSubstr("chmod go-w"));
  ASSERT_EQ(::chmod(copy.c_str(), 0755), 0);
  EXPECT_EQ(reason(copy), "loaded");
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(copy.c_str(), 12345, 0), 0);
    EXPECT_THAT(reason(copy), HasSubstr("owned by uid 12345"));
  }
  ::unlink(copy.c_str());
}

TEST(PluginOptions, AreTheTableOfThePlugin) {
  const auto plugin = load_plugin(MANSIO_FIXTURES "/transport-odd.so");
  ASSERT_TRUE(plugin.ok());
  const auto options = options_of(**plugin);
  ASSERT_EQ(options.size(), 4u);
  EXPECT_EQ(options[1].name, "limit");
  EXPECT_EQ(options[1].type, config::PluginOption::Type::Size);
  EXPECT_EQ(options[1].fallback, "1k");
  EXPECT_TRUE(options[2].required);
}

TEST(PluginOptions, AreCheckedAndGivenTheirDefaults) {
  const auto plugin = load_plugin(MANSIO_FIXTURES "/transport-odd.so");
  ASSERT_TRUE(plugin.ok());
  const auto fine = check_options(**plugin, {{"name", "n"}});
  ASSERT_TRUE(fine.ok()) << fine.error().text;
  EXPECT_EQ(fine->at("mode"), "polite");
  EXPECT_EQ(fine->at("limit"), "1024");
  const auto bad = check_options(**plugin, {{"limit", "much"}, {"colour", "red"}});
  ASSERT_FALSE(bad.ok());
  EXPECT_THAT(bad.error().text, HasSubstr("name is missing; transport-odd demands it"));
  EXPECT_THAT(bad.error().text, HasSubstr("limit is \"much\", expected a size"));
  EXPECT_THAT(bad.error().text, HasSubstr("colour is not an option of transport-odd, which has mode, limit, name"));
}

std::string judged(const OptionTexts &given) {
  const auto plugin = load_plugin(MANSIO_FIXTURES "/transport-odd.so");
  if (!plugin) return plugin.error().text;
  std::string out;
  for (const auto &problem : judge_options(**plugin, given, {})) out += to_string(problem) + '\n';
  return out;
}

TEST(PluginOptions, AreJudgedByThePluginWithoutAnInstance) {
  EXPECT_EQ(judged({{"name", "n"}}), "");
  EXPECT_EQ(judged({{"name", "n"}, {"mode", "picky"}, {"limit", "5"}}),
            "limit is 5, expected another\ndo not go together\n");
}

TEST(PluginOptions, OfAWrongTypeAreReportedOnceBesideWhatThePluginSaysOfTheOthers) {
  EXPECT_EQ(judged({{"name", "n"}, {"mode", "picky"}, {"limit", "x"}}).find("limit is 5"), std::string::npos);
  EXPECT_THAT(judged({{"name", "n"}, {"mode", "picky"}, {"limit", "x"}}), HasSubstr("do not go together"));
}

TEST(PluginOptions, AreNotJudgedByThePluginWhileOneThatItDemandsIsMissing) {
  EXPECT_EQ(judged({{"mode", "picky"}}), "name is missing; transport-odd demands it\n");
}

}  // namespace
}  // namespace mansio::host
