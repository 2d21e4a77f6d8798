#include "kernel/base/huge_page.hpp"

#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // newer than some C libraries
#endif

namespace mansio {

void make_huge_page(void *begin) { (void)::madvise(begin, kHugePage, MADV_COLLAPSE); }

}  // namespace mansio
