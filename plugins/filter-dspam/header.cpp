#include "plugins/filter-dspam/header.hpp"

#include <algorithm>
#include <unordered_map>

namespace mansio::dspam {
namespace {

constexpr std::size_t kFoldAt = 700;  // well below the 998 that a line may have

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool blank(char c) { return c == ' ' || c == '\t'; }

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::vector<Field> parse_fields(std::string_view message) {
  std::vector<Field> fields;
  std::unordered_map<std::string, std::uint32_t> counts;
  while (!message.empty()) {
    const auto end = std::min(message.find('\n'), message.size() - 1) + 1;
    auto line = message.substr(0, end);
    message.remove_prefix(end);
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) break;
    if (blank(line.front())) {
      if (!fields.empty()) fields.back().value += "\r\n" + std::string{line};
      continue;
    }
    const auto colon = line.find(':');
    auto name = line.substr(0, colon);
    while (!name.empty() && blank(name.back())) name.remove_suffix(1);
    // The body has begun without an empty line.
    if (colon == line.npos || name.empty() || name.find_first_of(" \t") != name.npos) break;
    auto value = line.substr(colon + 1);
    if (!value.empty() && blank(value.front())) value.remove_prefix(1);
    std::string folded{name};
    std::transform(folded.begin(), folded.end(), folded.begin(), lower);
    fields.push_back({std::string{name}, ++counts[folded], std::string{value}});
  }
  return fields;
}

std::string tagged_subject(std::string_view prefix, std::string_view subject) {
  if (prefix.empty() || subject.starts_with(prefix)) return std::string{subject};
  if (subject.empty()) return std::string{prefix};
  const auto first = std::min(subject.find('\r'), subject.size());
  return std::string{prefix} + (first > kFoldAt ? "\r\n " : " ") + std::string{subject};
}

}  // namespace mansio::dspam
