#include "kernel/cli/load/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace mansio::cli::load {

// Values of [32 * 2^k, 64 * 2^k) share k and are told apart by their five bits below the leading one.
std::size_t Histogram::bucket(std::uint64_t value) {
  if (value < kSteps) return value;
  const auto shift = static_cast<unsigned>(std::bit_width(value)) - 6;
  return (shift + 1) * kSteps + ((value >> shift) - kSteps);
}

std::uint64_t Histogram::upper(std::size_t bucket) {
  if (bucket < kSteps) return bucket;
  const auto shift = bucket / kSteps - 1;
  return ((bucket % kSteps + kSteps + 1) << shift) - 1;
}

void Histogram::add(std::uint64_t value) {
  ++buckets_[bucket(value)];
  ++count_;
  max_ = std::max(max_, value);
  sum_ += static_cast<double>(value);
}

std::vector<Histogram::Bar> Histogram::bars() const {
  std::vector<Bar> bars;
  std::uint64_t end = 1, decade = 1;
  Bar bar{end, 0};
  const auto next = [&] {
    if (bar.count != 0 || !bars.empty()) bars.push_back(bar);
    if (end > ~std::uint64_t{0} / 10) {
      end = ~std::uint64_t{0};
    } else {
      end = end == decade ? 2 * decade : end == 2 * decade ? 5 * decade : (decade *= 10);
    }
    bar = {end, 0};
  };
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size() && seen < count_; ++i) {
    if (buckets_[i] == 0) continue;
    while (upper(i) > end) next();
    bar.count += buckets_[i];
    seen += buckets_[i];
  }
  if (bar.count != 0) bars.push_back(bar);
  return bars;
}

std::uint64_t Histogram::quantile(double q) const {
  if (count_ == 0) return 0;
  const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::min(upper(i), max_);
  }
  return max_;
}

}  // namespace mansio::cli::load
