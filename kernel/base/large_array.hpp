// LargeArray: an array of millions of small elements that only grows. Nothing moves when it does, so references stay
// good; what is not used yet is address space only. All but its first two megabytes lie in huge pages: a small one
// takes what it needs, a large one at most one huge page more.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

#include "kernel/base/huge_page.hpp"

namespace mansio {

template <class T>
class LargeArray {
 public:
  LargeArray() = default;
  LargeArray(const LargeArray &) = delete;
  LargeArray &operator=(const LargeArray &) = delete;
  ~LargeArray() {
    for (std::size_t i = 0; i < size_; ++i) std::destroy_at(&(*this)[i]);
  }

  std::size_t size() const { return size_; }
  T &operator[](std::size_t i) { return chunks_[i / kPerChunk].get()[i % kPerChunk]; }
  const T &operator[](std::size_t i) const { return chunks_[i / kPerChunk].get()[i % kPerChunk]; }

  T &grow() {
    const auto i = size_ % kPerChunk;
    if (i == 0) chunks_.emplace_back(static_cast<T *>(::operator new(kPerChunk * sizeof(T), kAlignment)));
    auto *chunk = chunks_.back().get();
    const auto page = ((i + 1) * sizeof(T) - 1) / kHugePage;  // of its last byte
    const bool first_in_page = i == 0 || page != (i * sizeof(T) - 1) / kHugePage;
    if (first_in_page && size_ > 0) want_huge_page(reinterpret_cast<std::byte *>(chunk) + page * kHugePage);
    auto &fresh = *std::construct_at(chunk + i);
    ++size_;
    return fresh;
  }

 private:
  // A power of two, and whole huge pages.
  static constexpr std::size_t kPerChunk = std::size_t{1} << (sizeof(T) % 64 == 0 ? 15 : 18);
  static_assert(kPerChunk * sizeof(T) % kHugePage == 0);
  static constexpr std::align_val_t kAlignment{kHugePage};

  struct Free {
    void operator()(T *chunk) const { ::operator delete(chunk, kAlignment); }
  };
  std::vector<std::unique_ptr<T, Free>> chunks_;
  std::size_t size_ = 0;
};

}  // namespace mansio
