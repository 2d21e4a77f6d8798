// How often something happened to each of many keys within the last so long: a sliding window, to within what happened
// in the part of the last period that has slid out, which is taken to be spread evenly. Of more keys than there is room
// for those that count least are forgotten.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "plugins/lua/lib/key_memory.hpp"

namespace mansio::lua {

class Window final : public KeyHolder {
 public:
  static constexpr std::size_t kMostKeys = 100'000;

  explicit Window(std::int64_t length, KeyMemory *memory = nullptr)
      : KeyHolder(memory), length_(length > 0 ? length : 1) {}

  // `n` more now; what there was within the window then, those included.
  double add(std::string_view key, double n, std::int64_t now);
  double count(std::string_view key, std::int64_t now) const;
  std::int64_t length() const { return length_; }
  std::size_t keys() const { return keys_.size(); }
  void forget_half(std::int64_t now) override { forget(keys_.size() / 2, now); }

 private:
  struct Periods {
    std::int64_t period = 0;  // number of the current one
    double current = 0, last = 0;
  };
  Periods at(Periods from, std::int64_t now) const;
  double weighted(const Periods &periods, std::int64_t now) const;
  void forget(std::size_t kept, std::int64_t now);

  std::int64_t length_;
  std::unordered_map<std::string, Periods> keys_;
};

}  // namespace mansio::lua
