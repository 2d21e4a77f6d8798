// ShapeTable: what qshape(1) prints, to the character: counts by domain and age, most mail first, right aligned to a
// screen's width. Made from the JSON lines of the queue's `qshape` answer.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::cli {

struct ShapeForm {
  unsigned buckets = 10;        // the last has no end
  double minutes = 5;           // of the first
  bool linear = false;          // all as wide as the first, instead of each twice the one before
  bool parents = false;         // count for parent domains as well
  unsigned min_subdomains = 5;  // parents with fewer are not shown
  unsigned width = 80;          // columns; fewer than 80 count as 80
  unsigned top = 0;             // lines below the head; 0: all
};

class ShapeTable {
 public:
  explicit ShapeTable(const ShapeForm &form);
  void add(std::string_view json_line);  // what is no row is left out
  // Head, TOTAL and the names; names of one count and one length by alphabet (Postfix's come in no order).
  std::string text() const;
  // The same rows, all of them and without TOTAL, as JSON lines.
  std::string json() const;

 private:
  using Counts = std::vector<std::uint64_t>;  // the total, then by age
  struct Row {
    Counts counts;
    std::string transport;    // of a destination
    unsigned subdomains = 0;  // of a parent
  };
  bool shown(const std::string &name, const Row &row) const;
  void add_to(const std::string &name, const Counts &counts);
  std::vector<std::pair<std::string, const Row *>> sorted() const;
  static void line(std::string &out, const std::string &name, std::size_t name_width,
                   const std::vector<std::string> &cells, const std::vector<std::size_t> &widths);

  ShapeForm form_;
  std::vector<std::string> head_;
  Row total_;
  bool destinations_ = false;
  std::map<std::string, Row> rows_;
};

}  // namespace mansio::cli
