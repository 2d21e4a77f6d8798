// Life: a random life of a scheduler beside the model of what its limits let go. Mail comes, goes and fails; operators
// suspend, hold, rebind and flush; replies slow destinations down and name other source pools; exchangers change,
// plugins answer or do not; limits are reloaded, and the whole is restarted.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/scheduler/model.hpp"
#include "tests/unit/scheduler/times.hpp"

namespace mansio::scheduler {

// What is wrong with the scheduler, so that it can be seen that the model notices.
enum class Fault : std::uint8_t {
  None,
  StopsEarly,
  LosesALane,
  SkipsATenant,
  OneSessionMore,
  ForgetsAWindow,
  IsTooSlow,
  SharesNoSite,
  OnePoolMore,
  OnePermitMore,
  OnePlaceMore
};

class Life {
 public:
  explicit Life(unsigned seed, Fault fault = Fault::None) : random_(seed), fault_(fault) {
    backoff_ = {
        .minimal_backoff_time = 10 * kSecond, .maximal_backoff_time = 60 * kSecond, .jitter = one_of({0.0, 0.1, 0.3})};
    owns_ = pick(2) == 0;
    model_ = Model{backoff_, owners_};
    weights_ = {{"a", 1 + pick(3)}, {"b", 1 + pick(3)}};
    groups_ = some_groups();
    rules_ = some_rules();
    for (std::uint32_t i = 0, n = 1 + pick(2); i < n; ++i) transports_.push_back(some_transport(i));
    model_.weights(weights_);
    model_.source_groups(groups_);
    model_.rates(rules_, now_);
    for (std::size_t i = 0; i < transports_.size(); ++i)
      model_.transport(static_cast<TransportId>(i), transports_[i], now_);
    make_scheduler();
  }

  // The first few things that must not be.
  std::vector<std::string> run() {
    for (int i = 0; i < 600 && violations_.size() < 5; ++i) {
      if (pick(2) == 0) arrive();
      if (pick(8) == 0) happen();
      step(now_ + pick(1500) * kMillisecond);
    }
    if (fault_ == Fault::None) finish();
    return violations_;
  }
  std::size_t delivered() const { return delivered_; }

 private:
  using State = Model::State;
  using Entry = std::pair<const GroupId, Model::Mail>;
  struct Ending {
    Nanos at;
    GroupId group;
    std::uint64_t lease;  // another one may have begun since
    bool operator>(const Ending &o) const { return at > o.at; }
  };

  std::uint32_t pick(std::uint32_t n) { return std::uniform_int_distribution<std::uint32_t>{0, n - 1}(random_); }
  template <class T>
  T one_of(std::initializer_list<T> all) {
    return all.begin()[pick(static_cast<std::uint32_t>(all.size()))];
  }
  void violation(const std::string &what) {
    violations_.push_back(fmt::format("{:.3f}s: {}", static_cast<double>(now_ - kFrom) / kSecond, what));
  }

  // --- What is configured.

