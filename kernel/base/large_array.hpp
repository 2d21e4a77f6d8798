// LargeArray: an array of millions of small elements that only grows. Nothing moves when it does, so references stay
// good; it grows by pieces of its owner's huge pages, and what is not used yet is address space only.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "kernel/base/huge_pages.hpp"

namespace mansio {

template <class T>
class LargeArray {
 public:
  explicit LargeArray(HugePages &pages) : pages_(pages) {}  // which live longer
  LargeArray(const LargeArray &) = delete;
  LargeArray &operator=(const LargeArray &) = delete;
  ~LargeArray() {
    for (std::size_t i = 0; i < size_; ++i) std::destroy_at(&(*this)[i]);
  }

  std::size_t size() const { return size_; }
  T &operator[](std::size_t i) { return pieces_[i / kPerPiece][i % kPerPiece]; }
  const T &operator[](std::size_t i) const { return pieces_[i / kPerPiece][i % kPerPiece]; }

  T &grow() {
    if (size_ == pieces_.size() * kPerPiece) pieces_.push_back(static_cast<T *>(pages_.take(kPerPiece * sizeof(T))));
    auto &fresh = *std::construct_at(pieces_.back() + size_ % kPerPiece);
    ++size_;
    return fresh;
  }

 private:
  static constexpr std::size_t kPerPiece = sizeof(T) <= 64 ? 4096 : 1024;
  static_assert(kPerPiece * sizeof(T) <= HugePages::kLargestPiece && alignof(T) <= HugePages::kAlignment);

  HugePages &pages_;
  std::vector<T *> pieces_;
  std::size_t size_ = 0;
};

}  // namespace mansio
