#include "plugins/lua/lib/key_memory.hpp"

#include <algorithm>

namespace mansio::lua {
namespace {

// An entry of a hash table, and the block of a key that does not fit into it.
std::size_t cost_of(std::string_view key) {
  constexpr std::size_t kEntry = 104, kInside = 15, kBlock = 24;
  return kEntry + (key.size() > kInside ? key.size() + kBlock : 0);
}

}  // namespace

KeyHolder::KeyHolder(KeyMemory *memory) : memory_(memory) {
  if (memory_) memory_->holders_.push_back(this);
}

void KeyHolder::take(std::string_view key, std::int64_t now) {
  const auto octets = cost_of(key);
  if (memory_) memory_->take(octets, now);
  octets_ += octets;
}

void KeyHolder::give_back(std::string_view key) {
  const auto octets = cost_of(key);
  octets_ -= octets;
  if (memory_) memory_->used_ -= octets;
}

void KeyMemory::take(std::size_t octets, std::int64_t now) {
  while (used_ + octets > most_ && used_ != 0)
    (*std::max_element(holders_.begin(), holders_.end(), [](const KeyHolder *a, const KeyHolder *b) {
      return a->octets() < b->octets();
    }))->forget_half(now);
  used_ += octets;
}

}  // namespace mansio::lua
