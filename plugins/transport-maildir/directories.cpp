#include "directories.hpp"

#include <fcntl.h>

#include <cerrno>

namespace maildir {
namespace {

constexpr std::size_t kRemembered = 100'000;  // then all are forgotten, which costs some syncs

std::string parent(const std::string &path) {
  const auto slash = path.find_last_of('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

// We may pass through directories that we may not read, and some file systems sync none.
bool not_ours_to_sync(int error) { return error == EACCES || error == EPERM || error == EINVAL; }

}  // namespace

bool sync_directory(Files &files, const std::string &path) {
  const int fd = files.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool synced = files.sync(fd) == 0;
  const int error = errno;
  files.close(fd);
  errno = error;
  return synced;
}

bool Directories::make(Files &files, const std::string &path) {
  const bool made = files.mkdir(path, 0700) == 0;
  if (!made && errno == ENOENT && path != "/") return make(files, parent(path)) && make(files, path);
  if (!made && errno != EEXIST) return false;
  if (!made && known(path)) return true;
  const auto above = parent(path);
  if (path != "/" && !known(above) && !make(files, above)) return false;
  if (!sync_directory(files, above) && (made || !not_ours_to_sync(errno))) return false;
  remember(path);
  return true;
}

bool Directories::known(const std::string &path) {
  const std::lock_guard lock{mutex_};
  return known_.contains(path);
}

void Directories::remember(const std::string &path) {
  const std::lock_guard lock{mutex_};
  if (known_.size() >= kRemembered) known_.clear();
  known_.insert(path);
}

}  // namespace maildir
