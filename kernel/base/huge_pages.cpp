#include "kernel/base/huge_pages.hpp"

#include <sys/mman.h>

#include <cassert>
#include <cstdint>

namespace mansio {

// To have small pages moved into a huge one once they are full (MADV_COLLAPSE) would leave no part of one unused, but
// the caller waits for ten milliseconds on a busy machine.
void *HugePages::take(std::size_t bytes) {
  assert(bytes <= kLargestPiece && bytes % kAlignment == 0);
  if (static_cast<std::size_t>(end_ - next_) < bytes) {
    const auto size = reserved_.empty() ? kHugePage : kReserved;
    reserved_.emplace_back(static_cast<std::byte *>(::operator new(size, kPageAlignment)));
    next_ = reserved_.back().get();
    end_ = next_ + size;
  }
  auto *const piece = next_;
  next_ += bytes;
  // Does a huge page begin in it? Then that is to be one before it is used.
  const auto before_page = (kHugePage - reinterpret_cast<std::uintptr_t>(piece) % kHugePage) % kHugePage;
  if (before_page < bytes && reserved_.size() > 1) (void)::madvise(piece + before_page, kHugePage, MADV_HUGEPAGE);
  return piece;
}

}  // namespace mansio
