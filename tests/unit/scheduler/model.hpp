// Model: what the limits let go, worked out from events alone. It has no lists, rounds or timers of its own and asks
// the scheduler nothing: each waiting delivery is looked at by itself. What it shares with the scheduler are the small
// pure classes that have tests of their own (Window, TokenBucket, Adaptive, Suspensions, placement()).
//
// What chance decides it is told: how long something is dead or put off, and which of its pools a source group's mail
// leaves from. What it does not know is suspects of killing workers, and transports without workers.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kernel/scheduler/permits.hpp"
#include "kernel/scheduler/scheduler.hpp"
#include "kernel/scheduler/site.hpp"
#include "tests/unit/scheduler/model_owner.hpp"

namespace mansio::scheduler {

class Model {
 public:
  using Place = std::pair<TransportId, std::string>;  // a destination, or a site
  enum class State : std::uint8_t { Waiting, Leased, Held };
  struct Mail {
    TransportId transport = 0;
    std::string to, tenant, campaign, sender;
    std::string named;      // source pool, or group, of its message
    std::string pool;       // as whose mail it waits: that, or what was named for its destination at its last turn
    std::string chosen;     // the pool, where that is a group and its turn has chosen one
    std::string left_from;  // the pool of the delivery under way
    int priority = 0;
    bool list = false;
    Nanos added = 0, due = 0;
    State state = State::Waiting;

    Place at() const { return {transport, to}; }
    const std::string &leaves_from() const { return chosen.empty() ? pool : chosen; }
    Party party() const { return {tenant, campaign, sender, named, priority}; }
  };
  struct Site {  // a destination, or what several share
    DestinationLimits limits;
    std::string exchangers;
    std::string of;       // the site whose limits count; "": its own
    std::string failing;  // whose deliveries failed since one went well; its own name: several's
    Window window;        // of what is of a site: what it would be dead alone by
    std::uint32_t busy = 0;
    bool dead = false;
    bool dead_alone = false;  // since before a restart, when it was of a site
    Nanos dead_until = 0;     // the scheduler's, as chance is in it
    Nanos open_at = 0;        // of a rate or a delay
    TokenBucket tokens;
    std::optional<Adaptive> pace;
    PermitLedger permits;
    PlaceLedger places;

    WindowLimits bounds() const { return limits.effective_window(); }
    void shut(Nanos until) { open_at = std::max(open_at, until); }
    bool as_new() const { return window.size == bounds().capped(bounds().initial) && window.fail_cohorts == 0; }
  };
  struct Line {  // a transport
    TransportLimits limits;
    std::uint32_t in_use = 0;
    Nanos open_at = 0;
    TokenBucket tokens;
    PermitLedger permits;
    PlaceLedger sessions, spacing;
  };
  struct Bucket {
    TokenBucket tokens;
    PermitLedger permits;
  };

  Model(const Backoff &backoff, std::vector<RateOwner> owners) : backoff_(backoff), owners_(std::move(owners)) {}

  // --- What the operator says.

  // No window is wider than today's limits, and nobody owes or waits for more than they let anybody.
  void transport(TransportId id, const TransportLimits &limits, Nanos now) {
    if (id >= lines.size()) lines.resize(id + 1u);
    auto &line = lines[id];
    line.limits = limits;
    line.permits.owned_by(limits.rate ? limits.rate.owner : 0);
    line.sessions.owned_by(limits.sessions > 0 ? limits.sessions_owner : 0, false);
    line.spacing.owned_by(limits.rate_delay > 0 ? limits.rate_delay_owner : 0, true);
    const auto rate = line.permits.counts(owners_) ? RateLimit{} : limits.rate;
    line.open_at = opened(line.tokens, rate, std::min(line.open_at, now + limits.rate_delay), now);
    settle(now, id);
    for (auto &[place, site] : sites)
      if (place.first == id && site.of.empty()) bound(site, now);
  }
  void exchangers(const Place &place, const std::string &hosts, Nanos now) {
    auto &site = site_at(place);
    if (!lines[place.first].limits.asks_exchangers() || !has_exchangers(place.second) || site.exchangers == hosts)
      return;
    const bool as_new = site.as_new();
    site.exchangers = hosts;
    settle(now, place.first);
    if (!site.of.empty()) return;
    if (as_new) site.window.reset(site.bounds());
    bound(site, now);
  }
  void rates(const std::vector<RateRule> &rules, Nanos now) {
    rules_ = rules;
    for (auto &[key, bucket] : buckets_) {
      const auto limit = limit_of(key);
      bucket.permits.owned_by(limit ? limit.owner : 0);
      clamp(bucket.tokens, limit, now);
    }
  }
  void source_groups(const std::vector<SourceGroup> &groups) { groups_ = groups; }
  void weights(const std::vector<TenantWeight> &weights) {
    for (const auto &w : weights) weights_[w.name] = w.weight;
  }
  void suspend(const Suspension &s, Nanos now) {
    suspensions.add(s, now);
    settle(now);
  }
  void resume(const Suspension &s, Nanos now) {
    suspensions.remove(s.key, s.name, now, s.destination);
    settle(now);
  }

