// What outlives a restart: health and concurrency of destinations, what is left of rates, suspensions. Times are
// written as wall times, as a restart may be one of the machine. A pair's name is as in fair_pairs.cpp; that of a
// suspension of a source pool at a destination is made like it.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "kernel/base/codec.hpp"
#include "kernel/base/parts.hpp"
#include "kernel/scheduler/fair_scheduler.hpp"

namespace mansio::scheduler {
namespace {

constexpr std::size_t kMost = 20'000;  // destinations: beyond that they are learned again; and pairs

struct SavedDestination {
  std::string transport, nexthop;
  std::uint32_t window = 0;
  float success = 0, failure = 0, fail_cohorts = 0;
  Nanos dead_until = 0, open_at = 0, full_at = 0;  // 0: not
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.transport, s.nexthop, s.window, s.success, s.failure, s.fail_cohorts, s.dead_until, s.open_at, s.full_at);
  }
};
struct SavedRate {  // of a transport: kTransport
  static constexpr std::uint8_t kTransport = 255;
  std::uint8_t key = 0;
  std::string name;
  Nanos full_at = 0, open_at = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.key, s.name, s.full_at, s.open_at);
  }
};
constexpr auto kPair = static_cast<std::uint8_t>(RateRule::Key::SourcePoolDestination);

struct SavedSuspension {
  static constexpr auto kAtDestination = static_cast<Suspension::Key>(5);  // of a source pool there
  Suspension::Key key = Suspension::Key::Destination;
  std::string name, reason;
  Nanos from = 0, until = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.key, s.name, s.reason, s.from, s.until);
  }
};
struct Saved {
  std::vector<SavedDestination> destinations;
  std::vector<SavedRate> rates;
  std::vector<SavedSuspension> active, past;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.destinations, s.rates, s.active, s.past);
  }
};

// Parts of save_more().
constexpr std::uint8_t kPaces = 1, kDeadAlone = 2, kUsedUp = 3;

struct SavedPace {  // that replies brought about
  std::string transport, nexthop;
  double pace = 0, rate = 0;  // 0: none
  Nanos grown_at = 0, decreased_at = 0, full_at = 0;
  bool lowered = false;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.transport, s.nexthop, s.pace, s.rate, s.grown_at, s.decreased_at, s.full_at, s.lowered);
  }
};
struct SavedDeadAlone {
  std::string transport, nexthop;
  Nanos until = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.transport, s.nexthop, s.until);
  }
};

bool is_rate(double x) { return std::isfinite(x) && x > 0; }

Nanos shifted(Nanos at, Nanos by) { return at == 0 || at == kForGood ? at : at + by; }

template <class To>
void save_all(std::vector<SavedSuspension> &to, const To &from, Nanos offset) {
  for (const auto &s : from)
    to.push_back({s.destination.empty() ? s.key : SavedSuspension::kAtDestination,
                  s.destination.empty() ? s.name : s.name + '\0' + s.destination, s.reason, shifted(s.from, offset),
                  shifted(s.until, offset)});
}

bool plausible(const SavedSuspension &s) {
  if (s.key == SavedSuspension::kAtDestination) return s.name.find('\0') != s.name.npos;
  return s.key <= Suspension::Key::SourcePool;
}

// It is no longer than it was, whatever a clock said. `last`: what of it is not later than now.
Suspension made(const SavedSuspension &s, Nanos SavedSuspension::*last, Nanos offset, Nanos now) {
  const auto by = -offset - std::max<Nanos>(0, s.*last - offset - now);
  Suspension out{s.key, s.name, shifted(s.from, by), shifted(s.until, by), s.reason};
  if (s.key == SavedSuspension::kAtDestination) {
    const auto nul = s.name.rfind('\0');
    out.key = Suspension::Key::SourcePool;
    out.name = s.name.substr(0, nul);
    out.destination = s.name.substr(nul + 1);
  }
  return out;
}

}  // namespace

