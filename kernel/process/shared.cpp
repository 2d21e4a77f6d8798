// The table of connections counts without locks and stays right when any writer dies at any instruction.
//
// What is counted is a listener or a client of a listener. A count is never kept as a sum: each pair of it and a
// process slot has a counter that only that process changes, so forgetting a dead process is zeroing its column, and
// the count is the sum over the row. A row is found by a keyed 64-bit tag in a short window; two processes that enter
// a new client at once may use two rows, and a counter that is full leads to another row, which is why the sum runs
// over every row of the window that bears the tag.
//
// A row whose counters are all zero may be given to another client. Between "all zero" and the change of its tag
// somebody could start to count on it, hence the claim: claim, look again, change the tag, unclaim; and whoever
// counts looks at claim and tag after counting. Both sides are sequentially consistent, so one of them sees the
// other. A claimant's death leaves a claim that release_slot() clears.
#include "kernel/process/shared.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>

namespace mansio::process {
namespace {

constexpr std::uint32_t kRows = 1u << 15;
constexpr std::uint32_t kWindow = 16;
constexpr std::uint32_t kStresses = 256;
constexpr int kAttempts = 64;                          // to get hold of a row that others are claiming
constexpr std::uint64_t kMagic = 0x344D48534E414DULL;  // "MANSHM4"

std::uint64_t mix(std::uint64_t h) {
  h ^= h >> 32;
  h *= 0xD6E8FEB86659FD93ULL;
  h ^= h >> 32;
  h *= 0xD6E8FEB86659FD93ULL;
  return h ^ (h >> 32);
}

}  // namespace

struct SharedMemory::Stress {
  std::atomic<std::uint64_t> tag;   // of the listener; 0: never used. It never changes hands.
  std::atomic<std::int64_t> until;  // 0: none
};

// A line of the cache each: it is written with every call into a plugin.
struct alignas(64) SharedMemory::CodeOf {
  std::atomic<std::uint64_t> instance;  // its tag
  std::atomic<std::uint32_t> hangs;
};

struct SharedMemory::Layout {
  std::uint64_t magic;
  std::uint64_t secret[2];  // so that a peer cannot choose addresses that share a window
  std::atomic<std::uint64_t> markers[kSlots];
  CodeOf codes[kSlots];
  RestTable rests;
  std::atomic<std::uint32_t> totals[kSlots];
  RateTable rates;
  std::atomic<std::uint64_t> tags[kRows];    // 0: never used
  std::atomic<std::uint32_t> claims[kRows];  // slot + 1 of the process that is changing the tag
  std::atomic<std::uint16_t> counts[kRows][kSlots];
  Stress stresses[kStresses];
  NumberTables numbers;  // next to nothing of it takes memory until it is used: hence nobody reads through it

