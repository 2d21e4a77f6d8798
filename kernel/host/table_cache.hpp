// TableCache: answers of tables that may be used again, for as long as their time to live says and within a limit of
// memory; what was used longest ago goes first. "Try later" is never kept. Pure: the caller has the clock.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "kernel/io/tables.hpp"

namespace mansio::host {

class TableCache {
 public:
  explicit TableCache(std::size_t limit) : limit_(limit) {}

  // Valid until the next put(); null when there is none that is fresh.
  const io::TableAnswer *find(std::string_view table, std::string_view key, Nanos now);
  void put(std::string_view table, std::string_view key, const io::TableAnswer &answer, Nanos ttl, Nanos now);

  std::size_t bytes() const { return bytes_; }
  std::size_t size() const { return index_.size(); }
  std::uint64_t hits() const { return hits_; }
  std::uint64_t misses() const { return misses_; }

 private:
  struct Entry {
    std::string name;  // table, NUL, key
    io::TableAnswer answer;
    Nanos until;
    std::size_t bytes;
  };
  using Entries = std::list<Entry>;  // the latest used first
  void erase(Entries::iterator entry);

  const std::size_t limit_;
  Entries entries_;
  std::unordered_map<std::string_view, Entries::iterator> index_;  // views into the entries' names
  std::string probe_;
  std::size_t bytes_ = 0;
  std::uint64_t hits_ = 0, misses_ = 0;
};

}  // namespace mansio::host
