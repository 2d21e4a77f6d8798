#include "kernel/scheduler/suspension.hpp"

#include <fmt/format.h>

#include <utility>

namespace mansio::scheduler {

std::string text_of(const Suspension &s) {
  constexpr std::string_view names[] = {"destination", "tenant", "campaign", "sender", "source pool"};
  return fmt::format("{} {} is suspended{}{}{}{}", names[static_cast<std::size_t>(s.key)], s.name,
                     s.destination.empty() ? "" : " for ", s.destination, s.reason.empty() ? "" : ": ", s.reason);
}

// Those that overlap count once.
Nanos Suspensions::time(const Subject &of, Nanos since, Nanos now) const {
  if (empty()) return 0;
  std::vector<std::pair<Nanos, Nanos>> spans;
  const auto look = [&](const Suspension &s, Nanos until) {
    if (until > since && s.from < now && covers(s, of))
      spans.emplace_back(std::max(s.from, since), std::min(until, now));
  };
  for (const auto &s : past_) look(s, s.until);
  for (const auto &s : active_) look(s, now);
  std::sort(spans.begin(), spans.end());
  Nanos total = 0, upto = since;
  for (const auto &[from, until] : spans) {
    if (until <= upto) continue;
    total += until - std::max(from, upto);
    upto = until;
  }
  return total;
}

}  // namespace mansio::scheduler
