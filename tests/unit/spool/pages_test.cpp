// What sendfile() and splice() hand out are a file's pages themselves: who holds some of a segment, in a socket or a
// pipe, must not see there what the segment is filled with next. On the system's own files.
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "tests/unit/spool/spool_rig.hpp"

namespace mansio::spool {
namespace {

struct Directory {
  Directory() {
    std::string name = std::filesystem::current_path() / "pages-XXXXXX";  // not /tmp, which may be a tmpfs
    path = ::mkdtemp(name.data());
  }
  ~Directory() { std::filesystem::remove_all(path); }
  Directory(const Directory &) = delete;
  Directory &operator=(const Directory &) = delete;
  std::string path;
};

// A pipe that refers to a file's bytes.
struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    out.reset(ends[0]);
    in.reset(ends[1]);
  }
  void take(int fd, std::uint64_t offset, std::size_t n) {
    auto at = static_cast<off64_t>(offset);
    EXPECT_EQ(::splice(fd, &at, in.get(), nullptr, n, 0), static_cast<ssize_t>(n));
  }
  std::string drain(std::size_t n) {
    std::string bytes(n, '\0');
    EXPECT_EQ(::read(out.get(), bytes.data(), n), static_cast<ssize_t>(n));
    return bytes;
  }
  io::UniqueFd out, in;
};

TEST(Pages, AreForgottenUnlessAPipeStillHasSome) {
  Directory directory;
  const auto files = io::system_files();
  auto file = files->open(directory.path + "/file", io::OpenMode::Create);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->zero_fill(0, 1 << 20).ok());
  ASSERT_TRUE((*file)->write_at(300000, "hello").ok());
  ASSERT_TRUE((*file)->data_sync().ok());
  Pipe pipe;
  {
    const auto fd = (*file)->duplicate(true);
    ASSERT_TRUE(fd.ok());
    pipe.take(fd->get(), 300000, 5);
  }
  const auto held = (*file)->forget_pages();
  ASSERT_TRUE(held.ok()) << held.error().text;
  EXPECT_FALSE(*held);
  EXPECT_EQ(pipe.drain(5), "hello");
  struct statfs s {};
  ASSERT_EQ(::statfs(directory.path.c_str(), &s), 0);
  const auto forgotten = (*file)->forget_pages();
  ASSERT_TRUE(forgotten.ok()) << forgotten.error().text;
  EXPECT_EQ(*forgotten, s.f_type != TMPFS_MAGIC);  // there, memory is all that a file is
}

TEST(Pages, SegmentOfWhichAPipeHasBytesIsNotFilledAnew) {
  Directory directory;
  const auto files = io::system_files();
  auto options = Rig::small();
  options.directory = directory.path + "/spool";
  options.spare_segments = 0;
  std::filesystem::create_directory(options.directory);
  Rig rig{*files, options};
  rig.open_writer();
  const auto r = rig.wait(rig.send("hello"));
  ASSERT_TRUE(r.ok());
  rig.store->admit(*r);
  Pipe pipe;
  {
    const auto fd = rig.store->open_for_reading(r->body.segment, r->body.epoch);
    ASSERT_TRUE(fd.ok());
    pipe.take(fd->get(), r->body.offset, r->body.length);
  }
  rig.done(*r);
  rig.writer->close();
  ASSERT_TRUE(rig.run_until([&] { return rig.store->usage().free_segments == rig.granted(); }));
  rig.open_writer();
  const auto next = rig.wait(rig.send("other"));
  ASSERT_TRUE(next.ok());
  EXPECT_NE(next->body.segment, r->body.segment);  // though it is the first in the list
  EXPECT_TRUE(rig.sink.said("segment not filled anew"));
  EXPECT_EQ(pipe.drain(r->body.length), "Received: x\r\nhello");
}

TEST(Pages, SegmentThatNobodyHasBytesOfIsFilledAnew) {
  Directory directory;
  const auto files = io::system_files();
  auto options = Rig::small();
  options.directory = directory.path + "/spool";
  options.spare_segments = 0;
  std::filesystem::create_directory(options.directory);
  Rig rig{*files, options};
  rig.open_writer();
  const auto r = rig.wait(rig.send("hello"));
  ASSERT_TRUE(r.ok());
  rig.store->admit(*r);
  rig.done(*r);
  rig.writer->close();
  ASSERT_TRUE(rig.run_until([&] { return rig.store->usage().free_segments == rig.granted(); }));
  rig.open_writer();
  const auto next = rig.wait(rig.send("other"));
  ASSERT_TRUE(next.ok());
  struct statfs s {};
  ASSERT_EQ(::statfs(directory.path.c_str(), &s), 0);
  EXPECT_EQ(next->body.segment == r->body.segment, s.f_type != TMPFS_MAGIC);
}

}  // namespace
}  // namespace mansio::spool
