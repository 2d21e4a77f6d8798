#include "kernel/cli/simulate/world.hpp"

#include <algorithm>
#include <cmath>

namespace mansio::cli::simulate {

std::uint64_t Random::next() {  // splitmix64
  auto z = state_ += 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

double Random::exponential() { return -std::log(1 - unit()); }

const Behaviour &NextHop::behaviour(Nanos now) const {
  const auto *b = &spec_->phases.front();
  for (const auto &phase : spec_->phases)
    if (phase.from <= now) b = &phase;
  return *b;
}

NextHop::Taken &NextHop::of(std::size_t pool) {
  if (!spec_->by_pool) return taken_;
  if (pool >= by_pool_.size()) by_pool_.resize(pool + 1);
  return by_pool_[pool];
}

Verdict NextHop::begin(Nanos now, Random &random, std::string_view pool, std::size_t number) {
  const auto &b = behaviour(now);
  auto &taken = of(number);
  ++taken.connections;
  constexpr Nanos kRefused = 5 * kMillisecond;
  // Hosts in random order; those that hang are the first by number.
  Nanos lost = 0;
  bool connected = b.hanging == 0;
  if (!connected) {
    avoid_until_.resize(std::max<std::size_t>(avoid_until_.size(), b.hosts));
    std::vector<std::uint32_t> order(b.hosts);
    for (std::uint32_t i = 0; i < b.hosts; ++i) order[i] = i;
    for (std::uint32_t i = b.hosts; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    const bool any_known_good =
        std::any_of(order.begin(), order.end(), [&](std::uint32_t h) { return avoid_until_[h] <= now; });
    for (const auto host : order) {
      if (spec_->host_memory > 0 && avoid_until_[host] > now && any_known_good) continue;
      if (host >= b.hanging) {
        connected = true;
        break;
      }
      // The next probe is allowed once this one is known to have failed and the memory is over; until then nobody else
      // tries this host.
      avoid_until_[host] = now + lost + spec_->connect_timeout + spec_->host_memory;
      lost += spec_->connect_timeout;
    }
  }
  if (!connected) return {Ending::NoConnection, std::max(lost, kRefused)};
  if ((b.connections > 0 && taken.connections > b.connections) || (b.refuse > 0 && random.unit() < b.refuse))
    return {Ending::NoConnection, lost + kRefused};
  const auto takes =
      lost + static_cast<Nanos>(static_cast<double>(b.latency) * (1 + b.spread * (2 * random.unit() - 1)));
  if (!b.blocks.empty() && b.blocks == pool) return {Ending::Deferred, takes};
  if (b.rate > 0) {
    const auto t = static_cast<double>(now) / kSecond;
    taken.full_at = std::max(taken.full_at, t);
    if (taken.full_at - t > 1) return {Ending::TooMuch, takes};  // a second's worth at once
    taken.full_at += 1 / b.rate;
  }
  if (b.error > 0 && random.unit() < b.error) return {Ending::Deferred, takes};
  if (b.reject > 0 && random.unit() < b.reject) return {Ending::Rejected, takes};
  return {Ending::Delivered, takes};
}

}  // namespace mansio::cli::simulate
