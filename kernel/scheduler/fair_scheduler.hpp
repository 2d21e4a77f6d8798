// The scheduler behind the seam. Over a transport's sessions its tenants take turns; within a tenant, classes of
// priority by weight; within a class, single messages and lists by slots; within those, lanes (a destination's mail of
// one flow) in a round; within a site's lane, its domains by turns; within a lane, new mail and retried mail by turns,
// each first come, first served. What bounds it: sessions and rates of a transport, concurrency and rates of a
// destination, rates of a flow.
//
// A decision costs O(1) amortised, or O(log n) when a due time is involved, whatever the number of groups, destinations
// and lanes: what cannot go is in no list that a decision walks, and comes back by the event that lets it go (a
// delivery that ends, a timer, an operator). Where mail names a source group it costs a look at each of its pools.
//
// The class is one; its parts are files: fair_scheduler.cpp (what it is told), fair_parties.cpp (whose mail, and its
// rates), fair_pairs.cpp (limits of source pools at destinations), fair_source_groups.cpp, fair_permits.cpp (rates
// that plugins own), fair_places.cpp (deliveries at once and delays that they own), fair_groups.cpp (states and lists),
// fair_lanes.cpp (lanes, rounds, shares), fair_destinations.cpp (windows, dead ones, sites, forgetting),
// fair_suspensions.cpp, fair_decisions.cpp (what goes next), fair_memory.cpp (what outlives a restart), why.cpp.
#pragma once

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernel/base/chunked.hpp"
#include "kernel/base/large_array.hpp"
#include "kernel/base/prefetch.hpp"
#include "kernel/scheduler/destination.hpp"
#include "kernel/scheduler/due_wheel.hpp"

namespace mansio::scheduler {

class FairScheduler final : public Scheduler {
 public:
  static constexpr std::size_t kMostFlows = std::size_t{1} << Slot::kFlowBits;

  // `most_flows`: that may be in use at once, at most kMostFlows.
  FairScheduler(Backoff backoff, std::uint64_t seed, std::size_t most_flows = kMostFlows);

