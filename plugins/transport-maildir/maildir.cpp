#include "maildir.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string_view>
#include <utility>
#include <vector>

#include "quota.hpp"

namespace maildir {
namespace {

constexpr std::size_t kBuffer = 64 * 1024;

class Fd {
 public:
  Fd(Files &files, int fd) : files_(files), fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) files_.close(fd_);
  }
  Fd(const Fd &) = delete;
  Fd &operator=(const Fd &) = delete;
  int get() const { return fd_; }
  int close() { return files_.close(std::exchange(fd_, -1)); }

 private:
  Files &files_;
  int fd_;
};

Result failed(std::string what) { return {Outcome::SystemError, errno, std::move(what)}; }

bool is_directory(const std::string &path) {
  struct stat s {};
  return ::stat(path.c_str(), &s) == 0 && S_ISDIR(s.st_mode);
}

// Unique without looking: time, process, and 64 random bits, since threads and instances share the first two.
std::string unique_name(const std::string &host) {
  timeval now{};
  ::gettimeofday(&now, nullptr);
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random)
    random = static_cast<std::uint64_t>(now.tv_usec) << 32 | reinterpret_cast<std::uintptr_t>(&now);
  char head[96];
  std::snprintf(head, sizeof head, "%lld.M%06ldP%ldR%016llx.", static_cast<long long>(now.tv_sec),
                static_cast<long>(now.tv_usec), static_cast<long>(::getpid()), static_cast<unsigned long long>(random));
  std::string name = head;
  for (const char c : host) {
    if (c == '/')
      name += "\\057";
    else if (c == ':')
      name += "\\072";
    else
      name += c;
  }
  return name;
}

bool write_all(Files &files, int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = files.write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

// Lines of the file end in LF alone. Returns the file's size, or -1 with `unreadable` or errno.
std::int64_t write_message(Files &files, int fd, const Message &message, bool &unreadable) {
  if (!write_all(files, fd, message.headers)) return -1;
  auto total = static_cast<std::int64_t>(message.headers.size());
  std::vector<char> in(kBuffer);
  std::string out;
  bool cr = false;  // read, not written: is LF next?
  char last = '\n';
  for (std::uint64_t at = 0; at < message.length;) {
    const auto n = message.read(at, in.data(), std::min<std::uint64_t>(in.size(), message.length - at));
    if (n <= 0) {
      unreadable = true;
      return -1;
    }
    at += static_cast<std::uint64_t>(n);
    out.clear();
    for (std::int64_t i = 0; i < n; ++i) {
      const char c = in[static_cast<std::size_t>(i)];
      if (cr && c != '\n') out += '\r';
      cr = c == '\r';
      if (!cr) out += c;
    }
    if (!out.empty()) last = out.back();
    if (!write_all(files, fd, out)) return -1;
    total += static_cast<std::int64_t>(out.size());
  }
  std::string end = cr ? "\r" : "";
  if (cr || last != '\n') end += '\n';
  return write_all(files, fd, end) ? total + static_cast<std::int64_t>(end.size()) : -1;
}

}  // namespace

Result deliver(const Folder &folder, const Message &message, Directories &directories) {
  Files files;
  return deliver(folder, message, directories, files);
}

Result deliver(const Folder &folder, const Message &message, Directories &directories, Files &files) {
  const auto tmp = folder.path + "/tmp", fresh = folder.path + "/new";
  if (!folder.create && !is_directory(folder.path)) return {Outcome::NoMailbox, 0, folder.path};
  for (const auto &directory : {tmp, fresh, folder.path + "/cur"})
    if (!directories.make(files, directory)) return failed("create " + directory);
  if (folder.quota > 0 && maildir_size(folder.path) + message.headers.size() + message.length > folder.quota)
    return {Outcome::OverQuota, 0, folder.path};

  const auto name = unique_name(folder.host);
  const auto draft = tmp + "/" + name;
  Fd fd{files, files.open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, folder.mode)};
  if (fd.get() < 0) return failed("create " + draft);
  const auto give_up = [&](Result result, const std::string &path) {
    files.unlink(path);
    return result;
  };
  bool unreadable = false;
  const auto size = write_message(files, fd.get(), message, unreadable);
  if (unreadable) return give_up({Outcome::Unreadable, 0, "read the message"}, draft);
  if (size < 0 || files.chmod(fd.get(), folder.mode) != 0) return give_up(failed("write " + draft), draft);
  // NFS and quotas speak up at the sync or the close.
  if (files.sync(fd.get()) != 0 || fd.close() != 0) return give_up(failed("sync " + draft), draft);
  const auto final = fresh + "/" + name + ",S=" + std::to_string(size);
  if (files.rename(draft, final) != 0) return give_up(failed("rename into " + fresh), draft);
  if (!sync_directory(files, fresh)) return give_up(failed("sync " + fresh), final);
  return {};
}

}  // namespace maildir
