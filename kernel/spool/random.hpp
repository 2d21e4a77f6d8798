// Salts of spool files: nobody who sends mail may guess them.
#pragma once

#include <sys/random.h>

#include <cstdint>
#include <random>

namespace mansio::spool {

inline std::uint64_t random_salt() {
  std::uint64_t salt = 0;
  if (::getrandom(&salt, sizeof salt, 0) == static_cast<ssize_t>(sizeof salt)) return salt;
  std::random_device device;  // a sandbox without getrandom(2)
  return static_cast<std::uint64_t>(device()) << 32 | device();
}

}  // namespace mansio::spool
