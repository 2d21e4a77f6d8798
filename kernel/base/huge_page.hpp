// Huge pages for what is large and looked at all over: among a hundred megabytes of small pages nearly every look
// misses the processor's table of addresses as well as its caches.
#pragma once

#include <cstddef>

namespace mansio {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

// Has this memory, a huge page's worth and aligned like one, moved into one. To be called when all of it is in use: a
// huge page asked for earlier would be resident before there is anything in it. Where the system has none (Linux before
// 6.1, other architectures' sizes) all stays as it is.
void make_huge_page(void *begin);

}  // namespace mansio
