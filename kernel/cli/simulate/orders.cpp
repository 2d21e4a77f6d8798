// What changes the course of a simulation, as it does in the queue process: operators' orders, and what replies do by
// [[response]] rules.
#include <algorithm>
#include <utility>

#include "kernel/cli/simulate/simulation.hpp"

namespace mansio::cli::simulate {
namespace {

// "450 4.7.1 too much": its codes, and all of it.
scheduler::Reply parts_of(std::string_view reply) {
  scheduler::Reply out;
  out.code = reply.substr(0, 3);
  out.text = reply;
  if (reply.size() > 4 && reply[4] == reply[0])
    if (const auto second = reply.substr(4, reply.find(' ', 4) - 4); second.find('.') != second.npos)
      out.enhanced = second;
  return out;
}

}  // namespace

// The replies of a site are looked at together.
void Simulation::respond(scheduler::GroupId id) {
  auto &g = groups_[id];
  if (responses_.empty() || g.ending == Ending::Delivered) return;
  const auto &hop = hops_[g.hop];
  auto reply = parts_of(g.ending == Ending::Deferred   ? hop.hop.spec().error_reply
                        : g.ending == Ending::TooMuch  ? hop.hop.spec().rate_reply
                        : g.ending == Ending::Rejected ? std::string_view{"550 5.1.1 no such user"}
                                                       : std::string_view{});
  if (g.ending == Ending::NoConnection) reply.enhanced = "4.4.1", reply.text = "connection refused";
  reply.destination = hop.hop.name();
  const std::string site{site_of(id)};
  reply.site = site;
  const auto now = kBegin + now_;
  const auto *rule = responses_.match(reply);
  if (!rule || !responses_.reached(*rule, site, now)) return;
  using Action = scheduler::ResponseRule::Action;
  switch (rule->action) {
    case Action::Suspend:
      scheduler_->suspend({scheduler::Suspension::Key::Destination, site, now, now + rule->time, "for its reply"}, now);
      break;
    case Action::Slow:
      scheduler_->push_back(scheduler_->destination_of(id), now);
      break;
    case Action::Concurrency:
      scheduler_->lower_concurrency(scheduler_->destination_of(id), rule->concurrency);
      break;
    case Action::Bounce:
      g.ending = Ending::Rejected;
      break;
    case Action::Pool:
      std::erase_if(switched_pools_, [this](const auto &p) { return p.second.until <= now_; });
      switched_pools_.insert_or_assign(site, SwitchedPool{rule->pool, now_ + rule->time});
      scheduler_->on_turn([this](scheduler::GroupId group) { return std::optional<std::string>{pool_of(group)}; });
      break;
  }
}

// Whose limits count for it: its own, or those of a site.
std::string_view Simulation::site_of(scheduler::GroupId id) const {
  return scheduler_->nexthop_of(scheduler_->site_of(scheduler_->destination_of(id)));
}

// That it leaves from, or the source group that it names: by an operator, a reply, or as it came; the first that spoke.
std::string_view Simulation::pool_of(scheduler::GroupId id) const {
  if (!rebound_.empty())
    if (const auto at = rebound_.find(id); at != rebound_.end()) return *at->second;
  if (!switched_pools_.empty()) {
    const auto at = switched_pools_.find(site_of(id));
    if (at != switched_pools_.end() && at->second.until > now_) return at->second.pool;
  }
  return s_.arrivals[groups_[id].arrival].source_pool;
}

// The orders whose time has come.
void Simulation::order() {
  for (; ordered_ < s_.events.size() && s_.events[ordered_].at <= now_; ++ordered_) follow(s_.events[ordered_]);
}

void Simulation::follow(const EventSpec &e) {
  using Action = EventSpec::Action;
  const auto available = [&](bool there) {
    for (std::size_t id = 0; id < transport_limits_.size(); ++id)
      if (const auto &limits = transport_limits_[id]; limits.name == e.transport)
        scheduler_->transport_available(static_cast<scheduler::TransportId>(id), there ? limits.sessions : 0);
  };
  switch (e.action) {
    case Action::Suspend:
    case Action::Resume:
      return suspend(e);
    case Action::Flush:
      return each_meant(e, [&](scheduler::GroupId id) { flush(id, e.paced); });
    case Action::Hold:
      return each_meant(e, [&](scheduler::GroupId id) { hold(id); });
    case Action::Release:
      return each_meant(e, [&](scheduler::GroupId id) { release(id); });
    case Action::Rebind:
      return each_meant(e, [&](scheduler::GroupId id) {
        rebound_[id] = &e.pool;
        scheduler_->set_flow(id, scheduler_->with_source_pool(scheduler_->flow_of(id), e.pool), kBegin + now_);
      });
    case Action::Unthrottle:
      return unthrottle(e.destination);
    case Action::Stop:
      return available(false);
    case Action::Start:
      return available(true);
  }
}

// By number; none given: all.
std::vector<bool> Simulation::hops_of(const std::string &destination) const {
  std::vector<bool> out(hops_.size(), destination.empty());
  if (destination.empty()) return out;
  for (std::size_t i = 0; i < hops_.size(); ++i) {
    const auto &h = hops_[i];
    out[i] = s_.destinations[h.spec].name == destination ||
             scheduler::Suspension::stands_for(destination, h.hop.name()) || *h.owner == destination;
  }
  return out;
}

template <class F>
void Simulation::each_meant(const EventSpec &e, F &&f) {
  const auto hops = hops_of(e.destination);
  for (scheduler::GroupId id = 0; id < groups_.size(); ++id) {
    const auto &g = groups_[id];
    if (g.state == State::Gone || !hops[g.hop]) continue;
    if (!e.transport.empty() && transport_limits_[hops_[g.hop].transport].name != e.transport) continue;
    if (!e.tenant.empty() && report_.tenants[g.tenant].name != e.tenant) continue;
    if (!e.campaign.empty() && s_.arrivals[g.arrival].campaign != e.campaign) continue;
    if (!e.source_pool.empty() && pool_of(id) != e.source_pool && scheduler_->chosen_pool(id) != e.source_pool)
      continue;
    f(id);
  }
}

void Simulation::suspend(const EventSpec &e) {
  using By = scheduler::Suspension::Key;
  const auto now = kBegin + now_;
  scheduler::Suspension s{By::Destination, e.destination, now, e.time > 0 ? now + e.time : scheduler::kForGood,
                          "an order"};
  for (const auto &[key, name] : {std::pair{By::Tenant, &e.tenant}, std::pair{By::Campaign, &e.campaign},
                                  std::pair{By::SourcePool, &e.source_pool}}) {
    if (name->empty()) continue;
    s.key = key;
    s.name = *name;
    s.destination = e.destination;
  }
  if (e.action == EventSpec::Action::Resume)
    scheduler_->resume(s.key, s.name, now, s.destination);
  else
    scheduler_->suspend(std::move(s), now);
  place_hops();
}

// What is being delivered is held when it comes back.
void Simulation::hold(scheduler::GroupId id) {
  auto &g = groups_[id];
  g.to_hold = g.state == State::UnderWay;
  if (g.state != State::Waiting) return;
  end_flushed(id);
  g.state = State::Held;
  scheduler_->hold(id);
}

void Simulation::release(scheduler::GroupId id) {
  auto &g = groups_[id];
  g.to_hold = false;
  if (g.state != State::Held) return;
  g.state = State::Waiting;
  scheduler_->set_due(id, kBegin + now_);
  scheduler_->release(id, kBegin + now_, kBegin + now_);
}

// As if it had said nothing.
void Simulation::unthrottle(const std::string &destination) {
  const auto hops = hops_of(destination);
  for (std::size_t i = 0; i < hops_.size(); ++i) {
    if (!hops[i]) continue;
    const auto &h = hops_[i];
    switched_pools_.erase(*h.owner);
    if (const auto id = scheduler_->find_destination(h.transport, h.hop.name()))
      scheduler_->unthrottle(*id, kBegin + now_);
  }
}

void Simulation::flush(scheduler::GroupId id, bool paced) {
  auto &g = groups_[id];
  if (g.state != State::Waiting || g.flush != Flush::None) return;
  if (!paced) {
    g.flush = Flush::LetOut;
    return scheduler_->flush(id, kBegin + now_);
  }
  g.flush = Flush::Waiting;
  flushes_[hops_[g.hop].transport].waiting.push_back(id);
  ++flushing_;
}

// True: there is more to decide about.
bool Simulation::let_out() {
  if (flushing_ == 0) return false;
  const auto progress = [this](const std::pair<scheduler::GroupId, Nanos> &delivery) {
    const auto &[id, arrived] = delivery;
    const auto &g = groups_[id];
    if (g.flush != Flush::LetOut || g.arrived != arrived) return queue::FlushProgress::Over;
    if (g.state == State::UnderWay) return queue::FlushProgress::UnderWay;
    return g.state == State::Waiting && scheduler_->due(id) <= kBegin + now_ ? queue::FlushProgress::Waits
                                                                             : queue::FlushProgress::Over;
  };
  bool any = false;
  for (auto &f : flushes_) {
    if (f.waiting.empty()) continue;
    f.pace.settle(now_, progress);
    while (!f.waiting.empty() && f.pace.room()) {
      const auto id = f.waiting.front();
      f.waiting.pop_front();
      --flushing_;
      auto &g = groups_[id];
      if (g.flush != Flush::Waiting) continue;  // it is gone, or was tried meanwhile
      g.flush = Flush::None;
      if (g.state != State::Waiting) continue;
      g.flush = Flush::LetOut;
      scheduler_->flush(id, kBegin + now_);
      f.pace.let_out({id, g.arrived}, now_);
      let_out_[id] = {now_};
      any = true;
    }
  }
  return any;
}

void Simulation::begin_flushed(scheduler::GroupId id) {
  const auto &g = groups_[id];
  const auto at = g.flush == Flush::LetOut ? let_out_.find(id) : let_out_.end();
  if (at == let_out_.end() || now_ >= at->second.since + decltype(Flushes::pace)::kPatience) return;
  auto &f = flushes_[hops_[g.hop].transport];
  at->second.counts = true;
  if (++f.under_way > f.pace.most()) violation("more of a flush is under way than it lets out at once");
}

void Simulation::end_flushed(scheduler::GroupId id) {
  auto &g = groups_[id];
  g.flush = Flush::None;
  const auto at = let_out_.empty() ? let_out_.end() : let_out_.find(id);
  if (at == let_out_.end()) return;
  if (at->second.counts) --flushes_[hops_[g.hop].transport].under_way;
  let_out_.erase(at);
}

}  // namespace mansio::cli::simulate
