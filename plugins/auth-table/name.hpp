// Which names the table is asked for. Pure.
#pragma once

#include <string_view>

namespace mansio::auth_table {

// 1 to 255 octets of UTF-8 (RFC 4616 section 2) without control characters. Others nobody has, and a database may choke
// on them.
bool is_name(std::string_view text);

}  // namespace mansio::auth_table