  // --- Who shares what with whom.

  Site &site_at(const Place &place) {
    const auto [at, fresh] = sites.try_emplace(place);
    if (!fresh) return at->second;
    at->second.limits = limits_of(place, "");
    at->second.window.reset(at->second.bounds());
    own(at->second);
    settle(place, 0);
    return at->second;
  }
  // Whose limits count for mail to there.
  Place owner_of(const Place &place) {
    const auto &site = site_at(place);
    return site.of.empty() ? place : Place{place.first, site.of};
  }
  Site &site_of(const Mail &m) { return site_at(owner_of(m.at())); }
  bool is_dead(const Mail &m) { return site_at(m.at()).dead || site_of(m).dead; }

  // --- Before the scheduler is asked.

  void wake(Nanos now) {
    if (suspensions.expire(now)) settle(now);
    for (auto &[key, site] : sites)
      if (site.dead && site.dead_until <= now) revive(site);
  }
  static void revive(Site &site) {
    if (!site.dead) return;
    site.dead = site.dead_alone = false;
    site.failing.clear();
    site.window.revive(site.busy, site.bounds());
  }
  void flush(Mail &m, Nanos now) {
    revive(site_of(m));
    revive(site_at(m.at()));
    if (m.state == State::Waiting) m.due = std::min(m.due, now);
  }

  // --- Questions.

  bool is_group(const std::string &pool) const {
    return std::any_of(groups_.begin(), groups_.end(), [&](const auto &g) { return g.name == pool; });
  }
  std::vector<std::string> pools_of(const std::string &group) const {
    std::vector<std::string> pools;
    for (const auto &g : groups_)
      if (g.name == group)
        for (const auto &p : g.pools) pools.push_back(p.name);
    return pools;
  }
  // Mail of a source group is while all are that it could leave from.
  bool suspended(const Mail &m) {
    if (suspended(m, m.leaves_from()) || (!m.chosen.empty() && suspended(m, m.pool))) return true;
    if (!m.chosen.empty() || !is_group(m.pool)) return false;
    const auto pools = pools_of(m.pool);
    return std::all_of(pools.begin(), pools.end(), [&](const auto &p) { return suspended(m, p); });
  }
  bool suspended(const Mail &m, const std::string &pool) {
    const auto find = [&](const std::string &to) {
      return suspensions.find({to, m.tenant, m.campaign, m.sender, pool}) != nullptr;
    };
    return find(m.to) || find(owner_of(m.at()).second);
  }

  // What may begin is what all limits let go. What may wait is what one keeps, or its owner, who then was asked.
  enum class To : std::uint8_t { Begin, Wait };

