#include "kernel/queue/index.hpp"

#include <cassert>

namespace mansio::queue {
namespace {

template <class T>
std::uint32_t take(Chunked<std::uint32_t> &free, LargeArray<T> &all) {
  if (free.empty()) {
    all.grow();
    return static_cast<std::uint32_t>(all.size() - 1);
  }
  const auto slot = free.back();
  free.pop_back();
  return slot;
}

}  // namespace

std::string_view name_of(QueueName name) {
  constexpr std::string_view names[] = {"incoming", "active", "deferred", "hold", "corrupt", "none"};
  return names[static_cast<std::size_t>(name)];
}

std::optional<std::uint16_t> Index::enter(const spool::Place &commit) {
  const Segment named{commit.segment, commit.epoch, 0};
  auto name = segment_names_.find(key(named));
  if (name == segment_names_.end()) {
    std::uint16_t fresh = 0;
    if (!free_segments_.empty()) {
      fresh = free_segments_.back();
      free_segments_.pop_back();
      segments_[fresh] = named;
    } else if (segments_.size() <= UINT16_MAX) {
      fresh = static_cast<std::uint16_t>(segments_.size());
      segments_.push_back(named);
    } else {
      return std::nullopt;
    }
    name = segment_names_.emplace(key(named), fresh).first;
  }
  ++segments_[name->second].messages;
  return name->second;
}

void Index::leave(std::uint16_t name) {
  auto &segment = segments_[name];
  if (--segment.messages > 0) return;
  segment_names_.erase(key(segment));
  free_segments_.push_back(name);
}

MessageSlot Index::add(const spool::Committed &at) {
  const auto segment = enter(at.commit);
  if (!segment) return kNone;
  const auto slot = take(free_messages_, messages_);
  if (watch_) watch_(slot, true);
  auto &m = messages_[slot];
  m.id = at.id;
  m.segment = *segment;
  m.commit = static_cast<std::uint32_t>(at.commit.offset / 8);
  m.size16 = static_cast<std::uint32_t>(std::min<std::uint64_t>((at.body.length + 15) / 16, (1u << 28) - 1)) &
             ((1u << 28) - 1);
  m.used = true;
  bytes_ += m.size();
  by_id_.add(at.id, slot);
  ++counts_[m.counted];
  recount(slot);
  return slot;
}

spool::Place Index::commit_of(MessageSlot slot) const {
  const auto &m = messages_[slot];
  const auto &s = segments_[m.segment];
  return {s.number, s.epoch, static_cast<std::uint64_t>(m.commit) * 8, 0};
}

bool Index::lies_at(MessageSlot slot, const spool::Place &commit) const {
  const auto at = commit_of(slot);
  return at.segment == commit.segment && at.epoch == commit.epoch && at.offset == commit.offset;
}

bool Index::move(MessageSlot slot, const spool::Place &commit) {
  const auto segment = enter(commit);
  if (!segment) return false;
  auto &m = messages_[slot];
  leave(m.segment);
  m.segment = *segment;
  m.commit = static_cast<std::uint32_t>(commit.offset / 8);
  return true;
}

void Index::recount(MessageSlot slot) {
  auto &m = messages_[slot];
  const auto groups = counts(slot);
  const auto now = m.corrupt           ? QueueName::Corrupt
                   : m.held            ? QueueName::Hold
                   : groups.leased > 0 ? QueueName::Active
                   : groups.fresh > 0  ? QueueName::Incoming
                                       : QueueName::Deferred;
  --counts_[m.counted];
  m.counted = static_cast<std::uint32_t>(now) & 7;
  ++counts_[m.counted];
}

void Index::erase(MessageSlot slot) {
  if (watch_) watch_(slot, false);
  auto &m = messages_[slot];
  assert(m.groups == kNone);
  --counts_[m.counted];
  bytes_ -= m.size();
  by_id_.erase(m.id);
  leave(m.segment);
  m = Message{};
  domains_.drop(sender_domains_.get(slot));
  sender_domains_.set(slot, kNoDomain);
  free_messages_.push_back(slot);
}

GroupCounts Index::counts(MessageSlot slot) const {
  const auto &m = messages_[slot];
  if (m.extra && m.extra->counted) return m.extra->counts;
  if (m.groups == kNone) return {};
  const auto &g = groups_[m.groups];
  return {1, g.state == GroupState::Leased ? 1u : 0u, counts_as_fresh(g) ? 1u : 0u};
}

GroupSlot Index::add_group(MessageSlot message) {
  const auto slot = take(free_groups_, groups_);
  auto &g = groups_[slot];
  auto &m = messages_[message];
  if (m.groups != kNone && !(m.extra && m.extra->counted)) {
    const auto before = counts(message);
    m.more().counts = before;
    m.more().counted = true;
  }
  g.message = message;
  g.next = m.groups;
  if (m.groups != kNone) groups_[m.groups].previous = slot;
  m.groups = slot;
  if (m.extra && m.extra->counted) ++m.extra->counts.all;
  return slot;
}

void Index::set_sender(MessageSlot slot, std::string_view address) {
  const auto before = sender_domains_.get(slot);
  sender_domains_.set(slot, domains_.take(shape_name(address)));
  domains_.drop(before);
}

void Index::add_recipient(GroupSlot slot, std::string_view address, std::string_view destination) {
  const auto before = recipient_domains_.get(slot);
  if (before == kInEnvelope) return;
  const auto domain = has_shape_name(address, destination) ? kNoDomain : domains_.take(shape_name(address));
  if (groups_[slot].recipients.size() <= 1) return recipient_domains_.set(slot, domain);
  domains_.drop(domain);
  if (domain == before) return;
  domains_.drop(before);
  recipient_domains_.set(slot, kInEnvelope);
}

void Index::destination_changes(GroupSlot slot, std::string_view before) {
  if (recipient_domains_.get(slot) == kNoDomain) recipient_domains_.set(slot, domains_.take(std::string{before}));
}

void Index::set_state(GroupSlot slot, GroupState state) {
  auto &g = groups_[slot];
  if (watch_) watch_(g.message, false);
  const auto &m = messages_[g.message];
  auto *counts = m.extra && m.extra->counted ? &m.extra->counts : nullptr;
  if (counts && counts_as_fresh(g)) --counts->fresh;
  if (counts && g.state == GroupState::Leased) --counts->leased;
  g.state = state;
  if (counts && counts_as_fresh(g)) ++counts->fresh;
  if (counts && g.state == GroupState::Leased) ++counts->leased;
  recount(g.message);
}

void Index::erase_group(GroupSlot slot, Reasons &reasons) {
  set_state(slot, GroupState::Free);
  auto &g = groups_[slot];
  auto &m = messages_[g.message];
  for (const auto &p : g.recipients) reasons.drop(p.reason);
  (g.previous == kNone ? m.groups : groups_[g.previous].next) = g.next;
  if (g.next != kNone) groups_[g.next].previous = g.previous;
  // The one that is left tells: mail whose way was asked for waits in no more memory than other mail.
  if (m.extra && m.extra->counted && --m.extra->counts.all <= 1 && m.extra->only_counts()) m.extra.reset();
  g = Group{};
  domains_.drop(recipient_domains_.get(slot));
  recipient_domains_.set(slot, kNoDomain);
  free_groups_.push_back(slot);
}

}  // namespace mansio::queue
