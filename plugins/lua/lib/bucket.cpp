#include "plugins/lua/lib/bucket.hpp"

#include <algorithm>

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

// Those that are full again go first; when there are none, all: a flood of keys must not become a flood of memory.
void Buckets::make_room(std::int64_t now) {
  std::erase_if(full_at_, [now](const auto &entry) { return entry.second <= now; });
  if (full_at_.size() >= kMostKeys) full_at_.clear();
}

}  // namespace mansio::lua