  // "": nothing but its tenant's part of the sessions may keep it.
  std::string kept_by(const Mail &m, Nanos now, To what) {
    const auto &site = site_of(m);
    const auto &line = lines[m.transport];
    if (m.state != State::Waiting) return "it is not waiting";
    if (m.due > now) return "its time has not come";
    if (suspended(m)) return "it is suspended";
    if (is_dead(m)) return "its destination is dead";
    if (site.busy >= site.window.size) return "its destination's concurrency";
    if (site.open_at > now) return "its destination's rate";
    if (lacks(site.permits, now, what)) return "its destination's permits";
    if (lacks(site.places, site.busy, now, what)) return "its destination's places";
    if (line.in_use >= line.limits.sessions) return "its transport's sessions";
    if (line.open_at > now) return "its transport's rate";
    if (lacks(line.permits, now, what)) return "its transport's permits";
    if (lacks(line.sessions, line.in_use, now, what)) return "its transport's places";
    if (lacks(line.spacing, 0, now, what)) return "its transport's spacing";
    for (const auto &key : parties_of(m))
      if (closed(key, now, what)) return "the rate of " + key.second;
    // Whose turn has come leaves from a pool of its group or is one's to wait.
    if (m.chosen.empty() && is_group(m.pool)) return "";
    return pool_closed(m, m.leaves_from(), now, what) ? "the limits of " + m.leaves_from() : "";
  }
  // Mail of that group could leave from there now, before all that waits for it.
  bool could_choose(const Mail &m, const std::string &pool, Nanos now) {
    if (suspended(m, pool) || pool_closed(m, pool, now, To::Begin)) return false;
    return std::none_of(mail.begin(), mail.end(), [&](const auto &one) {
      const auto &other = one.second;
      return &other != &m && other.state == State::Waiting && other.due <= now && other.leaves_from() == pool;
    });
  }
  // Its tenant holds its part of the sessions, if all compete that possibly do, and the rest is for others.
  bool has_its_share(const Mail &m, Nanos now) {
    const auto &line = lines[m.transport];
    std::map<std::string, bool> competing;
    std::uint64_t leased = 0;
    for (const auto &[id, other] : mail) {
      if (other.transport != m.transport || other.state == State::Held) continue;
      if (other.state == State::Leased || other.due <= now) competing[other.tenant] = true;
      leased += other.state == State::Leased && other.tenant == m.tenant;
    }
    std::uint64_t weight = 0;
    for (const auto &[tenant, is] : competing) weight += weight_of(tenant);
    const std::uint64_t own = weight_of(m.tenant), sessions = line.limits.sessions;
    const bool room = line.in_use + (sessions + 9) / 10 < sessions;
    return weight > own && leased * weight >= sessions * own && !room;
  }

  // --- Deliveries.

  void lease(Mail &m, Nanos now) {
    auto &site = site_of(m);
    auto &line = lines[m.transport];
    m.state = State::Leased;
    m.left_from = m.leaves_from();
    under_way_.insert(&m);
    ++site.busy;
    ++line.in_use;
    for (const auto &key : parties_of(m)) take(key, now);
    take({RateRule::Key::SourcePool, m.left_from}, now);
    take(pair_of(m, m.left_from), now);
    if (site.permits.counts(owners_)) site.permits.use(now);
    site.tokens.take(set_rate_of(site), now);
    if (site.pace) site.pace->take(now);
    if (open_by_rates(site) > now) site.shut(open_by_rates(site));
    line.spacing.rest();
    if (line.permits.counts(owners_)) {
      line.permits.use(now);
    } else if (line.limits.rate) {
      line.tokens.take(line.limits.rate, now);
      line.open_at = std::max(line.open_at, line.tokens.next(line.limits.rate));
    }
    if (line.limits.rate_delay > 0) line.open_at = std::max(line.open_at, now + line.limits.rate_delay);
  }
  // The lease's end without a word: nothing is learned of it.
  void take_back(Mail &m) {
    auto &site = site_of(m);
    --site.busy;
    site.places.rest();
    --lines[m.transport].in_use;
    m.state = State::Waiting;
    under_way_.erase(&m);
  }
  // What is dead from now on, if anything.
  std::optional<Place> end(Mail &m, Result result, Nanos now) {
    const auto at = m.at(), owner = owner_of(at);
    auto &site = site_at(owner);
    std::optional<Place> died;
    if (result == Result::Delivered) {
      if (site.pace && site.pace->success(site.limits.adaptive, now)) {
        site.pace.reset();
        site.open_at = open_by_rates(site);
      }
      if (site.dead) {
        revive(site);
      } else {
        if (site.window.fail_cohorts > 0) site.failing.clear();
        site.window.positive(site.busy, site.bounds());
      }
    } else if (result == Result::SiteFailure && !site.dead) {
      site.failing = site.failing.empty() || site.failing == m.to ? m.to : owner.second;
      // A domain that fails while nothing else of its site is tried may fail by itself.
      const bool alone = owner != at && site.failing == m.to && is_shared(owner);
      site.dead = site.window.negative(site.bounds()) && !alone;
      if (site.dead) died = owner;
    }
    if (site.limits.rate_delay > 0) site.shut(now + site.limits.rate_delay);
    take_back(m);
    if (owner == at || site.dead || result == Result::NoFeedback) return died;
    // Does it fail while its site does not?
    auto &own = site_at(at);
    if (result == Result::Delivered) {
      if (own.dead)
        revive(own);
      else if (own.window.fail_cohorts > 0)
        own.window.reset(own.bounds());
    } else if (!own.dead && is_shared(owner) && own.window.negative(own.bounds())) {
      own.dead = true;
      died = at;
    }
    return died;
  }
  void push_back(Site &site, Nanos now) {
    if (site.pace) {
      site.pace->push_back(site.limits.adaptive, now);
    } else {
      const auto pace = std::max<std::uint32_t>(std::min(site.window.size, site.busy + 1), 1);
      site.pace.emplace(static_cast<double>(pace), site.limits.adaptive, now);
    }
    site.shut(open_by_rates(site));
  }
  static void lower(Site &site, std::uint32_t to) {
    site.window.size = std::min(site.window.size, std::max<std::uint32_t>(to, 1));
    site.window.success = -site.bounds().positive.at(site.window.size);
  }

