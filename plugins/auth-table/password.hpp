// Passwords against what crypt(5) has made of them. Any thread; takes milliseconds of CPU, on purpose.
#pragma once

#include <cstdint>
#include <string>

namespace mansio::auth_table {

enum class Match : std::uint8_t {
  Yes,
  No,
  Locked,   // begins with "!" or "*", as passwd(1) and shadow(5) lock users; takes no time
  Unusable  // no hash that we know; the same
};

// `stored`: "$6$salt$hash" and whatever else crypt(5) of this system has that begins with "$"; before it may stand how
// Dovecot names it, "{SHA512-CRYPT}". What has no "$" is refused: DES, and passwords as they are.
Match check_password(const std::string &stored, const std::string &given);

}  // namespace mansio::auth_table
