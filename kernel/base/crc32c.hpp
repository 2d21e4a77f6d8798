// CRC32C (Castagnoli), the checksum of every record in the spool. Chainable:
// crc32c(b, crc32c(a)) == crc32c(a + b).
#pragma once

#include <cstdint>
#include <string_view>

namespace mansio {

std::uint32_t crc32c(std::string_view bytes, std::uint32_t previous = 0);

// crc32c(a + b) from crc32c(a), crc32c(b) and the length of b: for bytes that are written back to front.
std::uint32_t crc32c_combine(std::uint32_t a, std::uint32_t b, std::uint64_t length_of_b);

}  // namespace mansio
