#include "kernel/host/metrics.hpp"

#include <algorithm>
#include <iterator>

#include "kernel/host/option_check.hpp"
#include "kernel/wire/process_messages.hpp"

namespace mansio::host {
namespace {

constexpr std::size_t kMostMetrics = 200;
constexpr std::size_t kLongestMetric = 100;
constexpr std::size_t kLongestHelp = 300;

bool is_metric(std::string_view name) {
  return !name.empty() && name.size() <= kLongestMetric && !(name[0] >= '0' && name[0] <= '9') &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

// What the host counts goes by names of the same form.
constexpr std::string_view kHosts[] = {
    "operations",        "failed",        "refused",           "timed_out",
    "late_answers",      "misbehaviours", "log_lines_dropped", "operations_in_flight",
    "operation_seconds", "breakers_open", "breaker_opened"};

}  // namespace

std::uint32_t Metrics::define(std::uint32_t type, std::string_view name, std::string_view help) {
  if (frozen_ || type > MANSIO_METRIC_GAUGE || !is_metric(name) || metrics_.size() >= kMostMetrics) return 0;
  if (std::find(std::begin(kHosts), std::end(kHosts), name) != std::end(kHosts)) return 0;
  for (const auto &m : metrics_)
    if (m.name == name) return 0;
  metrics_.emplace_back(std::string{name}, one_line(help.substr(0, kLongestHelp)), type == MANSIO_METRIC_GAUGE);
  return static_cast<std::uint32_t>(metrics_.size());
}

void Metrics::add(std::uint32_t metric, std::int64_t by) {
  if (metric == 0 || metric > metrics_.size()) return;
  auto &m = metrics_[metric - 1];
  if (m.gauge || by > 0) m.value.fetch_add(by, std::memory_order_relaxed);
}

void Metrics::set(std::uint32_t metric, std::int64_t value) {
  if (metric == 0 || metric > metrics_.size() || !metrics_[metric - 1].gauge) return;
  metrics_[metric - 1].value.store(value, std::memory_order_relaxed);
}

void Metrics::stats(const std::string &labels, std::size_t in_flight, const StatsSink &add) const {
  const auto count = [&](const char *name, std::uint64_t n) {
    add(std::string{"mansio_plugin_"} + name + labels, static_cast<double>(n));
  };
  count("operations_total", host.operations);
  count("failed_total", host.failed);
  count("refused_total", host.refused);
  count("timed_out_total", host.timed_out);
  count("late_answers_total", host.late);
  count("misbehaviours_total", host.misbehaviours);
  count("log_lines_dropped_total", host.log_dropped);
  count("operations_in_flight", in_flight);
  add("mansio_plugin_operation_seconds_total" + labels, static_cast<double>(host.busy) / 1e9);
  for (const auto &m : metrics_) {
    const auto name = "mansio_plugin_" + m.name + (m.gauge ? "" : "_total");
    if (!m.help.empty()) add(std::string{wire::Stats::kHelp} + name + ' ' + m.help, 0);
    add(name + labels, static_cast<double>(m.value.load(std::memory_order_relaxed)));
  }
}

}  // namespace mansio::host
