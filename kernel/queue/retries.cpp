// Retries: what policies say of the time of the next attempt. A deferral is journaled with the time that the back-off
// gives before anybody is asked, and stands until there is an answer: nothing waits for one, and what a crash takes
// away is a question. An answer counts for as long as the recipients wait as they did when it was asked for.
#include <algorithm>
#include <utility>

#include "kernel/queue/core.hpp"

namespace mansio::queue {
namespace {

constexpr std::size_t kRetriesAtOnce = 200;
constexpr std::size_t kMostRetries = 100'000;  // that wait for the router; the back-off stands for what is beyond
constexpr int kRetriesPerTurn = 256;
constexpr Nanos kRetriesSaidOften = 60 * kSecond;
constexpr std::size_t kReasonShown = 400;  // octets of a reply, so that the question fits

}  // namespace

// Of a group that was just deferred. Mail without a route was not tried.
void QueueCore::ask_retry(GroupSlot group, const Envelope &envelope) {
  if (!policy_wants(wire::QueueStage::Retry) || scheduler_->transport_of(group) == route_transport_) return;
  const auto &g = index_.group(group);
  const RetryQuestion question{index_.id_of(g.message), group, g.attempts};
  if (retries_.empty() && retries_asked_.size() < kRetriesAtOnce && send_retry(question, envelope)) return;
  if (retries_.size() < kMostRetries) {
    retries_.push_back(question);
    return;
  }
  ++counters_.retries_not_asked;
  if (const auto now = clock_.mono(); retries_said_at_ == 0 || now >= retries_said_at_ + kRetriesSaidOften) {
    retries_said_at_ = std::max<Nanos>(now, 1);
    log_.warn("policies do not keep up with what is deferred: some of it is tried again without their word");
  }
}

bool QueueCore::still_waits(const RetryQuestion &question) const {
  const auto slot = index_.find(question.id);
  if (slot == kNone) return false;
  const auto &g = index_.group(question.group);
  return g.message == slot && g.state == GroupState::Scheduled && g.attempts == question.attempts &&
         scheduler_->transport_of(question.group) != route_transport_;
}

// True: there may be more to put at once.
bool QueueCore::ask_retries() {
  for (int n = 0; !retries_.empty() && retries_asked_.size() < kRetriesAtOnce; ++n) {
    if (n == kRetriesPerTurn) return true;
    const auto question = retries_.front();
    if (still_waits(question)) {
      if (!router()) return false;
      const auto stored = peek(index_.find(question.id));
      if (stored && !send_retry(question, stored->envelope)) return false;
    }
    retries_.pop_front();
  }
  return false;
}

// False: not now.
bool QueueCore::send_retry(const RetryQuestion &question, const Envelope &envelope) {
  auto *c = router();
  if (!c) return false;
  const auto group = question.group;
  const auto &g = index_.group(group);
  wire::RetryRequest request;
  request.number = last_retry_ + 1;
  request.id = question.id;
  request.sender = envelope.sender;
  request.route = {transport_of(group).name,
                   route_of(index_.message(g.message), envelope, g.recipients.begin()->index).nexthop};
  request.facts = facts_of(index_.message(g.message), envelope, pool_of(group, envelope));
  request.attempts = g.attempts;
  request.wait = std::max<Nanos>(scheduler_->due(group) - clock_.mono(), 0);
  for (const auto &p : g.recipients) {
    const auto reason = reasons_.get(p.reason);
    request.recipients.push_back(
        {envelope.recipients[p.index].address, reason.smtp_code, reason.enhanced, reason.text.substr(0, kReasonShown)});
  }
  if (encode(request).size() > io::kMaxMessage) request.facts.metadata.clear();
  if (!c->link->send(request)) {
    c->behind = true;
    return false;
  }
  retries_asked_.emplace(++last_retry_, std::pair{question, c->id});
  return true;
}

void QueueCore::on_retry_reply(const wire::RetryReply &reply) {
  const auto asked = retries_asked_.extract(reply.number);
  if (asked.empty()) return;
  const auto question = asked.mapped().first;
  if (question.id != reply.id || !still_waits(question)) return;
  const auto group = question.group;
  const auto slot = index_.group(group).message;
  auto &m = index_.message(slot);
  changing(slot);
  switch (reply.word.action) {
    case wire::PolicyAction::Defer: {
      if (reply.word.retry <= 0) return;
      const auto before = scheduler_->due(group);
      put_off(group, reply.word.retry);
      if (scheduler_->due(group) < before) wait_for_disk(m);  // which has it wait for longer
      return;
    }
    case wire::PolicyAction::Fail:
      return give_up(group, reply.word);
    case wire::PolicyAction::Hold:
      return hold_for_policy(slot, reply.word);
    default:
      return;
  }
}

// As if the last attempt had failed for good. Those who may have been delivered to, or of whom nothing was said, wait
// on.
void QueueCore::give_up(GroupSlot group, const wire::PolicyWord &word) {
  const auto slot = index_.group(group).message;
  auto &m = index_.message(slot);
  const auto envelope = envelope_of(slot);
  if (!envelope) return;
  const auto now = clock_.wall();
  const LeaseContext context{transport_of(group).name, 0, std::min(due(group), now), now};
  Recipients certain;
  for (const auto &p : index_.group(group).recipients)
    if (!m.extra || !m.extra->undecided.contains(p.index)) certain.push_back(p.index);
  Batch batch;
  for (const auto i : certain) {
    const auto reason = reasons_.get(index_.group(group).recipients.find(i)->reason);
    auto outcome = outcome_of(reason, wire::DeliveryStatus::Bounced);
    outcome.enhanced = word.enhanced.empty() ? EnhancedStatus{5, 4, 7} : word.enhanced;
    if (!word.text.empty()) {  // not what the next hop said
      const auto said = reason_text(reason);
      outcome.text = said.empty() ? word.text : word.text + " (" + said + ")";
      outcome.smtp_code = 0;
      outcome.remote_mta.clear();
    }
    apply(batch, group, i, outcome, *envelope, context);
  }
  if (index_.group(group).recipients.empty()) {
    scheduler_->remove(group);
    index_.erase_group(group, reasons_);
  }
  conclude(slot, std::move(batch));
}

// Its successor is asked what it was asked.
void QueueCore::forget_retries(ConnectionId router) {
  std::erase_if(retries_asked_, [&](const auto &asked) {
    if (asked.second.second != router) return false;
    retries_.push_front(asked.second.first);
    return true;
  });
}

}  // namespace mansio::queue
