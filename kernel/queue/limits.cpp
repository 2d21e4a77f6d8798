#include "kernel/queue/limits.hpp"

#include <algorithm>

#include "kernel/config/feedback.hpp"
#include "kernel/config/pattern.hpp"
#include "kernel/config/rate.hpp"
#include "kernel/config/weighted.hpp"

namespace mansio::queue {
namespace {

scheduler::Feedback feedback_of(const std::string &text) {
  const auto f = config::parse_feedback(text).value_or(config::Feedback{});
  using Over = config::Feedback::Over;
  return {static_cast<float>(f.amount), f.over == Over::One           ? scheduler::Feedback::Over::One
                                        : f.over == Over::Concurrency ? scheduler::Feedback::Over::Concurrency
                                                                      : scheduler::Feedback::Over::SqrtConcurrency};
}

// As scheduler::RateLimit::owner says it.
std::uint16_t owner_of(const std::string &plugin, const config::Settings &settings) {
  for (std::size_t i = settings.rates.size(); i > 0; --i)
    if (settings.rates[i - 1].name == plugin) return static_cast<std::uint16_t>(i);
  return 0;
}

scheduler::RateLimit rate_of(const std::string &rate, std::uint32_t burst, const std::string &plugin,
                             const config::Settings &settings) {
  return {config::parse_rate(rate).value_or(0), burst, owner_of(plugin, settings)};
}

const std::string &rate_at(const config::RateRule &rule, Nanos wall) {
  if (rule.warm_up.empty()) return rule.rate;
  const auto from = config::parse_date(rule.warm_up_from).value_or(0);
  const auto day = wall <= from ? 0 : static_cast<std::uint64_t>((wall - from) / kWarmUpDay);
  return day < rule.warm_up.size() ? rule.warm_up[day] : rule.rate;
}

double per_second(const std::string &rate, double without) {
  const auto each = config::parse_rate(rate);
  return each ? static_cast<double>(kSecond) / static_cast<double>(*each) : without;
}

scheduler::DestinationLimits limits_of(const config::DestinationLimits &from, const config::Settings &settings) {
  return {
      .window = {.initial = from.initial_destination_concurrency,
                 .limit = from.destination_concurrency_limit,
                 .failed_cohort_limit = from.destination_concurrency_failed_cohort_limit,
                 .positive = feedback_of(from.destination_concurrency_positive_feedback),
                 .negative = feedback_of(from.destination_concurrency_negative_feedback)},
      .recipient_limit = from.destination_recipient_limit,
      .rate_delay = from.destination_rate_delay,
      .rate = rate_of(from.destination_rate_limit, from.destination_rate_burst, from.destination_rate_plugin, settings),
      .adaptive = {.minimum = per_second(from.adaptive_rate_minimum, 1.0 / 60),
                   .maximum = per_second(from.adaptive_rate_maximum, 0),
                   .decrease = from.adaptive_rate_decrease,
                   .increase = from.adaptive_rate_increase},
      .concurrency_owner = owner_of(from.destination_concurrency_plugin, settings),
      .rate_delay_owner = owner_of(from.destination_rate_delay_plugin, settings)};
}

}  // namespace

scheduler::Backoff backoff_of(const config::Queue &q) {
  return {.minimal_backoff_time = q.minimal_backoff_time,
          .maximal_backoff_time = q.maximal_backoff_time,
          .jitter = q.backoff_jitter,
          .queue_run_delay = q.queue_run_delay};
}

Nanos longest_wait(const config::Queue &q) {
  const auto base = std::max(q.minimal_backoff_time, q.maximal_backoff_time);
  return base + static_cast<Nanos>(static_cast<double>(base) * q.backoff_jitter) + q.queue_run_delay;
}

scheduler::TransportLimits limits_of(const config::Transport &t, const config::Settings &settings) {
  scheduler::TransportLimits limits;
  limits.name = t.name;
  limits.sessions = t.process_limit;
  limits.transport_retry_time = t.transport_retry_time;
  limits.rate_delay = t.transport_rate_delay;
  limits.rate = rate_of(t.transport_rate_limit, t.transport_rate_burst, t.transport_rate_plugin, settings);
  limits.slots = {t.delivery_slot_cost, t.delivery_slot_loan, t.delivery_slot_discount, t.minimum_delivery_slots};
  limits.destination = limits_of(static_cast<const config::DestinationLimits &>(t), settings);
  for (const auto &rule : t.destinations)
    limits.rules.push_back({rule.match, limits_of(rule.limits, settings), rule.site, rule.mx});
  limits.sessions_owner = owner_of(t.process_limit_plugin, settings);
  limits.rate_delay_owner = owner_of(t.transport_rate_delay_plugin, settings);
  limits.by_exchangers = t.destination_key == config::DestinationKey::Site;
  return limits;
}

std::vector<scheduler::ResponseRule> responses_of(const config::Settings &settings) {
  using Action = scheduler::ResponseRule::Action;
  constexpr Action actions[] = {Action::Suspend, Action::Slow, Action::Concurrency, Action::Bounce, Action::Pool};
  std::vector<scheduler::ResponseRule> out;
  for (const auto &r : settings.responses) {
    scheduler::ResponseRule rule;
    rule.destinations = r.destination;
    rule.codes = r.code;
    if (auto pattern = config::Pattern::compile(r.pattern); pattern && !r.pattern.empty())
      rule.text = [p = std::move(*pattern)](std::string_view text) { return p.matches(text); };
    rule.threshold = r.threshold;
    rule.window = r.window;
    rule.action = actions[static_cast<std::size_t>(r.action)];
    rule.time = r.time;
    rule.concurrency = r.concurrency;
    rule.pool = r.pool;
    out.push_back(std::move(rule));
  }
  return out;
}

std::vector<scheduler::TenantWeight> weights_of(const config::Settings &settings) {
  std::vector<scheduler::TenantWeight> out;
  for (const auto &t : settings.tenants) out.push_back({t.name, t.weight});
  return out;
}

std::vector<scheduler::SourceGroup> groups_of(const config::Settings &settings) {
  std::vector<scheduler::SourceGroup> out;
  for (const auto &g : settings.source_groups) {
    auto &group = out.emplace_back();
    group.name = g.name;
    for (const auto &text : g.pools)
      if (auto pool = config::parse_weighted(text)) group.pools.push_back({std::move(pool->name), pool->weight});
  }
  return out;
}

bool warms_up(const config::Settings &settings) {
  return std::any_of(settings.rate_limits.begin(), settings.rate_limits.end(),
                     [](const auto &rule) { return !rule.warm_up.empty(); });
}

std::vector<scheduler::RateRule> rates_of(const config::Settings &settings, Nanos wall) {
  using Key = scheduler::RateRule::Key;
  constexpr Key keys[] = {Key::Tenant, Key::Campaign, Key::Sender, Key::SourcePool,
                          Key::SourcePoolDestination};  // by RateKey
  std::vector<scheduler::RateRule> out;
  for (const auto &r : settings.rate_limits) {
    out.push_back({keys[static_cast<std::size_t>(r.key)], r.match,
                   rate_of(rate_at(r, wall), r.burst, r.plugin, settings), r.destination, r.concurrency});
  }
  return out;
}

std::vector<scheduler::RateOwner> owners_of(const config::Settings &settings) {
  std::vector<scheduler::RateOwner> out;
  for (const auto &r : settings.rates)
    out.push_back({r.name, r.budget.on_failure == config::OnFailure::Skip, r.time_limit});
  return out;
}

}  // namespace mansio::queue
