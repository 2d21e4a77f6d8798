#include "plugins/transport-smtp/client/mechanisms.hpp"

#include <algorithm>

#include "plugins/transport-smtp/client/text.hpp"

namespace mansio::smtp {

bool is_filter_entry(std::string_view text) {
  if (text.starts_with('!')) text.remove_prefix(1);
  if (text.starts_with("static:")) return true;
  const auto fits = [](char c) {
    return digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
  };
  return !text.empty() && text.size() <= 20 && std::all_of(text.begin(), text.end(), fits);  // RFC 4422 section 3.1
}

bool passes_filter(const std::vector<std::string> &filter, std::string_view mechanism) {
  for (std::string_view entry : filter) {
    const bool without = entry.starts_with('!');
    if (without) entry.remove_prefix(1);
    if (entry.starts_with("static:") || equal_fold(entry, mechanism)) return !without;
  }
  return filter.empty();
}

Mechanisms allowed_mechanisms(const std::vector<std::string> &filter, const SecurityOptions &options) {
  Mechanisms allowed;
  for (const auto &mechanism : kMechanisms) {
    if (options.noplaintext && mechanism.plaintext) continue;
    if (options.mutual_auth && !mechanism.mutual) continue;
    if (passes_filter(filter, mechanism.name)) allowed.push_back(&mechanism);
  }
  return allowed;
}

const Mechanism *strongest(const Mechanisms &allowed, const std::vector<std::string> &offered) {
  for (const auto *mechanism : allowed) {
    if (std::any_of(offered.begin(), offered.end(),
                    [&](const auto &name) { return equal_fold(name, mechanism->name); }))
      return mechanism;
  }
  return nullptr;
}

}  // namespace mansio::smtp
