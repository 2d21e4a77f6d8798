#include "tests/tools/cut_disk.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace mansio::test {
namespace {

namespace fs = std::filesystem;

std::string parent_of(const std::string &path) {
  const auto slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

[[noreturn]] void give_up(const std::string &what) { throw std::system_error(errno, std::generic_category(), what); }

void set_owner(const std::string &path, const Entry &entry) {
  if (::lchown(path.c_str(), entry.uid, entry.gid) != 0) give_up(path);
  if (::chmod(path.c_str(), entry.mode & 07777) != 0) give_up(path);
}

}  // namespace

CutDisk::CutDisk(std::string platter) : platter_(std::move(platter)) {}

void CutDisk::load() {
  const auto take = [this](const std::string &path) {
    const auto real = platter_ + path;
    struct stat s {};
    if (::lstat(real.c_str(), &s) != 0) give_up(real);
    entries_[path] = {s.st_mode, s.st_uid, s.st_gid};
    if (!S_ISREG(s.st_mode)) return;
    std::ifstream in{real, std::ios::binary};
    const std::string bytes{std::istreambuf_iterator<char>{in}, {}};
    auto file = files_.open(path, io::OpenMode::Create);
    if (!file || !(*file)->write_at(0, bytes) || !(*file)->data_sync()) give_up(real);
  };
  take("/");
  for (const auto &entry : fs::recursive_directory_iterator{platter_})
    take(entry.path().string().substr(platter_.size()));
  for (const auto &[path, entry] : entries_) {
    // The disk's own paths have no trailing slash: the root's is empty.
    if (S_ISDIR(entry.mode)) (void)files_.sync_directory(path == "/" ? "" : path);
  }
}

void CutDisk::save(std::uint64_t seed) {
  const auto left = files_.power_cut(seed);
  const std::lock_guard lock{mutex_};
  for (const auto &entry : fs::directory_iterator{platter_}) fs::remove_all(entry.path());
  for (const auto &[path, entry] : entries_) {
    const auto real = platter_ + path;
    if (S_ISREG(entry.mode)) continue;
    const int rc = S_ISDIR(entry.mode) ? ::mkdir(real.c_str(), 0700) : ::mknod(real.c_str(), entry.mode, 0);
    if (rc != 0 && path != "/") give_up(real);
    set_owner(real, entry);
  }
  for (const auto &path : left->paths("/")) {
    const auto real = platter_ + path;
    std::ofstream{real, std::ios::binary} << left->content(path);
    // A name that comes back after its removal is its directory's owner's.
    const auto known = entries_.find(path);
    auto entry = known != entries_.end() ? known->second : entries_.at(parent_of(path));
    if (known == entries_.end()) entry.mode = 0600;
    set_owner(real, entry);
  }
}

int CutDisk::check(const Result<void> &result) {
  if (result) return 0;
  if (files_.dead()) {
    off_ = true;
    return -EIO;
  }
  return result.error().status == Status::NotFound ? -ENOENT : result.error().status == Status::Busy ? -ENOSPC : -EIO;
}

int CutDisk::find(const std::string &path, Entry &entry) {
  const std::lock_guard lock{mutex_};
  if (off_) return -EIO;
  const auto i = entries_.find(path);
  if (i == entries_.end()) return -ENOENT;
  entry = i->second;
  return 0;
}

int CutDisk::size(const std::string &path, std::uint64_t &bytes) {
  std::unique_ptr<io::File> file;
  if (const int rc = open(path, nullptr, file); rc != 0) return rc;
  const auto size = file->size();
  if (size) bytes = *size;
  return size ? 0 : check(size.error());
}

int CutDisk::make(const std::string &path, const Entry &entry) {
  const std::lock_guard lock{mutex_};
  if (off_) return -EIO;
  return entries_.emplace(path, entry).second ? 0 : -EEXIST;
}

int CutDisk::open(const std::string &path, const Entry *create, std::unique_ptr<io::File> &file) {
  const std::lock_guard lock{mutex_};
  auto opened = files_.open(path, create ? io::OpenMode::Create : io::OpenMode::ReadWrite);
  if (!opened) return check(opened.error());
  if (create) entries_[path] = *create;
  file = std::move(*opened);
  return 0;
}

int CutDisk::remove(const std::string &path) {
  const std::lock_guard lock{mutex_};
  const auto i = entries_.find(path);
  if (i == entries_.end()) return -ENOENT;
  if (S_ISREG(i->second.mode)) {
    if (const int rc = check(files_.remove(path)); rc != 0) return rc;
  }
  if (off_) return -EIO;
  entries_.erase(i);
  return 0;
}

int CutDisk::rename(const std::string &from, const std::string &to) {
  const std::lock_guard lock{mutex_};
  const auto i = entries_.find(from);
  if (i == entries_.end()) return -ENOENT;
  if (!S_ISREG(i->second.mode)) return -ENOTSUP;
  if (const int rc = check(files_.rename(from, to)); rc != 0) return rc;
  entries_[to] = i->second;
  entries_.erase(i);
  return 0;
}

int CutDisk::change(const std::string &path, const Entry &entry) {
  const std::lock_guard lock{mutex_};
  if (off_) return -EIO;
  const auto i = entries_.find(path);
  if (i == entries_.end()) return -ENOENT;
  i->second = entry;
  return 0;
}

int CutDisk::list(const std::string &path, std::vector<std::string> &names) {
  const std::lock_guard lock{mutex_};
  if (off_) return -EIO;
  for (const auto &[child, entry] : entries_) {
    if (child != "/" && parent_of(child) == path) names.push_back(name_of(child));
  }
  return 0;
}

int CutDisk::sync_directory(const std::string &path) { return check(files_.sync_directory(path == "/" ? "" : path)); }

}  // namespace mansio::test
