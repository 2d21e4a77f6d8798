// Lane: the ready groups of one destination and one flow, list messages apart from others. It exists while there are
// any, so what merely waits for its time costs none of this.
//
// A lane is offered, which is to say in a round of its share, when its destination can take a delivery; blocked, when a
// rate of its flow is used up; else idle. What becomes of it is found out when its turn comes: a lane in a round may
// turn out not to be able to go, and is idle then, until its destination can take a delivery again.
//
// A destination that shares its limits with others has lanes too, but they are in no round: they stand in those of its
// site, where they take turns, so that no domain waits for all that another has there.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernel/scheduler/limits.hpp"
#include "kernel/scheduler/list.hpp"
#include "kernel/scheduler/permits.hpp"
#include "kernel/scheduler/spread.hpp"

namespace mansio::scheduler {

using LaneId = std::uint32_t;
using ShareId = std::uint32_t;
using BucketId = std::uint32_t;

inline constexpr std::size_t kClasses = 3;  // of priority: 0 is served most

struct Lane {
  Ends fresh, retried;  // new mail and mail that was deferred take turns: neither starves the other
  Ends children;        // of a site: lanes of its members, by their round links
  std::uint32_t destination = 0, flow = 0;
  LaneId next = kNobody, prev = kNobody;              // of its destination, the one that was served longest ago first
  LaneId round_next = kNobody, round_prev = kNobody;  // in a round of its share, or among those a bucket blocks
  BucketId bucket = kNobody;                          // that blocks it
  BucketId pair = kNobody;                            // of its flow's source pool at its destination, where limited
  std::uint32_t turns = 1;                            // until it goes behind the destination's other lanes
  enum class Place : std::uint8_t { Idle, Offered, Blocked };
  Place place : 2 = Place::Idle;
  bool list : 1 = false;
  bool retried_next : 1 = false;
  bool hashed : 1 = false;
  bool child : 1 = false;       // of its destination's site
  bool child_next : 1 = false;  // one of the children's turn, not its own groups'

  bool has_own() const { return !fresh.empty() || !retried.empty(); }
  bool serves_child() const { return !children.empty() && (child_next || !has_own()); }
  bool empty() const { return !has_own() && children.empty(); }
};
static_assert(sizeof(Lane) == 64);
using LaneLinks = Links<&Lane::next, &Lane::prev>;
using RoundLinks = Links<&Lane::round_next, &Lane::round_prev>;

// What one tenant may have of one transport. Shares take turns by deficit round robin, a delivery being the unit; one
// that holds its part of the sessions waits for those that hold less, and leaves some free for them, so that slow
// deliveries do not add up to the whole transport.
struct Share {
  struct Class {
    std::array<Ends, 2> rounds;  // of lanes: single messages, lists
    std::int32_t slots = 0;      // that lists have earned and not given: SlotLimits
    std::uint32_t lists = 0;     // lanes of lists, wherever they stand
    std::uint32_t credit = 0;
    bool empty() const { return rounds[0].empty() && rounds[1].empty(); }
  };
  std::array<Class, kClasses> classes;
  std::uint16_t transport = 0;
  std::uint32_t tenant = 0;
  std::uint32_t leased = 0;
  std::int32_t deficit = 0;
  ShareId next = kNobody, prev = kNobody;
  enum class Ring : std::uint8_t { None, Under, Over } ring = Ring::None;
  bool counted = false;  // its weight is in the transport's

  bool any_offered() const { return !classes[0].empty() || !classes[1].empty() || !classes[2].empty(); }
};
using ShareLinks = Links<&Share::next, &Share::prev>;

// A rate that several lanes share; those it blocks wait here in order, those of each share by themselves: one share may
// be unable to use what another could. That of a source pool at a destination may limit deliveries at once as well.
struct Bucket {
  RateLimit limit;
  TokenBucket tokens;
  PermitsId permits = kNobody;  // in place of `tokens`, where a plugin owns the rate
  std::uint32_t waiting = 0;    // lanes in `blocked`
  std::vector<std::pair<ShareId, Ends>> blocked;
  Nanos timer = 0;                // when it is looked at; 0: not
  std::uint32_t users = 0;        // flows, source groups; of a pair lanes and leases
  std::uint32_t busy = 0;         // leases, of a pair
  std::uint32_t concurrency = 0;  // so many of these at once; 0: any number

  bool full() const { return concurrency > 0 && busy >= concurrency; }
  Ends &blocked_of(ShareId share) {
    for (auto &[id, lanes] : blocked)
      if (id == share) return lanes;
    return blocked.emplace_back(share, Ends{}).second;
  }
  RateRule::Key key = RateRule::Key::Tenant;
  std::uint64_t ready = 0;  // groups in lanes that it binds
  std::string name;         // of a pair: fair_pairs.cpp
};

struct Tenant {
  std::string name;
  std::uint32_t weight = 1;
  std::uint32_t flows = 0;  // of its mail; with the last it is forgotten
};

using GroupNumber = std::uint16_t;  // of a source group; 0: none

// A source group, with what the scheduler knows of each of its pools.
struct GroupState {
  struct Member {
    BucketId bucket = kNobody;  // of the pool, wherever its mail goes
    bool paired = false;        // it is limited at some destinations
    bool suspended = false;
  };
  std::string name;
  std::vector<SourceGroup::Pool> pools;  // none: it is configured no more
  std::vector<Member> members;           // of each pool
  Spread spread{{}};

  void set(std::vector<SourceGroup::Pool> to) {
    pools = std::move(to);
    std::vector<std::uint32_t> weights;
    for (const auto &p : pools) weights.push_back(p.weight);
    spread = Spread{std::move(weights)};
  }
};

// Whose mail: what groups of the same tenant, campaign, source pool, priority class and, where one is limited, sender
// have in common.
struct Flow {
  std::uint32_t tenant = 0;
  std::uint8_t priority_class = 1;
  bool idle : 1 = false;  // among those that may be forgotten
  bool used : 1 = false;
  bool suspended : 1 = false;
  bool paired : 1 = false;  // its source pool is limited at some destinations
  // Its source pool was chosen from `group`; else, if there is one, its source pool is that group's name.
  bool chosen : 1 = false;
  bool stale : 1 = false;  // it was chosen, and is no longer of that group
  GroupNumber group = 0;
  std::uint32_t groups = 0;
  std::uint32_t ready = 0;                                                            // of these, in lanes
  std::array<BucketId, RateRule::kKeys> buckets{kNobody, kNobody, kNobody, kNobody};  // by RateRule::Key
  std::string campaign, sender, source_pool;
};

}  // namespace mansio::scheduler
