// Lab: a scheduler under a virtual clock, with next hops that take their time. Deliveries end when their time has come,
// each as the test says.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <queue>
#include <string>
#include <vector>

#include "kernel/scheduler/scheduler.hpp"

namespace mansio::scheduler {

class Lab {
 public:
  struct Delivery {
    GroupId group = 0;
    std::string to, tag, pool;  // the pool: where its source group chose one
    Nanos added = 0, begun = 0, ended = 0;
    Result result = Result::Delivered;
  };

  explicit Lab(Backoff backoff = {.jitter = 0}) : scheduler(Scheduler::create(backoff, 1)) {}

  TransportId transport(TransportLimits limits, std::uint32_t capacity = 100'000) {
    const auto id = scheduler->transport(limits);
    scheduler->transport_available(id, capacity);
    return id;
  }
  GroupId add(TransportId transport, const std::string &to, const Party &party = {}, bool list = false,
              const std::string &tag = "") {
    const auto id = next_++;
    waiting_[id] = {id, to, tag, "", now, 0, 0};
    scheduler->add({.id = id,
                    .transport = transport,
                    .destination = scheduler->destination(transport, to),
                    .flow = scheduler->flow(party),
                    .list = list},
                   now);
    return id;
  }
  // Goes on until then, or until nothing happens any more.
  void run(Nanos until = std::numeric_limits<Nanos>::max()) {
    for (std::uint64_t steps = 0; steps < 50'000'000; ++steps) {
      while (const auto d = scheduler->next(now)) {
        auto &w = waiting_.at(d->group);
        w.begun = now;
        w.pool = scheduler->chosen_pool(d->group);
        if (d->suspended) {
          ++suspended;
          scheduler->finished(d->group, Result::NoFeedback, now - w.added, now);
          continue;
        }
        ++under_way[w.to];
        most_under_way[w.to] = std::max(most_under_way[w.to], under_way[w.to]);
        ++sessions;
        most_sessions = std::max(most_sessions, sessions);
        began.push_back(w);
        ending_.push({now + latency(w), d->group});
      }
      auto at = until;
      if (!ending_.empty()) at = std::min(at, ending_.top().first);
      if (const auto due = scheduler->next_due()) at = std::min(at, std::max(*due, now + 1));
      if (at == std::numeric_limits<Nanos>::max()) return;
      now = std::max(now, at);
      for (; !ending_.empty() && ending_.top().first <= now; ending_.pop()) end(ending_.top().second);
      if (now >= until) return;
      if (ending_.empty() && waiting_.empty()) return;
    }
    FAIL() << "it does not come to an end";
  }
  std::size_t waiting() const { return waiting_.size(); }
  std::vector<Nanos> begins(const std::string &tag) const {
    std::vector<Nanos> out;
    for (const auto &d : began)
      if (d.tag == tag) out.push_back(d.begun);
    return out;
  }
  std::size_t left_from(const std::string &pool) const {
    std::size_t n = 0;
    for (const auto &d : began) n += d.pool == pool;
    return n;
  }
  std::size_t done(const std::string &tag) const {
    std::size_t n = 0;
    for (const auto &d : ended) n += d.tag == tag;
    return n;
  }
  Why why(GroupId group) const { return scheduler->why(group, now); }

  std::unique_ptr<Scheduler> scheduler;
  Nanos now = 1'000'000 * kSecond;
  std::function<Nanos(const Delivery &)> latency = [](const Delivery &) { return kSecond; };
  std::function<Result(const Delivery &)> result = [](const Delivery &) { return Result::Delivered; };
  std::vector<Delivery> began, ended;
  std::map<std::string, std::size_t> under_way, most_under_way;  // by destination
  std::size_t sessions = 0, most_sessions = 0, suspended = 0;

 private:
  void end(GroupId id) {
    auto &w = waiting_.at(id);
    --under_way[w.to];
    --sessions;
    w.ended = now;
    w.result = result(w);
    const bool delivered = w.result == Result::Delivered;
    scheduler->finished(id, w.result, delivered ? std::nullopt : std::optional{now - w.added}, now);
    if (!delivered) return;
    ended.push_back(w);
    waiting_.erase(id);
  }

  using Ending = std::pair<Nanos, GroupId>;
  std::map<GroupId, Delivery> waiting_;
  std::priority_queue<Ending, std::vector<Ending>, std::greater<>> ending_;
  GroupId next_ = 0;
};

}  // namespace mansio::scheduler
