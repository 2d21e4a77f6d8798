// Huge pages for what is large and looked at all over: among a hundred megabytes of small pages nearly every look
// misses the processor's table of addresses as well as its caches.
#pragma once

#include <cstddef>

namespace mansio {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

// This memory, a huge page's worth and aligned like one, is about to be used: it is to lie in one. Where the system has
// none to give all stays as it is.
void want_huge_page(void *begin);

}  // namespace mansio