  // --- What plugins own.

  // "": the question is right.
  std::string ask(const RateQuestion &q, Nanos now) {
    if (q.places) {
      const auto found = places_of(q);
      if (q.parting) {
        if (found.first) found.first->may = std::min(found.first->may, q.held);
        return "";
      }
      if (!found.first || found.first->owner == 0) return "asks for places of what nobody owns: " + q.limit;
      if (owners_[found.first->owner - 1u].name != q.owner) return "asks another owner";
      const auto *wrong = found.first->tell(q, found.second, now);
      return wrong ? q.limit + ' ' + q.key + ": " + wrong : "";
    }
    const auto found = permits_of(q);
    if (!found.first || found.first->owner == 0) return "asks for permits of what nobody owns: " + q.limit;
    if (owners_[found.first->owner - 1u].name != q.owner) return "asks another owner";
    if (found.first->question != 0) return "two questions about " + q.key;
    if (q.want == 0 || q.want > most_at_once(found.second)) return "asks for too many permits";
    found.first->ask(q, now);
    return "";
  }
  // Of a question whose limit is as it was then; what was asked for another is nobody's.
  void answer(const RateQuestion &q, std::uint32_t units, Nanos ttl, Nanos retry, Nanos now) {
    if (q.places) {
      const auto places = places_of(q).first;
      if (places && places->question == q.number) places->give(q, units, ttl, retry, now);
      return;
    }
    const auto [permits, limit] = permits_of(q);
    if (!permits || permits->question != q.number) return;
    const bool local = !permits->counts(owners_);
    permits->give(units, ttl, retry, limit.interval, now);
    if (!local) return;  // else the rate here keeps nothing shut that has permits again
    for (auto &line : lines)
      if (&line.permits == permits) line.open_at = std::min(line.open_at, now + line.limits.rate_delay);
    for (auto &[place, site] : sites)
      if (&site.permits == permits && !site.pace && site.limits.rate_delay == 0) site.open_at = 0;
  }
  // Where the rate here counts then, nobody has a burst.
  void fail(const RateQuestion &q, Nanos now) {
    if (q.places) {
      const auto places = places_of(q).first;
      if (places && places->question == q.number) places->fail(owners_, now);
      return;
    }
    const auto [permits, limit] = permits_of(q);
    if (!permits || permits->question != q.number || !permits->fail(owners_, now) || permits->counts(owners_)) return;
    const auto use_up = [&, of = limit](TokenBucket &tokens) {
      tokens.full_at = std::max(tokens.full_at, now + of.tolerance());
      return tokens.next(of);
    };
    for (auto &line : lines)
      if (&line.permits == permits) line.open_at = std::max(line.open_at, use_up(line.tokens));
    for (auto &[place, site] : sites)
      if (&site.permits == permits) site.shut(use_up(site.tokens));
    for (auto &[key, bucket] : buckets_)
      if (&bucket.permits == permits) use_up(bucket.tokens);
  }
  void return_permits(const std::string &owner) {
    const auto clear = [&](PermitLedger &p) {
      if (p.owner != 0 && owners_[p.owner - 1u].name == owner) p.leases.clear();
    };
    for (auto &line : lines) clear(line.permits);
    for (auto &[place, site] : sites) clear(site.permits);
    for (auto &[key, bucket] : buckets_) clear(bucket.permits);
  }
  // What owners believe to be in use here though nothing is.
  std::vector<std::string> believed(Nanos now) const {
    std::vector<std::string> out;
    const auto look = [&](const PlaceLedger &p, const std::string &name) {
      if (p.owner != 0 && p.until > now && p.believed > 0) out.push_back(name);
    };
    for (const auto &line : lines) {
      look(line.sessions, line.limits.name);
      look(line.spacing, line.limits.name);
    }
    for (const auto &[place, site] : sites) look(site.places, place.second);
    return out;
  }

