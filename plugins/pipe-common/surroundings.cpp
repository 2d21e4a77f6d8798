#include "plugins/pipe-common/surroundings.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "mansio/config.hpp"
#include "plugins/pipe-common/process.hpp"

namespace mansio::pipe {

using plugin::BadConfig;

std::vector<std::string> read_environment(const std::vector<std::string> &given) {
  std::vector<std::string> out;
  bool path = false;
  for (const auto &entry : given) {
    const auto equals = entry.find('=');
    if (entry.empty() || equals == 0)
      throw BadConfig{"environment", "holds \"" + entry + "\", expected NAME=VALUE, or NAME for Mansio's own"};
    if (equals == entry.npos) {
      if (const char *own = std::getenv(entry.c_str())) out.push_back(entry + '=' + own);
    } else {
      out.push_back(entry);
    }
    path = path || (!out.empty() && out.back().starts_with("PATH="));
  }
  if (!path) out.emplace_back("PATH=/usr/bin:/bin");
  return out;
}

void must_be_there(const char *option, const std::string &path, const std::string &root) {
  const Fd from{::open(root.empty() ? "/" : root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!from) return;
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT;
  const Fd found{static_cast<int>(::syscall(SYS_openat2, from.get(), path.c_str(), &how, sizeof how))};
  if (!found && errno == ENOENT) throw BadConfig{option, "names " + root + path + ", which is not there"};
}

std::string read_directory(const std::string &given, const std::string &root) {
  if (given.empty()) throw BadConfig{"directory", "is empty, expected an absolute path"};
  must_be_there("directory", given, root);
  return given;
}

}  // namespace mansio::pipe
