// Shape: how many recipients wait for each destination, by the age of their mail. It shows which destinations hold the
// queue up, as Postfix's qshape(1) does, and is made from the index alone: no envelope is read, so that it costs a
// fraction of a second for a million messages. A destination is what the scheduler takes for one: transport and next
// hop.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/base/result.hpp"

namespace mansio::queue {

// The upper ends of the buckets, in minutes: `width`, twice that, four times … (or twice, three times … if linear).
// What is older than the last has a bucket of its own.
struct Buckets {
  static constexpr unsigned kMost = 64;
  unsigned count = 10;
  unsigned width = 5;  // minutes
  bool linear = false;

  std::vector<Nanos> ends() const;
};

class Shape {
 public:
  explicit Shape(const Buckets &buckets) : ends_(buckets.ends()) {}

  // `destination` is a hint: the same number mostly means the same names.
  void add(std::uint32_t destination, std::string_view transport, std::string_view nexthop, Nanos age,
           std::uint32_t recipients);
  // Appends rows, each a JSON line, until `out` has `enough` bytes; false: that was all.
  bool rows(std::string &out, std::size_t enough);

 private:
  struct Row {
    std::string transport, nexthop;
    std::vector<std::uint64_t> ages;
    bool is(std::string_view t, std::string_view n) const { return nexthop == n && transport == t; }
  };
  Row &row(std::uint32_t destination, std::string_view transport, std::string_view nexthop);

  std::vector<Nanos> ends_;
  std::deque<Row> rows_;
  std::unordered_map<std::string, std::uint32_t> by_name_;
  std::vector<std::uint32_t> by_destination_;  // index in rows_, or beyond: none
  std::size_t written_ = 0;
};

}  // namespace mansio::queue