  // --- A restart.

  // All deliveries under way are gone, as are permits, places and what was asked; exchangers are to be asked for again,
  // and source groups choose anew. No rate is longer than its own time from now. Of what is of a site all that is known
  // afterwards is whether it is dead.
  void restart(Nanos now) {
    suspensions.expire(now);
    for (auto &[id, m] : mail) {
      if (m.state == State::Leased) m.due = now;
      if (m.state == State::Leased) m.state = State::Waiting;
      if (m.state == State::Waiting) m.due = std::max(m.due, now);
      m.pool = m.named;
      m.chosen.clear();
    }
    under_way_.clear();
    for (auto &line : lines) {
      line.in_use = 0;
      forget(line.permits);
      forget(line.sessions);
      forget(line.spacing);
    }
    for (auto &[key, bucket] : buckets_) {
      const auto limit = limit_of(key);
      forget(bucket.permits);
      if (!limit) bucket.tokens = {};
      clamp(bucket.tokens, limit, now);
    }
    for (auto &[place, site] : sites) {
      const bool was_of_site = !site.of.empty();
      const auto before = site;
      site = Site{};
      site.limits = limits_of(place, "");
      site.window.reset(site.bounds());
      own(site);
      if (!was_of_site) {
        keep(site, before, now);
      } else if (before.dead) {
        site.dead = site.dead_alone = true;
        site.dead_until = before.dead_until;
      }
    }
    settle(now);
  }

  // Whether chance may have made such a time of it.
  bool may_be(Nanos time, Nanos age) const {
    const auto base = std::max(backoff_.minimal_backoff_time, std::min(age, backoff_.maximal_backoff_time));
    const auto by = static_cast<Nanos>(static_cast<double>(base) * backoff_.jitter) + 1;
    return time >= base - by && time <= base + by;
  }

  std::map<GroupId, Mail> mail;
  std::vector<Line> lines;
  std::map<Place, Site> sites;
  Suspensions suspensions;

 private:
  using RateKey = std::pair<RateRule::Key, std::string>;  // of a pool at a destination: "pool:destination"
  using Owner = std::uint16_t;

  // --- Limits.

  DestinationLimits limits_of(const Place &place, const std::string &exchangers) const {
    const auto &limits = lines[place.first].limits;
    const auto rule = placement(limits, place.second, exchangers).rule;
    return rule == kNoRule ? limits.destination : limits.rules[rule].limits;
  }
  // While no plugin says what may go.
  RateLimit set_rate_of(const Site &site) const {
    return site.permits.counts(owners_) ? RateLimit{} : site.limits.rate;
  }
  // By what is set and what was found, each for itself.
  Nanos open_by_rates(const Site &site) const {
    const auto set = set_rate_of(site);
    return std::max(set ? site.tokens.next(set) : Nanos{0}, site.pace ? site.pace->open_at() : Nanos{0});
  }
  static void clamp(TokenBucket &tokens, const RateLimit &limit, Nanos now) {
    if (limit) tokens.bound(limit, now);
  }
  // When that rate, and what else is to be waited for, let the next delivery begin.
  static Nanos opened(TokenBucket &tokens, const RateLimit &rate, Nanos delayed, Nanos now) {
    if (!rate) tokens.full_at = 0;
    clamp(tokens, rate, now);
    return rate ? std::max(delayed, tokens.next(rate)) : delayed;
  }
  void bound(Site &site, Nanos now) {
    site.window.size = site.bounds().capped(site.window.size);
    if (site.pace) site.pace->bound(now);
    const auto delayed = std::min(site.open_at, now + site.limits.rate_delay);
    site.open_at = std::max(opened(site.tokens, set_rate_of(site), delayed, now), open_by_rates(site));
  }
  void own(Site &site) {
    const auto &limits = site.limits;
    const bool itself = site.of.empty();
    const bool delay = limits.rate_delay > 0 && limits.rate_delay_owner != 0;
    const auto concurrency = limits.window.limit > 0 ? limits.concurrency_owner : Owner{0};
    site.permits.owned_by(itself && limits.rate ? limits.rate.owner : Owner{0});
    site.places.owned_by(!itself ? Owner{0} : delay ? limits.rate_delay_owner : concurrency, delay);
  }