  // Of one that waits when its plugin fails, or one that is left out then.
  std::uint16_t some_owner() { return owns_ && pick(3) == 0 ? static_cast<std::uint16_t>(1 + pick(2)) : 0; }
  RateLimit owned(RateLimit limit) {
    limit.owner = some_owner();
    return limit;
  }
  std::vector<RateRule> some_rules() {
    using Key = RateRule::Key;
    // Senders are told apart only where one is limited: all are, so that what suspends one is known to concern him.
    std::vector<RateRule> rules{{Key::Sender, {}, {one_of({kMillisecond, kSecond / 2}), 1 + pick(3)}}};
    if (pick(2) == 0) rules.push_back({Key::Tenant, {"a"}, owned({kSecond / 3, 1 + pick(3)})});
    if (pick(2) == 0) rules.push_back({Key::Campaign, {}, owned({kSecond / 4, 1 + pick(3)})});
    for (const auto *pool : {"p", "x", "y"})
      if (pick(3) == 0) rules.push_back({Key::SourcePool, {pool}, owned({kSecond / (1 + pick(3)), 1 + pick(3)})});
    // What of a rate is used up is remembered as long as there is one: each of these is or is not for all of a life.
    const auto there = [&](bool is, std::vector<std::string> pools, std::vector<std::string> to) {
      if (!is) return;
      RateRule rule{Key::SourcePoolDestination, std::move(pools), {kSecond / 2, 1 + pick(3)}, std::move(to), pick(4)};
      if (owns_ && pick(3) == 0) rule.limit.owner = 1;
      rules.push_back(std::move(rule));
    };
    there(limits_pairs_, {"x"}, {"d1.example", "mx:" + kProvider});
    there(limits_pairs_, {"p", "z"}, {"d0.example"});
    if (pick(2) == 0) rules.push_back({Key::SourcePoolDestination, {"x", "y"}, {}, {}, 1 + pick(3)});
    return rules;
  }
  std::vector<SourceGroup> some_groups() {
    std::vector<SourceGroup> groups{{"g", {{"x", 1 + pick(3)}}}, {"h", {{"z", 1}}}};
    if (pick(2) == 0) groups[0].pools.push_back({"y", 1 + pick(3)});
    if (pick(2) == 0) groups[1].pools.push_back({"w", 1 + pick(3)});
    if (pick(5) == 0) groups.erase(groups.begin() + pick(2));
    return groups;
  }
  // Those of each pool are in no other.
  static std::string group_of(const std::string &pool) { return pool == "x" || pool == "y" ? "g" : "h"; }

  DestinationLimits some_limits() {
    DestinationLimits d;
    d.window.limit = one_of({1u, 2u, 5u, 20u});
    d.window.initial = std::min(one_of({1u, 3u, 5u}), d.window.limit);
    d.window.failed_cohort_limit = one_of({0u, 1u, 3u});
    d.window.positive = one_of({Feedback{}, Feedback{1, Feedback::Over::Concurrency}, Feedback{0.3f}});
    d.window.negative = one_of({Feedback{}, Feedback{1, Feedback::Over::SqrtConcurrency}, Feedback{0}});
    d.rate_delay = one_of({Nanos{0}, Nanos{0}, Nanos{0}, kTenth});
    d.rate = owned(one_of({RateLimit{}, RateLimit{}, RateLimit{kSecond / 5, 1}, RateLimit{kSecond / 2, 4}}));
    d.adaptive.minimum = 0.5;
    d.concurrency_owner = some_owner();
    d.rate_delay_owner = some_owner();
    return d;
  }
  std::vector<DestinationRule> some_sites() {
    std::vector<DestinationRule> rules;
    if (pick(3) == 0)  // d1's own name may be that of the site
      rules.push_back({{"d1.example", "d2.example"}, some_limits(), one_of<std::string>({"near", "d1.example"})});
    if (pick(3) == 0) rules.push_back({{}, some_limits(), one_of<std::string>({"", "provider"}), {".p.example"}});
    if (pick(4) == 0) rules.push_back({{"d0.example"}, some_limits()});
    return rules;
  }
  TransportLimits some_transport(std::uint32_t number) {
    TransportLimits t{.name = "t" + std::to_string(number), .sessions = one_of({1u, 3u, 8u, 20u})};
    t.rate_delay = one_of({Nanos{0}, Nanos{0}, 20 * kMillisecond});
    if (t.rate_delay == 0) t.rate = owned(one_of({RateLimit{}, RateLimit{}, RateLimit{kSecond / 20, 4}}));
    t.slots.cost = one_of({0u, 2u, 5u});
    t.destination = some_limits();
    t.rules = some_sites();
    t.by_exchangers = pick(2) == 0;
    t.sessions_owner = some_owner();
    t.rate_delay_owner = some_owner();
    return t;
  }
  void make_scheduler() {
    scheduler_ = Scheduler::create(backoff_, random_());
    scheduler_->tenants(weights_);
    scheduler_->rate_owners(owners_);
    scheduler_->source_groups(groups_);
    scheduler_->rates(rules_);
    if (names_pools_) scheduler_->on_turn([this](GroupId id) { return std::optional{named_now(model_.mail.at(id))}; });
    for (const auto &limits : transports_) tell(limits);
  }
  void tell(const TransportLimits &limits) {
    auto told = limits;
    if (fault_ == Fault::OneSessionMore) ++told.sessions;
    const auto id = scheduler_->transport(told);
    scheduler_->transport_available(id, 1000);
  }
  const std::string &named_now(const Model::Mail &m) const {
    const auto at = named_.find(m.to);
    return at == named_.end() ? m.named : at->second;
  }

