#include "plugins/transport-smtp/client/demand.hpp"

namespace mansio::smtp {
namespace {

constexpr std::int64_t kSoon = 1'000'000'000;
constexpr std::size_t kManyNexthops = 4096;

}  // namespace

void Demand::begin(const std::string &nexthop, std::int64_t now) {
  if (entries_.size() >= kManyNexthops)
    std::erase_if(entries_, [&](const auto &e) { return e.second.running == 0 && now - e.second.ended > kSoon; });
  const auto [at, is_new] = entries_.try_emplace(nexthop);
  auto &entry = at->second;
  entry.close = !is_new && (entry.running > 0 || now - entry.ended <= kSoon);
  ++entry.running;
}

void Demand::end(const std::string &nexthop, std::int64_t now) {
  const auto at = entries_.find(nexthop);
  if (at == entries_.end()) return;
  --at->second.running;
  at->second.ended = now;
}

bool Demand::high(const std::string &nexthop) const {
  const auto at = entries_.find(nexthop);
  return at != entries_.end() && (at->second.running > 1 || at->second.close);
}

}  // namespace mansio::smtp
