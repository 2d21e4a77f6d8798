#include "kernel/host/table_cache.hpp"

#include <algorithm>

#include "kernel/base/clock.hpp"

namespace mansio::host {
namespace {

constexpr std::size_t kEntryBytes = 256;                  // list and index nodes, strings' heads
constexpr Nanos kLongestUse = 365 * 24 * 3600 * kSecond;  // "for ever", of a clock that counts on from any time

void join(std::string &to, std::string_view table, std::string_view key) {
  to.assign(table);
  to += '\0';
  to += key;
}

}  // namespace

const io::TableAnswer *TableCache::find(std::string_view table, std::string_view key, Nanos now) {
  join(probe_, table, key);
  const auto i = index_.find(probe_);
  if (i == index_.end() || i->second->until <= now) {
    if (i != index_.end()) erase(i->second);
    ++misses_;
    return nullptr;
  }
  ++hits_;
  entries_.splice(entries_.begin(), entries_, i->second);
  return &i->second->answer;
}

void TableCache::put(std::string_view table, std::string_view key, const io::TableAnswer &answer, Nanos ttl,
                     Nanos now) {
  if (ttl <= 0 || answer.outcome == io::TableAnswer::Outcome::TryLater) return;
  join(probe_, table, key);
  if (const auto i = index_.find(probe_); i != index_.end()) erase(i->second);
  auto bytes = kEntryBytes + probe_.size();
  for (const auto &value : answer.values) bytes += value.size() + sizeof(std::string);
  if (bytes > limit_) return;
  while (bytes_ + bytes > limit_) erase(std::prev(entries_.end()));
  entries_.push_front({probe_, answer, now + std::min(ttl, kLongestUse), bytes});
  index_.emplace(entries_.front().name, entries_.begin());
  bytes_ += bytes;
}

void TableCache::erase(Entries::iterator entry) {
  bytes_ -= entry->bytes;
  index_.erase(entry->name);
  entries_.erase(entry);
}

}  // namespace mansio::host
