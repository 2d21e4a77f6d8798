#include "kernel/queue/reasons.hpp"

#include <algorithm>

#include "kernel/queue/delivery_log.hpp"

namespace mansio::queue {

Reason reason_of(const wire::RecipientOutcome &o) { return {o.smtp_code, o.enhanced, o.text, o.remote_mta, o.relay}; }

std::string reason_text(const Reason &r) { return said_text(r.smtp_code, r.enhanced, r.text, r.relay, false); }

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

Reasons::Reasons(Hash hash) : hash_(hash) { entries_.grow(); }

ReasonId Reasons::take(const Reason &reason) {
  const auto text = encode(reason);
  const TextId hash{hash_(text)};
  const auto known = by_text_.find(hash);
  if (known != by_text_.kNobody && entries_[known].view() == text) {
    ++entries_[known].references;
    return known;
  }
  auto id = static_cast<ReasonId>(entries_.size());
  if (free_.empty()) {
    entries_.grow();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  auto &e = entries_[id];
  e.text = std::make_unique_for_overwrite<char[]>(text.size());
  std::copy(text.begin(), text.end(), e.text.get());
  e.length = static_cast<std::uint32_t>(text.size());
  e.hash = hash;
  e.references = 1;
  if (known == by_text_.kNobody) by_text_.add(hash, id);
  return id;
}

void Reasons::drop(ReasonId id) {
  if (id == 0 || --entries_[id].references > 0) return;
  const auto hash = entries_[id].hash;
  if (by_text_.find(hash) == id) by_text_.erase(hash);
  entries_[id] = {};
  free_.push_back(id);
}

Reason Reasons::get(ReasonId id) const {
  const auto &e = entries_[id];
  return e.text ? *decode<Reason>(e.view()) : Reason{};
}

}  // namespace mansio::queue
