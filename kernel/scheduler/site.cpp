#include "kernel/scheduler/site.hpp"

#include <algorithm>

namespace mansio::scheduler {
namespace {

constexpr std::string_view kByExchangers = "mx:";
constexpr std::size_t kLongestDomain = 255;  // RFC 5321 section 4.5.3.1.2

// One host that does not match may be anybody's: whoever adds it to his domain's would have others' limits.
bool all_match(const std::vector<std::string> &patterns, std::string_view exchangers) {
  if (patterns.empty() || exchangers.empty()) return false;
  for (;;) {
    const auto comma = std::min(exchangers.find(','), exchangers.size());
    if (!matches_any(patterns, exchangers.substr(0, comma))) return false;
    if (comma == exchangers.size()) return true;
    exchangers.remove_prefix(comma + 1);
  }
}

}  // namespace

Placement placement(const TransportLimits &limits, std::string_view name, std::string_view exchangers) {
  const bool is_site = name.starts_with(kByExchangers);
  if (is_site) exchangers = name.substr(kByExchangers.size());
  std::string site;
  if (limits.by_exchangers && !is_site && !exchangers.empty()) site.append(kByExchangers).append(exchangers);
  for (std::size_t i = 0; i < limits.rules.size(); ++i) {
    const auto &rule = limits.rules[i];
    const bool named = !is_site && matches_any(rule.match, name);
    if (!named && !all_match(rule.mx, exchangers)) continue;
    const auto number = static_cast<std::uint16_t>(i);
    if (!rule.site.empty()) return {number, is_site || rule.site == name ? std::string{} : rule.site};
    return {number, named ? std::string{} : site};
  }
  return {kNoRule, site};
}

bool has_exchangers(std::string_view name) {
  return !name.empty() && name.size() <= kLongestDomain && name.find_first_of("[:@/ ") == name.npos;
}

}  // namespace mansio::scheduler
