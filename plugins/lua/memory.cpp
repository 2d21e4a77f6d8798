#include "plugins/lua/memory.hpp"

#include <algorithm>
#include <cstdlib>

namespace mansio::lua {
namespace {

// One instruction may copy megabytes, so instructions alone do not measure time.
constexpr std::size_t kVolume = std::size_t{4} << 20;

}  // namespace

void *Memory::allocate(void *self, void *block, std::size_t old_size, std::size_t new_size) noexcept {
  auto &memory = *static_cast<Memory *>(self);
  if (!block) old_size = 0;  // it says what kind of object then
  if (new_size == 0) {
    std::free(block);
    memory.used_ -= old_size;
    return nullptr;
  }
  if (new_size > old_size && !memory.allows(new_size - old_size)) {
    memory.look_at_the_clock();  // a full collection follows, each time anew
    return nullptr;
  }
  auto *fresh = std::realloc(block, new_size);
  if (!fresh) return nullptr;
  memory.used_ += new_size - old_size;
  if (new_size > old_size) memory.refused_ = false;
  if (memory.budget_ && new_size > old_size) {
    memory.budget_->volume += new_size - old_size;
    if (memory.budget_->volume > kVolume) {
      memory.budget_->volume = 0;
      memory.look_at_the_clock();
    }
  }
  return fresh;
}

bool Memory::allows(std::size_t more) {
  if (used_ + more > limit_) {
    full_ = full_ || refused_;  // Lua collects after the first time, and asks again
    refused_ = true;
    return false;
  }
  if (!budget_) return true;
  const auto grown = budget_->held + static_cast<std::int64_t>(used_ + more) - static_cast<std::int64_t>(budget_->base);
  return grown + static_cast<std::int64_t>(budget_->outside) <= static_cast<std::int64_t>(budget_->memory);
}

bool Memory::set_aside(std::size_t n) {
  if (!budget_) return false;
  const auto held = budget_->held + static_cast<std::int64_t>(used_) - static_cast<std::int64_t>(budget_->base);
  const auto inside = static_cast<std::size_t>(std::max<std::int64_t>(held, 0));
  if (inside + budget_->outside > budget_->memory || n > budget_->memory - inside - budget_->outside) return false;
  budget_->outside += n;
  return true;
}

void Memory::look_at_the_clock() const {
  if (budget_ && thread_) lua_sethook(thread_, count_hook, LUA_MASKCOUNT, 1);
}

void Memory::leave() {
  if (!budget_) return;
  const auto grown = static_cast<std::int64_t>(used_) - static_cast<std::int64_t>(budget_->base);
  // The collector may have freed what others left behind.
  budget_->held = std::max<std::int64_t>(0, budget_->held + grown);
  budget_ = nullptr;
  thread_ = nullptr;
}

}  // namespace mansio::lua
