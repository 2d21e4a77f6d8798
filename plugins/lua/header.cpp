#include "plugins/lua/header.hpp"

#include "plugins/common/ascii.hpp"

namespace mansio::lua {
std::vector<Field> parse_header(std::string_view section) {
  std::vector<Field> fields;
  fields.reserve(most_fields(section));
  bool goes_on = false;  // a folded line would belong to the last field
  while (!section.empty()) {
    const auto end = section.find("\r\n");
    const auto line = section.substr(0, end);
    section.remove_prefix(end == section.npos ? section.size() : end + 2);
    if (line.empty()) break;
    if (line.front() == ' ' || line.front() == '\t') {
      if (goes_on) fields.back().value += line;
      continue;
    }
    const auto colon = line.find(':');
    goes_on = colon != line.npos && colon != 0;
    if (goes_on)
      fields.push_back({std::string{ascii::trimmed(line.substr(0, colon))}, std::string{line.substr(colon + 1)}});
  }
  for (auto &field : fields) field.value = std::string{ascii::trimmed(field.value)};
  return fields;
}

}  // namespace mansio::lua
