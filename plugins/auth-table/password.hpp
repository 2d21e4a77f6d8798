// Passwords against what crypt(5) has made of them. Any thread; takes milliseconds of CPU, on purpose.
#pragma once

#include <cstdint>
#include <string>

namespace mansio::auth_table {

enum class Match : std::uint8_t { Yes, No, Unusable };  // Unusable: what is stored is no hash that we know

// `stored`: "$6$salt$hash" and whatever else crypt(5) of this system has that begins with "$"; before it may stand how
// Dovecot names it, "{SHA512-CRYPT}". What has no "$" is refused: DES, and passwords as they are.
Match check_password(const std::string &stored, const std::string &given);

// Takes the time that check_password() takes, for a user who is not there: names are not to be found out by the clock.
void check_nothing(const std::string &given);

}  // namespace mansio::auth_table
