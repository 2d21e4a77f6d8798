// The limits of the configuration as the scheduler takes them. The simulator uses them too: what it shows is what the
// queue process does.
#pragma once

#include "kernel/config/settings.hpp"
#include "kernel/scheduler/responses.hpp"
#include "kernel/scheduler/scheduler.hpp"

namespace mansio::queue {

scheduler::Backoff backoff_of(const config::Queue &queue);
scheduler::TransportLimits limits_of(const config::Transport &transport, const config::Settings &settings);
std::vector<scheduler::RateOwner> owners_of(const config::Settings &settings);  // as the numbers in limits mean them
std::vector<scheduler::TenantWeight> weights_of(const config::Settings &settings);
std::vector<scheduler::SourceGroup> groups_of(const config::Settings &settings);
std::vector<scheduler::ResponseRule> responses_of(const config::Settings &settings);
// As they are at that time (wall): they are others when another day begins (UTC), where there are warm-ups.
std::vector<scheduler::RateRule> rates_of(const config::Settings &settings, Nanos wall);
bool warms_up(const config::Settings &settings);
// No back-off puts an attempt off for longer.
Nanos longest_wait(const config::Queue &queue);
inline constexpr Nanos kWarmUpDay = 86400 * kSecond;

}  // namespace mansio::queue
