// What regexp_table(5) and pcre_table(5) share: lines "/pattern/flags result", and how one becomes an answer. The
// engine that compiles and matches patterns is the template's.
//
// Engine: static bool flag(char, Flags &); Flags is default-constructible;
//         static std::optional<Engine> compile(const std::string &pattern, const Flags &, std::string &why);
//         std::size_t groups() const;
//         Match match(std::string_view key, std::vector<std::string_view> &groups) const; groups[0] is the whole match
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/lookup-file/tables/rules.hpp"
#include "plugins/lookup-file/tables/substitution.hpp"
#include "plugins/lookup-file/tables/table.hpp"

namespace mansio::lookup {

// "/pattern/flags rest"; a backslash before the delimiter takes it into the pattern.
struct PatternText {
  std::string pattern;
  std::string_view flags;
  std::string_view rest;
};
// "" = fine.
std::string parse_pattern(std::string_view text, PatternText &to);

template <class Engine>
class PatternTable : public MemoryTable {
 public:
  static ParsedTable parse(std::string_view text) {
    ParsedTable out;
    auto table = std::make_unique<PatternTable>();
    for (const auto &line : plugin::logical_lines(text, out.problems))
      if (auto wrong = table->add(line); !wrong.empty()) out.problems.push_back({line.number, std::move(wrong)});
    table->rules_.finish(out.problems);
    if (out.problems.empty()) out.table = std::move(table);
    return out;
  }

  Answer lookup(std::string_view key) const override {
    // The engines take a key as text; one with a NUL byte is nobody's address or name.
    if (key.find('\0') != std::string_view::npos) return Answer::not_found();
    std::vector<std::string_view> groups;
    bool failed = false;
    const auto *rule = rules_.first([&](const Engine &engine) { return engine.match(key, groups); }, failed);
    if (failed) return Answer::try_later("a pattern took more than its limits to match");
    if (!rule) return Answer::not_found();
    auto result =
        rule->result->apply([&](std::size_t n) { return n < groups.size() ? groups[n] : std::string_view{}; });
    // Postfix takes an empty result for none.
    return result.empty() ? Answer::not_found() : Answer::found(std::move(result));
  }

 private:
  using Set = Rules<Engine, Substitution>;

  // "" = fine.
  std::string add(const plugin::LogicalLine &line) {
    const auto text = rule_text(line.text);
    if (text.kind == RuleText::Kind::EndIf) {
      if (!text.rest.empty() || text.negated) return "has text after \"endif\"";
      return rules_.close() ? "" : "has an \"endif\" without \"if\"";
    }
    PatternText parts;
    if (auto wrong = parse_pattern(text.rest, parts); !wrong.empty()) return wrong;
    typename Engine::Flags flags;
    for (const char c : parts.flags)
      if (!Engine::flag(c, flags)) return "has the flag \"" + std::string(1, c) + "\", which this type has not";
    std::string why;
    auto engine = Engine::compile(parts.pattern, flags, why);
    if (!engine) return "has a pattern that is not valid: " + why;
    const auto groups = engine->groups();
    typename Set::Rule rule{std::move(*engine), text.negated, std::nullopt, 0};
    if (text.kind == RuleText::Kind::If) {
      if (!parts.rest.empty()) return "has text after the pattern of an \"if\"";
      rules_.open(line.number, std::move(rule));
      return {};
    }
    if (parts.rest.empty()) return "has no result, expected: /pattern/flags result";
    Substitution result;
    if (!result.parse(parts.rest, why)) return why;
    if (text.negated && result.groups() != 0) return "has a group in the result of a pattern that must not match";
    if (result.groups() > groups)
      return "names group $" + std::to_string(result.groups()) + " of a pattern with " + std::to_string(groups);
    rule.result = std::move(result);
    rules_.add(std::move(rule));
    return {};
  }

  Set rules_;
};

}  // namespace mansio::lookup
