// Model: what the limits let go, worked out from events alone. It has no lists, rounds or timers of its own and asks
// the scheduler nothing: each waiting delivery is looked at by itself. What it shares with the scheduler are the small
// pure classes that have tests of their own (Window, TokenBucket, Adaptive, Suspensions).
//
// What it does not know is sites, suspects, source groups, what limits or suspends a source pool at one destination,
// and the permits of plugins.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernel/scheduler/scheduler.hpp"

namespace mansio::scheduler {

class Model {
 public:
  enum class State : std::uint8_t { Waiting, Leased, Held };
  struct Mail {
    TransportId transport = 0;
    std::string to, tenant, campaign, sender, pool;
    int priority = 0;
    bool list = false;
    Nanos added = 0, due = 0;
    State state = State::Waiting;

    Party party() const { return {tenant, campaign, sender, pool, priority}; }
  };
  struct Site {
    DestinationLimits limits;
    Window window;
    std::uint32_t busy = 0;
    bool dead = false;
    Nanos dead_until = 0;  // the scheduler's, as chance is in it
    Nanos open_at = 0;     // of a rate or a delay
    TokenBucket tokens;
    std::optional<Adaptive> pace;

    WindowLimits bounds() const { return limits.effective_window(); }
    RateLimit rate() const {  // the lower of what is set and what was found
      if (!pace) return limits.rate;
      const auto found = pace->limit();
      return limits.rate && limits.rate.interval > found.interval ? limits.rate : found;
    }
    void shut(Nanos until) { open_at = std::max(open_at, until); }
  };
  struct Line {  // a transport
    TransportLimits limits;
    std::uint32_t in_use = 0;
    Nanos open_at = 0;
    TokenBucket tokens;
  };

  explicit Model(const Backoff &backoff) : backoff_(backoff) {}

  void transport(TransportId id, const TransportLimits &limits) {
    if (id >= lines.size()) lines.resize(id + 1u);
    lines[id].limits = limits;
    for (auto &[key, site] : sites) {
      if (key.first != id) continue;
      site.limits = limits.destination;
      site.window.size = site.bounds().capped(site.window.size);
    }
  }
  void rates(const std::vector<RateRule> &rules, Nanos now) {
    rules_ = rules;
    for (auto &[key, tokens] : buckets_)
      if (const auto limit = limit_of(key.first, key.second))  // no more is owed than the new rate lets anybody owe
        tokens.full_at = std::min(tokens.full_at, now + limit.tolerance() + limit.interval);
  }
  void weights(const std::vector<TenantWeight> &weights) {
    for (const auto &w : weights) weights_[w.name] = w.weight;
  }
  Site &site_of(const Mail &m) {
    const auto [at, fresh] = sites.try_emplace({m.transport, m.to});
    if (fresh) {
      at->second.limits = lines[m.transport].limits.destination;
      at->second.window.reset(at->second.bounds());
    }
    return at->second;
  }

  // Before the scheduler is asked.
  void wake(Nanos now) {
    suspensions.expire(now);
    for (auto &[key, site] : sites)
      if (site.dead && site.dead_until <= now) revive(site);
  }
  static void revive(Site &site) {
    if (!site.dead) return;
    site.dead = false;
    site.window.revive(site.busy, site.bounds());
  }
  bool suspended(const Mail &m) const {
    return suspensions.find({m.to, m.tenant, m.campaign, m.sender, m.pool}) != nullptr;
  }

