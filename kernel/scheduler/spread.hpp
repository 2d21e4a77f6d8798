// Spread: which of several takes the next one, so that each has its part by weight: a smooth weighted choice. Each that
// may be chosen earns its weight, and who is chosen pays what all of them earned; among those that are in credit it is
// chance, in proportion to their credit. So of any number of choices nobody is further from its part than there are
// others to choose from, and no pattern in what is spread (destinations by turns, every second message a large one)
// meets a pattern in the choice. Who may not be chosen for a while keeps its credit, and has no claim on what went
// elsewhere meanwhile. Pure: the random numbers are the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mansio::scheduler {

class Spread {
 public:
  explicit Spread(std::vector<std::uint32_t> weights) : weights_(std::move(weights)), credits_(weights_.size()) {}

  std::uint32_t weight(std::size_t i) const { return weights_[i]; }

  // One of `among`, which are not none and different. `random`: from 0 to less than 1.
  std::size_t choose(std::span<const std::size_t> among, double random) {
    std::int64_t earned = 0, positive = 0;
    for (const auto i : among) {
      earned += weights_[i];
      credits_[i] += weights_[i];
      if (credits_[i] > 0) positive += credits_[i];
    }
    const auto chosen = positive > 0 ? by_credit(among, random * static_cast<double>(positive)) : richest(among);
    credits_[chosen] -= earned;
    return chosen;
  }

 private:
  std::size_t by_credit(std::span<const std::size_t> among, double at) const {
    for (const auto i : among) {
      if (credits_[i] <= 0) continue;
      at -= static_cast<double>(credits_[i]);
      if (at < 0) return i;
    }
    return richest(among);  // rounding
  }
  // Where all are in debt, because those that are in credit may not be chosen now.
  std::size_t richest(std::span<const std::size_t> among) const {
    auto best = among.front();
    for (const auto i : among)
      if (credits_[i] > credits_[best]) best = i;
    return best;
  }

  std::vector<std::uint32_t> weights_;
  std::vector<std::int64_t> credits_;  // their sum is 0
};

}  // namespace mansio::scheduler
