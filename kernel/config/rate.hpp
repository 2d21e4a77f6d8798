// A rate: a whole number and a time, "10/s", "100/m", "500/15m".
#pragma once

#include <optional>
#include <string_view>

#include "kernel/base/clock.hpp"

namespace mansio::config {

std::optional<Nanos> parse_rate(std::string_view text);  // the time for one

}  // namespace mansio::config
