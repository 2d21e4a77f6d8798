#include "plugins/lookup-file/tables/substitution.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace mansio::lookup {

bool Substitution::parse(std::string_view text, std::string &why) {
  std::string literal;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '$') {
      literal += text[i++];
      continue;
    }
    if (++i < text.size() && text[i] == '$') {
      literal += text[i++];
      continue;
    }
    const char close = i == text.size() ? '\0' : text[i] == '{' ? '}' : text[i] == '(' ? ')' : '\0';
    if (close != '\0') ++i;
    std::size_t group = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + text.size(), group);
    i = static_cast<std::size_t>(end - text.data());
    if (error != std::errc{} || group == 0 || group > 99 || (close != '\0' && (i == text.size() || text[i] != close))) {
      why = "has a $ that begins no group, expected $1 to $99, ${1}, $(1), or $$ for a dollar sign";
      return false;
    }
    if (close != '\0') ++i;
    groups_ = std::max(groups_, group);
    pieces_.push_back({std::exchange(literal, {}), group});
  }
  if (!literal.empty()) pieces_.push_back({std::move(literal), 0});
  return true;
}

}  // namespace mansio::lookup
