#include "plugins/lookup-file/tables/rules.hpp"

#include "plugins/common/ascii.hpp"
#include "plugins/lookup-common/table.hpp"

namespace mansio::lookup {

RuleText rule_text(std::string_view line) {
  using plugin::text_table::blank;
  using plugin::text_table::trim;
  RuleText rule;
  std::size_t end = 0;
  while (end < line.size() && ((line[end] | 0x20) >= 'a' && (line[end] | 0x20) <= 'z')) ++end;
  const auto word = ascii::lower(line.substr(0, end));
  if (word == "endif" && (end == line.size() || blank(line[end]))) {
    rule.kind = RuleText::Kind::EndIf;
    line.remove_prefix(end);
  } else if (word == "if" && (end == line.size() || blank(line[end]) || line[end] == '!' || line[end] == '/')) {
    rule.kind = RuleText::Kind::If;
    line.remove_prefix(end);
  }
  line = trim(line);
  while (line.starts_with('!')) {
    rule.negated = !rule.negated;
    line = trim(line.substr(1));
  }
  rule.rest = line;
  return rule;
}

}  // namespace mansio::lookup
