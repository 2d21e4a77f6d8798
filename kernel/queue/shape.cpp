#include "kernel/queue/shape.hpp"

#include <algorithm>

#include "kernel/queue/json_line.hpp"

namespace mansio::queue {

std::vector<Nanos> Buckets::ends() const {
  std::vector<Nanos> out;
  constexpr Nanos kEver = 50'000'000 * (60 * kSecond);  // a hundred years
  auto end = static_cast<Nanos>(width * 60 * kSecond);
  const auto step = end;
  for (unsigned i = 0; i + 1 < count; ++i) {
    out.push_back(end);
    end = std::min(linear ? end + step : end * 2, kEver);
  }
  return out;
}

std::optional<ShapeBy> parse_shape_by(std::string_view text) {
  if (text == "recipient") return ShapeBy::Recipient;
  if (text == "sender") return ShapeBy::Sender;
  if (text == "destination") return ShapeBy::Destination;
  return std::nullopt;
}

Shape::Row &Shape::row(std::uint32_t hint, std::string_view transport, std::string_view name) {
  if (hint < by_hint_.size() && by_hint_[hint] < rows_.size()) {
    auto &hinted = rows_[by_hint_[hint]];
    if (hinted.is(transport, name)) return hinted;
  }
  std::string key{transport};
  (key += '\0') += name;
  const auto [at, added] = by_name_.emplace(std::move(key), static_cast<std::uint32_t>(rows_.size()));
  if (added) {
    rows_.push_back({std::string{transport}, std::string{name}, {}});
  }
  if (hint != kNoHint) {
    if (hint >= by_hint_.size()) by_hint_.resize(hint + 1, UINT32_MAX);
    by_hint_[hint] = at->second;
  }
  return rows_[at->second];
}

void Shape::add(std::uint32_t hint, std::string_view transport, std::string_view name, Nanos age, std::uint32_t n) {
  const auto bucket = static_cast<std::uint32_t>(std::upper_bound(ends_.begin(), ends_.end(), age) - ends_.begin());
  auto &ages = row(hint, transport, name).ages;
  auto at = std::lower_bound(ages.begin(), ages.end(), bucket,
                             [](const auto &counted, std::uint32_t wanted) { return counted.first < wanted; });
  if (at == ages.end() || at->first != bucket) at = ages.insert(at, {bucket, 0});
  at->second += n;
}

bool Shape::rows(std::string &out, std::size_t enough) {
  for (; written_ < rows_.size() && out.size() < enough; ++written_) {
    const auto &r = rows_[written_];
    Json j;
    j.open('{');
    if (by_ == ShapeBy::Destination)
      j.key("transport").text(r.transport).key("destination").text(r.name);
    else
      j.key("domain").text(r.name);
    std::uint64_t total = 0;
    for (const auto &[bucket, n] : r.ages) total += n;
    j.key("total").number(total);
    j.key("ages").open('[');
    auto next = r.ages.begin();
    for (std::size_t i = 0; i <= ends_.size(); ++i)
      j.number(next != r.ages.end() && next->first == i ? next++->second : 0);
    out += std::move(j.close(']').close('}')).line();
  }
  return written_ < rows_.size();
}

}  // namespace mansio::queue
