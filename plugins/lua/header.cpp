#include "plugins/lua/header.hpp"

namespace mansio::lua {
namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto begin = text.find_first_not_of(kBlank);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

}  // namespace

std::vector<Field> parse_header(std::string_view section) {
  std::vector<Field> fields;
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
    if (goes_on) fields.push_back({std::string{trim(line.substr(0, colon))}, std::string{line.substr(colon + 1)}});
  }
  for (auto &field : fields) field.value = std::string{trim(field.value)};
  return fields;
}

}  // namespace mansio::lua
