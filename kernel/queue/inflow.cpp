#include "kernel/queue/inflow.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace mansio::queue {
namespace {

constexpr Nanos kMemory = 10 * kSecond;
constexpr double kIdle = 0.5;  // a client of whom so little is left does not count as one that sends
constexpr Nanos kSweepInterval = 10 * kSecond;

}  // namespace

double Inflow::Count::now(Nanos t) const {
  return value * std::exp(-static_cast<double>(t - at) / static_cast<double>(kMemory));
}

void Inflow::took(const std::string &client, Nanos now) {
  if (now - swept_ >= kSweepInterval) forget_idle(now);
  auto &count = clients_[client];
  count = {count.now(now) + 1, now};
}

std::vector<std::string> Inflow::heavy(Nanos now, std::size_t limit) {
  forget_idle(now);
  double sum = 0;
  std::vector<std::pair<double, std::string>> all;
  for (const auto &[client, count] : clients_) {
    sum += count.now(now);
    all.emplace_back(count.now(now), client);
  }
  const auto average = sum / static_cast<double>(all.size()) * (1 - 1e-9);
  std::erase_if(all, [&](const auto &one) { return one.first < average; });
  std::ranges::sort(all, std::greater{});
  if (all.size() > limit) all.resize(limit);
  std::vector<std::string> names;
  std::ranges::transform(all, std::back_inserter(names), [](auto &one) { return std::move(one.second); });
  std::ranges::sort(names);
  return names;
}

// What stays are the clients of the last seconds: few, and each has sent a message.
void Inflow::forget_idle(Nanos now) {
  swept_ = now;
  std::erase_if(clients_, [&](const auto &one) { return one.second.now(now) < kIdle; });
}

}  // namespace mansio::queue