  void backoff(const Backoff &backoff) override { backoff_ = backoff; }
  void on_soon(std::function<void(GroupId)> hint) override { on_soon_ = std::move(hint); }
  TransportId transport(const TransportLimits &limits) override;
  DestinationId destination(TransportId transport, std::string_view nexthop) override;
  void set_exchangers(DestinationId destination, std::string_view exchangers, Nanos until) override;
  bool wants_exchangers(DestinationId destination, Nanos now, Nanos patience) override;
  DestinationId site_of(DestinationId destination) const override { return owner_of(destination); }
  std::uint32_t recipient_limit(DestinationId id) const override {
    return limits_of(destinations_[id]).recipient_limit;
  }
  bool is_list(TransportId transport, std::uint64_t deliveries) const override {
    return transports_[transport].limits.slots.is_list(deliveries);
  }
  FlowId flow(const Party &party) override;
  FlowId with_source_pool(FlowId flow, std::string_view pool) override;
  FlowId with_sender(FlowId flow, std::string_view sender) override;
  std::uint64_t merged_flows() const override { return merged_flows_; }
  void on_turn(std::function<std::optional<std::string>(GroupId)> pool) override { source_pool_ = std::move(pool); }
  void source_groups(std::vector<SourceGroup> groups) override;
  std::string_view chosen_pool(GroupId group) const override;
  void tenants(std::vector<TenantWeight> weights) override;
  void rates(std::vector<RateRule> rules) override;
  void rate_owners(std::vector<RateOwner> owners) override;
  std::vector<RateQuestion> rate_questions() override { return std::exchange(questions_, {}); }
  void permits(std::uint64_t question, std::uint32_t units, Nanos ttl, Nanos retry, Nanos now) override;
  void no_permits(std::uint64_t question, Nanos now) override;
  void return_permits(std::string_view owner, Nanos now) override;
  void return_places(std::string_view owner) override;
  std::vector<UnusedPermits> unused_permits() override { return std::exchange(unused_, {}); }
  Taken take_permits(RateRule::Key key, std::string_view name, std::uint32_t want, Nanos now) override;
  void transport_available(TransportId transport, std::uint32_t capacity, std::uint32_t taken) override;
  void push_back(DestinationId destination, Nanos now) override;
  void lower_concurrency(DestinationId destination, std::uint32_t to) override;
  std::vector<Throttled> throttled() const override;
  bool unthrottle(DestinationId destination, Nanos now) override;
  void suspend(Suspension suspension, Nanos now) override;
  bool resume(Suspension::Key key, std::string_view name, Nanos now, std::string_view destination) override;
  const Suspensions &suspensions() const override { return suspensions_; }
  Nanos suspended_time(GroupId group, Nanos since, Nanos now) const override;
  std::string save(Nanos offset, Nanos now) const override;
  void restore(std::string_view bytes, Nanos offset, Nanos now) override;
  std::string save_more(Nanos offset, Nanos now) const override;
  void restore_more(std::string_view bytes, Nanos offset, Nanos now) override;
  void used_up(Nanos at, Nanos now) override;
  std::optional<DestinationId> find_destination(TransportId transport, std::string_view nexthop) const override;
  DestinationState state_of(DestinationId destination) const override;
  void pause(std::optional<Why> why) override { paused_ = std::move(why); }
  void add(const Group &group, Nanos now) override;
  void add_deferred(const Group &group, Nanos due, Nanos now) override;
  void add_held(const Group &group) override;
  void remove(GroupId group) override;
  void hold(GroupId group) override;
  void release(GroupId group, Nanos due, Nanos now) override;
  void set_flow(GroupId group, FlowId flow, Nanos now) override;
  void set_list(GroupId group, bool list) override;
  void set_alone(GroupId group, bool alone) override;
  void flush(GroupId group, Nanos now) override;
  std::optional<Decision> next(Nanos now) override;
  std::optional<Nanos> finished(GroupId group, Result result, std::optional<Nanos> again, Nanos now) override;
  Nanos due(GroupId group) const override { return slots_[group].due; }
  void set_due(GroupId group, Nanos due) override { slots_[group].due = due; }
  TransportId transport_of(GroupId group) const override { return destinations_[slots_[group].destination].transport; }
  FlowId flow_of(GroupId group) const override { return slots_[group].flow; }
  DestinationId destination_of(GroupId group) const override { return slots_[group].destination; }
  std::string_view nexthop_of(DestinationId id) const override { return destinations_[id].nexthop; }
  std::optional<Nanos> next_due() const override;
  Why why(GroupId group, Nanos now) const override;
  bool each_waiting(const Why &why, std::size_t most, const std::function<void(GroupId)> &visit) const override;
  std::string_view tenant_of(GroupId group) const override { return tenants_[flows_[slots_[group].flow].tenant].name; }
  Counts counts() const override {
    auto counts = counts_;
    counts.tenants = tenant_names_.size();
    return counts;
  }
  std::uint64_t groups(TransportId transport) const override { return transports_[transport].groups; }

  // For DueWheel, as is due().
  std::uint32_t &position(GroupId id) { return slots_[id].prev; }
  std::uint32_t &spot(GroupId id) { return slots_[id].next; }
  bool soon(GroupId id) const { return slots_[id].soon; }
  void soon(GroupId id, bool soon) { slots_[id].soon = soon; }
  void prefetch(GroupId id) const { mansio::prefetch(slots_[id]); }
  void due_soon(GroupId id) const {
    __builtin_prefetch(&destinations_[slots_[id].destination]);  // its first line
    if (on_soon_) on_soon_(id);
  }

 private:
  struct Timer {
    enum class Kind : std::uint8_t { Dead, Rate, Suspended, Bucket, Permits, Places };
    Nanos at;
    std::uint32_t id;
    Kind kind;
    bool operator>(const Timer &o) const { return at > o.at; }
  };

