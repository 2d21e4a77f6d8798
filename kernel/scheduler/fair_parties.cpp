// Whose mail it is: flows, tenants, and the rates that bind them.
#include <algorithm>
#include <cassert>
#include <utility>

#include "kernel/scheduler/fair_scheduler.hpp"

namespace mansio::scheduler {
namespace {

constexpr std::size_t kIdleFlows = 4096;  // remembered beyond this only while they have groups

// RFC 6710 section 4.2: 4 and above is what needs to be quick; below 0 can wait.
std::uint8_t priority_class_of(int priority) { return priority >= 4 ? 0 : priority >= 0 ? 1 : 2; }
constexpr int kPriorities[kClasses] = {4, 0, -1};  // one of each

// Are the pairs that they limit the same, if perhaps to other rates?
bool same_pairs(const std::vector<RateRule> &a, const std::vector<RateRule> &b) {
  const auto next = [](const std::vector<RateRule> &rules, std::size_t from) {
    while (from < rules.size() && rules[from].key != RateRule::Key::SourcePoolDestination) ++from;
    return from;
  };
  auto i = next(a, 0), k = next(b, 0);
  for (; i < a.size() && k < b.size(); i = next(a, i + 1), k = next(b, k + 1))
    if (a[i].match != b[k].match || a[i].destinations != b[k].destinations) return false;
  return i >= a.size() && k >= b.size();
}

std::string flow_name(std::string_view tenant, std::string_view campaign, std::string_view sender,
                      std::string_view source_pool, std::uint8_t priority_class) {
  std::string name;
  name.reserve(tenant.size() + campaign.size() + sender.size() + source_pool.size() + 4);
  for (const auto part : {tenant, campaign, sender, source_pool}) name.append(part).append(1, '\0');
  return name.append(1, static_cast<char>('0' + priority_class));
}

}  // namespace

FlowId FairScheduler::flow(const Party &party) { return make_flow(party, 0); }

// `chosen_from`: the source group that names this party's source pool; 0: the party does.
FlowId FairScheduler::make_flow(Party party, GroupNumber chosen_from) {
  // Senders are too many to tell apart for nothing.
  const bool matters = suspensions_.find(Suspension::Key::Sender, party.sender) != nullptr ||
                       std::any_of(rules_.begin(), rules_.end(), [&](const RateRule &r) {
                         return r.key == RateRule::Key::Sender && r.matches(party.sender);
                       });
  if (!matters) party.sender = {};
  if (const auto id = intern(party, chosen_from)) return *id;
  // Too many: it is its tenant's and its source pool's as long as there is a flow for these, with their limits and
  // suspensions, and nobody's only then.
  ++merged_flows_;
  for (auto *without : {&party.sender, &party.campaign}) {
    *without = {};
    if (const auto id = intern(party, chosen_from)) return *id;
  }
  return 0;
}

// Nothing: there is none, and no room for one. What is left at the end is kept for those that tell fewer apart, so that
// there is a flow to fall back on.
std::optional<FlowId> FairScheduler::intern(const Party &party, GroupNumber chosen_from) {
  const auto priority_class = priority_class_of(party.priority);
  const auto sender = party.sender;
  auto name = flow_name(party.tenant, party.campaign, sender, party.source_pool, priority_class);
  if (chosen_from != 0) name.append(groups_[chosen_from].name);
  const auto [at, fresh] = flow_names_.try_emplace(std::move(name), 0);
  if (!fresh) return at->second;
  const auto kept = !sender.empty() ? most_flows_ / 8 : !party.campaign.empty() ? most_flows_ / 16 : 0;
  if (flow_names_.size() > most_flows_ - kept) {  // this one included
    flow_names_.erase(at);
    return std::nullopt;
  }
  const auto id = take_number(free_flows_, flows_);
  at->second = id;
  auto &f = flows_[id] = Flow{};
  f.used = true;
  f.priority_class = priority_class;
  f.campaign = party.campaign;
  f.sender = sender;
  f.source_pool = party.source_pool;
  f.chosen = chosen_from != 0;
  f.group = chosen_from;
  if (groups_.size() > 1) find_group(f);
  f.tenant = tenant_named(party.tenant);
  ++tenants_[f.tenant].flows;
  find_buckets(f);
  if (!suspensions_.active().empty()) apply_suspensions(f);
  leave_flow(id);  // no groups yet: it may be forgotten again
  return id;
}

std::uint32_t FairScheduler::tenant_named(std::string_view name) {
  if (const auto known = tenant_names_.find(name); known != tenant_names_.end()) return known->second;
  if (free_tenants_.empty()) {
    free_tenants_.push_back(static_cast<std::uint32_t>(tenants_.size()));
    tenants_.emplace_back();
  }
  const auto id = free_tenants_.back();
  free_tenants_.pop_back();
  const auto weighted = std::find_if(weights_.begin(), weights_.end(), [&](const auto &w) { return w.name == name; });
  tenants_[id] = {std::string{name}, weighted == weights_.end() ? 1 : weighted->weight, 0};
  tenant_names_.emplace(name, id);
  return id;
}

// Policies may name any number of them, for each sender one perhaps. Without a flow it has neither lanes nor leases, so
// its shares offer and hold nothing.
void FairScheduler::leave_tenant(std::uint32_t tenant) {
  if (--tenants_[tenant].flows > 0) return;
  for (auto &t : transports_) {
    if (tenant >= t.shares.size() || t.shares[tenant] == kNobody) continue;
    const auto share = std::exchange(t.shares[tenant], kNobody);
    assert(!shares_[share].counted && shares_[share].ring == Share::Ring::None);
    shares_[share] = Share{};
    free_shares_.push_back(share);
  }
  tenant_names_.erase(tenants_[tenant].name);
  tenants_[tenant] = {};
  free_tenants_.push_back(tenant);
}

FlowId FairScheduler::with_source_pool(FlowId id, std::string_view pool) {
  const auto &f = flows_[id];
  if (!f.chosen && f.source_pool == pool) return id;
  return with_pool(f, pool, 0);
}

FlowId FairScheduler::with_sender(FlowId id, std::string_view sender) {
  const auto &f = flows_[id];
  return make_flow({tenants_[f.tenant].name, f.campaign, sender, f.source_pool, kPriorities[f.priority_class]},
                   f.chosen ? f.group : GroupNumber{0});
}

FlowId FairScheduler::with_pool(const Flow &f, std::string_view pool, GroupNumber chosen_from) {
  return make_flow({tenants_[f.tenant].name, f.campaign, f.sender, pool, kPriorities[f.priority_class]}, chosen_from);
}

std::string FairScheduler::name_of(const Flow &f) const {
  auto name = flow_name(tenants_[f.tenant].name, f.campaign, f.sender, f.source_pool, f.priority_class);
  if (f.chosen) name.append(groups_[f.group].name);
  return name;
}

// Of a group that is in no list and not leased.
void FairScheduler::move_to(Slot &s, FlowId flow) {
  --flows_[s.flow].groups;
  leave_flow(s.flow);
  s.flow = flow & ((1u << Slot::kFlowBits) - 1);
  ++flows_[flow].groups;
}

// Its turn has come: which source pool does it leave from? True: it is that of another one than it waited for, as whose
// mail the caller puts it in line anew.
bool FairScheduler::changes_pool(GroupId id, Nanos now) {
  auto &s = slots_[id];
  if (source_pool_) {
    const auto pool = source_pool_(id);
    if (pool && *pool != named_pool(flows_[s.flow])) {
      const auto flow = with_source_pool(s.flow, *pool);
      if (flow == s.flow) return false;
      move_to(s, flow);
      return true;
    }
  }
  const auto &f = flows_[s.flow];
  if (f.group == 0 || (f.chosen && !f.stale)) return false;
  if (!f.chosen) return !choose_pool(id, now);
  move_to(s, with_source_pool(s.flow, named_pool(f)));
  return true;
}

void FairScheduler::tenants(std::vector<TenantWeight> weights) {
  weights_ = std::move(weights);
  for (auto &t : tenants_) t.weight = 1;
  for (auto &w : weights_) {
    w.weight = std::max<std::uint32_t>(w.weight, 1);
    if (const auto at = tenant_names_.find(w.name); at != tenant_names_.end()) tenants_[at->second].weight = w.weight;
  }
  for (auto &t : transports_) t.weight = 0;
  for (std::size_t i = 0; i < shares_.size(); ++i)
    if (shares_[i].counted) transports_[shares_[i].transport].weight += weight(shares_[i]);
  for (std::size_t i = 0; i < shares_.size(); ++i) settle(static_cast<ShareId>(i));
}

void FairScheduler::rates(std::vector<RateRule> rules) {
  const bool other_pairs = !same_pairs(rules_, rules);
  rules_ = std::move(rules);
  apply_rates(other_pairs);
}

// `other_pairs`: other source pools are limited, or at other destinations, or what names them.
void FairScheduler::apply_rates(bool other_pairs) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) unblock_all(buckets_[i]);
  for (auto &[name, id] : bucket_names_) {
    const auto rule = std::find_if(rules_.begin(), rules_.end(), [&, &k = name](const RateRule &r) {
      return r.key == k.first && r.matches(k.second);
    });
    limit(id, rule == rules_.end() ? RateRule{} : *rule);
  }
  for (std::size_t i = 0; i < flows_.size(); ++i) {
    auto &f = flows_[i];
    if (!f.used) continue;
    const auto before = f.buckets;
    find_buckets(f);
    for (const auto id : before)
      if (id != kNobody) --buckets_[id].users, buckets_[id].ready -= f.ready;
  }
  limit_pairs(other_pairs);
  find_members();
}

