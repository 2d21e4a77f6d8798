// IdTable: from ids to the slots of what has them, as from queue ids to the index's: five to seven bytes a message. The
// slots themselves know their ids, so the table holds slots only: open addressing with linear probing, in shards that
// grow one by one and by a quarter, so that no growth stalls the loop and little is unused however many messages wait.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kernel/base/id.hpp"

namespace mansio::queue {

// Keys: `Id id_of(slot)`; Id: a 64-bit `value`, and ==.
template <class Keys, class Id = MessageId>
class IdTable {
 public:
  static constexpr std::uint32_t kNobody = UINT32_MAX;

  explicit IdTable(const Keys &keys) : keys_(keys) {}

  std::size_t size() const { return size_; }

  std::uint32_t find(Id id) const {
    const auto h = mix(id);
    const auto &s = shard(h);
    if (s.cells.empty()) return kNobody;
    for (auto i = home(s, h);; i = after(s, i)) {
      if (s.cells[i] == kNobody || keys_.id_of(s.cells[i]) == id) return s.cells[i];
    }
  }
  void add(Id id, std::uint32_t slot) {
    const auto h = mix(id);
    auto &s = shard(h);
    if ((s.used + 1) * 5 > s.cells.size() * 4) grow(s);
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
  void grow(Shard &s) {
    auto old = std::move(s.cells);
    s.cells = std::vector<std::uint32_t>(old.empty() ? 16 : old.size() * 5 / 4, kNobody);
    for (const auto slot : old)
      if (slot != kNobody) place(s, mix(keys_.id_of(slot)), slot);
  }

  const Keys &keys_;
  std::array<Shard, kShards> shards_;
  std::size_t size_ = 0;
};

}  // namespace mansio::queue
