#include "kernel/route/canonical.hpp"

#include <algorithm>
#include <span>
#include <string_view>

namespace mansio::route {
namespace {

constexpr std::string_view kNames[] = {"envelope_sender", "envelope_recipient", "header_sender", "header_recipient"};
constexpr int kMostSteps = 10;  // a mapping of a mapping; more is a circle

}  // namespace

Canonical::Canonical(const config::Settings &s, const DomainTables &domains) {
  const auto map = [&](const std::vector<std::string> &tables, const std::vector<std::string> &classes,
                       std::string_view name) {
    const bool meant = std::ranges::find(classes, name) != classes.end();
    return AddressMap{s, domains, meant ? std::span{tables} : std::span<const std::string>{}, "canonical"};
  };
  for (std::size_t i = 0; i < 4; ++i) {
    const bool sender = i % 2 == 0;
    specific_[i] = map(sender ? s.sender_canonical_maps : s.recipient_canonical_maps,
                       sender ? s.sender_canonical_classes : s.recipient_canonical_classes, kNames[i]);
    common_[i] = map(s.canonical_maps, s.canonical_classes, kNames[i]);
  }
}

bool Canonical::empty(AddressClass what) const {
  const auto i = static_cast<std::size_t>(what);
  return specific_[i].empty() && common_[i].empty();
}

Task<Mapped> Canonical::find(Search &search, AddressClass what, std::string address) const {
  Mapped out;
  const auto i = static_cast<std::size_t>(what);
  auto now = address;
  for (const auto *map : {&specific_[i], &common_[i]}) {
    for (int step = 0; step < kMostSteps && !map->empty() && !now.empty(); ++step) {
      auto mapped = co_await map->find(search, now);
      if (mapped.later) co_return mapped;
      if (mapped.addresses.empty() || mapped.addresses.front() == now) break;
      now = std::move(mapped.addresses.front());
    }
  }
  if (now != address) out.addresses.push_back(std::move(now));
  co_return out;
}

}  // namespace mansio::route