  // --- What happens.

  Group group_of(GroupId id) {
    const auto &m = model_.mail.at(id);
    return {.id = id,
            .transport = m.transport,
            .destination = scheduler_->destination(m.transport, m.to),
            .due = m.due,
            .flow = scheduler_->flow(m.party()),
            .list = m.list};
  }
  std::string some_domain() { return "d" + std::to_string(pick(4)) + ".example"; }
  std::string some_pool() { return one_of<std::string>({"", "p", "g", "g", "h", "x"}); }
  void arrive() {
    const auto id = next_++;
    Model::Mail m;
    m.transport = static_cast<TransportId>(pick(static_cast<std::uint32_t>(transports_.size())));
    m.to = some_domain();
    m.tenant = one_of({"", "a", "b"});
    m.campaign = one_of({"", "c"});
    m.sender = one_of({"", "s@example.org", "t@example.org"});
    m.named = m.pool = some_pool();
    m.priority = one_of({-1, 0, 5});
    m.list = pick(3) == 0;
    m.added = m.due = now_;
    (void)model_.site_of(m);
    model_.mail[id] = m;
    scheduler_->add(group_of(id), now_);
  }
  // One of those in such a state; nullptr: there is none.
  Entry *any(std::initializer_list<State> states) {
    std::vector<Entry *> all;
    for (auto &one : model_.mail)
      if (std::find(states.begin(), states.end(), one.second.state) != states.end()) all.push_back(&one);
    return all.empty() ? nullptr : all[pick(static_cast<std::uint32_t>(all.size()))];
  }

