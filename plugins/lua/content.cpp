#include "plugins/lua/content.hpp"

#include <algorithm>

#include "plugins/lua/bind.hpp"

namespace mansio::lua {
namespace {

constexpr std::size_t kPiece = 16 << 10, kLargestHeader = 4 << 20;

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

const std::vector<Field> &Content::fields() {
  load();
  return fields_;
}

std::uint64_t Content::body_begins() {
  load();
  return body_;
}

std::size_t Content::read(std::uint64_t offset, char *to, std::size_t n) const {
  if (offset >= size()) return 0;
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(n, size() - offset));
  const auto got = stage_.read(offset, to, wanted);
  if (got < 0) throw ScriptError{"the message cannot be read"};
  return static_cast<std::size_t>(got);
}

void Content::load() {
  if (std::exchange(loaded_, true)) return;
  std::string head;
  std::size_t end = head.npos;
  while (end == head.npos) {
    const auto old = head.size();
    if (old > kLargestHeader) throw ScriptError{"the header section is too large to be read"};
    head.resize(old + kPiece);
    head.resize(old + read(old, head.data() + old, kPiece));
    // No header at all: the message begins with the empty line.
    if (head.starts_with("\r\n")) {
      body_ = 2;
      return;
    }
    end = head.find("\r\n\r\n", old < 3 ? 0 : old - 3);
    if (head.size() == old) break;
  }
  body_ = end == head.npos ? head.size() : end + 4;
  fields_ = parse_header(std::string_view{head}.substr(0, end == head.npos ? head.size() : end + 2));
}

}  // namespace mansio::lua
