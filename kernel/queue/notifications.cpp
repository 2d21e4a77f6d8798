// Notifications (RFC 3461, RFC 3464): which are due, to whom, and that each is written exactly once as far as the
// router's and our own deaths allow. The intent is journaled before the router is asked; its name (message, event)
// is in the notification's envelope, by which one that exists already is recognised.
#include <algorithm>
#include <set>

#include "kernel/mail/address.hpp"
#include "kernel/queue/core.hpp"

namespace mansio::queue {
namespace {

constexpr std::size_t kRequestBytes = 40 * 1024;  // of recipients in one notification: the request fits in a frame
constexpr std::size_t kRequestsAtOnce = 200;
constexpr Nanos kRetry = 60 * kSecond;
constexpr Nanos kTroubleInterval = 60 * kSecond;

bool wants(std::uint8_t notify, wire::DsnKind kind) {
  if (notify & kNotifyNever) return false;
  switch (kind) {
    case wire::DsnKind::Failure:
      return notify == 0 || (notify & kNotifyFailure);
    case wire::DsnKind::Delay:
      return notify == 0 || (notify & kNotifyDelay);
    case wire::DsnKind::Success:
      return notify & kNotifySuccess;
    case wire::DsnKind::PostmasterCopy:
    case wire::DsnKind::PostmasterDelay:
      return true;
  }
  return false;
}

std::size_t weight(const Recipient &r, const wire::RecipientOutcome &o) {
  return 2 * (r.address.size() + r.original.size() + r.orcpt.size()) + o.text.size() + o.remote_mta.size() +
         o.relay.size() + o.tls.size() + 128;
}

}  // namespace

bool QueueCore::notifies(config::NotifyMask what) const {
  return (config::notify_mask(settings_->queue.notify_classes) & what) != 0;
}

// A delivery failed for trouble of our own (the enhanced code's subject is "mail system", and no server said so).
// Told once a message and once in kTroubleInterval: what fills one disk stops all that goes there.
void QueueCore::tell_trouble(MessageSlot slot, const Envelope &envelope, const Reported &reported) {
  auto &m = index_.message(slot);
  const auto detail = reported.outcome.enhanced.detail;
  const bool resource = detail == 1 || detail == 2;
  const auto now = clock_.mono();
  if (m.trouble_told || !notifies(resource ? config::kNotifyResource : config::kNotifySoftware)) return;
  if (trouble_told_at_ != 0 && now < trouble_told_at_ + kTroubleInterval) return;
  if (is_notice(envelope)) return;             // the way to the postmaster is what is in trouble
  trouble_told_at_ = std::max<Nanos>(now, 1);  // 0: never
  m.trouble_told = true;
  const bool failed = reported.outcome.status == wire::DeliveryStatus::Bounced;
  add_intents(slot, failed ? wire::DsnKind::PostmasterCopy : wire::DsnKind::PostmasterDelay, true, {reported});
  send_notifications();
}

// Written by us for the postmaster.
bool QueueCore::is_notice(const Envelope &envelope) const {
  return !settings_->double_bounce_sender.empty() && envelope.client_address.empty() &&
         split_address(envelope.sender).local == split_address(settings_->double_bounce_sender).local;
}

// Everything final that is known of the message and not announced yet.
void QueueCore::notify(MessageSlot slot) {
  const auto envelope = envelope_of(slot);
  if (!envelope) return;
  auto &m = index_.message(slot);
  auto failed = std::move(m.extra->failed);
  auto succeeded = std::move(m.extra->succeeded);
  m.extra->failed.clear();
  m.extra->succeeded.clear();
  Recipients silent;
  const auto filter = [&](std::vector<Reported> &all, const auto &told) {
    std::erase_if(all, [&](const Reported &r) {
      if (told(envelope->recipients[r.recipient], r)) return false;
      silent.push_back(r.recipient);
      return true;
    });
  };
  if (!failed.empty() && is_notice(*envelope)) {
    // A notice to the postmaster that cannot be delivered: there is nobody left to tell.
    ++counters_.double_bounces_dropped;
    log_.error("undeliverable double bounce dropped", {{"qid", m.id}, {"text", failed.front().outcome.text}});
    for (const auto &r : failed) silent.push_back(r.recipient);
    failed.clear();
  } else if (!failed.empty() && m.null_sender) {
    if (notifies(config::kNotifyDoubleBounce)) {
      add_intents(slot, wire::DsnKind::PostmasterCopy, true, std::move(failed));
    } else {
      ++counters_.double_bounces_dropped;
      log_.warn("undeliverable bounce dropped", {{"qid", m.id}, {"text", failed.front().outcome.text}});
      for (const auto &r : failed) silent.push_back(r.recipient);
    }
    failed.clear();
  }
  std::vector<Reported> copy;
  if (notifies(config::kNotifyBounce)) copy = failed;
  filter(failed, [](const Recipient &who, const Reported &) { return wants(who.notify, wire::DsnKind::Failure); });
  filter(succeeded, [&](const Recipient &who, const Reported &r) { return tells_success(m, who, r.outcome); });
  add_intents(slot, wire::DsnKind::Failure, false, std::move(failed));
  add_intents(slot, wire::DsnKind::Success, false, std::move(succeeded));
  // Last: an intent marks its recipients as announced, and a lost copy is less than a lost bounce.
  add_intents(slot, wire::DsnKind::PostmasterCopy, true, std::move(copy));
  if (!silent.empty()) {
    journal(m, entry::unannounced(m.id, silent));
    store_changed(m.id);
  }
  send_notifications();
}

// It was asked for, and no next hop took the duty over; or it ends a delay that the sender was told of. What was
// discarded has no relay, and that nobody is told.
bool QueueCore::tells_success(const Message &m, const Recipient &who, const wire::RecipientOutcome &outcome) const {
  if (m.null_sender) return false;
  if (wants(who.notify, wire::DsnKind::Success)) return !outcome.relayed_dsn;
  return settings_->queue.confirm_delay_cleared && m.delay_warned && wants(who.notify, wire::DsnKind::Delay) &&
         outcome.relay != "none";
}

void QueueCore::warn_delay(MessageSlot slot, const Envelope &envelope) {
  auto &m = index_.message(slot);
  const auto after = settings_->queue.delay_warning_time;
  if (after == 0 || m.delay_warned || m.null_sender || steps_.age(m.arrival) < after) return;
  if (is_notice(envelope)) return;
  m.delay_warned = true;
  journal_state(m);
  std::vector<Reported> recipients, all;
  index_.each_group(slot, [&](GroupSlot g) {
    for (const auto &p : index_.group(g).recipients) {
      auto outcome = outcome_of(reasons_.get(p.reason), wire::DeliveryStatus::Deferred);
      all.push_back({p.index, outcome});
      if (wants(envelope.recipients[p.index].notify, wire::DsnKind::Delay))
        recipients.push_back({p.index, std::move(outcome)});
    }
  });
  add_intents(slot, wire::DsnKind::Delay, false, std::move(recipients));
  if (notifies(config::kNotifyDelayed)) add_intents(slot, wire::DsnKind::PostmasterDelay, true, std::move(all));
  send_notifications();
}

void QueueCore::add_intents(MessageSlot slot, wire::DsnKind kind, bool postmaster, std::vector<Reported> &&recipients) {
  if (recipients.empty()) return;
  const auto envelope = envelope_of(slot);
  if (!envelope) return;
  changing(slot);
  auto &m = index_.message(slot);
  auto &extra = m.more();
  for (std::size_t from = 0; from < recipients.size();) {
    Intent intent{extra.next_event++, kind, postmaster, {}};
    for (std::size_t bytes = 0; from < recipients.size(); ++from) {
      bytes += weight(envelope->recipients[recipients[from].recipient], recipients[from].outcome);
      if (bytes > kRequestBytes && !intent.recipients.empty()) break;
      intent.recipients.push_back(std::move(recipients[from]));
    }
    journal(m, entry::intent(m.id, intent));
    dsn_queue_.push_back({{m.id, intent.event}, last_sequence_});
    extra.intents.push_back(std::move(intent));
  }
}

// Null: it is written, or was never due.
const Intent *QueueCore::intent_of(const DsnName &name) const {
  const auto slot = index_.find(name.parent);
  if (slot == kNone || !index_.message(slot).extra) return nullptr;
  for (const auto &i : index_.message(slot).extra->intents)
    if (i.event == name.event) return &i;
  return nullptr;
}

void QueueCore::send_notifications() {
  if (!retire_open_) return;  // what exists already is yet to be known
  while (!dsn_queue_.empty() && dsn_requests_.size() < kRequestsAtOnce && router()) {
    // Not before the intent is on stable storage: the notification must not be there when its intent is not, or
    // another event of the message would get its name.
    if (dsn_queue_.front().sequence > store_.synced_sequence()) return;
    const auto name = dsn_queue_.front().name;
    const auto slot = index_.find(name.parent);
    const auto *intent = intent_of(name);
    // Another router would write it once more.
    const bool waits = std::any_of(unvouched_.begin(), unvouched_.end(), [&](const auto &u) {
      return u.second.name == name && writer_of(u.second.commit) != router();
    });
    if (!intent || waits || dsn_requests_.contains(name) || send_notification(slot, *intent)) {
      dsn_queue_.pop_front();
      continue;
    }
    if (index_.message(slot).corrupt) {
      dsn_queue_.pop_front();
      continue;
    }
    return;
  }
}

bool QueueCore::send_notification(MessageSlot slot, const Intent &intent) {
  const auto stored = stored_of(slot);
  if (!stored) return false;
  const auto *envelope = &stored->envelope;
  const auto body = stored->at.body;
  auto &c = *router();
  const auto &m = index_.message(slot);
  wire::DsnRequest request;
  request.parent = {m.id, intent.event};
  request.kind = intent.kind;
  request.sender = envelope->sender;
  request.to = envelope->sender;
  if (intent.postmaster) request.to = settings_->postmaster_address();
  for (const auto &r : intent.recipients) {
    const auto &who = envelope->recipients[r.recipient];
    request.recipients.push_back({who.address, who.original, who.orcpt, who.notify, r.outcome});
  }
  request.slices.push_back(body);
  request.body = envelope->body;
  request.ret = envelope->ret;
  request.envid = envelope->envid;
  request.smtputf8 = envelope->smtputf8;
  request.priority = envelope->priority;
  request.arrival = m.arrival;
  request.last_attempt = clock_.wall();
  request.will_retry_until =
      m.arrival + (m.null_sender ? settings_->queue.bounce_queue_lifetime : settings_->queue.maximal_queue_lifetime);
  if (policy_wants(wire::QueueStage::Bounce)) {
    request.facts = facts_of(m, *envelope, pool_of(m, *envelope));
    if (encode(request).size() > io::kMaxMessage) request.facts.metadata.clear();
    const auto failing = dsn_failing_.find(DsnName{m.id, intent.event});
    request.unasked =
        failing != dsn_failing_.end() && clock_.mono() - failing->second >= settings_->queue.bounce_queue_lifetime;
  }
  store_.pin(body);
  if (!send_descriptor(c, body)) {
    store_.unpin(body);
    c.behind = true;
    return false;
  }
  if (!c.link->send(request)) {
    drop_descriptor(c, body);
    store_.unpin(body);
    c.behind = true;
    return false;
  }
  dsn_requests_.emplace(DsnName{m.id, intent.event}, std::pair{c.id, body});
  return true;
}

void QueueCore::on_dsn_written(const wire::DsnWritten &written) {
  const DsnName name{written.parent.id, written.parent.event};
  std::erase_if(unvouched_, [&](const auto &u) { return u.second.name == name; });
  if (written.id || written.suppressed) return notification_written(name.parent, name.event, written.suppressed);
  const auto failing = dsn_failing_.try_emplace(name, clock_.mono()).first->second;
  const bool late = clock_.mono() - failing >= settings_->queue.bounce_queue_lifetime;
  if (written.refused || (late && !written.waits)) return notification_undeliverable(name, written.reason);
  const auto at = dsn_requests_.find(name);
  if (at == dsn_requests_.end()) return;
  if (auto *c = find(at->second.first)) drop_descriptor(*c, at->second.second);
  store_.unpin(at->second.second);
  dsn_requests_.erase(at);
  log_.warn("notification could not be written, trying again", {{"qid", name.parent}, {"reason", written.reason}});
  if (dsn_later_.empty()) dsn_retry_at_ = clock_.mono() + kRetry;
  dsn_later_.push_back(name);
}

// Nothing can be sent to whom it is for: as with a bounce that bounces, the postmaster may hear of it, or nobody.
void QueueCore::notification_undeliverable(const DsnName &name, const std::string &reason) {
  const auto slot = index_.find(name.parent);
  if (slot != kNone && index_.message(slot).extra) {
    auto &intents = index_.message(slot).extra->intents;
    const auto intent =
        std::find_if(intents.begin(), intents.end(), [&](const auto &i) { return i.event == name.event; });
    if (intent != intents.end()) {
      auto recipients = intent->recipients;
      if (intent->kind == wire::DsnKind::Failure && notifies(config::kNotifyDoubleBounce)) {
        add_intents(slot, wire::DsnKind::PostmasterCopy, true, std::move(recipients));
      } else {
        ++counters_.double_bounces_dropped;
        log_.error("undeliverable notification dropped", {{"qid", name.parent}, {"reason", reason}});
      }
    }
  }
  notification_written(name.parent, name.event);
}

// Of those that were found some are gone: so they were delivered, and nothing that a writer may say changes that.
void QueueCore::adopt_done_notifications() {
  std::vector<DsnName> done;
  std::erase_if(adopted_, [&](const auto &a) {
    if (!intent_of(a.second.name)) return true;
    if (index_.find(a.first) != kNone) return false;
    done.push_back(a.second.name);
    return true;
  });
  for (const auto &name : done) notification_written(name.parent, name.event);
  if (!done.empty()) adopted_sequence_ = last_sequence_;
}

// Those that exist already count as written, whatever the order in which parent and child were found: unless their
// writer says that they may not be on stable storage, though the page cache shows them.
void QueueCore::adopt_notifications() {
  while (!adopted_.empty()) {
    const auto next = adopted_.extract(adopted_.begin());
    notification_found(next.key(), next.mapped());
  }
}

// A writer that lives may be about to say so: it is asked for them again, and answers when it knows.
void QueueCore::notification_found(MessageId id, const FoundDsn &found) {
  if (store_.is_given_up(found.commit) || !intent_of(found.name)) return;
  if (!writer_of(found.commit)) return notification_written(found.name.parent, found.name.event);
  unvouched_.insert_or_assign(id, found);
}

// Delivered, so whoever is to be told is. The spool may forget it, and then nothing but this says that it was written:
// so the journal has it first.
void QueueCore::notification_done(MessageId id) {
  if (replay_) return;  // its parent may be yet to be found
  for (auto *found : {&adopted_, &unvouched_})
    if (const auto one = found->extract(id)) notification_written(one.mapped().name.parent, one.mapped().name.event);
}

const Connection *QueueCore::writer_of(const spool::Place &commit) const {
  for (const auto &[id, c] : connections_)
    if (c->peer.kind == wire::RoleKind::Router && c->segments.contains({commit.segment, commit.epoch})) return c.get();
  return nullptr;
}

// Nobody fills the segment any more, and all that was to be said of it was.
void QueueCore::vouched(const Segment &segment) {
  std::vector<MessageId> known;
  for (const auto &[id, found] : unvouched_)
    if (found.commit.segment == segment.first && found.commit.epoch == segment.second) known.push_back(id);
  for (const auto id : known) {
    const auto found = unvouched_.extract(id);
    if (!found) continue;
    const auto &[name, commit] = found.mapped();
    if (store_.is_given_up(commit))
      dsn_queue_.push_back({name, 0});
    else
      notification_written(name.parent, name.event);
  }
  if (!known.empty()) send_notifications();
}

// `suppressed`: by a policy. Its intent is done with all the same, and the journal says so.
void QueueCore::notification_written(MessageId parent, std::uint32_t event, bool suppressed) {
  dsn_failing_.erase({parent, event});
  const auto at = dsn_requests_.find({parent, event});
  if (at != dsn_requests_.end()) {
    if (auto *c = find(at->second.first)) drop_descriptor(*c, at->second.second);
    store_.unpin(at->second.second);
    dsn_requests_.erase(at);
  }
  const auto slot = index_.find(parent);
  if (slot == kNone || !index_.message(slot).extra) return;
  changing(slot);
  auto &m = index_.message(slot);
  if (std::erase_if(m.extra->intents, [&](const Intent &i) { return i.event == event; }) == 0) return;
  ++(suppressed ? counters_.suppressed : counters_.notifications);
  journal(m, entry::written(parent, event));
  store_changed(parent);
  settle(slot);
  send_notifications();
}

// What it was asked for is asked again, of its successor; what it had committed will be found by then.
void QueueCore::router_lost(ConnectionId id) {
  restore_router_lost(id);
  for (auto at = dsn_requests_.begin(); at != dsn_requests_.end();) {
    if (at->second.first != id) {
      ++at;
      continue;
    }
    if (auto *c = find(id)) drop_descriptor(*c, at->second.second);
    store_.unpin(at->second.second);
    dsn_queue_.push_back({at->first, 0});
    at = dsn_requests_.erase(at);
  }
  forget_retries(id);
  std::vector<std::uint64_t> asked;
  for (const auto &[lease, l] : leases_)
    if (l.connection == id && l.routing) asked.push_back(lease);
  for (const auto lease : asked) lease_lost(leases_.find(lease), false, false);
}

}  // namespace mansio::queue