  // fair_groups.cpp
  Slot &enter(const Group &group);
  void make_ready(GroupId id, Nanos now);
  void make_deferred(GroupId id, Nanos due);
  void take_out(GroupId id);
  void end_lease(GroupId id);
  GroupId take_ready(Lane &lane);
  GroupId first_of(const Lane &lane) const;

  // fair_lanes.cpp
  LaneId find_lane(DestinationId destination, FlowId flow, bool list) const;
  LaneId lane_of(DestinationId destination, FlowId flow, bool list);
  void place(LaneId id, Lane::Place place, BucketId bucket = kNobody);
  void served(LaneId id);
  void free_lane(LaneId id);
  void step_in(LaneId id);
  void step_out(LaneId id);
  void offer(DestinationId owner);
  Share::Class &class_of(const Lane &lane);
  ShareId share_of(TransportId transport, std::uint32_t tenant);
  void settle(ShareId id);
  void enter(ShareId id, Share::Ring ring);
  void parts_changed(TransportState &transport);
  bool over(const Share &share) const;
  std::uint32_t weight(const Share &share) const { return tenants_[share.tenant].weight; }

  // fair_parties.cpp
  FlowId make_flow(Party party, GroupNumber chosen_from);
  std::optional<FlowId> intern(const Party &party, GroupNumber chosen_from);
  FlowId with_pool(const Flow &flow, std::string_view pool, GroupNumber chosen_from);
  std::string name_of(const Flow &flow) const;
  void move_to(Slot &slot, FlowId flow);
  void find_buckets(Flow &flow);
  BucketId new_bucket(RateRule::Key key, const std::string &name);
  BucketId bucket_of(RateRule::Key key, const std::string &name);
  void limit(BucketId id, const RateRule &rule);
  void apply_rates(bool other_pairs);
  void drop_buckets(Flow &flow);
  void count_ready(Lane &lane, int by);
  void unblock_all(Bucket &bucket);
  void arm(BucketId id);
  void arm_all(const Lane &lane);
  void wake_bucket(BucketId id, Nanos now);
  void take(BucketId id, Nanos now);
  bool open(const Bucket &bucket, Nanos now) const;
  BucketId closed_bucket(const Flow &flow, BucketId pair, Nanos now) const;
  std::uint32_t tenant_named(std::string_view name);
  void leave_tenant(std::uint32_t tenant);
  void leave_flow(FlowId id);
  bool changes_pool(GroupId id, Nanos now);
  void forget_flows(Nanos now);

  // fair_pairs.cpp
  const RateRule *pair_rule(std::string_view pool, std::string_view destination) const;
  bool has_pairs(std::string_view pool) const;
  BucketId find_pair(std::string_view pool, DestinationId owner) const;
  BucketId find_pair(const Slot &slot) const;
  static std::string shown_name(const Bucket &bucket);
  BucketId pair_of(std::string_view pool, std::string_view destination);
  BucketId pair_of(FlowId flow, DestinationId destination);
  void join_pair(Lane &lane);
  void leave_pair(Lane &lane);
  void lease_pair(GroupId id, Nanos now);
  void begin_in(GroupId id, BucketId pair);
  void end_in(BucketId pair);
  void end_pair(GroupId id);
  void move_pair_leases(DestinationId id);
  void limit_pairs(bool others);
  void forget_pairs(Nanos now);

  // fair_source_groups.cpp
  GroupNumber group_named(std::string_view name) const;
  void find_group(Flow &flow) const;
  void find_members();
  std::string_view named_pool(const Flow &flow) const;
  bool choose_pool(GroupId id, Nanos now);
  bool is_free(BucketId id, std::uint64_t ready, Nanos now);
  double expected_wait(const Bucket &bucket, Nanos now) const;