  // --- Sites.

  // More than one has mail there, or may.
  bool is_shared(const Place &place) const {
    const auto members = std::count_if(sites.begin(), sites.end(), [&](const auto &one) {
      return one.first.first == place.first && one.second.of == place.second;
    });
    const bool itself =
        std::any_of(mail.begin(), mail.end(), [&](const auto &one) { return one.second.at() == place; });
    return members > 1 || (members == 1 && itself);
  }
  void settle(Nanos now, std::optional<TransportId> transport = {}) {
    std::vector<Place> places;
    for (const auto &[place, site] : sites)
      if (!transport || place.first == *transport) places.push_back(place);
    for (const auto &place : places) settle(place, now);
  }
  // Where it belongs now. What is suspended by itself, or some source pool there, is of no site.
  void settle(const Place &place, Nanos now) {
    auto &site = sites.at(place);
    const auto &name = place.second;
    site.limits = limits_of(place, site.exchangers);
    auto to = placement(lines[place.first].limits, name, site.exchangers).site;
    if (suspensions.find(Suspension::Key::Destination, name) || suspensions.any_at(name)) to.clear();
    if (to == site.of) return own(site);
    const auto own_busy = static_cast<std::uint32_t>(
        std::count_if(under_way_.begin(), under_way_.end(), [&](const auto *m) { return m->at() == place; }));
    auto &before = site_at(owner_of(place));
    before.busy -= own_busy;
    if (own_busy > 0) before.places.rest();  // as far as that is concerned they have ended
    site.of = to;
    site_at(owner_of(place)).busy += own_busy;
    own(site);
    if (to.empty()) return bound(site, now);
    site.window.reset(site.bounds());
    site.pace.reset();
    site.dead = site.dead_alone && site.dead_until > now;
    site.dead_alone = false;
  }

  // --- Rates of parties.

  std::vector<RateKey> parties_of(const Mail &m) const {
    using Key = RateRule::Key;
    return {{Key::Tenant, m.tenant}, {Key::Campaign, m.campaign}, {Key::Sender, m.sender}};
  }
  RateKey pair_of(const Mail &m, const std::string &pool) {
    return {RateRule::Key::SourcePoolDestination, pool + ':' + owner_of(m.at()).second};
  }
  const RateRule *rule_of(const RateKey &key) const {
    for (const auto &rule : rules_) {
      if (rule.key != key.first) continue;
      const auto colon = key.second.find(':');
      const bool pair = rule.key == RateRule::Key::SourcePoolDestination;
      if (pair ? rule.matches(key.second.substr(0, colon), key.second.substr(colon + 1)) : rule.matches(key.second))
        return &rule;
    }
    return nullptr;
  }
  RateLimit limit_of(const RateKey &key) const {
    const auto *rule = rule_of(key);
    return rule ? rule->limit : RateLimit{};
  }
  Bucket &bucket_of(const RateKey &key) {
    const auto [at, fresh] = buckets_.try_emplace(key);
    if (fresh) at->second.permits.owned_by(limit_of(key).owner);
    return at->second;
  }
  bool closed(const RateKey &key, Nanos now, To what) {
    const auto limit = limit_of(key);
    if (!limit) return false;
    const auto &bucket = bucket_of(key);
    if (bucket.permits.counts(owners_)) return lacks(bucket.permits, now, what);
    return !bucket.tokens.open(limit, now);
  }
  bool pool_closed(const Mail &m, const std::string &pool, Nanos now, To what) {
    const auto pair = pair_of(m, pool);
    if (closed({RateRule::Key::SourcePool, pool}, now, what) || closed(pair, now, what)) return true;
    const auto *rule = rule_of(pair);
    if (!rule || rule->concurrency == 0) return false;
    const auto there = std::count_if(under_way_.begin(), under_way_.end(),
                                     [&](const auto *other) { return pair_of(*other, other->left_from) == pair; });
    return there >= rule->concurrency;
  }
  void take(const RateKey &key, Nanos now) {
    const auto limit = limit_of(key);
    if (!limit) return;
    auto &bucket = bucket_of(key);
    if (bucket.permits.counts(owners_))
      bucket.permits.use(now);
    else
      bucket.tokens.take(limit, now);
  }
  std::uint32_t weight_of(const std::string &tenant) const {
    const auto at = weights_.find(tenant);
    return at == weights_.end() ? 1 : at->second;
  }

