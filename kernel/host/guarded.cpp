#include "kernel/host/guarded.hpp"

#include <fmt/format.h>

#include <utility>

namespace mansio::host {

Guarded::Guarded(const Surroundings &around, const mansio_plugin &plugin, InstanceOptions options, Words words)
    : clock_(around.clock),
      log_(around.log),
      plugin_(plugin),
      words_(words),
      breaker_(options.limits.breaker_failures, options.limits.breaker_window, options.limits.breaker_time),
      instance_(around, plugin, std::move(options), words.label, {nullptr, nullptr, plugin_failure, nullptr}) {}

Guarded::Opened Guarded::open(Nanos time_limit, std::function<void(Answer &&)> done) {
  const auto now = clock_.mono();
  if (!breaker_.allows(now)) {
    ++instance_.metrics().host.refused;
    return {0, 0, "it keeps failing and is not asked for a while"};
  }
  Operation operation;
  operation.done = std::move(done);
  const auto deadline = now + time_limit;
  const auto op = instance_.open(std::move(operation), message_, deadline);
  if (op != 0) return {op, deadline, nullptr};
  breaker_.not_begun();
  return {0, 0, words_.too_much};
}

void Guarded::judge(bool failed) {
  if (!failed) {
    if (breaker_.open()) log_.info("breaker closed: the plugin answers again", {{words_.label, instance_.name()}});
    return breaker_.succeeded();
  }
  if (breaker_.failed(clock_.mono()))
    log_.error(fmt::format("breaker open: the plugin keeps failing and is not asked for a while; {}", words_.meanwhile),
               {{words_.label, instance_.name()}, {"plugin", plugin_.name}});
}

}  // namespace mansio::host
