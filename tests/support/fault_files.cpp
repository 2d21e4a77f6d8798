#include "tests/support/fault_files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <random>
#include <set>

namespace mansio::test {
namespace {

constexpr std::uint64_t kSector = 512;

struct Write {
  std::uint64_t offset;
  std::string bytes;
};

void put(std::string &data, std::uint64_t offset, std::string_view bytes) {
  if (data.size() < offset + bytes.size()) data.resize(offset + bytes.size(), '\0');
  data.replace(offset, bytes.size(), bytes);
}

// The content of a file. Its memfd holds no bytes: it is what descriptors and locks stand for.
struct Inode {
  std::string cached, durable;
  std::vector<Write> pending;
  io::UniqueFd token;
  ino_t number = 0;

  Inode() : token(::memfd_create("fault", MFD_CLOEXEC)) {
    struct stat s {};
    ::fstat(token.get(), &s);
    number = s.st_ino;
  }
  io::UniqueFd reopen(int lock) const {
    const auto link = "/proc/self/fd/" + std::to_string(token.get());
    io::UniqueFd fd{::open(link.c_str(), O_RDWR | O_CLOEXEC)};
    if (::flock(fd.get(), lock | LOCK_NB) != 0) return {};
    return fd;
  }
};
using Names = std::map<std::string, std::shared_ptr<Inode>>;

std::string directory_of(const std::string &path) { return path.substr(0, path.rfind('/')); }

}  // namespace

struct FaultFiles::State {
  mutable std::mutex mutex;
  Names names, durable;
  std::set<std::string> directories;
  // Changes of names since their directory was synced, in order: a journalling file system keeps a prefix.
  struct Change {
    std::string directory;
    std::function<void(Names &)> apply;
  };
  std::vector<Change> changes;
  std::map<ino_t, std::weak_ptr<Inode>> inodes;
  std::uint64_t operations = 0, cut = 0;
  bool dead = false;
  std::uint64_t free = 1ull << 40;
  struct Rule {
    Op op;
    std::string part;
    std::uint64_t left;
    Status status;
    bool forever;
  };
  std::vector<Rule> rules;
  std::map<std::pair<Op, std::string>, std::uint64_t> counts;

  // Runs before every call, with the lock held.
  Result<void> step(Op op, const std::string &path, bool changes_something) {
    if (dead) return Error{Status::Internal, path + ": power is off"};
    ++counts[{op, path}];
    if (changes_something && ++operations == cut) dead = true;
    for (auto &rule : rules) {
      if (rule.op != op || path.find(rule.part) == std::string::npos || rule.left == 0) continue;
      if (--rule.left == 0) {
        if (rule.forever) rule.left = 1;
        return Error{rule.status, path + ": injected failure"};
      }
    }
    return {};
  }
  Error off(const std::string &path) const { return {Status::Internal, path + ": power is off"}; }
  void change(const std::string &path, std::function<void(Names &)> apply) {
    apply(names);
    changes.push_back({directory_of(path), std::move(apply)});
  }
};

class FaultFiles::Handle final : public io::File {
 public:
  Handle(std::shared_ptr<State> state, std::shared_ptr<Inode> inode, std::string path)
      : state_(std::move(state)), inode_(std::move(inode)), path_(std::move(path)) {}

  Result<std::size_t> read_at(std::uint64_t offset, char *to, std::size_t n) override {
    const std::lock_guard lock{state_->mutex};
    if (auto r = state_->step(Op::Read, path_, false); !r) return r.error();
    if (offset >= inode_->cached.size()) return std::size_t{0};
    n = std::min<std::size_t>(n, inode_->cached.size() - offset);
    inode_->cached.copy(to, n, offset);
    return n;
  }
  Result<void> write_at(std::uint64_t offset, std::string_view bytes) override {
    const std::lock_guard lock{state_->mutex};
    const bool was_dead = state_->dead;
    const auto r = state_->step(Op::Write, path_, true);
    if (was_dead) return r;
    if (!r) bytes = bytes.substr(0, bytes.size() / 2);
    put(inode_->cached, offset, bytes);
    inode_->pending.push_back({offset, std::string{bytes}});
    if (state_->dead) return state_->off(path_);
    return r;
  }
  Result<void> write_at(std::uint64_t offset, const std::vector<std::string_view> &pieces) override {
    std::string bytes;
    for (const auto piece : pieces) bytes.append(piece);
    return write_at(offset, bytes);
  }
  Result<void> data_sync() override {
    const std::lock_guard lock{state_->mutex};
    if (auto r = state_->step(Op::Sync, path_, true); !r) {
      // As Linux does: the pages are clean now, and never reach the disk.
      if (!state_->dead) inode_->pending.clear();
      return r;
    }
    if (state_->dead) return state_->off(path_);
    for (const auto &w : inode_->pending) put(inode_->durable, w.offset, w.bytes);
    inode_->pending.clear();
    return {};
  }
  Result<std::uint64_t> size() override {
    const std::lock_guard lock{state_->mutex};
    if (state_->dead) return state_->off(path_);
    return static_cast<std::uint64_t>(inode_->cached.size());
  }
  Result<void> zero_fill(std::uint64_t from, std::uint64_t to) override {
    return from < to ? write_at(from, std::string(to - from, '\0')) : Result<void>{};
  }
  Result<void> truncate(std::uint64_t size) override {
    const std::lock_guard lock{state_->mutex};
    if (state_->dead) return state_->off(path_);
    inode_->cached.resize(size, '\0');
    inode_->durable.resize(size, '\0');
    return {};
  }
  Result<io::UniqueFd> duplicate(bool) override {
    const std::lock_guard lock{state_->mutex};
    auto fd = inode_->reopen(LOCK_SH);
    if (!fd) return Error{Status::Internal, path_ + ": locked"};
    return fd;
  }
  Result<bool> shared() override { return !inode_->reopen(LOCK_EX); }

