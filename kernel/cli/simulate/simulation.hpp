// Simulation: the queue's own scheduler under a virtual clock, between mail that arrives and next hops that behave as
// the scenario says. The same scenario gives the same run. On the way it checks what must hold: no limit is exceeded,
// nothing begins without a permit or a place where a plugin gives these, nothing that could go waits while there is
// room for it, nothing is leased twice at once, nothing is lost.
//
// The class is one; its parts are files: simulation.cpp (time, mail and deliveries), limits.cpp (an independent count
// of what limits allow), orders.cpp (what operators and replies change).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernel/cli/load/histogram.hpp"
#include "kernel/cli/simulate/rate_owners.hpp"
#include "kernel/cli/simulate/scenario.hpp"
#include "kernel/cli/simulate/world.hpp"
#include "kernel/queue/flush_pace.hpp"
#include "kernel/scheduler/responses.hpp"
#include "kernel/scheduler/scheduler.hpp"

namespace mansio::cli::simulate {

// Jain's index of what was delivered in a step, over the steps in which there were several to compare: those whose mail
// waited at its beginning and at its end.
struct Fairness {
  double sum = 0;
  std::uint64_t steps = 0;
  std::optional<double> index() const {  // nothing: there was nobody to compare
    return steps == 0 ? std::nullopt : std::optional{sum / static_cast<double>(steps)};
  }
};

// Counts are of deliveries: a message's recipients in one transaction at one destination.
struct Totals {
  std::string name;
  std::uint64_t offered = 0, delivered = 0, deferred = 0, suspended = 0, rejected = 0, expired = 0;
  load::Histogram delay = {};  // microseconds from arrival to delivery
  // Of a row of destinations: those of the row that are served, and the tenants whose mail waits there. Of a tenant:
  // the rows of destinations that take his mail. Of all: the tenants.
  Fairness between_destinations = {}, between_tenants = {};

  std::uint64_t waiting() const { return offered - delivered - rejected - expired; }
};

struct Step {
  Nanos at = 0;  // its end, from the beginning of the scenario
  std::uint64_t arrived = 0, delivered = 0, deferred = 0, suspended = 0, rejected = 0, expired = 0;
  std::uint64_t due = 0;                             // next attempts whose time came in it, whatever became of them
  std::uint64_t waiting = 0, under_way = 0;          // at its end
  double mean_delay = 0, p50 = 0, p90 = 0, p99 = 0;  // of what was delivered, seconds
  std::vector<std::uint32_t> by_destination;         // delivered, by DestinationSpec
  std::vector<std::uint32_t> by_pool;                // delivered, by Report::pools, as far as they were known
  std::vector<std::uint32_t> by_tenant;              // delivered, as in Report::tenants; of the first kTenants of them
  static constexpr std::size_t kTenants = 256;
};

struct Report {
  Totals all;
  std::vector<Totals> destinations, tenants, arrivals;  // by DestinationSpec; by name; by ArrivalSpec
  struct Pool {
    std::string name;
    std::uint64_t tried = 0, delivered = 0;
  };
  std::vector<Pool> pools;  // that mail left from
  std::vector<RateOwners::Totals> rate_owners;
  std::vector<Step> steps;
  Nanos ended = 0;  // when the last delivery ended, from the beginning
  std::uint64_t decisions = 0;
  double decision_seconds = 0;          // real time in the scheduler
  std::vector<std::string> violations;  // of what must hold; the first few
};

class Simulation {
 public:
  explicit Simulation(const Scenario &scenario);
  ~Simulation();
  // Each waiting delivery is looked at after every decision, instead of a few: for small scenarios.
  void check_all() { check_all_ = true; }
  Report run();

