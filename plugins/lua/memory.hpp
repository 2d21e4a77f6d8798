// The memory of one Lua state: counted, and limited for the state and for the call that runs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "plugins/lua/budget.hpp"
#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

class Memory {
 public:
  explicit Memory(std::size_t limit) : limit_(limit) {}
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;

  // Of lua_newstate(), with this as its ud.
  static void *allocate(void *self, void *block, std::size_t old_size, std::size_t new_size) noexcept;

  // The script is loaded: what there is now is no call's.
  void loaded() { loaded_ = used_; }
  // Whose growth counts from now on, and the thread it runs on.
  void enter(Budget &budget, lua_State *thread) {
    // What the collector freed while others ran was not known to be of this one; more than there is it does not hold.
    const auto most = used_ > loaded_ ? used_ - loaded_ : 0;
    budget.held = std::min(budget.held, static_cast<std::int64_t>(most));
    budget.base = used_;
    budget_ = &budget;
    thread_ = thread;
  }
  void leave();
  std::size_t used() const { return used_; }
  // Sets n bytes aside outside of Lua, for the call that runs; false: it may not hold that much.
  bool set_aside(std::size_t n);
  // The limit of the state has failed somebody, even after a collection.
  bool full() const { return full_; }

 private:
  bool allows(std::size_t more);
  void look_at_the_clock() const;

  std::size_t limit_;
  std::size_t used_ = 0, loaded_ = 0;
  bool refused_ = false, full_ = false;
  Budget *budget_ = nullptr;
  lua_State *thread_ = nullptr;
};

// The count hook of every thread; see state.cpp. Every so many instructions, or at once (1) when the allocator asks.
inline constexpr int kHookStep = 100;
void count_hook(lua_State *L, lua_Debug *);

}  // namespace mansio::lua