  // --- What plugins own.

  bool lacks(const PermitLedger &p, Nanos now, To what) const {
    return p.counts(owners_) && !p.any(now) && (what == To::Begin || p.is_waited_for(now));
  }
  bool lacks(const PlaceLedger &p, std::uint32_t taken, Nanos now, To what) const {
    return p.counts(owners_) && (what == To::Begin ? !p.free(taken, now) : p.is_waited_for(now));
  }
  std::optional<Place> place_named(const std::string &key) const {  // "transport:destination"
    const auto colon = key.find(':');
    for (std::size_t i = 0; i < lines.size(); ++i)
      if (lines[i].limits.name == key.substr(0, colon))
        return Place{static_cast<TransportId>(i), colon == key.npos ? "" : key.substr(colon + 1)};
    return std::nullopt;
  }
  std::pair<PermitLedger *, RateLimit> permits_of(const RateQuestion &q) {
    const auto place = place_named(q.key);
    if (q.limit == "destination_rate_limit" && place && sites.contains(*place))
      return {&sites.at(*place).permits, sites.at(*place).limits.rate};
    if (q.limit == "transport_rate_limit" && place)
      return {&lines[place->first].permits, lines[place->first].limits.rate};
    for (std::size_t k = 0; k <= RateRule::kKeys; ++k) {
      const RateKey key{static_cast<RateRule::Key>(k), q.key};
      if (q.limit == rate_limit_name(key.first)) return {&bucket_of(key).permits, limit_of(key)};
    }
    return {nullptr, {}};
  }
  // And how many are taken.
  std::pair<PlaceLedger *, std::uint32_t> places_of(const RateQuestion &q) {
    const auto place = place_named(q.key);
    if (!place) return {nullptr, 0};
    auto &line = lines[place->first];
    if (q.limit == "process_limit") return {&line.sessions, line.in_use};
    if (q.limit == "transport_rate_delay") return {&line.spacing, 0};
    if (!sites.contains(*place)) return {nullptr, 0};
    return {&sites.at(*place).places, sites.at(*place).busy};
  }

  // --- A restart.

  static void forget(PermitLedger &p) {
    const auto owner = p.owner;
    p = {};
    p.owner = owner;
  }
  static void forget(PlaceLedger &p) {
    const auto owner = p.owner;
    const auto delay = p.delay;
    p = {};
    p.owner = owner;
    p.delay = delay;
  }
  // Of a destination or site that is of no other.
  void keep(Site &site, const Site &before, Nanos now) const {
    const auto &set = site.limits.rate;
    if (!before.as_new() || before.dead || before.open_at > now || before.tokens.full_at > now)
      site.window = before.window;
    site.window.size = site.bounds().capped(site.window.size);
    site.dead = before.dead;
    site.dead_alone = before.dead_alone;
    site.dead_until = before.dead_until;
    site.open_at = std::min(before.open_at, now + std::max(site.limits.rate_delay, set.interval));
    if (set) site.tokens = before.tokens;
    clamp(site.tokens, set, now);
    site.pace = before.pace;
    if (site.pace) site.pace->bound(now);
    if (open_by_rates(site) > now) site.shut(open_by_rates(site));
  }

  Backoff backoff_;
  std::vector<RateOwner> owners_;
  std::vector<RateRule> rules_;
  std::vector<SourceGroup> groups_;
  std::map<std::string, std::uint32_t> weights_;
  std::map<RateKey, Bucket> buckets_;
  std::set<const Mail *> under_way_;
};

}  // namespace mansio::scheduler
