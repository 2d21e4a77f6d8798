// Start and number of a unit's events are one word, which changes as a whole: no process ever sees, or leaves behind
// when it dies, a number that belongs to another unit.
//
// A row is given to another client in the order claim, no client, empty words, new client, unclaim. Whoever counts
// reads the word, then sees that the row is still its client's, then exchanges the word; had the row changed hands
// after that look, the word would be another one, because empty words carry the time at which they were emptied. So
// nothing is counted on the wrong client, but for an exchange that is begun before, and ended after, a change of hands
// in which the row was empty both times in the same millisecond: that is one event too many.
//
// Two processes that enter a new client at once may use two rows. Everybody counts on the first, so each of the others
// has lost one event.
#include "kernel/process/rates.hpp"

#include <algorithm>

namespace mansio::process {
namespace {

constexpr int kTries = 16;  // others changed the row in between
constexpr unsigned kCountBits = 24;

constexpr std::uint64_t start_of(std::uint64_t word) { return word >> kCountBits; }
constexpr std::uint32_t number_of(std::uint64_t word) { return static_cast<std::uint32_t>(word & RateTable::kMost); }
constexpr std::uint64_t event_word(std::uint64_t start_ms, std::uint32_t number) {
  return start_ms << kCountBits | number;
}

// Another process may have looked at the clock a moment after us.
bool under_way(std::uint64_t word, std::uint64_t unit_ms, std::uint64_t now_ms) {
  return number_of(word) != 0 && (start_of(word) > now_ms || now_ms - start_of(word) < unit_ms);
}

std::uint64_t whole_ms(Nanos t) { return static_cast<std::uint64_t>(std::max<Nanos>(t, 0) / kMillisecond); }
std::uint64_t unit_in_ms(Nanos unit) { return std::clamp<std::uint64_t>(whole_ms(unit), 1, UINT32_MAX); }

}  // namespace

static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(RateTable::kMost == (1u << kCountBits) - 1);

std::uint32_t RateTable::row_at(std::uint64_t client, std::uint32_t i) {
  return (static_cast<std::uint32_t>(client >> 40) + i) % kRows;
}

std::uint32_t RateTable::find(std::uint64_t client) const {
  for (std::uint32_t i = 0; i < kWindow; ++i)
    if (const auto row = row_at(client, i); clients_[row].load() == client) return row;
  return kNowhere;
}

// How many events would be forgotten with the row.
std::uint64_t RateTable::events_of(std::uint32_t row, std::uint64_t now_ms) const {
  if (clients_[row].load() == 0) return 0;
  const auto unit = units_[row].load();
  std::uint64_t n = 0;
  for (const auto &e : events_[row])
    if (const auto word = e.load(); under_way(word, unit, now_ms)) n += number_of(word);
  return n;
}

void RateTable::enter(std::uint32_t slot, std::uint64_t client, std::uint64_t unit_ms, std::uint64_t now_ms) {
  auto least = kNowhere;
  std::uint64_t events = 0, since = 0;
  for (std::uint32_t i = 0; i < kWindow; ++i) {
    const auto row = row_at(client, i);
    if (claims_[row].load() != 0) continue;
    const auto n = events_of(row, now_ms);
    std::uint64_t begun = 0;
    for (const auto &e : events_[row]) begun = std::max(begun, start_of(e.load()));
    if (least != kNowhere && (n > events || (n == events && begun >= since))) continue;
    least = row;
    events = n;
    since = begun;
  }
  std::uint32_t unclaimed = 0;
  if (least == kNowhere || !claims_[least].compare_exchange_strong(unclaimed, slot + 1)) return;
  if (events_of(least, now_ms) <= events) {
    clients_[least].store(0);
    for (auto &e : events_[least]) e.store(event_word(now_ms, 0));
    units_[least].store(static_cast<std::uint32_t>(unit_ms));
    clients_[least].store(client);
  }
  claims_[least].store(0);
}

// 0: the row is another's now.
std::uint32_t RateTable::add(std::uint32_t row, std::uint64_t client, ClientEvent event, std::uint64_t unit_ms,
                             std::uint64_t now_ms) {
  auto &word = events_[row][static_cast<std::size_t>(event)];
  for (int i = 0; i < kTries; ++i) {
    auto was = word.load();
    if (clients_[row].load() != client) return 0;
    auto next = event_word(now_ms, 1);
    if (under_way(was, unit_ms, now_ms)) {
      if (number_of(was) == kMost) return kMost;
      next = was + 1;
    }
    if (!word.compare_exchange_strong(was, next)) continue;
    // Other than it was after a reload.
    if (units_[row].load() != unit_ms) units_[row].store(static_cast<std::uint32_t>(unit_ms));
    return number_of(next);
  }
  return 0;
}

std::uint32_t RateTable::count(std::uint32_t slot, std::uint64_t client, ClientEvent event, RateTime time) {
  const auto now_ms = whole_ms(time.now), unit_ms = unit_in_ms(time.unit);
  for (int i = 0; i < kTries; ++i) {
    const auto row = find(client);
    if (row == kNowhere)
      enter(slot, client, unit_ms, now_ms);
    else if (const auto n = add(row, client, event, unit_ms, now_ms); n != 0)
      return n;
  }
  return 0;
}

std::uint32_t RateTable::counted(std::uint64_t client, ClientEvent event, RateTime time) const {
  const auto row = find(client);
  if (row == kNowhere) return 0;
  const auto word = events_[row][static_cast<std::size_t>(event)].load();
  if (clients_[row].load() != client) return 0;
  return under_way(word, unit_in_ms(time.unit), whole_ms(time.now)) ? number_of(word) : 0;
}

void RateTable::release_slot(std::uint32_t slot) {
  for (auto &claim : claims_) {
    std::uint32_t dead = slot + 1;
    if (claim.load() == dead) claim.compare_exchange_strong(dead, 0);
  }
}

}  // namespace mansio::process