  std::uint64_t tag(std::string_view listener) const {
    auto h = secret[1];
    for (const char c : listener) h = mix(h ^ static_cast<unsigned char>(c)) + secret[0];
    return h == 0 ? 1 : h;
  }
  // `listener`: its tag.
  std::uint64_t tag(std::uint64_t listener, const ClientKey &client) const {
    std::uint64_t a = 0, b = 0;
    std::memcpy(&a, client.data(), 8);
    std::memcpy(&b, client.data() + 8, 8);
    const auto h = mix(mix(mix(a ^ secret[0]) + b * 0x9E3779B97F4A7C15ULL + secret[1]) ^ listener);
    return h == 0 ? 1 : h;
  }
  static std::uint32_t row_at(std::uint64_t tag, std::uint32_t i) {
    return (static_cast<std::uint32_t>(tag >> 40) + i) % kRows;
  }
  std::uint32_t row_count(std::uint32_t row) const {
    std::uint32_t n = 0;
    for (const auto &c : counts[row]) n += c.load();
    return n;
  }
  std::uint32_t count(std::uint64_t tag) const {
    std::uint32_t n = 0;
    for (std::uint32_t i = 0; i < kWindow; ++i)
      if (const auto row = row_at(tag, i); tags[row].load() == tag) n += row_count(row);
    return n;
  }
  std::uint32_t total() const {
    std::uint32_t n = 0;
    for (const auto &t : totals) n += t.load();
    return n;
  }
  // Counts one on a row that bears the tag; false if it may be changing hands.
  bool count_on(std::uint32_t row, std::uint32_t slot, std::uint64_t tag) {
    auto &mine = counts[row][slot];
    if (mine.load() == UINT16_MAX) return false;
    mine.fetch_add(1);
    if (claims[row].load() == 0 && tags[row].load() == tag) return true;
    mine.fetch_sub(1);
    return false;
  }
  bool enter(std::uint32_t slot, std::uint64_t tag) {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      bool changing = false;
      for (std::uint32_t i = 0; i < kWindow; ++i) {
        const auto row = row_at(tag, i);
        if (tags[row].load() != tag || counts[row][slot].load() == UINT16_MAX) continue;
        if (count_on(row, slot, tag)) return true;
        changing = true;
      }
      if (changing) continue;
      for (std::uint32_t i = 0; i < kWindow; ++i) {
        const auto row = row_at(tag, i);
        if (row_count(row) != 0) continue;
        std::uint32_t unclaimed = 0;
        if (!claims[row].compare_exchange_strong(unclaimed, slot + 1)) continue;
        const bool idle = row_count(row) == 0;
        if (idle) {
          tags[row].store(tag);
          counts[row][slot].fetch_add(1);  // under our claim: nobody else takes the row away
        }
        claims[row].store(0);
        if (idle) return true;
      }
    }
    return false;
  }
  // Null: there is none.
  Stress *stress(std::uint64_t tag, bool make) {
    for (std::uint32_t i = 0; i < kStresses; ++i) {
      auto &s = stresses[(tag + i) % kStresses];
      auto there = s.tag.load();
      if (there == 0) {
        if (!make) return nullptr;
        if (s.tag.compare_exchange_strong(there, tag)) return &s;
      }
      if (there == tag) return &s;
    }
    return nullptr;
  }
  bool leave(std::uint32_t slot, std::uint64_t tag) {
    for (std::uint32_t i = 0; i < kWindow; ++i) {
      const auto row = row_at(tag, i);
      if (tags[row].load() != tag || counts[row][slot].load() == 0) continue;
      counts[row][slot].fetch_sub(1);
      return true;
    }
    return false;
  }
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<std::uint32_t>::is_always_lock_free &&
              std::atomic<std::uint16_t>::is_always_lock_free);

SharedMemory::SharedMemory(io::UniqueFd fd, Layout *layout) : fd_(std::move(fd)), layout_(layout) {}

SharedMemory::~SharedMemory() { ::munmap(layout_, sizeof(Layout)); }

