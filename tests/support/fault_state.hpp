// The inside of FaultFiles: what is cached, what is on the platter, and what is on its way.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support/disk_image.hpp"
#include "tests/support/fault_files.hpp"

namespace mansio::test {

// A write that is in the page cache only. Zeros of a preallocation are not stored.
struct Write {
  std::uint64_t offset, length;
  std::string bytes;  // empty: zeros
  std::uint64_t end() const { return offset + length; }
  void apply(DiskImage &to, std::uint64_t from, std::uint64_t until) const {
    if (bytes.empty())
      to.zero(from, until - from);
    else
      to.write(from, std::string_view{bytes}.substr(from - offset, until - from));
  }
  void apply(DiskImage &to) const { apply(to, offset, end()); }
};

enum class Keep { Nothing, All, SomeWrites, SomeSectors };

// Some sectors of a preallocation. It may be large, so they are chosen in a few runs and not one by one.
inline void settle_zeros(DiskImage &durable, const Write &w, std::mt19937_64 &random) {
  std::array<std::uint64_t, 5> ends;
  for (auto &end : ends) end = std::max(w.offset, (w.offset + random() % w.length) / kSector * kSector);
  ends.back() = w.end();
  std::sort(ends.begin(), ends.end());
  auto at = w.offset;
  for (const auto end : ends) {
    if (random() % 2 && end > at) w.apply(durable, at, end);
    at = end;
  }
}

// What of `pending` reaches the platter when nobody waits for it.
inline void settle(DiskImage &durable, const std::vector<Write> &pending, Keep keep, std::mt19937_64 &random) {
  for (const auto &w : pending) {
    if (keep == Keep::Nothing || (keep == Keep::SomeWrites && random() % 2)) continue;
    if (keep != Keep::SomeSectors) {
      w.apply(durable);
      continue;
    }
    if (w.bytes.empty()) {
      settle_zeros(durable, w, random);
      continue;
    }
    for (auto at = w.offset; at < w.end();) {
      const auto end = std::min((at / kSector + 1) * kSector, w.end());
      if (random() % 2) w.apply(durable, at, end);
      at = end;
    }
  }
}

// The content of a file. Its memfd holds no bytes: it is what descriptors and locks stand for, if there are any.
struct Inode {
  DiskImage cached, durable;
  std::vector<Write> pending;
  std::set<std::uint64_t> spoiled;  // sectors
  std::uint64_t errors = 0;         // of sync
  io::UniqueFd token;

  io::UniqueFd reopen(int lock) const {
    const auto link = "/proc/self/fd/" + std::to_string(token.get());
    io::UniqueFd fd{::open(link.c_str(), O_RDWR | O_CLOEXEC)};
    if (::flock(fd.get(), lock | LOCK_NB) != 0) return {};
    return fd;
  }
  bool readable(std::uint64_t offset, std::uint64_t n) const {
    const auto i = spoiled.lower_bound(offset / kSector);
    return n == 0 || i == spoiled.end() || *i > (offset + n - 1) / kSector;
  }
};
using Names = std::map<std::string, std::shared_ptr<Inode>>;

inline bool lies_in(const std::string &path, const std::string &directory) {
  return path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/';
}
inline std::string directory_of(const std::string &path) { return path.substr(0, path.rfind('/')); }

struct FaultFiles::State {
  mutable std::mutex mutex;
  Names names, durable;
  // Whose name is not stable before the directory that it is in was synced. (That of one in the root is.)
  std::set<std::string> directories, durable_directories;
  unsigned hold_pages = 0;
  // Changes of names since their directory was synced, in order. A journalling file system keeps the first of them;
  // others may keep any.
  struct Change {
    std::string directory;
    std::function<void(Names &)> apply;
  };
  std::vector<Change> changes;
  std::map<ino_t, std::weak_ptr<Inode>> inodes;  // of which a descriptor was given out
  std::uint64_t operations = 0, cut = 0, failures = 0;
  bool dead = false;
  std::uint64_t free = 1ull << 40, limit = 0;
  std::map<std::string, std::uint64_t> most;  // size of a file, by part of its path
  struct Rule {
    std::optional<Op> op;  // none: any call that changes something
    std::string part;
    std::uint64_t left;
    Status status;
    bool forever;
  };
  std::vector<Rule> rules;
  struct Moment {
    std::string part;
    std::uint64_t from = 0;
    std::function<void()> what;
  };
  std::optional<Moment> moment;
  std::vector<Unread> unread;
  std::map<std::string, std::array<std::uint64_t, kOps>> counts;
  mutable std::mt19937_64 random{1};

  // Runs before every call, with the lock held.
  Result<void> step(Op op, const std::string &path, bool changes_something) {
    if (dead) return off(path);
    ++counts[path][static_cast<std::size_t>(op)];
    if (changes_something && ++operations == cut) dead = true;
    for (auto &rule : rules) {
      if (rule.op ? rule.op != op : !changes_something) continue;
      if (rule.left == 0 || path.find(rule.part) == std::string::npos) continue;
      if (--rule.left > 0) continue;
      if (rule.forever) rule.left = 1;
      ++failures;
      return Error{rule.status, path + ": injected failure"};
    }
    return {};
  }
  // Before a read, without the lock held.
  void let_happen(const std::string &path, std::uint64_t offset) {
    std::optional<Moment> now;
    {
      const std::lock_guard lock{mutex};
      if (moment && offset >= moment->from && path.find(moment->part) != std::string::npos) now.swap(moment);
    }
    if (now) now->what();
  }
  std::uint64_t used() const {
    std::set<const Inode *> seen;  // a name may be that of another
    std::uint64_t sum = 0;
    for (const auto &[path, inode] : names)
      if (seen.insert(inode.get()).second) sum += inode->cached.size();
    return sum;
  }
  // How far a write may reach into a file that has this size now.
  std::uint64_t reach(const std::string &path, std::uint64_t size) const {
    auto out = UINT64_MAX;
    for (const auto &[part, bytes] : most)
      if (path.find(part) != std::string::npos) out = std::min(out, std::max(size, bytes));
    if (limit != 0) {
      const auto taken = used();
      out = std::min(out, size + (limit > taken ? limit - taken : 0));
    }
    return out;
  }
  Error off(const std::string &path) const { return {Status::Internal, path + ": power is off"}; }
  void change(const std::string &path, std::function<void(Names &)> apply) {
    apply(names);
    changes.push_back({directory_of(path), std::move(apply)});
  }
  io::UniqueFd reopen(const std::shared_ptr<Inode> &inode, int lock) {
    if (!inode->token) {
      inode->token.reset(::memfd_create("fault", MFD_CLOEXEC));
      struct stat s {};
      ::fstat(inode->token.get(), &s);
      inodes[s.st_ino] = inode;
    }
    return inode->reopen(lock);
  }
};

}  // namespace mansio::test
