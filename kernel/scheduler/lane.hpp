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
  std::uint32_t turns = 1;                            // until it goes behind the destination's other lanes
  enum class Place : std::uint8_t { Idle, Offered, Blocked } place = Place::Idle;
  bool list = false;
  bool retried_next = false;
  bool hashed = false;
  bool child = false;       // of its destination's site
  bool child_next = false;  // one of the children's turn, not its own groups'

  bool has_own() const { return !fresh.empty() || !retried.empty(); }
  bool serves_child() const { return !children.empty() && (child_next || !has_own()); }
  bool empty() const { return !has_own() && children.empty(); }
};
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
// be unable to use what another could.
struct Bucket {
  RateLimit limit;
  TokenBucket tokens;
  PermitsId permits = kNobody;  // in place of `tokens`, where a plugin owns the rate
  std::vector<std::pair<ShareId, Ends>> blocked;
  std::uint32_t waiting = 0;  // lanes in it
  Nanos timer = 0;            // when it is looked at; 0: not
  std::uint32_t users = 0;
  Ends &blocked_of(ShareId share) {
    for (auto &[id, lanes] : blocked)
      if (id == share) return lanes;
    return blocked.emplace_back(share, Ends{}).second;
  }
  std::uint64_t ready = 0;  // groups in lanes that it binds
  RateRule::Key key = RateRule::Key::Tenant;
  std::string name;
};

struct Tenant {
  std::string name;
  std::uint32_t weight = 1;
};

// Whose mail: what groups of the same tenant, campaign, source pool, priority class and, where one is limited, sender
// have in common.
struct Flow {
  std::uint32_t tenant = 0;
  std::uint8_t priority_class = 1;
  bool idle = false;  // among those that may be forgotten
  bool used = false;
  bool suspended = false;
  std::uint32_t groups = 0;
  std::uint32_t ready = 0;                                                            // of these, in lanes
  std::array<BucketId, RateRule::kKeys> buckets{kNobody, kNobody, kNobody, kNobody};  // by RateRule::Key
  std::string campaign, sender, source_pool;
};

}  // namespace mansio::scheduler