Result<std::unique_ptr<SharedMemory>> SharedMemory::create() {
  io::UniqueFd fd{::memfd_create("mansio-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  // Fresh pages are zero: every counter, tag and claim starts as "none". The size is fixed, so that no process
  // can make another one fault by truncating it.
  if (!fd || ::ftruncate(fd.get(), sizeof(Layout)) != 0 ||
      ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return Error{Status::Internal, std::string{"shared memory: "} + std::strerror(errno)};
  std::uint64_t head[3] = {kMagic, 0, 0};
  if (::getrandom(&head[1], sizeof head - sizeof head[0], 0) != static_cast<ssize_t>(sizeof head - sizeof head[0]) ||
      ::pwrite(fd.get(), head, sizeof head, 0) != static_cast<ssize_t>(sizeof head))
    return Error{Status::Internal, std::string{"shared memory: "} + std::strerror(errno)};
  return map(std::move(fd));
}

Result<std::unique_ptr<SharedMemory>> SharedMemory::map(io::UniqueFd memfd) {
  struct stat st {};
  if (::fstat(memfd.get(), &st) != 0 || st.st_size < static_cast<off_t>(sizeof(Layout)))
    return Error{Status::Internal, "shared memory: not the descriptor that was expected"};
  void *p = ::mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED, memfd.get(), 0);
  if (p == MAP_FAILED) return Error{Status::Internal, std::string{"shared memory: "} + std::strerror(errno)};
  auto *layout = static_cast<Layout *>(p);
  if (layout->magic != kMagic) {
    ::munmap(p, sizeof(Layout));
    return Error{Status::Internal, "shared memory: of another version"};
  }
  return std::unique_ptr<SharedMemory>{new SharedMemory{std::move(memfd), layout}};
}

const io::UniqueFd &SharedMemory::fd() const { return fd_; }

// Counts first and looks at the sums afterwards: of two that compete for the last place both may be refused, but
// never are both admitted.
Admission SharedMemory::connect(std::uint32_t slot, std::string_view listener, const ClientKey &client,
                                ConnectionLimits limits) {
  if (slot >= kSlots) return Admission::TableFull;
  auto &mine = layout_->totals[slot];
  mine.fetch_add(1);
  if (limits.total != 0 && layout_->total() > limits.total) {
    mine.fetch_sub(1);
    return Admission::TotalLimit;
  }
  const auto door = layout_->tag(listener);
  if (!layout_->enter(slot, door)) {
    mine.fetch_sub(1);
    return Admission::TableFull;
  }
  const bool full = limits.listener != 0 && layout_->count(door) > limits.listener;
  const auto tag = layout_->tag(door, client);
  if (full || !layout_->enter(slot, tag)) {
    layout_->leave(slot, door);
    mine.fetch_sub(1);
    return full ? Admission::TotalLimit : Admission::TableFull;
  }
  if (limits.client != 0 && layout_->count(tag) > limits.client) {
    disconnect(slot, listener, client);
    return Admission::ClientLimit;
  }
  return Admission::Admitted;
}

void SharedMemory::disconnect(std::uint32_t slot, std::string_view listener, const ClientKey &client) {
  if (slot >= kSlots) return;
  const auto door = layout_->tag(listener);
  if (!layout_->leave(slot, layout_->tag(door, client))) return;
  layout_->leave(slot, door);
  if (layout_->totals[slot].load() != 0) layout_->totals[slot].fetch_sub(1);
}

std::uint32_t SharedMemory::count_event(std::uint32_t slot, std::string_view listener, const ClientKey &client,
                                        ClientEvent event, RateTime time) {
  if (slot >= kSlots) return 0;
  return layout_->rates.count(slot, layout_->tag(layout_->tag(listener), client), event, time);
}

std::uint32_t SharedMemory::counted_events(std::string_view listener, const ClientKey &client, ClientEvent event,
                                           RateTime time) const {
  return layout_->rates.counted(layout_->tag(layout_->tag(listener), client), event, time);
}

std::uint32_t SharedMemory::connections() const { return layout_->total(); }

std::uint32_t SharedMemory::connections(std::string_view listener) const {
  return layout_->count(layout_->tag(listener));
}

Nanos SharedMemory::stressed_until(std::string_view listener) const {
  const auto *const s = layout_->stress(layout_->tag(listener), false);
  return s == nullptr ? 0 : s->until.load();
}

bool SharedMemory::stress(std::string_view listener, Nanos until) {
  auto *const s = layout_->stress(layout_->tag(listener), true);
  if (s == nullptr) return false;
  auto old = s->until.load();
  while (old < until)
    if (s->until.compare_exchange_weak(old, until)) return old == 0;
  return false;
}

// Whoever prolongs it at this moment wins: then it has not ended.
bool SharedMemory::relax(std::string_view listener, Nanos now) {
  auto *const s = layout_->stress(layout_->tag(listener), false);
  if (s == nullptr) return false;
  auto until = s->until.load();
  return until != 0 && until <= now && s->until.compare_exchange_strong(until, 0);
}

Numbers SharedMemory::numbers(std::uint32_t slot, std::string_view instance) {
  return {layout_->numbers, HashKey{layout_->secret[0], layout_->secret[1]}, slot, instance};
}

void SharedMemory::working_on(std::uint32_t slot, MessageId message) {
  if (slot < kSlots) layout_->markers[slot].store(message.value, std::memory_order_relaxed);
}

MessageId SharedMemory::marker(std::uint32_t slot) const {
  return slot < kSlots ? MessageId{layout_->markers[slot].load()} : MessageId{};
}

std::uint64_t SharedMemory::instance_tag(std::uint32_t config_epoch, std::string_view instance) const {
  const auto tag = mix(layout_->tag(instance) ^ config_epoch);
  return tag == 0 ? 1 : tag;
}

void SharedMemory::in_code_of(std::uint32_t slot, std::uint64_t instance) {
  if (slot < kSlots) layout_->codes[slot].instance.store(instance, std::memory_order_relaxed);
}

void SharedMemory::hangs(std::uint32_t slot) {
  if (slot < kSlots) layout_->codes[slot].hangs.store(1);
}

SharedMemory::Code SharedMemory::code(std::uint32_t slot) const {
  if (slot >= kSlots) return {};
  return {layout_->codes[slot].instance.load(), layout_->codes[slot].hangs.load() != 0};
}

RestTable &SharedMemory::rests() { return layout_->rests; }

void SharedMemory::release_slot(std::uint32_t slot) {
  if (slot >= kSlots) return;
  for (std::uint32_t row = 0; row < kRows; ++row) {
    if (layout_->counts[row][slot].load() != 0) layout_->counts[row][slot].store(0);
    std::uint32_t dead = slot + 1;
    layout_->claims[row].compare_exchange_strong(dead, 0);
  }
  layout_->rates.release_slot(slot);
  layout_->numbers.owners.end(slot);
  layout_->totals[slot].store(0);
  layout_->markers[slot].store(0);
  layout_->codes[slot].instance.store(0);
  layout_->codes[slot].hangs.store(0);
}

}  // namespace mansio::process
