// What next hops' replies make us do, by [[response]] rules; what of that is in force, and operators who end it.
#include <algorithm>
#include <utility>

#include "kernel/base/crc32c.hpp"
#include "kernel/base/parts.hpp"
#include "kernel/queue/core.hpp"
#include "kernel/queue/json_line.hpp"

namespace mansio::queue {
namespace {

// Parts of entry::learned() beside the scheduler's.
constexpr std::uint8_t kPools = 101, kReplyCounts = 102;
constexpr std::size_t kMostKept = 1000;  // destinations of each

struct SavedPool {
  std::string site, pool;
  Nanos until = 0;  // wall
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.site, s.pool, s.until);
  }
};
struct SavedCount {
  std::uint32_t rule = 0;
  std::string destination;
  std::vector<Nanos> times;  // wall
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.rule, s.destination, s.times);
  }
};
struct SavedCounts {
  std::uint32_t rules = 0;  // response_rules(): with others the numbers mean nothing
  std::vector<SavedCount> counts;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.rules, s.counts);
  }
};

}  // namespace

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
      keep_scheduling_soon();
      break;
    case Action::Concurrency:
      scheduler_->lower_concurrency(destination, rule->concurrency);
      keep_scheduling_soon();
      break;
    case Action::Bounce:
      if (outcome.status == wire::DeliveryStatus::Deferred) outcome.status = wire::DeliveryStatus::Bounced;
      break;
    case Action::Pool:
      std::erase_if(pools_, [&](const auto &p) { return p.second.second <= now; });
      pools_.insert_or_assign(std::string{name}, std::pair{rule->pool, now + rule->time});
      // What waits there already is another pool's mail from now on, and once more when the time is over.
      scheduler_->on_turn([this](GroupSlot g) { return pool_now(g); });
      keep_scheduling_soon();
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

// A number for the rules as they are, the same in every version.
std::uint32_t QueueCore::response_rules() const {
  std::string all;
  for (const auto &r : settings_->responses) {
    Encoder e{all};
    e(r.destination, r.code, r.pattern, r.threshold, r.window, r.action);
  }
  return crc32c(all);
}

std::string QueueCore::save_learned() const {
  const auto offset = clock_.wall() - clock_.mono();
  const auto now = clock_.mono();
  auto out = scheduler_->save_more(offset, now);
  std::vector<SavedPool> pools;
  for (const auto &[site, chosen] : pools_)
    if (chosen.second > now && pools.size() < kMostKept) pools.push_back({site, chosen.first, chosen.second + offset});
  SavedCounts counts{response_rules(), {}};
  for (auto &count : responses_.counts(kMostKept, now)) {
    for (auto &at : count.times) at += offset;
    counts.counts.push_back({count.rule, std::move(count.destination), std::move(count.times)});
  }
  if (!pools.empty()) put_part(out, kPools, pools);
  if (!counts.counts.empty()) put_part(out, kReplyCounts, counts);
  return out;
}

// No pool lasts longer than a rule of today says, whatever a clock said.
void QueueCore::restore_learned(std::string_view parts) {
  const auto offset = clock_.wall() - clock_.mono();
  const auto now = clock_.mono();
  const auto longest = [&](const std::string &pool) {
    Nanos time = 0;
    for (const auto &r : settings_->responses)
      if (r.action == config::ResponseAction::Pool && r.pool == pool) time = std::max(time, r.time);
    return time;
  };
  each_part(parts, [&](std::uint8_t kind, std::string_view part) {
    if (kind == kPools) {
      const auto saved = decode<std::vector<SavedPool>>(part);
      for (std::size_t i = 0; saved && i < saved->size(); ++i) {
        const auto &[site, pool, until] = (*saved)[i];
        const auto end = std::min(until - offset, now + longest(pool));
        if (end > now) pools_.insert_or_assign(site, std::pair{pool, end});
      }
    } else if (kind == kReplyCounts) {
      const auto saved = decode<SavedCounts>(part);
      if (!saved || saved->rules != response_rules()) return;
      std::vector<scheduler::Responses::Count> counts;
      for (const auto &s : saved->counts) {
        counts.push_back({s.rule, s.destination, s.times});
        for (auto &at : counts.back().times) at -= offset;
      }
      responses_.restore(counts, now);
    }
  });
  if (!pools_.empty()) scheduler_->on_turn([this](GroupSlot g) { return pool_now(g); });
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
