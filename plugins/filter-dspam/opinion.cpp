#include "plugins/filter-dspam/opinion.hpp"

#include <algorithm>

namespace mansio::dspam {
namespace {

constexpr std::size_t kLongestPrefix = 200;

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<bool> parse_switch(std::string_view text) {
  if (text == "on" || text == "yes" || text == "true") return true;
  if (text == "off" || text == "no" || text == "false") return false;
  return std::nullopt;
}

}  // namespace

std::optional<Action> parse_action(std::string_view text) {
  if (text == "accept" || text == "deliver") return Action::Accept;
  if (text == "tag") return Action::Tag;
  if (text == "quarantine") return Action::Quarantine;
  if (text == "reject") return Action::Reject;
  return std::nullopt;
}

bool is_subject_prefix(std::string_view text) {
  return text.size() <= kLongestPrefix &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::string Preferences::apply(std::string_view text) {
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const auto entry = trim(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (entry.empty()) continue;
    const auto equals = entry.find('=');
    if (equals == entry.npos) return "\"" + std::string{entry} + "\" is no NAME=VALUE";
    const auto name = trim(entry.substr(0, equals)), value = trim(entry.substr(equals + 1));
    if (name == "spamAction") {
      const auto parsed = parse_action(value);
      if (!parsed) return "spamAction is \"" + std::string{value} + "\"";
      action = *parsed;
    } else if (name == "spamSubject") {
      if (!is_subject_prefix(value)) return "spamSubject is no printable ASCII";
      subject = value;
    } else if (name == "enable" || name == "optOut") {
      const auto parsed = parse_switch(value);
      if (!parsed) return std::string{name} + " is \"" + std::string{value} + "\"";
      enabled = *parsed == (name == "enable");
    }
  }
  return {};
}

std::optional<Mixed> parse_mixed(std::string_view text) {
  if (text == "first") return Mixed::First;
  if (text == "any") return Mixed::Any;
  if (text == "all") return Mixed::All;
  return std::nullopt;
}

std::size_t decide(Mixed rule, const std::vector<Opinion> &opinions) {
  if (rule == Mixed::First) return 0;
  std::size_t best = opinions.size();
  for (std::size_t i = 0; i < opinions.size(); ++i) {
    const auto &o = opinions[i];
    if (!o.spam && rule == Mixed::All) return i;
    if (!o.spam) continue;
    const bool better = best == opinions.size() ||
                        (rule == Mixed::Any ? o.action > opinions[best].action : o.action < opinions[best].action);
    if (better) best = i;
  }
  return best == opinions.size() ? 0 : best;
}

}  // namespace mansio::dspam
