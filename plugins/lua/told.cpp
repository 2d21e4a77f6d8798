#include "plugins/lua/told.hpp"

namespace mansio::lua {

void append_told(std::string &line, std::string_view field) {
  if (!line.empty()) line += '\t';
  for (const char c : field) {
    if (c == '\t') {
      line += "\\t";
    } else {
      if (c == '\\') line += '\\';
      line += c;
    }
  }
}

std::vector<std::string> told_fields(std::string_view line) {
  std::vector<std::string> fields(1);
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\t') {
      fields.emplace_back();
    } else if (line[i] == '\\' && i + 1 < line.size()) {
      ++i;
      fields.back() += line[i] == 't' ? '\t' : line[i];
    } else {
      fields.back() += line[i];
    }
  }
  return fields;
}

}  // namespace mansio::lua
