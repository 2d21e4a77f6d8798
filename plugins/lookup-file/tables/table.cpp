#include "plugins/lookup-file/tables/table.hpp"

#include <string>
#include <unordered_map>
#include <utility>

#include "plugins/common/ascii.hpp"
#include "plugins/lookup-common/table.hpp"

namespace mansio::lookup {
namespace {

// So that a lookup with a string_view makes no string.
struct Hash : std::hash<std::string_view> {
  using is_transparent = void;
};

class TextTable : public MemoryTable {
 public:
  explicit TextTable(bool fold_case) : fold_case_(fold_case) {}

  Answer lookup(std::string_view key) const override {
    const auto found = fold_case_ ? values_.find(ascii::lower(key)) : values_.find(key);
    return found == values_.end() ? Answer::not_found() : Answer::found(found->second);
  }
  // False: there already.
  bool add(plugin::TableEntry &&entry) {
    return values_.emplace(fold_case_ ? ascii::lower(entry.key) : std::move(entry.key), std::move(entry.value)).second;
  }

 private:
  bool fold_case_;
  std::unordered_map<std::string, std::string, Hash, std::equal_to<>> values_;
};

}  // namespace

ParsedTable parse_text_table(std::string_view text, bool fold_case) {
  ParsedTable out;
  auto table = std::make_unique<TextTable>(fold_case);
  for (auto &entry : plugin::table_entries(text, out.problems)) {
    const auto line = entry.line;
    const auto key = entry.key;
    if (!table->add(std::move(entry)))
      out.problems.push_back({line, "has the key \"" + key + "\" once more, expected each key once"});
  }
  if (out.problems.empty()) out.table = std::move(table);
  return out;
}

ParsedTable parse_table(TableType type, std::string_view text, bool fold_case) {
  switch (type) {
    case TableType::Text:
      return parse_text_table(text, fold_case);
    case TableType::Cidr:
      return parse_cidr_table(text);
    case TableType::Regexp:
      return parse_regexp_table(text);
    case TableType::Pcre:
      return parse_pcre_table(text);
  }
  return {};
}

}  // namespace mansio::lookup
