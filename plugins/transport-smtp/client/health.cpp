#include "plugins/transport-smtp/client/health.hpp"

#include <algorithm>

namespace mansio::smtp {
namespace {

// An opening that lasts so long makes others look elsewhere: first at addresses of the same preference, which are as
// good; then at any, which may be meant for worse days.
constexpr std::int64_t kLate = 100'000'000, kSlow = 1'000'000'000;
constexpr unsigned kMostDoublings = 3;
constexpr std::size_t kManyAddresses = 4096;

}  // namespace

bool Health::trusted(const std::string &key, std::int64_t now) const {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return true;
  const auto &entry = at->second;
  if (entry.failures != 0 && (now < entry.down_until || !entry.opening.empty())) return false;
  return entry.opening.empty() || now - *entry.opening.begin() < kSlow;
}

std::size_t Health::openings(const std::string &key) const {
  const auto at = entries_.find(key);
  return at == entries_.end() ? 0 : at->second.opening.size();
}

bool Health::late(const std::string &key, std::int64_t now) const {
  const auto at = entries_.find(key);
  return at != entries_.end() && !at->second.opening.empty() && now - *at->second.opening.begin() >= kLate;
}

std::int64_t Health::patience(const std::string &key) const {
  const auto at = entries_.find(key);
  return failover_time_ << (at == entries_.end() ? 0 : std::min(at->second.failures, kMostDoublings));
}

void Health::order(std::vector<Target> &targets, std::int64_t now) const {
  if (entries_.empty() || targets.size() < 2) return;
  struct Rank {
    bool bad;
    std::uint16_t preference;
    bool late;
    std::size_t openings;
    auto operator<=>(const Rank &) const = default;
  };
  std::vector<std::pair<Rank, Target>> ranked;
  ranked.reserve(targets.size());
  for (auto &target : targets) {
    const auto key = target.key();
    const Rank rank{!trusted(key, now), target.preference, late(key, now), openings(key)};
    ranked.emplace_back(rank, std::move(target));
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto &a, const auto &b) { return a.first < b.first; });
  for (std::size_t i = 0; i < targets.size(); ++i) targets[i] = std::move(ranked[i].second);
}

void Health::begin(const std::string &key, std::int64_t now) {
  if (entries_.size() >= kManyAddresses) forget_old(now);
  entries_[key].opening.insert(now);
}

void Health::end(const std::string &key, std::int64_t began) {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return;
  auto &opening = at->second.opening;
  if (const auto one = opening.find(began); one != opening.end()) opening.erase(one);
  if (opening.empty() && at->second.failures == 0) entries_.erase(at);
}

void Health::answered(const std::string &key, std::int64_t began) {
  if (const auto at = entries_.find(key); at != entries_.end()) at->second.failures = 0;
  end(key, began);
}

void Health::failed(const std::string &key, std::int64_t began, std::int64_t now) {
  auto &entry = entries_[key];
  // Openings that began together fail together: that is one failure, not many.
  if (began >= entry.down_until || entry.failures == 0) {
    entry.down_until = now + (probe_interval_ << std::min(entry.failures, kMostDoublings));
    ++entry.failures;
  }
  end(key, began);
}

void Health::withdrawn(const std::string &key, std::int64_t began) { end(key, began); }

// What failed long ago says nothing any more.
void Health::forget_old(std::int64_t now) {
  std::erase_if(entries_, [&](const auto &entry) {
    return entry.second.opening.empty() && now > entry.second.down_until + (probe_interval_ << kMostDoublings);
  });
}

}  // namespace mansio::smtp
