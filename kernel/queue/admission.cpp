// Admission: a committed message enters the index, its recipients in groups that share transport and destination.
#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>
#include <memory_resource>
#include <numeric>
#include <tuple>
#include <vector>

#include "kernel/config/client_network.hpp"
#include "kernel/mail/address.hpp"
#include "kernel/mail/utf8.hpp"
#include "kernel/queue/core.hpp"
#include "kernel/queue/limits.hpp"

namespace mansio::queue {
namespace {

constexpr std::size_t kGroupBytes = 32 * 1024;  // of recipients: a lease must fit in a frame, with room for the rest

std::size_t weight(const Recipient &r) { return r.address.size() + r.original.size() + r.orcpt.size() + 32; }

// Whoever held it before it was committed says why (kernel/ingress/session_filters.cpp).
std::string hold_reason_of(const Envelope &envelope) {
  for (const auto &[name, value] : envelope.metadata)
    if (name == "mansio.hold_reason") return value;
  return "held on arrival";
}

}  // namespace

const Route &QueueCore::route_of(const Message &m, const Envelope &envelope, std::uint32_t recipient) const {
  static const Route none;
  if (m.extra) {
    const auto at = m.extra->routes.find(recipient);
    if (at != m.extra->routes.end()) return at->second;
  }
  const auto route = envelope.recipients[recipient].route;
  return route < envelope.routes.size() ? envelope.routes[route] : none;
}

Result<SharedStored> QueueCore::read_stored(MessageSlot slot) {
  const auto id = index_.id_of(slot);
  if (auto cached = cache_.find(id)) return cached;
  auto at = store_.read_commit(id, index_.commit_of(slot));
  if (!at) return at.error();
  auto envelope = store_.read_envelope(*at);
  if (!envelope) return envelope.error();
  return std::make_shared<const Stored>(Stored{*at, std::move(*envelope)});
}

SharedStored QueueCore::stored_of(MessageSlot slot, bool *cold) {
  if (auto cached = cache_.find(index_.id_of(slot))) return cached;
  if (cold) *cold = true;
  auto stored = read_stored(slot);
  if (stored) return cache_.put(std::move(*stored));
  set_aside(slot, "envelope unreadable: " + stored.error().text);
  return nullptr;
}

void QueueCore::set_aside(MessageSlot slot, const std::string &why) {
  auto &m = index_.message(slot);
  if (m.corrupt) return;
  changing(slot);
  ++counters_.corrupt;
  m.corrupt = true;    // do_hold() has it counted
  cache_.erase(m.id);  // who releases it wants it to be read again
  log_.error("the message is set aside", {{"qid", m.id}, {"segment", index_.commit_of(slot).segment}, {"error", why}});
  do_hold(slot, why);
}

// For operators: a look at everything must not push out of the cache what is being delivered.
SharedStored QueueCore::peek(MessageSlot slot) {
  if (index_.message(slot).corrupt) return nullptr;
  ++peeks_;
  auto stored = read_stored(slot);
  return stored ? std::move(*stored) : nullptr;
}

QueueCore::SharedEnvelope QueueCore::envelope_of(MessageSlot slot) {
  auto stored = stored_of(slot);
  return stored ? SharedEnvelope{stored, &stored->envelope} : nullptr;
}

// `anew`: it has just come. While mail of an earlier life is being found, all waits until the gate opens. kNone: it is
// not in the index, or not any more.
MessageSlot QueueCore::admit(const spool::Committed &at, Envelope &&envelope, const Record *record, bool anew,
                             const Times &now) {
  if (!store_.admit(at)) return kNone;
  const auto slot = index_.add(at);
  if (slot == kNone) {
    log_.error("the spool has too many segments: a message waits in it until the next start", {{"qid", at.id}});
    return kNone;
  }
  ++counters_.admitted;
  auto &m = index_.message(slot);
  m.arrival = envelope.arrival;
  m.null_sender = envelope.sender.empty();
  index_.set_sender(slot, envelope.sender);
  if (record) {
    const auto &s = record->state;
    m.journaled = true;
    if (s.arrival != 0) m.arrival = s.arrival, m.requeued = true;
    m.held = s.held;
    m.corrupt = s.corrupt;
    m.deleted = s.deleted;
    m.forced_expire = s.forced_expire;
    m.delay_warned = s.delay_warned;
    m.possible_duplicate = s.possible_duplicate;
    m.kills = s.kills;
    if (!s.hold_reason.empty()) m.more().hold_reason = s.hold_reason;
    for (const auto &[recipient, route] : record->routes) m.more().routes[recipient] = route;
    if (!record->pool.empty()) m.more().pool = record->pool;
    for (const auto &[recipient, pool] : record->pools) m.more().pools[recipient] = pool;
    if (record->released) m.more().released = true;
    if (!record->failed.empty()) m.more().failed = record->failed;
    if (!record->succeeded.empty()) m.more().succeeded = record->succeeded;
    if (!record->intents.empty()) m.more().intents = record->intents;
    if (record->next_event > 1) m.more().next_event = record->next_event;
  }
  // What was said of its way, as by a rebind, does not end the hold that it came with.
  if (!(record && record->has_state) && envelope.hold_until == std::numeric_limits<Nanos>::max()) {
    m.held = true;
    m.more().hold_reason = hold_reason_of(envelope);
  }
  if (envelope.restored.spool != 0) {
    m.possible_duplicate = true;  // nobody knows what the spool that it was in had not told the store
    owe_stores(envelope.restored);
  }
  index_.recount(slot);
  const DsnParent parent = envelope.dsn_parent;
  Recipients recipients;
  if (record && record->complete) {
    recipients = record->pending;
    std::erase_if(recipients, [&](std::uint32_t i) { return i >= envelope.recipients.size(); });
  } else {
    recipients.resize(envelope.recipients.size());
    std::iota(recipients.begin(), recipients.end(), 0u);
  }
  if (record && !record->done.empty()) {
    auto done = record->done;
    std::sort(done.begin(), done.end());
    std::erase_if(recipients, [&](std::uint32_t i) { return std::binary_search(done.begin(), done.end(), i); });
  }
  if (recipients.size() < envelope.recipients.size()) store_changed(at.id);
  if (anew) delivery_log_.active(at.id, envelope);
  if (anew && !record) tell_inserted(at.id, envelope);
  if (anew && !envelope.client_address.empty()) inflow_.took(client_of(envelope), now.mono);
  if (anew) {
    const auto stored = cache_.put(std::make_shared<const Stored>(Stored{at, std::move(envelope)}));
    place_recipients(slot, stored->envelope, recipients, record, now, 0, false);
  } else {
    place_recipients(slot, envelope, recipients, record, now, 0, false);
  }
  if (parent.id && replay_) adopted_.try_emplace(at.id, FoundDsn{{parent.id, parent.event}, at.commit});
  if (m.groups == kNone || m.deleted)
    settle(slot);
  else if (m.extra && !(m.extra->failed.empty() && m.extra->succeeded.empty()))
    tell_in_time(slot);
  if (settings_->queue.backlog_limit > 0 && pressure_.accept && index_.backlog() >= settings_->queue.backlog_limit)
    update_pressure();
  return index_.id_of(slot) == at.id ? slot : kNone;
}

// Who is one client to the limits of the listener that it came in by, as ingress names it.
std::string QueueCore::client_of(const Envelope &envelope) const {
  const auto address = config::parse_ip(envelope.client_address);
  if (!address) return envelope.client_address;
  const auto *listener = settings_->listener(envelope.listener);
  return to_string(config::client_network(listener ? listener->smtpd : settings_->smtpd, *address));
}

scheduler::FlowId QueueCore::flow_of(const Envelope &envelope, std::string_view source_pool) {
  return scheduler_->flow({.tenant = envelope.tenant,
                           .campaign = envelope.campaign,
                           .sender = envelope.sender,
                           .source_pool = source_pool,
                           .priority = static_cast<std::int8_t>(envelope.priority)});
}

// Where it is routed it leaves from no source pool.
scheduler::FlowId QueueCore::flow_of(GroupSlot group, const Envelope &envelope) {
  const bool routing = scheduler_->transport_of(group) == route_transport_;
  return flow_of(envelope, routing ? std::string_view{} : pool_of(group, envelope));
}

// `attempts`: made for them so far, where `record` does not say. `settled`: their routes are their last word; else
// those that were neither tried nor given a route since they came are the router's first, if a policy wants to see them
// there.
void QueueCore::place_recipients(MessageSlot slot, const Envelope &envelope, const Recipients &recipients,
                                 const Record *record, const Times &as_of, std::uint16_t attempts, bool settled) {
  auto &m = index_.message(slot);
  const auto now = as_of.wall;
  const bool asks = !settled && policy_wants(wire::QueueStage::Route);
  // An attempt that is put off for longer than any back-off is another clock's, which was ahead of ours, but for those
  // that a policy chose.
  const auto latest = [&](const Deferral &d) {
    if (d.woken) return now;
    return now +
           (d.put_off ? std::max(lifetime_of(m), longest_wait(settings_->queue)) : longest_wait(settings_->queue));
  };
  steps_.hear(as_of.offset());
  std::byte nearby[1024];  // enough for the usual message
  std::pmr::monotonic_buffer_resource memory{nearby, sizeof(nearby)};
  // Why a recipient waits, if it was deferred before: the last that was said of it counts.
  struct Wait {
    std::uint32_t recipient;
    const Deferral *deferral;
    std::uint64_t reason;  // its number in the journal
  };
  std::pmr::vector<Wait> waits{&memory};
  if (record)
    for (const auto &d : record->deferrals)
      for (const auto &[recipient, reason] : d.recipients) waits.push_back({recipient, &d, reason});
  if (waits.size() > 1) std::ranges::stable_sort(waits, {}, &Wait::recipient);
  const auto wait_of = [&](std::uint32_t recipient) -> const Wait * {
    const auto behind = std::ranges::upper_bound(waits, recipient, {}, &Wait::recipient);
    return behind != waits.begin() && behind[-1].recipient == recipient ? &behind[-1] : nullptr;
  };

  struct Open {
    GroupSlot group;
    std::size_t bytes;
    std::uint32_t limit;  // of recipients
  };
  const auto flow = flow_of(envelope, pool_of(m, envelope));
  using Key = std::tuple<scheduler::TransportId, std::string, std::string, const Deferral *, std::string_view>;
  std::pmr::map<Key, Open> open{&memory};
  std::pmr::vector<GroupSlot> made{&memory};
  for (const auto i : recipients) {
    const auto &recipient = envelope.recipients[i];
    const auto &route = route_of(m, envelope, i);
    const auto *wait = wait_of(i);
    auto known = known_transport(route.transport);
    const bool tried = wait && !wait->deferral->unrouted;
    if (asks && known && !tried && !(m.extra && m.extra->routes.contains(i))) known.reset();
    const auto *deferral = wait ? wait->deferral : nullptr;
    const auto transport = known ? *known : route_transport_;
    const bool by_recipient = known && transports_[transport].by_recipient;
    Key key{transport, known ? lower(route.nexthop) : "",
            by_recipient                     ? lower(recipient.address)
            : known && route.nexthop.empty() ? lower(split_address(recipient.address).domain)
                                             : "",
            deferral, known ? own_pool_of(m, i) : std::string_view{}};
    auto at = open.find(key);
    if (at != open.end() && (index_.group(at->second.group).recipients.size() >= at->second.limit ||
                             at->second.bytes + weight(recipient) > kGroupBytes)) {
      open.erase(at);
      at = open.end();
    }
    const bool first = at == open.end();
    if (first) {
      const auto g = index_.add_group(slot);
      auto &group = index_.group(g);
      auto due = now;
      group.attempts = deferral ? deferral->attempts : attempts;
      if (deferral) {
        due = std::min(deferral->due, latest(*deferral));
      } else if (!record && envelope.hold_until > now && envelope.hold_until != std::numeric_limits<Nanos>::max()) {
        due = envelope.hold_until;
      }
      made.push_back(g);
      at = open.emplace(std::move(key), Open{g, 0, 0}).first;
      const auto &[_, nexthop, domain, waiting, pool] = at->first;
      const auto name = known ? std::string_view{domain.empty() ? nexthop : domain} : "router";
      const auto destination = scheduler_->destination(transport, name);
      look_at_exchangers(transport, destination);
      at->second.limit = scheduler_->recipient_limit(destination);
      // Known to the scheduler from here on, which keeps the destination.
      scheduler_->add_held({.id = g,
                            .transport = transport,
                            .destination = destination,
                            .due = due - as_of.offset(),
                            .flow = flow,
                            .alone = m.kills > 0});
    }
    index_.group(at->second.group).recipients.push({i, wait ? replay_->reason(wait->reason, reasons_) : 0});
    if (first && (!known || !pools_.empty() || !std::get<4>(at->first).empty()))
      scheduler_->set_flow(at->second.group, flow_of(at->second.group, envelope), as_of.mono);
    index_.add_recipient(at->second.group, recipient.address,
                         scheduler_->nexthop_of(scheduler_->destination_of(at->second.group)));
    at->second.bytes += weight(recipient);
  }
  if (made.size() > 1) {
    std::map<scheduler::TransportId, std::uint64_t> deliveries;
    for (const auto g : made) ++deliveries[scheduler_->transport_of(g)];
    for (const auto g : made) {
      const auto transport = scheduler_->transport_of(g);
      if (scheduler_->is_list(transport, deliveries[transport])) scheduler_->set_list(g, true);
    }
  }
  for (const auto g : made) {
    if (m.held)
      index_.set_state(g, GroupState::Held);
    else if (replay_)
      index_.set_state(g, GroupState::Parked);
    else
      schedule_new(g);
  }
}

// Hands a group that waits (new, parked, held) to the scheduler.
void QueueCore::schedule_new(GroupSlot slot) {
  index_.set_state(slot, GroupState::Scheduled);
  scheduler_->release(slot, scheduler_->due(slot), clock_.mono());
}

}  // namespace mansio::queue
