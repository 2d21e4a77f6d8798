// HugePages: memory for an owner's large arrays, which are looked at all over: among a hundred megabytes of small pages
// nearly every look misses the processor's table of addresses as well as its caches. The arrays take pieces as they
// grow, and pieces lie one behind the other, so all arrays together leave at most one huge page unused. The first two
// megabytes lie in small pages: an owner of little takes no more than it needs. Where the system has no huge pages to
// give all lies in small ones.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

namespace mansio {

class HugePages {
 public:
  static constexpr std::size_t kAlignment = 64, kLargestPiece = std::size_t{256} << 10;

  HugePages() = default;
  HugePages(const HugePages &) = delete;
  HugePages &operator=(const HugePages &) = delete;

  // So many bytes, a multiple of kAlignment, at such an address; not initialised. They are the taker's as long as this
  // object lives, and address space only until they are used.
  void *take(std::size_t bytes);

 private:
  static constexpr std::size_t kHugePage = std::size_t{2} << 20, kReserved = 16 * kHugePage;
  static constexpr std::align_val_t kPageAlignment{kHugePage};

  struct Free {
    void operator()(std::byte *reserved) const { ::operator delete(reserved, kPageAlignment); }
  };
  std::vector<std::unique_ptr<std::byte, Free>> reserved_;
  std::byte *next_ = nullptr, *end_ = nullptr;  // what is left of the last
};

}  // namespace mansio
