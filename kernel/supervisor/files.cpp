#include "kernel/supervisor/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <glob.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

namespace mansio::supervisor {
namespace {

Error failed(const std::string &path) { return {Status::Fail, path + ": " + std::strerror(errno)}; }

}  // namespace

FileAnswer open_regular(const std::string &path) {
  io::UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  if (!fd) return {{}, errno};
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return {{}, errno};
  if (S_ISDIR(st.st_mode)) return {{}, EISDIR};
  if (!S_ISREG(st.st_mode)) return {{}, EINVAL};
  return {std::move(fd), 0};
}

GlobAnswer glob_paths(const std::string &pattern) {
  glob_t found{};
  // A directory that is not there holds nothing; one that cannot be read may hold what matters. As direct_files().
  static thread_local int trouble;
  trouble = 0;
  const int rc = ::glob(
      pattern.c_str(), GLOB_NOSORT,
      [](const char *, int error) {
        if (error == ENOENT || error == ENOTDIR) return 0;
        trouble = error;
        return 1;
      },
      &found);
  GlobAnswer answer;
  if (rc == 0) {
    answer.paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    std::sort(answer.paths.begin(), answer.paths.end());  // by byte, whatever the locale
  } else if (rc != GLOB_NOMATCH) {
    answer.error = rc == GLOB_NOSPACE ? ENOMEM : trouble != 0 ? trouble : EIO;
  }
  ::globfree(&found);
  return answer;
}

Result<io::UniqueFd> open_log(const std::string &target) {
  if (target == "stderr" || target == "syslog") {
    // Opened anew where that can be: O_NONBLOCK on a copy would hold for everybody who has the same stderr.
    struct stat st {};
    if (::fstat(STDERR_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))) {
      const auto own = fmt::format("/proc/self/fd/{}", STDERR_FILENO);
      io::UniqueFd fd{::open(own.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)};
      if (fd) return fd;
    }
    io::UniqueFd copy{::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)};
    if (!copy) copy.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    if (!copy) return failed("stderr");
    return copy;
  }
  io::UniqueFd fd{::open(target.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0640)};
  if (!fd) return failed(target);
  return fd;
}

Result<void> make_spool(const std::string &path, std::int64_t uid, std::int64_t gid) {
  const std::filesystem::path spool{path};
  std::error_code e;
  std::vector<std::filesystem::path> missing;  // the innermost first
  for (auto p = spool; !p.empty() && !std::filesystem::exists(p, e) && p != p.parent_path(); p = p.parent_path())
    missing.push_back(p);
  e.clear();
  if (spool.has_parent_path()) std::filesystem::create_directories(spool.parent_path(), e);
  if (e) return Error{Status::Fail, spool.parent_path().string() + ": " + e.message()};
  const bool made = ::mkdir(path.c_str(), 0750) == 0;
  if (!made && errno != EEXIST) return failed(path);
  // What is in it is worth nothing if a power cut takes its name.
  for (const auto &p : missing) {
    const auto parent = p.has_parent_path() ? p.parent_path().string() : std::string{"."};
    const io::UniqueFd in{::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!in || ::fsync(in.get()) != 0) return failed(parent);
  }
  const io::UniqueFd directory{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!directory) return failed(path);
  struct stat st {};
  if (::fstat(directory.get(), &st) != 0) return failed(path);
  if (::geteuid() == 0 && uid >= 0) {
    // A directory that root made for us beforehand and that is still empty may be given away; other people's may not.
    const bool empty = std::filesystem::is_empty(spool, e) && !e;
    if (made || (empty && st.st_uid == 0)) {
      if (::fchown(directory.get(), static_cast<uid_t>(uid), static_cast<gid_t>(gid)) != 0) return failed(path);
    } else if (st.st_uid != static_cast<uid_t>(uid)) {
      return Error{Status::Fail,
                   fmt::format("{}: belongs to user {}, not to the user Mansio runs as ({}): chown it, or "
                               "choose another spool",
                               path, st.st_uid, uid)};
    }
  } else if (::access(path.c_str(), W_OK | X_OK) != 0) {
    return failed(path);
  }
  return {};
}

Result<io::UniqueFd> lock_instance(const std::string &spool) {
  const auto path = spool + "/supervisor.pid";
  io::UniqueFd fd{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644)};
  if (!fd) return failed(path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failed(path);
    char pid[32] = {};
    const auto n = ::pread(fd.get(), pid, sizeof pid - 1, 0);
    std::string holder{pid, n > 0 ? static_cast<std::size_t>(n) : 0};
    while (holder.ends_with('\n')) holder.pop_back();
    return Error{Status::Busy, fmt::format("{}: another Mansio (process {}) runs on this spool", spool, holder)};
  }
  const auto text = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), text.data(), text.size(), 0) < 0) return failed(path);
  return fd;
}

}  // namespace mansio::supervisor
