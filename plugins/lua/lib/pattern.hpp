// Lua's patterns, matched by PCRE2 within its limits: Lua's own matcher can be made to take hours, in C, where nothing
// stops it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "plugins/lua/lib/regex.hpp"

namespace mansio::lua {

// A pattern in the syntax of PCRE2, and which of its groups are the captures.
struct TranslatedPattern {
  std::string text;
  bool anchored = false;
  struct Capture {
    std::size_t group = 0;
    bool position = false;  // "()"
  };
  std::vector<Capture> captures;
};

// Throws ScriptError for what is no pattern. `anchors`: a "^" at its begin is one; in gmatch it is a character.
TranslatedPattern translate_pattern(std::string_view pattern, bool anchors = true);

struct Pattern {
  explicit Pattern(const TranslatedPattern &translated, RegexMemory &memory = system_memory());
  Regex regex;
  bool anchored;
  std::vector<TranslatedPattern::Capture> captures;
};

// The patterns of a script are few and short; when they are many, all are forgotten.
class PatternCache {
 public:
  std::shared_ptr<const Pattern> find(std::string_view pattern, bool anchors) const;  // null: it is not known
  void keep(std::string_view pattern, bool anchors, std::shared_ptr<const Pattern> made);
  void clear();

 private:
  std::unordered_map<std::string, std::shared_ptr<const Pattern>> known_[2];
};

}  // namespace mansio::lua
