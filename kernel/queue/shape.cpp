#include "kernel/queue/shape.hpp"

#include <algorithm>
#include <numeric>

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
    rows_.push_back({std::string{transport}, std::string{name}, std::vector<std::uint64_t>(ends_.size() + 1)});
  }
  if (hint != kNoHint) {
    if (hint >= by_hint_.size()) by_hint_.resize(hint + 1, UINT32_MAX);
    by_hint_[hint] = at->second;
  }
  return rows_[at->second];
}

void Shape::add(std::uint32_t hint, std::string_view transport, std::string_view name, Nanos age, std::uint32_t n) {
  const auto bucket = std::upper_bound(ends_.begin(), ends_.end(), age) - ends_.begin();
  row(hint, transport, name).ages[static_cast<std::size_t>(bucket)] += n;
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
    j.key("total").number(std::accumulate(r.ages.begin(), r.ages.end(), std::uint64_t{0}));
    j.key("ages").open('[');
    for (const auto n : r.ages) j.number(n);
    out += std::move(j.close(']').close('}')).line();
  }
  return written_ < rows_.size();
}

}  // namespace mansio::queue
