// What next hops' replies make us do, by [[response]] rules; what of that is in force, and operators who end it.
#include <utility>

#include "kernel/queue/core.hpp"
#include "kernel/queue/json_line.hpp"

namespace mansio::queue {

// What they do they do to all of a site, and its replies count together. `counted`: another reply in this delivery was:
// many recipients with the same reply are one event.
void QueueCore::respond(GroupSlot group, wire::RecipientOutcome &outcome, bool &counted) {
  if (responses_.empty() || outcome.status == wire::DeliveryStatus::Sent) return;
  const auto destination = scheduler_->destination_of(group);
  const auto name = site_of(group);
  const auto code = outcome.smtp_code == 0 ? std::string{} : std::to_string(outcome.smtp_code);
  const auto enhanced = outcome.enhanced.empty() ? std::string{} : to_string(outcome.enhanced);
  const auto now = clock_.mono();
  const auto *rule = responses_.match({scheduler_->nexthop_of(destination), code, enhanced, outcome.text, name});
  using Action = scheduler::ResponseRule::Action;
  if (!rule || (rule->action != Action::Bounce && std::exchange(counted, true))) return;
  if (!responses_.reached(*rule, name, now)) return;
  constexpr std::string_view names[] = {"suspend", "slow", "concurrency", "bounce", "pool"};
  log_.info("a reply makes a difference", {{"destination", name},
                                           {"action", names[static_cast<std::size_t>(rule->action)]},
                                           {"code", code},
                                           {"text", outcome.text}});
  switch (rule->action) {
    case Action::Suspend:
      scheduler_->suspend({scheduler::Suspension::Key::Destination, std::string{name}, now, now + rule->time,
                           "for its reply: " + outcome.text},
                          now);
      keep_scheduling();
      break;
    case Action::Slow:
      scheduler_->push_back(destination, now);
      break;
    case Action::Concurrency:
      scheduler_->lower_concurrency(destination, rule->concurrency);
      break;
    case Action::Bounce:
      if (outcome.status == wire::DeliveryStatus::Deferred) outcome.status = wire::DeliveryStatus::Bounced;
      break;
    case Action::Pool:
      std::erase_if(pools_, [&](const auto &p) { return p.second.second <= now; });
      pools_.insert_or_assign(std::string{name}, std::pair{rule->pool, now + rule->time});
      // What waits there already is another pool's mail from now on, and once more when the time is over.
      scheduler_->on_turn([this](GroupSlot g) { return pool_now(g); });
      break;
  }
}

// What they have done and is still in force; suspensions have their own list.
std::string QueueCore::response_lines() const {
  std::string out;
  const auto add = [&](const char *key, auto &&rest) {
    Json j;
    j.open('{').key("response").text(key);
    rest(j);
    j.close('}');
    out += std::move(j).line();
  };
  for (const auto &t : scheduler_->throttled()) {
    const auto where = [&](Json &j) {
      j.key("transport").text(transports_[t.transport].name).key("destination").text(t.destination);
    };
    if (t.adaptive_rate > 0) add("slow", [&](Json &j) { where(j), j.key("rate").number(t.adaptive_rate); });
    if (t.concurrency > 0) add("concurrency", [&](Json &j) { where(j), j.key("concurrency").number(t.concurrency); });
  }
  for (const auto &[site, chosen] : pools_) {
    if (chosen.second <= clock_.mono()) continue;
    add("pool", [&, &name = site, &pool = chosen](Json &j) {
      j.key("destination").text(name).key("source_pool").text(pool.first);
      j.key("until").text(rfc3339(wall_of(pool.second)));
    });
  }
  return out;
}

std::string QueueCore::problem_of_unthrottle(const wire::QueueCommand &c) {
  const bool one = c.match.size() == 1 && c.match.front().first == "destination" && !c.match.front().second.empty();
  return one && c.ids.empty() ? "" : "of what? give a destination";
}

// Ends it for a destination, or for the site that it is of. How many of these there were.
std::uint64_t QueueCore::unthrottle(const std::string &name) {
  std::uint64_t ended = pools_.erase(name);
  for (std::size_t t = 0; t < transports_.size(); ++t) {
    const auto id = scheduler_->find_destination(static_cast<scheduler::TransportId>(t), name);
    if (!id) continue;
    if (scheduler_->unthrottle(*id, clock_.mono())) ++ended;
    if (const auto site = scheduler_->nexthop_of(scheduler_->site_of(*id)); site != name)
      ended += pools_.erase(std::string{site});
  }
  if (ended > 0) keep_scheduling();
  return ended;
}

// Wherever it goes: an operator's word, or what came with it.
const std::string &QueueCore::pool_of(const Message &m, const Envelope &envelope) {
  return m.extra && !m.extra->pool.empty() ? m.extra->pool : envelope.source_pool;
}

const std::string &QueueCore::pool_of(GroupSlot group, const Envelope &envelope) const {
  const auto *said = pool_said(group);
  return said ? *said : envelope.source_pool;
}

// By a policy that routed them; "": by none.
std::string_view QueueCore::own_pool_of(const Message &m, std::uint32_t recipient) {
  if (!m.extra || m.extra->pools.empty()) return {};
  const auto at = m.extra->pools.find(recipient);
  return at == m.extra->pools.end() ? std::string_view{} : at->second;
}

// By an operator, a reply or a policy, since it came, the strongest first; null: nothing.
const std::string *QueueCore::pool_said(GroupSlot group) const {
  const auto &g = index_.group(group);
  const auto &m = index_.message(g.message);
  if (m.extra && !m.extra->pool.empty()) return &m.extra->pool;
  if (!pools_.empty()) {
    const auto at = pools_.find(site_of(group));
    if (at != pools_.end() && at->second.second > clock_.mono()) return &at->second.first;
  }
  if (!m.extra || m.extra->pools.empty() || g.recipients.empty()) return nullptr;
  const auto own = m.extra->pools.find(g.recipients.begin()->index);  // they all have the same
  return own == m.extra->pools.end() ? nullptr : &own->second;
}

// Of a group that is about to be leased. The envelope is read only where nobody said anything, once for the groups of a
// message that follow each other, and not cached: what a lease reads for the first time it looks at more closely. One
// that cannot be read is the lease's to find out.
std::optional<std::string> QueueCore::pool_now(GroupSlot group) {
  if (scheduler_->transport_of(group) == route_transport_) return std::nullopt;
  if (const auto *said = pool_said(group)) return *said;
  const auto message = index_.group(group).message;
  const auto id = index_.id_of(message);
  if (came_with_.first != id) {
    const auto stored = read_stored(message);
    if (!stored) return std::nullopt;
    came_with_ = {id, (*stored)->envelope.source_pool};
  }
  return came_with_.second;
}

}  // namespace mansio::queue
