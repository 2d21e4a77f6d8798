#include "files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

namespace maildir {

int Files::mkdir(const std::string &path, mode_t mode) { return ::mkdir(path.c_str(), mode); }
int Files::open(const std::string &path, int flags, mode_t mode) { return ::open(path.c_str(), flags, mode); }
ssize_t Files::write(int fd, const char *from, std::size_t n) { return ::write(fd, from, n); }
int Files::chmod(int fd, mode_t mode) { return ::fchmod(fd, mode); }
int Files::sync(int fd) { return ::fsync(fd); }
int Files::close(int fd) { return ::close(fd); }
int Files::rename(const std::string &from, const std::string &to) { return ::rename(from.c_str(), to.c_str()); }
int Files::unlink(const std::string &path) { return ::unlink(path.c_str()); }

}  // namespace maildir
