// A key's state is in words that change as a whole, so no process sees, or leaves behind, one that is half changed.
//
// A window of length L has the counts of the periods [k L, (k + 1) L) in two words, that of the even ones and that of
// the odd ones: 24 bits of k, 40 bits of count. The newer of two neighbours counts in full, the older for the part of
// it that is still within L. A period needs no step that ends it: whoever comes first in the next one replaces the word
// of the last but one. (24 bits come round after 4.6 hours for the shortest windows of scripts, 1 ms, and after 194
// days for 1 s; a key that nobody counted meanwhile would have to be asked for in just that period, or within kLate
// before it.)
//
// A token bucket is the time at which it will be full again (the generic cell rate algorithm), one word.
//
// Whoever counts reads the word, then sees that the row is still its key's, then exchanges the word. A row is given to
// another key under the bucket's lock in the order no key, empty words, new key. Empty words bear a salt: had the row
// changed hands after that look, the word would be another one and the exchange would fail.
#include "kernel/process/number_table.hpp"

#include <algorithm>
#include <thread>

namespace mansio::process {
namespace {

constexpr int kCountTries = 64;         // others changed the row in between
constexpr int kLockTries = 1'000;       // and as often the processor is given to others
constexpr std::size_t kProbes = 1'024;  // of a counter
constexpr Nanos kLate = kSecond;        // between somebody's look at the clock and his count

// ---- words -------------------------------------------------------------------------------------------------------

constexpr unsigned kPeriodShift = 40, kHitBits = 16;
constexpr std::uint64_t kPeriodMask = (1u << 24) - 1, kMostHits = (1u << kHitBits) - 1;
constexpr std::uint64_t kEmptyBucket = std::uint64_t{1} << 63;  // no time of ours has it

constexpr std::uint64_t period_in(std::uint64_t word) { return word >> kPeriodShift; }
constexpr std::uint64_t count_in(std::uint64_t word) { return word & NumberTable::kMost; }
constexpr std::uint64_t window_word(std::uint64_t period, std::uint64_t count) {
  return (period & kPeriodMask) << kPeriodShift | count;
}
// For a window and for a bucket.
constexpr std::uint64_t empty_word(std::uint64_t salt) { return kEmptyBucket | (salt & kPeriodMask) << kPeriodShift; }

// Of the period `period`.
std::uint64_t counted_in(std::uint64_t word, std::uint64_t period) {
  return period_in(word) == (period & kPeriodMask) ? count_in(word) : 0;
}
// A process that looked at the clock before others did finds a later one. What is ahead by more than that is an old one
// from before the bits came round, and would be counted on until they are there.
bool is_later(std::uint64_t word, std::uint64_t period, Nanos length) {
  const auto ahead = (period_in(word) - period) & kPeriodMask;
  const auto most = std::min<std::uint64_t>(static_cast<std::uint64_t>(kLate / length) + 2, kPeriodMask / 2);
  return count_in(word) != 0 && ahead != 0 && ahead <= most;
}
double sliding(std::uint64_t current, std::uint64_t last, Nanos length, Nanos now) {
  const auto gone = static_cast<double>(now % length) / static_cast<double>(length);
  return static_cast<double>(current) + static_cast<double>(last) * (1 - gone);
}

// Of a token bucket; one in the past means that it is full.
Nanos full_at(std::uint64_t word) { return word >= kEmptyBucket ? 0 : static_cast<Nanos>(word); }

std::uint64_t in_ms(Nanos t) { return static_cast<std::uint64_t>(t / kMillisecond); }
constexpr std::uint64_t ends_in(std::uint64_t use) { return use >> kHitBits; }
constexpr std::uint64_t hits_in(std::uint64_t use) { return use & kMostHits; }
constexpr std::uint64_t use_word(std::uint64_t ends_ms, std::uint64_t hits) { return ends_ms << kHitBits | hits; }

// ---- locks -------------------------------------------------------------------------------------------------------

class BucketLock {
 public:
  BucketLock(std::atomic<std::uint64_t> &word, const NumberTable::Caller &caller) : word_(word), mine_(caller.id) {
    for (int i = 0; i < kLockTries && !held_; ++i) {
      std::uint64_t holder = 0;
      held_ = word_.compare_exchange_strong(holder, mine_) ||
              (!caller.owners.alive(holder) && word_.compare_exchange_strong(holder, mine_));
      if (!held_) std::this_thread::yield();
    }
  }
  ~BucketLock() {
    if (held_) word_.store(0);
  }
  BucketLock(const BucketLock &) = delete;
  BucketLock &operator=(const BucketLock &) = delete;
  explicit operator bool() const { return held_; }

 private:
  std::atomic<std::uint64_t> &word_;
  const std::uint64_t mine_;
  bool held_ = false;
};

}  // namespace

static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<std::int64_t>::is_always_lock_free &&
              std::atomic<std::uint32_t>::is_always_lock_free);

// ---- rows --------------------------------------------------------------------------------------------------------

const NumberTable::Row *NumberTable::find(std::uint64_t key) const {
  for (const auto &row : buckets_[bucket_of(key)].rows)
    if (row.key.load() == key) return &row;
  return nullptr;
}

NumberTable::Row *NumberTable::find(std::uint64_t key) {
  for (auto &row : buckets_[bucket_of(key)].rows)
    if (row.key.load() == key) return &row;
  return nullptr;
}

