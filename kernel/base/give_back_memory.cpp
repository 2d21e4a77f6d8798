#include "kernel/base/give_back_memory.hpp"

#include <cstddef>

// jemalloc's (jemalloc(3)), in programs that are linked with it.
extern "C" int mallctl(const char *name, void *old, std::size_t *old_size, void *fresh, std::size_t fresh_size)
    __attribute__((weak));

namespace mansio {

void give_back_thread_cache() {
  if (mallctl) (void)mallctl("thread.tcache.flush", nullptr, nullptr, nullptr, 0);
}

// 4096: MALLCTL_ARENAS_ALL.
void give_back_memory() {
  if (mallctl) (void)mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0);
}

void give_back_old_memory() {
  if (mallctl) (void)mallctl("arena.4096.decay", nullptr, nullptr, nullptr, 0);
}

}  // namespace mansio
