// Policies of the queue ([queue] policies): which of their stages are wanted, and what they are told of a message. They
// are asked by the router and by what delivers; the queue waits for nobody, and acts on what it is told.
#include <algorithm>
#include <utility>

#include "kernel/queue/core.hpp"
#include "kernel/queue/limits.hpp"

namespace mansio::queue {
namespace {

constexpr std::uint8_t kMostTurns = 5;
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

// What an operator has released is not held again before it was tried.
void QueueCore::set_released(Message &m, bool released) {
  if (released == (m.extra && m.extra->released)) return;
  m.more().released = released;
  journal(m, entry::released(m.id, released));
}

// A delivery that a policy did not let begin, and whose mail is to be held, or to go another way. It was no attempt.
void QueueCore::turned_away(Connection &c, LeaseMap::iterator at, const wire::Outcomes &o) {
  const auto &word = o.word.front();
  const auto slot = at->second.message;
  const auto group = at->second.group;
  const auto envelope = at->second.envelope;
  const LeaseContext context{transport_of(group).name, c.peer.pid, at->second.taken_up, at->second.leased};
  end_lease(at);
  auto &m = index_.message(slot);
  if (word.action == wire::PolicyAction::Hold) {
    if (!m.held && !m.deleted) hold_for_policy(slot, word);
    put_back(group);
  } else if (m.held || m.deleted || m.reroute) {
    put_back(group);
  } else if (!goes_another_way(group, *envelope, word)) {
    Batch batch;
    wire::RecipientOutcome circles;
    circles.enhanced = {4, 4, 6};
    circles.text = "policies send it round in circles";
    circles.relay = "none";
    for (const auto i : recipients_of(group)) apply(batch, group, i, circles, *envelope, context);
    return_group(group, scheduler::Result::NoFeedback, batch, *envelope, {.tried = false});
    conclude(slot, std::move(batch));
  }
  refresh_capacity(c.transport);
  acknowledge(c.id, o.lease);
}

// False: it has done so too often since it was last tried.
bool QueueCore::goes_another_way(GroupSlot group, const Envelope &envelope, const wire::PolicyWord &word) {
  const auto slot = index_.group(group).message;
  auto &m = index_.message(slot);
  if (++m.more().turns > kMostTurns) return false;
  auto &recipients = index_.group(group).recipients;
  const auto attempts = index_.group(group).attempts;
  std::vector<std::pair<std::uint32_t, Route>> routes;
  std::vector<std::pair<std::uint32_t, std::string>> pools;
  Recipients moved;
  for (const auto &p : recipients) {
    const auto &now = route_of(m, envelope, p.index);
    auto to = now;
    if (!word.route.transport.empty()) to.transport = word.route.transport;
    if (!word.route.transport.empty() || !word.route.nexthop.empty()) to.nexthop = word.route.nexthop;
    if (!known_transport(to.transport)) transports_[transport_named(to.transport, true)].orphan = false;
    if (to != now) routes.emplace_back(p.index, std::move(to));
    pools.emplace_back(p.index, word.source_pool.empty() ? own_pool_of(m, p.index) : word.source_pool);
    moved.push_back(p.index);
    reasons_.drop(p.reason);
  }
  recipients = {};
  for (const auto &[recipient, route] : routes) {
    m.more().routes[recipient] = route;
    tell_routed(m.id, envelope.recipients[recipient], route);
  }
  if (!routes.empty()) journal(m, entry::routes(m.id, routes));
  set_pools(m, pools);
  refresh_capacities();
  // The new groups first: while they are there the message does not look finished.
  place_recipients(slot, envelope, moved, nullptr, times(), attempts, true);
  Batch none;
  return_group(group, scheduler::Result::NoFeedback, none, envelope);
  conclude(slot, std::move(none));
  return true;
}

// A time that a policy chose, within the message's life: at its end it is tried for the last time.
Nanos QueueCore::within_life(GroupSlot group, Nanos after) const {
  const auto left = std::max<Nanos>(lifetime_of(index_.message(index_.group(group).message)) - age_of(group), 0);
  return std::clamp(after, std::min(kLeastPutOff, left), left);
}

// The next attempt is at a time that a policy chose, whatever the back-off says: `after` from now. The group is
// deferred, and not leased.
void QueueCore::put_off(GroupSlot group, Nanos after) {
  auto &m = index_.message(index_.group(group).message);
  scheduler_->hold(group);
  scheduler_->release(group, clock_.mono() + within_life(group, after), clock_.mono());
  journal(m, entry::deferred(m.id, deferral_of(group, due(group))));
  if (is_put_off(group)) journal(m, entry::put_off(m.id));
}

// It waits for the router though its way may be known, and a restart is to ask again, not to take that way.
bool QueueCore::is_unrouted(GroupSlot group) const {
  return scheduler_->transport_of(group) == route_transport_ && policy_wants(wire::QueueStage::Route);
}

Recipients QueueCore::recipients_of(GroupSlot group) const {
  Recipients all;
  for (const auto &p : index_.group(group).recipients) all.push_back(p.index);
  return all;
}

bool QueueCore::is_put_off(GroupSlot group) const {
  return scheduler_->due(group) > clock_.mono() + longest_wait(settings_->queue);
}

}  // namespace mansio::queue
