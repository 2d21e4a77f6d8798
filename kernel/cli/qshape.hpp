// `mansio qshape`: which destinations the mail waits for, and for how long it has, in the form of Postfix's qshape(1).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernel/cli/instance.hpp"

namespace mansio::cli {

struct ShapeOrder {
  std::vector<std::string> states;  // none: incoming and active
  unsigned buckets = 10;
  unsigned width = 5;  // minutes
  bool linear = false;
  bool json = false;
};
int qshape_main(const Where &where, const ShapeOrder &order);

class ShapeTable {
 public:
  ShapeTable(unsigned buckets, unsigned width, bool linear);
  void add(std::string_view json_line);
  // Head, TOTAL, then the destinations, most mail first.
  std::string text() const;

 private:
  struct Row {
    std::string name;
    std::vector<std::int64_t> numbers;  // the total, then by age
  };
  std::vector<std::string> head_;
  std::vector<Row> rows_;
};

}  // namespace mansio::cli
