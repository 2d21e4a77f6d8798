#include "kernel/egress/policy_gate.hpp"

#include <utility>

namespace mansio::egress {
namespace {

wire::PolicyWord not_begun(const char *why) {
  wire::PolicyWord word;
  word.action = wire::PolicyAction::Defer;
  word.enhanced = {4, 3, 0};
  word.text = why;
  return word;
}

}  // namespace

PolicyGate::PolicyGate(const Clock &clock, std::string transport, std::unique_ptr<host::QueuePolicies> policies,
                       std::unique_ptr<host::TransportInstance> inner, TurnAway turn_away)
    : clock_(clock),
      name_(std::move(transport)),
      inner_(std::move(inner)),
      turn_away_(std::move(turn_away)),
      policies_(std::move(policies)) {}

bool PolicyGate::attach(std::string_view host, std::shared_ptr<io::Channel> channel) {
  return policies_->attach(host, std::move(channel));
}

void PolicyGate::start(const wire::Lease &lease, host::MessageSource message) {
  constexpr auto kStage = wire::QueueStage::PreDelivery;
  if (lease.facts.empty() || !policies_->wants(kStage)) return inner_->start(lease, std::move(message));
  const auto number = lease.lease;
  auto call =
      host::queue_call(kStage, lease.id, lease.sender, lease.facts.front(), {name_, lease.nexthop}, lease.attempts);
  for (const auto &r : lease.recipients) call.arguments.push_back(r.address);
  waiting_.insert_or_assign(number, Waiting{lease, std::move(message)});
  policies_->ask(kStage, std::move(call),
                 [this, number](wire::PolicyWord &&word) { decided(number, std::move(word)); });
}

// A way that is the one it has is no other; nor is the source group that its pool was chosen from.
bool PolicyGate::is_its_way(const wire::Lease &lease, const wire::PolicyWord &word) const {
  if (word.action != wire::PolicyAction::Route) return false;
  const auto &[transport, nexthop] = word.route;
  const bool same_nexthop = (transport.empty() && nexthop.empty()) || nexthop == lease.nexthop;
  return (transport.empty() || transport == name_) && same_nexthop &&
         (word.source_pool.empty() || word.source_pool == lease.source_pool ||
          word.source_pool == lease.facts.front().source_pool);
}

void PolicyGate::decided(std::uint64_t lease, wire::PolicyWord &&word) {
  auto node = waiting_.extract(lease);
  if (node.empty()) return;  // cancelled
  auto &waiting = node.mapped();
  if (word.action != wire::PolicyAction::None && !is_its_way(waiting.lease, word)) return turn_away_(lease, word);
  // An attempt that begins after its end would count as one of which nobody knows how it went.
  if (waiting.lease.deadline > 0 && clock_.mono() >= waiting.lease.deadline)
    return turn_away_(lease, not_begun("no time is left for the delivery"));
  inner_->start(waiting.lease, std::move(waiting.message));
}

void PolicyGate::cancel(std::uint64_t lease) {
  if (waiting_.erase(lease) == 0) return inner_->cancel(lease);
  turn_away_(lease, not_begun("cancelled before it began"));
}

void PolicyGate::stats(const host::StatsSink &add) const {
  policies_->stats(add);
  inner_->stats(add);
}

}  // namespace mansio::egress
