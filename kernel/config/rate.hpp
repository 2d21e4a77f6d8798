// A rate: a whole number and a time, "10/s", "100/m", "500/15m"; and the date from which on it is another each day.
#pragma once

#include <optional>
#include <string_view>

#include "kernel/base/clock.hpp"

namespace mansio::config {

std::optional<Nanos> parse_rate(std::string_view text);  // the time for one
std::optional<Nanos> parse_date(std::string_view text);  // "2026-11-30": its first moment (UTC), wall

}  // namespace mansio::config
