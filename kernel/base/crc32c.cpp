#include "kernel/base/crc32c.hpp"

#include <isa-l/crc.h>

namespace mansio {

std::uint32_t crc32c(std::string_view bytes, std::uint32_t previous) {
  // isa-l neither inverts on entry nor on exit, and reads only, whatever its prototype says. Its length is
  // an int, so larger inputs go in parts.
  constexpr std::size_t kPart = 1u << 30;
  std::uint32_t crc = ~previous;
  while (!bytes.empty()) {
    const auto part = bytes.substr(0, kPart);
    auto *data = reinterpret_cast<unsigned char *>(const_cast<char *>(part.data()));
    crc = crc32_iscsi(data, static_cast<int>(part.size()), crc);
    bytes.remove_prefix(part.size());
  }
  return ~crc;
}

namespace {

// Product of two polynomials modulo Castagnoli's, bits reflected: bit 31 is x^0.
std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (std::uint32_t bit = 1u << 31; bit != 0; bit >>= 1) {
    if (a & bit) product ^= b;
    b = b & 1 ? (b >> 1) ^ 0x82F63B78u : b >> 1;
  }
  return product;
}

}  // namespace

std::uint32_t crc32c_combine(std::uint32_t a, std::uint32_t b, std::uint64_t length_of_b) {
  // Appending n bytes to a message multiplies its checksum by x^(8n).
  std::uint32_t shift = 1u << 31;   // x^0
  std::uint32_t square = 1u << 23;  // x^8
  for (auto n = length_of_b; n != 0; n >>= 1) {
    if (n & 1) shift = multiply(shift, square);
    square = multiply(square, square);
  }
  return multiply(shift, a) ^ b;
}

}  // namespace mansio
