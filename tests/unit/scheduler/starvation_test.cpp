// Nobody starves: in random crowds whoever has mail that may go has his turn, within a bound on how many others go
// before him. The bound is made of what divides turns: tenants' weights, classes of priority, slots, destinations.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "kernel/scheduler/scheduler.hpp"

namespace mansio::scheduler {
namespace {

// Everybody always has more mail than goes, new and retried, lists and single mail, of several classes and tenants to
// several destinations; deliveries last for some time each.
class Crowd {
 public:
  explicit Crowd(unsigned seed) : random_(seed) {
    for (std::uint32_t i = 0, n = 1 + pick(3); i < n; ++i) tenants_.push_back({"t" + std::to_string(i), 1 + pick(4)});
    for (const auto priority : {5, 0, -3})
      if (pick(3) != 0) priorities_.push_back(priority);
    if (priorities_.empty()) priorities_.push_back(0);
    limits_.name = "t";
    limits_.sessions = 1 + pick(6);
    limits_.slots = {.cost = one_of(0, 2, 5), .loan = one_of(0, 3), .discount = one_of(0, 50)};
    destinations_ = 1 + pick(4);
    limits_.destination.window = {.initial = 1000, .limit = 0};
    if (pick(2) == 0) limits_.destination.window.limit = limits_.destination.window.initial = 1 + pick(3);
    retried_ = one_of(0, 20, 90);
    scheduler_ = Scheduler::create(
        {.minimal_backoff_time = 20 * kMillisecond, .maximal_backoff_time = 80 * kMillisecond, .jitter = 0}, seed);
    scheduler_->tenants(tenants_);
    transport_ = scheduler_->transport(limits_);
    scheduler_->transport_available(transport_, limits_.sessions);
    for (const auto &tenant : tenants_)
      for (const auto priority : priorities_)
        for (const bool list : {false, true})
          for (std::uint32_t d = 0; d < destinations_; ++d) {
            Line line;
            line.weight = tenant.weight;
            line.group.transport = transport_;
            line.group.destination = scheduler_->destination(transport_, "d" + std::to_string(d));
            line.group.flow = scheduler_->flow({.tenant = tenant.name, .priority = priority});
            line.group.list = list && limits_.slots.cost >= 2;
            lines_.push_back(line);
          }
    for (std::size_t i = 0; i < lines_.size(); ++i)
      for (std::uint32_t n = 0; n < kMailOfALine; ++n) add(i);
  }

  // Of decisions, while one of a line's messages waits that may go.
  std::uint64_t bound(std::size_t line) const {
    std::uint64_t weights = 0;
    for (const auto &tenant : tenants_) weights += tenant.weight;
    const std::uint64_t kinds = limits_.slots.cost >= 2 ? limits_.slots.cost + 1 : 2;
    const std::uint64_t classes = priorities_.size() > 1 ? 16 + 4 + 1 : 1;
    // Its tenant's part of the turns, its class's, its kind's and its destination's, of which each round may have begun
    // just before; and those of its own line that are before it, every second of which may be of the other age.
    return 2 * weights * classes * kinds * destinations_ * 2 * kMailOfALine / lines_[line].weight +
           limits_.sessions * kLongest;
  }

  // For longer than any of them.
  void run() {
    std::uint64_t most = 0;
    for (std::size_t i = 0; i < lines_.size(); ++i) most = std::max(most, bound(i));
    while (decided_ < 3 * most) {
      now_ += kMillisecond;
      ++round_;
      for (; !due_.empty() && due_.begin()->first <= now_; due_.erase(due_.begin()))
        mail_[due_.begin()->second].since = decided_;
      while (const auto decision = scheduler_->next(now_)) {
        auto &mail = mail_[decision->group];
        ++decided_;
        waited(mail);
        mail.leased = true;
        under_way_.emplace(round_ + 1 + pick(kLongest), decision->group);
      }
      ASSERT_FALSE(under_way_.empty() && due_.empty());
      for (; !under_way_.empty() && under_way_.begin()->first <= round_; under_way_.erase(under_way_.begin()))
        end(under_way_.begin()->second);
    }
    for (const auto &[id, mail] : mail_)
      if (!mail.leased && mail.since != kNotDue) waited(mail);
  }

