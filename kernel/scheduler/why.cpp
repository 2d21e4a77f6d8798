// Why a group is not moving: the first limit that binds, in the order in which next() meets them.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "kernel/scheduler/fair_scheduler.hpp"

namespace mansio::scheduler {
namespace {

double seconds(Nanos t) { return static_cast<double>(t) / kSecond; }

std::string rate_text(const RateLimit &limit) {
  return fmt::format("one delivery each {:.3g} s, {} at once", seconds(limit.interval), limit.burst);
}

}  // namespace

// The limit has an owner, and none of its permits.
Why FairScheduler::why_no_permits(PermitsId id, std::uint64_t others, Nanos now) const {
  const auto &p = permits_[id];
  const auto &owner = owners_[p.limit.owner - 1u];
  auto [limit, key] = name_of(p);
  auto eligible = std::max(p.ask_at, now);
  if (p.question != 0) eligible = asked_.at(p.question).at + owner.time_limit;
  const auto *state = p.failed          ? "which does not answer"
                      : p.question != 0 ? "which is asked for more"
                      : p.ask_at > now  ? "which has none to give now"
                                        : "which is to be asked";
  Why why{std::move(limit), fmt::format("{}: {}, by permits of {}, {}", key, rate_text(p.limit), owner.name, state),
          eligible, seconds(p.limit.interval), others};
  why.owner = owner.name;
  return why;
}

bool FairScheduler::lacks_place(PlacesId id, Nanos now) const {
  if (!placed_by_owner(id) || !places_[id].wanted) return false;
  return places_[id].free(taken_of(places_[id]), now) == 0;
}

Why FairScheduler::why_no_place(PlacesId id, std::uint64_t others, Nanos now) const {
  const auto &p = places_[id];
  const auto &owner = owners_[p.terms.owner - 1u];
  auto [limit, key] = name_of(p);
  const auto asked = asked_places_.find(p.question);
  const auto eligible = asked != asked_places_.end() ? asked->second.at + owner.time_limit : std::max(p.ask_at, now);
  const auto *state = p.failed          ? "which does not answer"
                      : p.question != 0 ? "which is asked for more"
                      : p.ask_at > now  ? "which has none to give now"
                                        : "which is to be asked";
  const bool delay = p.terms.rest > 0;
  auto what =
      delay ? fmt::format("{:.3g} s between deliveries", seconds(p.terms.rest))
            : fmt::format("{} at once over all nodes, {} of them here", p.terms.capacity, p.held(taken_of(p), now));
  if (p.terms.of == Places::Of::Transport) limit = "transport_sessions";
  Why why{std::move(limit), fmt::format("{}: {}, by permits of {}, {}", key, what, owner.name, state), eligible,
          delay ? seconds(p.terms.rest) : static_cast<double>(p.terms.capacity), others};
  why.owner = owner.name;
  return why;
}

Why FairScheduler::why(GroupId id, Nanos now) const {
  if (id >= slots_.size()) return {"unknown", "", 0};
  const auto &s = slots_[id];
  const auto owner = owner_of(s.destination);
  const auto &own = destinations_[s.destination];
  const auto &d = destinations_[owner];
  const auto &t = transports_[d.transport];
  const auto &flow = flows_[s.flow];
  const auto &limits = limits_of(d);
  const auto itself = s.state() == SlotState::Ready ? 1u : 0u;
  const auto there = d.ready - itself;
  const auto of = [](Why::Of whose, std::uint32_t number, Why why) {
    why.of = whose;
    why.id = number;
    return why;
  };
  const auto of_site = [&](Why why) { return of(Why::Of::Destination, owner, std::move(why)); };
  const auto of_transport = [&](Why why) { return of(Why::Of::Transport, d.transport, std::move(why)); };
  const auto *suspension = suspension_of(id);
  const auto suspended_until = [&](Nanos at_least) -> Why {
    Why why{"suspended", text_of(*suspension),
            suspension->until == kForGood ? 0 : std::max(suspension->until, at_least), 0, there};
    if (suspension->key == Suspension::Key::Destination) return of_site(std::move(why));
    const auto ready = suspension->destination.empty() ? flow.ready : std::min(flow.ready, own.ready);
    why.others = ready - itself;  // and perhaps other flows of the same party
    return why;
  };
  switch (s.state()) {
    case SlotState::Free:
      return {"unknown", "", 0};
    case SlotState::Leased:
      return {"delivery", "a delivery is under way", 0};
    case SlotState::Suspended:
      return own.dead ? Why{"dead_destination", own.nexthop, own.dead_until}
                      : Why{"dead_destination", d.nexthop, d.dead_until};
    case SlotState::Held:
      return {"hold", "held until it is released", 0};
    case SlotState::Deferred:
      if (suspension && suspension->until > s.due) return suspended_until(s.due);
      return {"backoff", "waits for its next attempt", s.due};
    case SlotState::Ready:
    case SlotState::Suspect:
      break;
  }
  if (suspension) return suspended_until(now);
  if (own.dead)  // which its site need not be
    return of(Why::Of::Destination, s.destination,
              {"dead_destination", own.nexthop, own.dead_until, 0, own.ready - itself});
  if (d.dead) return of_site({"dead_destination", d.nexthop, d.dead_until, 0, there});
  if (t.capacity == 0)
    return of_transport({"transport_unavailable", t.limits.name + " has no process to run it",
                         t.unavailable_since == 0 ? 0 : t.unavailable_since + t.limits.transport_retry_time, 0,
                         t.ready - 1});
  if (t.alone_running)
    return of_transport(
        {"alone", "a message suspected of killing workers runs alone on " + t.limits.name, 0, 1, t.ready - 1});
  if (s.state() == SlotState::Suspect)
    return {"alone", "suspected of killing workers: waits until nothing else runs on " + t.limits.name,
            t.drain_from > now ? t.drain_from : 0, static_cast<double>(t.in_use()), t.ready - 1};
  if (paused_) {
    auto why = *paused_;
    why.others = counts_.ready - 1;
    return of(Why::Of::All, 0, std::move(why));
  }
  // A delay that is over all nodes counts on this one besides.
  const auto by_its_owner = [&](PlacesId places, Why why) {
    if (placed_by_owner(places) && places_[places].terms.rest > 0)
      why.owner = owners_[places_[places].terms.owner - 1u].name;
    return why;
  };
  // What is its destination's own first: that does not pass when a session becomes free. Of a delay, a rate that is set
  // and one that was found the last to open binds.
  if (d.shut) {
    const auto set = set_rate_of(owner);
    const auto set_opens = set ? d.tokens.next(set) : 0;
    const auto found_opens = d.adapted ? adaptive_.at(owner).open_at() : 0;
    if (limits.rate_delay > 0 && std::max(set_opens, found_opens) < d.open_at)
      return of_site(by_its_owner(
          places_of(owner), {"destination_rate_delay",
                             fmt::format("{}: {:.3g} s between deliveries", d.nexthop, seconds(limits.rate_delay)),
                             d.open_at, seconds(limits.rate_delay), there}));
    const bool found = d.adapted && found_opens >= set_opens;
    const auto binding = found ? adaptive_.at(owner).limit() : limits.rate;
    return of_site({found ? "adaptive_rate" : "destination_rate_limit",
                    d.nexthop + (found ? " asked for less: " : ": ") + rate_text(binding), d.open_at,
                    seconds(binding.interval), there});
  }
  const auto lacks = [&](PermitsId permits) {  // and has been asked
    if (!by_owner(permits) || permits_[permits].units(now) > 0) return false;
    return permits_[permits].question != 0 || permits_[permits].ask_at > now;
  };
  if (const auto permits = permits_of(owner); lacks(permits)) return of_site(why_no_permits(permits, there, now));
  if (d.busy >= d.window.size && limits.rate_delay > 0)  // which is why there is one at once
    return of_site(
        by_its_owner(places_of(owner), {"destination_rate_delay",
                                        fmt::format("{}: {:.3g} s between deliveries, one of which is under way",
                                                    d.nexthop, seconds(limits.rate_delay)),
                                        0, seconds(limits.rate_delay), there}));
  if (d.busy >= d.window.size)
    return of_site({"destination_concurrency_limit", fmt::format("{}: {} at once now", d.nexthop, d.window.size), 0,
                    static_cast<double>(d.window.size), there});
  if (const auto places = places_of(owner); lacks_place(places, now)) return of_site(why_no_place(places, there, now));
  if (const auto b = closed_bucket(flow, find_pair(s), now); b != kNobody) {
    const auto &bucket = buckets_[b];
    const auto others = bucket.ready - itself;
    const bool owned = by_owner(bucket.permits);
    if (owned ? permits_[bucket.permits].units(now) > 0 : bucket.tokens.open(bucket.limit, now))
      return of(Why::Of::Rate, b,
                {"source_pool_destination_concurrency_limit",
                 fmt::format("{}: {} at once", shown_name(bucket), bucket.concurrency), 0,
                 static_cast<double>(bucket.concurrency), others});
    if (owned) return of(Why::Of::Rate, b, why_no_permits(bucket.permits, others, now));
    return of(Why::Of::Rate, b,
              {std::string{rate_limit_name(bucket.key)}, shown_name(bucket) + ": " + rate_text(bucket.limit),
               bucket.tokens.next(bucket.limit), seconds(bucket.limit.interval), others});
  }
  if (lacks(t.permits)) return of_transport(why_no_permits(t.permits, t.ready - 1, now));
  if (t.open_at > now) {
    const auto &limit = t.limits;
    const bool by_rate = limit.rate && !by_owner(t.permits) && t.tokens.next(limit.rate) >= t.open_at;
    if (limit.rate_delay > 0 && !by_rate)
      return of_transport(by_its_owner(
          t.spacing, {"transport_rate_delay",
                      fmt::format("{}: {:.3g} s between deliveries", limit.name, seconds(limit.rate_delay)), t.open_at,
                      seconds(limit.rate_delay), t.ready - 1}));
    return of_transport({"transport_rate_limit", limit.name + ": " + rate_text(limit.rate), t.open_at,
                         seconds(limit.rate.interval), t.ready - 1});
  }
  for (const auto places : {t.places, t.spacing})
    if (t.in_use() < t.sessions() && lacks_place(places, now))
      return of_transport(why_no_place(places, t.ready - 1, now));
  if (t.in_use() >= t.sessions())
    return of_transport({"transport_sessions", fmt::format("{}: {} deliveries at once", t.limits.name, t.sessions()), 0,
                         static_cast<double>(t.sessions()), t.ready - 1});
  if (flow.tenant < t.shares.size() && t.shares[flow.tenant] != kNobody) {
    const auto &share = shares_[t.shares[flow.tenant]];
    if (share.ring == Share::Ring::Over && !t.leaves_room())
      return of(Why::Of::Share, t.shares[flow.tenant],
                {"tenant_share",
                 fmt::format("{}: {} deliveries of tenant {} are under way, the rest is for others", t.limits.name,
                             share.leased, tenants_[flow.tenant].name),
                 0, static_cast<double>(share.leased), t.ready - 1});
  }
  return of_transport({"turn", "ready, others are before it", 0, 0, t.ready - 1});
}

// Lanes without groups do not exist, so what is looked at is bounded as what is visited.
bool FairScheduler::each_waiting(const Why &why, std::size_t most, const std::function<void(GroupId)> &visit) const {
  const auto in_list = [&](const Ends &groups) {
    for (auto id = groups.head; id != kNobody; id = slots_[id].next) {
      if (most == 0) return false;
      --most;
      visit(id);
    }
    return true;
  };
  const auto in_own = [&](const Lane &lane) { return in_list(lane.fresh) && in_list(lane.retried); };
  const auto in_lane = [&](const Lane &lane) {
    bool whole = in_own(lane);
    for (auto child = lane.children.head; whole && child != kNobody; child = lanes_[child].round_next)
      whole = in_own(lanes_[child]);
    return whole;
  };
  const auto in_round = [&](const Ends &lanes) {
    for (auto id = lanes.head; id != kNobody; id = lanes_[id].round_next)
      if (!in_lane(lanes_[id])) return false;
    return true;
  };
  const auto in_share = [&](const Share &share) {
    for (const auto &c : share.classes)
      if (!in_round(c.rounds[0]) || !in_round(c.rounds[1])) return false;
    return true;
  };
  const auto in_transport = [&](const TransportState &t) {
    for (const auto ring : {t.under.head, t.over.head})
      for (auto id = ring; id != kNobody; id = shares_[id].next)
        if (!in_share(shares_[id])) return false;
    return true;
  };
  switch (why.of) {
    case Why::Of::Group:
      break;
    case Why::Of::Destination:
      for (auto id = destinations_[why.id].lanes.head; id != kNobody; id = lanes_[id].next)
        if (!in_lane(lanes_[id])) return false;
      break;
    case Why::Of::Rate:
      for (const auto &[share, lanes] : buckets_[why.id].blocked)
        if (!in_round(lanes)) return false;
      break;
    case Why::Of::Share:
      return in_share(shares_[why.id]);
    case Why::Of::Transport:
      return in_transport(transports_[why.id]);
    case Why::Of::All:
      return std::all_of(transports_.begin(), transports_.end(), in_transport);
  }
  return true;
}

}  // namespace mansio::scheduler