 private:
  static constexpr Nanos kBegin = 1'000'000 * kSecond;  // of the scheduler's clock
  enum class State : std::uint8_t { Waiting, UnderWay, Held, Gone };
  // Of what is to be tried before its time. LetOut: until that attempt ends.
  enum class Flush : std::uint8_t { None, Waiting, LetOut };
  struct Group {
    Nanos arrived = 0;
    std::uint32_t hop = 0, tenant = 0, arrival = 0, served = 0;
    std::uint32_t pool = kNoPool;  // in Report::pools, of the last delivery
    std::uint32_t message = kOnly, recipients = 1;
    State state = State::Gone;
    Ending ending = Ending::Delivered;
    Flush flush = Flush::None;
    bool to_hold = false;  // when its delivery ends
  };
  static constexpr std::uint32_t kNoPool = UINT32_MAX;
  static constexpr std::uint32_t kOnly = UINT32_MAX;  // the delivery is its whole message
  struct Message {                                    // of several deliveries
    std::uint32_t under_way = 0, left = 0;
  };
  struct Counted {  // an independent count of what a limit allows
    std::uint32_t under_way = 0, limit = 0;
    scheduler::RateLimit rate;
    scheduler::TokenBucket bucket;
    Nanos delay = 0, open_at = 0;  // from the end of one to the beginning of the next
    Nanos spacing = 0;             // from the beginning of one to that of the next
    // Where plugins own these.
    OwnedLimit *permits = nullptr, *places = nullptr, *delay_places = nullptr;
  };
  using DestinationCounts = std::map<std::pair<scheduler::TransportId, std::string>, Counted>;
  struct Flushes {                                                // of a transport
    std::deque<scheduler::GroupId> waiting;                       // those in Flush::Waiting, in order; may hold others
    queue::FlushPace<std::pair<scheduler::GroupId, Nanos>> pace;  // with when it arrived: numbers are used again
    std::size_t under_way = 0;                                    // of what it let out, and began in time
  };
  struct LetOut {
    Nanos since = 0;
    bool counts = false;  // in Flushes::under_way
  };
  struct SwitchedPool {
    std::string pool;
    Nanos until = 0;
  };
  using Key = scheduler::RateRule::Key;
  struct Source {
    const ArrivalSpec *spec;
    std::size_t destination;  // index of the spec
    std::uint64_t sent = 0, recipients = 0;
    Nanos next = 0;
    std::vector<Counted *> counts;  // of its campaign and sender, where they have rates
  };
  struct Hop {
    NextHop hop;
    std::uint32_t spec;
    scheduler::TransportId transport;
    Counted *count = nullptr;  // shared by a site
    const std::string *owner;  // the site's name, or its own
    std::size_t servers = 0;   // the hop whose servers it is on: its own, or the first one of its spec
    std::uint32_t waiting = 0, delivered = 0;
    bool waited = false;  // at the beginning of the step
  };
  struct Ended {
    Nanos at;
    scheduler::GroupId group;
    bool operator>(const Ended &o) const { return at > o.at; }
  };

  // simulation.cpp
  void build();
  void arrive(Source &source);
  void add(std::size_t arrival, std::uint32_t tenant, std::size_t destination, std::uint64_t first,
           std::uint32_t recipients);
  template <class F>
  void each_total(const Group &group, F &&f) {
    f(report_.all);
    f(report_.destinations[hops_[group.hop].spec]);
    f(report_.tenants[group.tenant]);
    f(report_.arrivals[group.arrival]);
  }
  void decide();
  void check_active_limits();
  void active(const Group &group, bool begins);
  void begin(const scheduler::Decision &decision);
  void put_off(scheduler::GroupId id, bool may_expire);
  void end(scheduler::GroupId id);
  void leave(scheduler::GroupId id);
  void wait_until(std::optional<Nanos> due);
  void close_step(Nanos at);
  void compare();
  void check_waiting();
  void violation(const std::string &what);
  Nanos age(scheduler::GroupId id) const;  // without the time that it was suspended
  bool expired(scheduler::GroupId id) const;
  std::uint32_t tenant_number(const std::string &name);
  std::uint32_t pool_number(std::string_view name);
  static std::size_t place_of_pool(const Group &group) {
    return group.pool == kNoPool ? 0 : group.pool + std::size_t{1};
  }

