// Lengths of time that several of the tests count in.
#pragma once

#include "kernel/base/clock.hpp"

namespace mansio::scheduler {

inline constexpr Nanos kTenth = 100 * kMillisecond, kHour = 3600 * kSecond;

}  // namespace mansio::scheduler
