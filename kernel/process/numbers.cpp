#include "kernel/process/numbers.hpp"

#include <algorithm>

namespace mansio::process {
namespace {

std::uint64_t not_zero(std::uint64_t hash) { return std::max<std::uint64_t>(hash, 1); }

enum class Counted : std::uint64_t { Counter = 1, Window, Rate };

// What is counted in another way has other keys: a window whose length changes begins anew.
HashKey varied(HashKey secret, Counted what, std::uint64_t a, std::uint64_t b) {
  return {secret.first ^ static_cast<std::uint64_t>(what) << 60 ^ a, secret.second ^ b};
}

std::uint64_t key_in(HashKey secret, std::string_view name, std::string_view key) {
  return not_zero(siphash({secret.first ^ siphash(secret, name), secret.second}, key));
}

}  // namespace

NumberTable &NumberTables::of(std::uint64_t tag) {
  const auto first = static_cast<std::size_t>(tag % kNumberTables);
  for (std::size_t i = 0; i < kNumberTables; ++i) {
    const auto at = (first + i) % kNumberTables;
    auto there = tags[at].load();
    if (there == tag || (there == 0 && (tags[at].compare_exchange_strong(there, tag) || there == tag)))
      return tables[at];
  }
  return tables[first];
}

Numbers::Numbers(NumberTables &all, HashKey secret, std::uint32_t slot, std::string_view instance)
    : Numbers(all, secret, slot, not_zero(siphash(secret, instance))) {}

Numbers::Numbers(NumberTables &all, HashKey secret, std::uint32_t slot, std::uint64_t tag)
    : table_(all.of(tag)), caller_{all.owners, all.owners.id(slot)}, secret_{secret.first ^ tag, secret.second} {}

std::uint64_t Numbers::counter_key(std::string_view name) const {
  return not_zero(siphash(varied(secret_, Counted::Counter, 0, 0), name));
}
std::uint64_t Numbers::window_key(std::string_view name, Nanos length, std::string_view key) const {
  return key_in(varied(secret_, Counted::Window, 0, static_cast<std::uint64_t>(length)), name, key);
}
std::uint64_t Numbers::rate_key(std::string_view name, TokenRate rate, std::string_view key) const {
  return key_in(
      varied(secret_, Counted::Rate, static_cast<std::uint64_t>(rate.burst), static_cast<std::uint64_t>(rate.interval)),
      name, key);
}

std::optional<std::int64_t> Numbers::add(std::string_view counter, std::int64_t n) {
  return table_.add(counter_key(counter), n);
}

std::int64_t Numbers::read(std::string_view counter) const { return table_.read(counter_key(counter)); }

std::optional<double> Numbers::add_to_window(std::string_view name, Nanos length, std::string_view key, std::uint64_t n,
                                             Nanos now) {
  return table_.add(caller_, window_key(name, length, key), length, n, now);
}

double Numbers::count_in_window(std::string_view name, Nanos length, std::string_view key, Nanos now) const {
  return table_.count(window_key(name, length, key), length, now);
}

Nanos Numbers::take(std::string_view name, TokenRate rate, std::string_view key, std::int64_t n, Nanos now) {
  return table_.take(caller_, rate_key(name, rate, key), rate, n, now);
}

std::int64_t Numbers::available(std::string_view name, TokenRate rate, std::string_view key, Nanos now) const {
  return table_.available(rate_key(name, rate, key), rate, now);
}

}  // namespace mansio::process
