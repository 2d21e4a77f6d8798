// Rates that plugins own: which they are, when their owners are asked for permits, and what becomes of the answers.
//
// A limit that has none left and mail to send is asked for at once, or by a timer when its owner wants to be left alone
// until then; it is never without both, so nothing waits for good. When the owner fails, what it limits waits (defer),
// or goes at the configured rate with its burst used up (skip), until the owner answers again.
#include <algorithm>

#include "kernel/scheduler/fair_scheduler.hpp"

namespace mansio::scheduler {
namespace {

constexpr Nanos kMinute = 60 * kSecond;
constexpr Nanos kLongest = 3600 * kSecond;  // of what a plugin says of times
constexpr Nanos kMoment = 50 * kMillisecond;
constexpr Nanos kAskAgain = kSecond;  // after a failure

}  // namespace

// Whose permits the limit goes by as it is now: made, kept or given up.
PermitsId FairScheduler::own(PermitsId before, Permits::Of of, std::uint32_t id, const RateLimit &limit) {
  const bool owned = limit && limit.owner != 0 && limit.owner <= owners_.size();
  if (before != kNobody && (!owned || permits_[before].limit.owner != limit.owner)) {
    disown(before);
    before = kNobody;
  }
  if (!owned) return kNobody;
  const auto to = before == kNobody ? take_number(free_permits_, permits_) : before;
  auto &p = permits_[to];
  p.of = of;
  p.id = id;
  p.limit = limit;
  return to;
}

// The same of a destination; a member of a site goes by the site's.
void FairScheduler::find_owner(DestinationId id) {
  find_places(id);
  auto &d = destinations_[id];
  const auto limit = d.site == kNobody ? limits_of(d).rate : RateLimit{};
  if (!d.owned && limit.owner == 0) return;
  const auto before = permits_of(id);
  const auto after = own(before, Permits::Of::Destination, id, limit);
  if (after == kNobody)
    destination_permits_.erase(id);
  else
    destination_permits_[id] = after;
  d.owned = after != kNobody;
  d.waits = false;  // found out when its turn comes; the same number may be another owner's now, which nobody asked
  offer(id);
}

void FairScheduler::disown(PermitsId id) {
  auto &p = permits_[id];
  give_back(p, now_);
  if (p.question != 0) asked_.at(p.question).permits = kNobody;
  p = Permits{};
  free_permits_.push_back(id);
}

void FairScheduler::forget_holder(const Permits &p) {
  switch (p.of) {
    case Permits::Of::Destination: {
      auto &d = destinations_[p.id];
      destination_permits_.erase(p.id);
      d.owned = d.waits = false;
      offer(p.id);
      break;
    }
    case Permits::Of::Transport:
      transports_[p.id].permits = kNobody;
      break;
    case Permits::Of::Party:
      buckets_[p.id].permits = kNobody;
      arm(p.id);
      break;
    case Permits::Of::Nobody:
      break;
  }
}

void FairScheduler::rate_owners(std::vector<RateOwner> owners) {
  if (owners == owners_) return;
  for (std::size_t i = 0; i < permits_.size(); ++i) {
    const auto p = permits_[i];
    if (p.of == Permits::Of::Nobody) continue;
    disown(static_cast<PermitsId>(i));
    forget_holder(p);
  }
  disown_all_places();
  owners_ = std::move(owners);
  // What is not set anew, as a transport that is configured no more, is nobody's: its number may mean another now.
  for (auto &t : transports_) {
    t.limits.rate.owner = t.limits.destination.rate.owner = 0;
    for (auto &rule : t.limits.rules) rule.limits.rate.owner = 0;
  }
  for (auto &rule : rules_) rule.limit.owner = 0;
}

std::pair<std::string, std::string> FairScheduler::name_of(const Permits &p) const {
  switch (p.of) {
    case Permits::Of::Destination: {
      const auto &d = destinations_[p.id];
      return {"destination_rate_limit", transports_[d.transport].limits.name + ':' + d.nexthop};
    }
    case Permits::Of::Transport:
      return {"transport_rate_limit", transports_[p.id].limits.name};
    case Permits::Of::Party:
      return {std::string{rate_limit_name(buckets_[p.id].key)}, shown_name(buckets_[p.id])};
    case Permits::Of::Nobody:
      break;
  }
  return {};
}

std::uint64_t FairScheduler::ready_of(const Permits &p) const {
  switch (p.of) {
    case Permits::Of::Destination:
      return destinations_[p.id].ready;
    case Permits::Of::Transport:
      return transports_[p.id].ready;
    case Permits::Of::Party:
      return buckets_[p.id].ready;
    case Permits::Of::Nobody:
      break;
  }
  return 0;
}

// Permits count; else the rate as configured.
bool FairScheduler::by_owner(PermitsId id) const {
  return id != kNobody && !(permits_[id].failed && owners_[permits_[id].limit.owner - 1u].skip);
}

// Mail is at hand that could go but for this.
bool FairScheduler::permitted(PermitsId id, Nanos now) {
  if (!by_owner(id) || permits_[id].units(now) > 0) return true;
  ask(id, now, 1);
  return false;
}

void FairScheduler::use(PermitsId id, Nanos now) { permits_[id].use(now); }

void FairScheduler::refill(PermitsId id, Nanos now) {
  if (id != kNobody && permits_[id].low(now)) ask(id, now, 0);
}

// For as much as is ready, at least `least`, and not for more than soon goes: what one node holds, others wait for.
void FairScheduler::ask(PermitsId id, Nanos now, std::uint64_t least) {
  auto &p = permits_[id];
  if (p.question != 0) return;
  const std::uint64_t there = p.units(now), ready = std::max(ready_of(p), least);
  if (ready <= there) return;
  if (p.ask_at > now) return look_at(id, p.ask_at);
  const auto &owner = owners_[p.limit.owner - 1u];
  auto [limit, key] = name_of(p);
  RateQuestion question;
  question.number = ++last_question_;
  question.owner = owner.name;
  question.limit = std::move(limit);
  question.key = std::move(key);
  question.want = static_cast<std::uint32_t>(std::min<std::uint64_t>(ready - there, most_at_once(p.limit)));
  question.rate = p.limit;
  question.time_limit = owner.time_limit;
  p.question = question.number;
  questions_.push_back(question);
  asked_.emplace(p.question, Asked{id, std::move(question), now});
}

void FairScheduler::look_at(PermitsId id, Nanos at) {
  auto &p = permits_[id];
  if (p.timer != 0 && p.timer <= at) return;
  p.timer = at;
  timers_.push({at, id, Timer::Kind::Permits});
}

void FairScheduler::permits_due(PermitsId id, Nanos now) {
  auto &p = permits_[id];
  p.timer = 0;
  if (p.of == Permits::Of::Destination && destinations_[p.id].ready == 0) {
    destinations_[p.id].waits = false;  // asked for when there is mail again
    return;
  }
  refill(id, now);
}

// Who waits for it may try.
void FairScheduler::opened(const Permits &p) {
  if (p.of == Permits::Of::Party) return arm(p.id);
  if (p.of != Permits::Of::Destination) return;
  destinations_[p.id].waits = false;
  offer(p.id);
}

// Going back and forth between the two earns nobody a burst.
void FairScheduler::begin_local(const Permits &p, Nanos now) {
  auto &tokens = p.of == Permits::Of::Party         ? buckets_[p.id].tokens
                 : p.of == Permits::Of::Destination ? destinations_[p.id].tokens
                                                    : transports_[p.id].tokens;
  tokens.full_at = std::max(tokens.full_at, now + p.limit.tolerance());
  const auto next = tokens.next(p.limit);
  if (p.of == Permits::Of::Transport) transports_[p.id].open_at = std::max(transports_[p.id].open_at, next);
  if (p.of == Permits::Of::Destination && next > now) shut(p.id, next);
}

// The owner answers again: the rate here keeps nothing shut any more that has permits.
void FairScheduler::end_local(const Permits &p, Nanos now) {
  if (p.of == Permits::Of::Transport) {
    auto &t = transports_[p.id];
    t.open_at = std::min(t.open_at, now + t.limits.rate_delay);
  } else if (p.of == Permits::Of::Destination) {
    auto &d = destinations_[p.id];
    if (!d.adapted && limits_of(d).rate_delay == 0) d.shut = false;
  }
}

void FairScheduler::permits(std::uint64_t number, std::uint32_t units, Nanos ttl, Nanos retry, Nanos now) {
  if (places_given(number, units, ttl, retry, now)) return;
  const auto node = asked_.extract(number);
  if (node.empty()) return;
  const auto &[id, question, at] = node.mapped();
  units = std::min(units, question.want);
  ttl = std::min(ttl > 0 ? ttl : kMinute, kLongest);
  retry = std::clamp<Nanos>(retry, 0, kLongest);
  if (id == kNobody) {
    if (units > 0 && at + ttl > now) unused_.push_back({question.owner, question.limit, question.key, units});
    return;
  }
  auto &p = permits_[id];
  p.question = 0;
  const bool local = !by_owner(id);
  p.failed = false;
  if (local) end_local(p, now);
  p.add(units, at + ttl, now);
  if (p.units(now) > 0) {
    p.ask_at = retry > 0 ? now + retry : 0;
    return opened(p);
  }
  p.ask_at = now + (retry > 0 ? std::max(retry, kMillisecond) : std::clamp(p.limit.interval, kMoment, kSecond));
  look_at(id, p.ask_at);
}

void FairScheduler::no_permits(std::uint64_t number, Nanos now) {
  if (no_places(number, now)) return;
  const auto node = asked_.extract(number);
  if (node.empty() || node.mapped().permits == kNobody) return;
  const auto id = node.mapped().permits;
  auto &p = permits_[id];
  p.question = 0;
  p.ask_at = now + kAskAgain;
  look_at(id, p.ask_at);
  if (std::exchange(p.failed, true) || by_owner(id)) return;
  begin_local(p, now);
  opened(p);
}

// As mail of that party and of nobody else: its flow keeps the bucket as long as something is owed.
Scheduler::Taken FairScheduler::take_permits(RateRule::Key key, std::string_view name, std::uint32_t want, Nanos now) {
  Party party;
  std::string_view *const parts[RateRule::kKeys] = {&party.tenant, &party.campaign, &party.sender, &party.source_pool};
  const auto index = static_cast<std::size_t>(key);
  if (index >= RateRule::kKeys) return {};
  // Names that nothing is known of are not to be remembered for nothing.
  const bool limited = std::any_of(rules_.begin(), rules_.end(),
                                   [&](const RateRule &r) { return r.key == key && r.matches(name) && r.limit; });
  if (!limited) return {want, 0};
  *parts[index] = name;
  const auto id = flows_[flow(party)].buckets[index];
  if (id == kNobody) return {want, 0};
  auto &b = buckets_[id];
  const bool owned = by_owner(b.permits);
  const auto there = owned ? std::uint64_t{permits_[b.permits].units(now)} : b.tokens.tokens(b.limit, now);
  Taken taken;
  taken.granted = static_cast<std::uint32_t>(std::min<std::uint64_t>(want, there));
  for (std::uint32_t n = 0; n < taken.granted; ++n) {
    if (owned)
      use(b.permits, now);
    else
      b.tokens.take(b.limit, now);
  }
  if (owned && taken.granted < want) ask(b.permits, now, want - taken.granted);
  refill(b.permits, now);
  if (taken.granted == 0)
    taken.retry = owned ? std::max(permits_[b.permits].ask_at - now, kMoment)
                        : std::max<Nanos>(b.tokens.next(b.limit) - now, kMillisecond);
  arm(id);
  return taken;
}

void FairScheduler::give_back(Permits &p, Nanos now) {
  if (const auto units = p.units(now); units > 0) {
    auto [limit, key] = name_of(p);
    unused_.push_back({owners_[p.limit.owner - 1u].name, std::move(limit), std::move(key), units});
  }
  p.leases = {};
}

void FairScheduler::return_permits(std::string_view owner, Nanos now) {
  for (std::size_t i = 0; i < permits_.size(); ++i)
    if (auto &p = permits_[i]; p.of != Permits::Of::Nobody && owners_[p.limit.owner - 1u].name == owner)
      give_back(p, now);
}

}  // namespace mansio::scheduler
