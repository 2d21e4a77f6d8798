// docs/configuration.md and examples/ agree with the option tables of the program.
#include "kernel/config/reference.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "kernel/config/parse.hpp"

namespace mansio::config {
namespace {

std::filesystem::path source_directory() { return std::filesystem::path{MANSIO_SOURCE_DIR}; }

TEST(Reference, TheDocumentIsWhatTheOptionTablesSay) {
  const auto path = source_directory() / "docs/configuration.md";
  if (std::getenv("MANSIO_WRITE_REFERENCE")) std::ofstream{path} << configuration_reference();
  std::ifstream in{path};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  EXPECT_EQ(text, configuration_reference()) << "write it anew: MANSIO_WRITE_REFERENCE=1 unit-config";
}

// At the table of its options, where that has a heading of its own.
TEST(Reference, LeadsToTheReadmeOfEachPlugin) {
  const auto reference = configuration_reference();
  std::size_t n = 0;
  for (const auto &entry : std::filesystem::directory_iterator{source_directory() / "plugins"}) {
    std::ifstream in{entry.path() / "README.md"};
    if (!in) continue;
    const std::string readme{std::istreambuf_iterator<char>{in}, {}};
    const auto *place = readme.find("\n## Options\n") == std::string::npos ? ")" : "#options)";
    const auto link = "(../plugins/" + entry.path().filename().string() + "/README.md" + place;
    EXPECT_NE(reference.find(link), std::string::npos) << link;
    ++n;
  }
  EXPECT_GE(n, 20u);
}

TEST(Examples, HaveNoProblems) {
  const auto files = direct_files();
  std::size_t n = 0;
  for (const auto &entry : std::filesystem::directory_iterator{source_directory() / "examples"}) {
    if (entry.path().extension() != ".toml") continue;
    const auto parsed = parse_settings(entry.path(), *files);
    for (const auto &problem : parsed.problems) ADD_FAILURE() << to_string(problem);
    EXPECT_TRUE(parse_snapshot(parsed.snapshot));
    ++n;
  }
  EXPECT_GE(n, 3u);
}

}  // namespace
}  // namespace mansio::config
