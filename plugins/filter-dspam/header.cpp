#include "plugins/filter-dspam/header.hpp"

#include <algorithm>
#include <unordered_map>

#include "plugins/common/ascii.hpp"

namespace mansio::dspam {
namespace {

constexpr std::size_t kHead = 80;     // of a line; the host looks no further for a colon after a blank
constexpr std::size_t kFoldAt = 700;  // well below the 998 that a line may have

bool blank(char c) { return c == ' ' || c == '\t'; }

// The length of the name at the beginning of a line, and where its colon is; 0: the line is no field. As the host has
// it, which numbers the fields by the same rule: else an edit would be refused, or meet another field.
std::size_t name_length(std::string_view line, std::size_t &colon) {
  std::size_t n = 0;
  while (n < line.size() && line[n] > 0x20 && line[n] < 0x7f && line[n] != ':') ++n;
  colon = n;
  while (colon < line.size() && blank(line[colon])) ++colon;
  if (colon == line.size() || line[colon] != ':') return 0;
  return n < kHead && colon >= kHead ? 0 : n;
}

}  // namespace

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
    if (blank(line.front()) && !fields.empty()) {
      fields.back().value += "\r\n" + std::string{line};
      continue;
    }
    std::size_t colon = 0;
    const auto name = line.substr(0, name_length(line, colon));
    if (name.empty()) break;  // the body has begun without an empty line
    auto value = line.substr(colon + 1);
    if (!value.empty() && blank(value.front())) value.remove_prefix(1);
    fields.push_back({std::string{name}, ++counts[ascii::lower(name)], std::string{value}});
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
