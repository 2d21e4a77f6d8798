// The disk's measure: what it prints, and that it leaves nothing behind.
#include "kernel/cli/spool_bench.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace mansio::cli {
namespace {

TEST(SpoolBenchTest, PrintsALineForEachBatchSizeAndRemovesItsFile) {
  char name[] = "/tmp/mansio-bench-test-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  const std::filesystem::path directory{name};
  const auto files = io::system_files();
  std::string table;
  const auto r = bench_spool(*files, directory, {0.01, 1000}, [&](std::string_view line) { table += line; });
  ASSERT_TRUE(r.ok()) << r.error().text;
  for (const auto *line : {"one message a sync", "4 messages a sync", "256 messages a sync", "file not prepared"})
    EXPECT_NE(table.find(line), std::string::npos) << table;
  EXPECT_TRUE(std::filesystem::is_empty(directory));
  std::filesystem::remove_all(directory);
}

TEST(SpoolBenchTest, SaysWhichDirectoryItCannotWriteTo) {
  const auto files = io::system_files();
  const auto r = bench_spool(*files, "/nonexistent/spool", {}, [](std::string_view) {});
  ASSERT_FALSE(r.ok());
  EXPECT_NE(r.error().text.find("/nonexistent/spool"), std::string::npos);
}

}  // namespace
}  // namespace mansio::cli
