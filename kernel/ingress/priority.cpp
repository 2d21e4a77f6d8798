#include "kernel/ingress/priority.hpp"

#include <utility>

#include "kernel/mail/utf8.hpp"

namespace mansio::ingress {
namespace {

// One for each class of the scheduler's, so that a word is worth the same whichever field it stands in.
constexpr int kUrgent = 4, kUsual = 0, kCanWait = -4;
constexpr std::pair<std::string_view, int> kPriorityWords[] = {
    {"urgent", kUrgent}, {"high", kUrgent},  {"normal", kUsual}, {"non-urgent", kCanWait},
    {"low", kCanWait},   {"bulk", kCanWait}, {"list", kCanWait}, {"junk", kCanWait}};

bool blank(char c) { return c == ' ' || c == '\t'; }

// Blanks and comments at its beginning are gone then; of a comment without an end all is.
void drop_comments(std::string_view &text) {
  int depth = 0;
  while (!text.empty() && (depth > 0 || blank(text.front()) || text.front() == '(')) {
    const char c = text.front();
    if (c == '(') ++depth;
    if (c == ')') --depth;
    text.remove_prefix(c == '\\' && text.size() > 1 ? 2 : 1);
  }
}

}  // namespace

std::optional<int> parse_priority(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.size() != 1 || text[0] < (negative ? '1' : '0') || text[0] > '9') return std::nullopt;
  return negative ? '0' - text[0] : text[0] - '0';
}

std::optional<int> priority_of_field(std::string_view name, std::string_view value) {
  drop_comments(value);
  const auto word = value.substr(0, value.find_first_of(" \t("));
  value.remove_prefix(word.size());
  drop_comments(value);
  if (!value.empty()) return std::nullopt;
  if (const auto number = parse_priority(word)) {
    if (!equals_nocase(name, "X-Priority")) return number;
    if (*number < 1 || *number > 5) return std::nullopt;
    return 2 * (3 - *number);  // 4, 2, 0, -2, -4
  }
  for (const auto &[text, priority] : kPriorityWords)
    if (equals_nocase(word, text)) return priority;
  return std::nullopt;
}

}  // namespace mansio::ingress
