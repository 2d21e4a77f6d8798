// Files read directly, for `mansio check` and for a supervisor that needs no one's help to open them.
#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/config/parse.hpp"
#include "kernel/config/toml.hpp"
#include "kernel/io/fd.hpp"

namespace mansio::config {
namespace {

class DirectFiles final : public Files {
 public:
  Result<std::string> read(const std::string &path) override {
    // O_NONBLOCK: opening a FIFO must not wait for its writer.
    const io::UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (!fd) return failed();
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return failed();
    if (!S_ISREG(status.st_mode)) return Error{Status::BadConfig, "is not a regular file"};
    std::string out;
    char buffer[65536];
    while (true) {
      const auto n = ::read(fd.get(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed();
      if (n == 0) return out;
      out.append(buffer, static_cast<std::size_t>(n));
      if (out.size() > kMaxTomlText) return Error{Status::BadConfig, "is larger than 64 MiB"};
    }
  }

  Result<std::vector<std::string>> glob(const std::string &pattern) override {
    std::vector<std::string> out;
    glob_t found{};
    // A directory that is not there holds nothing; one that cannot be read may hold what matters.
    const int status = ::glob(
        pattern.c_str(), GLOB_NOSORT,
        [](const char *, int error) { return error == ENOENT || error == ENOTDIR ? 0 : 1; }, &found);
    for (std::size_t i = 0; i < found.gl_pathc; ++i) out.emplace_back(found.gl_pathv[i]);
    ::globfree(&found);
    if (status != 0 && status != GLOB_NOMATCH) return failed();
    std::sort(out.begin(), out.end());  // by byte, whatever the locale
    return out;
  }

 private:
  static Error failed() {
    return Error{errno == ENOENT ? Status::NotFound : Status::BadConfig,
                 std::string{"cannot be read: "} + std::strerror(errno)};  // NOLINT(concurrency-mt-unsafe)
  }
};

}  // namespace

std::unique_ptr<Files> direct_files() { return std::make_unique<DirectFiles>(); }

}  // namespace mansio::config
