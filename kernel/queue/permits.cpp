// Permits that plugins take of limits which bind deliveries as well (mansio/draft/services.h): one bucket for both, and
// for all processes, which is the scheduler's. The router passes the questions on.
#include <algorithm>
#include <optional>

#include "kernel/queue/core.hpp"

namespace mansio::queue {
namespace {

constexpr std::uint32_t kMostPermits = 10'000;  // at once

std::optional<scheduler::RateRule::Key> limit_key(std::string_view limit) {
  for (std::size_t i = 0; i < scheduler::RateRule::kKeys; ++i)
    if (const auto key = static_cast<scheduler::RateRule::Key>(i); scheduler::rate_limit_name(key) == limit) return key;
  return std::nullopt;
}

}  // namespace

void QueueCore::on_permits_ask(Connection &c, const wire::PermitsAsk &ask) {
  if (c.peer.kind != wire::RoleKind::Router) return;
  wire::PermitsGiven given;
  given.number = ask.number;
  given.retry = wire::PermitsGiven::kNever;
  // A NUL divides the parts of the names that the scheduler has for whose mail it is.
  const bool named = !ask.key.empty() && ask.key.find('\0') == ask.key.npos;
  if (const auto key = limit_key(ask.limit); key && named) {
    const auto taken = scheduler_->take_permits(*key, ask.key, std::min(ask.want, kMostPermits), clock_.mono());
    given.granted = taken.granted;
    given.retry = taken.retry;
    if (taken.granted > 0) mark_active();
    if (wake_) wake_();  // the limit's owner may have to be asked
  }
  c.link->send(given);
}

}  // namespace mansio::queue
