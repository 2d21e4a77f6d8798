#include "kernel/queue/clog.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernel/queue/core.hpp"

namespace mansio::queue {
namespace {

constexpr Nanos kBetweenCounts = 10 * kSecond;
constexpr int kLookedAtPerTurn = 8192;
constexpr double kNearlyAll = 0.9;

std::string of_limit(const Clogged &c, const config::Transport *t) {
  const auto table = "[transport." + c.transport + "]";
  const auto own =
      "Give it a transport of its own (a second [transport.NAME] with the same plugin and a [[route]] for "
      "the domain), so that it holds up nobody else";
  if (c.why.limit == "destination_concurrency_limit")
    return fmt::format(
        "It takes no more deliveries at once. If its operator agrees, raise destination_concurrency_limit{} in {}; if "
        "it "
        "refuses connections now and then, raise destination_concurrency_failed_cohort_limit there",
        t ? fmt::format(" (now {})", t->destination_concurrency_limit) : "", table);
  if (c.why.limit == "transport_sessions")
    return fmt::format(
        "All deliveries of {} are under way. {}; or raise process_limit{} there, if processor and network have room; "
        "shorter connect timeouts pass unresponsive hosts sooner",
        table, own, t ? fmt::format(" (now {})", t->process_limit) : "");
  if (c.why.limit == "dead_destination")
    return fmt::format(
        "It is out of reach: {}. If it recovers soon each time, raise destination_concurrency_failed_cohort_limit{} in "
        "{}; if not, longer minimal_backoff_time and maximal_backoff_time in [queue] waste less on it",
        c.why.detail, t ? fmt::format(" (now {})", t->destination_concurrency_failed_cohort_limit) : "", table);
  if (c.why.limit == "transport_unavailable")
    return fmt::format("No process delivers for {}: see the log for why it ends, and `mansio status`", table);
  return fmt::format("{}. {}", c.why.detail.empty() ? "Mail for it comes faster than it goes" : c.why.detail, own);
}

}  // namespace

std::string clog_advice(const Clogged &c, const config::Transport *transport) {
  std::string out = of_limit(c, transport) + ".";
  if (static_cast<double>(c.waiting) < kNearlyAll * static_cast<double>(c.due))
    out += " Other mail may be delayed by it.";
  return out + " Flushing the whole queue would make it worse.";
}

// True: there is more to count.
bool QueueCore::watch_clogs() {
  const auto &q = settings_->queue;
  const auto now = clock_.mono();
  auto &w = clog_;
  if (!w.at) {
    if (q.clog_warn_time == 0 || now < w.next || !gate_open_ || scheduler_->counts().ready <= q.clog_warn_limit)
      return false;
    w.next = now + std::min(kBetweenCounts, q.clog_warn_time);
    w.at = 0;
    w.found.clear();
  }
  for (int n = 0; n < kLookedAtPerTurn && *w.at < index_.slots(); ++n, ++*w.at) {
    if (!index_.message(*w.at).used) continue;
    for (auto g = index_.message(*w.at).groups; g != kNone; g = index_.group(g).next) {
      if (index_.group(g).state != GroupState::Scheduled || scheduler_->due(g) > now) continue;
      auto &found = w.found[scheduler_->site_of(scheduler_->destination_of(g))];
      ++found.waiting;
      found.group = g;
    }
  }
  if (*w.at < index_.slots()) return true;
  w.at.reset();
  std::erase_if(w.warned, [&](const auto &one) { return now >= one.second + q.clog_warn_time; });
  for (const auto &[destination, found] : w.found) {
    if (found.waiting <= q.clog_warn_limit) continue;
    const auto g = found.group;
    if (index_.group(g).state != GroupState::Scheduled) continue;  // it went meanwhile
    Clogged c;
    c.transport = transport_of(g).name;
    c.destination = site_of(g);
    if (!w.warned.emplace(std::pair{c.transport, c.destination}, now).second) continue;
    c.waiting = found.waiting;
    c.due = std::max(scheduler_->counts().ready, c.waiting);
    c.why = scheduler_->why(g, now);
    log_.warn("one destination fills the queue of what is due",
              {{"destination", c.destination},
               {"transport", c.transport},
               {"waiting", c.waiting},
               {"due", c.due},
               {"limit", c.why.limit},
               {"advice", clog_advice(c, settings_->transport(c.transport))}});
    ++counters_.clogs;
  }
  w.found.clear();
  return false;
}

}  // namespace mansio::queue
