// Chunked: an array that grows in chunks. Nothing moves when it grows, so references stay good, no growth costs more
// than a chunk, and at most one chunk is unused: a vector would hold twice what it needs and stall to copy millions.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

namespace mansio {

template <class T, std::size_t PerChunk = 4096>
class Chunked {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T &operator[](std::size_t i) { return (*chunks_[i / PerChunk])[i % PerChunk]; }
  const T &operator[](std::size_t i) const { return (*chunks_[i / PerChunk])[i % PerChunk]; }
  T &front() { return (*this)[0]; }
  const T &front() const { return (*this)[0]; }
  T &back() { return (*this)[size_ - 1]; }

  // A new element holds T{}, or what was left by pop_back.
  T &grow() {
    if (size_ == chunks_.size() * PerChunk) chunks_.push_back(std::make_unique<Chunk>());
    return (*this)[size_++];
  }
  void push_back(T value) { grow() = std::move(value); }
  void pop_back() {
    --size_;
    // One spare chunk is kept: a size that swings around a boundary must not allocate each time.
    if (chunks_.size() > 1 && size_ + PerChunk <= (chunks_.size() - 1) * PerChunk) chunks_.pop_back();
  }

 private:
  using Chunk = std::array<T, PerChunk>;  // not T[]: that may begin with its length, and no longer be a power of two
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::size_t size_ = 0;
};

// The number of an element that may be used: one of `free`, which is no longer free then, or that of a new one. What
// the element holds is the caller's to set.
template <class Id, class T, std::size_t PerChunk>
Id take_number(std::vector<Id> &free, Chunked<T, PerChunk> &all) {
  if (free.empty()) {
    all.grow();
    return static_cast<Id>(all.size() - 1);
  }
  const auto id = free.back();
  free.pop_back();
  return id;
}

}  // namespace mansio
