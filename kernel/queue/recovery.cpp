// Recovery and checkpoint: what was journaled, put together with what the segments hold.
#include <algorithm>
#include <utility>

#include "kernel/queue/core.hpp"

namespace mansio::queue {
namespace {

constexpr int kCheckpointedPerTurn = 512;

}  // namespace

Result<void> QueueCore::recover() {
  replay_ = std::make_unique<Replay>();
  auto replayed = store_.recover([this](std::string_view bytes) { replay_->apply(bytes); });
  if (!replayed) return replayed;
  last_reason_ = reasons_before_ = replay_->last_reason();
  for (const auto &step : replay_->clock_steps()) steps_.remember(step);
  recover_stores();
  // Epochs grow with every start too, and are known though the journal be damaged.
  const auto number = std::max(replay_->starts() + 1, store_.first_epoch());
  next_lease_ = static_cast<std::uint64_t>(number) << 32;
  start_sequence_ = journal(entry::start(number));
  index_.reserve(replay_->messages());
  store_.on_coming([this](MessageId id) {
    index_.coming(id);
    if (replay_) replay_->coming(id);
  });
  store_.find_mail([this](const spool::Committed &at, Envelope &&envelope) { found(at, std::move(envelope), false); },
                   [this](const spool::Recovered &all) { recovered(all); });
  return {};
}

// A commit that the spool holds. `noticed`: its writer speaks of it, for the first time. Which says nothing of whether
// an earlier life knew of it: that one may have looked into the segment before the writer got round to saying so.
void QueueCore::found(const spool::Committed &at, Envelope &&envelope, bool noticed) {
  if (const auto slot = index_.find(at.id); slot != kNone) return found_again(slot, at);
  // Who found it has read all of it, if it is there.
  const auto seen = [&](MessageSlot slot) {
    if (slot == kNone) return;
    const bool whole = store_.holds(at.body);
    index_.message(slot).verified = !noticed && whole;
    if (!whole) set_aside(slot, "its body is nowhere");
  };
  const auto now = times();
  // What compaction moves is never taken for ours: no copy is made before all mail is found.
  const bool ours = at.commit.epoch >= store_.first_epoch();
  const auto flag = [&](Message &m) {
    m.possible_duplicate = true;
    journal_state(m);
  };
  if (!replay_) {
    const DsnName name{envelope.dsn_parent.id, envelope.dsn_parent.event};
    const auto slot = admit(at, std::move(envelope), nullptr, true, now);
    if (slot != kNone && name.parent) {
      if (noticed)
        notification_written(name.parent, name.event);
      else
        notification_found(at.id, {name, at.commit});
    }
    seen(slot);
    // An earlier life may have read what we could not, and what it said of it is forgotten.
    if (!noticed && !ours && slot != kNone && store_.was_active()) flag(index_.message(slot));
    return;
  }
  const auto said = replay_->find(at.id);
  if (said.gone) {
    if (const auto &parent = envelope.dsn_parent; parent.id)
      adopted_.try_emplace(at.id, FoundDsn{{parent.id, parent.event}, {}});
    store_.admit(at);
    retire(at.commit, 0);
    return;
  }
  const auto *record = said.record ? &*said.record : nullptr;
  if (record)
    for (const auto &intent : record->intents) dsn_queue_.push_back({{at.id, intent.event}, 0});
  const auto slot = admit(at, std::move(envelope), record, noticed || ours, now);
  seen(slot);
  if (ours || slot == kNone || index_.message(slot).possible_duplicate || !store_.was_active()) return;
  // May have been under way when we stopped; what is held too, as it may have been held in a lease.
  auto &m = index_.message(slot);
  // The wall clock may be behind by now: what an earlier life could lease is what counts.
  bool active = m.held;
  const auto until = std::max(now.wall, replay_->leased_until());
  index_.each_group(slot, [&](GroupSlot g) { active |= scheduler_->due(g) + now.offset() <= until; });
  if (!active) return;
  flag(m);
  ++flagged_;
}

void QueueCore::recovered(const spool::Recovered &found) {
  if (replay_->skipped() > 0) log_.error("journal entries that could not be read", {{"entries", replay_->skipped()}});
  restore_scheduling(replay_->scheduling(), replay_->learned());
  replay_->forget_reasons(reasons_);
  replay_.reset();
  stores_recovered();
  adopt_done_notifications();
  recovered_any_ = index_.size() > 0;
  if (flagged_ > 0)
    log_.warn("unclean stop: mail that may have been under way may be delivered twice", {{"messages", flagged_}});
  counters_.possible_duplicates += flagged_;
  log_.info("spool recovered", {{"messages", index_.size()},
                                {"corrupt", found.corrupt_records},
                                {"clean_stop", found.clean_stop},
                                {"notifications", dsn_queue_.size()}});
  for (auto &[id, c] : connections_)
    if (!c->hello) c->answer_by = clock_.mono() + kHelloLimit;
  for (auto &event : std::exchange(afterwards_, {})) event();
  refresh_capacities();
  update_pressure();
  check_gates();
  if (wake_) wake_();
}

// Writers alone go on as ever: what they say is of new mail. Outcomes, orders and answers may be about mail that is not
// found yet.
bool QueueCore::waits_for_recovery(const Connection &c) const {
  return replay_ && c.peer.kind != wire::RoleKind::Ingress;
}

MessageState QueueCore::state_of(const Message &m) const {
  MessageState s;
  s.arrival = m.requeued ? m.arrival : 0;
  s.held = m.held;
  s.corrupt = m.corrupt;
  s.deleted = m.deleted;
  s.forced_expire = m.forced_expire;
  s.delay_warned = m.delay_warned;
  s.possible_duplicate = m.possible_duplicate;
  s.reroute = m.reroute;
  s.kills = m.kills;
  if (m.extra) s.hold_reason = m.extra->hold_reason;
  return s;
}

// What is not pending is done: the index does not keep the latter. The message that just waits is what there is most
// of.
std::string QueueCore::snapshot_of(const Message &m) {
  const bool plain = !m.extra && !m.requeued && !m.held && !m.corrupt && !m.deleted && !m.forced_expire &&
                     !m.delay_warned && !m.possible_duplicate && !m.reroute && m.kills == 0;
  if (plain && m.groups != kNone && index_.group(m.groups).next == kNone && index_.group(m.groups).attempts > 0)
    return entry::waiting(m.id, deferral_of(m.groups, due(m.groups)));
  Record r;
  r.state = state_of(m);
  if (m.extra) {
    r.next_event = m.extra->next_event;
    r.routes.assign(m.extra->routes.begin(), m.extra->routes.end());
    r.failed = m.extra->failed;
    r.succeeded = m.extra->succeeded;
    r.intents = m.extra->intents;
  }
  for (auto g = m.groups; g != kNone; g = index_.group(g).next) {
    const auto &group = index_.group(g);
    for (const auto &p : group.recipients) r.pending.push_back(p.index);
    if (group.attempts > 0) r.deferrals.push_back(deferral_of(g, due(g)));
  }
  r.complete = true;
  return entry::record(m.id, r);
}

void QueueCore::begin_checkpoint() {
  store_.begin_checkpoint();
  store_.snapshot(entry::start(static_cast<std::uint32_t>(next_lease_ >> 32)));
  if (marked_active_) store_.snapshot(entry::leased_until(active_until_));
  for (const auto &step : steps_.steps()) store_.snapshot(entry::clock_step(step));
  snapshot_stores();
  const auto scheduling = scheduler_->save(clock_.wall() - clock_.mono(), clock_.mono()), learned = save_learned();
  scheduling_ = std::hash<std::string_view>{}(scheduling);
  learned_ = std::hash<std::string_view>{}(learned);
  store_.snapshot(entry::scheduling(scheduling));
  if (!learned.empty()) store_.snapshot(entry::learned(learned));
  reasons_before_ = last_reason_;
  checkpoint_at_ = 0;
}

// Some messages a turn, at the disk's pace. What comes into the index behind the walk has its entries in the new file.
bool QueueCore::step_checkpoint() {
  if (!checkpoint_at_ || !store_.checkpoint_has_room()) return false;
  auto &slot = *checkpoint_at_;
  for (int n = 0; n < kCheckpointedPerTurn && slot < index_.slots(); ++n, ++slot) {
    const auto &m = index_.message(slot);
    if (!m.used || !m.journaled) continue;
    store_.snapshot(snapshot_of(m));
    if (m.extra && !m.extra->pool.empty()) store_.snapshot(entry::pool(m.id, m.extra->pool));
    if (m.extra && !m.extra->pools.empty())
      store_.snapshot(entry::pools(m.id, {m.extra->pools.begin(), m.extra->pools.end()}));
    if (m.extra && m.extra->released) store_.snapshot(entry::released(m.id, true));
    bool later = false;  // than any back-off
    index_.each_group(slot, [&](GroupSlot g) { later |= index_.group(g).attempts > 0 && is_put_off(g); });
    if (later) store_.snapshot(entry::put_off(m.id));
    Recipients unrouted;
    index_.each_group(slot, [&](GroupSlot g) {
      if (index_.group(g).attempts == 0 || !is_unrouted(g)) return;
      for (const auto i : recipients_of(g)) unrouted.push_back(i);
    });
    if (!unrouted.empty()) store_.snapshot(entry::unrouted(m.id, unrouted));
    // It is leased as soon as it is let out, before its time: what was written down of that is replaced.
    bool woken = false;
    index_.each_group(slot, [&](GroupSlot g) { woken |= index_.group(g).flush == FlushState::Woken; });
    if (woken) store_.snapshot(entry::woken(m.id));
  }
  if (slot < index_.slots()) return true;
  store_.end_checkpoint();
  checkpoint_at_.reset();
  return false;
}

}  // namespace mansio::queue