  std::size_t lines() const { return lines_.size(); }
  std::uint64_t longest(std::size_t line) const { return lines_[line].longest; }
  bool served(std::size_t line) const { return lines_[line].served > 0; }
  std::string described() const {
    return std::to_string(tenants_.size()) + " tenants, " + std::to_string(priorities_.size()) + " classes, " +
           std::to_string(destinations_) + " destinations for " + std::to_string(limits_.destination.window.limit) +
           " at once, " + std::to_string(limits_.sessions) + " sessions, slots of " +
           std::to_string(limits_.slots.cost) + ", retried " + std::to_string(retried_);
  }

 private:
  static constexpr std::uint32_t kMailOfALine = 3, kLongest = 4;  // rounds that a delivery lasts
  static constexpr std::uint64_t kNotDue = UINT64_MAX;
  struct Line {
    Group group;
    std::uint32_t weight = 0;
    std::uint64_t longest = 0, served = 0;
  };
  struct Mail {
    std::size_t line = 0;
    std::uint64_t since = 0;  // how many decisions there were when it could go
    bool leased = false;
  };

  std::uint32_t pick(std::uint32_t n) { return std::uniform_int_distribution<std::uint32_t>{0, n - 1}(random_); }
  std::uint32_t one_of(std::uint32_t a, std::uint32_t b) { return pick(2) == 0 ? a : b; }
  std::uint32_t one_of(std::uint32_t a, std::uint32_t b, std::uint32_t c) { return pick(3) == 0 ? c : one_of(a, b); }

  void add(std::size_t line) {
    auto group = lines_[line].group;
    group.id = next_++;
    mail_[group.id] = {line, decided_, false};
    group.due = now_;
    scheduler_->add(group, now_);
  }
  void waited(const Mail &mail) {
    auto &line = lines_[mail.line];
    line.longest = std::max(line.longest, decided_ - mail.since);
    line.served += mail.leased ? 0 : 1;
  }
  void end(GroupId id) {
    auto &mail = mail_[id];
    if (pick(100) < retried_) {
      const auto due = scheduler_->finished(id, Result::Delivered, kMillisecond, now_);
      mail.leased = false;
      mail.since = kNotDue;
      due_.emplace(*due, id);
      return;
    }
    scheduler_->finished(id, Result::Delivered, std::nullopt, now_);
    const auto line = mail.line;
    mail_.erase(id);
    add(line);
  }

  std::mt19937 random_;
  std::vector<TenantWeight> tenants_;
  std::vector<int> priorities_;
  TransportLimits limits_;
  std::uint32_t destinations_ = 1, retried_ = 0;
  std::unique_ptr<Scheduler> scheduler_;
  TransportId transport_ = 0;
  std::vector<Line> lines_;
  std::map<GroupId, Mail> mail_;
  GroupId next_ = 0;
  Nanos now_ = 1000 * kSecond;
  std::uint64_t round_ = 0, decided_ = 0;
  std::multimap<Nanos, GroupId> due_;
  std::multimap<std::uint64_t, GroupId> under_way_;
};

class AnyCrowd : public ::testing::TestWithParam<unsigned> {};

TEST_P(AnyCrowd, EachHasItsTurnWithinABound) {
  Crowd crowd{GetParam()};
  SCOPED_TRACE(crowd.described());
  ASSERT_NO_FATAL_FAILURE(crowd.run());
  for (std::size_t i = 0; i < crowd.lines(); ++i) {
    EXPECT_LE(crowd.longest(i), crowd.bound(i)) << "line " << i;
    EXPECT_TRUE(crowd.served(i)) << "line " << i;
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, AnyCrowd, ::testing::Range(1u, 41u));

}  // namespace
}  // namespace mansio::scheduler
