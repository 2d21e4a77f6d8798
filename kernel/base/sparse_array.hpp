// SparseArray: an array of any size in which what was never set reads as T{}. It is kept in chunks, and a chunk takes no
// memory as long as it holds only that, or one value from its beginning on: what is filled in order, with runs of the
// same, takes next to nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace mansio {

template <class T, std::size_t PerChunk = 4096>
class SparseArray {
 public:
  T get(std::size_t i) const {
    const auto chunk = i / PerChunk;
    return chunk < chunks_.size() ? chunks_[chunk].get(i % PerChunk) : T{};
  }
  void set(std::size_t i, T value) {
    const auto chunk = i / PerChunk;
    if (chunk >= chunks_.size()) {
      if (value == T{}) return;
      chunks_.resize(chunk + 1);
    }
    chunks_[chunk].set(i % PerChunk, value);
  }

 private:
  struct Chunk {
    std::unique_ptr<T[]> values;
    std::uint32_t filled = 0;  // without `values`: so many, from the first on, hold `fill`, and the others T{}
    T fill{};

    T get(std::size_t i) const { return values ? values[i] : i < filled ? fill : T{}; }
    void set(std::size_t i, T value) {
      if (!values) {
        if (get(i) == value) return;
        if (i == filled && (filled == 0 || value == fill)) {
          fill = value;
          ++filled;
          return;
        }
        values = std::make_unique<T[]>(PerChunk);
        std::fill_n(values.get(), filled, fill);
      }
      values[i] = value;
    }
  };
  std::vector<Chunk> chunks_;
};

}  // namespace mansio
