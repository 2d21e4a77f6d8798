// Leases: the scheduler's decisions turned into leases for egress processes.

#include <algorithm>
#include <utility>

#include "kernel/queue/core.hpp"

namespace mansio::queue {
namespace {

constexpr int kWokenPerTurn = 2048;
constexpr int kLeasesPerTurn = 256;           // one turn's worth leaves in shared frames
constexpr Nanos kCancelGrace = 30 * kSecond;  // at most; from being told to give up to being killed
constexpr Nanos kJournalPatience = 5 * kSecond;
constexpr Nanos kActiveAhead = 5 * kSecond;    // the disk is told of leases so far ahead
constexpr Nanos kTurn = kSecond;               // longer than any turn, or a sync
constexpr std::uint64_t kAtOnce = 128 * 1024;  // a body that the loop itself reads

bool is_waited_for(wire::RoleKind kind) {
  return kind == wire::RoleKind::Egress || kind == wire::RoleKind::Ingress || kind == wire::RoleKind::Router;
}

// Who brought it into the mail system, as far as we have been told.
Origin origin_of(const Envelope &e, MessageId id) {
  auto origin = e.origin.value_or(Origin{});
  if (!e.origin) {
    const bool remote = !e.client_address.empty() && e.client_address != "unix";
    origin.local = !remote;
    if (remote) origin.address = e.client_address;
    if (remote && e.client_name != "unknown") origin.name = e.client_name;
    origin.port = e.client_port;
    origin.helo = e.helo;
    origin.protocol = e.protocol;
  }
  if (origin.ident.empty()) origin.ident = to_string(id);
  return origin;
}

Nanos grace(const TransportInfo &transport) { return std::min(kCancelGrace, transport.delivery_time_limit); }

}  // namespace

// True: there may be more to lease at once.
bool QueueCore::lease_some() {
  // In this order: a journal that is stuck would never say that deliveries may be under way.
  if (!leasing() || journal_stuck() || !active_on_disk()) return false;
  for (int n = 0; n < kLeasesPerTurn; ++n) {
    check_active_limits();
    const auto decision = scheduler_->next(clock_.mono());
    if (!decision) return false;
    if (transports_[decision->transport].asks_exchangers)
      look_at_exchangers(decision->transport, scheduler_->destination_of(decision->group));
    if (decision->suspended)
      suspend(decision->group, why_suspended(decision->group, decision->dead_transport), decision->dead_transport);
    else if (transports_[decision->transport].deferred && index_.group(decision->group).flush != FlushState::LetOut)
      suspend(decision->group, {0, {4, 3, 2}, "deferred transport", "", "none"}, false);
    else if (decision->transport == route_transport_)
      request_route(decision->group);
    else
      lease(decision->group);
  }
  return true;
}

void QueueCore::check_active_limits() {
  const auto &q = settings_->queue;
  const auto messages = index_.count(QueueName::Active);
  clog_.full = nullptr;
  const auto over = [&](const char *limit, std::uint64_t least, const char *what) {
    clog_.full = limit;
    scheduler_->pause(scheduler::Why{limit, std::to_string(least) + what + " under delivery at once", 0,
                                     static_cast<double>(least), 0});
  };
  if (messages >= q.qmgr_message_active_limit)
    over("qmgr_message_active_limit", q.qmgr_message_active_limit, " messages");
  else if (leased_recipients_ >= q.qmgr_message_recipient_limit)
    over("qmgr_message_recipient_limit", q.qmgr_message_recipient_limit, " recipients");
  else
    scheduler_->pause(std::nullopt);
}

// Outcomes that cannot be written down pile up in memory, and after a crash are all delivered again.
bool QueueCore::journal_stuck() {
  if (store_.synced_sequence() >= last_sequence_ || clock_.mono() - journal_moved_ < kJournalPatience) return false;
  if (!std::exchange(journal_stuck_, true)) {
    log_.error("the journal cannot be written: no delivery begins before it can; see the spool's disk");
    scheduler_->pause(scheduler::Why{"journal", "it cannot be written: see the spool's disk", 0, 0, 0});
  }
  return true;
}

LeaseState &QueueCore::begin_lease(GroupSlot slot, Connection &c, const SharedStored &stored) {
  const auto &g = index_.group(slot);
  LeaseState l;
  l.lease = next_lease_++;
  l.message = g.message;
  l.group = slot;
  l.connection = c.id;
  l.envelope = SharedEnvelope{stored, &stored->envelope};
  l.recipients.reserve(g.recipients.size());
  for (const auto &p : g.recipients) l.recipients.push_back(p.index);
  l.reported.assign(l.recipients.size(), false);
  l.body = stored->at.body;
  l.leased = clock_.wall();
  l.taken_up = std::min(due(slot), l.leased);
  l.deadline = clock_.mono() + transport_of(slot).delivery_time_limit;
  deadlines_.emplace(l.deadline, l.lease);
  ++c.leases;
  leased_recipients_ += l.recipients.size();
  index_.set_state(slot, GroupState::Leased);
  return leases_.emplace(l.lease, std::move(l)).first->second;
}

void QueueCore::fill_lease(wire::Lease &out, const LeaseState &l, const Envelope &e) const {
  const auto &m = index_.message(l.message);
  out.lease = l.lease;
  out.id = m.id;
  out.slices.push_back(l.body);
  out.body = e.body;
  out.sender = e.sender;
  out.nexthop = l.recipients.empty() ? "" : route_of(m, e, l.recipients.front()).nexthop;
  out.recipients.reserve(l.recipients.size());
  for (const auto i : l.recipients) {
    const auto &r = e.recipients[i];
    out.recipients.push_back({i, r.address, r.orcpt, r.original, r.notify});
  }
  out.ret = e.ret;
  out.envid = e.envid;
  out.body_type = e.body_type;
  out.smtputf8 = e.smtputf8;
  out.require_tls = e.require_tls;
  out.client_address = e.client_address;
  out.client_name = e.client_name;
  out.client_helo = e.helo;
  out.auth_method = e.auth_method;
  out.auth_user = e.auth_user;
  out.auth_sender = e.auth_sender;
  out.origin = origin_of(e, m.id);
  const auto chosen = scheduler_->chosen_pool(l.group);  // where a group is named
  out.source_pool = chosen.empty() ? std::string_view{pool_of(l.group, e)} : chosen;
  out.arrival = m.arrival;
  out.deadline = l.deadline;
  out.possible_duplicate = m.possible_duplicate;
  out.attempts = index_.group(l.group).attempts;
  if (policy_wants(wire::QueueStage::PreDelivery) && !(m.extra && m.extra->released))
    out.facts.push_back(facts_of(m, e, pool_of(l.group, e)));  // the group, where one is named
  // The plugin ABI has no field for it (docs/plugin-guide.md).
  if (e.priority != 0) out.metadata.emplace_back("priority", std::to_string(static_cast<std::int8_t>(e.priority)));
  for (const auto &pair : e.metadata)
    if (pair.first != "priority") out.metadata.push_back(pair);
}

// Its next attempt is brought forward. The disk must know before it is made: from a deferral that is not over yet the
// next start concludes that nothing is under way.
void QueueCore::wake(Message &m) {
  journal(m, entry::woken(m.id));
  wait_for_disk(m);
}

// Nothing of it is leased before what was just journaled is synced.
void QueueCore::wait_for_disk(const Message &m) {
  waking_[m.id].sequence = last_sequence_;  // if it was wanted before, it still is
  waking_order_.emplace_back(last_sequence_, m.id);
}

// True: not yet; the group is the scheduler's again once the journal is synced.
bool QueueCore::wakes(GroupSlot slot) {
  if (waking_.empty()) return false;
  const auto at = waking_.find(index_.id_of(index_.group(slot).message));
  if (at == waking_.end() || at->second.sequence <= store_.synced_sequence()) return false;
  at->second.wanted = true;
  scheduler_->hold(slot);
  return true;
}

// True: there are more.
bool QueueCore::woken() {
  const auto synced = store_.synced_sequence();
  for (int n = 0; !waking_order_.empty() && waking_order_.front().first <= synced; waking_order_.pop_front()) {
    if (++n > kWokenPerTurn) return true;
    const auto at = waking_.find(waking_order_.front().second);
    if (at == waking_.end() || at->second.sequence > synced) continue;  // said again since
    const auto slot = at->second.wanted ? index_.find(at->first) : kNone;
    waking_.erase(at);
    if (slot != kNone) go_on(slot);
  }
  return false;
}

// What was kept back when its turn came has its turn again.
void QueueCore::go_on(MessageSlot slot) {
  index_.each_group(slot, [&](GroupSlot g) {
    if (index_.group(g).state != GroupState::Scheduled) return;
    const auto due = scheduler_->due(g);
    scheduler_->hold(g);
    scheduler_->release(g, due, clock_.mono());
  });
}

// A body that is read back for the first time since it was written may have gone bad on the disk meanwhile. A small one
// lies beside the envelope that was just read. For another the group waits: false, as for one that is set aside.
bool QueueCore::verified(GroupSlot slot, const spool::Committed &at) {
  const auto message = index_.group(slot).message;
  if (at.body.segment == at.commit.segment && at.body.length <= kAtOnce) {
    const auto whole = store_.verify_body(at);
    index_.message(message).verified = whole.ok();
    if (!whole) set_aside(message, "body unreadable: " + whole.error().text);
    return whole.ok();
  }
  scheduler_->hold(slot);
  if (!verifying_.insert(at.id).second) return false;
  store_.verify_body(at, [this, at](const Result<void> &whole) {
    verifying_.erase(at.id);
    const auto found = index_.find(at.id);
    if (found == kNone) return;
    if (!whole && index_.lies_at(found, at.commit)) return set_aside(found, "body unreadable: " + whole.error().text);
    index_.message(found).verified = whole.ok();  // if not, it was moved meanwhile, and is read again there
    go_on(found);
    if (wake_) wake_();
  });
  return false;
}

void QueueCore::lease(GroupSlot slot) {
  if (wakes(slot)) return;
  const auto message = index_.group(slot).message;
  const auto transport = scheduler_->transport_of(slot);
  auto *c = egress_of(transport);
  bool cold = false;
  const auto stored = stored_of(message, &cold);
  if (!stored) return;  // set aside
  // (While its body is being read its envelope is no longer cold, for another group of it.)
  const bool unread = !index_.message(message).verified && (cold || verifying_.contains(stored->at.id));
  if (unread && !verified(slot, stored->at)) return;
  const auto body = stored->at.body;
  // Not now: the group waits as it did, and nothing more goes to this process before the next tick.
  const auto later = [&] {
    if (c) c->behind = true;
    scheduler_->hold(slot);
    scheduler_->release(slot, 0, clock_.mono());
    refresh_capacity(transport);
  };
  if (!c) return later();
  store_.pin(body);
  if (!send_descriptor(*c, body)) {
    store_.unpin(body);
    return later();
  }
  auto &l = begin_lease(slot, *c, stored);
  wire::Lease out;
  fill_lease(out, l, stored->envelope);
  auto bytes = encode(out);
  if (bytes.size() > io::kMaxMessage) {
    log_.warn("metadata left out of a lease: it does not fit", {{"qid", out.id}});
    // But mail that is to go under TLS alone does.
    std::erase_if(out.metadata, [](const auto &pair) { return pair.first != wire::Lease::kTlsPolicy; });
    if (!out.facts.empty()) out.facts.front().metadata.clear();
    bytes = encode(out);
  }
  if (!c->link->send_raw(wire::Lease::kType, bytes, {})) {
    end_lease(leases_.find(l.lease));
    index_.set_state(slot, GroupState::Scheduled);
    return later();
  }
  tell_delivering(l, out, *c);
}

// The first delivery after a quiet time waits until the disk knows that mail may be under way: whatever stops us
// then, the next start flags what may be delivered twice. It learns from the disk what was due by then, as the wall
// clock may have gone back meanwhile: so the disk hears of the time too, some seconds ahead.
bool QueueCore::active_on_disk() {
  const auto latest = steps_.latest();
  if (!marked_active_ || latest + 2 * kTurn > active_until_) {
    const auto due = scheduler_->next_due();
    if (scheduler_->counts().ready == 0 && !(due && *due <= clock_.mono())) return false;
    mark_active();
  }
  if (store_.synced_sequence() >= active_sequence_) leased_until_ = active_until_;
  return latest + kTurn <= leased_until_;
}

// Also of what is known of rates: until then they may be used, by deliveries or by plugins.
void QueueCore::mark_active() {
  const auto latest = steps_.latest();
  if (marked_active_ && latest + 2 * kTurn <= active_until_) return;
  if (!std::exchange(marked_active_, true)) idle_since_ = clock_.mono();
  active_until_ = latest + kActiveAhead;
  journal(entry::leased_until(active_until_));
  active_sequence_ = store_.mark_active(true);
}

void QueueCore::end_lease(LeaseMap::iterator at) {
  auto &l = at->second;
  deadlines_.erase({l.deadline, l.lease});
  if (auto *c = find(l.connection)) {
    --c->leases;
    if (!l.routing) drop_descriptor(*c, l.body);
  }
  if (!l.routing) store_.unpin(l.body);
  leased_recipients_ -= l.recipients.size();
  leases_.erase(at);
  if (leases_.empty()) idle_since_ = clock_.mono();
}

Reason QueueCore::why_suspended(GroupSlot slot, bool dead_transport) const {
  if (dead_transport) return {0, {4, 3, 0}, "mail transport unavailable", "", "none"};
  const auto destination = scheduler_->destination_of(slot);
  auto known = suspended_reason_of(destination);
  if (known == 0) known = suspended_reason_of(scheduler_->site_of(destination));
  return known == 0 ? suspended_reason({4, 4, 1}, "") : reasons_.get(known);
}

// A dead destination or transport, or a transport that only flushes: counts as a failed attempt, without a connection.
// Mail expires by it, but for that of a dead transport, where nobody has tried anything for anyone. (A transport that
// is no longer configured will not come back.)
void QueueCore::suspend(GroupSlot slot, const Reason &reason, bool dead_transport) {
  const auto message = index_.group(slot).message;
  const auto envelope = envelope_of(message);
  if (!envelope) return;
  index_.set_state(slot, GroupState::Leased);
  Batch batch;
  const auto outcome = outcome_of(reason, wire::DeliveryStatus::Deferred);
  const auto recipients = recipients_of(slot);
  const auto now = clock_.wall();
  const LeaseContext context{transport_of(slot).name, 0, std::min(due(slot), now), now};
  for (const auto i : recipients) apply(batch, slot, i, outcome, *envelope, context);
  if (dead_transport && settings_->transport(transport_of(slot).name) != nullptr) batch.spared = recipients;
  return_group(slot, scheduler::Result::NoFeedback, batch, *envelope);
  conclude(message, std::move(batch));
}

// A lease ends by its holder's word or death only: a holder that misses its deadline and does not give up when it is
// told to is killed, and until it is reaped the bytes stay pinned.
void QueueCore::check_deadlines(Nanos now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto lease = deadlines_.begin()->second;
    const auto at = leases_.find(lease);
    auto &l = at->second;
    if (l.routing || l.unlisted) {
      lease_lost(at, false, false);
      continue;
    }
    deadlines_.erase(deadlines_.begin());
    auto *c = find(l.connection);
    l.deadline = now + grace(transport_of(l.group));
    deadlines_.emplace(l.deadline, lease);
    if (!std::exchange(l.cancelled, true)) {
      if (c && c->link) c->link->send(wire::CancelLease{lease});
      continue;
    }
    if (!std::exchange(l.missed, true)) ++counters_.missed_deadlines;
    if (c) end_hung(*c, index_.id_of(l.message));
  }
}

