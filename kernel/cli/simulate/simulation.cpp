#include "kernel/cli/simulate/simulation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "kernel/queue/limits.hpp"
#include "kernel/scheduler/site.hpp"

namespace mansio::cli::simulate {
namespace {

constexpr std::size_t kViolations = 20;
constexpr int kLookedAt = 2;  // waiting deliveries after each round of decisions

std::string numbered(const std::string &name, std::uint64_t number) {
  const auto at = name.find('#');
  return at == name.npos ? name : name.substr(0, at) + std::to_string(number) + name.substr(at + 1);
}

double real_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Simulation::Simulation(const Scenario &scenario) : s_(scenario), random_(scenario.seed), owners_(scenario) { build(); }
Simulation::~Simulation() = default;

void Simulation::build() {
  scheduler_ = scheduler::Scheduler::create(queue::backoff_of(s_.settings.queue), s_.seed);
  scheduler_->tenants(queue::weights_of(s_.settings));
  scheduler_->source_groups(queue::groups_of(s_.settings));
  responses_.set(queue::responses_of(s_.settings));
  scheduler_->rate_owners(queue::owners_of(s_.settings));
  set_rates();
  for (const auto &t : s_.settings.transports) {
    auto limits = queue::limits_of(t, s_.settings);
    const auto id = scheduler_->transport(limits);
    scheduler_->transport_available(id, t.process_limit);
    transports_.push_back(id);
    transport_limits_.resize(id + 1u);
    transport_counts_.resize(id + 1u);
    flushes_.resize(id + 1u);
    deferred_.resize(id + 1u);
    flushes_[id].pace.set(limits.sessions);
    const auto &deferred = s_.settings.queue.defer_transports;
    deferred_[id] = std::find(deferred.begin(), deferred.end(), t.name) != deferred.end();
    transport_limits_[id] = std::move(limits);
    count_transport(id);
  }
  for (std::size_t i = 0; i < s_.destinations.size(); ++i) {
    const auto &spec = s_.destinations[i];
    first_hop_.push_back(hops_.size());
    report_.destinations.push_back({.name = spec.name});
    const auto at = std::find_if(s_.settings.transports.begin(), s_.settings.transports.end(),
                                 [&](const auto &t) { return t.name == spec.transport; });
    const auto transport = transports_[static_cast<std::size_t>(at - s_.settings.transports.begin())];
    for (std::uint32_t n = 0; n < spec.count; ++n) {
      const auto name = numbered(spec.name, n);
      const auto site = scheduler::placement(transport_limits_[transport], name, spec.mx).site;
      auto &[key, count] = destination_count(transport, spec.mx, site.empty() ? name : site);
      const auto servers = spec.mx.empty() ? hops_.size() : first_hop_.back();
      hops_.push_back({NextHop{spec, name}, static_cast<std::uint32_t>(i), transport, &count, &key.second, servers});
    }
  }
  for (const auto &a : s_.arrivals) {
    Source source{&a, 0, 0, 0, a.from, {}};
    while (s_.destinations[source.destination].name != a.destination) ++source.destination;
    if (a.rate > 0) source.next += static_cast<Nanos>(random_.exponential() / a.rate * kSecond);
    for (const auto &[key, name] : {std::pair{Key::Campaign, &a.campaign}, std::pair{Key::Sender, &a.sender}})
      if (rule_of(key, *name)) source.counts.push_back(&party_count(key, *name));
    sources_.push_back(std::move(source));
    report_.arrivals.push_back({.name = a.name.empty() ? a.destination : a.name});
  }
  step_.by_destination.resize(s_.destinations.size());
}

std::uint32_t Simulation::pool_number(std::string_view name) {
  if (name.empty()) return kNoPool;
  const auto at =
      std::find_if(report_.pools.begin(), report_.pools.end(), [&](const auto &p) { return p.name == name; });
  const auto number = static_cast<std::uint32_t>(at - report_.pools.begin());
  if (number == report_.pools.size()) report_.pools.push_back({std::string{name}});
  return number;
}

std::uint32_t Simulation::tenant_number(const std::string &name) {
  const auto [at, fresh] = tenant_names_.try_emplace(name, static_cast<std::uint32_t>(report_.tenants.size()));
  if (fresh) {
    report_.tenants.push_back({.name = name});
    limit(tenant_counts_.emplace_back(), rule_of(Key::Tenant, name), name);
  }
  return at->second;
}

// One message: its recipients go to the spec's destinations in turn, fifty or however many may share a delivery at
// once.
void Simulation::arrive(Source &source) {
  const auto &a = *source.spec;
  const auto &spec = s_.destinations[source.destination];
  const auto tenant = tenant_number(numbered(a.tenant, a.tenants > 1 ? random_.below(a.tenants) : 0));
  ++source.sent;
  const auto first = a.recipients == 1 && spec.count > 1 ? random_.below(spec.count) : source.recipients;
  source.recipients += a.recipients;
  add(static_cast<std::size_t>(&source - sources_.data()), tenant, source.destination, first, a.recipients);
  if (a.rate > 0) {
    source.next += std::max<Nanos>(1, static_cast<Nanos>(random_.exponential() / a.rate * kSecond));
    if (source.next >= a.to) source.next = std::numeric_limits<Nanos>::max();
  } else if (source.sent >= a.messages) {
    source.next = std::numeric_limits<Nanos>::max();
  } else {
    source.next = a.from + static_cast<Nanos>(static_cast<double>(a.to - a.from) * static_cast<double>(source.sent) /
                                              static_cast<double>(a.messages));
  }
}

void Simulation::add(std::size_t arrival, std::uint32_t tenant, std::size_t destination, std::uint64_t first,
                     std::uint32_t recipients) {
  const auto &a = s_.arrivals[arrival];
  const auto &spec = s_.destinations[destination];
  const auto transport = hops_[first_hop_[destination]].transport;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> hops;  // of each delivery: where to, and recipients
  const auto spread = std::min<std::uint64_t>(spec.count, recipients);
  for (std::uint64_t k = 0; k < spread; ++k) {
    const auto hop = static_cast<std::uint32_t>(first_hop_[destination] + (first + k) % spec.count);
    const auto there = recipients / spread + (k < recipients % spread ? 1 : 0);
    const auto id = scheduler_->destination(transport, hops_[hop].hop.name());
    if (!spec.mx.empty()) scheduler_->set_exchangers(id, spec.mx, scheduler::kForGood);
    const auto limit = scheduler_->recipient_limit(id);
    for (std::uint64_t n = 0; n < there; n += limit)
      hops.emplace_back(hop, static_cast<std::uint32_t>(std::min<std::uint64_t>(limit, there - n)));
  }
  auto message = kOnly;
  if (hops.size() > 1) {
    if (free_messages_.empty()) {
      message = static_cast<std::uint32_t>(messages_.size());
      messages_.emplace_back();
    } else {
      message = free_messages_.back();
      free_messages_.pop_back();
    }
    messages_[message] = {0, static_cast<std::uint32_t>(hops.size())};
  }
  const bool list = scheduler_->is_list(transport, hops.size());
  const std::pair key{static_cast<std::uint32_t>(destination), tenant};
  const auto [known, fresh] = served_by_.try_emplace(key, static_cast<std::uint32_t>(served_.size()));
  if (fresh) served_.push_back({key.first, tenant});
  const auto flow = scheduler_->flow({.tenant = report_.tenants[tenant].name,
                                      .campaign = a.campaign,
                                      .sender = a.sender,
                                      .source_pool = a.source_pool,
                                      .priority = a.priority});
  for (const auto &[hop, there] : hops) {
    scheduler::GroupId id = 0;
    if (free_.empty()) {
      id = static_cast<scheduler::GroupId>(groups_.size());
      groups_.emplace_back();
    } else {
      id = free_.back();
      free_.pop_back();
    }
    groups_[id] = {now_,    hop,   tenant,        static_cast<std::uint32_t>(arrival), known->second, kNoPool,
                   message, there, State::Waiting};
    auto &h = hops_[hop];
    ++h.waiting;
    ++served_[known->second].waiting;
    ++waiting_;
    ++step_.arrived;
    each_total(groups_[id], [](Totals &t) { ++t.offered; });
    scheduler_->add({.id = id,
                     .transport = transport,
                     .destination = scheduler_->destination(transport, h.hop.name()),
                     .flow = flow,
                     .list = list},
                    kBegin + now_);
  }
}

void Simulation::violation(const std::string &what) {
  if (report_.violations.size() < kViolations)
    report_.violations.push_back(fmt::format("{:.6f}s: {}", static_cast<double>(now_) / kSecond, what));
}

Nanos Simulation::age(scheduler::GroupId id) const {
  const auto since = groups_[id].arrived;
  return std::max<Nanos>(0, now_ - since - scheduler_->suspended_time(id, kBegin + since, kBegin + now_));
}

bool Simulation::expired(scheduler::GroupId id) const { return age(id) >= s_.settings.queue.maximal_queue_lifetime; }

// As the queue process does before each decision.
void Simulation::check_active_limits() {
  const auto &q = s_.settings.queue;
  const auto over = [&](const char *limit, std::uint64_t least) {
    scheduler_->pause(
        scheduler::Why{limit, std::to_string(least) + " under delivery at once", 0, static_cast<double>(least), 0});
  };
  if (active_messages_ >= q.qmgr_message_active_limit)
    over("qmgr_message_active_limit", q.qmgr_message_active_limit);
  else if (active_recipients_ >= q.qmgr_message_recipient_limit)
    over("qmgr_message_recipient_limit", q.qmgr_message_recipient_limit);
  else
    scheduler_->pause(std::nullopt);
}

// A delivery begins or has ended.
void Simulation::active(const Group &g, bool begins) {
  const auto change = [begins](auto &count, std::uint32_t by) { begins ? count += by : count -= by; };
  change(active_recipients_, g.recipients);
  if (g.message == kOnly) return change(active_messages_, 1);
  auto &under_way = messages_[g.message].under_way;
  if (begins && under_way == 0) ++active_messages_;
  change(under_way, 1);
  if (!begins && under_way == 0) --active_messages_;
}

void Simulation::decide() {
  const auto since = real_seconds();
  double elsewhere = 0;
  for (;;) {
    check_active_limits();
    const auto decision = scheduler_->next(kBegin + now_);
    if (!decision) break;
    ++report_.decisions;
    const auto out = real_seconds();
    begin(*decision);
    elsewhere += real_seconds() - out;
  }
  report_.decision_seconds += real_seconds() - since - elsewhere;
  check_waiting();
}

// Nothing that could go may be left.
void Simulation::check_waiting() {
  constexpr std::uint64_t kEach = 16;  // rounds: it costs more than a decision
  if (!check_all_ && ++rounds_ % kEach != 0) return;
  const auto due = scheduler_->next_due();
  if (groups_.empty() || (due && *due <= kBegin + now_)) return;  // it is to be asked again
  const auto look = [&](scheduler::GroupId id) {
    if (groups_[id].state != State::Waiting) return;
    const auto why = scheduler_->why(id, kBegin + now_);
    if (why.limit == "turn")
      violation("a delivery to " + hops_[groups_[id].hop].hop.name() + " waits though it could go");
    if (why.limit == "unknown") violation("a waiting delivery is unknown to the scheduler");
  };
  if (check_all_) {
    for (scheduler::GroupId id = 0; id < groups_.size(); ++id) look(id);
  } else {
    for (int n = 0; n < kLookedAt; ++n) look(static_cast<scheduler::GroupId>(random_.below(groups_.size())));
  }
}

void Simulation::begin(const scheduler::Decision &decision) {
  const auto id = decision.group;
  auto &g = groups_[id];
  if (g.state != State::Waiting) return violation("leased while it is not waiting");
  if (decision.suspended) return put_off(id, !decision.dead_transport);
  if (deferred_[decision.transport] && g.flush != Flush::LetOut) return put_off(id, true);
  count_begin(id);
  g.state = State::UnderWay;
  ++under_way_;
  if (active_recipients_ >= s_.settings.queue.qmgr_message_recipient_limit)
    violation(fmt::format("{} recipients were under delivery already", active_recipients_));
  active(g, true);
  if (active_messages_ > s_.settings.queue.qmgr_message_active_limit)
    violation(fmt::format("{} messages are under delivery", active_messages_));
  begin_flushed(id);
  if (g.pool != kNoPool) ++report_.pools[g.pool].tried;
  const auto pool = g.pool == kNoPool ? std::string_view{} : std::string_view{report_.pools[g.pool].name};
  const auto verdict = hops_[hops_[g.hop].servers].hop.begin(now_, random_, pool, place_of_pool(g));
  g.ending = verdict.ending;
  ending_.push({now_ + std::max<Nanos>(verdict.takes, 1), id});
}

// Its turn was one for nothing: it counts as tried.
void Simulation::put_off(scheduler::GroupId id, bool may_expire) {
  auto &g = groups_[id];
  ++step_.suspended;
  each_total(g, [](Totals &t) { ++t.suspended; });
  end_flushed(id);
  if (may_expire && expired(id)) {
    ++step_.expired;
    each_total(g, [](Totals &t) { ++t.expired; });
    scheduler_->finished(id, scheduler::Result::NoFeedback, std::nullopt, kBegin + now_);
    return leave(id);
  }
  wait_until(scheduler_->finished(id, scheduler::Result::NoFeedback, age(id), kBegin + now_));
}

void Simulation::end(scheduler::GroupId id) {
  auto &g = groups_[id];
  auto &h = hops_[g.hop];
  hops_[h.servers].hop.end(place_of_pool(g));
  --under_way_;
  active(g, false);
  count_end(g);
  end_flushed(id);
  report_.ended = now_;
  const bool refused = g.ending == Ending::NoConnection;
  respond(id);
  const bool fails = g.ending != Ending::Delivered && g.ending != Ending::Rejected;
  const auto result = refused ? scheduler::Result::SiteFailure : scheduler::Result::Delivered;
  const bool gives_up = fails && expired(id);
  const auto since = real_seconds();
  wait_until(
      scheduler_->finished(id, result, fails && !gives_up ? std::optional{age(id)} : std::nullopt, kBegin + now_));
  report_.decision_seconds += real_seconds() - since;
  if (fails) {
    ++step_.deferred;
    each_total(g, [](Totals &t) { ++t.deferred; });
  }
  if (fails && !gives_up) {
    g.state = State::Waiting;
    if (g.to_hold) hold(id);
    return;
  }
  if (gives_up) {
    ++step_.expired;
    each_total(g, [](Totals &t) { ++t.expired; });
  } else if (g.ending == Ending::Rejected) {
    ++step_.rejected;
    each_total(g, [](Totals &t) { ++t.rejected; });
  } else {
    const auto delay = static_cast<std::uint64_t>((now_ - g.arrived) / 1000);
    each_total(g, [&](Totals &t) {
      ++t.delivered;
      t.delay.add(delay);
    });
    ++step_.delivered;
    ++step_.by_destination[h.spec];
    if (g.pool != kNoPool) {
      if (step_.by_pool.size() < report_.pools.size()) step_.by_pool.resize(report_.pools.size());
      ++step_.by_pool[g.pool];
      ++report_.pools[g.pool].delivered;
    }
    if (g.tenant < Step::kTenants) {
      if (g.tenant >= step_.by_tenant.size()) step_.by_tenant.resize(g.tenant + 1u);
      ++step_.by_tenant[g.tenant];
    }
    step_delay_.add(delay);
    ++h.delivered;
    ++served_[g.served].delivered;
  }
  leave(id);
}

void Simulation::leave(scheduler::GroupId id) {
  auto &g = groups_[id];
  g.state = State::Gone;
  g.flush = Flush::None;
  if (!rebound_.empty()) rebound_.erase(id);
  if (g.message != kOnly && --messages_[g.message].left == 0) free_messages_.push_back(g.message);
  --hops_[g.hop].waiting;
  --served_[g.served].waiting;
  --waiting_;
  free_.push_back(id);
}

// A delivery's next attempt, by the scheduler's clock; nothing: there is none.
void Simulation::wait_until(std::optional<Nanos> due) {
  if (!due) return;
  const auto last = (s_.duration + (s_.drain ? s_.drain_limit : 0)) / s_.step;
  const auto step = (*due - kBegin) / s_.step;
  if (step > last) return;  // it is not looked at any more
  if (static_cast<std::size_t>(step) >= due_.size()) due_.resize(static_cast<std::size_t>(step) + 1);
  ++due_[static_cast<std::size_t>(step)];
}

void Simulation::close_step(Nanos at) {
  step_.at = at;
  step_.waiting = waiting_;
  step_.under_way = under_way_;
  if (const auto number = report_.steps.size(); number < due_.size()) step_.due = due_[number];
  const auto seconds = [](auto microseconds) { return static_cast<double>(microseconds) * 1e-6; };
  step_.mean_delay = seconds(step_delay_.mean());
  step_.p50 = seconds(step_delay_.quantile(0.5));
  step_.p90 = seconds(step_delay_.quantile(0.9));
  step_.p99 = seconds(step_delay_.quantile(0.99));
  compare();
  report_.steps.push_back(step_);
  step_ = {};
  step_.by_destination.resize(s_.destinations.size());
  step_delay_ = {};
}

// Of destinations those that are served: one that is dead is no sign of unfairness. Of tenants all that wait.
void Simulation::compare() {
  struct Sums {
    double sum = 0, squares = 0;
    std::uint64_t n = 0;
    void add(std::uint64_t served) {
      const auto x = static_cast<double>(served);
      sum += x, squares += x * x, ++n;
    }
    void into(Fairness &to) const {
      if (n < 2 || squares == 0) return;
      to.sum += sum * sum / (static_cast<double>(n) * squares);
      ++to.steps;
    }
  };
  std::vector<Sums> in_row(s_.destinations.size()), tenants_of(s_.destinations.size());
  std::vector<Sums> rows_of(report_.tenants.size());
  std::vector<std::uint64_t> of_tenant(report_.tenants.size());
  std::vector<bool> waits(report_.tenants.size());
  for (auto &h : hops_) {
    if (h.waited && h.waiting > 0 && h.delivered > 0) in_row[h.spec].add(h.delivered);
    h.waited = h.waiting > 0;
    h.delivered = 0;
  }
  for (auto &s : served_) {
    if (s.waited && s.waiting > 0) {
      tenants_of[s.spec].add(s.delivered);
      if (s.delivered > 0) rows_of[s.tenant].add(s.delivered);
      waits[s.tenant] = true;
    }
    of_tenant[s.tenant] += s.delivered;
    s.waited = s.waiting > 0;
    s.delivered = 0;
  }
  Sums tenants;
  for (std::size_t i = 0; i < of_tenant.size(); ++i) {
    if (waits[i]) tenants.add(of_tenant[i]);
    rows_of[i].into(report_.tenants[i].between_destinations);
  }
  tenants.into(report_.all.between_tenants);
  for (std::size_t i = 0; i < in_row.size(); ++i) {
    in_row[i].into(report_.destinations[i].between_destinations);
    tenants_of[i].into(report_.destinations[i].between_tenants);
  }
}

Report Simulation::run() {
  constexpr auto kNever = std::numeric_limits<Nanos>::max();
  Nanos boundary = s_.step;
  std::uint64_t still = 0;  // rounds in which time did not go on
  const auto limit_at = s_.drain ? s_.duration + s_.drain_limit : s_.duration;
  for (;;) {
    decide();
    while (let_out()) decide();
    if (now_ >= next_day_) {
      set_rates();
      decide();
    }
    owners_.ask(*scheduler_, now_);
    auto at = std::min({boundary, limit_at, next_day_});
    if (ordered_ < s_.events.size()) at = std::min(at, s_.events[ordered_].at);
    Nanos arrival = kNever;
    for (const auto &source : sources_) arrival = std::min(arrival, source.next);
    if (arrival >= s_.duration) arrival = kNever;
    if (arrival == kNever && waiting_ == 0 && now_ >= s_.duration) break;
    at = std::min(at, arrival);
    if (!ending_.empty()) at = std::min(at, ending_.top().at);
    if (const auto due = scheduler_->next_due()) at = std::min(at, std::max(*due - kBegin, now_));
    at = std::min(at, std::max(owners_.next(), now_));
    if (still = at > now_ ? 0 : still + 1; still > 1'000'000) {
      violation("the scheduler asks to be asked again without end");
      break;
    }
    now_ = at;
    order();
    owners_.hear(*scheduler_, now_, kBegin);
    for (auto &source : sources_)
      while (source.next <= now_ && source.next < s_.duration) arrive(source);
    for (; !ending_.empty() && ending_.top().at <= now_;) {
      const auto id = ending_.top().group;
      ending_.pop();
      end(id);
    }
    if (now_ < boundary) continue;
    close_step(boundary);
    boundary += s_.step;
    if (now_ >= limit_at) break;
  }
  if (step_.arrived + step_.delivered + step_.deferred + step_.suspended > 0) close_step(now_);
  const auto left = static_cast<std::uint64_t>(
      std::count_if(groups_.begin(), groups_.end(), [](const Group &g) { return g.state != State::Gone; }));
  if (left != waiting_ || report_.all.waiting() != waiting_)
    violation(fmt::format("{} offered, {} delivered, rejected or expired, {} left: some are lost", report_.all.offered,
                          report_.all.offered - report_.all.waiting(), left));
  const auto counts = scheduler_->counts();
  if (counts.ready + counts.leased + counts.deferred + counts.held != waiting_)
    violation("the scheduler has another number of deliveries than wait");
  report_.rate_owners = owners_.totals();
  return std::move(report_);
}

}  // namespace mansio::cli::simulate