// Null: somebody stands still with the lock. Of two who enter a key at once the second finds it. It counts as used
// once.
NumberTable::Row *NumberTable::enter(const Caller &caller, std::uint64_t key, Nanos ends, Nanos now) {
  auto &bucket = buckets_[bucket_of(key)];
  const BucketLock lock{bucket.lock, caller};
  if (!lock) return nullptr;
  if (auto *const there = find(key)) return there;
  const auto salt = key ^ static_cast<std::uint64_t>(now) * 0x9E3779B97F4A7C15ULL >> 40;
  Row *least = nullptr;
  std::uint64_t fewest = 0, soonest = 0;
  for (std::size_t i = 0; i < kRows; ++i) {
    auto &row = bucket.rows[(salt + i) % kRows];  // of those that are alike not always the same one
    const auto use = row.use.load();
    const bool is_free = row.key.load() == 0 || ends_in(use) <= in_ms(now);
    const auto hits = is_free ? 0 : hits_in(use);
    if (least && (hits > fewest || (hits == fewest && ends_in(use) >= soonest))) continue;
    least = &row;
    fewest = hits;
    soonest = ends_in(use);
  }
  least->key.store(0);
  for (auto &word : least->words) word.store(empty_word(salt));
  least->use.store(use_word(in_ms(ends) + 1, 1));
  least->key.store(key);
  return least;
}

void NumberTable::used(Row &row, Nanos ends, Nanos now) {
  auto was = row.use.load();
  for (int i = 0; i < 4; ++i) {
    const bool over = ends_in(was) <= in_ms(now);
    const auto next =
        use_word(std::max(ends_in(was), in_ms(ends) + 1), over ? 1 : std::min(hits_in(was) + 1, kMostHits));
    if (next == was || row.use.compare_exchange_weak(was, next)) return;
  }
}

// ---- counters ----------------------------------------------------------------------------------------------------

std::optional<std::int64_t> NumberTable::add(std::uint64_t counter, std::int64_t n) {
  for (std::size_t i = 0; i < kProbes; ++i) {
    auto &c = counters_[(static_cast<std::size_t>(counter >> 40) + i) % kCounters];
    auto there = c.key.load();
    if (there == 0) {
      if (counters_used_.load() >= kMostCounters) return std::nullopt;
      if (c.key.compare_exchange_strong(there, counter)) {
        counters_used_.fetch_add(1);
        there = counter;
      }
    }
    if (there != counter) continue;
    const auto before = static_cast<std::uint64_t>(c.value.fetch_add(n));
    return static_cast<std::int64_t>(before + static_cast<std::uint64_t>(n));
  }
  return std::nullopt;
}

std::int64_t NumberTable::read(std::uint64_t counter) const {
  for (std::size_t i = 0; i < kProbes; ++i) {
    const auto &c = counters_[(static_cast<std::size_t>(counter >> 40) + i) % kCounters];
    const auto there = c.key.load();
    if (there == counter) return c.value.load();
    if (there == 0) break;
  }
  return 0;
}

// ---- windows -----------------------------------------------------------------------------------------------------

std::optional<double> NumberTable::add(const Caller &caller, std::uint64_t key, Nanos length, std::uint64_t n,
                                       Nanos now) {
  if (n == 0) return count(key, length, now);
  const auto period = static_cast<std::uint64_t>(now / length);
  const auto ends = now - now % length + 2 * length;
  for (int i = 0; i < kCountTries; ++i) {
    auto *row = find(key);
    const bool known = row != nullptr;
    if (!known) row = enter(caller, key, ends, now);
    if (!row) break;
    auto &word = row->words[period % 2];
    auto was = word.load();
    const auto other = row->words[(period + 1) % 2].load();
    if (row->key.load() != key) continue;
    const bool late = is_later(was, period, length);
    const auto in = late ? period_in(was) : period;
    const auto current = std::min(counted_in(was, in) + std::min(n, kMost), kMost);
    if (!word.compare_exchange_strong(was, window_word(in, current))) continue;
    if (known) used(*row, ends, now);
    return late ? static_cast<double>(current) : sliding(current, counted_in(other, period - 1), length, now);
  }
  return std::nullopt;
}

double NumberTable::count(std::uint64_t key, Nanos length, Nanos now) const {
  const auto *const row = find(key);
  if (!row) return 0;
  const auto period = static_cast<std::uint64_t>(now / length);
  const auto current = row->words[period % 2].load(), last = row->words[(period + 1) % 2].load();
  if (row->key.load() != key) return 0;
  return sliding(counted_in(current, period), counted_in(last, period - 1), length, now);
}

// ---- token buckets -----------------------------------------------------------------------------------------------

Nanos NumberTable::take(const Caller &caller, std::uint64_t key, TokenRate rate, std::int64_t n, Nanos now) {
  const auto most = now + rate.burst * rate.interval;
  for (int i = 0; i < kCountTries; ++i) {
    auto *row = find(key);
    const bool known = row != nullptr;
    if (!known) {
      if (n == 0) return 0;
      row = enter(caller, key, now + n * rate.interval, now);
    }
    if (!row) break;
    auto &word = row->words[0];
    auto was = word.load();
    if (row->key.load() != key) continue;
    const auto then = std::max(full_at(was), now) + n * rate.interval;
    if (then > most) return then - most;
    if (n == 0) return 0;
    if (!word.compare_exchange_strong(was, static_cast<std::uint64_t>(then))) continue;
    if (known) used(*row, then, now);
    return 0;
  }
  return 0;
}

std::int64_t NumberTable::available(std::uint64_t key, TokenRate rate, Nanos now) const {
  const auto *const row = find(key);
  if (!row) return rate.burst;
  const auto word = row->words[0].load();
  if (row->key.load() != key || full_at(word) <= now) return rate.burst;
  return std::max<std::int64_t>((now + rate.burst * rate.interval - full_at(word)) / rate.interval, 0);
}

}  // namespace mansio::process
