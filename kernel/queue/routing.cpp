// Routing again: recipients whose transport is not there any more, or whose message was requeued, wait on a transport
// of their own, "(routing)", whose deliveries are requests to the router. So they have backoff, limits and a reason
// like all that waits. New mail waits there first where a policy has a say in its way.
#include <algorithm>

#include "kernel/queue/core.hpp"

namespace mansio::queue {
namespace {

constexpr int kReroutedPerTurn = 512;

}  // namespace

void QueueCore::request_route(GroupSlot slot) {
  const auto message = index_.group(slot).message;
  const auto stored = stored_of(message);
  if (!stored) return;
  auto *c = router();
  wire::RouteRequest request;
  if (c) {
    auto &l = begin_lease(slot, *c, stored);
    l.routing = true;
    request.request = l.lease;
    request.id = index_.id_of(message);
    request.sender = stored->envelope.sender;
    request.listener = stored->envelope.listener;
    request.content_filter = stored->envelope.content_filter;
    for (const auto i : l.recipients) request.recipients.emplace_back(i, stored->envelope.recipients[i].address);
    // Also if none wants to see it after all, as before the router had said so: it is to keep the way that it has.
    if (!settings_->queue.policies.empty()) fill_route_request(request, slot, stored->envelope);
    if (c->link->send(request)) return;
    end_lease(leases_.find(request.request));
    index_.set_state(slot, GroupState::Scheduled);
    c->behind = true;
  }
  scheduler_->hold(slot);
  scheduler_->release(slot, 0, clock_.mono());
  refresh_capacity(route_transport_);
}

// What a policy is told: the ways that its recipients have, if those are there, and the rest.
void QueueCore::fill_route_request(wire::RouteRequest &request, GroupSlot slot, const Envelope &envelope) {
  const auto &m = index_.message(index_.group(slot).message);
  for (const auto &recipient : request.recipients) {
    const auto &route = route_of(m, envelope, recipient.first);
    request.routes.push_back(known_transport(route.transport) ? route : Route{});
  }
  request.attempts = index_.group(slot).attempts;
  request.facts = facts_of(m, envelope, pool_of(slot, envelope));
  if (encode(request).size() <= io::kMaxMessage) return;
  log_.warn("metadata left out of what a policy is told: it does not fit", {{"qid", request.id}});
  request.facts.metadata.clear();
}

void QueueCore::on_route_reply(const wire::RouteReply &reply) {
  const auto at = leases_.find(reply.request);
  if (at == leases_.end() || !at->second.routing) return;
  const auto slot = at->second.message;
  const auto group = at->second.group;
  const auto envelope = at->second.envelope;
  const LeaseContext context{"router", 0, at->second.taken_up, at->second.leased};
  const auto asked = at->second.recipients;
  changing(slot);
  end_lease(at);
  auto &m = index_.message(slot);
  // First, so that nothing of it goes before the journal has the hold.
  if (!reply.hold.empty() && !m.held && !m.deleted) hold_for_policy(slot, reply.hold);
  Batch batch;
  Recipients routed;
  Nanos decided = 0;  // the soonest that a policy says of those that are not routed yet
  std::vector<std::pair<std::uint32_t, Route>> routes;
  std::vector<std::pair<std::uint32_t, std::string>> pools;
  std::map<std::uint32_t, std::string> pool_given{reply.pools.begin(), reply.pools.end()};
  std::map<std::uint32_t, const wire::RouteRefusal *> refused;
  for (const auto &refusal : reply.refusals) refused[refusal.recipient] = &refusal;
  std::map<std::uint32_t, const Route *> given;
  for (const auto &[recipient, route] : reply.routes) given[recipient] = &route;
  for (const auto recipient : asked) {
    auto &recipients = index_.group(group).recipients;
    auto *p = recipients.find(recipient);
    if (p == recipients.end()) continue;
    const auto route = given.find(recipient);
    if (route != given.end() && !route->second->transport.empty()) {
      if (!known_transport(route->second->transport))
        transports_[transport_named(route->second->transport, true)].orphan = false;
      if (route_of(m, *envelope, recipient) != *route->second) {
        routes.emplace_back(recipient, *route->second);
        m.more().routes[recipient] = *route->second;
      }
      pools.emplace_back(recipient, pool_given[recipient]);
      tell_routed(m.id, envelope->recipients[recipient], *route->second);
      routed.push_back(recipient);
      reasons_.drop(p->reason);
      recipients.erase(p);
      continue;
    }
    wire::RecipientOutcome outcome;
    const auto why = refused.find(recipient);
    const wire::RouteRefusal none{recipient, {4, 3, 5}, "no route"};
    const auto &refusal = why == refused.end() ? none : *why->second;
    outcome.status = refusal.discard           ? wire::DeliveryStatus::Sent
                     : refusal.status.cls == 5 ? wire::DeliveryStatus::Bounced
                                               : wire::DeliveryStatus::Deferred;
    outcome.enhanced = refusal.status;
    outcome.text = refusal.text;
    outcome.relay = "none";
    outcome.relayed_dsn = refusal.discard;  // nobody is told that it was delivered
    if (refusal.retry > 0) decided = decided == 0 ? refusal.retry : std::min(decided, refusal.retry);
    apply(batch, group, recipient, outcome, *envelope, context);
  }
  if (!routes.empty()) journal(m, entry::routes(m.id, routes));
  set_pools(m, pools);
  refresh_capacities();
  // Another way makes nobody's mail new; a requeue does.
  const auto attempts = m.requeued ? std::uint16_t{0} : index_.group(group).attempts;
  // The new groups first: while they are there the message does not look finished.
  if (!m.deleted) place_recipients(slot, *envelope, routed, nullptr, times(), attempts, true);
  return_group(group, scheduler::Result::Delivered, batch, *envelope, {.decided = decided});
  conclude(slot, std::move(batch));
}

// The group keeps its place in the index; only where it waits changes.
void QueueCore::route_again(GroupSlot slot) {
  auto &m = index_.message(index_.group(slot).message);
  if (index_.group(slot).attempts > 0 && !m.held) wake(m);  // on the disk it may wait for longer
  index_.destination_changes(slot, scheduler_->nexthop_of(scheduler_->destination_of(slot)));
  const auto flow = scheduler_->with_source_pool(scheduler_->flow_of(slot), "");
  scheduler_->remove(slot);
  scheduler_->add_held({.id = slot,
                        .transport = route_transport_,
                        .destination = scheduler_->destination(route_transport_, "router"),
                        .due = clock_.mono(),
                        .flow = flow,
                        .alone = false});
  if (m.held)
    index_.set_state(slot, GroupState::Held);
  else
    schedule_new(slot);
}

// A transport that a reload took away: no process runs it, and processes of a later configuration are there.
void QueueCore::reroute_orphans() {
  // The successor of one that has just gone may be here and not have spoken yet.
  for (const auto &[id, c] : connections_)
    if (c->peer.kind == wire::RoleKind::Egress && !c->has_transport) return;
  std::uint32_t newest = 0;
  for (const auto &t : transports_) newest = std::max(newest, t.generation);
  for (std::size_t i = 0; i < transports_.size(); ++i) {
    auto &t = transports_[i];
    if (t.generation == 0 || t.generation >= newest || t.orphan) continue;
    const auto id = static_cast<scheduler::TransportId>(i);
    const bool running = std::any_of(connections_.begin(), connections_.end(), [&](const auto &c) {
      return c.second->has_transport && c.second->transport == id;
    });
    if (running) continue;
    t.orphan = true;
    const auto groups = scheduler_->groups(id);
    if (groups == 0) continue;
    log_.info("transport is gone, routing its mail again", {{"transport", t.name}, {"groups", groups}});
    orphans_at_ = 0;
  }
}

bool QueueCore::reroute_some() {
  if (!orphans_at_) return false;
  auto &slot = *orphans_at_;
  for (int n = 0; n < kReroutedPerTurn && slot < index_.slots(); ++n, ++slot) {
    if (!index_.message(slot).used) continue;
    index_.each_group(slot, [&](GroupSlot g) {
      const auto transport = scheduler_->transport_of(g);
      if (transport != route_transport_ && transports_[transport].orphan && index_.group(g).state != GroupState::Leased)
        route_again(g);
    });
  }
  if (slot < index_.slots()) return true;
  orphans_at_.reset();
  return false;
}

}  // namespace mansio::queue
