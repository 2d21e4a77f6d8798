#include "kernel/queue/index.hpp"

#include <cassert>

namespace mansio::queue {

MessageSlot Index::add(const spool::Committed &at) {
  MessageSlot slot = 0;
  if (free_messages_.empty()) {
    slot = static_cast<MessageSlot>(messages_.size());
    messages_.emplace_back();
  } else {
    slot = free_messages_.back();
    free_messages_.pop_back();
  }
  auto &m = messages_[slot];
  m.at = at;
  m.used = true;
  by_id_.emplace(at.id, slot);
  recount(slot);
  return slot;
}

MessageSlot Index::find(MessageId id) const {
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? kNone : at->second;
}

void Index::recount(MessageSlot slot) {
  auto &m = messages_[slot];
  const auto now = m.corrupt        ? QueueName::Corrupt
                   : m.held         ? QueueName::Hold
                   : m.n_leased > 0 ? QueueName::Active
                   : m.n_fresh > 0  ? QueueName::Incoming
                                    : QueueName::Deferred;
  if (now == m.counted) return;
  if (m.counted != QueueName::None) --counts_[static_cast<std::size_t>(m.counted)];
  m.counted = now;
  ++counts_[static_cast<std::size_t>(now)];
}

void Index::erase(MessageSlot slot) {
  auto &m = messages_[slot];
  assert(m.groups == kNone);
  if (m.counted != QueueName::None) --counts_[static_cast<std::size_t>(m.counted)];
  by_id_.erase(m.at.id);
  m = Message{};
  free_messages_.push_back(slot);
}

GroupSlot Index::add_group(MessageSlot message) {
  GroupSlot slot = 0;
  if (free_groups_.empty()) {
    slot = static_cast<GroupSlot>(groups_.size());
    groups_.emplace_back();
  } else {
    slot = free_groups_.back();
    free_groups_.pop_back();
  }
  auto &g = groups_[slot];
  auto &m = messages_[message];
  g.message = message;
  g.next = m.groups;
  if (m.groups != kNone) groups_[m.groups].previous = slot;
  m.groups = slot;
  ++m.n_groups;
  return slot;
}

void Index::set_state(GroupSlot slot, GroupState state) {
  auto &g = groups_[slot];
  auto &m = messages_[g.message];
  if (counts_as_fresh(g)) --m.n_fresh;
  if (g.state == GroupState::Leased) --m.n_leased;
  g.state = state;
  if (counts_as_fresh(g)) ++m.n_fresh;
  if (g.state == GroupState::Leased) ++m.n_leased;
  recount(g.message);
}

void Index::erase_group(GroupSlot slot, Reasons &reasons) {
  set_state(slot, GroupState::Free);
  auto &g = groups_[slot];
  auto &m = messages_[g.message];
  for (const auto &p : g.recipients) reasons.drop(p.reason);
  (g.previous == kNone ? m.groups : groups_[g.previous].next) = g.next;
  if (g.next != kNone) groups_[g.next].previous = g.previous;
  --m.n_groups;
  g = Group{};
  free_groups_.push_back(slot);
}

}  // namespace mansio::queue
