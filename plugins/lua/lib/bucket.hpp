// Token buckets by key: each has room for `burst`, and gets one more each `interval` ns. One is kept as the time when
// it will be full again, as in the generic cell rate algorithm; a full one is not kept at all. Of more than there is
// room for, those that will be full soonest are forgotten.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "plugins/lua/lib/key_memory.hpp"

namespace mansio::lua {

class Buckets final : public KeyHolder {
 public:
  static constexpr std::size_t kMostKeys = 100'000;

  // Both at least 1, and interval * burst no more than a hundred years.
  Buckets(std::int64_t interval, std::int64_t burst, KeyMemory *memory = nullptr)
      : KeyHolder(memory), interval_(interval), burst_(burst) {}

  // Takes `n` of the key's, at most `burst`, if they are all there: 0. Otherwise nothing, and how long it takes until
  // they are (ns).
  std::int64_t take(std::string_view key, std::int64_t n, std::int64_t now);
  // How many are there.
  std::int64_t free(std::string_view key, std::int64_t now) const;
  std::int64_t interval() const { return interval_; }
  std::int64_t burst() const { return burst_; }
  std::size_t keys() const { return full_at_.size(); }
  void forget_half(std::int64_t now) override { forget(full_at_.size() / 2, now); }

 private:
  void forget(std::size_t kept, std::int64_t now);

  std::int64_t interval_, burst_;
  std::unordered_map<std::string, std::int64_t> full_at_;
};

}  // namespace mansio::lua
