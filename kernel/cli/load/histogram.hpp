// Latencies, counted in buckets whose width grows with the value (about 3 percent of it), so that millions of
// samples take a few kilobytes and any quantile is exact to that width. The maximum is exact.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace mansio::cli::load {

class Histogram {
 public:
  void add(std::uint64_t value);
  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }
  double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
  // The value that `q` (0..1) of the samples do not exceed; the upper end of its bucket, never above max().
  std::uint64_t quantile(double q) const;

  // How many values lie above the bar before and at or below `upto`, which is 1, 2 or 5 times a power of ten. Whole
  // buckets are counted, so that a bar's end is exact to a bucket's width. Empty bars between others are there too.
  struct Bar {
    std::uint64_t upto = 0, count = 0;
  };
  std::vector<Bar> bars() const;

 private:
  static constexpr unsigned kSteps = 32;  // buckets for each power of two; values below it are exact
  static std::size_t bucket(std::uint64_t value);
  static std::uint64_t upper(std::size_t bucket);

  std::array<std::uint64_t, 60 * kSteps> buckets_{};
  std::uint64_t count_ = 0, max_ = 0;
  double sum_ = 0;
};

}  // namespace mansio::cli::load
