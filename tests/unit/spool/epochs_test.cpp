// The counter of epochs on the system's own files.
#include "kernel/spool/epochs.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "kernel/spool/segment.hpp"

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

}  // namespace
}  // namespace mansio::spool