  void happen() {
    switch (pick(13)) {
      case 0:
        return suspend();
      case 1:
        return resume_all();
      case 2:
        if (auto *one = any({State::Waiting, State::Leased})) hold(*one);
        return;
      case 3:
        if (auto *one = any({State::Held})) release(*one, now_ + pick(2) * 20 * kSecond);
        return;
      case 4:
        if (auto *one = any({State::Waiting, State::Held})) {
          scheduler_->remove(one->first);
          model_.mail.erase(one->first);
        }
        return;
      case 5:
        if (auto *one = any({State::Waiting, State::Leased})) {
          model_.flush(one->second, now_);
          scheduler_->flush(one->first, now_);
        }
        return;
      case 6:
        return reload();
      case 7:
        return reply();
      case 8:
        return exchangers();
      case 9:
        if (auto *one = any({State::Waiting, State::Leased, State::Held})) rebind(*one);
        return;
      case 10:
        return name_a_pool();
      case 11:
        return end_plugin();
      default:
        return restart();
    }
  }
  void suspend() {
    using Key = Suspension::Key;
    Suspension s;
    s.key = one_of({Key::Destination, Key::Destination, Key::Tenant, Key::Campaign, Key::Sender, Key::SourcePool});
    switch (s.key) {
      case Key::Destination:
        s.name = one_of<std::string>({"d0.example", "near", "mx:" + kProvider});
        break;
      case Key::Tenant:
        s.name = "a";
        break;
      case Key::Campaign:
        s.name = "c";
        break;
      case Key::Sender:
        s.name = "@example.org";
        break;
      case Key::SourcePool:
        s.name = one_of<std::string>({"p", "g", "x", "y"});
        break;
    }
    if (s.key == Key::SourcePool)
      s.destination = one_of<std::string>({"", "d1.example", "d0.example", "mx:" + kProvider});
    s.from = now_;
    s.until = one_of({now_ + 5 * kSecond, now_ + 30 * kSecond, kForGood});
    if (fault_ != Fault::OnePoolMore || s.destination.empty()) scheduler_->suspend(s, now_);
    model_.suspend(s, now_);
  }
  void resume_all() {
    const auto all = model_.suspensions.active();
    for (const auto &s : all) {
      if (!scheduler_->resume(s.key, s.name, now_, s.destination)) violation("a suspension is not known");
      model_.resume(s, now_);
    }
  }
  void hold(Entry &one) {
    auto &[id, m] = one;
    if (m.state == State::Leased) {
      model_.take_back(m);
      leases_.erase(id);
    }
    m.state = State::Held;
    scheduler_->hold(id);
  }
  void release(Entry &one, Nanos due) {
    one.second.state = State::Waiting;
    one.second.due = due;
    scheduler_->release(one.first, due, now_);
  }
  // What its message names is another source pool from now on.
  void rebind(Entry &one) {
    auto &[id, m] = one;
    m.named = m.pool = some_pool();
    m.chosen.clear();
    scheduler_->set_flow(id, scheduler_->with_source_pool(scheduler_->flow_of(id), m.pool), now_);
  }
  // A reply's source pool for all that goes there, or it is over.
  void name_a_pool() {
    if (!names_pools_) return;
    const auto to = some_domain();
    if (named_.erase(to) == 0) named_[to] = one_of<std::string>({"p", "y", "h"});
  }
  void exchangers() {
    const auto hosts = one_of<std::string>({"", kProvider, kProvider, "mx.q.example", "mx.p.example,mx.q.example"});
    const auto to = some_domain();
    for (std::size_t i = 0; i < transports_.size(); ++i) {
      const auto t = static_cast<TransportId>(i);
      model_.exchangers({t, to}, hosts, now_);
      if (fault_ == Fault::SharesNoSite && to == "d1.example") continue;
      scheduler_->set_exchangers(scheduler_->destination(t, to), hosts, now_ + kHour);
    }
  }
  void reload() {
    groups_ = some_groups();
    model_.source_groups(groups_);
    scheduler_->source_groups(groups_);
    rules_ = some_rules();
    scheduler_->rates(rules_);
    model_.rates(rules_, now_);
    const auto number = pick(static_cast<std::uint32_t>(transports_.size()));
    auto &t = transports_[number];
    const auto before = t;
    t = some_transport(number);
    if (pick(2) == 0) t.rules = before.rules;
    model_.transport(static_cast<TransportId>(number), t, now_);
    tell(t);
  }
  void reply() {
    const auto to = some_domain();
    const auto t = static_cast<TransportId>(pick(static_cast<std::uint32_t>(transports_.size())));
    auto &site = model_.site_at(model_.owner_of({t, to}));
    const auto id = scheduler_->destination(t, to);
    if (pick(2) == 0) {
      scheduler_->push_back(id, now_);
      model_.push_back(site, now_);
    } else {
      const auto most = 1 + pick(3);
      scheduler_->lower_concurrency(id, most);
      Model::lower(site, most);
    }
  }
  // Mail is read anew before what was learned, or after it.
  void restart() {
    const auto saved = scheduler_->save(0, now_), more = scheduler_->save_more(0, now_);
    make_scheduler();
    const bool mail_first = pick(2) == 0;
    model_.restart(now_);
    leases_.clear();
    answers_.clear();
    if (mail_first) add_all();
    scheduler_->restore(saved, 0, now_);
    scheduler_->restore_more(more, 0, now_);
    if (!mail_first) add_all();
    for (const auto &[place, site] : model_.sites) (void)scheduler_->destination(place.first, place.second);
  }
  void add_all() {
    for (auto &[id, m] : model_.mail) {
      if (m.state == State::Held)
        scheduler_->add_held(group_of(id));
      else if (m.due > now_)
        scheduler_->add_deferred(group_of(id), m.due, now_);
      else
        scheduler_->add(group_of(id), now_);
    }
  }

