#include "kernel/process/rests.hpp"

#include <algorithm>

#include "kernel/process/slots.hpp"

namespace mansio::process {
namespace {

constexpr Nanos kMicros = 1'000;
constexpr std::uint64_t kResting = 0, kRecovered = 0xFF;
static_assert(kSlots + 1 < kRecovered);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

constexpr std::uint64_t word_of(Nanos time, std::uint64_t who) {
  return static_cast<std::uint64_t>(std::max<Nanos>(time, 0) / kMicros) << 8 | who;
}
constexpr Nanos time_of(std::uint64_t word) { return static_cast<Nanos>(word >> 8) * kMicros; }
constexpr std::uint64_t who_of(std::uint64_t word) { return word & 0xFF; }

}  // namespace

const RestTable::Entry *RestTable::find(std::uint64_t instance) const {
  const auto used = std::min(used_.load(std::memory_order_acquire), kEntries);
  for (std::uint32_t i = 0; i < used; ++i)
    if (entries_[i].instance.load(std::memory_order_acquire) == instance) return &entries_[i];
  return nullptr;
}

RestTable::Leave RestTable::ask(std::uint64_t instance, std::uint32_t slot, Nanos now, Nanos patience) {
  auto *const entry = find(instance);
  if (!entry) return Leave::Free;
  auto word = entry->word.load();
  if (who_of(word) == kRecovered) return Leave::Free;
  if (now < time_of(word)) return who_of(word) == slot + 1 ? Leave::Yours : Leave::No;
  return entry->word.compare_exchange_strong(word, word_of(now + patience, slot + 1)) ? Leave::Begun : Leave::No;
}

bool RestTable::recovered(std::uint64_t instance, std::uint32_t slot, Nanos now) {
  auto *const entry = find(instance);
  if (!entry) return false;
  auto word = entry->word.load();
  return who_of(word) == slot + 1 && entry->word.compare_exchange_strong(word, word_of(now, kRecovered));
}

std::optional<RestTable::State> RestTable::state(std::uint64_t instance) const {
  const auto *const entry = find(instance);
  if (!entry) return std::nullopt;
  const auto word = entry->word.load();
  const auto who = who_of(word);
  if (who == kResting) return State{State::Kind::Resting, time_of(word), 0};
  if (who == kRecovered) return State{State::Kind::Recovered, time_of(word), 0};
  return State{State::Kind::Trying, time_of(word), static_cast<std::uint32_t>(who - 1)};
}

bool RestTable::rest(std::uint64_t instance, Nanos until) {
  const auto word = word_of(until, kResting);
  if (auto *const entry = find(instance)) {
    entry->word.store(word);
    return true;
  }
  for (std::uint32_t i = 0; i < kEntries; ++i) {
    auto &entry = entries_[i];
    if (entry.instance.load() != 0) continue;
    entry.word.store(word);
    entry.instance.store(instance, std::memory_order_release);
    if (used_.load() <= i) used_.store(i + 1, std::memory_order_release);
    return true;
  }
  return false;
}

void RestTable::forget(std::uint64_t instance) {
  if (auto *const entry = find(instance)) entry->instance.store(0);
}

}  // namespace mansio::process
