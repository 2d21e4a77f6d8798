#include "tests/support/fault_files.hpp"

#include <algorithm>
#include <utility>

#include "tests/support/fault_state.hpp"

namespace mansio::test {

class FaultFiles::Handle final : public io::File {
 public:
  Handle(std::shared_ptr<State> state, std::shared_ptr<Inode> inode, std::string path)
      : state_(std::move(state)), inode_(std::move(inode)), path_(std::move(path)), told_(inode_->errors) {}

  Result<std::size_t> read_at(std::uint64_t offset, char *to, std::size_t n) override {
    state_->let_happen(path_, offset);
    const std::lock_guard lock{state_->mutex};
    if (auto r = state_->step(Op::Read, path_, false); !r) {
      if (!state_->dead) state_->unread.push_back({path_, offset, offset + n});
      return r.error();
    }
    if (!inode_->readable(offset, n)) {
      ++state_->failures;
      const auto sector = *inode_->spoiled.lower_bound(offset / kSector);
      state_->unread.push_back({path_, sector * kSector, (sector + 1) * kSector});
      return Error{Status::Internal, path_ + ": unreadable sector"};
    }
    return inode_->cached.read(offset, to, n);
  }
  Result<void> write_at(std::uint64_t offset, std::string_view bytes) override {
    return write({offset, bytes.size(), std::string{bytes}});
  }
  Result<void> write_at(std::uint64_t offset, const std::vector<std::string_view> &pieces) override {
    std::string bytes;
    for (const auto piece : pieces) bytes.append(piece);
    const auto length = bytes.size();
    return write({offset, length, std::move(bytes)});
  }
  Result<void> data_sync() override {
    const std::lock_guard lock{state_->mutex};
    if (auto r = state_->step(Op::Sync, path_, true); !r) {
      if (!state_->dead) {
        settle(inode_->durable, inode_->pending, static_cast<Keep>(state_->random() % 4), state_->random);
        inode_->pending.clear();
        told_ = ++inode_->errors;
      }
      return r;
    }
    if (state_->dead) return state_->off(path_);
    // What was lost was perhaps written here: everybody who had the file open is told, once.
    if (std::exchange(told_, inode_->errors) != inode_->errors)
      return Error{Status::Internal, path_ + ": injected failure"};
    for (const auto &w : inode_->pending) w.apply(inode_->durable);
    inode_->pending.clear();
    return {};
  }
  Result<std::uint64_t> size() override {
    const std::lock_guard lock{state_->mutex};
    if (state_->dead) return state_->off(path_);
    return inode_->cached.size();
  }
  Result<void> zero_fill(std::uint64_t from, std::uint64_t to) override {
    return from < to ? write({from, to - from, {}}) : Result<void>{};
  }
  Result<void> truncate(std::uint64_t size) override {
    const std::lock_guard lock{state_->mutex};
    if (state_->dead) return state_->off(path_);
    inode_->cached.resize(size);
    inode_->durable.resize(size);
    return {};
  }
  Result<io::UniqueFd> duplicate(bool) override {
    const std::lock_guard lock{state_->mutex};
    if (auto r = state_->step(Op::Duplicate, path_, false); !r) return r.error();
    auto fd = state_->reopen(inode_, LOCK_SH);
    if (!fd) return Error{Status::Internal, path_ + ": locked"};
    return fd;
  }
  Result<bool> shared() override {
    const std::lock_guard lock{state_->mutex};
    if (auto r = state_->step(Op::Shared, path_, false); !r) return r.error();
    return inode_->token && !inode_->reopen(LOCK_EX);
  }
  Result<bool> forget_pages() override {
    const std::lock_guard lock{state_->mutex};
    if (auto r = state_->step(Op::Forget, path_, false); !r) return r.error();
    return state_->hold_pages == 0 || state_->random() % state_->hold_pages != 0;
  }

