// Crashes: a worker died. What it held comes back; a message that keeps killing workers is tried alone, then held.
#include <algorithm>
#include <set>

#include "kernel/queue/core.hpp"

namespace mansio::queue {
namespace {

constexpr std::size_t kMostDeaths = 64;     // remembered; more than there are plugins at once
constexpr std::size_t kMostEnded = 10'000;  // messages that wait to hear of one: a moment's
constexpr std::string_view kTransportHost = "host.transport.";

}  // namespace

// The lease ends without a word. Unless the route request or lease never arrived, its recipients may have been
// delivered to: the next attempt may be a duplicate, which beats a loss.
void QueueCore::lease_lost(LeaseMap::iterator at, bool possibly_delivered, bool suspect) {
  const auto slot = at->second.message;
  const auto group = at->second.group;
  end_lease(at);
  auto &m = index_.message(slot);
  bool changed = false;
  if (possibly_delivered && !m.possible_duplicate) {
    m.possible_duplicate = changed = true;
    ++counters_.possible_duplicates;
  }
  if (suspect && m.kills < Message::kMostKills) {
    ++m.kills;
    changed = true;
  }
  if (changed) journal_state(m);
  put_back(group);
}

// A group whose lease is over without an attempt of the destination's: it has its turn again, with no back-off.
void QueueCore::put_back(GroupSlot group) {
  const auto slot = index_.group(group).message;
  auto &m = index_.message(slot);
  scheduler_->hold(group);
  index_.set_state(group, GroupState::Scheduled);
  if (m.kills > 0) index_.each_group(slot, [&](GroupSlot g) { scheduler_->set_alone(g, true); });
  if (index_.group(group).recipients.empty()) {
    scheduler_->remove(group);
    index_.erase_group(group, reasons_);
    return settle(slot);
  }
  if (m.deleted) return settle(slot);
  if (m.reroute) {
    if (index_.counts(slot).leased == 0) {
      m.reroute = false;
      journal_state(m);
    }
    scheduler_->release(group, 0, clock_.mono());
    return route_again(group);
  }
  if (!m.held && settings_->queue.worker_kill_limit > 0 && m.kills >= settings_->queue.worker_kill_limit) {
    index_.set_state(group, GroupState::Held);
    return hold_killer(slot);
  }
  if (m.held) {
    index_.set_state(group, GroupState::Held);
    return;
  }
  scheduler_->release(group, 0, clock_.mono());
}

void QueueCore::egress_dead(Connection &c, const wire::Dead &dead) {
  const bool crashed = dead.crashed;
  const MessageId culprit{dead.culprit};
  std::vector<std::uint64_t> held;
  for (const auto &[lease, l] : leases_)
    if (l.connection == c.id) held.push_back(lease);
  if (crashed) {
    ++counters_.worker_deaths;
    log_.error("a delivery process died",
               {{"process", c.peer.name}, {"pid", c.peer.pid}, {"leases", held.size()}, {"qid", culprit}});
  }
  std::set<MessageId> blamed;  // once each, however many deliveries of it are lost
  for (const auto lease : held) {
    const auto at = leases_.find(lease);
    const auto id = index_.id_of(at->second.message);
    // Without a marker any of them may have done it, unless the process was killed from outside.
    const bool suspect = crashed && (culprit ? id == culprit : !dead.killed);
    lease_lost(at, true, suspect && blamed.insert(id).second);
  }
  const auto foreign = c.foreign;
  for (const auto &[lease, message] : foreign) {
    const auto slot = message ? index_.find(message) : kNone;
    if (slot != kNone && !index_.message(slot).possible_duplicate) {
      index_.message(slot).possible_duplicate = true;
      ++counters_.possible_duplicates;
      journal_state(index_.message(slot));
    }
    foreign_done(c, lease);
  }
}

// A plugin's own process died. Its client has the leases and reports; what remains to be known is whose fault it was.
// Without a marker any message that was in there may have done it, unless the process was killed from outside.
void QueueCore::host_dead(const wire::Dead &dead) {
  const MessageId culprit{dead.culprit};
  const bool transport = dead.peer.name.starts_with(kTransportHost);
  const bool nameless = dead.crashed && !dead.killed && !culprit && transport;
  std::vector<MessageId> ended;
  for (const auto &[pid, id] : ended_with_)
    if (pid == dead.peer.pid && std::find(ended.begin(), ended.end(), id) == ended.end()) ended.push_back(id);
  std::erase_if(ended_with_, [&](const auto &e) { return e.first == dead.peer.pid; });
  if (transport) {
    std::erase_if(host_deaths_, [&](const HostDeath &d) { return d.pid == dead.peer.pid; });  // a number may come again
    host_deaths_.push_back({dead.peer.pid, nameless, ended});
    if (host_deaths_.size() > kMostDeaths) host_deaths_.pop_front();
  }
  if (!dead.crashed || dead.killed || (!culprit && !transport)) return;
  ++counters_.worker_deaths;
  log_.error("a plugin's process died", {{"process", dead.peer.name}, {"pid", dead.peer.pid}, {"qid", culprit}});
  if (culprit) return blame(culprit);
  for (const auto id : ended) blame(id);
}

// That process ended while it had the message.
void QueueCore::ended_with(std::int32_t pid, MessageId id) {
  const auto death =
      std::find_if(host_deaths_.begin(), host_deaths_.end(), [&](const auto &d) { return d.pid == pid; });
  if (death == host_deaths_.end()) {
    ended_with_.emplace_back(pid, id);
    if (ended_with_.size() > kMostEnded) ended_with_.pop_front();
    return;
  }
  auto &blamed = death->blamed;
  if (!death->nameless || std::find(blamed.begin(), blamed.end(), id) != blamed.end()) return;
  blamed.push_back(id);
  blame(id);
}

// A worker died, and this message may be why: from now on it is tried alone, and held when that does not help.
void QueueCore::blame(MessageId id) {
  const auto slot = index_.find(id);
  if (slot == kNone) return;
  auto &m = index_.message(slot);
  if (m.kills < Message::kMostKills) ++m.kills;
  journal_state(m);
  index_.each_group(slot, [&](GroupSlot g) { scheduler_->set_alone(g, true); });
  if (!m.held && settings_->queue.worker_kill_limit > 0 && m.kills >= settings_->queue.worker_kill_limit)
    hold_killer(slot);
}

void QueueCore::hold_killer(MessageSlot slot) {
  auto &m = index_.message(slot);
  const auto reason = std::to_string(m.kills) + " delivery processes in a row died while they worked on it";
  ++counters_.held;
  log_.error("message held: release it once the plugin is repaired", {{"qid", m.id}, {"reason", reason}});
  do_hold(slot, reason);
  if (!notifies(config::kNotifySoftware)) return;
  std::vector<Reported> recipients;
  for (auto g = m.groups; g != kNone; g = index_.group(g).next)
    for (const auto &p : index_.group(g).recipients) {
      wire::RecipientOutcome outcome;
      outcome.enhanced = {4, 3, 0};
      outcome.text = "held: " + reason;
      recipients.push_back({p.index, std::move(outcome)});
    }
  add_intents(slot, wire::DsnKind::PostmasterDelay, true, std::move(recipients));
  send_notifications();
}

}  // namespace mansio::queue