  // --- Plugins.

  void ask_plugins() {
    for (auto &q : scheduler_->rate_questions()) {
      if (const auto wrong = model_.ask(q, now_); !wrong.empty()) violation(wrong);
      if (!q.parting) answers_.emplace(now_ + (1 + pick(300)) * kMillisecond, std::move(q));
    }
    (void)scheduler_->unused_permits();
  }
  // The process that it runs in: what it gave and nobody uses is the others'.
  void end_plugin() {
    const auto &owner = owners_[pick(2)].name;
    scheduler_->return_permits(owner, now_);
    scheduler_->return_places(owner);
    model_.return_permits(owner);
    ask_plugins();
  }
  void answer(const RateQuestion &q) {
    if (!ending_well_ && pick(6) == 0) {
      model_.fail(q, now_);
      return scheduler_->no_permits(q.number, now_);
    }
    auto units = q.want;
    if (!ending_well_ && pick(2) == 0) units = pick(q.want + 1);
    const auto ttl = one_of({kTenth, 5 * kSecond, 60 * kSecond});
    const auto retry = one_of({Nanos{0}, Nanos{0}, kTenth, 2 * kSecond});
    model_.answer(q, units, ttl, retry, now_);
    const bool more = q.places ? fault_ == Fault::OnePlaceMore : fault_ == Fault::OnePermitMore;
    scheduler_->permits(q.number, more ? q.want : units, ttl, retry, now_);
  }

  // --- How it goes on.

  // Until then: deliveries end, times come, and whatever may go goes.
  void step(Nanos until) {
    for (;;) {
      decide();
      check();
      auto at = until;
      if (!endings_.empty()) at = std::min(at, endings_.top().at);
      if (!answers_.empty()) at = std::min(at, answers_.begin()->first);
      if (const auto due = scheduler_->next_due()) at = std::min(at, std::max(*due, now_ + 1));
      now_ = std::max(now_, at);
      while (!endings_.empty() && endings_.top().at <= now_) {
        const auto ending = endings_.top();
        endings_.pop();
        end(ending);
      }
      while (!answers_.empty() && answers_.begin()->first <= now_) answer(answers_.extract(answers_.begin()).mapped());
      if (now_ >= until || violations_.size() >= 5) break;
    }
    decide();
    check();
  }
  void decide() {
    model_.wake(now_);
    if (fault_ == Fault::SkipsATenant && now_ > kFrom + 20 * kSecond)
      scheduler_->suspend({Suspension::Key::Tenant, "a", now_, kForGood, ""}, now_);
    if (fault_ == Fault::ForgetsAWindow && now_ > kFrom + 20 * kSecond)
      scheduler_->lower_concurrency(scheduler_->destination(0, "d1.example"), 1);
    if (fault_ == Fault::LosesALane && now_ > kFrom + 20 * kSecond)
      for (const auto &[id, m] : model_.mail)
        if (m.to == "d2.example" && m.state == State::Waiting) scheduler_->hold(id);
    int asked_again = 0;
    for (;;) {
      const auto d = scheduler_->next(now_);
      ask_plugins();  // what is asked in one call of next() is asked before it decides
      follow_pools(d);
      if (d) begin(*d);
      if (d && fault_ == Fault::StopsEarly) return;
      if (d) continue;
      const auto due = scheduler_->next_due();
      if (!due || *due > now_) return;
      if (++asked_again > 1000) return violation("it asks to be asked again without end");
    }
  }
  // Whose turn has come waits as the mail of the pool that is named for it now, and as that of one of a group's.
  void follow_pools(const std::optional<Decision> &d) {
    for (auto &[id, m] : model_.mail) {
      if (m.state != State::Waiting || m.due > now_) continue;
      const std::string chosen{scheduler_->chosen_pool(id)};
      const bool begins = d && d->group == id && !d->suspended;
      auto pool = m.pool;
      if (!chosen.empty() && (begins || chosen != m.chosen)) {
        pool = group_of(chosen);
      } else if (chosen.empty()) {
        const auto flow = scheduler_->flow_of(id);
        if (scheduler_->with_source_pool(flow, pool) != flow || begins) pool = named_pool(m);
        if (scheduler_->with_source_pool(flow, pool) != flow) violation("waits as the mail of another source pool");
      }
      if (pool != m.pool && pool != named_pool(m)) violation("waits as the mail of a source pool that nobody named");
      const bool is_chosen = !chosen.empty() && (chosen != m.chosen || pool != m.pool);
      m.pool = pool;
      if (is_chosen && !begins) {
        m.chosen.clear();
        for (const auto &other : model_.pools_of(pool))
          if (model_.could_choose(m, other, now_)) violation(fmt::format("waits for {} and not {}", chosen, other));
      }
      m.chosen = chosen;
    }
  }
  const std::string &named_pool(const Model::Mail &m) const { return names_pools_ ? named_now(m) : m.pool; }

