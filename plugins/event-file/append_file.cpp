#include "append_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

namespace mansio::event_file {
namespace {

constexpr int kMostOfASecond = 1000;

std::string stamp(std::int64_t wall) {
  const auto seconds = static_cast<std::time_t>(wall / 1'000'000'000);
  std::tm t{};
  ::gmtime_r(&seconds, &t);
  char text[32] = "";
  std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &t);
  return text;
}

// 0, or why not (errno): EEXIST where `to` is there, which is never replaced, whoever else renames at that moment.
int rename_to_new(const std::string &from, const std::string &to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  if (::access(to.c_str(), F_OK) == 0) return EEXIST;  // a file system without it, such as NFS: nearly as good
  return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

// False: the file, of that size, ends in the middle of a line. True if that cannot be known.
bool ends_whole(const std::string &path, off_t size) {
  const int fd = size > 0 ? ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
  if (fd < 0) return true;
  char last = '\n';
  const auto n = ::pread(fd, &last, 1, size - 1);
  ::close(fd);
  return n != 1 || last == '\n';
}

}  // namespace

AppendFile::AppendFile(std::string path, mode_t mode, std::uint64_t max_size,
                       std::function<void(const std::string &)> warn)
    : path_(std::move(path)), mode_(mode), max_size_(max_size), warn_(std::move(warn)) {}

AppendFile::~AppendFile() { close(); }

void AppendFile::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

int AppendFile::open() {
  // Not blocking: of a pipe that nobody reads that is an error at once, not a hang.
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK;
  int fd = ::open(path_.c_str(), kFlags | O_CREAT | O_EXCL, mode_);
  if (fd >= 0)
    ::fchmod(fd, mode_);  // whatever the umask says
  else if (errno == EEXIST)
    fd = ::open(path_.c_str(), kFlags);
  if (fd < 0) return errno;
  struct stat s {};
  if (::fstat(fd, &s) != 0 || !S_ISREG(s.st_mode)) {
    ::close(fd);
    return EINVAL;
  }
  close();
  fd_ = fd;
  size_ = static_cast<std::uint64_t>(s.st_size);
  rotate_at_ = max_size_;
  torn_ = !ends_whole(path_, s.st_size);
  return 0;
}

bool AppendFile::is_ours() const {
  struct stat named {};
  struct stat held {};
  return fd_ >= 0 && ::stat(path_.c_str(), &named) == 0 && ::fstat(fd_, &held) == 0 && named.st_dev == held.st_dev &&
         named.st_ino == held.st_ino;
}

void AppendFile::look() {
  if (fd_ < 0 || !is_ours()) {
    open();  // if that fails, what is open goes on, and the next look tries again
    return;
  }
  struct stat s {};
  if (::fstat(fd_, &s) == 0) size_ = static_cast<std::uint64_t>(s.st_size);  // another process may add to it
}

// The file that the name means by then may be that of another process, which was here first.
void AppendFile::rotate(std::int64_t wall) {
  if (is_ours()) {
    const auto base = path_ + '.' + stamp(wall);
    auto name = base;
    int error = rename_to_new(path_, name);
    for (int n = 1; error == EEXIST && n < kMostOfASecond; ++n) {
      name = base + '-' + std::to_string(n);
      error = rename_to_new(path_, name);
    }
    if (error != 0 && error != ENOENT) {  // ENOENT: somebody else has just renamed it
      warn_(path_ + " cannot be renamed to " + name + ": " + std::strerror(error) + "; it grows on");
      rotate_at_ = size_ + max_size_;
      return;
    }
    if (error == 0) ++rotations_;
  }
  if (const int error = open(); error != 0) {
    warn_(path_ + " cannot be opened anew: " + std::strerror(error) + "; the file before it grows on");
    rotate_at_ = size_ + max_size_;
  }
}

int AppendFile::append(std::string_view line, std::int64_t wall) {
  if (fd_ < 0)
    if (const int error = open(); error != 0) return error;
  if (rotate_at_ != 0 && size_ > 0 && size_ + line.size() > rotate_at_) rotate(wall);
  std::string whole;
  if (torn_) {  // what there is of the last line stays a line of its own
    whole = '\n' + std::string{line};
    line = whole;
  }
  while (!line.empty()) {
    const auto n = ::write(fd_, line.data(), line.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : EIO;
    torn_ = line[static_cast<std::size_t>(n) - 1] != '\n';
    size_ += static_cast<std::uint64_t>(n);
    line.remove_prefix(static_cast<std::size_t>(n));
  }
  return 0;
}

}  // namespace mansio::event_file
