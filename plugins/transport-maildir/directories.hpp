// Directories: makes those that a mailbox needs, and has their names on stable storage before anything is put below
// them. Of one that is there already nobody knows whether whoever made it could sync its name: another thread may be
// about to, a process may have died over it, or the sync failed. So each is synced once by us, too, and remembered.
// Blocks; any thread.
#pragma once

#include <mutex>
#include <string>
#include <unordered_set>

#include "files.hpp"

namespace maildir {

class Directories {
 public:
  // Like mkdir -p with mode 0700; false and errno when `path` cannot be made, or its name not synced.
  bool make(Files &files, const std::string &path);

 private:
  bool known(const std::string &path);
  void remember(const std::string &path);

  std::mutex mutex_;
  std::unordered_set<std::string> known_;
};

bool sync_directory(Files &files, const std::string &path);  // false and errno

}  // namespace maildir
