// Random lives of a scheduler beside the model of what its limits let go: mail that comes, goes and fails, operators
// and replies that suspend, hold, slow down and flush, reloads and restarts. Whatever they are, nothing goes that may
// not, and nothing waits that may; concurrency and health are as the rules of feedback say; nothing is leased twice or
// lost. And whoever has mail has his turn: a bound on how many others go before him.
#include "tests/unit/scheduler/model.hpp"

#include <gmock/gmock.h>

#include <functional>
#include <queue>
#include <random>
#include <set>

#include "tests/unit/scheduler/times.hpp"

namespace mansio::scheduler {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

// What is wrong with the scheduler, so that it can be seen that the model notices.
enum class Fault : std::uint8_t {
  None,
  StopsEarly,
  LosesALane,
  SkipsATenant,
  OneSessionMore,
  ForgetsAWindow,
  IsTooSlow
};

class Life {
 public:
  explicit Life(unsigned seed, Fault fault = Fault::None) : random_(seed), fault_(fault) {
    backoff_ = {
        .minimal_backoff_time = 10 * kSecond, .maximal_backoff_time = 60 * kSecond, .jitter = one_of({0.0, 0.1, 0.3})};
    model_ = Model{backoff_};
    weights_ = {{"a", 1 + pick(3)}, {"b", 1 + pick(3)}};
    rules_ = some_rules();
    for (std::uint32_t i = 0, n = 1 + pick(2); i < n; ++i) transports_.push_back(some_transport(i));
    make_scheduler();
    model_.weights(weights_);
    model_.rates(rules_, now_);
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

  std::vector<RateRule> some_rules() {
    // Senders are told apart only where one is limited: all are, so that what suspends one is known to concern him.
    std::vector<RateRule> rules{{RateRule::Key::Sender, {}, {one_of({kMillisecond, kSecond / 2}), 1 + pick(3)}}};
    if (pick(2) == 0) rules.push_back({RateRule::Key::Tenant, {"a"}, {kSecond / 3, 1 + pick(3)}});
    if (pick(2) == 0) rules.push_back({RateRule::Key::Campaign, {}, {kSecond / 4, 1 + pick(3)}});
    if (pick(2) == 0) rules.push_back({RateRule::Key::SourcePool, {"p"}, {kSecond, 1 + pick(3)}});
    return rules;
  }
  TransportLimits some_transport(std::uint32_t number) {
    TransportLimits t{.name = "t" + std::to_string(number), .sessions = one_of({1u, 3u, 8u, 20u})};
    t.rate_delay = one_of({Nanos{0}, Nanos{0}, 20 * kMillisecond});
    if (t.rate_delay == 0) t.rate = one_of({RateLimit{}, RateLimit{}, RateLimit{kSecond / 20, 4}});
    t.slots.cost = one_of({0u, 2u, 5u});
    auto &d = t.destination;
    d.window.limit = one_of({1u, 2u, 5u, 20u});
    d.window.initial = std::min(one_of({1u, 3u, 5u}), d.window.limit);
    d.window.failed_cohort_limit = one_of({0u, 1u, 3u});
    d.window.positive = one_of({Feedback{}, Feedback{1, Feedback::Over::Concurrency}, Feedback{0.3f}});
    d.window.negative = one_of({Feedback{}, Feedback{1, Feedback::Over::SqrtConcurrency}, Feedback{0}});
    d.rate_delay = one_of({Nanos{0}, Nanos{0}, Nanos{0}, kTenth});
    d.rate = one_of({RateLimit{}, RateLimit{}, RateLimit{kSecond / 5, 1}, RateLimit{kSecond / 2, 4}});
    d.adaptive.minimum = 0.5;
    return t;
  }
  void make_scheduler() {
    scheduler_ = Scheduler::create(backoff_, random_());
    scheduler_->tenants(weights_);
    scheduler_->rates(rules_);
    for (const auto &limits : transports_) tell(limits);
  }
  void tell(const TransportLimits &limits) {
    auto told = limits;
    if (fault_ == Fault::OneSessionMore) ++told.sessions;
    const auto id = scheduler_->transport(told);
    scheduler_->transport_available(id, 1000);
    model_.transport(id, limits);
  }

  Group group_of(GroupId id) {
    const auto &m = model_.mail.at(id);
    return {.id = id,
            .transport = m.transport,
            .destination = scheduler_->destination(m.transport, m.to),
            .due = m.due,
            .flow = scheduler_->flow(m.party()),
            .list = m.list};
  }
  void arrive() {
    const auto id = next_++;
    Model::Mail m;
    m.transport = static_cast<TransportId>(pick(static_cast<std::uint32_t>(transports_.size())));
    m.to = "d" + std::to_string(pick(4)) + ".example";
    m.tenant = one_of({"", "a", "b"});
    m.campaign = one_of({"", "c"});
    m.sender = one_of({"", "s@example.org", "t@example.org"});
    m.pool = one_of({"", "p"});
    m.priority = one_of({-1, 0, 5});
    m.list = pick(3) == 0;
    m.added = m.due = now_;
    model_.mail[id] = m;
    (void)model_.site_of(m);
    scheduler_->add(group_of(id), now_);
  }
  // One of those in such a state; nullptr: there is none.
  std::pair<const GroupId, Model::Mail> *any(std::initializer_list<Model::State> states) {
    std::vector<std::pair<const GroupId, Model::Mail> *> all;
    for (auto &one : model_.mail)
      if (std::find(states.begin(), states.end(), one.second.state) != states.end()) all.push_back(&one);
    return all.empty() ? nullptr : all[pick(static_cast<std::uint32_t>(all.size()))];
  }

  void happen() {
    using State = Model::State;
    switch (pick(9)) {
      case 0:
        return suspend();
      case 1:
        return resume_all();
      case 2:
        if (auto *one = any({State::Waiting, State::Leased})) {
          if (one->second.state == State::Leased) model_.take_back(one->second), leases_.erase(one->first);
          one->second.state = State::Held;
          scheduler_->hold(one->first);
        }
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
        if (auto *one = any({State::Waiting})) {
          Model::revive(model_.site_of(one->second));
          one->second.due = std::min(one->second.due, now_);
          scheduler_->flush(one->first, now_);
        }
        return;
      case 6:
        return reload();
      case 7:
        return reply();
      default:
        return restart();
    }
  }
  void suspend() {
    using Key = Suspension::Key;
    const auto what =
        one_of({std::pair{Key::Destination, "d0.example"}, std::pair{Key::Tenant, "a"}, std::pair{Key::Campaign, "c"},
                std::pair{Key::Sender, "@example.org"}, std::pair{Key::SourcePool, "p"}});
    const Suspension s{what.first, what.second, now_, one_of({now_ + 5 * kSecond, now_ + 30 * kSecond, kForGood}), ""};
    scheduler_->suspend(s, now_);
    model_.suspensions.add(s, now_);
  }
  void resume_all() {
    const auto all = model_.suspensions.active();
    for (const auto &s : all) {
      if (!scheduler_->resume(s.key, s.name, now_)) violation("a suspension is not known");
      model_.suspensions.remove(s.key, s.name, now_);
    }
  }
  void release(std::pair<const GroupId, Model::Mail> &one, Nanos due) {
    one.second.state = Model::State::Waiting;
    one.second.due = due;
    scheduler_->release(one.first, due, now_);
  }
  void reload() {
    rules_ = some_rules();
    scheduler_->rates(rules_);
    model_.rates(rules_, now_);
    auto &t = transports_[pick(static_cast<std::uint32_t>(transports_.size()))];
    t.sessions = one_of({1u, 3u, 8u, 20u});
    t.destination.window.limit = std::max(t.destination.window.initial, one_of({1u, 5u, 20u}));
    tell(t);
  }
  void reply() {
    if (model_.sites.empty()) return;
    auto at = model_.sites.begin();
    std::advance(at, pick(static_cast<std::uint32_t>(model_.sites.size())));
    auto &[key, site] = *at;
    const auto id = scheduler_->destination(key.first, key.second);
    if (pick(2) == 0) {
      scheduler_->push_back(id, now_);
      model_.push_back(site, now_);
    } else {
      const auto to = 1 + pick(3);
      scheduler_->lower_concurrency(id, to);
      Model::lower(site, to);
    }
  }
  void restart() {
    const auto saved = scheduler_->save(0, now_), more = scheduler_->save_more(0, now_);
    make_scheduler();
    scheduler_->restore(saved, 0, now_);
    scheduler_->restore_more(more, 0, now_);
    model_.restart(now_);
    leases_.clear();
    for (auto &[id, m] : model_.mail) {
      if (m.state == Model::State::Held)
        scheduler_->add_held(group_of(id));
      else if (m.due > now_)
        scheduler_->add_deferred(group_of(id), m.due, now_);
      else
        scheduler_->add(group_of(id), now_);
    }
  }

  // Until then: deliveries end, times come, and whatever may go goes.
  void step(Nanos until) {
    for (;;) {
      decide();
      check();
      auto at = until;
      if (!endings_.empty()) at = std::min(at, endings_.top().at);
      if (const auto due = scheduler_->next_due()) at = std::min(at, std::max(*due, now_ + 1));
      now_ = std::max(now_, at);
      while (!endings_.empty() && endings_.top().at <= now_) {
        const auto ending = endings_.top();
        endings_.pop();
        end(ending);
      }
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
        if (m.to == "d2.example" && m.state == Model::State::Waiting) scheduler_->hold(id);
    int asked_again = 0;
    for (;;) {
      const auto d = scheduler_->next(now_);
      if (d) {
        begin(*d);
        if (fault_ == Fault::StopsEarly) return;
        continue;
      }
      const auto due = scheduler_->next_due();
      if (!due || *due > now_) return;
      if (++asked_again > 1000) return violation("it asks to be asked again without end");
    }
  }
  void begin(const Decision &d) {
    const auto at = model_.mail.find(d.group);
    if (at == model_.mail.end()) return violation("what is gone is leased");
    auto &m = at->second;
    if (d.suspended) {
      const auto &site = model_.site_of(m);
      if (m.state != Model::State::Waiting || m.due > now_) violation("counts as tried before its time");
      if (!site.dead || model_.suspended(m)) violation("counts as tried though its destination is not dead");
      return again(d.group, m, Result::NoFeedback);
    }
    if (const auto why = model_.kept_by(m, now_); !why.empty())
      violation(fmt::format("a delivery to {} begins though {} keeps it", m.to, why));
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
    const auto destination = scheduler_->destination_of(ending.group);
    auto &site = model_.site_of(m);
    const bool died = model_.end(m, result, now_);
    if (later) {
      again(ending.group, m, result);
    } else {
      scheduler_->finished(ending.group, result, std::nullopt, now_);
      model_.mail.erase(ending.group);
      ++delivered_;
    }
    if (!died) return;
    site.dead_until = scheduler_->state_of(destination).dead_until;
    if (!model_.may_be(site.dead_until - now_, 0)) violation("a destination is dead for a time that is none");
  }
  void again(GroupId id, Model::Mail &m, Result result) {
    const auto due = scheduler_->finished(id, result, now_ - m.added, now_);
    if (!due || !model_.may_be(*due - now_, now_ - m.added)) violation("waits for a time that is none");
    m.due = due.value_or(now_) + (fault_ == Fault::IsTooSlow ? -kSecond : 0);
    m.state = Model::State::Waiting;
  }

  void check() {
    for (auto &[id, m] : model_.mail) {
      if (m.state != Model::State::Waiting || m.due > now_ || model_.suspended(m)) continue;
      if (model_.site_of(m).dead)
        violation(m.to + " is dead, and mail for it does not count as tried");
      else if (model_.kept_by(m, now_).empty() && !model_.has_its_share(m, now_))
        violation("a delivery to " + m.to + " waits though it could go");
    }
    for (const auto &[key, site] : model_.sites) {
      const auto state = scheduler_->state_of(scheduler_->destination(key.first, key.second));
      if (state.busy != site.busy)
        violation(fmt::format("{}: {} under way, not {}", key.second, state.busy, site.busy));
      if (state.concurrency != site.window.size)
        violation(fmt::format("{}: a concurrency of {}, not {}", key.second, state.concurrency, site.window.size));
      if ((state.dead_until != 0) != site.dead) violation(key.second + ": dead for one and not for the other");
    }
    const auto counts = scheduler_->counts();
    if (counts.ready + counts.leased + counts.deferred + counts.held != model_.mail.size()) violation("some are lost");
  }
  // No mail comes any more, all goes well, and nobody keeps any: all of it is delivered.
  void finish() {
    ending_well_ = true;
    resume_all();
    for (auto &one : model_.mail)
      if (one.second.state == Model::State::Held) release(one, now_);
    const auto until = now_ + kHour;
    while (!model_.mail.empty() && now_ < until && violations_.empty()) step(now_ + 5 * kSecond);
    if (!model_.mail.empty()) violation(fmt::format("{} are never delivered", model_.mail.size()));
  }

  static constexpr Nanos kFrom = 1'000'000 * kSecond;
  std::mt19937 random_;
  Fault fault_;
  Backoff backoff_;
  Model model_{Backoff{}};
  std::vector<TenantWeight> weights_;
  std::vector<RateRule> rules_;
  std::vector<TransportLimits> transports_;
  std::unique_ptr<Scheduler> scheduler_;
  Nanos now_ = kFrom;
  GroupId next_ = 0;
  std::uint64_t lease_ = 0;
  std::map<GroupId, std::uint64_t> leases_;
  std::priority_queue<Ending, std::vector<Ending>, std::greater<>> endings_;
  bool ending_well_ = false;
  std::size_t delivered_ = 0;
  std::vector<std::string> violations_;
};

class AnyLife : public ::testing::TestWithParam<unsigned> {};

TEST_P(AnyLife, LetsGoWhatMayGoAndNothingElse) {
  Life life{GetParam()};
  EXPECT_THAT(life.run(), IsEmpty());
  EXPECT_GT(life.delivered(), 100u);
}
INSTANTIATE_TEST_SUITE_P(Seeds, AnyLife, ::testing::Range(1u, 41u));

class FaultyLife : public ::testing::TestWithParam<Fault> {};

TEST_P(FaultyLife, IsNoticed) {
  std::vector<std::string> found;
  for (unsigned seed = 1; seed <= 10 && found.empty(); ++seed) found = Life{seed, GetParam()}.run();
  EXPECT_THAT(found, Not(IsEmpty()));
}
INSTANTIATE_TEST_SUITE_P(Each, FaultyLife,
                         ::testing::Values(Fault::StopsEarly, Fault::LosesALane, Fault::SkipsATenant,
                                           Fault::OneSessionMore, Fault::ForgetsAWindow, Fault::IsTooSlow));

// Where everybody always has more mail than goes, each of a tenant's classes, lists and single mail, to each
// destination, is served again within so many decisions of the transport as its parts of all make.
TEST(Starvation, EachHasItsTurnWithinABound) {
  constexpr std::uint32_t kWeights[] = {3, 1}, kCost = 2, kDestinations = 2;
  constexpr int kPriorities[] = {5, 0, -3};
  auto s = Scheduler::create({.jitter = 0}, 1);
  s->tenants({{"a", kWeights[0]}, {"b", kWeights[1]}});
  const auto t = s->transport({.name = "t",
                               .sessions = 1,
                               .slots = {.cost = kCost, .loan = 0, .discount = 0},
                               .destination = {.window = {.initial = 1000, .limit = 0}}});
  s->transport_available(t, 1);
  struct Line {
    Group group;
    std::uint32_t weight = 0;
    std::uint64_t last = 0, longest = 0;  // decisions
  };
  std::vector<Line> lines;
  std::map<GroupId, std::size_t> line_of;
  GroupId next = 0;
  Nanos now = 1000 * kSecond;
  const auto add = [&](std::size_t line) {
    auto group = lines[line].group;
    group.id = next++;
    line_of[group.id] = line;
    s->add(group, now);
  };
  for (std::uint32_t k = 0; k < 2; ++k)
    for (const auto priority : kPriorities)
      for (const bool list : {false, true})
        for (std::uint32_t d = 0; d < kDestinations; ++d) {
          Line line;
          line.weight = kWeights[k];
          line.group.transport = t;
          line.group.destination = s->destination(t, "d" + std::to_string(d));
          line.group.flow = s->flow({.tenant = k == 0 ? "a" : "b", .priority = priority});
          line.group.list = list;
          lines.push_back(line);
        }
  for (std::size_t i = 0; i < lines.size(); ++i)
    for (int n = 0; n < 3; ++n) add(i);
  constexpr std::uint64_t kDecided = 50'000, kTurnsOfClasses = 16 + 4 + 1;
  for (std::uint64_t decided = 1; decided <= kDecided; ++decided) {
    const auto decision = s->next(now);
    ASSERT_TRUE(decision);
    auto &line = lines[line_of.at(decision->group)];
    line.longest = std::max(line.longest, decided - line.last);
    line.last = decided;
    now += kMillisecond;
    s->finished(decision->group, Result::Delivered, std::nullopt, now);
    add(line_of.at(decision->group));
    line_of.erase(decision->group);
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    auto &line = lines[i];
    const auto longest = std::max(line.longest, kDecided - line.last);
    // Its tenant's part, its class's, its kind's, its destination's; and one round more, for where it began.
    const std::uint64_t bound =
        2 * (kWeights[0] + kWeights[1]) * kTurnsOfClasses * (kCost + 1) * kDestinations / line.weight;
    EXPECT_LE(longest, bound) << "line " << i;
    EXPECT_GT(line.last, 0u) << "line " << i;
  }
}

}  // namespace
}  // namespace mansio::scheduler
