// give_back_memory() asks jemalloc for it: here that is a function of the test's.
#include "kernel/base/give_back_memory.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

namespace {
std::vector<std::string> asked_of_allocator;
}

extern "C" int mallctl(const char *name, void *, std::size_t *, void *, std::size_t);
extern "C" int mallctl(const char *name, void *, std::size_t *, void *, std::size_t) {
  asked_of_allocator.emplace_back(name);
  return 0;
}

namespace mansio {
namespace {

TEST(GiveBackMemory, IsOfAllArenasAndOfTheThread) {
  asked_of_allocator.clear();
  give_back_thread_cache();
  give_back_old_memory();
  give_back_memory();
  EXPECT_EQ(asked_of_allocator,
            (std::vector<std::string>{"thread.tcache.flush", "arena.4096.decay", "arena.4096.purge"}));
}

}  // namespace
}  // namespace mansio
