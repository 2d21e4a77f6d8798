// The operating system's files: thin, complete (no short write escapes) and with the path in every error.
#include "kernel/io/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

namespace mansio::io {
namespace {

constexpr unsigned kZfsMagic = 0x2fc12fc1;
constexpr unsigned kBcachefsMagic = 0xca451a4e;

Error failure(std::string_view what, std::string_view path, int error = errno) {
  const auto status = error == ENOSPC || error == EDQUOT ? Status::Busy
                      : error == ENOENT                  ? Status::NotFound
                                                         : Status::Internal;
  return {status, fmt::format("{}: {}: {}", path, what, std::strerror(error)), {4, 3, 0}};
}

template <class Call>
auto retry(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

class SystemFile final : public File {
 public:
  SystemFile(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  Result<std::size_t> read_at(std::uint64_t offset, char *to, std::size_t n) override {
    std::size_t done = 0;
    while (done < n) {
      const auto got = retry([&] { return ::pread(fd_.get(), to + done, n - done, position(offset + done)); });
      if (got < 0) return failure("read", name_);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  Result<void> write_at(std::uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const auto put = retry([&] { return ::pwrite(fd_.get(), bytes.data(), bytes.size(), position(offset)); });
      if (put < 0) return failure("write", name_);
      offset += static_cast<std::uint64_t>(put);
      bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
  }

  Result<void> write_at(std::uint64_t offset, const std::vector<std::string_view> &pieces) override {
    std::vector<iovec> vectors;
    vectors.reserve(pieces.size());
    for (const auto piece : pieces) {
      if (!piece.empty()) vectors.push_back({const_cast<char *>(piece.data()), piece.size()});
    }
    for (std::size_t first = 0; first < vectors.size();) {
      const auto count = static_cast<int>(std::min<std::size_t>(vectors.size() - first, IOV_MAX));
      const auto put = retry([&] { return ::pwritev(fd_.get(), &vectors[first], count, position(offset)); });
      if (put < 0) return failure("write", name_);
      offset += static_cast<std::uint64_t>(put);
      for (auto left = static_cast<std::size_t>(put); left > 0;) {
        auto &v = vectors[first];
        const auto part = std::min(left, v.iov_len);
        v.iov_base = static_cast<char *>(v.iov_base) + part;
        v.iov_len -= part;
        left -= part;
        if (v.iov_len == 0) ++first;
      }
    }
    return {};
  }

  Result<void> data_sync() override {
    if (retry([&] { return ::fdatasync(fd_.get()); }) != 0) return failure("fdatasync", name_);
    return {};
  }

  Result<std::uint64_t> size() override {
    struct stat s {};
    if (::fstat(fd_.get(), &s) != 0) return failure("stat", name_);
    return static_cast<std::uint64_t>(s.st_size);
  }

  Result<void> zero_fill(std::uint64_t from, std::uint64_t to) override {
    // Written, not fallocate()d: unwritten extents would make each later sync journal their conversion.
    static constexpr std::array<char, 256 * 1024> kZeros{};
    while (from < to) {
      const auto part = std::min<std::uint64_t>(kZeros.size(), to - from);
      if (auto r = write_at(from, std::string_view{kZeros.data(), part}); !r) return r;
      from += part;
    }
    return {};
  }

  Result<void> truncate(std::uint64_t size) override {
    if (retry([&] { return ::ftruncate(fd_.get(), position(size)); }) != 0) return failure("truncate", name_);
    return {};
  }

  Result<UniqueFd> duplicate(bool read_only) override {
    auto fd = reopen(read_only ? O_RDONLY : O_RDWR);
    if (!fd) return failure("reopen", name_);
    if (retry([&] { return ::flock(fd.get(), LOCK_SH | LOCK_NB); }) != 0) return failure("lock", name_);
    return fd;
  }

  // The kernel does not drop a page to which anyone but itself refers. (No way to ask about those references is as
  // plain; and there is none at all to end them.)
  Result<bool> forget_pages() override {
    if (const int error = ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED); error != 0)
      return failure("fadvise", name_, error);
    const auto bytes = size();
    if (!bytes) return bytes.error();
    if (*bytes == 0) return true;
    void *map = ::mmap(nullptr, *bytes, PROT_READ, MAP_SHARED, fd_.get(), 0);
    if (map == MAP_FAILED) return failure("mmap", name_);
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> present((*bytes + page - 1) / page);
    const int rc = ::mincore(map, *bytes, present.data());
    const int error = errno;
    ::munmap(map, *bytes);
    if (rc != 0) return failure("mincore", name_, error);
    return std::none_of(present.begin(), present.end(), [](unsigned char p) { return (p & 1) != 0; });
  }

  Result<bool> shared() override {
    const auto fd = reopen(O_RDONLY);
    if (!fd) return failure("reopen", name_);
    if (retry([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) == 0) return false;
    if (errno == EWOULDBLOCK) return true;
    return failure("lock", name_);
  }

 private:
  static off_t position(std::uint64_t offset) { return static_cast<off_t>(offset); }

  // By /proc, or by name where /proc is out of reach (a sandbox): then only if the name still means this file.
  UniqueFd reopen(int flags) const {
    const auto link = fmt::format("/proc/self/fd/{}", fd_.get());
    UniqueFd fd{retry([&] { return ::open(link.c_str(), flags | O_CLOEXEC); })};
    if (fd) return fd;
    fd.reset(retry([&] { return ::open(name_.c_str(), flags | O_CLOEXEC); }));
    struct stat a {
    }, b{};
    if (fd &&
        (::fstat(fd_.get(), &a) != 0 || ::fstat(fd.get(), &b) != 0 || a.st_dev != b.st_dev || a.st_ino != b.st_ino)) {
      fd.reset();
      errno = ESTALE;
    }
    return fd;
  }

  UniqueFd fd_;
  std::string name_;
};

class SystemFiles final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string &path, OpenMode mode) override {
    int flags = O_CLOEXEC;
    switch (mode) {
      case OpenMode::Read:
        flags |= O_RDONLY;
        break;
      case OpenMode::ReadWrite:
        flags |= O_RDWR;
        break;
      case OpenMode::Create:
        flags |= O_RDWR | O_CREAT;
        break;
      case OpenMode::CreateExclusive:
        flags |= O_RDWR | O_CREAT | O_EXCL;
        break;
    }
    UniqueFd fd{retry([&] { return ::open(path.c_str(), flags, 0600); })};
    if (!fd) return failure("open", path);
    return std::unique_ptr<File>{std::make_unique<SystemFile>(std::move(fd), path)};
  }

  std::unique_ptr<File> adopt(UniqueFd fd, std::string name) override {
    return std::make_unique<SystemFile>(std::move(fd), std::move(name));
  }

  Result<void> rename(const std::string &from, const std::string &to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return failure("rename", from);
    return {};
  }

  Result<void> remove(const std::string &path) override {
    if (::unlink(path.c_str()) != 0) return failure("remove", path);
    return {};
  }

  Result<void> make_directory(const std::string &path) override {
    if (::mkdir(path.c_str(), 0700) == 0) return {};
    const int error = errno;
    struct stat s {};
    if (error == EEXIST && ::stat(path.c_str(), &s) == 0 && S_ISDIR(s.st_mode)) return {};
    return failure("make directory", path, error);
  }

  Result<std::vector<std::string>> list(const std::string &directory) override {
    std::unique_ptr<DIR, int (*)(DIR *)> d{::opendir(directory.c_str()), &::closedir};
    if (!d) return failure("list", directory);
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const auto *entry = ::readdir(d.get());
      if (!entry) break;
      const std::string_view name{entry->d_name};
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return failure("list", directory);
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<void> sync_directory(const std::string &path) override {
    const UniqueFd fd{retry([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); })};
    if (!fd) return failure("open", path);
    if (retry([&] { return ::fsync(fd.get()); }) != 0) return failure("fsync", path);
    return {};
  }

  Result<Space> space(const std::string &path) override {
    struct statvfs s {};
    if (::statvfs(path.c_str(), &s) != 0) return failure("statvfs", path);
    return Space{static_cast<std::uint64_t>(s.f_bavail) * s.f_frsize,
                 static_cast<std::uint64_t>(s.f_blocks) * s.f_frsize};
  }

  Result<UniqueFd> lock(const std::string &path, std::string_view text) override {
    UniqueFd fd{retry([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); })};
    if (!fd) return failure("open", path);
    if (retry([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno != EWOULDBLOCK) return failure("lock", path);
      std::array<char, 256> holder{};
      const auto n = ::pread(fd.get(), holder.data(), holder.size(), 0);
      return Error{Status::Busy, std::string{holder.data(), n > 0 ? static_cast<std::size_t>(n) : 0}};
    }
    if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), text.data(), text.size(), 0) < 0)
      return failure("write", path);
    return fd;
  }

  bool copies_on_write(const std::string &path) override {
    struct statfs s {};
    if (::statfs(path.c_str(), &s) != 0) return false;
    const auto type = static_cast<unsigned>(s.f_type);
    return type == BTRFS_SUPER_MAGIC || type == kZfsMagic || type == kBcachefsMagic;
  }
};

}  // namespace

std::unique_ptr<FileSystem> system_files() { return std::make_unique<SystemFiles>(); }

}  // namespace mansio::io
