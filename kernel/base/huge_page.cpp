#include "kernel/base/huge_page.hpp"

#include <sys/mman.h>

namespace mansio {

// To have it moved into a huge page once it is full (MADV_COLLAPSE) would leave no part of one unused, but the caller
// waits for ten milliseconds on a busy machine.
void want_huge_page(void *begin) { (void)::madvise(begin, kHugePage, MADV_HUGEPAGE); }

}  // namespace mansio
