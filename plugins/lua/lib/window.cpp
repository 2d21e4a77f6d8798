#include "plugins/lua/lib/window.hpp"

namespace mansio::lua {

double Window::add(std::string_view key, double n, std::int64_t now) {
  if (keys_.size() >= kMostKeys) make_room(now);
  auto &periods = keys_[std::string{key}];
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

// Those that count nothing any more go first; when there are none, all: a flood of keys must not become a flood of
// memory.
void Window::make_room(std::int64_t now) {
  const auto period = now / length_;
  std::erase_if(keys_, [&](const auto &entry) { return entry.second.period < period - 1; });
  if (keys_.size() >= kMostKeys) keys_.clear();
}

}  // namespace mansio::lua
