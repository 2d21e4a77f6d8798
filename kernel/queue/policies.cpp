// Policies of the queue ([queue] policies): which of their stages are wanted, and what they are told of a message. They
// are asked by the router and by what delivers; the queue waits for nobody, and acts on what it is told.
#include <algorithm>
#include <utility>

#include "kernel/queue/core.hpp"
#include "kernel/queue/limits.hpp"

namespace mansio::queue {
namespace {

constexpr Nanos kLeastPutOff = kSecond;  // what a policy may ask for, so that mail does not go round without a pause

}  // namespace

// The newest router's word. While it has not said anything all are wanted: it answers at once where nobody is to be
// asked after all.
void QueueCore::update_policy_stages() {
  policy_stages_ = 0;
  if (settings_->queue.policies.empty()) return;
  const Connection *newest = nullptr;
  for (const auto &[id, c] : connections_) {
    if (c->peer.kind != wire::RoleKind::Router || !c->link) continue;
    if (!newest || c->peer.generation >= newest->peer.generation) newest = c.get();
  }
  policy_stages_ = newest && newest->policy_stages ? *newest->policy_stages : wire::kAllQueueStages;
}

void QueueCore::on_policy_stages(Connection &c, const wire::PolicyStages &said) {
  if (c.peer.kind != wire::RoleKind::Router || c.draining) return;
  c.policy_stages = said.stages & wire::kAllQueueStages;
  update_policy_stages();
}

wire::MailFacts QueueCore::facts_of(const Message &m, const Envelope &e, const std::string &source_pool) const {
  wire::MailFacts facts;
  facts.client_address = e.client_address;
  facts.client_name = e.client_name;
  facts.helo = e.helo;
  facts.protocol = e.protocol;
  facts.listener = e.listener;
  facts.auth_user = e.auth_user;
  facts.tenant = e.tenant;
  facts.campaign = e.campaign;
  facts.source_pool = source_pool;
  facts.priority = e.priority;
  facts.size = e.body.size;
  facts.arrival = m.arrival;
  facts.metadata = e.metadata;
  return facts;
}

// As the router chose them anew.
void QueueCore::set_pools(Message &m, const std::vector<std::pair<std::uint32_t, std::string>> &pools) {
  std::vector<std::pair<std::uint32_t, std::string>> changed;
  for (const auto &[recipient, pool] : pools) {
    if (own_pool_of(m, recipient) == pool) continue;
    changed.emplace_back(recipient, pool);
    if (pool.empty())
      m.extra->pools.erase(recipient);
    else
      m.more().pools[recipient] = pool;
  }
  if (!changed.empty()) journal(m, entry::pools(m.id, changed));
}

void QueueCore::forget_pools(Message &m) {
  if (!m.extra) return;
  std::vector<std::pair<std::uint32_t, std::string>> none;
  for (const auto &[recipient, pool] : m.extra->pools) none.emplace_back(recipient, "");
  set_pools(m, none);
}

void QueueCore::hold_for_policy(MessageSlot slot, const std::string &reason) {
  ++counters_.held_by_policies;
  log_.info("held by a policy", {{"qid", index_.id_of(slot)}, {"reason", reason}});
  do_hold(slot, reason);
}

void QueueCore::hold_for_policy(MessageSlot slot, const wire::PolicyWord &word) {
  hold_for_policy(slot, "by " + word.policy + (word.text.empty() ? "" : ": " + word.text));
}

// The next attempt is at a time that a policy chose, whatever the back-off says: `after` from now, but not behind the
// end of the message's life, when it is tried for the last time. The group is deferred, and not leased.
void QueueCore::put_off(GroupSlot group, Nanos after) {
  auto &m = index_.message(index_.group(group).message);
  const auto left = std::max<Nanos>(lifetime_of(m) - age_of(group), 0);
  scheduler_->hold(group);
  scheduler_->release(group, clock_.mono() + std::clamp(after, std::min(kLeastPutOff, left), left), clock_.mono());
  journal(m, entry::deferred(m.id, deferral_of(group, due(group))));
  if (is_put_off(group)) journal(m, entry::put_off(m.id));
}

bool QueueCore::is_put_off(GroupSlot group) const {
  return scheduler_->due(group) > clock_.mono() + longest_wait(settings_->queue);
}

}  // namespace mansio::queue
