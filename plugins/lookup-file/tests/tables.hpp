// Short ways to parse and ask a table.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/lookup-file/tables/table.hpp"

namespace mansio::lookup {

inline std::unique_ptr<const MemoryTable> good(TableType type, std::string_view text) {
  auto parsed = parse_table(type, text, true);
  for (const auto &p : parsed.problems) ADD_FAILURE() << p.line << ' ' << p.text;
  return std::move(parsed.table);
}

// "LINE TEXT" of each.
inline std::vector<std::string> problems(TableType type, std::string_view text) {
  std::vector<std::string> out;
  const auto parsed = parse_table(type, text, true);
  EXPECT_EQ(parsed.table != nullptr, parsed.problems.empty());
  out.reserve(parsed.problems.size());
  for (const auto &p : parsed.problems) out.push_back(std::to_string(p.line) + ' ' + p.text);
  return out;
}

// The value, "-" for not found, "later".
inline std::string value(const MemoryTable &table, std::string_view key) {
  const auto answer = table.lookup(key);
  if (answer.outcome == Answer::Outcome::TryLater) return "later";
  return answer.outcome == Answer::Outcome::Found ? answer.values.at(0) : "-";
}

}  // namespace mansio::lookup
