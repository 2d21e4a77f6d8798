// Tables: named key-value tables as everyone in the kernel asks them, whatever answers (plugins, combinations of them,
// a cache). There are three outcomes and not two: a table that cannot say must never look like a key that is not there.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.hpp"

namespace mansio::io {

struct TableAnswer {
  enum class Outcome : std::uint8_t { Found, NotFound, TryLater };
  Outcome outcome = Outcome::TryLater;
  std::vector<std::string> values;  // Found: at least one
  std::string text;                 // TryLater: why
  bool failed = false;              // TryLater: not the table said so, but its plugin died, hung or broke the rules
  Nanos ttl = 0;                    // how long it may be reused; 0 = as the table's settings say, < 0 = not at all

  bool found() const { return outcome == Outcome::Found; }
};

class Tables {
 public:
  virtual ~Tables() = default;
  virtual bool has(std::string_view table) const = 0;
  // `done` runs on the loop, once, perhaps before this returns. A table that does not exist answers TryLater.
  virtual void query(std::string_view table, std::string_view key, std::function<void(const TableAnswer &)> done) = 0;
};

}  // namespace mansio::io