  // fair_permits.cpp
  PermitsId own(PermitsId before, Permits::Of of, std::uint32_t id, const RateLimit &limit);
  void find_owner(DestinationId id);
  void disown(PermitsId id);
  void forget_holder(const Permits &permits);
  void give_back(Permits &permits, Nanos now);
  std::pair<std::string, std::string> name_of(const Permits &permits) const;
  std::uint64_t ready_of(const Permits &permits) const;
  bool by_owner(PermitsId id) const;
  bool permitted(PermitsId id, Nanos now);
  void use(PermitsId id, Nanos now);
  void refill(PermitsId id, Nanos now);
  void ask(PermitsId id, Nanos now, std::uint64_t least);
  void look_at(PermitsId id, Nanos at);
  void permits_due(PermitsId id, Nanos now);
  void opened(const Permits &permits);
  void begin_local(const Permits &permits, Nanos now);
  void end_local(const Permits &permits, Nanos now);
  PermitsId permits_of(DestinationId owner) const {
    return destinations_[owner].owned ? destination_permits_.at(owner) : kNobody;
  }
  Why why_no_permits(PermitsId id, std::uint64_t others, Nanos now) const;

  // fair_places.cpp
  PlacesId own_places(PlacesId before, std::uint32_t id, const Places::Terms &terms);
  void find_places(DestinationId id);
  void find_places(TransportState &transport, TransportId id);
  void disown_places(PlacesId id);
  void disown_all_places();
  void forget_places(DestinationId id);
  void part(const Places &places);
  std::uint32_t taken_of(const Places &places) const;
  std::uint64_t ready_of(const Places &places) const;
  std::pair<std::string, std::string> name_of(const Places &places) const;
  bool placed_by_owner(PlacesId id) const;
  bool may_take_place(PlacesId id, Nanos now);
  void place_taken(PlacesId id, Nanos now);
  void place_left(PlacesId id);
  void keep_place(PlacesId id, Nanos until);
  std::uint32_t wanted_of(const Places &places, std::uint32_t taken) const;
  RateQuestion question_of(const Places &places, std::uint32_t held, std::uint32_t want);
  void ask_for_places(PlacesId id, Nanos now);
  void look_at_places(PlacesId id, Nanos at);
  void places_due(PlacesId id, Nanos now, bool at_hand = false);
  void places_open(Places &places);
  bool places_given(std::uint64_t question, std::uint32_t units, Nanos ttl, Nanos retry, Nanos now);
  bool no_places(std::uint64_t question, Nanos now);
  PlacesId places_of(DestinationId owner) const {
    return destinations_[owner].placed ? destination_places_.at(owner) : kNobody;
  }
  bool lacks_place(PlacesId id, Nanos now) const;
  Why why_no_place(PlacesId id, std::uint64_t others, Nanos now) const;

  // fair_destinations.cpp
  const DestinationLimits &limits_of(const Destination &destination) const;
  DestinationId owner_of(DestinationId id) const {
    const auto site = destinations_[id].site;
    return site == kNobody ? id : site;
  }
  Placement placement_of(DestinationId id) const;
  void set_site(DestinationId id, std::string_view site);
  bool as_new(const Destination &destination) const;
  bool is_lowered(const Destination &destination) const;
  void feedback(DestinationId id, Result result, Nanos now);
  void judge_member(DestinationId id, Result result, Nanos now);
  void kill(DestinationId id, Nanos until);
  void give_up(DestinationId id);
  void revive(DestinationId id);
  void open_as_set(DestinationId owner, Nanos now);
  void shut(DestinationId owner, Nanos until);
  RateLimit set_rate_of(DestinationId owner) const;
  Nanos open_by_rates(DestinationId owner) const;
  void bound(DestinationId owner, Nanos now);
  void bound(TokenBucket &tokens, const RateLimit &limit, Nanos now) const {
    tokens.bound(limit, now);
    if (limit) tokens.full_at = std::max(tokens.full_at, used_up_at_ + limit.tolerance() + limit.interval);
  }
  void leave(DestinationId id);
  void drop(DestinationId id);
  void forget_idle(Nanos now);

