// Shape: how many messages or recipients wait, by domain and by the age of their mail. It shows who holds the queue up,
// as Postfix's qshape(1) does, and is made from the index alone: an envelope is read only for recipients of several
// domains that share a next hop, so that it costs a fraction of a second for a million messages.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/base/result.hpp"

namespace mansio::queue {

// Of `count` buckets the first holds what is younger than `width` minutes, the next twice as much and so on (or as much
// again, if linear), the last whatever is older.
struct Buckets {
  static constexpr unsigned kMost = 1000;
  unsigned count = 10;
  double width = 5;  // minutes
  bool linear = false;

  std::vector<Nanos> ends() const;  // of all but the last
};

// What is counted: recipients by their domain, messages by their sender's, or recipients by what the scheduler takes
// for a destination, that is transport and next hop.
enum class ShapeBy : std::uint8_t { Recipient, Sender, Destination };
std::optional<ShapeBy> parse_shape_by(std::string_view text);  // "recipient", "sender", "destination"

class Shape {
 public:
  Shape(const Buckets &buckets, ShapeBy by) : ends_(buckets.ends()), by_(by) {}

  // `hint`: the same number mostly means the same names; kNoHint if there is none. `transport` only of destinations.
  static constexpr std::uint32_t kNoHint = UINT32_MAX;
  void add(std::uint32_t hint, std::string_view transport, std::string_view name, Nanos age, std::uint32_t n);
  ShapeBy by() const { return by_; }
  // Appends rows, each a JSON line, until `out` has `enough` bytes; false: that was all.
  bool rows(std::string &out, std::size_t enough);

 private:
  struct Row {
    std::string transport, name;
    std::vector<std::pair<std::uint32_t, std::uint64_t>> ages;  // of buckets that hold any, the youngest first
    bool is(std::string_view t, std::string_view n) const { return name == n && transport == t; }
  };
  Row &row(std::uint32_t hint, std::string_view transport, std::string_view name);

  std::vector<Nanos> ends_;
  ShapeBy by_;
  std::deque<Row> rows_;
  std::unordered_map<std::string, std::uint32_t> by_name_;
  std::vector<std::uint32_t> by_hint_;  // index in rows_, or beyond: none
  std::size_t written_ = 0;
};

}  // namespace mansio::queue
