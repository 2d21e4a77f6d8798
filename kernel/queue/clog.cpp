#include "kernel/queue/clog.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernel/queue/core.hpp"

namespace mansio::queue {
namespace {

constexpr Nanos kBetweenCounts = 10 * kSecond;
constexpr int kLookedAtPerTurn = 8192;
constexpr double kNearlyAll = 0.9;
constexpr std::string_view kActiveLimit = "qmgr_message_active_limit", kRecipientLimit = "qmgr_message_recipient_limit";

// Its concurrency is below what it may be: raising the limit would change nothing.
bool grows(const Clogged &c) {
  return c.concurrency_limit == 0 || c.why.value < static_cast<double>(c.concurrency_limit);
}

std::string of_limit(const Clogged &c, const config::Transport *t) {
  const auto table = "[transport." + c.transport + "]";
  const auto either = table + ", or in its [[transport." + c.transport + ".destination]]";
  const auto own =
      "Give it a transport of its own (a second [transport.NAME] with the same plugin and a [[route]] for "
      "the domain), so that it holds up nobody else";
  if (!c.why.owner.empty())
    return fmt::format(
        "[rate.{}] keeps {} for several nodes together: {}. If it does not answer, see the log for why; on_failure = "
        "\"skip\" there lets this node go by itself meanwhile. If it does, others use what is to be had: raise that "
        "limit on all of them, if whom it is for agrees",
        c.why.owner, c.why.limit, c.why.detail);
  if (c.why.limit == "destination_concurrency_limit" && grows(c))
    return fmt::format(
        "{:g} deliveries at once is what it takes now: that grows{} with each that goes well and falls with each that "
        "does not connect; `mansio queue responses` says whether its replies lowered it. If it refuses connections now "
        "and then, raise destination_concurrency_failed_cohort_limit (now {}) in {}",
        c.why.value, c.concurrency_limit > 0 ? fmt::format(" to {} at most", c.concurrency_limit) : "",
        c.failed_cohort_limit, either);
  if (c.why.limit == "destination_concurrency_limit")
    return fmt::format(
        "It takes no more deliveries at once. If its operator agrees, raise destination_concurrency_limit (now {}) in "
        "{}",
        c.concurrency_limit, either);
  if (c.why.limit == "transport_sessions")
    return fmt::format(
        "All deliveries of {} are under way. {}; or raise process_limit{} there, if processor and network have room; "
        "shorter connect timeouts pass unresponsive hosts sooner",
        table, own, t ? fmt::format(" (now {})", t->process_limit) : "");
  if (c.why.limit == "dead_destination")
    return fmt::format(
        "It is out of reach: {}. If it recovers soon each time, raise destination_concurrency_failed_cohort_limit (now "
        "{}) in {}. If not, longer minimal_backoff_time and maximal_backoff_time in [queue] waste less on it",
        c.why.detail, c.failed_cohort_limit, either);
  if (c.why.limit == "transport_unavailable")
    return fmt::format("No process delivers for {}: see the log for why it ends, and `mansio status`", table);
  if (c.why.limit == "tenant_share")
    return fmt::format(
        "Its tenant has its part of the sessions of {}. Raise the weight of its [[tenant]], if it is to have more than "
        "others, or process_limit{} there",
        table, t ? fmt::format(" (now {})", t->process_limit) : "");
  if (c.why.limit == "adaptive_rate")
    return fmt::format(
        "Its replies asked for less: {}. Its operator may say what it takes; `mansio queue responses` shows the pace, "
        "`mansio queue unthrottle --destination {}` ends it, and adaptive_rate_minimum in {} is the least",
        c.why.detail, c.destination, table);
  if (c.why.limit == "suspended")
    return fmt::format(
        "It waits because somebody or a reply said so: {}. `mansio queue suspensions` lists what is suspended, "
        "`mansio queue resume` ends it, `mansio queue rebind` sends its mail another way",
        c.why.detail);
  if (c.why.limit == "source_pool_destination_concurrency_limit" || c.why.limit.ends_with("_rate_limit") ||
      c.why.limit.ends_with("_rate_delay"))
    return fmt::format(
        "More comes than its limit lets go: {} ({}). Raise that limit, if whom it is for agrees, or take less mail in",
        c.why.limit, c.why.detail);
  if (c.why.limit == kActiveLimit || c.why.limit == kRecipientLimit)
    return fmt::format("Nothing more begins anywhere: {}. See the warning about that limit", c.why.detail);
  if (c.why.limit == "journal")
    return fmt::format("No delivery begins anywhere before the spool's journal can be written: {}", c.why.detail);
  return fmt::format("{}. {}", c.why.detail.empty() ? "Mail for it comes faster than it goes" : c.why.detail, own);
}

}  // namespace

std::string clog_advice(const Clogged &c, const config::Transport *transport) {
  std::string out = of_limit(c, transport) + ".";
  if (static_cast<double>(c.waiting) < kNearlyAll * static_cast<double>(c.due))
    out += " Other mail may be delayed by it.";
  return out + " Flushing the whole queue would make it worse.";
}

std::string full_advice(const Clogged &c) {
  return fmt::format(
      "Nothing begins, to any destination, until something ends. If {} is slow, let less of it be under way at once "
      "(destination_concurrency_limit or process_limit of [transport.{}]), or give up on it sooner (its time limits). "
      "If it is not, raise {} in [queue], as far as memory goes.",
      c.destination, c.transport, c.why.limit);
}

// True: there is more to count.
bool QueueCore::watch_clogs() {
  const auto &q = settings_->queue;
  const auto now = clock_.mono();
  auto &w = clog_;
  if (!w.at) {
    if (q.qmgr_clog_warn_time == 0 || now < w.next || !gate_open_) return false;
    const auto ready = scheduler_->counts().ready;
    const bool full = w.full && now >= w.next_full && ready > 0;
    if (!full && ready <= q.qmgr_clog_warn_limit) return false;
    w.next = now + std::min(kBetweenCounts, q.qmgr_clog_warn_time);
    w.at = 0;
    w.found.clear();
  }
  for (int n = 0; n < kLookedAtPerTurn && *w.at < index_.slots(); ++n, ++*w.at) {
    if (!index_.message(*w.at).used) continue;
    for (auto g = index_.message(*w.at).groups; g != kNone; g = index_.group(g).next) {
      const auto state = index_.group(g).state;
      const bool leased = state == GroupState::Leased;
      if (!leased && (state != GroupState::Scheduled || scheduler_->due(g) > now)) continue;
      auto &found = w.found[scheduler_->site_of(scheduler_->destination_of(g))];
      ++(leased ? found.under_way : found.waiting);
      (leased ? found.leased : found.group) = g;
    }
  }
  if (*w.at < index_.slots()) return true;
  w.at.reset();
  std::erase_if(w.warned, [&](const auto &one) { return now >= one.second + q.qmgr_clog_warn_time; });
  for (const auto &[destination, found] : w.found) {
    if (found.waiting <= q.qmgr_clog_warn_limit) continue;
    const auto g = found.group;
    if (index_.group(g).state != GroupState::Scheduled) continue;  // it went meanwhile
    Clogged c;
    c.transport = transport_of(g).name;
    c.destination = site_of(g);
    if (!w.warned.emplace(std::pair{c.transport, c.destination}, now).second) continue;
    c.waiting = found.waiting;
    c.under_way = found.under_way;
    c.due = std::max(scheduler_->counts().ready, c.waiting);
    c.why = scheduler_->why(g, now);
    const auto state = scheduler_->state_of(scheduler_->destination_of(g));
    c.concurrency_limit = state.concurrency_limit;
    c.failed_cohort_limit = state.failed_cohort_limit;
    log_.warn("one destination fills the queue of what is due",
              {{"destination", c.destination},
               {"transport", c.transport},
               {"waiting", c.waiting},
               {"due", c.due},
               {"under_way", c.under_way},
               {"limit", c.why.limit},
               {"advice", clog_advice(c, settings_->transport(c.transport))}});
    ++counters_.clogs;
  }
  warn_of_full();
  w.found.clear();
  return false;
}

// As many deliveries are under way as may be, and others wait: whose they are, if they still are.
void QueueCore::warn_of_full() {
  auto &w = clog_;
  const auto now = clock_.mono();
  if (!w.full || now < w.next_full || scheduler_->counts().ready == 0) return;
  const auto most = std::max_element(w.found.begin(), w.found.end(), [](const auto &a, const auto &b) {
    return a.second.under_way < b.second.under_way;
  });
  if (most == w.found.end() || most->second.under_way == 0) return;
  const auto g = most->second.leased;
  if (index_.group(g).state != GroupState::Leased) return;  // it has ended meanwhile
  w.next_full = now + settings_->queue.qmgr_clog_warn_time;
  Clogged c;
  c.transport = transport_of(g).name;
  c.destination = site_of(g);
  c.under_way = most->second.under_way;
  c.due = scheduler_->counts().ready;
  c.why.limit = w.full;
  log_.warn("as much mail is under delivery as may be", {{"limit", c.why.limit},
                                                         {"destination", c.destination},
                                                         {"transport", c.transport},
                                                         {"under_way", c.under_way},
                                                         {"all_under_way", scheduler_->counts().leased},
                                                         {"due", c.due},
                                                         {"advice", full_advice(c)}});
  ++counters_.clogs;
}

}  // namespace mansio::queue
