// How files of the configuration are opened: in a certain order, and only regular files, so that a FIFO cannot hang a
// start.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "kernel/config/parse.hpp"

namespace mansio::config {
namespace {

class DirectFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = std::filesystem::temp_directory_path() / "mansio-config-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path directory_;
  std::unique_ptr<Files> files_ = direct_files();
};

TEST_F(DirectFilesTest, ReadsAndGlobsInOrder) {
  for (const auto *name : {"b.toml", "a.toml", "C.toml", "x.txt"}) std::ofstream{directory_ / name} << name;
  EXPECT_EQ(*files_->read(directory_ / "a.toml"), "a.toml");
  const auto found = files_->glob(directory_ / "*.toml");
  ASSERT_TRUE(found);
  EXPECT_THAT(*found, ::testing::ElementsAre(directory_ / "C.toml", directory_ / "a.toml", directory_ / "b.toml"));
  EXPECT_THAT(*files_->glob(directory_ / "*.none"), ::testing::IsEmpty());
}

TEST_F(DirectFilesTest, RefusesWhatIsNoFileWithoutWaitingForIt) {
  ASSERT_EQ(::mkfifo((directory_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(files_->read(directory_ / "fifo").error().text, "is not a regular file");
  EXPECT_FALSE(files_->read(directory_));
  EXPECT_FALSE(files_->read("/dev/zero"));
  EXPECT_EQ(files_->read(directory_ / "none").error().text, "cannot be read: No such file or directory");
}

}  // namespace
}  // namespace mansio::config