 private:
  Result<void> write(Write w) {
    const std::lock_guard lock{state_->mutex};
    const bool was_dead = state_->dead;
    const auto r = state_->step(Op::Write, path_, true);
    if (was_dead) return r;
    bool full = false;
    if (!state_->dead && w.end() > inode_->cached.size()) {
      const auto reach = state_->reach(path_, inode_->cached.size());
      full = w.end() > reach;
      if (full) {
        ++state_->failures;
        w.length = reach > w.offset ? reach - w.offset : 0;
        if (!w.bytes.empty()) w.bytes.resize(w.length);
      }
    }
    if (!r) {
      w.length = state_->random() % (w.length + 1);
      if (!w.bytes.empty()) w.bytes.resize(w.length);
    }
    if (w.length > 0) {
      w.apply(inode_->cached);
      // Whole sectors only are mended by a write: the rest would have to be read first.
      for (auto s = (w.offset + kSector - 1) / kSector; s < w.end() / kSector; ++s) inode_->spoiled.erase(s);
      inode_->pending.push_back(std::move(w));
    }
    if (state_->dead) return state_->off(path_);
    if (full) return Error{Status::Busy, path_ + ": no space"};
    return r;
  }

  std::shared_ptr<State> state_;
  std::shared_ptr<Inode> inode_;
  std::string path_;
  std::uint64_t told_;  // of so many errors of sync
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
    Result<bool> forget_pages() override { return file->forget_pages(); }
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
  if (state_->directories.contains(path)) return {};
  if (auto r = state_->step(Op::Open, path, true); !r) return r;
  state_->directories.insert(path);
  if (state_->dead) return state_->off(path);
  if (directory_of(path).empty()) state_->durable_directories.insert(path);
  return {};
}

Result<std::vector<std::string>> FaultFiles::list(const std::string &directory) {
  const std::lock_guard lock{state_->mutex};
  if (auto r = state_->step(Op::List, directory, false); !r) return r.error();
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
  for (const auto &directory : state_->directories)
    if (directory_of(directory) == path) state_->durable_directories.insert(directory);
  return {};
}

Result<io::Space> FaultFiles::space(const std::string &) {
  const std::lock_guard lock{state_->mutex};
  if (state_->limit == 0) return io::Space{state_->free, 1ull << 40};
  const auto taken = state_->used();
  return io::Space{state_->limit > taken ? state_->limit - taken : 0, state_->limit};
}

Result<io::UniqueFd> FaultFiles::lock(const std::string &path, std::string_view text) {
  auto file = open(path, io::OpenMode::Create);
  if (!file) return file.error();
  const std::lock_guard guard{state_->mutex};
  const auto inode = state_->names.at(path);
  auto fd = state_->reopen(inode, LOCK_EX);
  if (!fd) return Error{Status::Busy, inode->cached.text()};
  inode->cached.resize(0);
  inode->cached.write(0, text);
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
  out->state_->random.seed(seed);
  std::vector<std::string> lost;
  for (const auto &directory : state_->directories)
    if (!state_->durable_directories.contains(directory) && (seed == 0 || random() % 2)) lost.push_back(directory);
  const auto is_lost = [&](const std::string &path) {
    return std::any_of(lost.begin(), lost.end(), [&](const auto &d) { return path == d || lies_in(path, d); });
  };
  for (const auto &directory : state_->directories)
    if (!is_lost(directory)) out->state_->directories.insert(directory);
  out->state_->durable_directories = out->state_->directories;
  out->state_->hold_pages = state_->hold_pages;
  out->state_->free = state_->free;
  out->state_->limit = state_->limit;
  auto names = state_->durable;
  const auto kept = seed == 0 ? 0 : random() % (state_->changes.size() + 1);
  const bool in_order = seed == 0 || random() % 2;
  for (std::size_t i = 0; i < state_->changes.size(); ++i)
    if (in_order ? i < kept : random() % 2) state_->changes[i].apply(names);
  std::erase_if(names, [&](const auto &name) { return is_lost(name.first); });
  std::map<Inode *, std::shared_ptr<Inode>> copies;
  for (const auto &[path, inode] : names) {
    auto &copy = copies[inode.get()];
    if (!copy) {
      copy = std::make_shared<Inode>();
      copy->durable = inode->durable;
      copy->spoiled = inode->spoiled;
      settle(copy->durable, inode->pending, seed == 0 ? Keep::Nothing : static_cast<Keep>(random() % 4), random);
      copy->cached = copy->durable;
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
void FaultFiles::fail_any(std::uint64_t nth, Status status, bool forever) {
  const std::lock_guard lock{state_->mutex};
  state_->rules.push_back({{}, {}, nth, status, forever});
}
void FaultFiles::before_read(std::string part, std::uint64_t from, std::function<void()> what) {
  const std::lock_guard lock{state_->mutex};
  state_->moment = {std::move(part), from, std::move(what)};
}
std::uint64_t FaultFiles::failures() const {
  const std::lock_guard lock{state_->mutex};
  return state_->failures;
}
std::vector<FaultFiles::Unread> FaultFiles::take_unread() {
  const std::lock_guard lock{state_->mutex};
  return std::exchange(state_->unread, {});
}
void FaultFiles::heal() {
  const std::lock_guard lock{state_->mutex};
  state_->rules.clear();
  for (auto &[path, inode] : state_->names) inode->spoiled.clear();
}
void FaultFiles::most(std::string part, std::uint64_t bytes) {
  const std::lock_guard lock{state_->mutex};
  if (bytes == 0)
    state_->most.erase(part);
  else
    state_->most[std::move(part)] = bytes;
}

void FaultFiles::limit(std::uint64_t bytes) {
  const std::lock_guard lock{state_->mutex};
  state_->limit = bytes;
}
std::uint64_t FaultFiles::used() const {
  const std::lock_guard lock{state_->mutex};
  return state_->used();
}
void FaultFiles::hold_pages(unsigned one_in) {
  const std::lock_guard lock{state_->mutex};
  state_->hold_pages = one_in;
}
void FaultFiles::set_free(std::uint64_t bytes) {
  const std::lock_guard lock{state_->mutex};
  state_->free = bytes;
}
std::uint64_t FaultFiles::count(Op op, const std::string &part) const {
  const std::lock_guard lock{state_->mutex};
  std::uint64_t n = 0;
  for (const auto &[path, times] : state_->counts) {
    if (path.find(part) != std::string::npos) n += times[static_cast<std::size_t>(op)];
  }
  return n;
}
void FaultFiles::flip(const std::string &path, std::uint64_t offset, std::uint8_t mask) {
  const std::lock_guard lock{state_->mutex};
  auto &inode = *state_->names.at(path);
  for (auto *image : {&inode.cached, &inode.durable}) {
    char c = 0;
    if (image->read(offset, &c, 1) == 0) continue;
    c = static_cast<char>(c ^ mask);
    image->write(offset, {&c, 1});
  }
}
void FaultFiles::spoil(const std::string &path, std::uint64_t offset) {
  const std::lock_guard lock{state_->mutex};
  state_->names.at(path)->spoiled.insert(offset / kSector);
}
void FaultFiles::wipe(const std::string &path, std::uint64_t offset) {
  const std::lock_guard lock{state_->mutex};
  auto &inode = *state_->names.at(path);
  const auto from = offset / kSector * kSector;
  for (auto *image : {&inode.cached, &inode.durable})
    if (from < image->size()) image->zero(from, std::min(kSector, image->size() - from));
  inode.spoiled.erase(offset / kSector);
}
std::string FaultFiles::content(const std::string &path) const {
  const std::lock_guard lock{state_->mutex};
  return state_->names.at(path)->cached.text();
}
std::uint64_t FaultFiles::size(const std::string &path) const {
  const std::lock_guard lock{state_->mutex};
  return state_->names.at(path)->cached.size();
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
