#include "plugins/lua/tool/difference.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace mansio::lua::tool {
namespace {

constexpr std::size_t kContext = 3;            // common lines before and after a change
constexpr std::size_t kMostCells = 4'000'000;  // of the table below; larger texts are compared in one block

std::string shown(std::string_view line) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : line) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\r') {
      out += "\\r";
    } else if (byte < 0x20 && c != '\t') {
      out += "\\x";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    } else {
      out += c;
    }
  }
  return out;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (true) {
    const auto end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == text.npos) return lines;
    text.remove_prefix(end + 1);
  }
}

struct Line {
  char mark;  // ' ', '-' or '+'
  std::string_view text;
};

// By the longest common subsequence of what lies between the common beginning and the common end.
std::vector<Line> compared(const std::vector<std::string_view> &a, const std::vector<std::string_view> &b) {
  std::size_t begin = 0, a_end = a.size(), b_end = b.size();
  while (begin < a_end && begin < b_end && a[begin] == b[begin]) ++begin;
  while (a_end > begin && b_end > begin && a[a_end - 1] == b[b_end - 1]) {
    --a_end;
    --b_end;
  }
  std::vector<Line> out;
  for (std::size_t i = 0; i < begin; ++i) out.push_back({' ', a[i]});
  const std::size_t n = a_end - begin, m = b_end - begin;
  std::size_t i = 0, j = 0;
  if ((n + 1) * (m + 1) <= kMostCells) {
    // length[i][j]: of what is common from i and j on.
    std::vector<std::size_t> length((n + 1) * (m + 1));
    const auto at = [&](std::size_t row, std::size_t column) -> std::size_t & {
      return length[row * (m + 1) + column];
    };
    for (std::size_t row = n; row-- > 0;)
      for (std::size_t column = m; column-- > 0;)
        at(row, column) = a[begin + row] == b[begin + column] ? at(row + 1, column + 1) + 1
                                                              : std::max(at(row + 1, column), at(row, column + 1));
    while (i < n && j < m) {
      if (a[begin + i] == b[begin + j]) {
        out.push_back({' ', a[begin + i]});
        ++i;
        ++j;
      } else if (at(i + 1, j) >= at(i, j + 1)) {
        out.push_back({'-', a[begin + i++]});
      } else {
        out.push_back({'+', b[begin + j++]});
      }
    }
  }
  while (i < n) out.push_back({'-', a[begin + i++]});
  while (j < m) out.push_back({'+', b[begin + j++]});
  for (std::size_t k = a_end; k < a.size(); ++k) out.push_back({' ', a[k]});
  return out;
}

}  // namespace

std::string difference(std::string_view expected, std::string_view got) {
  if (expected == got) return {};
  const auto all = compared(lines_of(expected), lines_of(got));
  std::vector<bool> keep(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].mark == ' ') continue;
    for (std::size_t k = i < kContext ? 0 : i - kContext; k < all.size() && k <= i + kContext; ++k) keep[k] = true;
  }
  std::string out;
  bool left_out = false;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!keep[i]) {
      if (!left_out) out += "  ...\n";
      left_out = true;
      continue;
    }
    left_out = false;
    out += all[i].mark;
    out += ' ';
    out += shown(all[i].text) + '\n';
  }
  return out;
}

}  // namespace mansio::lua::tool
