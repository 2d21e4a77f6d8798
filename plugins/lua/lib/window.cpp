#include "plugins/lua/lib/window.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace mansio::lua {

double Window::add(std::string_view key, double n, std::int64_t now) {
  auto found = keys_.find(std::string{key});
  if (found == keys_.end()) {
    if (keys_.size() >= kMostKeys) forget(kMostKeys / 2, now);
    KeyHolder::take(key, now);
    found = keys_.try_emplace(std::string{key}).first;
  }
  auto &periods = found->second;
  periods = at(periods, now);
  periods.current += n;
  return weighted(periods, now);
}

double Window::count(std::string_view key, std::int64_t now) const {
  const auto found = keys_.find(std::string{key});
  return found == keys_.end() ? 0 : weighted(at(found->second, now), now);
}

Window::Periods Window::at(Periods from, std::int64_t now) const {
  const auto period = now / length_;
  if (from.period == period) return from;
  return {period, 0, from.period == period - 1 ? from.current : 0};
}

double Window::weighted(const Periods &periods, std::int64_t now) const {
  const auto gone = static_cast<double>(now % length_) / static_cast<double>(length_);
  return periods.current + periods.last * (1 - gone);
}

// Those that count nothing any more go first, and then those that count least: a flood of keys must become neither a
// flood of memory nor a search through all of them for each, and who counts most is kept.
void Window::forget(std::size_t kept, std::int64_t now) {
  const auto period = now / length_;
  std::erase_if(keys_, [&](const auto &entry) {
    const bool over = entry.second.period < period - 1;
    if (over) give_back(entry.first);
    return over;
  });
  if (keys_.size() <= kept) return;
  const auto count_of = [&](const auto &entry) { return weighted(at(entry.second, now), now); };
  std::vector<double> counts;
  counts.reserve(keys_.size());
  for (const auto &entry : keys_) counts.push_back(count_of(entry));
  const auto last = counts.begin() + static_cast<std::ptrdiff_t>(counts.size() - kept - 1);
  std::nth_element(counts.begin(), last, counts.end());
  const auto most = *last;
  // Many count the same, and as many of them stay as there is room for.
  auto equals = std::count(counts.begin(), last + 1, most);
  std::erase_if(keys_, [&](const auto &entry) {
    const auto count = count_of(entry);
    const bool goes = count < most || (count == most && equals-- > 0);
    if (goes) give_back(entry.first);
    return goes;
  });
}

}  // namespace mansio::lua
