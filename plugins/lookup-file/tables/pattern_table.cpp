#include "plugins/lookup-file/tables/pattern_table.hpp"

namespace mansio::lookup {

std::string parse_pattern(std::string_view text, PatternText &to) {
  using plugin::text_table::blank;
  const char delimiter = text.empty() ? 'a' : text.front();
  const auto letter = static_cast<unsigned char>(delimiter);
  if ((letter | 0x20) >= 'a' && (letter | 0x20) <= 'z') return "has no pattern, expected one such as /pattern/";
  if ((letter >= '0' && letter <= '9') || letter == '\\' || letter >= 0x80)
    return "has a pattern that begins with \"" + std::string(1, delimiter) + "\", expected one such as /pattern/";
  std::size_t i = 1;
  for (;; ++i) {
    if (i >= text.size()) return "has a pattern without a closing \"" + std::string(1, delimiter) + "\"";
    if (text[i] == delimiter) break;
    if (text[i] == '\\' && i + 1 < text.size()) {
      if (text[i + 1] != delimiter) to.pattern += '\\';
      ++i;
    }
    to.pattern += text[i];
  }
  if (to.pattern.empty()) return "has an empty pattern";
  const auto begin = ++i;
  while (i < text.size() && !blank(text[i])) ++i;
  to.flags = text.substr(begin, i - begin);
  to.rest = plugin::text_table::trim(text.substr(i));
  return {};
}

}  // namespace mansio::lookup
