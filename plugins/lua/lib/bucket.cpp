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
  if (full_at_.size() >= kMostKeys) forget(kMostKeys / 2, now);
  KeyHolder::take(key, now);
  full_at_.emplace(key, then);
  return 0;
}

std::int64_t Buckets::free(std::string_view key, std::int64_t now) const {
  const auto known = full_at_.find(std::string{key});
  if (known == full_at_.end() || known->second <= now) return burst_;
  return std::max<std::int64_t>((now + burst_ * interval_ - known->second) / interval_, 0);
}

// Those that are full again go first, and then those that will be soonest: a flood of keys must become neither a flood
// of memory nor a search through all of them for each, and who has taken most is kept.
void Buckets::forget(std::size_t kept, std::int64_t now) {
  const auto erase = [this](auto goes) {
    std::erase_if(full_at_, [&](const auto &entry) {
      if (!goes(entry.second)) return false;
      give_back(entry.first);
      return true;
    });
  };
  erase([now](std::int64_t time) { return time <= now; });
  if (full_at_.size() <= kept) return;
  std::vector<std::int64_t> times;
  times.reserve(full_at_.size());
  for (const auto &entry : full_at_) times.push_back(entry.second);
  const auto last = times.begin() + static_cast<std::ptrdiff_t>(times.size() - kept - 1);
  std::nth_element(times.begin(), last, times.end());
  // Of those that are alike, as many stay as there is room for.
  auto equals = std::count(times.begin(), last + 1, *last);
  erase([&](std::int64_t time) { return time < *last || (time == *last && equals-- > 0); });
}

}  // namespace mansio::lua
