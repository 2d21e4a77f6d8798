// Recovery and checkpoint: what was journaled, put together with what the segments hold.
#include <utility>

#include "kernel/queue/core.hpp"

namespace mansio::queue {

Result<void> QueueCore::recover() {
  Replay replay;
  recovering_ = true;
  auto found = store_.recover([&](std::string_view bytes) { replay.apply(bytes); },
                              [&](const spool::Committed &at, const Envelope &envelope) {
                                if (replay.gone(at.id)) {
                                  store_.admit(at);
                                  retire(at.commit, 0);
                                  if (envelope.dsn_parent.id)
                                    dsn_later_.push_back({envelope.dsn_parent.id, envelope.dsn_parent.event});
                                  return;
                                }
                                if (envelope.dsn_parent.id)
                                  dsn_later_.push_back({envelope.dsn_parent.id, envelope.dsn_parent.event});
                                admit(at, Envelope{envelope}, replay.find(at.id));
                              });
  recovering_ = false;
  if (!found) return found.error();
  next_lease_ = static_cast<std::uint64_t>(replay.starts() + 1) << 32;
  start_sequence_ = journal(entry::start(replay.starts() + 1));
  if (replay.skipped() > 0) log_.error("journal entries that could not be read", {{"entries", replay.skipped()}});

  // Notifications that exist already are adopted, whatever the order in which parent and child were found.
  for (const auto &name : dsn_later_) notification_written(name.parent, name.event);
  dsn_later_.clear();

  std::uint64_t flagged = 0;
  const auto now = clock_.wall();
  for (MessageSlot slot = 0; slot < index_.slots(); ++slot) {
    auto &m = index_.message(slot);
    if (!m.used) continue;
    if (m.extra)
      for (const auto &intent : m.extra->intents) dsn_queue_.push_back({{m.id, intent.event}, 0});
    if (found->clean_stop || !found->was_active || m.possible_duplicate) continue;
    // May have been under way when we stopped; what is held too, as it may have been held in a lease.
    const auto *record = replay.find(m.id);
    bool active = m.held || (record && record->woken);
    index_.each_group(slot, [&](GroupSlot g) { active |= due(g) <= now; });
    if (!active) continue;
    m.possible_duplicate = m.journaled = true;
    ++flagged;
  }
  recovered_any_ = index_.size() > 0;
  flags_unwritten_ = flagged > 0;
  if (flagged > 0)
    log_.warn("unclean stop: mail that may have been under way may be delivered twice", {{"messages", flagged}});
  counters_.possible_duplicates += flagged;
  log_.info("spool recovered", {{"messages", index_.size()},
                                {"corrupt", found->corrupt_records},
                                {"clean_stop", found->clean_stop},
                                {"notifications", dsn_queue_.size()}});
  update_pressure();
  return {};
}

// The disk is about to forget that deliveries may have been under way.
void QueueCore::keep_flags() {
  if (!std::exchange(flags_unwritten_, false)) return;
  for (MessageSlot slot = 0; slot < index_.slots(); ++slot) {
    auto &m = index_.message(slot);
    if (m.used && m.possible_duplicate) journal_state(m);
  }
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

// What is not pending is done: the index does not keep the latter.
Record QueueCore::record_of(const Message &m) const {
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
    Deferral d{due(g), group.attempts, {}};
    for (const auto &p : group.recipients) {
      r.pending.push_back(p.index);
      if (group.attempts > 0) d.recipients.emplace_back(p.index, p.reason ? reasons_.get(p.reason) : Reason{});
    }
    if (!d.recipients.empty()) r.deferrals.push_back(std::move(d));
  }
  r.complete = true;
  return r;
}

void QueueCore::checkpoint() {
  const auto result = store_.checkpoint([&](const std::function<void(std::string_view)> &emit) {
    emit(entry::start(static_cast<std::uint32_t>(next_lease_ >> 32)));
    for (MessageSlot slot = 0; slot < index_.slots(); ++slot) {
      const auto &m = index_.message(slot);
      if (m.used && m.journaled) emit(entry::record(m.id, record_of(m)));
    }
  });
  if (!result) log_.error("checkpoint failed", {{"error", result.error().text}});
}

}  // namespace mansio::queue
