// Numbers of plugins that all processes share. NumberTables lies in the shared memory (shared.hpp); Numbers is what one
// process has of one instance: names and keys as text, which are kept as keyed hashes.
//
// An instance is known by a name, which stays the same over reloads and processes; so do its numbers, as long as the
// supervisor lives. The first kNumberTables instances that ever ask have a table each, of NumberTable's size, of which
// pages take memory once they are used; later ones share those, and then only room, not numbers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "kernel/base/clock.hpp"
#include "kernel/base/siphash.hpp"
#include "kernel/process/lock_owners.hpp"
#include "kernel/process/number_table.hpp"

namespace mansio::process {

inline constexpr std::size_t kNumberTables = 16;

struct NumberTables {
  std::atomic<std::uint64_t> tags[kNumberTables];  // of instances; 0: free. It never changes hands.
  LockOwners owners;
  NumberTable tables[kNumberTables];

  NumberTable &of(std::uint64_t tag);  // not 0
};

// Borrows from the shared memory. Any thread. Limits of arguments as NumberTable's.
class Numbers {
 public:
  Numbers(NumberTables &all, HashKey secret, std::uint32_t slot, std::string_view instance);

  std::optional<std::int64_t> add(std::string_view counter, std::int64_t n);
  std::int64_t read(std::string_view counter) const;
  std::optional<double> add_to_window(std::string_view name, Nanos length, std::string_view key, std::uint64_t n,
                                      Nanos now);
  double count_in_window(std::string_view name, Nanos length, std::string_view key, Nanos now) const;
  Nanos take(std::string_view name, TokenRate rate, std::string_view key, std::int64_t n, Nanos now);
  std::int64_t available(std::string_view name, TokenRate rate, std::string_view key, Nanos now) const;

 private:
  Numbers(NumberTables &all, HashKey secret, std::uint32_t slot, std::uint64_t tag);
  std::uint64_t counter_key(std::string_view name) const;
  std::uint64_t window_key(std::string_view name, Nanos length, std::string_view key) const;
  std::uint64_t rate_key(std::string_view name, TokenRate rate, std::string_view key) const;

  NumberTable &table_;
  NumberTable::Caller caller_;
  HashKey secret_;  // of the instance
};

}  // namespace mansio::process