std::string FairScheduler::save(Nanos offset, Nanos now) const {
  Saved out;
  // Those that are dead come first, where there are more than are kept, then those that a rate binds.
  std::array<std::vector<DestinationId>, 3> kept;
  for (std::size_t i = 0; i < destinations_.size(); ++i) {
    const auto &d = destinations_[i];
    if (!d.used || d.site != kNobody) continue;
    const bool bound = d.shut || d.tokens.full_at > now;
    if (as_new(d) && !d.dead && !bound) continue;
    auto &of = kept[d.dead ? 0 : bound ? 1 : 2];
    if (of.size() < kMost) of.push_back(static_cast<DestinationId>(i));
  }
  for (const auto &ids : kept)
    for (const auto id : ids) {
      if (out.destinations.size() >= kMost) break;
      const auto &d = destinations_[id];
      out.destinations.push_back({transports_[d.transport].limits.name, d.nexthop, d.window.size, d.window.success,
                                  d.window.failure, d.window.fail_cohorts, d.dead ? shifted(d.dead_until, offset) : 0,
                                  d.shut ? shifted(d.open_at, offset) : 0,
                                  d.tokens.full_at > now ? shifted(d.tokens.full_at, offset) : 0});
    }
  for (const auto &[name, id] : bucket_names_)
    if (const auto full_at = buckets_[id].tokens.full_at; full_at > now)
      out.rates.push_back({static_cast<std::uint8_t>(name.first), name.second, full_at + offset, 0});
  const auto parties = out.rates.size();
  for (const auto &[name, id] : pair_names_)
    if (const auto full_at = buckets_[id].tokens.full_at; full_at > now)
      out.rates.push_back({kPair, name, full_at + offset, 0});
  if (out.rates.size() > parties + kMost) {  // those that owe most
    const auto from = out.rates.begin() + static_cast<std::ptrdiff_t>(parties);
    std::nth_element(from, from + kMost, out.rates.end(),
                     [](const SavedRate &a, const SavedRate &b) { return a.full_at > b.full_at; });
    out.rates.resize(parties + kMost);
  }
  for (const auto &t : transports_)
    if (t.tokens.full_at > now || t.open_at > now)
      out.rates.push_back({SavedRate::kTransport, t.limits.name, t.tokens.full_at + offset, t.open_at + offset});
  save_all(out.active, suspensions_.active(), offset);
  save_all(out.past, suspensions_.past(), offset);
  return encode(out);
}

void FairScheduler::restore(std::string_view bytes, Nanos offset, Nanos now) {
  now_ = std::max(now_, now);
  const auto saved = decode<Saved>(bytes);
  if (!saved) return;
  // First, as what is suspended by itself is of no site.
  std::vector<Suspension> active;
  std::deque<Suspension> past;
  for (const auto &s : saved->active)
    if (plausible(s)) active.push_back(made(s, &SavedSuspension::from, offset, now));
  for (const auto &s : saved->past)
    if (plausible(s)) past.push_back(made(s, &SavedSuspension::until, offset, now));
  suspensions_.restore(std::move(active), std::move(past));
  suspensions_changed(now);
  const auto transport_named = [&](const std::string &name) {
    return std::find_if(transports_.begin(), transports_.end(), [&](const auto &t) { return t.limits.name == name; });
  };
  for (const auto &s : saved->destinations) {
    const auto t = transport_named(s.transport);
    if (t == transports_.end() || s.nexthop.empty()) continue;
    const auto id = destination(static_cast<TransportId>(t - transports_.begin()), s.nexthop);
    auto &d = destinations_[id];
    if (d.busy > 0 || d.site != kNobody) continue;  // it has learned anew, or is of a site now
    const auto limits = limits_of(d);
    d.window = {limits.effective_window().capped(s.window), s.success, s.failure, s.fail_cohorts};
    // No rate or back-off of today is longer than its own time from now, whatever a clock said.
    if (limits.rate) {
      d.tokens.full_at = shifted(s.full_at, -offset);
      bound(d.tokens, limits.rate, now);
    }
    const auto saved_open_at =
        std::min(s.open_at == 0 ? 0 : s.open_at - offset, now + std::max(limits.rate_delay, limits.rate.interval));
    if (const auto open_at = std::max(saved_open_at, open_by_rates(id)); open_at > now) shut(id, open_at);
    const auto dead_until =
        std::min(s.dead_until == 0 ? 0 : s.dead_until - offset, now + backoff_.longest(backoff_.minimal_backoff_time));
    if (dead_until > now) kill(id, dead_until);
  }
  for (const auto &s : saved->rates) {
    if (s.key == SavedRate::kTransport) {
      const auto t = transport_named(s.name);
      if (t == transports_.end()) continue;
      if (const auto &rate = t->limits.rate; rate) {
        t->tokens.full_at = s.full_at - offset;
        bound(t->tokens, rate, now);
      }
      t->open_at = std::min(s.open_at - offset, now + std::max(t->limits.rate_delay, t->limits.rate.interval));
      if (t->limits.rate && !by_owner(t->permits)) t->open_at = std::max(t->open_at, t->tokens.next(t->limits.rate));
    } else if (s.key <= kPair) {
      const auto pair = PairView::of(s.name);
      const auto id =
          s.key == kPair ? pair_of(pair.pool, pair.destination) : bucket_of(static_cast<RateRule::Key>(s.key), s.name);
      if (id == kNobody) continue;
      auto &b = buckets_[id];
      b.tokens.full_at = s.full_at - offset;
      bound(b.tokens, b.limit, now);
    }
  }
}

