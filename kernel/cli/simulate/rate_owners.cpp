#include "kernel/cli/simulate/rate_owners.hpp"

#include <algorithm>
#include <limits>

namespace mansio::cli::simulate {

std::string_view OwnedLimit::begin_by_permit(const scheduler::RateLimit &configured, Nanos now) {
  if (skipped_) {
    if (!local_.open(configured, now)) return "faster than its rate";
    local_.take(configured, now);
    return "";
  }
  std::erase_if(leases_, [now](const Lease &l) { return l.units == 0 || l.until <= now; });
  const auto lease = std::min_element(leases_.begin(), leases_.end(),
                                      [](const Lease &a, const Lease &b) { return a.until < b.until; });
  if (lease == leases_.end()) return "without a permit of its owner";
  --lease->units;
  return "";
}

std::string_view OwnedLimit::begin_in_place(std::uint32_t under_way, Nanos now) const {
  if (skipped_) return "";
  if (places_until_ <= now || under_way > places_) return "without a place of its owner";
  return under_way > held_ ? "in a place that its owner thinks is free" : "";
}

void OwnedLimit::limit(const scheduler::RateLimit &configured, Nanos now) { local_.bound(configured, now); }

RateOwners::RateOwners(const Scenario &scenario) : random_(scenario.seed ^ 0x6F776E657273ull) {
  for (const auto &rate : scenario.settings.rates) {
    auto &owner = owners_.emplace_back();
    const auto spec = std::find_if(scenario.rate_owners.begin(), scenario.rate_owners.end(),
                                   [&](const auto &o) { return o.name == rate.name; });
    if (spec != scenario.rate_owners.end()) owner.spec = *spec;
    owner.totals.name = rate.name;
    owner.skip = rate.budget.on_failure == config::OnFailure::Skip;
  }
}

OwnedLimit &RateOwners::limit(std::string_view name, std::string_view key) {
  return limits_[{std::string{name}, std::string{key}}];
}

RateOwners::Owner &RateOwners::named(std::string_view name) {
  return *std::find_if(owners_.begin(), owners_.end(), [&](const Owner &o) { return o.totals.name == name; });
}

const RateOwnerSpec::Failure *RateOwners::failure(const Owner &owner, Nanos at) {
  for (const auto &f : owner.spec.failures)
    if (f.from <= at && at < f.to) return &f;
  return nullptr;
}

const RateOwnerSpec::Limit *RateOwners::given(const Owner &owner, const scheduler::RateQuestion &q, Nanos now) {
  for (const auto &l : owner.spec.limits) {
    const bool says = q.places ? l.places.has_value() : static_cast<bool>(l.rate);
    if (says && (l.name.empty() || l.name == q.limit) && (l.key.empty() || l.key == q.key) && l.from <= now &&
        now < l.to)
      return &l;
  }
  return nullptr;
}

void RateOwners::ask(scheduler::Scheduler &scheduler, Nanos now) {
  if (owners_.empty()) return;
  for (auto &q : scheduler.rate_questions()) {
    auto &owner = named(q.owner);
    const auto &spec = owner.spec;
    const auto takes = std::max<Nanos>(
        static_cast<Nanos>(static_cast<double>(spec.latency) * (1 + spec.spread * (2 * random_.unit() - 1))), 2);
    const auto arrives = now + takes / 2;
    const auto *fails = failure(owner, arrives);
    Word word{.owner = &owner, .question = std::move(q), .asked = now};
    const auto at_most = word.question.time_limit;
    if (!word.question.parting) {
      ++owner.totals.questions;
      if (!fails && takes <= at_most) {
        word.answer_at = now + takes;
      } else {
        auto none = word;
        none.kind = Word::Kind::None;
        send(now + (fails && !fails->silent ? std::min(takes, at_most) : at_most), std::move(none));
      }
    }
    if (!fails) send(arrives, std::move(word));
  }
  for (auto &u : scheduler.unused_permits()) {
    auto &owner = named(u.owner);
    owner.totals.returned += u.units;
    auto left = u.units;
    auto &leases = limit(u.limit, u.key).leases_;
    for (auto lease = leases.rbegin(); lease != leases.rend() && left > 0; ++lease) {
      if (lease->until <= now) continue;
      const auto taken = std::min(left, lease->units);
      lease->units -= taken;
      left -= taken;
    }
    const auto arrives = now + owner.spec.latency / 2;
    Word word{.kind = Word::Kind::Unused, .owner = &owner};
    word.question.limit = std::move(u.limit);
    word.question.key = std::move(u.key);
    word.question.want = u.units;
    if (!failure(owner, arrives)) send(arrives, std::move(word));
  }
}

Nanos RateOwners::next() const {
  return words_.empty() ? std::numeric_limits<Nanos>::max() : words_.begin()->first.first;
}

void RateOwners::hear(scheduler::Scheduler &scheduler, Nanos now, Nanos offset) {
  while (next() <= now) {
    const auto node = words_.extract(words_.begin());
    const auto &word = node.mapped();
    switch (word.kind) {
      case Word::Kind::Question:
        answer(word, now);
        break;
      case Word::Kind::Unused:
        take_back(word);
        break;
      case Word::Kind::Answer:
      case Word::Kind::None:
        tell(scheduler, word, now, offset);
        break;
    }
  }
}

// By the owner. An older question that comes late changes nothing.
void RateOwners::answer(const Word &word, Nanos now) {
  const auto &q = word.question;
  auto &l = limit(q.limit, q.key);
  const auto *other = given(*word.owner, q, now);
  auto reply = word;
  reply.kind = Word::Kind::Answer;
  if (!q.places) {
    const auto rate = other ? other->rate : q.rate;
    l.interval_ = rate.interval;
    reply.units = static_cast<std::uint32_t>(std::min<std::uint64_t>(q.want, l.bucket_.tokens(rate, now)));
    l.bucket_.full_at = std::max(l.bucket_.full_at, now) + rate.interval * reply.units;
    if (reply.units < q.want) reply.retry = std::max(l.bucket_.next(rate) - now, kMillisecond);
  } else if (q.number <= l.number_) {
    reply.units = l.held_;
  } else {
    if (l.holds_until_ <= now && l.held_ > 0) {  // nobody spoke for them
      if (l.rest_ > 0) l.rests_until_ = std::max(l.rests_until_, l.holds_until_ + l.rest_);
      l.held_ = 0;
    }
    if (q.rest > 0 && q.held < l.held_) l.rests_until_ = std::max(l.rests_until_, now + q.rest);
    reply.units = std::min({q.want, q.capacity, other ? *other->places : q.capacity});
    if (reply.units > q.held && now < l.rests_until_) reply.units = q.held;
    if (reply.units < q.want && now < l.rests_until_) reply.retry = l.rests_until_ - now;
    l.held_ = std::max(reply.units, q.held);
    l.number_ = q.number;
    l.holds_until_ = now + word.owner->spec.hold_time;
    l.rest_ = q.rest;
  }
  if (word.answer_at > 0) send(word.answer_at, std::move(reply));
}

void RateOwners::take_back(const Word &word) {
  auto &l = limit(word.question.limit, word.question.key);
  l.bucket_.full_at = std::max<Nanos>(l.bucket_.full_at - l.interval_ * word.question.want, 0);
}

// To the scheduler.
void RateOwners::tell(scheduler::Scheduler &scheduler, const Word &word, Nanos now, Nanos offset) {
  const auto &q = word.question;
  auto &l = limit(q.limit, q.key);
  auto &totals = word.owner->totals;
  if (word.kind == Word::Kind::None) {
    ++totals.failures;
    if (word.owner->skip && !l.failed_) l.local_.full_at = std::max(l.local_.full_at, now + q.rate.tolerance());
    l.skipped_ = word.owner->skip;
    l.failed_ = true;
    return scheduler.no_permits(q.number, now + offset);
  }
  l.failed_ = l.skipped_ = false;
  const auto ttl = q.places ? word.owner->spec.hold_time : word.owner->spec.lease_time;
  if (q.places) {
    l.places_ = word.units;
    l.places_until_ = word.asked + ttl;
  } else {
    totals.permits += word.units;
    std::erase_if(l.leases_, [now](const OwnedLimit::Lease &lease) { return lease.units == 0 || lease.until <= now; });
    l.leases_.push_back({word.units, word.asked + ttl});
  }
  scheduler.permits(q.number, word.units, ttl, word.retry, now + offset);
}

std::vector<RateOwners::Totals> RateOwners::totals() const {
  std::vector<Totals> out;
  for (const auto &owner : owners_) out.push_back(owner.totals);
  return out;
}

}  // namespace mansio::cli::simulate
