#include "kernel/ingress/stress.hpp"

#include <algorithm>

namespace mansio::ingress {
namespace {

// QMQP has few clients, known ones, and no limits that stress could change.
bool can_be_stressed(const Service &service) { return service.smtpd.stress_threshold != 0 && !service.qmqpd; }

}  // namespace

SessionLimits limits_of(const Service &service) {
  const auto &s = service.smtpd;
  SessionLimits limits{s.timeout, s.starttls_timeout, s.hard_error_limit, s.junk_command_limit, s.per_request_deadline};
  if (!service.stressed) return limits;
  limits.timeout = std::min(limits.timeout, s.stress_timeout);
  limits.starttls_timeout = std::min(limits.starttls_timeout, s.stress_starttls_timeout);
  limits.hard_error_limit = std::min(limits.hard_error_limit, s.stress_hard_error_limit);
  limits.junk_command_limit = std::min(limits.junk_command_limit, s.stress_junk_command_limit);
  limits.per_request_deadline |= s.stress_per_request_deadline;
  return limits;
}

void StressWatch::watch(Service &service) {
  if (std::find(services_.begin(), services_.end(), &service) == services_.end()) services_.push_back(&service);
}

// One place is always taken: there only somebody who is sent away is a sign.
void StressWatch::admitted(Service &service) {
  const std::uint64_t limit = service.smtpd.connection_limit;
  if (limit < 2 || !can_be_stressed(service)) return;
  const std::uint64_t now = env_.census.connections(service.name);
  if (now * 100 >= limit * service.smtpd.stress_threshold) begin_or_prolong(service, "connection_limit is near");
}

void StressWatch::refused(Service &service, std::string_view why) {
  if (can_be_stressed(service)) begin_or_prolong(service, why);
}

void StressWatch::begin_or_prolong(Service &service, std::string_view why) {
  const auto now = env_.clock.mono();
  const bool begins = env_.census.stress(service.name, now + service.smtpd.stress_time);
  service.stressed = env_.census.stressed_until(service.name) > now;
  if (!begins) return;
  ++service.counters.stresses;
  env_.log.warn("listener under stress", {{"listener", service.name},
                                          {"reason", why},
                                          {"connections", env_.census.connections(service.name)},
                                          {"connection_limit", service.smtpd.connection_limit}});
}

void StressWatch::look() {
  const auto now = env_.clock.mono();
  for (auto *const service : services_) {
    const auto until = env_.census.stressed_until(service->name);
    // Of all processes that see the end one says so.
    if (until != 0 && until <= now && env_.census.relax(service->name, now))
      env_.log.info("listener no longer under stress", {{"listener", service->name}});
    service->stressed = until > now && can_be_stressed(*service);
  }
}

}  // namespace mansio::ingress
