#include "rewrite.hpp"

#include <algorithm>
#include <cstdint>

#include "plugins/common/ascii.hpp"

namespace mansio::filter_pipe {
namespace {

constexpr std::size_t kPiece = 256 * 1024;  // of a body, in one edit

bool blank(char c) { return c == ' ' || c == '\t'; }

std::string_view without_end(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// Bodies are compared by their lines: a program may have made the line ends its own.
bool same_lines(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    const auto one = a.substr(0, std::min(a.find('\n'), a.size() - 1) + 1);
    const auto other = b.substr(0, std::min(b.find('\n'), b.size() - 1) + 1);
    if (without_end(one) != without_end(other)) return false;
    a.remove_prefix(one.size());
    b.remove_prefix(other.size());
  }
  return a.empty() && b.empty();
}

}  // namespace

Parts take_apart(std::string_view message) {
  Parts parts;
  while (!message.empty()) {
    const auto line = message.substr(0, std::min(message.find('\n'), message.size() - 1) + 1);
    const auto text = without_end(line);
    if (text.empty()) {
      message.remove_prefix(line.size());
      break;
    }
    if (blank(text.front()) && !parts.fields.empty()) {
      parts.fields.back().value += "\r\n" + std::string{text};
    } else {
      const auto colon = text.find(':');
      auto name = text.substr(0, colon);
      while (!name.empty() && blank(name.back())) name.remove_suffix(1);
      if (colon == text.npos || name.empty() || name.find_first_of(" \t") != name.npos) {
        parts.whole = false;
        break;
      }
      parts.fields.push_back({std::string{name}, std::string{text.substr(colon + 1)}});
    }
    message.remove_prefix(line.size());
  }
  parts.body = message;
  return parts;
}

bool rewrite(plugin::Stage &stage, std::string_view before, std::string_view after) {
  const auto old = take_apart(before), now = take_apart(after);
  // A line for people to read is no message: it would take the place of one.
  if (!now.whole || (now.fields.empty() && !old.fields.empty())) return false;
  bool fine = true;
  if (old.fields != now.fields) {
    // What both begin and end with stays where it is.
    std::size_t head = 0, tail = 0;
    const auto least = std::min(old.fields.size(), now.fields.size());
    while (head < least && old.fields[head] == now.fields[head]) ++head;
    while (tail < least - head && old.fields[old.fields.size() - 1 - tail] == now.fields[now.fields.size() - 1 - tail])
      ++tail;
    for (auto i = old.fields.size() - tail; i-- > head;) {
      const auto nth = std::count_if(old.fields.begin(), old.fields.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                     [&](const Field &f) { return ascii::equal_fold(f.name, old.fields[i].name); });
      fine = fine && stage.delete_header(old.fields[i].name, static_cast<std::uint32_t>(nth));
    }
    for (auto i = head; i < now.fields.size() - tail; ++i)
      fine = fine && stage.insert_header(static_cast<std::uint32_t>(i), now.fields[i].name, now.fields[i].value);
  }
  if (same_lines(old.body, now.body)) return fine;
  fine = fine && stage.replace_body("");
  for (std::size_t at = 0; fine && at < now.body.size(); at += kPiece)
    fine = stage.replace_body(now.body.substr(at, kPiece));
  return fine;
}

}  // namespace mansio::filter_pipe