// What a source group's name would have is each of its pools'.
void FairScheduler::find_buckets(Flow &f) {
  const bool of_group = f.group != 0 && !f.chosen;
  const std::string none;
  const std::string *names[RateRule::kKeys] = {&tenants_[f.tenant].name, &f.campaign, &f.sender,
                                               of_group ? &none : &f.source_pool};
  for (std::size_t k = 0; k < f.buckets.size(); ++k) {
    f.buckets[k] = bucket_of(static_cast<RateRule::Key>(k), *names[k]);
    if (f.buckets[k] != kNobody) ++buckets_[f.buckets[k]].users, buckets_[f.buckets[k]].ready += f.ready;
  }
  f.paired = !of_group && has_pairs(f.source_pool);
}

// What it allows from now on. No more is owed than a new rate lets anybody owe.
void FairScheduler::limit(BucketId id, const RateRule &rule) {
  auto &b = buckets_[id];
  b.limit = rule.limit;
  b.concurrency = rule.concurrency;
  if (b.limit) bound(b.tokens, b.limit, now_);
  b.permits = own(b.permits, Permits::Of::Party, id, b.limit);
}

BucketId FairScheduler::new_bucket(RateRule::Key key, const std::string &name) {
  const auto id = take_number(free_buckets_, buckets_);
  auto &b = buckets_[id] = Bucket{};
  b.key = key;
  b.name = name;
  return id;
}

