// Prometheus text format (version 0.0.4) from the counters and gauges the roles report by name.
#pragma once

#include <string>
#include <vector>

#include "kernel/wire/process_messages.hpp"

namespace mansio::control {

// Samples of all processes: each gets a label process="ingress.0". A name that ends in "_total" is a counter,
// anything else a gauge; samples of one name stand together, as the format demands, after what somebody says of it.
std::string prometheus_text(const std::vector<wire::Stats> &stats);

}  // namespace mansio::control