  void begin(const Decision &d) {
    const auto at = model_.mail.find(d.group);
    if (at == model_.mail.end()) return violation("what is gone is leased");
    auto &m = at->second;
    if (d.suspended) {
      if (m.state != State::Waiting || m.due > now_) violation("counts as tried before its time");
      if (!model_.is_dead(m) || model_.suspended(m)) violation("counts as tried though its destination is not dead");
      return again(d.group, m, Result::NoFeedback);
    }
    if (const auto why = model_.kept_by(m, now_, Model::To::Begin); !why.empty())
      violation(fmt::format("a delivery to {} begins though {} keeps it", m.to, why));
    const auto pools = model_.pools_of(m.pool);
    if (!pools.empty() && std::find(pools.begin(), pools.end(), m.chosen) == pools.end())
      violation(fmt::format("leaves from {}, which is not of {}", m.chosen, m.pool));
    if (m.pool != named_pool(m)) violation("leaves from a source pool that is not named any more");
    model_.lease(m, now_);
    leases_[d.group] = ++lease_;
    endings_.push({now_ + (1 + pick(2000)) * kMillisecond, d.group, lease_});
  }
  void end(const Ending &ending) {
    const auto lease = leases_.find(ending.group);
    if (lease == leases_.end() || lease->second != ending.lease) return;
    leases_.erase(lease);
    auto &m = model_.mail.at(ending.group);
    // Some destinations are out of reach for a time, the rest fails now and then.
    const bool out = !ending_well_ && m.to == "d3.example" && (now_ - kFrom) / (40 * kSecond) % 2 == 1;
    const auto result = out || (!ending_well_ && pick(10) == 0) ? Result::SiteFailure : Result::Delivered;
    const bool later = result == Result::SiteFailure || (!ending_well_ && pick(4) == 0);
    const auto died = model_.end(m, result, now_);
    if (later) {
      again(ending.group, m, result);
    } else {
      scheduler_->finished(ending.group, result, std::nullopt, now_);
      model_.mail.erase(ending.group);
      ++delivered_;
    }
    if (!died) return;
    auto &site = model_.site_at(*died);
    site.dead_until = scheduler_->state_of(scheduler_->destination(died->first, died->second)).dead_until;
    if (!model_.may_be(site.dead_until - now_, 0)) violation("a destination is dead for a time that is none");
  }
  void again(GroupId id, Model::Mail &m, Result result) {
    const auto due = scheduler_->finished(id, result, now_ - m.added, now_);
    if (!due || !model_.may_be(*due - now_, now_ - m.added)) violation("waits for a time that is none");
    m.due = due.value_or(now_) + (fault_ == Fault::IsTooSlow ? -kSecond : 0);
    m.state = State::Waiting;
  }

