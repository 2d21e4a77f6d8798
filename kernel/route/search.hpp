// Search: how everything between RCPT and the route asks tables. One search is one client's command or one request of
// the queue: it has a deadline for all its questions together, because a client does not wait for ever.
//
// Three outcomes, always: found, not found, try later. The third ends a search at once, whatever other tables would
// have said, for a table that cannot say may be the one that would have found it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/tables.hpp"
#include "kernel/route/keys.hpp"

namespace mansio::route {

// The tables of one use, in the order in which they are asked.
class MapList {
 public:
  MapList() = default;
  MapList(const config::Settings &settings, std::span<const std::string> names);
  bool empty() const { return tables_.empty(); }

  struct Table {
    std::string name;
    bool partial_keys;  // of its own, and of all that it is combined of
  };
  const std::vector<Table> &tables() const { return tables_; }

 private:
  std::vector<Table> tables_;
};

struct Found {
  using Outcome = io::TableAnswer::Outcome;
  Outcome outcome = Outcome::NotFound;
  bool without_extension = false;   // by a key that has none
  std::string table;                // that found it, or cannot say
  std::vector<std::string> values;  // at least one, when found
  std::string text;                 // try later: why

  bool found() const { return outcome == Outcome::Found; }
  bool later() const { return outcome == Outcome::TryLater; }
};

// gcc 12 destroys a temporary twice that is given to a coroutine in a co_await: what is passed by value here is moved from
// a variable.
class Search {
 public:
  Search(asio::io_context &loop, const Clock &clock, io::Tables &tables);

  // Each key in each table before the next key.
  Task<Found> by_key(const MapList &maps, Keys keys);
  // All keys in one table.
  Task<Found> in_table(const MapList::Table &table, const Keys &keys);

  // Nobody waits for it any more: what is asked now, and all that would still be, is answered "try later" at once, and
  // the tables are not touched again.
  void stop();

  std::uint64_t asked() const { return asked_; }

 private:
  struct Question;
  Task<io::TableAnswer> ask(const std::string &table, std::string key);
  Task<bool> settled(Found &out, const MapList::Table &table, const Key &key);

  asio::io_context &loop_;
  const Clock &clock_;
  io::Tables &tables_;
  Nanos deadline_;
  bool stopped_ = false;
  std::uint64_t asked_ = 0;
  std::weak_ptr<Question> question_;  // the one that is waited for
};

}  // namespace mansio::route