  // "": nothing but its tenant's part of the sessions may keep it.
  std::string kept_by(const Mail &m, Nanos now) {
    const auto &site = site_of(m);
    const auto &line = lines[m.transport];
    if (m.state != State::Waiting) return "it is not waiting";
    if (m.due > now) return "its time has not come";
    if (suspended(m)) return "it is suspended";
    if (site.dead) return "its destination is dead";
    if (site.busy >= site.window.size) return "its destination's concurrency";
    if (site.open_at > now) return "its destination's rate";
    if (line.in_use >= line.limits.sessions) return "its transport's sessions";
    if (line.open_at > now) return "its transport's rate";
    for (const auto &[key, name] : keys_of(m)) {
      const auto limit = limit_of(key, name);
      if (limit && !buckets_[{key, name}].open(limit, now)) return "the rate of " + name;
    }
    return "";
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

  void lease(Mail &m, Nanos now) {
    auto &site = site_of(m);
    auto &line = lines[m.transport];
    m.state = State::Leased;
    ++site.busy;
    ++line.in_use;
    for (const auto &[key, name] : keys_of(m)) buckets_[{key, name}].take(limit_of(key, name), now);
    if (const auto rate = site.rate()) {
      site.tokens.take(rate, now);
      if (!site.tokens.open(rate, now)) site.shut(site.tokens.next(rate));
    }
    if (line.limits.rate) {
      line.tokens.take(line.limits.rate, now);
      line.open_at = std::max(line.open_at, line.tokens.next(line.limits.rate));
    }
    if (line.limits.rate_delay > 0) line.open_at = std::max(line.open_at, now + line.limits.rate_delay);
  }
  // The lease's end without a word: nothing is learned of it.
  void take_back(Mail &m) {
    --site_of(m).busy;
    --lines[m.transport].in_use;
    m.state = State::Waiting;
  }
  // True: its destination is dead from now on.
  bool end(Mail &m, Result result, Nanos now) {
    auto &site = site_of(m);
    bool died = false;
    if (result == Result::Delivered) {
      if (site.pace && site.pace->success(site.limits.adaptive, now)) site.pace.reset();
      if (site.dead)
        revive(site);
      else
        site.window.positive(site.busy, site.bounds());
    } else if (result == Result::SiteFailure && !site.dead) {
      died = site.dead = site.window.negative(site.bounds());
    }
    if (site.limits.rate_delay > 0) site.shut(now + site.limits.rate_delay);
    take_back(m);
    return died;
  }
  void push_back(Site &site, Nanos now) {
    if (site.pace) {
      site.pace->push_back(site.limits.adaptive, now);
    } else {
      const auto pace = std::max<std::uint32_t>(std::min(site.window.size, site.busy + 1), 1);
      site.pace.emplace(static_cast<double>(pace), site.limits.adaptive, now);
    }
    site.tokens.full_at = now + site.rate().interval;
    site.shut(site.tokens.next(site.rate()));
  }
  static void lower(Site &site, std::uint32_t to) {
    site.window.size = std::min(site.window.size, std::max<std::uint32_t>(to, 1));
    site.window.success = -site.bounds().positive.at(site.window.size);
  }
  // What a restart keeps: all deliveries under way are gone, no rate is longer than its own time from now.
  void restart(Nanos now) {
    for (auto &[id, m] : mail) {
      if (m.state == State::Leased) m.due = now;
      if (m.state == State::Leased) m.state = State::Waiting;
      if (m.state == State::Waiting) m.due = std::max(m.due, now);
    }
    for (auto &line : lines) line.in_use = 0;
    for (auto &[key, tokens] : buckets_) {
      const auto limit = limit_of(key.first, key.second);
      tokens.full_at = limit ? std::min(tokens.full_at, now + limit.tolerance() + limit.interval) : 0;
    }
    for (auto &[key, site] : sites) {
      const auto bounds = site.bounds();
      const bool as_new = site.window.size == bounds.capped(bounds.initial) && site.window.fail_cohorts == 0;
      if (as_new && !site.dead && site.open_at <= now && site.tokens.full_at <= now) site.window.reset(bounds);
      site.busy = 0;
      const auto &set = site.limits.rate;
      const auto full_at = site.tokens.full_at;
      site.open_at = std::min(site.open_at, now + std::max(site.limits.rate_delay, set.interval));
      site.tokens.full_at = set ? std::min(full_at, now + set.tolerance() + set.interval) : 0;
      if (!site.pace) continue;
      const auto rate = site.rate();
      site.tokens.full_at = std::max(site.tokens.full_at, std::min(full_at, now + rate.tolerance() + rate.interval));
      if (site.tokens.next(rate) > now) site.shut(site.tokens.next(rate));
    }
  }

  // Whether chance may have made such a time of it.
  bool may_be(Nanos time, Nanos age) const {
    const auto base = std::max(backoff_.minimal_backoff_time, std::min(age, backoff_.maximal_backoff_time));
    const auto by = static_cast<Nanos>(static_cast<double>(base) * backoff_.jitter) + 1;
    return time >= base - by && time <= base + by;
  }

  std::map<GroupId, Mail> mail;
  std::vector<Line> lines;
  std::map<std::pair<TransportId, std::string>, Site> sites;
  Suspensions suspensions;

 private:
  std::vector<std::pair<RateRule::Key, std::string>> keys_of(const Mail &m) const {
    using Key = RateRule::Key;
    return {{Key::Tenant, m.tenant}, {Key::Campaign, m.campaign}, {Key::Sender, m.sender}, {Key::SourcePool, m.pool}};
  }
  RateLimit limit_of(RateRule::Key key, const std::string &name) const {
    for (const auto &rule : rules_)
      if (rule.key == key && rule.matches(name)) return rule.limit;
    return {};
  }
  std::uint32_t weight_of(const std::string &tenant) const {
    const auto at = weights_.find(tenant);
    return at == weights_.end() ? 1 : at->second;
  }

  Backoff backoff_;
  std::vector<RateRule> rules_;
  std::map<std::string, std::uint32_t> weights_;
  std::map<std::pair<RateRule::Key, std::string>, TokenBucket> buckets_;
};

}  // namespace mansio::scheduler
