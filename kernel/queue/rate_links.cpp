#include "kernel/queue/rate_links.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

namespace mansio::queue {
namespace {

constexpr std::string_view kHostPrefix = "host.rate.";
// The host process has the same limit and comes first, so that its word is heard.
constexpr Nanos kHostFirst = 100 * kMillisecond;
constexpr Nanos kSaidOften = 10 * kSecond;  // failures that come and go are not logged more often

}  // namespace

RateLinks::RateLinks(const Clock &clock, Logger &log, scheduler::Scheduler &scheduler)
    : clock_(clock), log_(log), scheduler_(scheduler) {}

void RateLinks::set(const config::Settings &settings) {
  if (holder_.empty()) holder_ = fmt::format("{}/{}.{:x}", settings.myhostname, ::getpid(), clock_.wall());
  std::erase_if(owners_, [&](const auto &o) { return !settings.rate(o.first) && o.second.under_way == 0; });
  for (const auto &rate : settings.rates) owners_[rate.name].limit = rate.budget.in_flight_limit;
}

bool RateLinks::attach(ConnectionId id, const wire::Peer &peer, std::shared_ptr<Link> link) {
  if (!peer.name.starts_with(kHostPrefix)) return false;
  const auto old = std::find_if(hosts_.begin(), hosts_.end(), [&](const auto &h) { return h.second.peer == peer; });
  if (old != hosts_.end()) {  // the same process, on a new channel
    old->second.link->close();
    closed(old->first);
  }
  const auto owner = peer.name.substr(kHostPrefix.size());
  hosts_[id] = {owner, peer, std::move(link), 0, false};
  send_waiting(owner);
  return true;
}

bool RateLinks::closed(ConnectionId id) {
  const auto node = hosts_.extract(id);
  if (node.empty()) return false;
  auto &owner = owners_[node.mapped().owner];
  for (auto &[number, pending] : pending_) {
    if (pending.with != id) continue;
    pending.with = 0;
    --owner.under_way;
    owner.waiting.push_back(number);
  }
  send_waiting(node.mapped().owner);
  return true;
}

void RateLinks::draining(const wire::Peer &peer) {
  for (auto &[id, host] : hosts_) {
    if (host.peer != peer) continue;
    host.going = true;
    return let_go(id);
  }
}

std::pair<const ConnectionId, RateLinks::Host> *RateLinks::host_of(const std::string &owner, bool also_going) {
  std::pair<const ConnectionId, Host> *best = nullptr;
  for (auto &host : hosts_) {
    if (host.second.owner != owner || (host.second.going && !also_going)) continue;
    const bool better =
        !best || (best->second.going && !host.second.going) ||
        (best->second.going == host.second.going && host.second.peer.generation >= best->second.peer.generation);
    if (better) best = &host;
  }
  return best;
}

void RateLinks::send_waiting(const std::string &name) {
  auto &owner = owners_[name];
  auto *host = host_of(name);
  if (!host) return;
  for (; !owner.waiting.empty() && owner.under_way < owner.limit; owner.waiting.pop_front()) {
    const auto at = pending_.find(owner.waiting.front());
    if (at == pending_.end() || at->second.with != 0) continue;
    if (!ask(*host->second.link, at->second.question, at->second.deadline - kHostFirst - clock_.mono())) return;
    at->second.with = host->first;
    ++host->second.under_way;
    ++owner.under_way;
  }
}

bool RateLinks::ask(Link &link, const scheduler::RateQuestion &q, Nanos time_limit) const {
  if (q.places)
    return link.send(wire::RateHold{q.number, q.limit, q.key, holder_, q.held, q.want, q.capacity, q.rest, time_limit});
  return link.send(wire::RateAsk{q.number, q.limit, q.key, q.want,
                                 q.rate ? static_cast<double>(kSecond) / static_cast<double>(q.rate.interval) : 0,
                                 q.rate.burst, time_limit});
}

// A process that is to go can still be told. Where there is none, what is held ends with its time.
void RateLinks::part(const scheduler::RateQuestion &q) {
  if (auto *host = host_of(q.owner, true)) ask(*host->second.link, q, 0);
}

void RateLinks::give_back() {
  for (const auto &u : scheduler_.unused_permits()) {
    owners_[u.owner].returned += u.units;
    if (auto *host = host_of(u.owner, true)) host->second.link->send(wire::RateUnused{u.limit, u.key, u.units});
  }
}

bool RateLinks::run() {
  std::set<std::string> asked;
  for (auto &q : scheduler_.rate_questions()) {
    if (q.parting) {
      part(q);
      continue;
    }
    auto &owner = owners_[q.owner];
    ++owner.questions;
    owner.waiting.push_back(q.number);
    asked.insert(q.owner);
    const auto deadline = clock_.mono() + q.time_limit + kHostFirst;
    deadlines_.emplace(deadline, q.number);
    const auto number = q.number;
    pending_.emplace(number, Pending{std::move(q), deadline, 0});
  }
  for (const auto &name : asked) send_waiting(name);
  give_back();
  bool ended = false;
  while (!deadlines_.empty() && deadlines_.begin()->first <= clock_.mono()) {
    const auto at = pending_.find(deadlines_.begin()->second);
    fail(at, at->second.with != 0                 ? "no answer in time"
             : host_of(at->second.question.owner) ? "it has too much to do"
                                                  : "its process is not there");
    ended = true;
  }
  return ended;
}

Nanos RateLinks::wake_at() const {
  return deadlines_.empty() ? std::numeric_limits<Nanos>::max() : deadlines_.begin()->first;
}

bool RateLinks::receive(ConnectionId from, const io::Message &message) {
  const auto host = hosts_.find(from);
  if (host == hosts_.end()) return false;
  if (message.type == wire::RateLease::kType) {
    if (const auto lease = decode<wire::RateLease>(message.payload)) answer(from, *lease);
  } else {
    log_.warn("unknown message", {{"peer", host->second.peer.name}, {"type", message.type}});
  }
  return true;
}

void RateLinks::answer(ConnectionId from, const wire::RateLease &lease) {
  const auto at = pending_.find(lease.number);
  if (at == pending_.end() || at->second.with != from) return;  // too late
  if (lease.failed) return fail(at, lease.text);
  const auto name = at->second.question.owner;
  auto &owner = owners_[name];
  if (std::exchange(owner.said, false)) log_.info("a rate plugin answers again", {{"rate", name}});
  if (!at->second.question.places) owner.permits += lease.units;  // places come back
  forget(at);
  scheduler_.permits(lease.number, lease.units, lease.ttl, lease.retry, clock_.mono());
  send_waiting(name);
  let_go(from);
}

void RateLinks::fail(std::unordered_map<std::uint64_t, Pending>::iterator at, std::string_view why) {
  const auto number = at->first;
  const auto name = at->second.question.owner;
  const auto with = at->second.with;
  auto &owner = owners_[name];
  ++owner.failures;
  if (const auto now = clock_.mono(); !owner.said && now >= owner.say_at) {
    log_.warn("a rate plugin fails: on_failure says what becomes of its limits", {{"rate", name}, {"reason", why}});
    owner.said = true;
    owner.say_at = now + kSaidOften;
  }
  forget(at);
  scheduler_.no_permits(number, clock_.mono());
  send_waiting(name);
  let_go(with);
}

void RateLinks::forget(std::unordered_map<std::uint64_t, Pending>::iterator at) {
  auto &owner = owners_[at->second.question.owner];
  deadlines_.erase({at->second.deadline, at->first});
  if (const auto host = hosts_.find(at->second.with); host != hosts_.end()) {
    --host->second.under_way;
    --owner.under_way;
  }
  pending_.erase(at);
  // While there is no process nobody else takes them out.
  while (!owner.waiting.empty() && !pending_.contains(owner.waiting.front())) owner.waiting.pop_front();
}

// Its process ends when its channel does. Its permits are as good with one that comes after it, if there is one.
void RateLinks::let_go(ConnectionId id) {
  const auto at = hosts_.find(id);
  if (at == hosts_.end() || !at->second.going || at->second.under_way > 0) return;
  give_back();
  if (!host_of(at->second.owner)) {
    scheduler_.return_permits(at->second.owner, clock_.mono());
    give_back();
  }
  at->second.link->close();
  hosts_.erase(at);
}

void RateLinks::stop() {
  for (const auto &[name, owner] : owners_) {
    scheduler_.return_permits(name, clock_.mono());
    scheduler_.return_places(name);
  }
  give_back();
  for (const auto &q : scheduler_.rate_questions())
    if (q.parting) part(q);
}

void RateLinks::stats(const std::function<void(std::string, double)> &put) const {
  for (const auto &[name, owner] : owners_) {
    const auto labels = fmt::format("{{rate=\"{}\"}}", name);
    put("mansio_rate_questions_total" + labels, static_cast<double>(owner.questions));
    put("mansio_rate_permits_total" + labels, static_cast<double>(owner.permits));
    put("mansio_rate_permits_returned_total" + labels, static_cast<double>(owner.returned));
    put("mansio_rate_failures_total" + labels, static_cast<double>(owner.failures));
  }
}

}  // namespace mansio::queue
