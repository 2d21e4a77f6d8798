// IdTable: from ids to the slots of what has them, as from queue ids to the index's: five to seven bytes a message. The
// slots themselves know their ids, so the table holds slots only: open addressing with linear probing, in shards that
// grow one by one, and by a quarter if not told otherwise, so that no growth stalls the loop and little is unused
// however many messages wait.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernel/base/id.hpp"
#include "kernel/base/prefetch.hpp"

namespace mansio::queue {

// Keys: `Id id_of(slot)`, and `prefetch_id(slot)`: it will be asked for soon. Id: a 64-bit `value`, and ==.
template <class Keys, class Id = MessageId>
class IdTable {
 public:
  static constexpr std::uint32_t kNobody = UINT32_MAX;

  // `growth`: by which part of itself a shard grows. A large part leaves much unused, but what is added meets few
  // others.
  explicit IdTable(const Keys &keys, std::size_t growth = 4) : keys_(keys), growth_(growth) {}

  std::size_t size() const { return size_; }

  std::uint32_t find(Id id) const {
    const auto h = mix(id);
    const auto &s = shard(h);
    if (s.cells.empty()) return kNobody;
    for (auto i = home(s, h);; i = after(s, i)) {
      if (s.cells[i] == kNobody || keys_.id_of(s.cells[i]) == id) return s.cells[i];
    }
  }
  // It will be looked for soon: has its place fetched into the cache, and what lies at the place of one that was named
  // some calls before, for that is known only then.
  void prefetch(Id id) {
    const auto h = mix(id);
    if (const auto &s = shard(h); !s.cells.empty()) mansio::prefetch(s.cells[home(s, h)]);
    const auto before = std::exchange(coming_[next_coming_++ % coming_.size()], h);
    const auto &s = shard(before);
    if (s.cells.empty()) return;
    auto i = home(s, before);
    for (int n = 0; n < kFetched && s.cells[i] != kNobody; ++n, i = after(s, i)) keys_.prefetch_id(s.cells[i]);
  }
  // So many are about to come. They spread over the shards as chance has it: most need not grow for them.
  void reserve(std::size_t all) {
    const auto mean = static_cast<double>(all) / kShards;
    const auto cells = static_cast<std::size_t>((mean + 2 * std::sqrt(mean)) * 5 / 4) + 1;
    if (cells < kFirst) return;
    for (auto &s : shards_)
      if (s.cells.size() < cells) resize(s, cells);
  }
  void add(Id id, std::uint32_t slot) {
    const auto h = mix(id);
    auto &s = shard(h);
    if ((s.used + 1) * 5 > s.cells.size() * 4) resize(s, std::max(kFirst, s.cells.size() + s.cells.size() / growth_));
    place(s, h, slot);
    ++s.used;
    ++size_;
  }
  void erase(Id id) {
    const auto h = mix(id);
    auto &s = shard(h);
    if (s.cells.empty()) return;
    auto hole = home(s, h);
    for (;; hole = after(s, hole)) {
      if (s.cells[hole] == kNobody) return;
      if (keys_.id_of(s.cells[hole]) == id) break;
    }
    // Whoever probed past the hole moves back into it.
    for (auto i = after(s, hole); s.cells[i] != kNobody; i = after(s, i)) {
      const auto wanted = home(s, mix(keys_.id_of(s.cells[i])));
      if (distance(s, wanted, i) < distance(s, hole, i)) continue;
      s.cells[hole] = s.cells[i];
      hole = i;
    }
    s.cells[hole] = kNobody;
    --s.used;
    --size_;
  }

 private:
  struct Shard {
    std::vector<std::uint32_t> cells;
    std::size_t used = 0;
  };
  static constexpr std::size_t kShards = 256;
  static constexpr std::size_t kFirst = 16;  // cells of a shard
  static constexpr int kFetched = 6;         // of those that lie from its home on

  static std::uint64_t mix(Id id) {  // splitmix64
    auto z = id.value + 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  Shard &shard(std::uint64_t h) { return shards_[h % kShards]; }
  const Shard &shard(std::uint64_t h) const { return shards_[h % kShards]; }
  static std::size_t home(const Shard &s, std::uint64_t h) { return (h >> 32) * s.cells.size() >> 32; }
  static std::size_t after(const Shard &s, std::size_t i) { return i + 1 == s.cells.size() ? 0 : i + 1; }
  static std::size_t distance(const Shard &s, std::size_t from, std::size_t to) {
    return to >= from ? to - from : to + s.cells.size() - from;
  }
  static void place(Shard &s, std::uint64_t h, std::uint32_t slot) {
    auto i = home(s, h);
    while (s.cells[i] != kNobody) i = after(s, i);
    s.cells[i] = slot;
  }
  void resize(Shard &s, std::size_t cells) {
    constexpr std::size_t kAhead = 16;
    const auto old = std::exchange(s.cells, std::vector<std::uint32_t>(cells, kNobody));
    for (std::size_t i = 0; i < old.size(); ++i) {
      if (i + kAhead < old.size() && old[i + kAhead] != kNobody) keys_.prefetch_id(old[i + kAhead]);
      if (old[i] != kNobody) place(s, mix(keys_.id_of(old[i])), old[i]);
    }
  }

  const Keys &keys_;
  const std::size_t growth_;
  std::array<Shard, kShards> shards_;
  std::size_t size_ = 0;
  std::array<std::uint64_t, 8> coming_{};  // as mixed
  std::size_t next_coming_ = 0;
};

}  // namespace mansio::queue
