// Tells whether the file behind a path is still the one that was read. Costs one stat(2), little enough for each
// lookup, and so a lookup never sees what was there before a change that came before it.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>

namespace mansio::lookup {

struct FileIdentity {
  std::uint64_t device = 0, inode = 0;

  bool operator==(const FileIdentity &) const = default;
  // Nothing: there is none, or it may not be looked at; errno says why.
  static std::optional<FileIdentity> of(const std::string &path) {
    struct stat s {};
    if (::stat(path.c_str(), &s) != 0) return std::nullopt;
    return FileIdentity{s.st_dev, s.st_ino};
  }
};

// The same, and whether it was written to.
struct FileVersion {
  FileIdentity file;
  std::int64_t size = 0, modified = 0, changed = 0;  // the times in ns

  bool operator==(const FileVersion &) const = default;
  static FileVersion of(const struct stat &s) {
    const auto ns = [](const timespec &t) { return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec; };
    return {{s.st_dev, s.st_ino}, s.st_size, ns(s.st_mtim), ns(s.st_ctim)};
  }
  static std::optional<FileVersion> of(const std::string &path) {
    struct stat s {};
    if (::stat(path.c_str(), &s) != 0) return std::nullopt;
    return of(s);
  }
};

}  // namespace mansio::lookup
