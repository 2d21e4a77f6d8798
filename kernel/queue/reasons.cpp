#include "kernel/queue/reasons.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernel/queue/delivery_log.hpp"

namespace mansio::queue {
namespace {

constexpr std::string_view kSuspendedText = "delivery temporarily suspended", kWhy = "delivery temporarily suspended: ";

}  // namespace

Reason suspended_reason(EnhancedStatus status, std::string_view why) {
  return {0, status, why.empty() ? std::string{kSuspendedText} : fmt::format("{}{}", kWhy, why), "", "none"};
}

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
  if (const auto failure = failure_behind(reason); failure != 0) return share(failure | kSuspended);
  const auto text = encode(reason);
  const Hashed whole{hash_(text)}, said{hash_(reason.text)};
  const auto known = by_whole_.find(whole);
  if (known != by_whole_.kNobody && entries_[known].view() == text) {
    ++entries_[known].references;
    return known;
  }
  const auto id = take_number(free_, entries_);
  auto &e = entries_[id];
  e.text = std::make_unique_for_overwrite<char[]>(text.size());
  std::copy(text.begin(), text.end(), e.text.get());
  e.length = static_cast<std::uint32_t>(text.size());
  e.whole = whole;
  e.said = said;
  e.references = 1;
  if (known == by_whole_.kNobody) by_whole_.add(whole, id);
  if (by_said_.find(said) == by_said_.kNobody) by_said_.add(said, id);
  return id;
}

// The one that a destination is suspended for, if `reason` is of mail that waits for it; or none.
ReasonId Reasons::failure_behind(const Reason &reason) const {
  if (!reason.text.starts_with(kWhy)) return 0;
  const auto why = std::string_view{reason.text}.substr(kWhy.size());
  const auto known = by_said_.find({hash_(why)});
  if (known == by_said_.kNobody || suspended_reason(reason.enhanced, why) != reason) return 0;
  const auto failure = get(known);
  return failure.enhanced == reason.enhanced && failure.text == why ? known : 0;
}

void Reasons::drop(ReasonId id) {
  id &= ~kSuspended;
  if (id == 0 || --entries_[id].references > 0) return;
  const auto &e = entries_[id];
  if (by_whole_.find(e.whole) == id) by_whole_.erase(e.whole);
  if (by_said_.find(e.said) == id) by_said_.erase(e.said);
  entries_[id] = {};
  free_.push_back(id);
}

Reason Reasons::get(ReasonId id) const {
  const auto &e = entries_[id & ~kSuspended];
  auto reason = e.text ? *decode<Reason>(e.view()) : Reason{};
  return (id & kSuspended) == 0 ? reason : suspended_reason(reason.enhanced, reason.text);
}

}  // namespace mansio::queue
