// SparseArray: an array of any size in which what was never set reads as T{}. It is kept in chunks, and a chunk that holds
// only that takes no memory.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace mansio {

template <class T, std::size_t PerChunk = 4096>
class SparseArray {
 public:
  T get(std::size_t i) const {
    const auto chunk = i / PerChunk;
    return chunk < chunks_.size() && chunks_[chunk] ? chunks_[chunk][i % PerChunk] : T{};
  }
  void set(std::size_t i, T value) {
    const auto chunk = i / PerChunk;
    if (chunk >= chunks_.size() || !chunks_[chunk]) {
      if (value == T{}) return;
      if (chunk >= chunks_.size()) chunks_.resize(chunk + 1);
      chunks_[chunk] = std::make_unique<T[]>(PerChunk);
    }
    chunks_[chunk][i % PerChunk] = value;
  }

 private:
  std::vector<std::unique_ptr<T[]>> chunks_;
};

}  // namespace mansio