// Asked again for as long as it lives: the order may have been lost with a channel.
void QueueCore::end_hung(Connection &c, MessageId on) {
  if (!c.hung) {
    log_.error(c.peer.kind == wire::RoleKind::Egress ? "a delivery process does not answer in time: it is killed"
                                                     : "a process does not say what it writes: it is killed",
               {{"qid", on}, {"process", c.peer.name}, {"pid", c.peer.pid}, {"leases", c.leases + c.foreign.size()}});
    c.hung = true;
    c.hung_on = on;
  }
  if (hung_) hung_(c.peer, "did not answer in time");
}

// What no lease of ours watches: an egress process that does not even say what it holds keeps everything from being
// leased after a restart, a writer that does not say what it fills keeps bounces, checkpoints and segments, and an
// egress process that holds leases given before the restart keeps those messages.
void QueueCore::check_holders(Nanos now) {
  if (replay_) return;  // what they said waits
  for (auto &[id, c] : connections_) {
    if (!is_waited_for(c->peer.kind) || c->answer_by == 0 || now < c->answer_by) continue;
    if (c->hello && c->foreign.empty()) {
      c->answer_by = 0;
      continue;
    }
    c->answer_by = now + (c->hello ? grace(transports_[c->transport]) : kCancelGrace);
    if (!std::exchange(c->cancelled, true)) {
      for (const auto &[lease, message] : c->foreign)
        if (c->link) c->link->send(wire::CancelLease{lease});
      continue;
    }
    end_hung(*c, c->foreign.empty() ? MessageId{} : c->foreign.begin()->second);
  }
}

}  // namespace mansio::queue
