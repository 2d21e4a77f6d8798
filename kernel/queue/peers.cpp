// Who is attached: connections, transports and their capacity, descriptors sent, and the gates that stay shut
// after a restart until everybody has said what they hold.
#include "kernel/queue/peers.hpp"

#include <algorithm>
#include <utility>

#include "kernel/queue/core.hpp"
#include "kernel/queue/limits.hpp"

namespace mansio::queue {
namespace {

// A finished lease's outcomes follow its holder's hello; they are let in before anything is leased anew.
constexpr Nanos kGrace = 100 * kMillisecond;
constexpr Nanos kUnlistedGrace = 30 * kSecond;
constexpr int kUnparkedPerTurn = 1024;
constexpr Nanos kDescriptorIdle = 2 * kSecond;
constexpr std::string_view kRouting = "(routing)";  // no transport of the configuration can have this name

bool same_process(const wire::Peer &a, const wire::Peer &b) {
  return a.kind == b.kind && a.instance == b.instance && a.generation == b.generation && a.pid == b.pid;
}

bool is_writer(const Connection &c) {
  return c.peer.kind == wire::RoleKind::Ingress || c.peer.kind == wire::RoleKind::Router;
}

}  // namespace

QueueCore::QueueCore(const Clock &clock, Logger &log, const config::Settings &settings, spool::Store &store,
                     std::uint64_t seed)
    : clock_(clock),
      log_(log),
      settings_(&settings),
      store_(store),
      delivery_log_(log, clock, settings),
      events_(clock, log, settings),
      cache_(settings.queue.envelope_cache_limit),
      steps_(clock) {
  scheduler_ = scheduler::Scheduler::create(backoff_of(settings.queue), seed);
  scheduler_->on_soon([this](GroupSlot group) { index_.prefetch(group); });
  rate_links_ = std::make_unique<RateLinks>(clock, log, *scheduler_);
  store_links_ = std::make_unique<StoreLinks>(
      clock, log, [this](MessageId id) { return outcome_for_stores(id); },
      [this](const StoreLinks::Page &page) { on_store_page(page); });
  store_links_->set(settings);
  set_limits();
  update_policy_stages();
  route_transport_ = transport_named(std::string{kRouting}, false);
}

QueueCore::~QueueCore() = default;

void QueueCore::set_rates() {
  const auto wall = clock_.wall();
  rates_day_ = wall / kWarmUpDay;
  auto rates = rates_of(*settings_, wall);
  limited_senders_.clear();
  for (const auto &rule : rates)
    if (rule.key == scheduler::RateRule::Key::Sender) limited_senders_.push_back(rule.match);
  scheduler_->rates(std::move(rates));
}

// What the configuration says of transports, tenants, source groups and rates, to the scheduler.
void QueueCore::set_limits() {
  scheduler_->backoff(backoff_of(settings_->queue));
  scheduler_->tenants(weights_of(*settings_));
  scheduler_->rate_owners(owners_of(*settings_));
  rate_links_->set(*settings_);
  scheduler_->source_groups(groups_of(*settings_));
  set_rates();
  responses_.set(responses_of(*settings_));
  for (const auto &t : settings_->transports) transport_named(t.name, true);
}

Connection *QueueCore::find(ConnectionId id) {
  const auto at = connections_.find(id);
  return at == connections_.end() ? nullptr : at->second.get();
}

scheduler::TransportId QueueCore::transport_named(const std::string &name, bool configured) {
  const auto *settings = configured ? settings_->transport(name) : nullptr;
  scheduler::TransportLimits limits;
  limits.name = name;
  TransportInfo info;
  info.name = name;
  if (settings) {
    limits = limits_of(*settings, *settings_);
    info.by_recipient = settings->destination_key == config::DestinationKey::Recipient;
    info.delivery_time_limit = settings->delivery_time_limit;
  } else if (name == kRouting) {  // requests to the router: many at once, none of them a "site"
    limits.sessions = 200;
    limits.transport_retry_time = 0;
    limits.destination.window = {.initial = 200, .limit = 200, .failed_cohort_limit = 0};
    limits.slots.cost = 0;
    info.delivery_time_limit = 300 * kSecond;
  }
  const auto id = scheduler_->transport(limits);
  if (id >= transports_.size()) {
    transports_.resize(id + 1u);
    transports_[id] = info;
  }
  transports_[id].by_recipient = info.by_recipient;
  transports_[id].asks_exchangers = limits.asks_exchangers();
  transports_[id].delivery_time_limit = info.delivery_time_limit;
  transports_[id].flushed.set(limits.sessions);
  const auto &deferred = settings_->queue.defer_transports;
  transports_[id].deferred = settings && std::find(deferred.begin(), deferred.end(), name) != deferred.end();
  return id;
}

std::optional<scheduler::TransportId> QueueCore::known_transport(const std::string &name) const {
  for (std::size_t i = 0; i < transports_.size(); ++i)
    if (transports_[i].name == name && i != route_transport_ && !transports_[i].orphan)
      return static_cast<scheduler::TransportId>(i);
  return std::nullopt;
}

ConnectionId QueueCore::attach(const wire::Peer &peer, std::shared_ptr<Link> link) {
  if (peer.kind == wire::RoleKind::Host) {  // it holds no mail, and nobody waits for it
    const auto id = next_connection_++;
    if (!rate_links_->attach(id, peer, link) && !store_links_->attach(id, peer, link))
      events_.attach(id, peer, std::move(link));
    return id;
  }
  Connection *c = nullptr;
  for (auto &[id, known] : connections_)
    if (same_process(known->peer, peer)) c = known.get();
  if (!c) {
    auto fresh = std::make_unique<Connection>();
    fresh->id = next_connection_++;
    fresh->peer = peer;
    c = fresh.get();
    connections_.emplace(c->id, std::move(fresh));
  }
  c->link = std::move(link);
  c->listed.clear();
  c->hello = c->behind = c->cancelled = false;
  c->answer_by = clock_.mono() + kHelloLimit;
  c->descriptors.clear();  // it forgot them with the channel; deliveries under way hold their own
  if (is_writer(*c)) c->link->send(pressure_);
  say_spool_name(*c);
  return c->id;
}

void QueueCore::receive(ConnectionId from, io::Message &message) {
  auto *c = find(from);
  if (!c) {
    (void)(events_.receive(from, message) || rate_links_->receive(from, message) ||
           store_links_->receive(from, message));
    return;
  }
  if (!c->link) return;
  if (!waits_for_recovery(*c)) return handle(*c, message);
  afterwards_.push_back([this, from, type = message.type, payload = std::string{message.payload}] {
    std::vector<io::UniqueFd> none;  // nobody sends us any
    io::Message later{type, payload, none};
    if (auto *connection = find(from)) handle(*connection, later);
  });
}

void QueueCore::handle(Connection &c, io::Message &message) {
  const auto with = [&]<class M>(void (QueueCore::*what)(Connection &, const M &)) {
    if (const auto m = decode<M>(message.payload)) {
      (this->*what)(c, *m);
    } else {
      log_.error("malformed message", {{"peer", c.peer.name}, {"type", message.type}});
    }
  };
  switch (message.type) {
    case wire::SegmentRequest::kType:
      return with(&QueueCore::on_segment_request);
    case wire::SegmentSealed::kType:
      return with(&QueueCore::on_segment_sealed);
    case wire::WriterHello::kType:
      return with(&QueueCore::on_writer_hello);
    case wire::EgressHello::kType:
      return with(&QueueCore::on_egress_hello);
    case wire::ForgetSegment::kType:
      // The descriptor did not arrive, for want of room for it: whoever needs it next is sent another. Leases that are
      // counted as its users come back refused, and may then be taken off the other's count; all that follows is that
      // it is closed early, which a delivery under way does not notice.
      if (const auto m = decode<wire::ForgetSegment>(message.payload)) c.descriptors.erase({m->segment, m->epoch});
      return;
    case wire::Outcomes::kType:
      return with(&QueueCore::on_outcomes);
    case wire::QueueCommandCredit::kType:
      return with(&QueueCore::on_credit);
    case wire::Notice::kType:
      if (auto m = decode<wire::Notice>(message.payload)) on_notice(c, *m);
      return;
    case wire::RouteReply::kType:
      if (const auto m = decode<wire::RouteReply>(message.payload)) on_route_reply(*m);
      return;
    case wire::RetryReply::kType:
      if (const auto m = decode<wire::RetryReply>(message.payload)) on_retry_reply(*m);
      return;
    case wire::PolicyStages::kType:
      return with(&QueueCore::on_policy_stages);
    case wire::MxReply::kType:
      if (const auto m = decode<wire::MxReply>(message.payload); m && c.peer.kind == wire::RoleKind::Router)
        on_mx_reply(*m);
      return;
    case wire::DsnWritten::kType:
      if (const auto m = decode<wire::DsnWritten>(message.payload)) on_dsn_written(*m);
      return;
    case wire::Abandoned::kType:
      if (const auto m = decode<wire::Abandoned>(message.payload); m && is_writer(c)) on_abandoned(*m);
      return;
    case wire::Restored::kType:
      if (const auto m = decode<wire::Restored>(message.payload); m && c.peer.kind == wire::RoleKind::Router)
        on_restored(*m);
      return;
    case wire::FlushRequest::kType:
      if (const auto m = decode<wire::FlushRequest>(message.payload)) on_flush_request(c, *m);
      return;
    case wire::PermitsAsk::kType:
      return with(&QueueCore::on_permits_ask);
    case wire::QueueCommand::kType:
      if (auto m = decode<wire::QueueCommand>(message.payload)) on_command(c, *m);
      return;
    default:
      log_.warn("unknown message", {{"peer", c.peer.name}, {"type", message.type}});
  }
}

void QueueCore::closed(ConnectionId id) {
  auto *c = find(id);
  if (!c) return static_cast<void>(events_.closed(id) || rate_links_->closed(id) || store_links_->closed(id));
  if (!waits_for_recovery(*c)) return close(*c);
  afterwards_.push_back([this, id, link = c->link] {
    if (auto *later = find(id); later && later->link == link) close(*later);  // unless it came back
  });
}

void QueueCore::close(Connection &c) {
  c.link.reset();
  c.hello = false;
  if (c.peer.kind == wire::RoleKind::Router) router_lost(c.id);
  refresh_capacities();
  if (c.peer.kind == wire::RoleKind::Control) {  // it holds nothing
    std::erase_if(commands_, [&](const Command &command) { return command.connection == c.id; });
    end_snapshots();
    connections_.erase(c.id);
  }
}

Connection *QueueCore::egress_of(scheduler::TransportId transport) {
  Connection *best = nullptr;
  for (auto &[id, c] : connections_) {
    if (!c->has_transport || c->transport != transport || !c->link || !c->hello || c->behind) continue;
    if (c->draining || c->hung) continue;
    if (!best || c->peer.generation >= best->peer.generation) best = c.get();
  }
  return best;
}

Connection *QueueCore::router() {
  // What one that is going, or has just come, may have written must be known before anything is asked for again.
  if (router_scans_ > 0) return nullptr;
  for (auto &[id, c] : connections_)
    if (c->peer.kind == wire::RoleKind::Router && !c->link) return nullptr;
  Connection *best = nullptr;
  for (auto &[id, c] : connections_) {
    if (c->peer.kind != wire::RoleKind::Router || !c->link || !c->hello || c->behind || c->draining) continue;
    if (!best || c->peer.generation >= best->peer.generation) best = c.get();
  }
  return best;
}

void QueueCore::refresh_capacity(scheduler::TransportId transport) {
  std::uint32_t capacity = 0, taken = 0;
  for (const auto &[id, c] : connections_)
    if (c->has_transport && c->transport == transport) taken += static_cast<std::uint32_t>(c->foreign.size());
  if (gate_open_ && !draining_) {
    if (transport == route_transport_) {
      capacity = router() ? 200 : 0;
    } else if (const auto *c = egress_of(transport)) {
      capacity = c->capacity;
    }
  }
  scheduler_->transport_available(transport, capacity, taken);
}

void QueueCore::refresh_capacities() {
  for (std::size_t i = 0; i < transports_.size(); ++i) refresh_capacity(static_cast<scheduler::TransportId>(i));
}

void QueueCore::on_egress_hello(Connection &c, const wire::EgressHello &hello) {
  if (c.peer.kind != wire::RoleKind::Egress) return;
  const auto known = known_transport(hello.transport);
  c.transport = known ? *known : transport_named(hello.transport, settings_->transport(hello.transport) != nullptr);
  c.has_transport = true;
  c.capacity = hello.capacity;
  auto &info = transports_[c.transport];
  info.generation = std::max(info.generation, c.peer.generation);
  info.orphan = false;
  c.listed.insert(hello.leases.begin(), hello.leases.end());
  for (std::size_t i = 0; i < hello.leases.size(); ++i) {
    const auto lease = hello.leases[i];
    if (leases_.contains(lease) || c.foreign.contains(lease)) continue;
    const auto message = i < hello.messages.size() ? hello.messages[i] : MessageId{};
    c.foreign.emplace(lease, message);
    if (message)
      ++foreign_[message];
    else
      ++info.unknown_foreign;
  }
  if (hello.more) return;
  const auto listed = std::exchange(c.listed, {});
  if (!c.hello) {
    for (auto &[lease, state] : leases_) {
      if (state.connection != c.id || listed.contains(lease) || state.unlisted) continue;
      // Its last word may follow; or the lease never arrived.
      deadlines_.erase({state.deadline, lease});
      state.unlisted = true;
      state.deadline = clock_.mono() + kUnlistedGrace;
      deadlines_.emplace(state.deadline, lease);
    }
  }
  c.hello = true;
  c.cancelled = false;
  c.answer_by = c.foreign.empty() ? 0 : clock_.mono() + info.delivery_time_limit;
  if (!gate_open_ && recovered_any_) gate_at_ = clock_.mono() + kGrace;
  refresh_capacity(c.transport);
}

void QueueCore::attach_done() {
  attach_done_ = true;
  check_gates();
}

void QueueCore::check_gates() {
  if (replay_ || !attach_done_ || (gate_open_ && retire_open_)) return;
  bool egress = true, writers = true;
  for (const auto &[id, c] : connections_) {
    if (c->hello) continue;
    if (c->peer.kind == wire::RoleKind::Egress) egress = false;
    if (is_writer(*c)) writers = false;
  }
  // What was delivered is forgotten only when that is known for good which it was to tell of.
  if (!retire_open_ && writers && store_.synced_sequence() >= adopted_sequence_) {
    retire_open_ = true;
    ++router_scans_;  // until look_again() is done, and what was found counts
    for (const auto &[commit, sequence] : retire_later_) store_.retire(commit, sequence);
    retire_later_ = {};
    look_again();
    send_notifications();
  }
  if (!gate_open_ && egress && clock_.mono() >= gate_at_ && store_.synced_sequence() >= start_sequence_) open_gate();
}

// False: an egress process may be delivering it since before our restart.
bool QueueCore::may_schedule(GroupSlot slot) const {
  const auto &g = index_.group(slot);
  return gate_open_ && !foreign_.contains(index_.message(g.message).id) && transport_of(slot).unknown_foreign == 0;
}

void QueueCore::unpark(MessageSlot slot) {
  auto &m = index_.message(slot);
  bool waits = index_.counts(slot).leased > 0;
  index_.each_group(slot, [&](GroupSlot g) {
    if (index_.group(g).state != GroupState::Parked) return;
    if (!may_schedule(g))
      waits = true;
    else if (m.reroute)
      route_again(g);
    else
      schedule_new(g);
  });
  if (!m.reroute || waits) return;
  m.reroute = false;
  journal_state(m);
}

void QueueCore::open_gate() {
  gate_open_ = true;
  if (recovered_any_) unpark_at_ = 0;
  refresh_capacities();
}

// Some of what was recovered, a turn: it may be a lot.
bool QueueCore::unpark_some() {
  if (!unpark_at_) return false;
  auto &slot = *unpark_at_;
  for (int n = 0; n < kUnparkedPerTurn && slot < index_.slots(); ++n, ++slot)
    if (index_.message(slot).used) unpark(slot);
  if (slot < index_.slots()) return true;
  unpark_at_.reset();
  return false;
}

bool QueueCore::send_descriptor(Connection &c, const spool::Place &place) {
  const Segment key{place.segment, place.epoch};
  const auto known = c.descriptors.find(key);
  if (known != c.descriptors.end()) {
    ++known->second.users;
    return true;
  }
  auto fd = store_.open_for_reading(place.segment, place.epoch);
  if (!fd) {
    log_.error("cannot open a segment for reading",
               {{"segment", place.segment}, {"epoch", place.epoch}, {"error", fd.error().text}});
    return false;
  }
  std::vector<io::UniqueFd> fds;
  fds.push_back(std::move(*fd));
  if (!c.link || !c.link->send(wire::SegmentFd{place.segment, place.epoch}, std::move(fds))) return false;
  c.descriptors[key].users = 1;
  return true;
}

void QueueCore::drop_descriptor(Connection &c, const spool::Place &place) {
  const auto at = c.descriptors.find({place.segment, place.epoch});
  if (at != c.descriptors.end() && at->second.users > 0 && --at->second.users == 0)
    at->second.idle_since = clock_.mono();
}

void QueueCore::forget_idle_descriptors(Nanos now) {
  for (auto &[id, c] : connections_) {
    std::erase_if(c->descriptors, [&, &conn = *c](const auto &d) {
      if (d.second.users > 0 || now < d.second.idle_since + kDescriptorIdle) return false;
      return !conn.link || conn.link->send(wire::ForgetSegment{d.first.first, d.first.second});
    });
  }
}

void QueueCore::wanted(std::uint32_t segment, std::uint32_t epoch) {
  for (auto &[id, c] : connections_) {
    if (!c->link || (c->peer.kind != wire::RoleKind::Egress && c->peer.kind != wire::RoleKind::Router)) continue;
    const auto at = c->descriptors.find({segment, epoch});
    if (at != c->descriptors.end() && at->second.users > 0) continue;
    // Also to one that may have it from a queue process before this one.
    if (c->link->send(wire::ForgetSegment{segment, epoch}) && at != c->descriptors.end()) c->descriptors.erase(at);
  }
}

void QueueCore::draining(const wire::Peer &peer) {
  if (peer.kind == wire::RoleKind::Queue) return drain();
  if (peer.kind == wire::RoleKind::Host) {
    events_.draining(peer);
    rate_links_->draining(peer);
    store_links_->draining(peer);
    return;
  }
  for (auto &[id, c] : connections_)
    if (same_process(c->peer, peer)) c->draining = true;
  refresh_capacities();
}

void QueueCore::dead(const wire::Dead &dead) {
  if (dead.peer.kind == wire::RoleKind::Host) return host_dead(dead);
  for (auto at = connections_.begin(); at != connections_.end(); ++at) {
    auto &c = *at->second;
    if (!same_process(c.peer, dead.peer)) continue;
    if (waits_for_recovery(c)) {
      afterwards_.push_back([this, dead] { this->dead(dead); });
      return;
    }
    c.link.reset();
    c.hello = false;
    switch (c.peer.kind) {
      case wire::RoleKind::Egress:
        // Of one that hung, the message it hung on alone is to blame, whatever it did besides.
        egress_dead(c, c.hung ? wire::Dead{dead.peer, true, c.hung_on ? c.hung_on.value : dead.culprit, false} : dead);
        break;
      case wire::RoleKind::Router:
        router_lost(c.id);
        [[fallthrough]];
      case wire::RoleKind::Ingress:
        writer_dead(c);
        break;
      default:
        break;
    }
    connections_.erase(at);
    break;
  }
  refresh_capacities();
  check_gates();
}

}  // namespace mansio::queue
