#include "plugins/lua/lib/pattern.hpp"

#include <algorithm>
#include <bitset>
#include <utility>

#include "plugins/lua/script_error.hpp"

namespace mansio::lua {
namespace {

using Set = std::bitset<256>;
constexpr std::size_t kMostPatterns = 512, kMostCaptures = 32;
constexpr std::size_t kLongestKept = 4096;

std::size_t octet(char c) { return static_cast<unsigned char>(c); }
std::string escaped(std::size_t c) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  return {'\\', 'x', kDigits[c >> 4], kDigits[c & 15]};
}

// A range of ASCII, so that no locale decides.
Set range(char from, char to) {
  Set set;
  for (auto c = octet(from); c <= octet(to); ++c) set.set(c);
  return set;
}
Set letters() { return range('A', 'Z') | range('a', 'z'); }
Set digits() { return range('0', '9'); }

// "%a" and its like; for anything else that follows "%", that character.
Set class_of(char c) {
  Set set;
  switch (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) {
    case 'a':
      set = letters();
      break;
    case 'c':
      set = range('\0', '\x1f');
      set.set(0x7f);
      break;
    case 'd':
      set = digits();
      break;
    case 'g':
      set = range('!', '~');
      break;
    case 'l':
      set = range('a', 'z');
      break;
    case 'p':
      set = range('!', '~') & ~(letters() | digits());
      break;
    case 's':
      set = range('\t', '\r');
      set.set(octet(' '));
      break;
    case 'u':
      set = range('A', 'Z');
      break;
    case 'w':
      set = letters() | digits();
      break;
    case 'x':
      set = digits() | range('A', 'F') | range('a', 'f');
      break;
    default:
      set.set(octet(c));
      return set;
  }
  return c >= 'A' && c <= 'Z' ? ~set : set;
}

std::string in_brackets(const Set &set) {
  std::string out = "[";
  for (std::size_t c = 0; c < set.size(); ++c) {
    if (!set[c]) continue;
    auto last = c;
    while (last + 1 < set.size() && set[last + 1]) ++last;
    out += escaped(c);
    if (last > c) out += '-' + escaped(last);
    c = last;
  }
  return out + "]";
}

std::string to_regex(const Set &set) {
  if (set.all()) return ".";                // DOTALL
  if (set.none()) return "[^\\x00-\\xff]";  // matches nothing
  if (set.count() > 1) return in_brackets(set);
  for (std::size_t c = 0; c < set.size(); ++c)
    if (set[c]) return escaped(c);
  return {};
}

class Translation {
 public:
  explicit Translation(std::string_view pattern) : rest_(pattern) {}

  TranslatedPattern run(bool anchors) {
    if (anchors && rest_.starts_with('^')) {
      out_.anchored = true;
      rest_.remove_prefix(1);
    }
    while (!rest_.empty()) item();
    if (!open_.empty()) throw ScriptError{"the pattern has a capture that is not closed"};
    return std::move(out_);
  }

