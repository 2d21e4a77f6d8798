// RateOwners: the plugins of kind rate of a simulation. Each has what the scheduler asks after half of its latency,
// keeps its limits as a good owner does (as rate-redis: a bucket for a rate, what this node has at most of a limit of
// deliveries at once), and is heard after the other half, or not at all while it fails. A question ends in any case, at
// the time limit at the latest. No question waits for another one.
//
// What an owner gave is remembered here as well, apart from what the scheduler makes of it: so it shows if a delivery
// begins without a permit or a place. All times are from the scenario's beginning.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/cli/simulate/scenario.hpp"
#include "kernel/cli/simulate/world.hpp"
#include "kernel/scheduler/scheduler.hpp"

namespace mansio::cli::simulate {

class OwnedLimit {
 public:
  // A delivery begins. What is wrong with that; "": nothing.
  std::string_view begin_by_permit(const scheduler::RateLimit &configured, Nanos now);
  // `under_way`: of this limit, with this one.
  std::string_view begin_in_place(std::uint32_t under_way, Nanos now) const;
  // A place that rests when it is given up has been.
  void give_up() { places_ = 0; }
  // The rate is another one: nobody owes more than that lets him.
  void limit(const scheduler::RateLimit &configured, Nanos now);

 private:
  friend class RateOwners;
  struct Lease {
    std::uint32_t units = 0;
    Nanos until = 0;
  };

  // As its owner keeps it.
  scheduler::TokenBucket bucket_;
  Nanos interval_ = 0;
  std::uint32_t held_ = 0;  // places that this node has at most
  std::uint64_t number_ = 0;
  Nanos holds_until_ = 0, rest_ = 0, rests_until_ = 0;
  // What was heard of it.
  std::vector<Lease> leases_;
  std::uint32_t places_ = 0;
  Nanos places_until_ = 0;
  bool failed_ = false, skipped_ = false;  // skipped: what is configured counts instead
  scheduler::TokenBucket local_;
};

class RateOwners {
 public:
  struct Totals {
    std::string name;
    std::uint64_t questions = 0, permits = 0, returned = 0, failures = 0;
  };

  explicit RateOwners(const Scenario &scenario);

  // By the names that the scheduler has for it: "tenant_rate_limit" and the tenant.
  OwnedLimit &limit(std::string_view name, std::string_view key);
  // What the scheduler has to ask, and to give back, goes on its way.
  void ask(scheduler::Scheduler &scheduler, Nanos now);
  // What has arrived by then, there and back; `offset`: the scheduler's clock at the beginning.
  void hear(scheduler::Scheduler &scheduler, Nanos now, Nanos offset);
  Nanos next() const;  // when something arrives; the largest time: nothing is on its way
  std::vector<Totals> totals() const;

 private:
  struct Owner {
    RateOwnerSpec spec;
    bool skip = false;
    Totals totals = {};
  };
  struct Word {
    enum class Kind : std::uint8_t { Question, Unused, Answer, None } kind = Kind::Question;
    Owner *owner = nullptr;
    scheduler::RateQuestion question = {};  // of Unused: what is given back is `want`
    Nanos asked = 0, answer_at = 0;
    std::uint32_t units = 0;
    Nanos retry = 0;
  };

  void send(Nanos at, Word word) { words_.emplace(std::pair{at, ++last_}, std::move(word)); }
  void answer(const Word &word, Nanos now);
  void take_back(const Word &word);
  void tell(scheduler::Scheduler &scheduler, const Word &word, Nanos now, Nanos offset);
  static const RateOwnerSpec::Failure *failure(const Owner &owner, Nanos at);
  static const RateOwnerSpec::Limit *given(const Owner &owner, const scheduler::RateQuestion &question, Nanos now);
  Owner &named(std::string_view name);

  Random random_;
  std::deque<Owner> owners_;
  std::map<std::pair<std::string, std::string>, OwnedLimit> limits_;
  std::map<std::pair<Nanos, std::uint64_t>, Word> words_;  // by when they arrive, then in their order
  std::uint64_t last_ = 0;
};

}  // namespace mansio::cli::simulate