  void check() {
    for (auto &[id, m] : model_.mail) {
      if (m.state != State::Waiting || m.due > now_ || model_.suspended(m)) continue;
      if (model_.is_dead(m))
        violation(m.to + " is dead, and mail for it does not count as tried");
      else if (model_.kept_by(m, now_, Model::To::Wait).empty() && !model_.has_its_share(m, now_))
        violation(fmt::format("a delivery to {} waits though it could go: {}", m.to, scheduler_->why(id, now_).limit));
    }
    for (const auto &[place, own] : model_.sites) {
      const auto &site = model_.sites.at(own.of.empty() ? place : Model::Place{place.first, own.of});
      const auto state = scheduler_->state_of(scheduler_->destination(place.first, place.second));
      if (state.site != own.of) violation(fmt::format("{}: of site '{}', not '{}'", place.second, state.site, own.of));
      if (state.busy != site.busy)
        violation(fmt::format("{}: {} under way, not {}", place.second, state.busy, site.busy));
      if (state.concurrency != site.window.size)
        violation(fmt::format("{}: a concurrency of {}, not {}", place.second, state.concurrency, site.window.size));
      if ((state.dead_until != 0) != (own.dead || site.dead))
        violation(place.second + ": dead for one and not for the other");
    }
    const auto counts = scheduler_->counts();
    if (counts.ready + counts.leased + counts.deferred + counts.held != model_.mail.size()) violation("some are lost");
  }
  // No mail comes any more, all goes well, and nobody keeps any: all of it is delivered, and no place is kept.
  void finish() {
    ending_well_ = true;
    resume_all();
    for (auto &one : model_.mail)
      if (one.second.state == State::Held) release(one, now_);
    const auto until = now_ + kHour;
    while (!model_.mail.empty() && now_ < until && violations_.empty()) step(now_ + 5 * kSecond);
    if (!model_.mail.empty()) violation(fmt::format("{} are never delivered", model_.mail.size()));
    step(now_ + 10 * kSecond);
    for (const auto &name : model_.believed(now_)) violation(name + ": its places are not given back");
  }

  static constexpr Nanos kFrom = 1'000'000 * kSecond;
  inline static const std::string kProvider = "mx1.p.example,mx2.p.example";
  std::mt19937 random_;
  Fault fault_;
  Backoff backoff_;
  const std::vector<RateOwner> owners_{{"waited-for", false, kSecond}, {"left-out", true, kSecond}};
  Model model_{{}, {}};
  bool owns_ = false;                         // plugins own some of the limits
  const bool limits_pairs_ = pick(2) == 0;    // source pools have rates at destinations
  const bool names_pools_ = pick(2) == 0;     // replies name source pools
  std::map<std::string, std::string> named_;  // which, by destination
  std::vector<TenantWeight> weights_;
  std::vector<SourceGroup> groups_;
  std::vector<RateRule> rules_;
  std::vector<TransportLimits> transports_;
  std::unique_ptr<Scheduler> scheduler_;
  Nanos now_ = kFrom;
  GroupId next_ = 0;
  std::uint64_t lease_ = 0;
  std::map<GroupId, std::uint64_t> leases_;
  std::priority_queue<Ending, std::vector<Ending>, std::greater<>> endings_;
  std::multimap<Nanos, RateQuestion> answers_;
  bool ending_well_ = false;
  std::size_t delivered_ = 0;
  std::vector<std::string> violations_;
};

}  // namespace mansio::scheduler
