// Flushes: mail that waits is tried before its time, because an operator or a client's ETRN says so. What is flushed is
// mostly what fails, and slowly: all of it at once would take every session from new mail. So it is let out as earlier
// of it ends, never more at a time than half of what its transport delivers at once.
#include <algorithm>

#include "kernel/mail/address.hpp"
#include "kernel/mail/utf8.hpp"
#include "kernel/queue/command_words.hpp"
#include "kernel/queue/core.hpp"

namespace mansio::queue {
namespace {

constexpr int kFlushedPerTurn = 256;
constexpr std::size_t kWokenAhead = 4096;  // more than what ends between two syncs of the journal

}  // namespace

bool names_domain(std::string_view wanted, std::string_view domain) {
  if (!wanted.starts_with('@')) return equals_nocase(wanted, domain);
  wanted.remove_prefix(1);
  if (domain.size() > wanted.size() && domain[domain.size() - wanted.size() - 1] == '.')
    domain.remove_prefix(domain.size() - wanted.size());
  return equals_nocase(wanted, domain);
}

// Whether mail of the group goes to that domain, or by that next hop.
bool QueueCore::goes_to(GroupSlot group, std::string_view destination, SharedStored &stored) {
  if (equals_nocase(scheduler_->nexthop_of(scheduler_->destination_of(group)), destination)) return true;
  if (equals_nocase(site_of(group), destination)) return true;
  const auto domain = index_.recipient_domain(group);
  if (domain == kNoDomain) return names_domain(destination, scheduler_->nexthop_of(scheduler_->destination_of(group)));
  if (domain != kInEnvelope) return names_domain(destination, index_.domain_name(domain));
  const auto &g = index_.group(group);
  if (!stored) stored = peek(g.message);
  return stored && std::any_of(g.recipients.begin(), g.recipients.end(), [&](const PendingRecipient &p) {
           return names_domain(destination, split_address(stored->envelope.recipients[p.index].address).domain);
         });
}

// True: something of the message was waiting, and is to be tried.
bool QueueCore::do_flush(MessageSlot slot, std::string_view destination) {
  bool any = false;
  SharedStored stored;
  index_.each_group(slot, [&](GroupSlot g) {
    auto &group = index_.group(g);
    if (group.state != GroupState::Parked && group.state != GroupState::Scheduled) return;
    if (!destination.empty() && !goes_to(g, destination, stored)) return;
    any = true;
    if (group.state == GroupState::Parked) {  // it is let out soon after a start
      scheduler_->set_due(g, clock_.mono());
      wake(index_.message(slot));
      return;
    }
    if (group.flush != FlushState::None) return;
    group.flush = FlushState::Waiting;
    transports_[scheduler_->transport_of(g)].to_flush.push_back(g);
    ++flushing_;
  });
  return any;
}

// Of a group that was let out: its attempt may not have begun, or have ended.
FlushProgress QueueCore::progress_of(const Flushed &f) const {
  const auto &g = index_.group(f.group);
  if (g.flush != FlushState::LetOut || g.message == kNone || index_.id_of(g.message) != f.message)
    return FlushProgress::Over;
  if (g.state == GroupState::Leased) return FlushProgress::UnderWay;
  return g.state == GroupState::Scheduled && scheduler_->due(f.group) <= clock_.mono() ? FlushProgress::Waits
                                                                                       : FlushProgress::Over;
}

// True: there is more to do at once.
bool QueueCore::flush_some() {
  if (flushing_ == 0 || !leasing()) return false;
  int n = 0;
  for (auto &t : transports_) {
    wake_flushed(t, n);
    let_out(t);
  }
  return n >= kFlushedPerTurn;
}

// An attempt begins only when the disk knows that it may: that is written down for some ahead, so that none waits for
// it.
void QueueCore::wake_flushed(TransportInfo &t, int &n) {
  const auto ahead = std::max<std::size_t>(kWokenAhead, t.flushed.most());
  for (; !t.to_flush.empty() && t.woken.size() < ahead && n < kFlushedPerTurn; ++n) {
    const auto slot = t.to_flush.front();
    t.to_flush.pop_front();
    auto &g = index_.group(slot);
    if (g.flush != FlushState::Waiting || g.state != GroupState::Scheduled) {  // gone, or another by now, or held
      if (g.flush == FlushState::Waiting) g.flush = FlushState::None;
      --flushing_;
      continue;
    }
    g.flush = FlushState::Woken;
    const bool waits = scheduler_->due(slot) > clock_.mono();
    if (waits) wake(index_.message(g.message));
    t.woken.push_back({slot, index_.id_of(g.message), waits ? last_sequence_ : 0});
  }
}

void QueueCore::let_out(TransportInfo &t) {
  const auto synced = store_.synced_sequence();
  if (t.woken.empty() || t.woken.front().sequence > synced) return;
  t.flushed.settle(clock_.mono(), [&](const Flushed &f) { return progress_of(f); });
  for (; !t.woken.empty() && t.woken.front().sequence <= synced && t.flushed.room(); t.woken.pop_front()) {
    const auto [slot, id, sequence] = t.woken.front();
    --flushing_;
    auto &g = index_.group(slot);
    if (g.flush != FlushState::Woken || g.message == kNone || index_.id_of(g.message) != id) continue;
    g.flush = FlushState::None;
    if (g.state != GroupState::Scheduled) continue;
    g.flush = FlushState::LetOut;
    scheduler_->flush(slot, clock_.mono());
    t.flushed.let_out({slot, id}, clock_.mono());
  }
}

// An ingress process asks for a client (ETRN).
void QueueCore::on_flush_request(Connection &c, const wire::FlushRequest &request) {
  constexpr std::size_t kCommandsAtOnce = 64;
  if (replay_ || draining_ || commands_.size() >= kCommandsAtOnce) {
    if (c.link) c.link->send(wire::FlushReply{request.request, false, 0});
    return;
  }
  auto &command = commands_.emplace_back();
  command.connection = c.id;
  command.etrn = request.request;
  command.request.verb = "flush";
  command.request.by = request.by;
  command.request.match = {{"destination", request.destination}};
  log_.info("queue command", {{"verb", "flush"}, {"by", request.by}, {"what", "destination=" + request.destination}});
}

}  // namespace mansio::queue
