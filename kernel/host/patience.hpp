// How long those who use a plugin in a process of its own wait for that process.
#pragma once

#include "kernel/base/clock.hpp"

namespace mansio::host {

// Beyond a time limit: the host process has the same and comes first, so that its word is heard.
inline constexpr Nanos kGrace = 100 * kMillisecond;
// For a process that ended to return; the first starts take less.
inline constexpr Nanos kReturns = 3 * kSecond;

}  // namespace mansio::host
