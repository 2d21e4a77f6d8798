#include "kernel/queue/shape.hpp"

#include <algorithm>
#include <numeric>

#include "kernel/queue/json_line.hpp"

namespace mansio::queue {

std::vector<Nanos> Buckets::ends() const {
  std::vector<Nanos> out;
  constexpr Nanos kEver = 1'000'000 * 60 * kSecond;  // two years
  auto end = static_cast<Nanos>(width) * 60 * kSecond;
  const auto step = end;
  for (unsigned i = 0; i < count; ++i) {
    out.push_back(end);
    end = std::min(linear ? end + step : end * 2, kEver);
  }
  return out;
}

Shape::Row &Shape::row(std::uint32_t destination, std::string_view transport, std::string_view nexthop) {
  if (destination < by_destination_.size() && by_destination_[destination] < rows_.size()) {
    auto &hinted = rows_[by_destination_[destination]];
    if (hinted.is(transport, nexthop)) return hinted;
  }
  std::string name{transport};
  (name += '\0') += nexthop;
  const auto [at, added] = by_name_.emplace(std::move(name), static_cast<std::uint32_t>(rows_.size()));
  if (added) {
    rows_.push_back({std::string{transport}, std::string{nexthop}, std::vector<std::uint64_t>(ends_.size() + 1)});
  }
  if (destination >= by_destination_.size()) by_destination_.resize(destination + 1, UINT32_MAX);
  by_destination_[destination] = at->second;
  return rows_[at->second];
}

void Shape::add(std::uint32_t destination, std::string_view transport, std::string_view nexthop, Nanos age,
                std::uint32_t recipients) {
  const auto bucket = std::upper_bound(ends_.begin(), ends_.end(), age) - ends_.begin();
  row(destination, transport, nexthop).ages[static_cast<std::size_t>(bucket)] += recipients;
}

bool Shape::rows(std::string &out, std::size_t enough) {
  for (; written_ < rows_.size() && out.size() < enough; ++written_) {
    const auto &r = rows_[written_];
    Json j;
    j.open('{').key("transport").text(r.transport).key("destination").text(r.nexthop);
    j.key("total").number(std::accumulate(r.ages.begin(), r.ages.end(), std::uint64_t{0}));
    j.key("ages").open('[');
    for (const auto n : r.ages) j.number(n);
    out += std::move(j.close(']').close('}')).line();
  }
  return written_ < rows_.size();
}

}  // namespace mansio::queue