  // fair_suspensions.cpp
  void suspensions_changed(Nanos now);
  void apply_suspensions(DestinationId id);
  void apply_suspensions(Flow &flow) const;
  bool is_suspended(DestinationId owner, FlowId flow) const {
    return destinations_[owner].suspended || is_kept(owner, flow);
  }
  bool is_kept(DestinationId destination, FlowId flow) const {
    return flows_[flow].suspended || (suspended_pairs_ && kept_there(flows_[flow], destination));
  }
  bool is_kept(const Lane &lane) const { return is_kept(lane.destination, lane.flow); }
  bool kept_there(std::string_view pool, DestinationId destination) const;
  bool kept_there(const Flow &flow, DestinationId destination) const;
  Subject subject_of(GroupId id) const;
  template <class F>
  void each_subject(GroupId id, F &&f) const;
  const Suspension *suspension_of(GroupId id) const;

  // fair_decisions.cpp
  void wake(Nanos now);
  void run_timers(Nanos now);
  std::optional<Decision> next_suspended();
  std::optional<Decision> next_of(TransportId id, Nanos now);
  void look_at_processes(TransportState &transport, Nanos now) const;
  std::optional<Decision> next_of_dead(TransportId id);
  std::optional<Decision> next_suspect(TransportId id, Nanos now, bool &stop);
  Decision suspended(GroupId group, bool dead_transport);
  struct Choice {
    LaneId lane;
    std::uint8_t priority_class;
    bool ahead;  // of a list that was there first: it costs slots
  };
  Choice choose(const Share &share) const;
  bool single_first(const Share::Class &c, const SlotLimits &slots, bool &ahead) const;
  void leave_round(LaneId id);
  bool may_go(LaneId id, Nanos now);
  Decision lease(GroupId id, Nanos now);
  Nanos delay_for(Nanos age);
  double unit();

  struct DestinationKey {
    TransportId transport;
    std::string nexthop;
    auto operator<=>(const DestinationKey &) const = default;
  };
  struct DestinationView {  // of a key; what is looked up needs no text of its own
    TransportId transport;
    std::string_view nexthop;
  };
  static DestinationView view(const DestinationKey &k) { return {k.transport, k.nexthop}; }
  static DestinationView view(const DestinationView &k) { return k; }
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(const auto &k) const { return std::hash<std::string_view>{}(k.nexthop) * 31 + k.transport; }
  };
  struct KeyEqual {
    using is_transparent = void;
    bool operator()(const auto &a, const auto &b) const {
      const auto x = view(a), y = view(b);
      return x.transport == y.transport && x.nexthop == y.nexthop;
    }
  };
  struct LaneKey {
    DestinationId owner;
    std::uint32_t flow_and_list;
    auto operator<=>(const LaneKey &) const = default;
  };
  struct LaneKeyHash {
    std::size_t operator()(const LaneKey &k) const {
      return std::hash<std::uint64_t>{}((static_cast<std::uint64_t>(k.owner) << 32 | k.flow_and_list) *
                                        0x9E3779B97F4A7C15ull);
    }
  };
  struct PairView {  // of the name of a pair
    std::string_view pool, destination;
    static PairView of(std::string_view name) {
      const auto nul = name.rfind('\0');
      return {name.substr(0, nul), name.substr(nul + 1)};
    }
    static PairView of(const PairView &view) { return view; }
  };
  struct PairHash {
    using is_transparent = void;
    std::size_t operator()(const auto &k) const {
      const auto view = PairView::of(k);
      const std::hash<std::string_view> hash;
      return hash(view.pool) * 31 + hash(view.destination);
    }
  };
  struct PairEqual {
    using is_transparent = void;
    bool operator()(const auto &a, const auto &b) const {
      const auto x = PairView::of(a), y = PairView::of(b);
      return x.pool == y.pool && x.destination == y.destination;
    }
  };
  static LaneKey key_of(const Lane &lane) { return {lane.destination, lane.flow << 1 | (lane.list ? 1u : 0u)}; }

