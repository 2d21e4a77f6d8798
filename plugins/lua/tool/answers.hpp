// Answers: what tables and the DNS said while sessions were recorded, to be said again. A question that was asked more
// than once has the answer of the time that is nearest.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "mansio/testing/fake_records.hpp"

namespace mansio::lua::tool {

class Answers {
 public:
  // A line of told.hpp, as a script was told at that time (ns since 1970). One that cannot be read is passed over.
  void add(std::int64_t at, std::string_view told);
  void sort();  // after all were added

  std::optional<mansio::testing::FakeTableAnswer> table(std::string_view table, std::string_view key,
                                                        std::int64_t at) const;
  std::optional<mansio::testing::FakeDnsAnswer> dns(std::string_view name, std::uint16_t type, std::int64_t at) const;

 private:
  struct Answer {
    std::int64_t at;
    mansio_status status;
    std::vector<std::string> values;  // or why there is none
  };
  const Answer *nearest(const std::string &question, std::int64_t at) const;

  std::map<std::string, std::vector<Answer>, std::less<>> answers_;  // by question
};

// "MX"; "" for a type that scripts cannot ask for.
std::string_view dns_type_name(std::uint16_t type);

}  // namespace mansio::lua::tool