std::string FairScheduler::save_more(Nanos offset, Nanos) const {
  std::vector<SavedPace> paces;
  std::vector<SavedDeadAlone> dead;
  for (std::size_t i = 0; i < destinations_.size(); ++i) {
    const auto &d = destinations_[i];
    if (!d.used) continue;
    const auto &transport = transports_[d.transport].limits.name;
    const bool alone = d.site != kNobody || dead_alone_.contains(static_cast<DestinationId>(i));
    if (d.dead && alone && dead.size() < kMost) dead.push_back({transport, d.nexthop, shifted(d.dead_until, offset)});
    if (d.site != kNobody) continue;
    const bool lowered = is_lowered(d);
    if ((!d.adapted && !lowered) || paces.size() >= kMost) continue;
    auto &saved = paces.emplace_back();
    saved.transport = transport;
    saved.nexthop = d.nexthop;
    saved.lowered = lowered;
    if (!d.adapted) continue;
    const auto state = adaptive_.at(static_cast<DestinationId>(i)).state();
    saved.pace = state.pace;
    saved.rate = state.rate;
    saved.grown_at = state.grown_at + offset;
    saved.decreased_at = state.decreased_at + offset;
    saved.full_at = state.open_at + offset;
  }
  std::string out;
  if (!paces.empty()) put_part(out, kPaces, paces);
  if (!dead.empty()) put_part(out, kDeadAlone, dead);
  if (used_up_at_ != kNever) put_part(out, kUsedUp, used_up_at_ + offset);
  return out;
}

// What the destinations were given by restore() stays, but for what a pace adds to it.
void FairScheduler::restore_more(std::string_view bytes, Nanos offset, Nanos now) {
  std::vector<SavedPace> paces;
  std::vector<SavedDeadAlone> dead;
  std::optional<Nanos> used_up_at;
  each_part(bytes, [&](std::uint8_t kind, std::string_view part) {
    if (kind == kPaces) paces = decode<std::vector<SavedPace>>(part).value_or(std::vector<SavedPace>{});
    if (kind == kDeadAlone) dead = decode<std::vector<SavedDeadAlone>>(part).value_or(std::vector<SavedDeadAlone>{});
    if (kind == kUsedUp) used_up_at = decode<Nanos>(part);
  });
  const auto known = [&](const auto &saved) -> std::optional<DestinationId> {
    const auto t = std::find_if(transports_.begin(), transports_.end(),
                                [&](const auto &one) { return one.limits.name == saved.transport; });
    if (t == transports_.end() || saved.nexthop.empty()) return std::nullopt;
    return destination(static_cast<TransportId>(t - transports_.begin()), saved.nexthop);
  };
  for (const auto &s : paces) {
    const auto id = known(s);
    if (!id) continue;
    auto &d = destinations_[*id];
    if (d.busy > 0 || d.site != kNobody || d.adapted) continue;
    d.lowered = s.lowered;
    if (!is_rate(s.pace) || !is_rate(s.rate)) continue;
    const Adaptive::State state{s.pace, s.rate, s.grown_at - offset, s.decreased_at - offset, s.full_at - offset};
    adaptive_.emplace(*id, Adaptive{state, limits_of(d).adaptive, now});
    d.adapted = true;
    if (const auto open_at = open_by_rates(*id); open_at > now) shut(*id, open_at);
  }
  // A site by exchangers is known once DNS was asked: until then its domain is dead as one by itself.
  for (const auto &s : dead) {
    const auto id = known(s);
    const auto until = std::min(s.until - offset, now + backoff_.longest(backoff_.minimal_backoff_time));
    if (!id || until <= now || destinations_[*id].busy > 0) continue;
    const auto &d = destinations_[*id];
    if (d.site == kNobody) dead_alone_[*id] = until;
    if (d.dead) continue;
    for (auto lane = d.lanes.head; d.site != kNobody && lane != kNobody; lane = lanes_[lane].next) step_out(lane);
    kill(*id, until);
  }
  if (used_up_at) used_up(*used_up_at - offset, now);
}

void FairScheduler::used_up(Nanos at, Nanos now) {
  now_ = std::max(now_, now);
  used_up_at_ = std::max(used_up_at_, std::min(at, now));
  for (auto &t : transports_) {
    const auto rate = by_owner(t.permits) ? RateLimit{} : t.limits.rate;
    bound(t.tokens, rate, now);
    t.open_at = std::max({t.open_at, rate ? t.tokens.next(rate) : 0, used_up_at_ + t.limits.rate_delay});
  }
  for (std::size_t i = 0; i < buckets_.size(); ++i)
    if (auto &b = buckets_[i]; b.limit) bound(b.tokens, b.limit, now);
  for (std::size_t i = 0; i < destinations_.size(); ++i)
    if (const auto &d = destinations_[i]; d.used && d.site == kNobody) bound(static_cast<DestinationId>(i), now);
}

}  // namespace mansio::scheduler
