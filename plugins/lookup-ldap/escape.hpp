// What comes from a key, as data in a search filter and in a distinguished name. Pure.
#pragma once

#include <string>
#include <string_view>

namespace mansio::lookup {

// RFC 4515, section 3: * ( ) \ and NUL as \xx.
void escape_filter(std::string &to, std::string_view part);
// RFC 4514, section 2.4: what has a meaning in a name as \xx; '#' and blanks too, which have one at the ends only.
void escape_dn(std::string &to, std::string_view part);

}  // namespace mansio::lookup
