// Outcomes: what egress reports, recorded. One pass: apply each recipient's outcome, return the group when the lease
// is over, journal what changed in one entry, then see what the message needs next.
#include <algorithm>
#include <optional>
#include <utility>

#include "kernel/queue/core.hpp"

namespace mansio::queue {
namespace {

constexpr Nanos kActiveIdle = 5 * kSecond;
constexpr std::ptrdiff_t kAcksAtOnce = 4000;  // leases, of 8 bytes each: a message that fits a frame

// soft_bounce: what would be returned to the sender is tried again.
wire::RecipientOutcome soft(wire::RecipientOutcome outcome) {
  outcome.status = wire::DeliveryStatus::Deferred;
  if (outcome.smtp_code >= 500) outcome.smtp_code = static_cast<std::uint16_t>(outcome.smtp_code - 100);
  if (outcome.enhanced.cls == 5) outcome.enhanced.cls = 4;
  return outcome;
}

}  // namespace

std::uint64_t QueueCore::journal(const std::string &bytes) {
  if (store_.synced_sequence() >= last_sequence_) journal_moved_ = clock_.mono();
  return last_sequence_ = store_.journal(bytes);
}

void QueueCore::journal(Message &m, const std::string &bytes) {
  m.journaled = true;
  journal(bytes);
}

void QueueCore::set_reason(PendingRecipient &p, const Reason &reason) {
  const auto old = p.reason;
  p.reason = reasons_.take(reason);
  reasons_.drop(old);
}

void QueueCore::on_outcomes(Connection &c, const wire::Outcomes &o) {
  const auto at = leases_.find(o.lease);
  const bool ours = at != leases_.end() && at->second.connection == c.id && !at->second.routing &&
                    index_.id_of(at->second.message) == o.id;
  if (!ours) return foreign_outcomes(c, o);
  auto &l = at->second;
  const auto slot = l.message;
  const auto group = l.group;
  const auto envelope = l.envelope;
  changing(slot);
  if (o.done && o.refused) {  // no attempt: it goes again when there is room, and nothing more to this process for now
    c.behind = true;
    lease_lost(at, false, false);
    refresh_capacity(c.transport);
    return acknowledge(c.id, o.lease);
  }
  if (o.done && !o.word.empty() &&
      (o.word.front().action == wire::PolicyAction::Hold || o.word.front().action == wire::PolicyAction::Route))
    return turned_away(c, at, o);
  // Its process ends and gave up. What misses its deadline as well is late all the same.
  const bool interrupted = o.interrupted && !l.cancelled;
  const bool no_feedback = o.no_feedback || interrupted;
  const LeaseContext context{transport_of(group).name, c.peer.pid, l.taken_up, l.leased, interrupted};
  Batch batch;
  batch.spared = std::exchange(l.spared, {});
  bool counted = false;
  for (auto outcome : o.outcomes) {
    l.plugin_failed |= outcome.plugin_failed;
    if (outcome.index >= l.recipients.size() || l.reported[outcome.index]) continue;
    l.reported[outcome.index] = true;
    if (outcome.status == wire::DeliveryStatus::Deferred) l.retry = std::max(l.retry, outcome.retry_ns);
    if (!no_feedback || (interrupted && outcome.smtp_code != 0)) respond(group, outcome, counted);
    apply(batch, group, l.recipients[outcome.index], outcome, *envelope, context);
  }
  const bool site_failure = o.site_failure && !interrupted;
  l.site_failure |= site_failure;
  const auto destination = scheduler_->destination_of(group);
  for (const auto id : {destination, scheduler_->site_of(destination)}) {  // either may be what is dead
    if (site_failure) {
      const auto &why = o.reason.empty() && !o.outcomes.empty() ? o.outcomes.front().text : o.reason;
      const bool deferred = !o.outcomes.empty() && o.outcomes.front().enhanced.cls == 4;
      const auto status = deferred ? o.outcomes.front().enhanced : EnhancedStatus{4, 4, 1};
      if (id >= suspended_reasons_.size()) suspended_reasons_.resize(id + 1);
      reasons_.drop(std::exchange(suspended_reasons_[id], reasons_.take(suspended_reason(status, why))));
    } else if (o.done && !no_feedback && suspended_reason_of(id) != 0) {
      reasons_.drop(std::exchange(suspended_reasons_[id], 0));
    }
  }
  if (o.done) {
    wire::RecipientOutcome silent;
    silent.text = o.reason.empty() ? "no result was reported" : o.reason;
    for (std::uint32_t i = 0; i < l.recipients.size(); ++i)
      if (!l.reported[i]) apply(batch, group, l.recipients[i], silent, *envelope, context);
    // A plugin that failed says nothing about the destination, nor that the message does no harm; one whose process
    // ended has failed, whatever it had said of the recipients by then.
    const auto result = l.plugin_failed || o.ended_with != 0 || no_feedback ? scheduler::Result::NoFeedback
                        : l.site_failure                                    ? scheduler::Result::SiteFailure
                                                                            : scheduler::Result::Delivered;
    if (l.plugin_failed && !interrupted) plugin_failed(slot, group, o);
    const auto retry = l.retry;
    end_lease(at);
    const bool again = interrupted && !index_.message(slot).deleted && spares_some(group, batch);
    if (again) expire_failed(group, batch, *envelope);
    if (again && !index_.group(group).recipients.empty()) {  // as for one that was refused
      c.behind = true;
      put_back(group);
      refresh_capacity(c.transport);
    } else {
      const auto decided = o.word.empty() ? 0 : o.word.front().retry;
      return_group(group, result, batch, *envelope, {.asked = retry, .decided = decided, .tried = !o.no_feedback});
    }
  } else {
    l.spared = batch.spared;
  }
  conclude(slot, std::move(batch));
  if (o.done && o.ended_with != 0) ended_with(o.ended_with, o.id);
  if (o.done) acknowledge(c.id, o.lease);
}

// on_failure = "hold": an operator decides what becomes of mail on which the plugin failed.
void QueueCore::plugin_failed(MessageSlot slot, GroupSlot group, const wire::Outcomes &o) {
  const auto *transport = settings_->transport(transport_of(group).name);
  if (!transport || transport->budget.on_failure != config::OnFailure::Hold || index_.message(slot).held) return;
  const auto failed = std::find_if(o.outcomes.begin(), o.outcomes.end(), [](const auto &x) { return x.plugin_failed; });
  const auto reason = "transport " + transport->name + " failed" +
                      (failed == o.outcomes.end() || failed->text.empty() ? "" : ": " + failed->text);
  ++counters_.held;
  log_.warn("message held: its transport failed", {{"qid", o.id}, {"reason", reason}});
  do_hold(slot, reason);
}

// Of a lease given before our restart, or one that was over already (it was presented again).
void QueueCore::foreign_outcomes(Connection &c, const wire::Outcomes &o) {
  if (const auto slot = index_.find(o.id); slot != kNone) {
    auto envelope = index_.message(slot).corrupt ? nullptr : envelope_of(slot);
    if (!envelope) envelope = nameless(slot);  // what was delivered is, whatever can be read of it now
    const auto now = clock_.wall();
    // Not `? name : ""`, which would make a string of its own for the view to outlive.
    std::string_view transport;
    if (c.has_transport) transport = transports_[c.transport].name;
    const bool interrupted = o.interrupted && !c.cancelled;
    const LeaseContext context{transport, c.peer.pid, now, now, interrupted};
    changing(slot);
    Batch batch;
    std::map<GroupSlot, Recipients> deferred;  // and who failed for certain
    for (std::size_t i = 0; i < o.outcomes.size() && i < o.recipients.size(); ++i) {
      const auto recipient = o.recipients[i];
      index_.each_group(slot, [&](GroupSlot g) {
        auto &recipients = index_.group(g).recipients;
        if (recipients.find(recipient) == recipients.end()) return;
        apply(batch, g, recipient, o.outcomes[i], *envelope, context);
        if (recipients.empty() && index_.group(g).state != GroupState::Leased) {
          scheduler_->remove(g);
          index_.erase_group(g, reasons_);
          deferred.erase(g);  // while others of it were still to be told
        } else if (index_.group(g).state == GroupState::Parked) {
          auto &failed = deferred[g];
          if (!batch.spares(recipient)) failed.push_back(recipient);
        }
      });
    }
    const auto *word = o.done && !o.word.empty() ? &o.word.front() : nullptr;
    const auto decided = word && word->action == wire::PolicyAction::Defer ? word->retry : 0;
    for (const auto &[g, failed] : deferred) defer_parked(g, failed, batch, *envelope, interrupted, decided);
    // (For another way the policy is asked again.)
    if (word && word->action == wire::PolicyAction::Hold && !index_.message(slot).held) hold_for_policy(slot, *word);
    conclude(slot, std::move(batch));
  }
  if (!o.done) return;
  foreign_done(c, o.lease);
  acknowledge(c.id, o.lease);
}

// Stands for an envelope that cannot be read.
QueueCore::SharedEnvelope QueueCore::nameless(MessageSlot slot) {
  std::uint32_t last = 0;
  index_.each_group(slot, [&](GroupSlot g) {
    for (const auto &p : index_.group(g).recipients) last = std::max(last, p.index);
  });
  auto envelope = std::make_shared<Envelope>();
  envelope->recipients.resize(last + 1u);
  return envelope;
}

// An attempt that began before our restart failed: the next one waits as long as after any other. One that was given up
// goes again at once, but for those who failed for certain and have no further one.
void QueueCore::defer_parked(GroupSlot group, const Recipients &failed, Batch &batch, const Envelope &envelope,
                             bool interrupted, Nanos decided) {
  auto &g = index_.group(group);
  auto &m = index_.message(g.message);
  const bool tried = std::any_of(g.recipients.begin(), g.recipients.end(), [](const auto &p) { return p.reason != 0; });
  if (!tried) return;
  if (expired(group)) {
    Recipients spared;
    for (const auto &p : g.recipients)
      if (std::find(failed.begin(), failed.end(), p.index) == failed.end()) spared.push_back(p.index);
    expire_group(group, batch, envelope, spared);
    if (g.recipients.empty()) {
      scheduler_->remove(group);
      index_.erase_group(group, reasons_);
      return;
    }
  }
  if (interrupted) return;
  index_.set_state(group, GroupState::Leased);  // attempts may not change while it counts as fresh
  if (g.attempts < UINT16_MAX) ++g.attempts;
  index_.set_state(group, GroupState::Parked);
  const auto &q = settings_->queue;
  const auto wait = decided > 0 ? within_life(group, decided)
                                : std::max(q.minimal_backoff_time, std::min(age_of(group), q.maximal_backoff_time));
  scheduler_->set_due(group, clock_.mono() + wait);
  journal(m, entry::deferred(m.id, deferral_of(group, clock_.wall() + wait)));
  if (is_put_off(group)) journal(m, entry::put_off(m.id));
}

Deferral QueueCore::deferral_of(GroupSlot group, Nanos due) {
  const auto &g = index_.group(group);
  (void)steps_.latest();  // hears of every clock by which something is due
  Deferral out{due, g.attempts, {}, false};
  for (const auto &p : g.recipients) out.recipients.emplace_back(p.index, reason_number(p.reason));
  return out;
}

// Each reason is written once in a journal that begins with a checkpoint.
std::uint64_t QueueCore::reason_number(ReasonId reason) {
  if (reason == 0) return 0;
  auto &number = reasons_.journaled_as(reason);
  if (number <= reasons_before_) {
    number = ++last_reason_;
    journal(entry::reason(number, reasons_.get(reason)));
  }
  return number;
}

// What the process held since before our restart is free to be leased anew.
void QueueCore::foreign_done(Connection &c, std::uint64_t lease) {
  const auto at = c.foreign.find(lease);
  if (at == c.foreign.end()) return;
  const auto message = at->second;
  c.foreign.erase(at);
  refresh_capacity(c.transport);
  if (message) {
    const auto count = foreign_.find(message);
    if (count != foreign_.end() && --count->second == 0) foreign_.erase(count);
    const auto slot = index_.find(message);
    if (slot != kNone) unpark(slot);
  } else if (--transports_[c.transport].unknown_foreign == 0) {
    unpark_at_ = 0;
  }
}

bool QueueCore::Batch::spares(std::uint32_t recipient) const {
  return std::find(spared.begin(), spared.end(), recipient) != spared.end();
}

bool QueueCore::spares_some(GroupSlot group, const Batch &batch) const {
  const auto &recipients = index_.group(group).recipients;
  return std::any_of(recipients.begin(), recipients.end(), [&](const auto &p) { return batch.spares(p.index); });
}

// What decides nothing is no failed attempt at first: an uncertain outcome, or that we gave the delivery up. A second
// uncertain one is, whatever was given up in between, and so is what is given up twice in a row: else what is never
// decided would never expire.
bool QueueCore::first_undecided(Message &m, std::uint32_t recipient, const wire::RecipientOutcome &reported,
                                const LeaseContext &context) {
  const bool uncertain = reported.status == wire::DeliveryStatus::Uncertain;
  const bool deferred = reported.status == wire::DeliveryStatus::Deferred;
  const bool given_up = context.interrupted && reported.smtp_code == 0 && (uncertain || deferred);
  if (!uncertain && !given_up) {
    if (m.extra) m.extra->undecided.erase(recipient);
    return false;
  }
  auto &so_far = m.more().undecided[recipient];
  const bool first = given_up ? !so_far.given_up : !so_far.uncertain;
  so_far.given_up = given_up;
  if (!given_up) so_far.uncertain = true;
  return first;
}

// False: that recipient is not waiting (any more).
bool QueueCore::apply(Batch &batch, GroupSlot group, std::uint32_t recipient, const wire::RecipientOutcome &reported,
                      const Envelope &envelope, const LeaseContext &context) {
  std::optional<wire::RecipientOutcome> softened;
  if (settings_->soft_bounce && reported.status == wire::DeliveryStatus::Bounced) softened = soft(reported);
  const auto &outcome = softened ? *softened : reported;
  auto &g = index_.group(group);
  auto *p = g.recipients.find(recipient);
  if (p == g.recipients.end()) return false;
  auto &m = index_.message(g.message);
  const auto &who = envelope.recipients[recipient];
  const bool tried = !transport_of(group).deferred || g.flush == FlushState::LetOut;
  if (outcome.status != wire::DeliveryStatus::Sent && outcome.smtp_code == 0 && outcome.enhanced.subject == 3 &&
      tried && !context.interrupted)
    tell_trouble(g.message, envelope, {recipient, outcome});
  report({m.id, envelope, who, outcome, context.transport, context.pid, m.arrival, context.taken_up, context.leased,
          clock_.wall(), m.possible_duplicate});
  switch (outcome.status) {
    case wire::DeliveryStatus::Sent:
      ++counters_.sent;
      if (tells_success(m, who, outcome))
        batch.succeeded.push_back({recipient, outcome});
      else
        batch.sent.push_back(recipient);
      break;
    case wire::DeliveryStatus::Bounced:
      ++counters_.bounced;
      batch.failed.push_back({recipient, outcome});
      break;
    case wire::DeliveryStatus::Uncertain:
      ++counters_.uncertain;
      if (!m.possible_duplicate) {
        m.possible_duplicate = true;
        ++counters_.possible_duplicates;
        journal_state(m);
      }
      [[fallthrough]];
    case wire::DeliveryStatus::Deferred:
    default:
      ++counters_.deferred;
      if (first_undecided(m, recipient, reported, context)) batch.spared.push_back(recipient);
      set_reason(*p, reason_of(outcome));
      return true;
  }
  reasons_.drop(p->reason);
  g.recipients.erase(p);
  return true;
}

Nanos QueueCore::lifetime_of(const Message &m) const {
  return m.null_sender ? settings_->queue.bounce_queue_lifetime : settings_->queue.maximal_queue_lifetime;
}

bool QueueCore::expired(GroupSlot group) const {
  const auto &m = index_.message(index_.group(group).message);
  return m.forced_expire || age_of(group) >= lifetime_of(m);
}

// `spared`: recipients who may have been delivered to, or of whom nothing was said. Only a failure known for certain
// ends their time; but an operator's word is enough.
void QueueCore::expire_group(GroupSlot group, Batch &batch, const Envelope &envelope, const Recipients &spared) {
  auto &g = index_.group(group);
  auto &m = index_.message(g.message);
  const auto stays = [&](const PendingRecipient &p) {
    return !m.forced_expire && std::find(spared.begin(), spared.end(), p.index) != spared.end();
  };
  if (std::all_of(g.recipients.begin(), g.recipients.end(), stays)) return;
  if (!m.expiry_logged) delivery_log_.expired(m.id, envelope, m.forced_expire);
  m.expiry_logged = true;
  const auto now = clock_.wall();
  Pending left;
  for (const auto &p : g.recipients) {
    if (stays(p)) {
      left.push(p);
      continue;
    }
    auto outcome = outcome_of(reasons_.get(p.reason), wire::DeliveryStatus::Bounced);
    if (outcome.enhanced.empty()) outcome.enhanced = {4, 4, 7};
    ++counters_.expired;
    report({.id = m.id,
            .envelope = envelope,
            .recipient = envelope.recipients[p.index],
            .outcome = outcome,
            .transport = transport_of(group).name,
            .arrival = m.arrival,
            .taken_up = std::min(due(group), now),
            .leased = now,
            .reported = now,
            .possible_duplicate = m.possible_duplicate,
            .expired = true});
    if (outcome.text.empty()) outcome.text = "delivery time expired";
    batch.failed.push_back({p.index, std::move(outcome)});
    reasons_.drop(p.reason);
  }
  g.recipients = std::move(left);
}

// Of a leased group that comes back: those who failed for certain, if it is too old by now.
void QueueCore::expire_failed(GroupSlot group, Batch &batch, const Envelope &envelope) {
  const auto &g = index_.group(group);
  const auto &m = index_.message(g.message);
  if (!g.recipients.empty() && !m.deleted && !m.held && !m.reroute && expired(group))
    expire_group(group, batch, envelope, batch.spared);
}

// A leased group comes back: what remains of it waits, expires, is held or routed again. A next hop can ask for no more
// than the back-off would come to.
void QueueCore::return_group(GroupSlot group, scheduler::Result result, Batch &batch, const Envelope &envelope,
                             NextAttempt next) {
  auto &g = index_.group(group);
  auto &m = index_.message(g.message);
  if (m.kills > 0 && result != scheduler::Result::NoFeedback) {  // it did not kill this time
    m.kills = 0;
    journal_state(m);
    index_.each_group(g.message, [&](GroupSlot other) { scheduler_->set_alone(other, false); });
  }
  expire_failed(group, batch, envelope);
  const auto finished = [&](std::optional<Nanos> again) {
    const auto destination = scheduler_->destination_of(group);
    scheduler_->finished(group, result, again, clock_.mono());
    if (result == scheduler::Result::SiteFailure && scheduler_->state_of(destination).dead_until > 0)
      keep_scheduling_soon();
  };
  if (g.recipients.empty() || m.deleted) {
    finished(std::nullopt);
    index_.erase_group(group, reasons_);
    return;
  }
  if (g.attempts < UINT16_MAX) ++g.attempts;
  if (m.extra) m.extra->turns = 0;
  g.flush = FlushState::None;
  finished(age_of(group));
  if (const auto asked = clock_.mono() + std::min(next.asked, settings_->queue.maximal_backoff_time);
      next.asked > 0 && scheduler_->due(group) < asked) {
    scheduler_->hold(group);
    scheduler_->release(group, asked, clock_.mono());
  }
  if (next.decided > 0)
    put_off(group, next.decided);
  else
    journal(m, entry::deferred(m.id, deferral_of(group, due(group))));
  if (is_unrouted(group)) journal(m, entry::unrouted(m.id, recipients_of(group)));
  index_.set_state(group, GroupState::Scheduled);
  cache_.erase(m.id);  // minutes will pass
  if (m.reroute) {
    if (index_.counts(g.message).leased == 0) {
      m.reroute = false;
      journal_state(m);
    }
    route_again(group);
  } else if (m.held) {
    scheduler_->hold(group);
    index_.set_state(group, GroupState::Held);
  } else {
    warn_delay(g.message, envelope);
    if (next.tried && next.decided == 0) ask_retry(group, envelope);
  }
}

void QueueCore::conclude(MessageSlot slot, Batch &&batch) {
  auto &m = index_.message(slot);
  if (batch.failed.empty() && batch.succeeded.empty() && m.groups == kNone && !m.extra) return finish(slot);
  if (!batch.empty()) {
    journal(m, entry::done(m.id, batch.sent, batch.failed, batch.succeeded));
    store_changed(m.id);
    for (auto &r : batch.failed) m.more().failed.push_back(std::move(r));
    for (auto &r : batch.succeeded) m.more().succeeded.push_back(std::move(r));
  }
  settle(slot);
}

void QueueCore::settle(MessageSlot slot) {
  auto &m = index_.message(slot);
  const auto counts = index_.counts(slot);
  if (m.deleted && counts.leased == 0) {
    index_.each_group(slot, [&](GroupSlot g) {
      scheduler_->remove(g);
      index_.erase_group(g, reasons_);
    });
    return finish(slot);
  }
  // One notification for all that failed in this round of deliveries, not one for each lease. But the rest may not come
  // to its turn for long: nobody may run its transport.
  if (m.extra && !(m.extra->failed.empty() && m.extra->succeeded.empty())) {
    if (counts.leased == 0 && counts.fresh == 0)
      notify(slot);
    else if (counts.fresh > 0)
      tell_in_time(slot);
  }
  if (m.groups != kNone) return;
  if (m.extra && !(m.extra->intents.empty() && m.extra->failed.empty() && m.extra->succeeded.empty())) return;
  finish(slot);
}

void QueueCore::tell_in_time(MessageSlot slot) {
  auto &m = index_.message(slot);
  if (std::exchange(m.extra->told_in_time, true)) return;
  tell_by_.emplace_back(clock_.mono() + settings_->queue.minimal_backoff_time, m.id);
}

void QueueCore::tell_overdue(Nanos now) {
  while (!tell_by_.empty() && tell_by_.front().first <= now) {
    const auto slot = index_.find(tell_by_.front().second);
    tell_by_.pop_front();
    auto *extra = slot == kNone ? nullptr : index_.message(slot).extra.get();
    if (!extra) continue;
    extra->told_in_time = false;
    // What is in a lease comes back and is seen to then.
    if (index_.counts(slot).leased == 0 && !(extra->failed.empty() && extra->succeeded.empty())) notify(slot);
  }
}

void QueueCore::finish(MessageSlot slot) {
  const auto id = index_.id_of(slot);
  notification_done(id);
  const auto gone = entry::gone(id);
  journal(gone);
  if (replay_) replay_->apply(gone);  // a copy of it may be yet to be found
  retire(index_.commit_of(slot), last_sequence_);
  if (store_links_->any()) store_links_->gone({stores_.name, id}, last_sequence_);
  delivery_log_.removed(id);
  tell_removed(index_.message(slot));
  ++counters_.removed;
  cache_.erase(id);
  index_.erase(slot);
}

void QueueCore::acknowledge(ConnectionId connection, std::uint64_t lease) {
  acks_.push_back({last_sequence_, connection, lease});
}

void QueueCore::synced() {
  journal_moved_ = clock_.mono();
  if (std::exchange(journal_stuck_, false)) scheduler_->pause(std::nullopt);
  send_acks();
  check_gates();
  send_notifications();
  events_.synced(store_.synced_sequence());
  say_spool_name();
}

void QueueCore::send_acks() {
  const auto synced = store_.synced_sequence();
  std::map<ConnectionId, std::vector<std::uint64_t>> out;
  for (; !acks_.empty() && acks_.front().sequence <= synced; acks_.pop_front())
    out[acks_.front().connection].push_back(acks_.front().lease);
  for (const auto &[id, leases] : out) {
    const auto *c = find(id);
    if (!c || !c->link) continue;  // presented again when it is back, and acknowledged then
    auto from = leases.begin();
    while (from != leases.end()) {
      const auto to = from + std::min<std::ptrdiff_t>(leases.end() - from, kAcksAtOnce);
      if (!c->link->send(wire::OutcomesAck{{from, to}})) break;
      from = to;
    }
    for (; from != leases.end(); ++from) acks_.push_front({0, id, *from});  // it is far behind: in a later turn
  }
  if (marked_active_ && leases_.empty() && acks_.empty() && clock_.mono() >= idle_since_ + kActiveIdle) {
    marked_active_ = false;
    leased_until_ = 0;
    keep_scheduling();  // all of it: what a crash forgets from now on is nothing
    store_.mark_active(false);
  }
}

}  // namespace mansio::queue
