// What the supervisor does in the file system on behalf of its children, who may not be allowed to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/base/result.hpp"
#include "kernel/io/fd.hpp"

namespace mansio::supervisor {

struct FileAnswer {
  io::UniqueFd fd;
  int error = 0;  // errno
};
// For reading. Only regular files: opening a FIFO or a device as root on a child's word could hang or do harm.
FileAnswer open_regular(const std::string &path);

struct GlobAnswer {
  std::vector<std::string> paths;  // sorted
  int error = 0;
};
GlobAnswer glob_paths(const std::string &pattern);

// The log file: appended to, made if missing, readable by owner and group. Where its reader may stand still (a pipe, a
// terminal) writing does not wait, if that can be had; a named pipe that nobody reads is refused.
Result<io::UniqueFd> open_log(const std::string &target);

// Makes the spool directory (and those above it) and gives it to its user. An existing one keeps its mode, but must
// belong to the user: somebody else's directory is refused.
Result<void> make_spool(const std::string &path, std::int64_t uid, std::int64_t gid);

// Held as long as the supervisor lives; says who holds it otherwise.
Result<io::UniqueFd> lock_instance(const std::string &spool);

}  // namespace mansio::supervisor
