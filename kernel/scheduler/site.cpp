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

// There are none in "", and "25" is the port of a next hop "mx:25".
bool any_host(std::string_view exchangers) { return exchangers.find_first_not_of("0123456789") != exchangers.npos; }

}  // namespace

Placement placement(const TransportLimits &limits, std::string_view name, std::string_view exchangers) {
  const auto &rules = limits.rules;
  const auto number = [&](auto rule) {
    return rule == rules.end() ? kNoRule : static_cast<std::uint16_t>(rule - rules.begin());
  };
  const auto makes = std::find_if(rules.begin(), rules.end(), [&](const auto &r) { return r.site == name; });
  if (makes != rules.end() && !name.empty()) return {number(makes), ""};
  const bool is_site = name.starts_with(kByExchangers) && any_host(name.substr(kByExchangers.size()));
  if (is_site) exchangers = name.substr(kByExchangers.size());
  bool named = false;
  const auto found = std::find_if(rules.begin(), rules.end(), [&](const auto &r) {
    named = !is_site && matches_any(r.match, name);
    return named || all_match(r.mx, exchangers);
  });
  Placement out{number(found), ""};
  if (is_site) return out;
  if (found != rules.end() && !found->site.empty())
    out.site = found->site;
  else if (limits.by_exchangers && !named && any_host(exchangers))
    out.site.append(kByExchangers).append(exchangers);
  return out;
}

bool has_exchangers(std::string_view name) {
  return !name.empty() && name.size() <= kLongestDomain && name.find_first_of("[:@/ ") == name.npos;
}

}  // namespace mansio::scheduler