BucketId FairScheduler::bucket_of(RateRule::Key key, const std::string &name) {
  const auto rule =
      std::find_if(rules_.begin(), rules_.end(), [&](const RateRule &r) { return r.key == key && r.matches(name); });
  if (rule == rules_.end() || !rule->limit) return kNobody;
  const auto [at, fresh] = bucket_names_.try_emplace({key, name}, 0);
  if (!fresh) return at->second;
  at->second = new_bucket(key, name);
  limit(at->second, *rule);
  return at->second;
}

// What is known of a rate goes with the last flow that uses it.
void FairScheduler::drop_buckets(Flow &f) {
  for (auto &id : f.buckets) {
    if (id == kNobody) continue;
    auto &b = buckets_[id];
    if (--b.users == 0 && b.waiting == 0) {
      if (b.permits != kNobody) disown(b.permits);
      bucket_names_.erase({b.key, b.name});
      b = Bucket{};
      free_buckets_.push_back(id);
    }
    id = kNobody;
  }
}

void FairScheduler::unblock_all(Bucket &b) {
  for (auto &[share, lanes] : b.blocked) {
    while (!lanes.empty()) {
      const auto lane = lanes.head;
      place(lane, Lane::Place::Idle);
      offer(lanes_[lane].destination);
    }
  }
}

