// The memory of keys that strangers choose: all windows and rates of an instance share one limit. When there is no room
// for one more key, whoever holds most forgets the half of its own that counts least.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace mansio::lua {

class KeyMemory;

// A table of such keys. `now` is the time of the clock that it counts by.
class KeyHolder {
 public:
  explicit KeyHolder(KeyMemory *memory);  // which outlives it; null: there is no limit
  virtual ~KeyHolder() = default;
  KeyHolder(const KeyHolder &) = delete;
  KeyHolder &operator=(const KeyHolder &) = delete;

  std::size_t octets() const { return octets_; }  // of its keys, and what is kept for them
  virtual void forget_half(std::int64_t now) = 0;

 protected:
  void take(std::string_view key, std::int64_t now);  // before a key comes in: others may go
  void give_back(std::string_view key);               // one goes

 private:
  KeyMemory *memory_;
  std::size_t octets_ = 0;
};

class KeyMemory {
 public:
  explicit KeyMemory(std::size_t most) : most_(most) {}
  KeyMemory(const KeyMemory &) = delete;
  KeyMemory &operator=(const KeyMemory &) = delete;

  std::size_t used() const { return used_; }

 private:
  friend class KeyHolder;
  void take(std::size_t octets, std::int64_t now);

  const std::size_t most_;
  std::size_t used_ = 0;
  std::vector<KeyHolder *> holders_;
};

}  // namespace mansio::lua
