// What limits allow, counted apart from the scheduler: by what the configuration says and, where a plugin owns a limit,
// by what that has given.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "kernel/cli/simulate/simulation.hpp"
#include "kernel/queue/limits.hpp"
#include "kernel/scheduler/site.hpp"

namespace mansio::cli::simulate {

const scheduler::RateRule *Simulation::rule_of(Key key, const std::string &name, const std::string &destination) const {
  const auto rule = std::find_if(rates_.begin(), rates_.end(), [&](const auto &r) {
    return r.key == key && (key == Key::SourcePoolDestination ? r.matches(name, destination) : r.matches(name));
  });
  return rule == rates_.end() ? nullptr : &*rule;
}

// As the scheduler does it: nobody owes more than a new rate would let him. `name`: as its owner knows it.
void Simulation::limit(Counted &count, const scheduler::RateRule *rule, const std::string &name) {
  count.rate = rule ? rule->limit : scheduler::RateLimit{};
  count.limit = rule ? rule->concurrency : 0;
  count.permits = nullptr;
  if (!count.rate) return;
  count.bucket.bound(count.rate, kBegin + now_);
  if (count.rate.owner == 0) return;
  count.permits = &owners_.limit(scheduler::rate_limit_name(rule->key), name);
  count.permits->limit(count.rate, now_);
}

Simulation::Counted &Simulation::party_count(Key key, const std::string &name) {
  const auto [at, fresh] = party_counts_.try_emplace({key, name});
  if (fresh) limit(at->second, rule_of(key, name), name);
  return at->second;
}

Simulation::Counted &Simulation::pair_count(const std::string &pool, const std::string &destination) {
  const auto [at, fresh] = pair_counts_.try_emplace({pool, destination});
  if (fresh) limit(at->second, rule_of(Key::SourcePoolDestination, pool, destination), pool + ':' + destination);
  return at->second;
}

// Those of the day.
void Simulation::set_rates() {
  const auto wall = s_.date ? *s_.date + now_ : scheduler::kForGood;
  rates_ = queue::rates_of(s_.settings, wall);
  next_day_ = std::numeric_limits<Nanos>::max();
  if (s_.date && queue::warms_up(s_.settings))
    next_day_ = (wall / queue::kWarmUpDay + 1) * queue::kWarmUpDay - *s_.date;
  limits_pools_ = std::any_of(rates_.begin(), rates_.end(), [](const auto &r) {
    return r.key == Key::SourcePool || r.key == Key::SourcePoolDestination;
  });
  scheduler_->rates(rates_);
  for (std::size_t i = 0; i < tenant_counts_.size(); ++i)
    limit(tenant_counts_[i], rule_of(Key::Tenant, report_.tenants[i].name), report_.tenants[i].name);
  for (auto &[key, count] : party_counts_) limit(count, rule_of(key.first, key.second), key.second);
  for (auto &[key, count] : pair_counts_)
    limit(count, rule_of(Key::SourcePoolDestination, key.first, key.second), key.first + ':' + key.second);
}

void Simulation::count_transport(scheduler::TransportId id) {
  const auto &limits = transport_limits_[id];
  auto &count = transport_counts_[id];
  count.limit = limits.sessions;
  count.rate = limits.rate;
  count.spacing = limits.rate_delay;
  if (limits.rate && limits.rate.owner != 0) count.permits = &owners_.limit("transport_rate_limit", limits.name);
  if (limits.sessions > 0 && limits.sessions_owner != 0) count.places = &owners_.limit("process_limit", limits.name);
  if (limits.rate_delay > 0 && limits.rate_delay_owner != 0)
    count.delay_places = &owners_.limit("transport_rate_delay", limits.name);
}

// Of a site, or of a destination that is by itself.
Simulation::DestinationCounts::value_type &Simulation::destination_count(scheduler::TransportId transport,
                                                                         const std::string &mx,
                                                                         const std::string &owner) {
  const auto [at, fresh] = destination_counts_.try_emplace({transport, owner});
  if (!fresh) return *at;
  const auto &limits = transport_limits_[transport];
  const auto rule = scheduler::placement(limits, owner, mx).rule;
  const auto &own = rule == scheduler::kNoRule ? limits.destination : limits.rules[rule].limits;
  auto &count = at->second;
  count.limit = own.effective_window().limit;
  count.rate = own.rate;
  count.delay = own.rate_delay;
  const auto name = limits.name + ':' + owner;
  if (own.rate && own.rate.owner != 0) count.permits = &owners_.limit("destination_rate_limit", name);
  if (own.rate_delay > 0 && own.rate_delay_owner != 0)
    count.delay_places = &owners_.limit("destination_rate_delay", name);
  else if (own.window.limit > 0 && own.concurrency_owner != 0)
    count.places = &owners_.limit("destination_concurrency_limit", name);
  return *at;
}

// A domain that is suspended by itself leaves its site until it is resumed, with what is under way there.
void Simulation::place_hops() {
  struct Place {
    Counted *count;
    const std::string *owner;
  };
  std::map<std::uint32_t, Place> before;  // of those that belong elsewhere now
  for (std::size_t i = 0; i < hops_.size(); ++i) {
    auto &h = hops_[i];
    const auto id = scheduler_->find_destination(h.transport, h.hop.name());
    if (!id) continue;
    const std::string owner{scheduler_->nexthop_of(scheduler_->site_of(*id))};
    if (owner == *h.owner) continue;
    before[static_cast<std::uint32_t>(i)] = {h.count, h.owner};
    auto &[key, count] = destination_count(h.transport, s_.destinations[h.spec].mx, owner);
    h.count = &count;
    h.owner = &key.second;
  }
  if (before.empty()) return;
  for (const auto &g : groups_) {
    const auto at = g.state == State::UnderWay ? before.find(g.hop) : before.end();
    if (at == before.end()) continue;
    const auto &h = hops_[g.hop];
    --at->second.count->under_way;
    ++h.count->under_way;
    if (g.pool == kNoPool || !limits_pools_) continue;
    const auto &pool = report_.pools[g.pool].name;
    --pair_count(pool, *at->second.owner).under_way;
    ++pair_count(pool, *h.owner).under_way;
  }
}

// What counts a delivery from its source pool.
template <class F>
void Simulation::each_of_pool(const Group &g, F &&f) {
  if (g.pool == kNoPool || !limits_pools_) return;
  const auto &pool = report_.pools[g.pool].name;
  f(party_count(Key::SourcePool, pool), "source pool " + pool);
  const auto &to = *hops_[g.hop].owner;
  f(pair_count(pool, to), "source pool " + pool + " for " + to);
}

void Simulation::count_in(Counted &c, const std::string &what) {
  const auto wrong = [&](std::string_view how) {
    if (!how.empty()) violation(fmt::format("{}: {}", what, how));
  };
  if (++c.under_way > c.limit && c.limit > 0) violation(fmt::format("{}: {} at once", what, c.under_way));
  if (c.permits) {
    wrong(c.permits->begin_by_permit(c.rate, now_));
  } else if (c.rate) {
    if (!c.bucket.open(c.rate, kBegin + now_)) wrong("faster than its rate");
    c.bucket.take(c.rate, kBegin + now_);
  }
  if (c.places) wrong(c.places->begin_in_place(c.under_way, now_));
  if (c.delay_places) wrong(c.delay_places->begin_in_place(1, now_));
  if (c.open_at > now_) wrong("sooner than its delay");
  if (c.spacing == 0) return;
  c.open_at = now_ + c.spacing;
  if (c.delay_places) c.delay_places->give_up();
}

// A delivery that waits begins.
void Simulation::count_begin(scheduler::GroupId id) {
  auto &g = groups_[id];
  if (site_of(id) != *hops_[g.hop].owner) place_hops();  // a suspension there has ended
  const auto &h = hops_[g.hop];
  count_in(transport_counts_[h.transport], h.hop.spec().transport);
  count_in(*h.count, h.hop.name());
  count_in(tenant_counts_[g.tenant], "tenant " + report_.tenants[g.tenant].name);
  for (auto *c : sources_[g.arrival].counts) count_in(*c, "campaign or sender of " + report_.arrivals[g.arrival].name);
  const auto chosen = scheduler_->chosen_pool(id);
  g.pool = pool_number(chosen.empty() ? pool_of(id) : chosen);
  each_of_pool(g, [this](Counted &c, const std::string &what) { count_in(c, what); });
}

void Simulation::count_end(const Group &g) {
  const auto &h = hops_[g.hop];
  --transport_counts_[h.transport].under_way;
  --h.count->under_way;
  if (h.count->delay > 0) h.count->open_at = now_ + h.count->delay;
  if (h.count->delay_places) h.count->delay_places->give_up();
  --tenant_counts_[g.tenant].under_way;
  for (auto *c : sources_[g.arrival].counts) --c->under_way;
  each_of_pool(g, [](Counted &c, const std::string &) { --c.under_way; });
}

}  // namespace mansio::cli::simulate
