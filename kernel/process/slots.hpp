// The places of processes in the memory that they share: each living role process has one, and nobody else has it.
#pragma once

#include <cstdint>

namespace mansio::process {

inline constexpr std::uint32_t kSlots = 64;  // living role processes, old and new generation together

}  // namespace mansio::process
