#include "kernel/mail/duplicates.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace mansio {
namespace {

constexpr std::size_t kFew = 8;  // compared with each other; more are sorted

std::uint8_t both(std::uint8_t a, std::uint8_t b) {
  if (a == b) return a;
  const auto spelled_out = [](std::uint8_t n) -> std::uint8_t {
    return n == 0 ? kNotifyFailure | kNotifyDelay : n & ~kNotifyNever;
  };
  const std::uint8_t all = spelled_out(a) | spelled_out(b);
  return all == spelled_out(0) && (a == 0 || b == 0) ? 0 : all;
}

void merge(Recipient &into, const Recipient &other) {
  into.notify = both(into.notify, other.notify);
  if (into.orcpt.empty()) into.orcpt = other.orcpt;
}

}  // namespace

void merge_duplicates(std::vector<Recipient> &recipients) {
  const auto n = recipients.size();
  if (n < 2) return;
  bool any = false;
  const auto merge_if_same = [&](std::size_t first, std::size_t second) {
    if (recipients[first].address != recipients[second].address) return false;
    merge(recipients[first], recipients[second]);
    recipients[second].address.clear();  // no recipient has an empty address: to be taken out below
    return any = true;
  };
  if (n <= kFew) {
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t k = i + 1; k < n && !recipients[i].address.empty(); ++k) merge_if_same(i, k);
  } else {
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t i) -> const std::string & { return recipients[i].address; });
    for (std::size_t i = 0, k = 1; k < n; ++k)
      if (!merge_if_same(order[i], order[k])) i = k;
  }
  if (any) std::erase_if(recipients, [](const Recipient &r) { return r.address.empty(); });
}

}  // namespace mansio