// Lanes wait for it: it is to be looked at when it has something to give.
void FairScheduler::arm(BucketId id) {
  auto &b = buckets_[id];
  if (b.waiting == 0 || b.full()) return;  // a delivery that ends comes here
  const bool owned = by_owner(b.permits);
  if (owned && permits_[b.permits].question != 0 && !open(b, now_)) return;  // its answer is looked at
  const auto at = owned ? 1 : std::max<Nanos>(b.tokens.next(b.limit), 1);    // asked by next(), which knows the time
  if (b.timer != 0 && b.timer <= at) return;
  b.timer = at;
  timers_.push({at, id, Timer::Kind::Bucket});
}

// All that it might have been let in by.
void FairScheduler::arm_all(const Lane &lane) {
  for (const auto id : flows_[lane.flow].buckets)
    if (id != kNobody) arm(id);
  if (lane.pair != kNobody) arm(lane.pair);
}

void FairScheduler::take(BucketId id, Nanos now) {
  auto &b = buckets_[id];
  const bool owned = by_owner(b.permits);
  if (owned)
    use(b.permits, now);
  else
    b.tokens.take(b.limit, now);
  refill(b.permits, now);
  if (!owned || !open(b, now)) arm(id);  // with permits left as many lanes were let in already
}

// Lets in as many lanes of each share as it has something for. They take it when their turn comes, and block the others
// again; one that turns out not to be able to go passes it on.
void FairScheduler::wake_bucket(BucketId id, Nanos now) {
  constexpr Nanos kPatience = 50 * kMillisecond;
  auto &b = buckets_[id];
  b.timer = 0;
  if (b.full()) return;
  const bool owned = by_owner(b.permits);
  const auto room = b.concurrency == 0 ? UINT64_MAX : std::uint64_t{b.concurrency} - b.busy;
  const auto tokens =
      std::min<std::uint64_t>(room, owned ? permits_[b.permits].units(now) : b.tokens.tokens(b.limit, now));
  for (auto &[share, lanes] : b.blocked) {
    for (auto n = tokens; n > 0 && !lanes.empty() && budget_ > 0; --budget_) {
      const auto lane = lanes.head;
      place(lane, Lane::Place::Idle);
      const auto &d = destinations_[lanes_[lane].destination];
      if (!d.eligible() || is_kept(lanes_[lane])) continue;
      place(lane, Lane::Place::Offered);
      --n;
    }
  }
  unfinished_ |= budget_ <= 0;
  if (b.waiting == 0) return;
  if (owned && tokens == 0) return ask(b.permits, now, 1);
  const auto later = now + kPatience;
  const auto least = tokens > 0 ? later : now;  // others may have taken what it was to have by now
  b.timer = unfinished_ ? now : owned ? later : std::max(b.tokens.next(b.limit), least);
  timers_.push({b.timer, id, Timer::Kind::Bucket});
}

bool FairScheduler::open(const Bucket &b, Nanos now) const {
  return !b.full() && (by_owner(b.permits) ? permits_[b.permits].units(now) > 0 : b.tokens.open(b.limit, now));
}

BucketId FairScheduler::closed_bucket(const Flow &f, BucketId pair, Nanos now) const {
  for (const auto id : f.buckets)
    if (id != kNobody && !open(buckets_[id], now)) return id;
  return pair != kNobody && !open(buckets_[pair], now) ? pair : kNobody;
}

void FairScheduler::leave_flow(FlowId id) {
  auto &f = flows_[id];
  if (f.idle || f.groups > 0 || id == 0) return;
  f.idle = true;
  idle_flows_.push_back(id);
}

void FairScheduler::forget_flows(Nanos now) {
  for (int n = 0; n < 8 && idle_flows_.size() > kIdleFlows; ++n) {
    const auto id = idle_flows_.front();
    idle_flows_.pop_front();
    auto &f = flows_[id];
    f.idle = false;
    if (f.groups > 0) continue;
    const bool owes = std::any_of(f.buckets.begin(), f.buckets.end(), [&](BucketId b) {
      return b != kNobody && buckets_[b].users == 1 && buckets_[b].tokens.full_at > now;
    });
    if (owes) {
      leave_flow(id);
      continue;
    }
    flow_names_.erase(name_of(f));
    drop_buckets(f);
    leave_tenant(f.tenant);
    f = Flow{};
    free_flows_.push_back(id);
  }
}

}  // namespace mansio::scheduler