 private:
  std::shared_ptr<State> state_;
  std::shared_ptr<Inode> inode_;
  std::string path_;
};

FaultFiles::FaultFiles() : state_(std::make_shared<State>()) {}
FaultFiles::~FaultFiles() = default;

Result<std::unique_ptr<io::File>> FaultFiles::open(const std::string &path, io::OpenMode mode) {
  const std::lock_guard lock{state_->mutex};
  const auto i = state_->names.find(path);
  const bool create = mode == io::OpenMode::Create || mode == io::OpenMode::CreateExclusive;
  if (i == state_->names.end() && !create) {
    if (state_->dead) return state_->off(path);
    return Error{Status::NotFound, path + ": no such file"};
  }
  if (i != state_->names.end() && mode == io::OpenMode::CreateExclusive)
    return Error{Status::Internal, path + ": exists"};
  if (auto r = state_->step(Op::Open, path, i == state_->names.end()); !r) return r.error();
  if (i != state_->names.end()) return std::unique_ptr<io::File>{std::make_unique<Handle>(state_, i->second, path)};
  auto inode = std::make_shared<Inode>();
  state_->inodes[inode->number] = inode;
  state_->change(path, [path, inode](Names &names) { names[path] = inode; });
  if (state_->dead) return state_->off(path);
  return std::unique_ptr<io::File>{std::make_unique<Handle>(state_, inode, path)};
}

std::unique_ptr<io::File> FaultFiles::adopt(io::UniqueFd fd, std::string name) {
  struct stat s {};
  ::fstat(fd.get(), &s);
  const std::lock_guard lock{state_->mutex};
  auto inode = state_->inodes.at(s.st_ino).lock();
  std::string path = std::move(name);
  for (const auto &[p, i] : state_->names) {
    if (i == inode) path = p;
  }
  // The descriptor carries the lock: it lives as long as the file object.
  struct Adopted final : io::File {
    Adopted(std::unique_ptr<io::File> f, io::UniqueFd d) : file(std::move(f)), held(std::move(d)) {}
    Result<std::size_t> read_at(std::uint64_t o, char *to, std::size_t n) override { return file->read_at(o, to, n); }
    Result<void> write_at(std::uint64_t o, std::string_view b) override { return file->write_at(o, b); }
    Result<void> write_at(std::uint64_t o, const std::vector<std::string_view> &p) override {
      return file->write_at(o, p);
    }
    Result<void> data_sync() override { return file->data_sync(); }
    Result<std::uint64_t> size() override { return file->size(); }
    Result<void> zero_fill(std::uint64_t a, std::uint64_t b) override { return file->zero_fill(a, b); }
    Result<void> truncate(std::uint64_t n) override { return file->truncate(n); }
    Result<io::UniqueFd> duplicate(bool r) override { return file->duplicate(r); }
    Result<bool> shared() override { return file->shared(); }
    std::unique_ptr<io::File> file;
    io::UniqueFd held;
  };
  return std::make_unique<Adopted>(std::make_unique<Handle>(state_, inode, path), std::move(fd));
}

Result<void> FaultFiles::rename(const std::string &from, const std::string &to) {
  const std::lock_guard lock{state_->mutex};
  if (!state_->dead && !state_->names.contains(from)) return Error{Status::NotFound, from + ": no such file"};
  if (auto r = state_->step(Op::Rename, from, true); !r) return r;
  state_->change(to, [from, to](Names &names) {
    const auto i = names.find(from);
    if (i == names.end()) return;
    names[to] = i->second;
    names.erase(from);
  });
  return state_->dead ? Result<void>{state_->off(from)} : Result<void>{};
}

Result<void> FaultFiles::remove(const std::string &path) {
  const std::lock_guard lock{state_->mutex};
  if (!state_->dead && !state_->names.contains(path)) return Error{Status::NotFound, path + ": no such file"};
  if (auto r = state_->step(Op::Remove, path, true); !r) return r;
  state_->change(path, [path](Names &names) { names.erase(path); });
  return state_->dead ? Result<void>{state_->off(path)} : Result<void>{};
}

Result<void> FaultFiles::make_directory(const std::string &path) {
  const std::lock_guard lock{state_->mutex};
  state_->directories.insert(path);
  return {};
}

Result<std::vector<std::string>> FaultFiles::list(const std::string &directory) {
  const std::lock_guard lock{state_->mutex};
  if (state_->dead) return state_->off(directory);
  std::vector<std::string> out;
  for (const auto &[path, inode] : state_->names) {
    if (directory_of(path) == directory) out.push_back(path.substr(directory.size() + 1));
  }
  return out;
}

Result<void> FaultFiles::sync_directory(const std::string &path) {
  const std::lock_guard lock{state_->mutex};
  if (auto r = state_->step(Op::SyncDirectory, path, true); !r) return r;
  if (state_->dead) return state_->off(path);
  std::vector<State::Change> rest;
  for (auto &change : state_->changes) {
    if (change.directory == path)
      change.apply(state_->durable);
    else
      rest.push_back(std::move(change));
  }
  state_->changes = std::move(rest);
  return {};
}

Result<io::Space> FaultFiles::space(const std::string &) {
  const std::lock_guard lock{state_->mutex};
  return io::Space{state_->free, 1ull << 40};
}

Result<io::UniqueFd> FaultFiles::lock(const std::string &path, std::string_view text) {
  auto file = open(path, io::OpenMode::Create);
  if (!file) return file.error();
  const std::lock_guard guard{state_->mutex};
  auto &inode = *state_->names.at(path);
  auto fd = inode.reopen(LOCK_EX);
  if (!fd) return Error{Status::Busy, inode.cached};
  inode.cached = text;
  return fd;
}

void FaultFiles::cut_after(std::uint64_t n) {
  const std::lock_guard lock{state_->mutex};
  state_->cut = state_->operations + n;
}
bool FaultFiles::dead() const {
  const std::lock_guard lock{state_->mutex};
  return state_->dead;
}
std::uint64_t FaultFiles::operations() const {
  const std::lock_guard lock{state_->mutex};
  return state_->operations;
}

std::unique_ptr<FaultFiles> FaultFiles::power_cut(std::uint64_t seed) const {
  const std::lock_guard lock{state_->mutex};
  std::mt19937_64 random{seed};
  auto out = std::make_unique<FaultFiles>();
  out->state_->directories = state_->directories;
  out->state_->free = state_->free;
  auto names = state_->durable;
  const auto kept = random() % (state_->changes.size() + 1);
  for (std::size_t i = 0; i < kept; ++i) state_->changes[i].apply(names);
  std::map<Inode *, std::shared_ptr<Inode>> copies;
  for (const auto &[path, inode] : names) {
    auto &copy = copies[inode.get()];
    if (!copy) {
      copy = std::make_shared<Inode>();
      out->state_->inodes[copy->number] = copy;
      auto data = inode->durable;
      // Nothing, all, whole writes in any order, or single sectors of them.
      const auto mode = random() % 4;
      for (const auto &w : inode->pending) {
        if (mode == 0 || (mode == 2 && random() % 2)) continue;
        for (std::uint64_t at = w.offset; at < w.offset + w.bytes.size();) {
          const auto end = std::min((at / kSector + 1) * kSector, w.offset + w.bytes.size());
          if (mode != 3 || random() % 2) put(data, at, std::string_view{w.bytes}.substr(at - w.offset, end - at));
          at = end;
        }
      }
      copy->cached = copy->durable = std::move(data);
    }
    out->state_->names[path] = copy;
  }
  out->state_->durable = out->state_->names;
  return out;
}

void FaultFiles::fail(Op op, std::string part, std::uint64_t nth, Status status, bool forever) {
  const std::lock_guard lock{state_->mutex};
  state_->rules.push_back({op, std::move(part), nth, status, forever});
}
void FaultFiles::heal() {
  const std::lock_guard lock{state_->mutex};
  state_->rules.clear();
}
void FaultFiles::set_free(std::uint64_t bytes) {
  const std::lock_guard lock{state_->mutex};
  state_->free = bytes;
}
std::uint64_t FaultFiles::count(Op op, const std::string &part) const {
  const std::lock_guard lock{state_->mutex};
  std::uint64_t n = 0;
  for (const auto &[key, times] : state_->counts) {
    if (key.first == op && key.second.find(part) != std::string::npos) n += times;
  }
  return n;
}
void FaultFiles::flip(const std::string &path, std::uint64_t offset, std::uint8_t mask) {
  const std::lock_guard lock{state_->mutex};
  auto &inode = *state_->names.at(path);
  for (auto *data : {&inode.cached, &inode.durable}) {
    if (offset < data->size()) (*data)[offset] = static_cast<char>((*data)[offset] ^ mask);
  }
}
std::string FaultFiles::content(const std::string &path) const {
  const std::lock_guard lock{state_->mutex};
  return state_->names.at(path)->cached;
}
std::vector<std::string> FaultFiles::paths(const std::string &prefix) const {
  const std::lock_guard lock{state_->mutex};
  std::vector<std::string> out;
  for (const auto &[path, inode] : state_->names) {
    if (path.starts_with(prefix)) out.push_back(path);
  }
  return out;
}

}  // namespace mansio::test
