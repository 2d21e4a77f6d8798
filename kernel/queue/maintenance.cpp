// What happens by time: a turn's work, the clock, pressure on ingress, checkpoints, metrics, and the end.
#include <algorithm>
#include <limits>

#include "kernel/queue/core.hpp"
#include "kernel/queue/limits.hpp"

namespace mansio::queue {
namespace {

constexpr Nanos kTick = kSecond;
constexpr std::size_t kMostHeavy = 500;          // networks, which fit a frame
constexpr Nanos kSchedulingKept = 60 * kSecond;  // what a crash may forget of destinations' health and rates

}  // namespace

bool QueueCore::turn() {
  const auto now = clock_.mono();
  if (!gate_open_) check_gates();
  if (now >= next_tick_) tick(now);
  check_deadlines(now);
  send_acks();
  bool more = woken();
  more |= unpark_some();
  more |= reroute_some();
  more |= flush_some();
  more |= limited_senders_apart();  // before any of it goes
  more |= lease_some();
  ask_for_exchangers();
  more |= ask_retries();
  more |= rate_links_->run();
  step_stores(false);
  if (!commands_.empty()) more |= step_commands();
  more |= step_checkpoint();
  more |= watch_clogs();
  events_.written(last_sequence_, store_.synced_sequence());
  return more;
}

Nanos QueueCore::wake_at() const {
  auto at = next_tick_;
  if (gate_open_ && !draining_)
    if (const auto due = scheduler_->next_due()) at = std::min(at, *due);
  if (!gate_open_ && attach_done_ && gate_at_ > clock_.mono()) at = std::min(at, gate_at_);
  if (!deadlines_.empty()) at = std::min(at, deadlines_.begin()->first);
  at = std::min(at, rate_links_->wake_at());
  at = std::min(at, store_links_->wake_at());
  return at;
}

void QueueCore::tick(Nanos now) {
  next_tick_ = now + kTick;
  if (const auto step = steps_.look(); step != 0) {
    log_.warn("the clock was set: the time it skipped does not count for mail's age", {{"seconds", step / kSecond}});
    if (step > 0) journal(entry::clock_step(steps_.steps().back()));
  }
  for (auto &[id, c] : connections_) c->behind = false;
  if (clock_.wall() / kWarmUpDay != rates_day_ && warms_up(*settings_)) set_rates();
  if (!merged_flows_told_ && scheduler_->merged_flows() > 0) {
    merged_flows_told_ = true;
    log_.warn(
        "too many senders and campaigns have mail waiting to tell each apart: limits and suspensions of some "
        "senders, and turns of campaigns, do not hold",
        {{"merged", scheduler_->merged_flows()}});
  }
  refresh_capacities();
  forget_idle_descriptors(now);
  check_holders(now);
  tell_overdue(now);
  step_stores(true);
  update_pressure();
  reroute_orphans();
  if (!dsn_later_.empty() && now >= dsn_retry_at_) {
    for (const auto &name : dsn_later_) dsn_queue_.push_back({name, 0});
    dsn_later_.clear();
  }
  send_notifications();
  events_.tick([this](const wire::Peer &peer) {
    log_.error("an event plugin's process does not answer: it is killed", {{"process", peer.name}, {"pid", peer.pid}});
    if (hung_) hung_(peer, "did not answer in time");
  });
  if (!replay_ && now >= keep_scheduling_at_) {
    keep_scheduling_at_ = now + kSchedulingKept;
    keep_scheduling();
  }
  // What is gone and not yet retired would be in neither the index nor the checkpoint's table.
  if (!replay_ && retire_open_ && store_.wants_checkpoint()) begin_checkpoint();
  compact();
}

// Mail that nobody has tried to deliver yet is what has come in and not gone out.
std::uint8_t QueueCore::brake_now() const {
  const auto limit = settings_->queue.in_flow_backlog;
  if (limit == 0 || settings_->queue.in_flow_delay == 0) return 0;
  const auto waiting = index_.count(QueueName::Incoming);
  const auto least = [&](std::uint8_t level) {  // lower once it holds: not on and off at every message
    const auto at = limit * level;
    return pressure_.brake >= level ? at - at / 20 : at;
  };
  return waiting >= least(2) ? 2 : waiting >= least(1) ? 1 : 0;
}

void QueueCore::update_pressure() {
  wire::Pressure next;
  const auto limit = settings_->queue.backlog_limit;
  const auto resume = pressure_.accept ? limit : limit - limit / 20;  // not at every single message
  if (store_.disk_full()) {
    next = {false, true, 452, {4, 3, 1}, "Insufficient system storage"};
  } else if (limit > 0 && index_.backlog() >= resume) {
    next = {false, false, 452, {4, 3, 2}, "Too much mail is waiting, try again later"};
  }
  next.brake = brake_now();
  if (next.brake == 1) next.heavy = inflow_.heavy(clock_.mono(), kMostHeavy);
  const bool as_before = next.accept == pressure_.accept && next.reason == pressure_.reason;
  if (as_before && next.brake == pressure_.brake && next.heavy == pressure_.heavy) return;
  if (!as_before) log_.warn(next.accept ? "accepting mail again" : "refusing new mail", {{"reason", next.reason}});
  if (next.brake != pressure_.brake)
    log_.info(next.brake > pressure_.brake ? "mail comes in faster than it goes out: slowing clients down"
                                           : "slowing clients down less",
              {{"level", next.brake}, {"incoming", index_.count(QueueName::Incoming)}});
  pressure_ = next;
  for (auto &[id, c] : connections_)
    if (const auto kind = c->peer.kind; (kind == wire::RoleKind::Ingress || kind == wire::RoleKind::Router) && c->link)
      c->link->send(pressure_);
}

void QueueCore::reload(const config::Settings &settings) {
  settings_ = &settings;
  delivery_log_ = DeliveryLog{log_, clock_, settings};
  events_.configure(settings);
  cache_.limit(settings.queue.envelope_cache_limit);
  const auto senders = limited_senders_;
  set_limits();
  if (!limited_senders_.empty() && limited_senders_ != senders) senders_apart_at_ = 0;
  for (auto &[id, c] : connections_) c->policy_stages.reset();  // a router of this configuration is about to come
  update_policy_stages();
  reload_stores();
  update_pressure();
}

void QueueCore::drain() {
  draining_ = true;
  refresh_capacities();
}

Result<void> QueueCore::stop() {
  for (const auto &[lease, l] : leases_) {
    auto &m = index_.message(l.message);
    if (l.routing || m.possible_duplicate) continue;
    m.possible_duplicate = true;
    journal_state(m);
  }
  if (!replay_) keep_scheduling();
  rate_links_->stop();
  journal_told();
  auto closed = store_.close_clean();
  send_acks();
  if (closed) events_.finish();
  return closed;
}

void QueueCore::stats(const std::function<void(std::string, double)> &put) const {
  const auto number = [](auto n) { return static_cast<double>(n); };
  std::uint64_t active = 0;
  for (const auto &[lease, l] : leases_) active += l.routing ? 0 : 1;
  const auto counts = scheduler_->counts();
  for (std::size_t i = 0; i < kQueueNames; ++i) {
    const auto name = static_cast<QueueName>(i);
    put("mansio_queue_messages{state=\"" + std::string{name_of(name)} + "\"}", number(index_.count(name)));
  }
  put("mansio_queue_groups{state=\"ready\"}", number(counts.ready));
  put("mansio_queue_groups{state=\"active\"}", number(active));
  put("mansio_queue_groups{state=\"deferred\"}", number(counts.deferred));
  put("mansio_queue_groups{state=\"hold\"}", number(counts.held));
  put("mansio_queue_tenants", number(counts.tenants));
  put("mansio_queue_flushing_groups", number(flushing_));
  put("mansio_queue_corrupt_total", number(counters_.corrupt));
  put("mansio_queue_admitted_total", number(counters_.admitted));
  put("mansio_queue_removed_total", number(counters_.removed));
  put("mansio_deliveries_total{status=\"sent\"}", number(counters_.sent));
  put("mansio_deliveries_total{status=\"deferred\"}", number(counters_.deferred));
  put("mansio_deliveries_total{status=\"bounced\"}", number(counters_.bounced));
  put("mansio_deliveries_total{status=\"expired\"}", number(counters_.expired));
  put("mansio_uncertain_deliveries_total", number(counters_.uncertain));
  put("mansio_possible_duplicates_total", number(counters_.possible_duplicates));
  put("mansio_notifications_total", number(counters_.notifications));
  put("mansio_notifications_suppressed_total", number(counters_.suppressed));
  put("mansio_double_bounces_dropped_total", number(counters_.double_bounces_dropped));
  put("mansio_worker_deaths_total", number(counters_.worker_deaths));
  put("mansio_messages_held_for_deaths_total", number(counters_.held));
  put("mansio_messages_held_by_policies_total", number(counters_.held_by_policies));
  put("mansio_retry_questions_dropped_total", number(counters_.retries_not_asked));
  put("mansio_lease_deadlines_missed_total", number(counters_.missed_deadlines));
  put("mansio_queue_clog_warnings_total", number(counters_.clogs));
  put("mansio_segment_scans_total", number(counters_.scans));
  put("mansio_queue_leases", number(leases_.size()));
  put("mansio_queue_reasons", number(reasons_.size()));
  rate_links_->stats(put);
  const auto usage = store_.usage();
  put("mansio_spool_segments", number(usage.segments));
  put("mansio_spool_free_segments", number(usage.free_segments));
  put("mansio_spool_bytes", number(usage.bytes));
  put("mansio_spool_disk_free_bytes", number(usage.disk_free));
  put("mansio_compacted_segments_total", number(usage.compacted_segments));
  put("mansio_compacted_messages_total", number(usage.compacted_messages));
  events_.stats(put);
  store_links_->stats(put);
}

}  // namespace mansio::queue