 private:
  char take() {
    if (rest_.empty()) throw ScriptError{"the pattern ends in the middle of an item"};
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  bool taken(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void item() {
    if (rest_ == "$") {
      rest_ = {};
      out_.text += "\\z";
    } else if (taken('(')) {
      begin_capture();
    } else if (taken(')')) {
      if (open_.empty()) throw ScriptError{"the pattern closes a capture that it did not open"};
      open_.pop_back();
      out_.text += ')';
    } else if (rest_.size() >= 2 && rest_[0] == '%' && (rest_[1] == 'b' || rest_[1] == 'f')) {
      const bool balance = rest_[1] == 'b';
      rest_.remove_prefix(2);
      balance ? balanced() : frontier();
    } else if (rest_.size() >= 2 && rest_[0] == '%' && rest_[1] >= '0' && rest_[1] <= '9') {
      back_reference();
    } else {
      single();
    }
  }

  void begin_capture() {
    if (out_.captures.size() == kMostCaptures) throw ScriptError{"the pattern has too many captures"};
    const bool position = taken(')');
    out_.captures.push_back({++groups_, position});
    out_.text += position ? "()" : "(";
    if (!position) open_.push_back(out_.captures.size());
  }

  // %bxy: from an x to the y that balances it; nothing of it is given back.
  void balanced() {
    const auto x = octet(take()), y = octet(take());
    Set others;
    others.set();
    others.reset(x);
    others.reset(y);
    if (x == y) {
      out_.text += escaped(x) + to_regex(others) + "*+" + escaped(y);
      return;
    }
    const auto group = ++groups_;
    out_.text +=
        '(' + escaped(x) + "(?:" + to_regex(others) + "++|(?" + std::to_string(group) + "))*+" + escaped(y) + ')';
  }

  // %f[set]: where a character outside of the set is followed by one of it; before and after the subject is '\0'.
  void frontier() {
    if (!rest_.starts_with('[')) throw ScriptError{"the pattern lacks a [set] after %f"};
    const auto set = one();
    const auto text = to_regex(set);
    const bool edge = set[0];
    out_.text += edge ? "(?<!" + text + ")(?!^)" : "(?<!" + text + ')';
    out_.text += edge ? "(?:(?=" + text + ")|\\z)" : "(?=" + text + ')';
  }

  void back_reference() {
    rest_.remove_prefix(1);
    const auto n = static_cast<std::size_t>(take() - '0');
    const bool still_open = std::find(open_.begin(), open_.end(), n) != open_.end();
    if (n == 0 || n > out_.captures.size() || still_open || out_.captures[n - 1].position)
      throw ScriptError{"the pattern refers to capture %" + std::to_string(n) + ", which is not there yet"};
    out_.text += "\\g{" + std::to_string(out_.captures[n - 1].group) + '}';
  }

  void single() {
    out_.text += to_regex(one());
    if (taken('*'))
      out_.text += '*';
    else if (taken('+'))
      out_.text += '+';
    else if (taken('-'))
      out_.text += "*?";
    else if (taken('?'))
      out_.text += '?';
  }

  // One character of the subject.
  Set one() {
    const char c = take();
    if (c == '%') return class_of(take());
    if (c == '[') return brackets();
    Set set;
    if (c == '.')
      set.set();
    else
      set.set(octet(c));
    return set;
  }

  Set brackets() {
    Set set;
    const bool negated = taken('^');
    bool first = true;  // a "]" that comes first is a character
    while (first || !rest_.starts_with(']')) {
      first = false;
      const char c = take();
      if (c == '%') {
        set |= class_of(take());
      } else if (rest_.size() >= 2 && rest_[0] == '-' && rest_[1] != ']') {
        take();
        const char last = take();
        for (auto x = octet(c); x <= octet(last); ++x) set.set(x);
      } else {
        set.set(octet(c));
      }
    }
    take();
    return negated ? ~set : set;
  }

  std::string_view rest_;
  TranslatedPattern out_;
  std::size_t groups_ = 0;
  std::vector<std::size_t> open_;  // captures, from 1
};

}  // namespace

TranslatedPattern translate_pattern(std::string_view pattern, bool anchors) {
  return Translation{pattern}.run(anchors);
}

Pattern::Pattern(const TranslatedPattern &translated, RegexMemory &memory)
    : regex(translated.text, PCRE2_DOTALL | (translated.anchored ? PCRE2_ANCHORED : 0), memory),
      anchored(translated.anchored),
      captures(translated.captures) {}

std::shared_ptr<const Pattern> PatternCache::find(std::string_view pattern, bool anchors) const {
  if (pattern.size() > kLongestKept) return nullptr;
  const auto &known = known_[anchors ? 1 : 0];
  const auto found = known.find(std::string{pattern});
  return found == known.end() ? nullptr : found->second;
}

void PatternCache::keep(std::string_view pattern, bool anchors, std::shared_ptr<const Pattern> made) {
  if (pattern.size() > kLongestKept) return;
  auto &known = known_[anchors ? 1 : 0];
  if (known.size() >= kMostPatterns) known.clear();
  known.insert_or_assign(std::string{pattern}, std::move(made));
}

void PatternCache::clear() {
  for (auto &known : known_) known.clear();
}

}  // namespace mansio::lua
