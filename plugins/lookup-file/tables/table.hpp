// Tables that lie in memory, parsed from text in Postfix's syntax. Pure. Immutable once parsed, so any thread may look
// up.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "mansio/text_table.hpp"
#include "plugins/lookup-common/answer.hpp"

namespace mansio::lookup {

class MemoryTable {
 public:
  virtual ~MemoryTable() = default;
  virtual Answer lookup(std::string_view key) const = 0;
};

enum class TableType {
  Text,    // key and value
  Cidr,    // cidr_table(5)
  Regexp,  // regexp_table(5): POSIX extended expressions
  Pcre,    // pcre_table(5)
};

struct ParsedTable {
  std::unique_ptr<const MemoryTable> table;  // nullptr when there are problems
  std::vector<plugin::TextTableProblem> problems;
};
// `fold_case`: of Text, keys that differ in the case of ASCII letters are one.
ParsedTable parse_table(TableType type, std::string_view text, bool fold_case);

// The single ones.
ParsedTable parse_text_table(std::string_view text, bool fold_case);
ParsedTable parse_cidr_table(std::string_view text);
ParsedTable parse_regexp_table(std::string_view text);
ParsedTable parse_pcre_table(std::string_view text);

}  // namespace mansio::lookup
