// NumberTable: counters, sliding windows and token buckets by key, over all processes of a plugin instance. It lies in
// the memory that the processes of Mansio share (shared.hpp), where zero bytes are an empty table.
//
// Its size is fixed, and the death of a process at any instruction leaves it usable: at worst what that process was
// counting is forgotten. What is there already is counted without locks. A key that is new takes the lock of its
// bucket; the lock of a dead process is taken over, and where a living one stands still with it, the new keys of that
// one bucket are not counted until it goes on.
//
// Counters stay for good, and there are no more than kMostCounters. Of windows and rates a new key takes the place of
// the one, of the fifteen of its bucket, that was counted the fewest times (and is not over yet); so a flood of new
// keys replaces itself, and what is counted often stays.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernel/base/clock.hpp"
#include "kernel/process/lock_owners.hpp"

namespace mansio::process {

// One each `interval`, room for `burst`. The product is no more than kLongestNumber.
struct TokenRate {
  Nanos interval = 1;      // 1 ns at least
  std::int64_t burst = 1;  // 1 at least
};

inline constexpr Nanos kLongestNumber = 36'500 * std::int64_t{86'400} * kSecond;  // a hundred years

class NumberTable {
 public:
  static constexpr std::size_t kBuckets = 1u << 16, kRows = 15;  // kRows keys in each
  static constexpr std::uint32_t kMostCounters = 10'000;
  static constexpr std::uint64_t kMost =
      (std::uint64_t{1} << 40) - 1;  // of a key in a window's length; no more is counted

  // Who counts: one process, with any number of threads.
  struct Caller {
    const LockOwners &owners;
    std::uint64_t id;
  };

  // Keys are keyed hashes, of what is counted as well as of the key; not 0. Times are monotonic, and not negative.

  // The new value; nothing: there are too many.
  std::optional<std::int64_t> add(std::uint64_t counter, std::int64_t n);
  std::int64_t read(std::uint64_t counter) const;

  // What there was within the last `length` (1 ns at least, kLongestNumber at most), these `n` included; nothing: they
  // could not be counted. No two callers are told of the same n.
  std::optional<double> add(const Caller &caller, std::uint64_t key, Nanos length, std::uint64_t n, Nanos now);
  double count(std::uint64_t key, Nanos length, Nanos now) const;

  // Takes `n` of at most `burst`, if they are all there: 0. Otherwise nothing, and how long it takes until they are.
  // What cannot be counted is given.
  Nanos take(const Caller &caller, std::uint64_t key, TokenRate rate, std::int64_t n, Nanos now);
  std::int64_t available(std::uint64_t key, TokenRate rate, Nanos now) const;

 private:
  struct Row {
    std::atomic<std::uint64_t> key;  // 0: nobody's
    std::atomic<std::uint64_t> use;  // when it is over (ms, 48 bits), and how often it was counted (16 bits)
    std::atomic<std::uint64_t> words[2];
  };
  struct alignas(64) Bucket {
    std::atomic<std::uint64_t> lock;  // of who gives a row to another key (LockOwners); 0: nobody
    std::uint64_t unused[3];
    Row rows[kRows];
  };
  struct Counter {
    std::atomic<std::uint64_t> key;  // 0: nobody's. It never changes hands.
    std::atomic<std::int64_t> value;
  };
  static constexpr std::size_t kCounters = 1u << 14;
  static_assert(sizeof(Bucket) == 512);

  static std::size_t bucket_of(std::uint64_t key) { return static_cast<std::size_t>(key >> 40) % kBuckets; }
  Row *find(std::uint64_t key);
  const Row *find(std::uint64_t key) const;
  Row *enter(const Caller &caller, std::uint64_t key, Nanos ends, Nanos now);
  static void used(Row &row, Nanos ends, Nanos now);

  std::atomic<std::uint32_t> counters_used_;
  Counter counters_[kCounters];
  Bucket buckets_[kBuckets];
};

}  // namespace mansio::process
