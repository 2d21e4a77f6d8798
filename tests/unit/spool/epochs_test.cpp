// The counter of epochs on the system's own files.
#include "kernel/spool/epochs.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "kernel/spool/segment.hpp"
#include "tests/support/fault_files.hpp"

namespace mansio::spool {
namespace {

TEST(Epochs, HaveRoomForBothSlotsFromTheBeginningSoThatAFullDiskStartsToo) {
  std::string directory = std::filesystem::temp_directory_path() / "epochs-XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  {
    const auto files = io::system_files();
    Epochs epochs;
    ASSERT_TRUE(epochs.open(*files, directory, 0).ok());
  }
  struct stat s {};
  ASSERT_EQ(::stat((directory + "/epoch").c_str(), &s), 0);
  EXPECT_GE(static_cast<std::uint64_t>(s.st_blocks) * 512, 2 * kPage);
  std::filesystem::remove_all(directory);
}

// A disk that fails for a while is no reason to begin anew: what was given out is on it.
TEST(Epochs, AreNotGivenWhileTheDiskDoesNotSayWhichAreOut) {
  test::FaultFiles disk;
  ASSERT_TRUE(disk.make_directory("/spool").ok());
  std::uint32_t last = 0;
  for (int lost = 0; lost < 2; ++lost) {
    Epochs epochs;
    ASSERT_TRUE(epochs.open(disk, "/spool", 1000).ok());
    last = *epochs.next();
    disk.flip("/spool/epoch", 0);
    disk.flip("/spool/epoch", kPage);
  }
  EXPECT_GT(last, 1u << 16);
  {
    Epochs epochs;
    ASSERT_TRUE(epochs.open(disk, "/spool", last).ok());
    last = *epochs.next();
  }
  disk.fail(test::Op::Read, "", 1, Status::Internal, true);
  {
    Epochs epochs;
    EXPECT_FALSE(epochs.open(disk, "/spool", 0).ok());
  }
  disk.heal();
  Epochs epochs;
  ASSERT_TRUE(epochs.open(disk, "/spool", 0).ok());
  EXPECT_GT(*epochs.next(), last);
}

}  // namespace
}  // namespace mansio::spool
