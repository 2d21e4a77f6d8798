// What cidr_table(5), regexp_table(5) and pcre_table(5) have in common: rules in order of which the first match
// decides,
// "!" before a pattern, and if ... endif blocks that are passed over as a whole.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mansio/text_table.hpp"

namespace mansio::lookup {

// A rule's line, divided into what each kind of table then parses on its own.
struct RuleText {
  enum class Kind { Result, If, EndIf };
  Kind kind = Kind::Result;
  bool negated = false;
  std::string_view rest;  // the pattern, and after it the result if it has one
};
// Of "if" and "endif", in any case; a word that only begins so is a pattern.
RuleText rule_text(std::string_view line);

enum class Match { No, Yes, Failed };  // Failed: the engine could not tell, as when it ran into its limits

// Rule: a pattern, and the result of a rule that is no "if".
template <class Pattern, class Result>
class Rules {
 public:
  struct Rule {
    Pattern pattern;
    bool negated = false;
    std::optional<Result> result;  // nothing: an "if"
    std::size_t end = 0;           // of an "if": the first rule after its block
  };

  void add(Rule rule) { rules_.push_back(std::move(rule)); }
  void open(std::size_t line, Rule rule) {
    open_.push_back({rules_.size(), line});
    rules_.push_back(std::move(rule));
  }
  // False: no "if" is open.
  bool close() {
    if (open_.empty()) return false;
    rules_[open_.back().first].end = rules_.size();
    open_.pop_back();
    return true;
  }
  void finish(std::vector<plugin::TextTableProblem> &problems) {
    for (const auto &[rule, line] : open_) problems.push_back({line, "has an \"if\" without \"endif\""});
  }

  // match(pattern) -> Match. The rule that decides; nullptr: none does, or `failed`.
  template <class F>
  const Rule *first(F match, bool &failed) const {
    for (std::size_t i = 0; i < rules_.size();) {
      const auto &rule = rules_[i];
      const auto m = match(rule.pattern);
      if (m == Match::Failed) return failed = true, nullptr;
      const bool hit = (m == Match::Yes) != rule.negated;
      if (hit && rule.result) return &rule;
      i = hit || rule.result ? i + 1 : rule.end;
    }
    return nullptr;
  }

 private:
  std::vector<Rule> rules_;
  std::vector<std::pair<std::size_t, std::size_t>> open_;  // while parsing: rule and line
};

}  // namespace mansio::lookup
