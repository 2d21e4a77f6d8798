// SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF"): a hash with a key, for tables whose keys
// strangers choose. Who does not know the key cannot tell which texts will share a place.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mansio {

struct HashKey {
  std::uint64_t first = 0, second = 0;
};

inline std::uint64_t siphash(HashKey key, std::string_view text) {
  std::uint64_t v0 = key.first ^ 0x736F6D6570736575ULL, v1 = key.second ^ 0x646F72616E646F6DULL,
                v2 = key.first ^ 0x6C7967656E657261ULL, v3 = key.second ^ 0x7465646279746573ULL;
  const auto rounds = [&](int n) {
    for (; n > 0; --n) {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  };
  const auto take = [&](std::uint64_t word) {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  };
  // Little-endian, up to eight octets from `at`.
  const auto word_at = [&](std::size_t at, std::size_t n) {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < n; ++i)
      word |= static_cast<std::uint64_t>(static_cast<unsigned char>(text[at + i])) << (8 * i);
    return word;
  };
  std::size_t at = 0;
  for (; text.size() - at >= 8; at += 8) take(word_at(at, 8));
  take(word_at(at, text.size() - at) | static_cast<std::uint64_t>(text.size()) << 56);
  v2 ^= 0xFF;
  rounds(4);
  return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace mansio
