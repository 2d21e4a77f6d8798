// mansio/text_table.hpp: tables as text, in the syntax of Postfix's table files (postmap(1)). Header-only and pure.
//
// - Blank lines, and lines whose first character that is not blank is '#', do not count, wherever they stand.
// - A line that begins with white space goes on with the logical line before it.
// - An entry is a key, white space, and a value. Within double quotes in a key white space does not end it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mansio::plugin {

struct TextTableProblem {
  std::size_t line;  // from 1; 0: the table as a whole
  std::string text;
};

struct LogicalLine {
  std::size_t number;  // of its first line, from 1
  std::string text;    // neither empty nor with white space at either end
};

struct TableEntry {
  std::size_t line;
  std::string key;
  std::string value;
};

namespace text_table {

inline bool blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
inline std::string_view trim_right(std::string_view text) {
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}
inline std::string_view trim(std::string_view text) {
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  return trim_right(text);
}

}  // namespace text_table

inline std::vector<LogicalLine> logical_lines(std::string_view text, std::vector<TextTableProblem> &problems) {
  std::vector<LogicalLine> lines;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    const auto line = text_table::trim_right(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const auto content = text_table::trim(line);
    if (content.empty() || content.front() == '#') continue;
    if (line.find('\0') != std::string_view::npos) {
      problems.push_back({number, "has a NUL byte, expected text"});
    } else if (!text_table::blank(line.front())) {
      lines.push_back({number, std::string{line}});
    } else if (lines.empty()) {
      problems.push_back({number, "begins with white space, which goes on with the line before, but there is none"});
    } else {
      lines.back().text += line;
    }
  }
  return lines;
}

// The entry of a line of a key-value table; nothing, and a problem, when it has none.
inline std::optional<TableEntry> table_entry(const LogicalLine &line, std::vector<TextTableProblem> &problems) {
  bool quoted = false;
  std::size_t end = 0;
  for (; end < line.text.size() && (quoted || !text_table::blank(line.text[end])); ++end) {
    if (line.text[end] == '\\' && end + 1 < line.text.size())
      ++end;
    else if (line.text[end] == '"')
      quoted = !quoted;
  }
  const std::string_view text{line.text};
  if (quoted) return problems.push_back({line.number, "has a \" that is not closed in its key"}), std::nullopt;
  const auto value = text_table::trim(text.substr(end));
  if (value.empty()) return problems.push_back({line.number, "has no value, expected: key value"}), std::nullopt;
  return TableEntry{line.number, std::string{text.substr(0, end)}, std::string{value}};
}

// All entries of a key-value table, in their order.
inline std::vector<TableEntry> table_entries(std::string_view text, std::vector<TextTableProblem> &problems) {
  std::vector<TableEntry> entries;
  for (const auto &line : logical_lines(text, problems))
    if (auto entry = table_entry(line, problems)) entries.push_back(std::move(*entry));
  return entries;
}

}  // namespace mansio::plugin
