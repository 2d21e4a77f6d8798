// The system's files: all of a write or an error, whatever the kernel does in pieces; locks that live as long as a
// descriptor does, in whatever process; and errors that say which file and why.
#include "kernel/io/file.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

namespace mansio::io {
namespace {

class FileTest : public ::testing::Test {
 protected:
  FileTest() {
    std::string name = std::filesystem::temp_directory_path() / "file-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~FileTest() override { std::filesystem::remove_all(directory_); }
  std::string path(const std::string &name) const { return directory_ + "/" + name; }
  std::unique_ptr<File> create(const std::string &name) {
    auto file = files_->open(path(name), OpenMode::Create);
    EXPECT_TRUE(file.ok());
    return std::move(*file);
  }
  static std::string content(File &file) {
    std::string bytes(*file.size(), '\0');
    EXPECT_EQ(*file.read_at(0, bytes.data(), bytes.size()), bytes.size());
    return bytes;
  }

  std::string directory_;
  std::unique_ptr<FileSystem> files_ = system_files();
};

// The kernel writes what fits, and says so; the rest is an error of the next call.
TEST_F(FileTest, AShortWriteIsAnError) {
  const auto file = create("a");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  auto *handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit little{10000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &little), 0);
  const std::string bytes(16384, 'x');
  const auto whole = file->write_at(0, bytes);
  const auto pieces = file->write_at(0, std::vector<std::string_view>{bytes, bytes});
  const auto fits = file->write_at(0, std::string_view{bytes}.substr(0, 10000));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(whole.ok());
  EXPECT_EQ(whole.error().text, path("a") + ": write: File too large");
  EXPECT_FALSE(pieces.ok());
  EXPECT_TRUE(fits.ok());
  EXPECT_EQ(*file->size(), 10000u);
}

TEST_F(FileTest, MorePiecesThanACallTakesAreWrittenInOrder) {
  const auto file = create("a");
  std::vector<std::string> numbers;
  std::string all;
  for (int i = 0; i < 3000; ++i) all += numbers.emplace_back(std::to_string(i) + (i % 7 == 0 ? "" : ","));
  std::vector<std::string_view> pieces{""};
  for (const auto &n : numbers) pieces.insert(pieces.end(), {n, ""});
  ASSERT_TRUE(file->write_at(5, pieces).ok());
  EXPECT_EQ(content(*file), std::string(5, '\0') + all);
}

TEST_F(FileTest, ReadsLessAtTheEndOnly) {
  const auto file = create("a");
  ASSERT_TRUE(file->write_at(0, "hello").ok());
  char bytes[16];
  EXPECT_EQ(*file->read_at(2, bytes, sizeof bytes), 3u);
  EXPECT_EQ(*file->read_at(5, bytes, sizeof bytes), 0u);
}

TEST_F(FileTest, ZerosAreOnTheDiskNotJustInTheFilesSize) {
  const auto file = create("a");
  ASSERT_TRUE(file->zero_fill(4096, 1 << 20).ok());
  ASSERT_TRUE(file->data_sync().ok());
  struct stat s {};
  ASSERT_EQ(::stat(path("a").c_str(), &s), 0);
  EXPECT_EQ(s.st_size, 1 << 20);
  EXPECT_GE(s.st_blocks * 512, (1 << 20) - 4096);
}

TEST_F(FileTest, IsSharedForAsLongAsACopyOfADescriptorIsOpen) {
  const auto file = create("a");
  EXPECT_FALSE(*file->shared());
  auto given = file->duplicate(true);
  ASSERT_TRUE(given.ok());
  UniqueFd copy{::dup(given->get())};
  given->reset();
  EXPECT_TRUE(*file->shared());
  copy.reset();
  EXPECT_FALSE(*file->shared());
}

TEST_F(FileTest, ADescriptorToReadFromCannotBeWrittenTo) {
  const auto file = create("a");
  const auto reader = file->duplicate(true), writer = file->duplicate(false);
  ASSERT_TRUE(reader.ok() && writer.ok());
  EXPECT_EQ(::pwrite(reader->get(), "x", 1, 0), -1);
  EXPECT_EQ(::pwrite(writer->get(), "x", 1, 0), 1);
}

TEST_F(FileTest, ALockSaysWhoHoldsItAndEndsWithItsDescriptor) {
  auto held = files_->lock(path("lock"), "pid 17\n");
  ASSERT_TRUE(held.ok());
  const auto second = files_->lock(path("lock"), "pid 18\n");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().status, Status::Busy);
  EXPECT_EQ(second.error().text, "pid 17\n");
  held->reset();
  EXPECT_TRUE(files_->lock(path("lock"), "pid 18\n").ok());
}

TEST_F(FileTest, ErrorsNameTheFileAndTheReason) {
  const auto missing = files_->open(path("none"), OpenMode::Read);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().status, Status::NotFound);
  EXPECT_EQ(missing.error().text, path("none") + ": open: No such file or directory");
  create("a");
  EXPECT_FALSE(files_->open(path("a"), OpenMode::CreateExclusive).ok());
  EXPECT_EQ(files_->remove(path("none")).error().status, Status::NotFound);
  EXPECT_FALSE(files_->make_directory(path("a")).ok());
  EXPECT_TRUE(files_->make_directory(path("d")).ok());
  EXPECT_TRUE(files_->make_directory(path("d")).ok());
  EXPECT_TRUE(files_->rename(path("a"), path("d/b")).ok());
  EXPECT_TRUE(files_->sync_directory(path("d")).ok());
  EXPECT_EQ(*files_->list(directory_), std::vector<std::string>{"d"});
}

}  // namespace
}  // namespace mansio::io