  Backoff backoff_;
  std::uint64_t random_;
  std::size_t most_flows_;
  std::uint64_t merged_flows_ = 0;
  HugePages pages_;
  LargeArray<Slot> slots_{pages_};  // by GroupId: the queue hands out small ones and uses them again
  Chunked<Destination, 256> destinations_;
  std::vector<DestinationId> free_destinations_;
  std::deque<DestinationId> idle_;
  struct Exchangers {
    std::string hosts;
    Nanos ask_at = 0;
  };
  std::unordered_map<DestinationId, Exchangers> exchangers_;  // where limits go by them
  std::unordered_map<DestinationKey, DestinationId, KeyHash, KeyEqual> by_name_;
  std::deque<DestinationId> giving_up_;  // dead, with ready groups
  Chunked<Lane, 256> lanes_;
  std::vector<LaneId> free_lanes_;
  std::unordered_map<LaneKey, LaneId, LaneKeyHash> by_key_;  // of destinations with many
  Chunked<Share, 64> shares_;
  std::vector<ShareId> free_shares_;
  std::vector<Tenant> tenants_;
  std::vector<std::uint32_t> free_tenants_;
  std::map<std::string, std::uint32_t, std::less<>> tenant_names_;
  std::vector<TenantWeight> weights_;
  Chunked<Flow, 64> flows_;
  std::vector<FlowId> free_flows_;
  std::deque<FlowId> idle_flows_;
  std::unordered_map<std::string, FlowId> flow_names_;
  Chunked<Bucket, 64> buckets_;
  std::vector<BucketId> free_buckets_;
  std::map<std::pair<RateRule::Key, std::string>, BucketId> bucket_names_;
  std::vector<RateRule> rules_;
  std::unordered_map<std::string, BucketId, PairHash, PairEqual> pair_names_;
  std::unordered_map<GroupId, BucketId> pair_leases_;  // of flows that are paired; kNobody: not limited there
  std::size_t next_pair_ = 0;                          // that forget_pairs() looks at
  std::vector<GroupState> groups_{1};                  // by GroupNumber
  std::vector<std::size_t> may_leave_;                 // choose_pool()'s
  struct Asked {
    PermitsId permits = kNobody;  // kNobody: no longer there
    RateQuestion question;
    Nanos at = 0;
  };
  std::vector<RateOwner> owners_;
  Chunked<Permits, 64> permits_;
  std::vector<PermitsId> free_permits_;
  std::unordered_map<DestinationId, PermitsId> destination_permits_;
  std::unordered_map<std::uint64_t, Asked> asked_;  // by number
  struct AskedPlaces {
    PlacesId places = kNobody;
    std::uint32_t held = 0, want = 0;
    Nanos at = 0;
  };
  Chunked<Places, 64> places_;
  std::vector<PlacesId> free_places_;
  std::unordered_map<DestinationId, PlacesId> destination_places_;
  std::unordered_map<std::uint64_t, AskedPlaces> asked_places_;  // by number
  std::vector<RateQuestion> questions_;
  std::vector<UnusedPermits> unused_;
  std::uint64_t last_question_ = 0;
  Suspensions suspensions_;
  bool suspended_pairs_ = false;  // some source pool is suspended at some destination
  std::unordered_map<DestinationId, Adaptive> adaptive_;
  std::unordered_map<DestinationId, Nanos> dead_alone_;  // since before a restart, in a site that is yet to be known
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  std::vector<TransportState> transports_;
  std::size_t turn_ = 0;  // whose turn it is among the transports
  DueWheel<FairScheduler> wheel_{*this, pages_};
  Counts counts_;
  std::optional<Why> paused_;
  Nanos now_ = 0;  // of the last next(), or restore()
  // No bucket is fuller than if it was empty then: what went before is not known.
  static constexpr Nanos kNever = std::numeric_limits<Nanos>::min() / 2;
  Nanos used_up_at_ = kNever;
  int budget_ = 0;           // of lanes that may be looked at in this call of next()
  bool unfinished_ = false;  // it was not enough
  std::function<void(GroupId)> on_soon_;
  std::function<std::optional<std::string>(GroupId)> source_pool_;
};

}  // namespace mansio::scheduler
