#include "plugins/lua/lib/bucket.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace mansio::lua {

std::int64_t Buckets::take(std::string_view key, std::int64_t n, std::int64_t now) {
  const auto known = full_at_.find(std::string{key});
  const auto full = std::max(known == full_at_.end() ? now : known->second, now);
  const auto then = full + n * interval_, most = now + burst_ * interval_;
  if (then > most) return then - most;
  if (n == 0) return 0;
  if (known != full_at_.end()) {
    known->second = then;
    return 0;
  }
  if (full_at_.size() >= kMostKeys) make_room(now);
  full_at_.emplace(key, then);
  return 0;
}

std::int64_t Buckets::free(std::string_view key, std::int64_t now) const {
  const auto known = full_at_.find(std::string{key});
  if (known == full_at_.end() || known->second <= now) return burst_;
  return std::max<std::int64_t>((now + burst_ * interval_ - known->second) / interval_, 0);
}

// Those that are full again go first. Where most are not, so do the half and more that will be soonest: a flood of keys
// must become neither a flood of memory nor a search through all of them for each, and who has taken most is kept.
void Buckets::make_room(std::int64_t now) {
  std::erase_if(full_at_, [now](const auto &entry) { return entry.second <= now; });
  if (full_at_.size() <= kMostKeys / 2) return;
  std::vector<std::int64_t> times;
  times.reserve(full_at_.size());
  for (const auto &entry : full_at_) times.push_back(entry.second);
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  std::erase_if(full_at_, [last = *middle](const auto &entry) { return entry.second <= last; });
}

}  // namespace mansio::lua
