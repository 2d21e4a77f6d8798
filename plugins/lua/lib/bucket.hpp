// Token buckets by key: each has room for `burst`, and gets one more each `interval` ns. One is kept as the time when
// it will be full again, as in the generic cell rate algorithm; a full one is not kept at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace mansio::lua {

class Buckets {
 public:
  static constexpr std::size_t kMostKeys = 100'000;

  // Both at least 1, and interval * burst no more than a hundred years.
  Buckets(std::int64_t interval, std::int64_t burst) : interval_(interval), burst_(burst) {}

  // Takes `n` of the key's, at most `burst`, if they are all there: 0. Otherwise nothing, and how long it takes until
  // they are (ns).
  std::int64_t take(std::string_view key, std::int64_t n, std::int64_t now);
  // How many are there.
  std::int64_t free(std::string_view key, std::int64_t now) const;
  std::int64_t interval() const { return interval_; }
  std::int64_t burst() const { return burst_; }
  std::size_t keys() const { return full_at_.size(); }

 private:
  void make_room(std::int64_t now);

  std::int64_t interval_, burst_;
  std::unordered_map<std::string, std::int64_t> full_at_;
};

}  // namespace mansio::lua
