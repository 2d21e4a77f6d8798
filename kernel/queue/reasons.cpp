#include "kernel/queue/reasons.hpp"

namespace mansio::queue {

Reason reason_of(const wire::RecipientOutcome &o) { return {o.smtp_code, o.enhanced, o.text, o.remote_mta, o.relay}; }

wire::RecipientOutcome outcome_of(const Reason &r, wire::DeliveryStatus status) {
  wire::RecipientOutcome o;
  o.status = status;
  o.smtp_code = r.smtp_code;
  o.enhanced = r.enhanced;
  o.text = r.text;
  o.remote_mta = r.remote_mta;
  o.relay = r.relay;
  return o;
}

ReasonId Reasons::take(const Reason &reason) {
  const auto [at, fresh] = by_key_.try_emplace(encode(reason), 0);
  if (fresh) {
    if (free_.empty()) {
      at->second = static_cast<ReasonId>(entries_.size());
      entries_.emplace_back();
    } else {
      at->second = free_.back();
      free_.pop_back();
    }
    entries_[at->second] = {&at->first, 0, 0};
  }
  ++entries_[at->second].references;
  return at->second;
}

void Reasons::drop(ReasonId id) {
  if (id == 0 || --entries_[id].references > 0) return;
  by_key_.erase(by_key_.find(*entries_[id].key));
  entries_[id] = {};
  free_.push_back(id);
}

Reason Reasons::get(ReasonId id) const {
  const auto *key = entries_[id].key;
  return key ? *decode<Reason>(*key) : Reason{};
}

}  // namespace mansio::queue
