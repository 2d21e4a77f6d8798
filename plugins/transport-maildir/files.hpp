// Files: the system calls that write a message, so that a test can make each of them fail.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

namespace maildir {

// As the system calls are: -1 and errno on failure.
class Files {
 public:
  virtual ~Files() = default;
  virtual int mkdir(const std::string &path, mode_t mode);
  virtual int open(const std::string &path, int flags, mode_t mode);
  virtual ssize_t write(int fd, const char *from, std::size_t n);
  virtual int chmod(int fd, mode_t mode);
  virtual int sync(int fd);
  virtual int close(int fd);
  virtual int rename(const std::string &from, const std::string &to);
  virtual int unlink(const std::string &path);
};

}  // namespace maildir