  // limits.cpp
  void set_rates();
  const scheduler::RateRule *rule_of(Key key, const std::string &name, const std::string &destination = "") const;
  void limit(Counted &count, const scheduler::RateRule *rule, const std::string &name);
  Counted &party_count(Key key, const std::string &name);
  Counted &pair_count(const std::string &pool, const std::string &destination);
  void count_transport(scheduler::TransportId id);
  DestinationCounts::value_type &destination_count(scheduler::TransportId transport, const std::string &mx,
                                                   const std::string &owner);
  void place_hops();
  void count_begin(scheduler::GroupId id);
  void count_end(const Group &group);
  void count_in(Counted &count, const std::string &what);
  template <class F>
  void each_of_pool(const Group &group, F &&f);

  // orders.cpp
  void respond(scheduler::GroupId id);
  void order();
  void follow(const EventSpec &order);
  std::vector<bool> hops_of(const std::string &destination) const;
  template <class F>
  void each_meant(const EventSpec &order, F &&f);
  std::string_view site_of(scheduler::GroupId id) const;
  std::string_view pool_of(scheduler::GroupId id) const;
  void suspend(const EventSpec &order);
  void flush(scheduler::GroupId id, bool paced);
  void hold(scheduler::GroupId id);
  void release(scheduler::GroupId id);
  void unthrottle(const std::string &destination);
  bool let_out();
  void begin_flushed(scheduler::GroupId id);
  void end_flushed(scheduler::GroupId id);

  const Scenario &s_;
  Random random_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  RateOwners owners_;
  scheduler::Responses responses_;
  std::size_t ordered_ = 0;                                              // of the scenario's events
  std::map<std::string, SwitchedPool, std::less<>> switched_pools_;      // by site, for their replies
  std::unordered_map<scheduler::GroupId, const std::string *> rebound_;  // the pools that operators gave them
  std::vector<Flushes> flushes_;                                         // by TransportId
  std::unordered_map<scheduler::GroupId, LetOut> let_out_;
  std::uint64_t flushing_ = 0;  // in Flushes::waiting
  std::vector<bool> deferred_;  // by TransportId: nothing goes but what is flushed
  std::vector<Hop> hops_;
  std::vector<std::size_t> first_hop_;  // by DestinationSpec
  std::vector<Source> sources_;
  std::vector<Group> groups_;
  std::vector<scheduler::GroupId> free_;
  std::vector<Message> messages_;
  std::vector<std::uint32_t> free_messages_;
  std::uint64_t active_messages_ = 0, active_recipients_ = 0;  // under delivery
  std::priority_queue<Ended, std::vector<Ended>, std::greater<>> ending_;
  std::vector<scheduler::TransportId> transports_;            // by settings_.transports
  std::vector<scheduler::TransportLimits> transport_limits_;  // by TransportId
  std::vector<Counted> transport_counts_;                     // likewise
  DestinationCounts destination_counts_;                      // a site's, or a hop's own
  std::vector<Counted> tenant_counts_;
  std::vector<scheduler::RateRule> rates_;
  std::map<std::pair<Key, std::string>, Counted> party_counts_;         // of what is not a tenant
  std::map<std::pair<std::string, std::string>, Counted> pair_counts_;  // of a source pool at a destination
  Nanos next_day_ = 0;                                                  // when rates may be others
  bool limits_pools_ = false;
  std::map<std::string, std::uint32_t> tenant_names_;
  struct Served {  // of a tenant's mail for a DestinationSpec
    std::uint32_t spec = 0, tenant = 0;
    std::uint64_t waiting = 0, delivered = 0;
    bool waited = false;  // at the beginning of the step
  };
  std::vector<Served> served_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> served_by_;  // (spec, tenant)
  Nanos now_ = 0;
  Report report_;
  Step step_;
  load::Histogram step_delay_;      // microseconds
  std::vector<std::uint32_t> due_;  // next attempts, by step
  std::uint64_t waiting_ = 0;
  std::uint32_t under_way_ = 0;
  bool check_all_ = false;
  std::uint64_t rounds_ = 0;
};

}  // namespace mansio::cli::simulate
